"""Waits between tries: bounds, shapes, jitter."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.resilience import Backoff

KINDS = ["constant", "decorrelated", "exponential", "linear"]
backoffs = st.builds(
    Backoff,
    kind=st.sampled_from(KINDS),
    delay=st.floats(0, 100),
    max_delay=st.floats(0, 100),
    jitter=st.sampled_from(["equal", "full", "none"]),
)
draws = st.floats(0, 1, exclude_max=True)


@given(backoffs, st.integers(1, 5000), draws, st.none() | st.floats(0, 1000))
def test_a_wait_is_never_negative_nor_above_the_cap(backoff, attempt, draw, previous):
    wait = backoff.wait(attempt, previous=previous, rng=lambda: draw)

    assert 0.0 <= wait <= backoff.max_delay


@given(backoffs, st.integers(1, 200))
def test_the_ceiling_never_falls_from_one_try_to_the_next(backoff, attempt):
    assert backoff.ceiling(attempt + 1) >= backoff.ceiling(attempt)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("constant", [2, 2, 2, 2]), ("linear", [2, 4, 6, 8]), ("exponential", [2, 4, 8, 10])],
)
def test_the_ceilings_follow_the_kind(kind, expected):
    backoff = Backoff(kind, delay=2.0, max_delay=10.0)

    assert [backoff.ceiling(n) for n in (1, 2, 3, 4)] == expected


@pytest.mark.parametrize(
    ("jitter", "low", "high"),
    [("full", 0.0, 4.0), ("equal", 2.0, 4.0), ("none", 4.0, 4.0), (True, 0.0, 4.0), (False, 4.0, 4.0)],
)
def test_jitter_draws_from_its_range(jitter, low, high):
    backoff = Backoff(delay=4.0, jitter=jitter)

    assert backoff.wait(1, rng=lambda: 0.0) == low
    assert backoff.wait(1, rng=lambda: math.nextafter(1.0, 0.0)) == pytest.approx(high)


def test_decorrelated_draws_up_to_three_times_the_previous_wait():
    backoff = Backoff("decorrelated", delay=1.0, max_delay=100.0)

    assert backoff.wait(5, previous=10.0, rng=lambda: 0.0) == 1.0
    assert backoff.wait(5, previous=10.0, rng=lambda: 0.5) == 15.5


def test_an_exponent_beyond_a_float_is_the_cap():
    assert Backoff(delay=1.0, max_delay=7.0).ceiling(100_000) == 7.0
    assert Backoff(delay=0.0, max_delay=7.0).ceiling(100_000) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "fibonacci"},
        {"jitter": "some"},
        {"delay": -1.0},
        {"delay": math.nan},
        {"max_delay": math.inf},
        {"delay": "1"},
        {"delay": True},
    ],
)
def test_a_wrong_argument_is_refused_with_its_value(wrong):
    with pytest.raises(InvalidArgumentError, match=str(next(iter(wrong.values())))):
        Backoff(**wrong)


def test_a_backoff_cannot_be_changed():
    with pytest.raises(AttributeError):
        Backoff().delay = 5.0
