"""The laws of the algorithms: what is granted, and what is said about the rest."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.resilience import GCRA, FixedWindow, RateLimit, SlidingWindow, SubBuckets, rate_algorithm

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


@given(
    start=st.integers(1_600_000_000_000_000, 1_900_000_000_000_000),
    per=st.sampled_from([0.3, 1.0, 7.0, 60.0]),
)
def test_sub_buckets_grant_what_they_promised_also_on_the_edge_of_a_slice(start, per):
    algorithm = SubBuckets(RateLimit(permits=1, per=per), buckets=60)
    state = algorithm.new()
    algorithm.hit(state, start / 1e6)
    refused = algorithm.hit(state, start / 1e6)
    edge = start + math.ceil(refused.retry_after * 1e6) - 1  # the last microsecond of the slice, or near it

    while not (answer := algorithm.hit(state, edge / 1e6)).allowed:
        assert answer.retry_after > 0
        edge += math.ceil(answer.retry_after * 1e6)

    assert edge <= start + math.ceil(refused.retry_after * 1e6) + 1
