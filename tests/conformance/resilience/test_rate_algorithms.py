"""What every rate-limit algorithm promises to its stores, whatever it grants."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.resilience import RateLimit, rate_algorithm

KINDS = ["sliding_window", "gcra", "sub_buckets", "fixed_window"]
limits = st.builds(RateLimit, permits=st.integers(1, 20), per=st.sampled_from([0.5, 1.0, 7.0, 60.0, 3600.0]))
# Steps as shares of the period, so that every limit meets boundaries; sixteenths are exact floats.
requests = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 4)), max_size=80)


@pytest.mark.parametrize("kind", KINDS)
@given(limits, requests, st.integers(1, 4))
def test_waiting_as_told_is_enough(kind, limit, requests, cost):
    algorithm = rate_algorithm(limit, kind)
    state, now = algorithm.new(), 1_700_000_000.0
    for step, asked in requests:
        now += step / 16 * limit.per
        algorithm.hit(state, now, asked)

    refused = algorithm.hit(state, now, cost)
    if refused.allowed:
        assert refused.retry_after == 0.0
    elif cost > limit.permits:
        assert refused.retry_after == math.inf
    else:
        assert refused.retry_after > 0.0
        assert algorithm.hit(state, now + refused.retry_after + 1e-6, cost).allowed


@pytest.mark.parametrize("kind", KINDS)
@given(limits, requests)
def test_after_reset_all_permits_are_back(kind, limit, requests):
    algorithm = rate_algorithm(limit, kind)
    state, now, decision = algorithm.new(), 1_700_000_000.0, None
    for step, cost in requests:
        now += step / 16 * limit.per
        decision = algorithm.hit(state, now, cost)

    later = now + (decision.reset_after if decision else 0.0) + 1e-6
    assert algorithm.idle(state, later + 2 * limit.per / 60)
    assert algorithm.hit(state, later, limit.permits).allowed


@pytest.mark.parametrize("kind", KINDS)
@given(limits, requests)
def test_a_refusal_and_a_look_use_nothing_up(kind, limit, requests):
    algorithm = rate_algorithm(limit, kind)
    state, now = algorithm.new(), 1_700_000_000.0

    for step, cost in requests:
        now += step / 16 * limit.per
        before = algorithm.hit(state, now, 0)
        decision = algorithm.hit(state, now, cost)
        after = algorithm.hit(state, now, 0)

        assert before.limit == limit.permits
        assert 0 <= after.remaining <= limit.permits
        assert after.remaining == before.remaining - (cost if decision.allowed else 0)


@pytest.mark.parametrize("kind", KINDS)
@given(limits, requests, requests)
def test_a_state_written_down_and_read_back_decides_the_same(kind, limit, first, second):
    algorithm = rate_algorithm(limit, kind)
    state, now = algorithm.new(), 1_700_000_000.0
    for step, cost in first:
        now += step / 16 * limit.per
        algorithm.hit(state, now, cost)
    twin = algorithm.load(algorithm.dump(state))

    for step, cost in second:
        now += step / 16 * limit.per
        assert algorithm.hit(state, now, cost) == algorithm.hit(twin, now, cost)


@pytest.mark.parametrize("kind", KINDS)
def test_time_that_steps_back_grants_nothing_extra(kind):
    algorithm = rate_algorithm("3/minute", kind)
    state = algorithm.new()
    for now in (600.0, 601.0, 602.0):
        assert algorithm.hit(state, now).allowed

    assert not algorithm.hit(state, 599.0).allowed
    assert not algorithm.hit(state, 500.0).allowed


@pytest.mark.parametrize("kind", KINDS)
def test_a_burst_is_granted_and_then_refused(kind):
    algorithm = rate_algorithm("5/minute", kind)
    state = algorithm.new()

    decisions = [algorithm.hit(state, 600.0) for _ in range(7)]

    assert [d.allowed for d in decisions] == [True] * 5 + [False] * 2
    assert [d.remaining for d in decisions] == [4, 3, 2, 1, 0, 0, 0]
    resets = [d.reset_after for d in decisions]
    assert all(a <= b for a, b in pairwise(resets))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_state_is_idle_and_a_used_one_is_not(kind):
    algorithm = rate_algorithm("5/minute", kind)
    state = algorithm.new()
    assert algorithm.idle(state, 600.0)

    algorithm.hit(state, 600.0)

    assert not algorithm.idle(state, 600.0)


@pytest.mark.parametrize("kind", KINDS)
@given(
    st.one_of(
        st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=6),
        st.lists(st.none() | st.booleans() | st.text(max_size=3), min_size=1, max_size=4),
        st.none(),
        st.text(max_size=3),
    )
)
def test_what_is_not_a_state_is_refused_and_what_is_decides(kind, numbers):
    algorithm = rate_algorithm("5/minute", kind)

    try:
        state = algorithm.load(numbers)
    except InvalidArgumentError:
        return

    assert 0 <= algorithm.hit(state, 1e9).remaining <= 5
