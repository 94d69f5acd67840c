import threading

import pytest

from shared.errors import InvalidArgumentError, ServiceUnavailableError
from shared.monitoring import (
    MemoryRollupStore,
    Metrics,
    PerformanceRecorder,
    cleanup_old_metrics,
    get_performance_metrics,
    get_performance_recorder,
)
from shared.runtime import Runtime, use
from tests.unit.monitoring.children import run_code

NOW = 1_700_000_000.0
DAY = 86_400


class Wall:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class FailingStore(MemoryRollupStore):
    """A real store whose disk is full for a while."""

    broken = True

    def add(self, rollups):
        if self.broken:
            raise ServiceUnavailableError("disk is full")
        super().add(rollups)


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def make(wall):
    made = []

    def build(store=None, **options):
        recorder = PerformanceRecorder(
            store or MemoryRollupStore(), wall_clock=wall, flush_interval=3600, **options
        )
        made.append(recorder)
        return recorder

    yield build
    for recorder in made:
        recorder.close()


# -- figures ---------------------------------------------------------------------------


def test_the_figures_are_by_name_and_in_total(make):
    recorder = make()
    for seconds in (0.1, 0.2, 0.3):
        recorder.record("task", "import", seconds)
    recorder.record("api", "GET /users", 0.05, outcome="error")

    found = recorder.performance()

    assert found["tasks"]["import"]["count"] == 3
    assert found["tasks"]["import"]["mean"] == pytest.approx(0.2)
    assert found["api_calls"]["GET /users"] == {
        **found["api_calls"]["GET /users"],
        "count": 1,
        "errors": 1,
        "error_rate": 1.0,
    }
    assert (found["total"]["count"], found["total"]["errors"], found["total"]["max"]) == (4, 1, 0.3)


def test_the_answer_has_the_documented_keys(make):
    assert list(make().performance()) == [
        "time_range_hours",
        "user_id",
        "from",
        "to",
        "total",
        "tasks",
        "api_calls",
    ]


def test_a_user_sees_only_his_own_runs(make):
    recorder = make()
    recorder.record("task", "import", 0.1, user="u-1")
    recorder.record("task", "import", 0.1, user="u-2")
    recorder.record("task", "import", 0.1)

    assert recorder.performance(user_id="u-1")["tasks"]["import"]["count"] == 1
    assert recorder.performance()["tasks"]["import"]["count"] == 3
    assert recorder.performance(user_id="u-9")["tasks"] == {}


def test_what_is_cancelled_is_no_error(make):
    recorder = make()
    recorder.record("task", "import", 0.1, outcome="cancelled")

    assert recorder.performance()["total"]["errors"] == 0


def test_the_range_leaves_out_what_is_older(make, wall):
    recorder = make()
    recorder.record("task", "import", 0.1)
    wall.now += 2 * 3600

    assert recorder.performance(1)["total"]["count"] == 0
    assert recorder.performance(3)["total"]["count"] == 1


def test_written_and_unwritten_rows_are_counted_once_each(make):
    recorder = make()
    recorder.record("task", "import", 0.1)
    recorder.flush()
    recorder.record("task", "import", 0.1)

    assert recorder.performance()["total"]["count"] == 2


async def test_the_asynchronous_twin_answers_the_same(make):
    recorder = make()
    recorder.record("task", "import", 0.1)

    assert await recorder.aperformance() == recorder.performance()


@pytest.mark.parametrize("hours", [0, -1, float("nan"), 1e9])
def test_a_range_that_is_none_is_refused(make, hours):
    with pytest.raises(InvalidArgumentError, match="time_range_hours"):
        make().performance(hours)


# -- writing -----------------------------------------------------------------------------


def test_many_runs_of_a_minute_become_one_row(make):
    store = MemoryRollupStore()
    recorder = make(store)
    for _ in range(1000):
        recorder.record("task", "import", 0.1)

    assert recorder.flush() == 1
    [row] = store.read(0, NOW + 60)
    assert (row.count, row.key.start % 60, row.key.width) == (1000, 0, 60)


def test_recorders_of_several_processes_add_up_in_one_store(make):
    store = MemoryRollupStore()
    recorders = [make(store) for _ in range(3)]
    for recorder in recorders:
        recorder.record("task", "import", 0.1)
        recorder.flush()

    assert recorders[0].performance()["total"]["count"] == 3


def test_a_store_that_fails_loses_nothing(make, caplog):
    store = FailingStore()
    recorder = make(store)
    recorder.record("task", "import", 0.1)
    recorder.tick()
    recorder.record("task", "import", 0.1)
    during = recorder.performance()["total"]["count"]
    store.broken = False
    recorder.tick()

    assert during == recorder.performance()["total"]["count"] == 2
    assert sum(row.count for row in store.read(0, NOW + 60)) == 2
    assert "could not be written" in caplog.text


def test_flush_tells_what_the_store_says(make):
    recorder = make(FailingStore())
    recorder.record("task", "import", 0.1)

    with pytest.raises(ServiceUnavailableError, match="disk is full"):
        recorder.flush()


def test_memory_is_bounded_while_the_store_fails(make, wall, caplog):
    recorder = make(FailingStore(), max_rows=10)
    for _ in range(50):
        wall.now += 60
        recorder.record("task", "import", 0.1)
        recorder.tick()

    assert recorder.performance()["total"]["count"] == 20
    assert "were dropped" in caplog.text


