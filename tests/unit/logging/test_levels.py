import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from shared.logging._levels import LevelMap, level_name, level_or_info, parse_level


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("debug", 10),
        ("INFO", 20),
        (" Warn ", 30),
        ("warning", 30),
        ("error", 40),
        ("FATAL", 50),
        (15, 15),
        ("15", 15),
        ("trace", 5),
        (0, 0),
    ],
)
def test_a_level_is_read_from_name_or_number(value, number):
    assert parse_level(value) == number


@pytest.mark.parametrize("value", ["INFOO", "", -1, 1001, "99999", True, None, 1.5, [], "²"])
def test_an_unknown_level_is_a_configuration_error_that_lists_the_known(value):
    with pytest.raises(
        ConfigurationError, match=r"LOG_LEVEL: unknown log level .* \(known: NOTSET, TRACE, DEBUG"
    ):
        parse_level(value, setting="LOG_LEVEL")


@given(st.one_of(st.text(), st.integers(), st.none(), st.floats()))
def test_whatever_is_given_as_level_is_a_number_or_our_error(value):
    try:
        assert 0 <= parse_level(value) <= 1000
    except ConfigurationError:
        assert level_or_info(value) == 20


@pytest.mark.parametrize(
    ("number", "name"), [(10, "debug"), (35, "warning"), (1000, "critical"), (3, "notset"), (5, "trace")]
)
def test_a_number_has_the_name_of_the_level_at_or_below(number, name):
    assert level_name(number) == name


def test_a_wrong_level_of_one_logger_names_the_logger():
    with pytest.raises(ConfigurationError, match=r"LOG_LEVELS\['api'\]"):
        LevelMap("INFO", {"api": "loud"})


def test_the_nearest_parent_decides():
    levels = LevelMap("WARNING", {"a": "ERROR", "a.b.c": "DEBUG"})

    assert [levels.level_for(name) for name in (None, "", "x", "a", "a.b", "a.b.c", "a.b.c.d", "ab")] == [
        30,
        30,
        30,
        40,
        40,
        10,
        10,
        30,
    ]
    assert levels.lowest == 10
