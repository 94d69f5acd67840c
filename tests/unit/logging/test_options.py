from types import SimpleNamespace

import pytest

from shared.config import Settings
from shared.errors import ConfigurationError
from shared.logging._options import Options


def test_the_whole_settings_give_the_logging_and_app_sections():
    settings = Settings(
        ENVIRONMENT="testing", SERVICE_NAME="orders", LOG_LEVEL="DEBUG", LOG_LEVELS={"api": "ERROR"}
    )

    options = Options.from_settings(settings).checked()

    assert options.service == "orders"
    assert options.level == "DEBUG"
    assert options.levels == {"api": "ERROR"}
    assert options.chosen_format() == "console"


def test_one_section_is_enough():
    section = SimpleNamespace(LOG_LEVEL="ERROR", LOG_FORMAT="ecs")

    assert Options.from_settings(section).level == "ERROR"
    assert Options.from_settings(section).chosen_format() == "ecs"


def test_a_mapping_is_enough():
    options = Options.from_settings(
        {"LOG_FORMAT": "JSON", "LOG_MAX_LINE_BYTES": "2048", "SERVICE_NAME": "s"}
    ).checked()

    assert (options.chosen_format(), options.max_line_bytes, options.service) == ("json", 2048, "s")


def test_a_mapping_may_have_sections():
    options = Options.from_settings({"logging": {"LOG_LEVEL": "DEBUG"}, "app": {"SERVICE_NAME": "s"}})

    assert (options.level, options.service) == ("DEBUG", "s")


@pytest.mark.parametrize(
    ("environment", "format"),
    [
        ("development", "console"),
        ("testing", "console"),
        ("staging", "json"),
        ("production", "json"),
        (None, "json"),
    ],
)
def test_without_a_format_the_environment_decides(environment, format):
    assert Options(environment=environment).chosen_format() == format


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "xml"}, r"LOG_FORMAT: unknown format 'xml' \(known: json, ecs, console\)"),
        ({"level": "loud"}, "LOG_LEVEL: unknown log level 'loud'"),
        ({"levels": {"a": "loud"}}, r"LOG_LEVELS\['a'\]"),
        ({"max_line_bytes": 10}, "LOG_MAX_LINE_BYTES: 10 is not a number of at least 512"),
        ({"max_line_bytes": "many"}, "LOG_MAX_LINE_BYTES: 'many'"),
        ({"max_line_bytes": [1]}, "LOG_MAX_LINE_BYTES"),
    ],
)
def test_a_wrong_value_is_named(values, message):
    with pytest.raises(ConfigurationError, match=message):
        Options(**values).checked()


def test_values_given_win_over_settings_and_none_does_not():
    options = Options.from_settings({"LOG_LEVEL": "ERROR", "SERVICE_NAME": "a"}).override(
        level="DEBUG", service=None
    )

    assert (options.level, options.service) == ("DEBUG", "a")
