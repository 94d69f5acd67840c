"""What ``Retry-After`` says, from headers and from errors; anything may come from outside."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import CircuitOpenError, RateLimitError
from shared.resilience import parse_retry_after
from shared.resilience._retry_after import retry_after_of

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@given(st.text(max_size=60))
@example("Fri, 31 Dec 9999 23:59:60 GMT")
@example("Fri, 99 Nov 99999999999999 12:00:30")
@example("1e400")
@example("٣٣")
@example("Thu, 01 Jan 1970 00:00:00 -9999")
def test_any_text_gives_seconds_or_none(text):
    value = parse_retry_after(text)

    assert value is None or value >= 0.0


@given(st.integers(0, 10**9))
def test_delta_seconds_are_read(seconds):
    assert parse_retry_after(str(seconds)) == seconds


@given(st.integers(0, 10**7))
def test_an_http_date_counts_from_now(ahead):
    header = format_datetime(NOON + timedelta(seconds=ahead), usegmt=True)

    assert parse_retry_after(header, now=NOON) == ahead


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (" 7\t", 7.0),
        ("1.5", 1.5),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        ("Sun Nov  6 08:49:37 1994", 0.0),
        ("-1", None),
        ("+1", None),
        ("inf", None),
        ("", None),
        ("tomorrow at about noon, please", None),
    ],
)
def test_forms_of_the_header(header, expected):
    assert parse_retry_after(header, now=NOON) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimitError(retry_after=3.5), 3.5),
        (CircuitOpenError(), None),
        (SimpleNamespace(retry_after="12"), 12.0),
        (SimpleNamespace(retry_after=True), None),
        (SimpleNamespace(retry_after=-4), None),
        (SimpleNamespace(retry_after=float("nan")), None),
        (SimpleNamespace(response=SimpleNamespace(headers={"Retry-After": "9"})), 9.0),
        (SimpleNamespace(response=SimpleNamespace(headers={"retry-after": "9"})), 9.0),
        (SimpleNamespace(response=None, headers={"Retry-After": "8"}), 8.0),
        (SimpleNamespace(response=SimpleNamespace(headers=None)), None),
        (SimpleNamespace(headers={"Retry-After": 5}), None),
    ],
)
def test_errors_say_how_long_to_wait(error, expected):
    assert retry_after_of(error) == expected
