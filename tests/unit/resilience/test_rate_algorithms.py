"""The laws of the algorithms: what is granted, and what is said about the rest."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.resilience import GCRA, FixedWindow, RateLimit, SlidingWindow, SubBuckets, rate_algorithm

KINDS = ["sliding_window", "gcra", "sub_buckets", "fixed_window"]
limits = st.builds(RateLimit, permits=st.integers(1, 20), per=st.sampled_from([0.5, 1.0, 7.0, 60.0, 3600.0]))
# Steps as shares of the period, so that every limit meets boundaries; sixteenths are exact floats.
requests = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 4)), max_size=80)


def play(algorithm, requests, start=1_700_000_000.0):
    """Ask along the times of *requests*; yield (now, cost, decision)."""
    state, now = algorithm.new(), start
    for step, cost in requests:
        now += step / 16 * algorithm.limit.per
        yield now, cost, algorithm.hit(state, now, cost)


def granted_in(history, after, until):
    return sum(cost for now, cost, decision in history if decision.allowed and after < now <= until)


@pytest.mark.parametrize("kind", ["sliding_window", "sub_buckets"])
@given(limits, requests)
def test_no_stretch_of_the_period_ever_holds_more_than_the_permits(kind, limit, requests):
    history = list(play(rate_algorithm(limit, kind), requests))

    for now, _, _ in history:
        assert granted_in(history, now - limit.per, now) <= limit.permits


@given(limits, requests)
def test_the_sliding_window_refuses_nothing_that_would_fit(limit, requests):
    history = []

    for now, cost, decision in play(SlidingWindow(limit), requests):
        fits = granted_in(history, now - limit.per, now) + cost <= limit.permits
        assert decision.allowed == fits
        history.append((now, cost, decision))


@given(limits, requests)
def test_gcra_grants_at_most_a_burst_and_a_steady_flow(limit, requests):
    history = list(play(GCRA(limit), requests))
    rate = limit.permits / limit.per

    for first, _, _ in history:
        for last, _, _ in history:
            if first <= last:
                most = limit.permits + (last - first) * rate
                granted = sum(c for now, c, d in history if d.allowed and first <= now <= last)
                assert granted <= most + 1e-6


@given(limits, requests)
def test_a_fixed_window_grants_its_permits_in_each_period(limit, requests):
    history = list(play(FixedWindow(limit), requests))

    by_window = {}
    for now, cost, decision in history:
        if decision.allowed:
            by_window[now // limit.per] = by_window.get(now // limit.per, 0) + cost

    assert all(used <= limit.permits for used in by_window.values())


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


def test_the_memory_of_sub_buckets_is_bounded():
    algorithm = SubBuckets(RateLimit(permits=10**6, per=60.0), buckets=12)
    state = algorithm.new()

    for tick in range(5000):
        algorithm.hit(state, tick * 0.5)

    assert len(state.counts) <= 14


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(
        InvalidArgumentError, match=r"unknown rate-limit algorithm 'leaky' \(known: fixed_window, gcra"
    ):
        rate_algorithm("5/minute", "leaky")


def test_the_number_of_buckets_must_be_whole():
    with pytest.raises(InvalidArgumentError):
        SubBuckets(RateLimit("5/minute"), buckets=0)
