"""What every store of rollups must hold; other rooms add theirs to STORES."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.monitoring import MemoryRollupStore, Rollup, RollupKey
from shared.monitoring._rollup import merge_all

STORES = [MemoryRollupStore]


@pytest.fixture(params=STORES, ids=lambda make: make.__name__)
def store(request):
    return request.param()


def row(start, *, name="x", user="", count=1, width=60, kind="task"):
    return Rollup(RollupKey(start, width, kind, name, user), count, 0, 0.1 * count, 0.1, {40: count})


def counts(rows):
    return {(each.key.start, each.key.width, each.key.name, each.key.user): each.count for each in rows}


def test_rows_under_one_key_add_up(store):
    store.add([row(60, count=2)])
    store.add([row(60, count=3)])

    [found] = store.read(0, 120)

    assert (found.count, round(found.total, 6), dict(found.buckets)) == (5, 0.5, {40: 5})


def test_the_range_takes_its_begin_and_leaves_its_end(store):
    store.add([row(0), row(60), row(120)])

    assert sorted(each.key.start for each in store.read(60, 120)) == [60]


def test_a_user_sees_only_his_own(store):
    store.add([row(0, user="u-1"), row(0, user="u-2"), row(0)])

    assert counts(store.read(0, 60, user="u-1")) == {(0, 60, "x", "u-1"): 1}
    assert len(list(store.read(0, 60))) == 3


def test_downsampling_keeps_every_number_and_leaves_fewer_rows(store):
    store.add([row(60 * minute, user=user) for minute in range(120) for user in ("", "u-1")])

    merged = store.downsample(7200, 3600)

    assert merged == 240 - 4
    assert set(counts(store.read(0, 7200)).values()) == {60}
    assert merge_all(store.read(0, 7200), RollupKey(0, 0, "", "", "")).count == 240


def test_downsampling_twice_changes_nothing_more(store):
    store.add([row(0), row(60)])
    store.downsample(3600, 3600)

    assert store.downsample(3600, 3600) == 0
    assert counts(store.read(0, 3600)) == {(0, 3600, "x", ""): 2}


def test_downsampling_adds_late_minutes_to_their_hour(store):
    store.add([row(0)])
    store.downsample(3600, 3600)
    store.add([row(60)])
    store.downsample(3600, 3600)

    assert counts(store.read(0, 3600)) == {(0, 3600, "x", ""): 2}


def test_downsampling_spares_what_is_recent(store):
    store.add([row(0), row(7200)])
    store.downsample(3600, 3600)

    assert counts(store.read(0, 10_000)) == {(0, 3600, "x", ""): 1, (7200, 60, "x", ""): 1}


def test_cleanup_deletes_what_is_older_and_says_how_much(store):
    store.add([row(0), row(60), row(120)])

    assert (store.cleanup(120), store.cleanup(120)) == (2, 0)
    assert [each.key.start for each in store.read(0, 1000)] == [120]


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.text(max_size=20), st.text(max_size=20), st.integers(1, 5)),
        max_size=30,
    )
)
def test_no_run_is_lost_whatever_the_names(operations):
    for make in STORES:
        fresh = make()
        for minute, name, user, count in operations:
            fresh.add([row(60 * minute, name=name, user=user, count=count)])
        fresh.downsample(6000, 3600)

        assert sum(each.count for each in fresh.read(0, 1e9)) == sum(count for *_, count in operations)


def test_memory_is_bounded_and_the_oldest_go_first():
    store = MemoryRollupStore(max_rows=3)
    store.add([row(60 * minute) for minute in range(5)])

    assert sorted(each.key.start for each in store.read(0, 1000)) == [120, 180, 240]


def test_fewer_than_one_row_is_refused():
    with pytest.raises(InvalidArgumentError, match="max_rows"):
        MemoryRollupStore(max_rows=0)
