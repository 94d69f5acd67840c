"""Adaptive limits: bounds, direction, and what they converge to."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.resilience import AIMDLimit, FixedLimit, GradientLimit

samples = st.lists(st.tuples(st.floats(0, 10), st.integers(1, 300), st.booleans()), max_size=300)


@pytest.mark.parametrize("make", [AIMDLimit, GradientLimit])
@given(samples)
def test_a_limit_never_leaves_its_bounds(make, samples):
    limit = make(initial=5, minimum=2, maximum=50)

    for seconds, in_flight, dropped in samples:
        limit.sample(seconds, in_flight=in_flight, dropped=dropped)

        assert 2 <= limit.value <= 50


@pytest.mark.parametrize("make", [AIMDLimit, GradientLimit])
def test_an_unused_limit_does_not_grow(make):
    limit = make(initial=20)

    for _ in range(1500):
        limit.sample(0.1, in_flight=1, dropped=False)

    assert limit.value == 20


def test_aimd_adds_about_one_per_round_and_takes_a_share_off():
    limit = AIMDLimit(initial=10)
    for _ in range(11):
        limit.sample(0.1, in_flight=10, dropped=False)
    assert limit.value == 11

    limit.sample(0.1, in_flight=10, dropped=True)

    assert limit.value == 9


def test_aimd_takes_a_slow_call_for_a_dropped_one_if_asked():
    limit = AIMDLimit(initial=10, slow_seconds=1.0)

    limit.sample(1.5, in_flight=10, dropped=False)

    assert limit.value == 9


def simulate(limit, capacity, calls):
    """A dependency that queues beyond *capacity* calls at once: the time of a call grows with the queue."""
    dice = random.Random(7)
    seen = []
    for _ in range(calls):
        in_flight = limit.value
        seconds = dice.expovariate(10.0) * max(1.0, in_flight / capacity)
        limit.sample(seconds, in_flight=in_flight, dropped=False)
        seen.append(limit.value)
    return seen


@pytest.mark.parametrize("capacity", [20, 60])
def test_the_gradient_stays_near_the_capacity_of_a_queueing_dependency_for_ever(capacity):
    limit = GradientLimit(initial=10, maximum=1000)

    late = simulate(limit, capacity, 30_000)[5_000:]

    assert capacity * 0.7 <= sum(late) / len(late) <= capacity * 3.5


def test_the_gradient_shrinks_when_calls_slow_down_and_recovers():
    limit = GradientLimit(initial=50)
    for _ in range(300):
        limit.sample(0.1, in_flight=limit.value, dropped=False)
    before = limit.value

    for _ in range(40):
        limit.sample(1.0, in_flight=limit.value, dropped=False)
    slow = limit.value
    for _ in range(600):
        limit.sample(0.1, in_flight=limit.value, dropped=False)

    assert slow < before / 2
    assert limit.value > slow * 2


def test_a_dropped_call_shrinks_the_gradient_limit():
    limit = GradientLimit(initial=50)

    limit.sample(0.1, in_flight=50, dropped=True)

    assert limit.value == 45


def test_calls_of_no_duration_do_no_harm():
    limit = GradientLimit(initial=10)

    for _ in range(10):
        limit.sample(0.0, in_flight=10, dropped=False)

    assert limit.value >= 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: FixedLimit(0),
        lambda: AIMDLimit(0),
        lambda: AIMDLimit(5, minimum=6),
        lambda: AIMDLimit(5, maximum=4),
        lambda: AIMDLimit(backoff=1.0),
        lambda: AIMDLimit(backoff=0.0),
        lambda: AIMDLimit(slow_seconds=-1.0),
        lambda: GradientLimit(tolerance=0.5),
        lambda: GradientLimit(smoothing=0.0),
        lambda: GradientLimit(probe_every=1),
    ],
)
def test_a_wrong_value_is_refused(make):
    with pytest.raises(InvalidArgumentError):
        make()


def test_the_reprs_show_the_value():
    assert repr(FixedLimit(3)) == "FixedLimit(3)"
    assert repr(AIMDLimit(3)) == "AIMDLimit(3 in [1, 200])"
