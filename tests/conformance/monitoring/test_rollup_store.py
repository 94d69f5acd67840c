"""What every store of rollups must hold: in memory, on SQLite, on a real PostgreSQL."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.database import Base, Database, DatabaseRollupStore, tables_of
from shared.monitoring import MemoryRollupStore, PerformanceRecorder, Rollup, RollupKey
from shared.monitoring._rollup import merge_all


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryRollupStore()
        return
    with Database(url_of(request, tmp_path)) as database:
        Base.metadata.create_all(database.engine, tables_of("monitoring"))
        yield DatabaseRollupStore(database)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    return url_of(request, tmp_path)


def url_of(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rollups.db"
    url = request.getfixturevalue("shared_postgres")

    def clean():
        with Database(url) as database:
            Base.metadata.drop_all(database.engine, tables_of("monitoring"))

    request.addfinalizer(clean)
    return url


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


def test_totals_are_what_the_rows_add_up_to_by_kind_and_name(store):
    store.add([row(60 * minute, user=user) for minute in range(5) for user in ("", "u-1")])
    store.add([row(0, name="y", kind="api", count=7), row(900, count=99)])

    found = {(each.key.kind, each.key.name): each for each in store.totals(0, 900)}

    assert found.keys() == {("task", "x"), ("api", "y")}
    both = merge_all([each for each in store.read(0, 900) if each.key.name == "x"], found["task", "x"].key)
    assert (found["task", "x"].count, dict(found["task", "x"].buckets)) == (10, {40: 10})
    assert both.summary() == found["task", "x"].summary()


def test_totals_of_one_user_are_his_alone(store):
    store.add([row(0, user="u-1", count=2), row(60, user="u-1"), row(0, user="u-2")])

    [found] = store.totals(0, 120, user="u-1")

    assert (found.count, found.key.user) == (3, "u-1")
    assert list(store.totals(0, 120, user="nobody")) == []


def test_buckets_add_up_whichever_either_side_has(store):
    key = RollupKey(0, 60, "task", "x", "")
    store.add([Rollup(key, 3, 1, 0.5, 0.4, {3: 1, 40: 2})])
    store.add([Rollup(key, 4, 0, 0.2, 0.1, {40: 1, 124: 3})])

    [found] = store.read(0, 60)

    assert (found.count, found.errors, found.longest) == (7, 1, 0.4)
    assert dict(found.buckets) == {3: 1, 40: 3, 124: 3}


def test_nothing_to_add_adds_nothing(store):
    store.add([])

    assert list(store.read(0, 1e9)) == []


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.text(max_size=20), st.text(max_size=20), st.integers(1, 5)),
        max_size=30,
    )
)
def test_no_run_is_lost_whatever_the_names(store, operations):
    store.cleanup(1e12)
    store.add([row(60 * minute, name=name, user=user, count=n) for minute, name, user, n in operations[::2]])
    for minute, name, user, count in operations[1::2]:
        store.add([row(60 * minute, name=name, user=user, count=count)])
    wanted = sum(count for *_, count in operations)

    total = sum(each.count for each in store.totals(0, 1e9))
    store.downsample(6000, 3600)

    assert total == wanted
    assert sum(each.count for each in store.read(0, 1e9)) == wanted


def test_writers_of_the_same_rows_lose_nothing(url):
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables_of("monitoring"))
        store, rounds, failures = DatabaseRollupStore(database), 10, []
        gate = threading.Barrier(4)

        def write(number):
            try:
                gate.wait(30)
                for turn in range(rounds):
                    names = [f"n{(number + turn + step) % 5}" for step in range(5)]
                    store.add([row(60, name=name) for name in names])
                    if number == 0:
                        store.downsample(3600, 3600)
            except Exception as exc:
                failures.append(exc)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failures == []
        assert sum(each.count for each in store.totals(0, 3600)) == 4 * rounds * 5


def test_a_store_knows_whether_its_table_is_there(url):
    with Database(url) as database:
        store = DatabaseRollupStore(database)
        before = store.is_ready()
        Base.metadata.create_all(database.engine, tables_of("monitoring"))

        assert (before, store.is_ready()) == (False, True)


def test_what_several_processes_record_is_one_answer(url):
    with Database(url) as first, Database(url) as second:
        Base.metadata.create_all(first.engine, tables_of("monitoring"))
        recorders = [PerformanceRecorder(DatabaseRollupStore(each)) for each in (first, second)]
        for recorder in recorders:
            recorder.record("task", "send_receipt", 0.2, user="u-1")
            recorder.record("task", "send_receipt", 0.4, outcome="error")
            recorder.close()

        found = recorders[0].performance()
        mine = recorders[1].performance(user_id="u-1")

    assert found["tasks"]["send_receipt"]["count"] == 4
    assert found["tasks"]["send_receipt"]["errors"] == 2
    assert (mine["total"]["count"], mine["total"]["errors"]) == (2, 0)
