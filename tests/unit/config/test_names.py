"""Misspelt names: reported when they are meant for us, never when they are a neighbour's."""

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from shared.config import Settings, check_settings
from shared.config._names import nearest
from shared.config._specs import specs_of
from tests.unit.config._helpers import load, problems

KNOWN = specs_of(Settings)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("DB_POOLSIZE", "DB_POOL_SIZE"),
        ("DB_POOL_SZIE", "DB_POOL_SIZE"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("OPENAI_API_KYE", "OPENAI_API_KEY"),
        ("OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("JWT_SECRET", "JWT_SECRET_KEY"),
        ("JWT_EXPIRE_MINS", "JWT_EXPIRE_MINUTES"),
        ("db_pool_size", "DB_POOL_SIZE"),
        ("DB-POOL-SIZE", "DB_POOL_SIZE"),
        ("DATABASE__DB_POOL_SIZE", "DB_POOL_SIZE"),
        ("DATABASE__DB_POOLSIZE", "DB_POOL_SIZE"),
        ("ENVIRONMNT", "ENVIRONMENT"),
        ("METRIC_ENABLED", "METRICS_ENABLED"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("LOGLEVEL", "LOG_LEVEL"),
    ],
)
def test_a_misspelt_name_is_reported_with_the_name_that_was_meant(typed, meant):
    report = check_settings(environ={typed: "x"}, env_file=None)

    assert [(warning.variable, warning.suggestion) for warning in report.warnings] == [(typed, meant)]
    assert report.ok


@pytest.mark.parametrize(
    "name",
    [
        "ANALYTICS_ENABLED", "API_KEY", "AWS_DEFAULT_REGION", "AWS_PROFILE", "COLORTERM", "DISPLAY", "DOCKER_HOST",
        "EDITOR", "GIT_DIR", "HOME", "HOSTNAME", "KUBERNETES_SERVICE_HOST", "LANG", "LC_ALL", "LOGNAME", "MAIL",
        "NODE_ENV", "OLDPWD", "OTEL_SERVICE_NAME", "PATH", "PGHOST", "PORT", "PWD", "PYTHONPATH", "REDIS_SENTINELS",
        "SENTRY_RELEASE", "SHELL", "SHLVL", "SSH_AUTH_SOCK", "STRIPE_DEVICE_NAME", "TERM", "TMPDIR", "TZ", "USER",
        "VIRTUAL_ENV", "WEB_CONCURRENCY", "XDG_RUNTIME_DIR", "_", "DATABASE_NAME", "POSTGRES_PASSWORD",
    ],
)  # fmt: skip
def test_a_neighbours_variable_is_left_alone(name):
    assert check_settings(environ={name: "x"}, env_file=None).problems == ()


def test_a_variable_in_a_namespace_of_ours_is_reported_without_a_guess():
    report = check_settings(environ={"FLAGS_WHATEVER_ELSE": "x"}, env_file=None)

    assert [(warning.variable, warning.suggestion) for warning in report.warnings] == [
        ("FLAGS_WHATEVER_ELSE", None)
    ]


def test_the_value_of_an_unknown_variable_is_not_shown():
    report = check_settings(environ={"OPENAI_API_KYE": "sk-t0psecret"}, env_file=None)

    assert "t0psecret" not in str(report)


def test_an_unknown_name_is_reported_with_file_and_line(tmp_path):
    (tmp_path / ".env").write_text("\nDB_POOLSIZE=3\n")

    assert load(tmp_path / ".env").warnings[0].origin == f"{tmp_path}/.env:2"


def test_strict_settings_refuse_an_unknown_name_in_a_namespace_of_ours():
    assert problems(SETTINGS_STRICT="true", DB_POOLSIZE="3")["DB_POOLSIZE"]["suggestion"] == "DB_POOL_SIZE"


def test_strict_settings_only_warn_of_a_typo_elsewhere():
    settings = load(SETTINGS_STRICT="true", OPENAI_APIKEY="x")

    assert [warning.variable for warning in settings.warnings] == ["OPENAI_APIKEY"]


def test_the_file_form_of_a_known_name_is_known():
    report = check_settings(environ={"DB_POOL_SIZE_FILE": "/dev/null"}, env_file=None)

    assert [problem.id for problem in report.problems] == ["settings.file"]


def test_the_settings_of_a_report_can_be_used_like_others():
    settings = check_settings(environ={"DB_POOL_SIZE": "7"}, env_file=None).settings

    assert settings.replaced({"API_PORT": 81}).database.DB_POOL_SIZE == 7
    assert settings.reloaded().database.DB_POOL_SIZE == 7


@profile(deadline=None)
@given(st.text(max_size=200))
def test_any_name_can_be_asked_for(name):
    found = nearest(name, KNOWN, ["database"])

    assert found is None or found in KNOWN


@profile(deadline=None)
@given(st.sampled_from(sorted(KNOWN)), st.data())
def test_a_name_that_lost_a_letter_is_recognised(name, data):
    index = data.draw(st.integers(0, len(name) - 1))
    typed = name[:index] + name[index + 1 :]

    assert typed in KNOWN or len(typed) < 6 or nearest(typed, KNOWN) is not None
