import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.monitoring import Rollup, RollupKey, bound_of, bucket_of
from shared.monitoring._rollup import merge_all

KEY = RollupKey(0, 60, "task", "x", "")
durations = st.floats(0, 1e5, allow_nan=False)


def rollup(*seconds, errors=0):
    buckets = {}
    for each in seconds:
        buckets[bucket_of(each)] = buckets.get(bucket_of(each), 0) + 1
    return Rollup(KEY, len(seconds), errors, math.fsum(seconds), max(seconds, default=0.0), buckets)


@given(durations)
def test_a_duration_lies_in_its_bucket(seconds):
    index = bucket_of(seconds)

    assert seconds <= bound_of(index)
    assert index == 0 or seconds > bound_of(index - 1)


def test_a_duration_beyond_all_bounds_is_in_the_last_bucket():
    assert bucket_of(1e300) == bucket_of(math.inf)


@given(st.lists(durations, min_size=1), st.lists(durations), st.lists(durations))
def test_merging_is_the_same_in_any_order(first, second, third):
    a, b, c = rollup(*first), rollup(*second), rollup(*third)

    one, other = a.merged(b).merged(c), c.merged(b.merged(a))

    assert (one.count, one.errors, one.longest, dict(one.buckets)) == (
        other.count,
        other.errors,
        other.longest,
        dict(other.buckets),
    )
    assert one.total == pytest.approx(other.total)


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_off_by_no_more_than_a_bucket(seconds, part):
    ordered = sorted(seconds)
    true = ordered[max(0, math.ceil(part * len(ordered)) - 1)]

    estimate = rollup(*seconds).percentile(part)

    assert true / 2**0.25 - 1e-9 <= estimate <= true * 2**0.25 + 1e-9


@given(st.lists(durations, min_size=1))
def test_percentiles_grow_and_end_at_the_longest(seconds):
    figures = rollup(*seconds)
    found = [figures.percentile(part / 20) for part in range(21)]

    assert found == sorted(found)
    assert found[-1] <= figures.longest


def test_merged_percentiles_are_those_of_all_runs():
    numbers = random.Random(7)
    everything = [numbers.lognormvariate(-3, 1) for _ in range(5000)]
    parts = [rollup(*everything[start::10]) for start in range(10)]

    merged = merge_all(parts, KEY)

    true = sorted(everything)[4749]
    assert merged.percentile(0.95) == pytest.approx(true, rel=0.19)
    assert merged.count == 5000


def test_the_summary_of_nothing_is_zero():
    assert set(Rollup(KEY).summary().values()) == {0}


def test_the_summary_has_the_documented_keys():
    summary = rollup(0.1, 0.3, errors=1).summary()

    assert list(summary) == ["count", "errors", "error_rate", "mean", "p50", "p95", "p99", "max"]
    assert (summary["count"], summary["error_rate"], summary["mean"], summary["max"]) == (2, 0.5, 0.2, 0.3)


def test_a_minute_becomes_part_of_its_hour():
    wide = Rollup(RollupKey(7260, 60, "task", "x", "")).widened(3600)

    assert (wide.key.start, wide.key.width) == (7200, 3600)
