"""What goes away: dates, fields, the end."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.api import deprecated
from shared.errors import InvalidArgumentError, UnsupportedCallableError

NEW_YEAR = 1735689600  # 2025-01-01T00:00:00Z


@pytest.mark.parametrize(
    "moment",
    [
        "2025-01-01",
        "2025-01-01T00:00:00",
        "2025-01-01T01:00:00+01:00",
        date(2025, 1, 1),
        datetime(2025, 1, 1),  # noqa: DTZ001 - UTC unless it says otherwise
        datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=["day", "naive", "offset", "date", "datetime", "aware"],
)
def test_moment_has_many_forms(moment):
    assert deprecated(moment).since == NEW_YEAR


@pytest.mark.parametrize("moment", ["soon", None, 7, "1969-12-31"], ids=["word", "none", "number", "early"])
def test_moment_that_makes_no_sense_is_refused(moment):
    with pytest.raises(InvalidArgumentError, match="since is a moment"):
        deprecated(moment)


def test_sunset_before_the_deprecation_is_refused():
    with pytest.raises(InvalidArgumentError, match="before"):
        deprecated("2025-01-02", sunset="2025-01-01")


@pytest.mark.parametrize(
    "address",
    ["/v2 ", 'a"b', "<x>", "/é", "a\r\nb", ""],
    ids=["space", "quote", "angle", "ascii", "line", "empty"],
)
def test_address_that_cannot_stand_in_a_header_is_refused(address):
    with pytest.raises(InvalidArgumentError, match="successor"):
        deprecated("2025-01-01", successor=address)


def test_fields_are_those_of_the_standards():
    rule = deprecated(
        "2025-01-01", sunset="2025-07-01T12:00:00", successor="/v2/x", guide="https://d.example/v2"
    )

    assert rule.headers() == (
        ("Deprecation", "@1735689600"),
        ("Sunset", "Tue, 01 Jul 2025 12:00:00 GMT"),
        (
            "Link",
            '</v2/x>; rel="successor-version", <https://d.example/v2>; rel="deprecation"; type="text/html"',
        ),
    )


def test_without_a_sunset_only_the_deprecation_is_told():
    assert deprecated("2025-01-01").headers() == (("Deprecation", "@1735689600"),)


@settings(deadline=None)
@given(st.integers(-10, 10))
def test_phases_follow_each_other(offset):
    sunset = datetime.fromtimestamp(NEW_YEAR + 5, UTC)
    rule = deprecated("2025-01-01", sunset=sunset, clock=lambda: NEW_YEAR + offset)

    expected = "announced" if offset < 0 else "deprecated" if offset < 5 else "retired"
    assert rule.phase() == rule.phase(NEW_YEAR + offset) == expected


def test_deprecated_function_works_outside_of_a_request():
    @deprecated("2025-01-01", sunset="2025-01-02")
    def old(x):
        return x + 1

    assert old(1) == 2


async def test_deprecated_coroutine_function_stays_one():
    @deprecated("2025-01-01")
    async def old(x):
        return x + 1

    assert await old(1) == 2


async def _generator():
    yield 1


@pytest.mark.parametrize("thing", [int, 7, _generator], ids=["class", "number", "generator"])
def test_what_is_no_function_is_refused(thing):
    with pytest.raises(UnsupportedCallableError):
        deprecated("2025-01-01")(thing)


def test_rule_shows_its_days():
    assert repr(deprecated("2025-01-01", sunset="2025-07-01")) == (
        "<Deprecation since 2025-01-01, sunset 2025-07-01>"
    )
