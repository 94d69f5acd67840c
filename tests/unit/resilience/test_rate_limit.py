"""How a rate limit is written."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.resilience import RateLimit, parse_rate_limits


@pytest.mark.parametrize(
    ("text", "permits", "per"),
    [
        ("100/minute", 100, 60.0),
        ("100 per minute", 100, 60.0),
        ("5/s", 5, 1.0),
        ("5/SECOND", 5, 1.0),
        (" 10 / 30 seconds ", 10, 30.0),
        ("10 per 30s", 10, 30.0),
        ("1/0.5s", 1, 0.5),
        ("1000/hour", 1000, 3600.0),
        ("1000/2 hrs", 1000, 7200.0),
        ("7/day", 7, 86_400.0),
        ("7/weeks", 7, 604_800.0),
        ("3/min", 3, 60.0),
    ],
)
def test_texts_and_numbers_mean_the_same(text, permits, per):
    assert RateLimit(text) == RateLimit(permits=permits, per=per)
    assert hash(RateLimit(text)) == hash(RateLimit(permits=permits, per=per))


@given(st.integers(1, 10**12 - 1), st.floats(1e-3, 1e6))
def test_the_short_form_reads_back_as_the_same_limit(permits, per):
    limit = RateLimit(permits=permits, per=per)

    assert RateLimit(str(limit)) == limit


@given(st.text(max_size=80))
@example("0/minute")
@example("5/0s")
@example("٥/minute")
@example("5/fortnight")
@example("-5/minute")
@example("1e3/minute")
@example("5//minute")
@example("5/minute; 6/hour")
@example("9" * 70 + "/s")
def test_any_other_text_is_refused_with_our_error_alone(text):
    try:
        limit = RateLimit(text)
    except InvalidArgumentError:
        return

    assert limit.permits >= 1
    assert limit.per > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"permits": 5},
        {"per": 5.0},
        {"permits": 0, "per": 1.0},
        {"permits": 1.5, "per": 1.0},
        {"permits": 1, "per": 0.0},
        {"permits": 1, "per": float("inf")},
        {"spelling": "5/s", "permits": 5, "per": 1.0},
        {"spelling": 5},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        RateLimit(**wrong)


def test_several_limits_in_one_text():
    assert parse_rate_limits("10/second; 100/minute,1000/hour") == (
        RateLimit("10/second"),
        RateLimit("100/minute"),
        RateLimit("1000/hour"),
    )


def test_a_limit_cannot_be_changed():
    with pytest.raises(AttributeError):
        RateLimit("5/s").permits = 6
