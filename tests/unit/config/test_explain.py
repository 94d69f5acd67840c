"""Where a value comes from."""

import pytest

from shared.config import Settings, explain, override_settings
from shared.errors import ConfigurationError
from tests.unit.config._helpers import PRODUCTION, load


@pytest.mark.parametrize(
    ("environ", "name", "origin"),
    [
        ({"DB_POOL_SIZE": "3"}, "DB_POOL_SIZE", "environment"),
        (
            {"JWT_ACCESS_TOKEN_EXPIRE_MINUTES": "3"},
            "JWT_EXPIRE_MINUTES",
            "environment, as JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
        ),
        ({}, "DB_POOL_SIZE", "default"),
        ({}, "LOG_FORMAT", "default of development"),
        (PRODUCTION, "DB_POOL_SIZE", "default of production"),
        ({}, "JWT_SECRET_KEY", "generated for this process"),
    ],
)
def test_the_origin_of_the_winner_is_named(environ, name, origin):
    assert explain(name, load(**environ)).origin == origin


def test_what_was_shadowed_is_listed_strongest_first(tmp_path):
    (tmp_path / ".env").write_text("DB_POOL_SIZE=3\n")
    settings = Settings(environ={"DB_POOL_SIZE": "2"}, env_file=tmp_path / ".env", DB_POOL_SIZE=1)

    found = explain("DB_POOL_SIZE", settings)

    assert (found.value, found.origin) == (1, "override")
    assert found.shadowed == (("environment", "2"), (f"{tmp_path}/.env:1", "3"))


def test_the_settings_in_force_are_explained():
    with override_settings(DB_POOL_SIZE=3):
        assert explain("DB_POOL_SIZE").origin == "override"


def test_a_setting_is_found_by_an_alias():
    assert explain("JWT_ACCESS_TOKEN_EXPIRE_MINUTES").name == "JWT_EXPIRE_MINUTES"


def test_the_text_has_everything(tmp_path):
    text = str(
        explain(
            "JWT_EXPIRE_MINUTES",
            Settings(environ={"JWT_EXPIRE_MINUTES": "9"}, env_file=None, JWT_EXPIRE_MINUTES=5),
        )
    )

    assert text.splitlines() == [
        "JWT_EXPIRE_MINUTES = 5",
        "  from: override",
        "  shadowed: environment = 9",
        "  default: 30",
        "  expected: an integer, at least 1, at most 525600",
        "  also called: JWT_ACCESS_TOKEN_EXPIRE_MINUTES",
        "  Life of an access token, in minutes.",
    ]


@pytest.mark.parametrize(
    ("name", "hint"), [("DB_POOLSIZE", "did you mean DB_POOL_SIZE"), ("X", "shared config docs")]
)
def test_a_name_that_is_no_setting_is_an_error_with_a_hint(name, hint):
    with pytest.raises(ConfigurationError, match=hint):
        explain(name)