def test_users_beyond_the_limit_are_counted_without_their_name(make):
    recorder = make(max_rows=5)
    for number in range(100):
        recorder.record("task", "import", 0.1, user=f"u-{number}")

    assert recorder.performance()["total"]["count"] == 100
    assert recorder.flush() == 6


def test_names_beyond_the_limit_push_out_the_oldest(make):
    recorder = make(max_rows=5)
    for number in range(100):
        recorder.record("task", f"name-{number}", 0.1)

    assert len(recorder._tallies) <= 10


def test_a_name_is_cut(make):
    recorder = make()
    recorder.record("task", "n" * 5000, 0.1, user="u" * 5000)
    recorder.record("task", "n" * 5000, 0.1, user="u" * 5000)

    assert recorder.performance()["tasks"] == {"n" * 200: recorder.performance()["total"]}


def test_no_run_of_any_thread_is_lost(make):
    recorder = make()

    def work():
        for _ in range(2000):
            recorder.record("task", "import", 0.001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        recorder.flush()
    for thread in threads:
        thread.join()

    assert recorder.performance()["total"]["count"] == 16_000


def test_the_thread_writes_by_itself_and_ends_with_the_recorder():
    store = MemoryRollupStore()
    recorder = PerformanceRecorder(store, flush_interval=0.01)
    recorder.record("task", "import", 0.1)
    written = threading.Event()
    for _ in range(500):
        if list(store.read(0, 1e12)):
            written.set()
            break
        threading.Event().wait(0.01)
    recorder.close()

    assert written.is_set()


def test_a_recorder_nobody_holds_ends_its_thread():
    before = set(threading.enumerate())
    recorder = PerformanceRecorder(MemoryRollupStore(), flush_interval=0.01)
    recorder.record("task", "import", 0.1)
    [thread] = set(threading.enumerate()) - before
    del recorder
    thread.join(5)

    assert not thread.is_alive()


# -- care ------------------------------------------------------------------------------------


def test_old_minutes_become_hours_and_what_is_past_retention_goes(make, wall):
    store = MemoryRollupStore()
    recorder = make(store, retention_days=30)
    for days in (40, 3, 3, 0):
        wall.now = NOW - days * DAY
        recorder.record("task", "import", 0.1)
        wall.now += 61
        recorder.record("task", "import", 0.1)
    wall.now = NOW
    recorder.tick()

    rows = sorted((row.key.width, row.count) for row in store.read(0, NOW + 3600))
    assert rows == [(60, 1), (60, 1), (3600, 4)]


def test_care_comes_once_an_hour(make, wall):
    calls = []

    class Counting(MemoryRollupStore):
        def cleanup(self, before):
            calls.append(before)
            return super().cleanup(before)

    recorder = make(Counting())
    for minutes in (0, 10, 20, 61):
        wall.now = NOW + minutes * 60
        recorder.tick()

    assert len(calls) == 2


def test_cleanup_takes_days_or_the_retention(make, wall):
    recorder = make(retention_days=30)
    for days in (40, 10):
        wall.now = NOW - days * DAY
        recorder.record("task", "import", 0.1)
        recorder.flush()
    wall.now = NOW

    assert (recorder.cleanup(), recorder.cleanup(5), recorder.cleanup(0)) == (1, 1, 0)


@pytest.mark.parametrize("days", [-1, float("nan")])
def test_negative_days_are_refused(make, days):
    with pytest.raises(InvalidArgumentError, match="days is 0 or more"):
        make().cleanup(days)


@pytest.mark.parametrize("wrong", [{"flush_interval": 0}, {"max_rows": 0}, {"retention_days": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="do not hold"):
        PerformanceRecorder(MemoryRollupStore(), **wrong)


# -- with the rest ---------------------------------------------------------------------------


def test_metrics_and_rollups_agree(make):
    metrics = Metrics("test", multiprocess=False)
    recorder = make(metrics=metrics)
    for outcome, count in (("success", 7), ("error", 2), ("cancelled", 1)):
        for _ in range(count):
            recorder.record("task", "import", 0.25, outcome=outcome)

    total = recorder.performance()["total"]
    exposed = {
        outcome: metrics.value(
            "monitored_call_duration_seconds_count", {"kind": "task", "name": "import", "outcome": outcome}
        )
        for outcome in ("success", "error", "cancelled")
    }

    assert (total["count"], total["errors"]) == (sum(exposed.values()), exposed["error"])


def test_the_functions_use_the_runtime_and_its_end_writes_what_is_left():
    store = MemoryRollupStore()
    with use(Runtime("test")) as runtime:
        from shared.monitoring import RollupStore

        runtime.provide(RollupStore, lambda _: store)
        get_performance_recorder().record("task", "import", 0.1, user="u-1")
        before = (
            get_performance_metrics(24, "u-1")["total"]["count"],
            list(store.read(0, 1e12)),
            cleanup_old_metrics(1),
        )

        runtime.close()

    assert before == (1, [], 0)
    assert [row.count for row in store.read(0, 1e12)] == [1]


def test_a_forked_child_writes_its_own_runs_only():
    code, output, errors = run_code("""
        import os
        from shared.monitoring import MemoryRollupStore, PerformanceRecorder
        recorder = PerformanceRecorder(MemoryRollupStore(), flush_interval=3600)
        recorder.record("task", "import", 0.1)
        pid = os.fork()
        if pid == 0:
            recorder.record("task", "import", 0.1)
            os._exit(recorder.performance()["total"]["count"])
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), recorder.performance()["total"]["count"])
    """)

    assert (code, output) == (0, ["1", "1"]), errors
