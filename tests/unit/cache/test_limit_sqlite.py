"""Rate limits in a file: old rows, a busy file, a fork, a clock that was set back, a file of others."""

import asyncio
import os
import sqlite3

import pytest

from shared.cache import LimitTier, RateLimiter, SQLiteRateLimits, rate_limit_store
from shared.errors import InfrastructureError, InvalidArgumentError, ServiceUnavailableError

KINDS = ["sliding_window", "gcra", "sub_buckets", "fixed_window"]


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "limits.db"


@pytest.fixture
def store(path, clock):
    made = SQLiteRateLimits(path, timeout=30.0, clock=clock)
    yield made
    made.close()


def rows(path) -> int:
    file = sqlite3.connect(path)
    count = file.execute("SELECT (SELECT count(*) FROM grants) + (SELECT count(*) FROM states)").fetchone()[0]
    file.close()
    return count


def test_permits_survive_the_process(path, clock):
    for _ in range(2):
        store = SQLiteRateLimits(path, clock=clock)
        last = store.hit((LimitTier("2/minute"),), "ann")[0]
        store.close()

    assert last.remaining == 0


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_no_longer_count_are_dropped_as_requests_come(store, path, clock, kind):
    tier = LimitTier("3/minute", algorithm=kind)
    for number in range(600):
        store.hit((tier,), f"old-{number}", 2)
    clock.now += 200.0

    for _ in range(1000):
        store.hit((tier,), "new")

    assert rows(path) <= 3


def test_a_key_in_heavy_use_does_not_keep_others_from_being_dropped(store, path, clock):
    heavy, light = LimitTier("5000/minute", name="a"), LimitTier("5/minute", name="b")
    for number in range(400):
        store.hit((light,), f"old-{number}")
    clock.now += 61.0

    for _ in range(1500):
        store.hit((heavy,), "ann")

    assert rows(path) == 1500


@pytest.mark.parametrize("kind", KINDS)
def test_a_clock_set_back_by_more_than_a_period_gives_the_permits_back(store, clock, kind):
    tier = LimitTier("1/minute", algorithm=kind)
    store.hit((tier,), "ann")
    clock.now -= 7200.0

    assert store.hit((tier,), "ann")[0].allowed
    assert not store.hit((tier,), "ann")[0].allowed


def test_a_file_in_use_is_waited_for_only_so_long(path):
    store = SQLiteRateLimits(path, timeout=0.05)
    limiter = RateLimiter("api", "5/minute", store=store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(ServiceUnavailableError, match="in use for 0.05 s"):
        store.hit((LimitTier("5/minute"),), "ann")
    assert limiter.hit("ann").mode == "local"
    assert asyncio.run(limiter.ahit("ann")).mode == "local"

    other.execute("ROLLBACK")
    other.close()
    assert store.hit((LimitTier("5/minute"),), "ann")[0].allowed
    store.close()


def test_a_loop_decides_in_a_thread_when_the_file_is_not_free(path):
    store = SQLiteRateLimits(path, timeout=30.0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def ask():
        task = asyncio.create_task(store.ahit((LimitTier("5/minute"),), "ann"))
        for _ in range(20):  # the loop goes on meanwhile
            await asyncio.sleep(0)
        assert not task.done()
        other.execute("ROLLBACK")
        return await task

    assert asyncio.run(ask())[0].allowed
    other.close()
    store.close()


def test_a_forked_child_opens_the_file_anew(store):
    tier = LimitTier("3/minute")
    store.hit((tier,), "ann")

    with store._lock:  # held by another thread at the moment of the fork
        child = os.fork()
        if child == 0:
            code = 9
            try:
                code = store.hit((tier,), "ann")[0].remaining
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 1
    assert store.hit((tier,), "ann")[0].remaining == 0


def test_a_closed_store_opens_again_when_asked(store):
    store.close()

    assert store.hit((LimitTier("3/minute"),), "ann")[0].allowed


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ServiceUnavailableError, match="'limits.db' cannot be opened"):
        SQLiteRateLimits(tmp_path / "nowhere" / "limits.db")


def test_a_file_that_is_no_database_is_told(path):
    path.write_bytes(b"not a database" * 100)

    with pytest.raises(ServiceUnavailableError, match="cannot be opened: DatabaseError"):
        SQLiteRateLimits(path)


def test_a_file_that_lost_its_tables_is_told(store, path):
    other = sqlite3.connect(path)
    other.execute("DROP TABLE grants")
    other.close()

    with pytest.raises(InfrastructureError, match="cannot be used: OperationalError"):
        store.hit((LimitTier("3/minute"),), "ann")


@pytest.mark.parametrize("state", [b"x", b"\x00" * 8 * 3, b"\xff" * 16], ids=["odd", "three", "nan"])
def test_a_state_that_is_not_ours_is_taken_as_new(store, path, state):
    tier = LimitTier("3/minute", algorithm="fixed_window")
    store.hit((tier,), "ann")
    other = sqlite3.connect(path)
    other.execute("UPDATE states SET state = ?", (state,))
    other.commit()
    other.close()

    assert store.hit((tier,), "ann")[0].remaining == 2


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")], ids=str)
def test_a_wait_must_be_seconds_above_zero(path, timeout):
    with pytest.raises(InvalidArgumentError, match="timeout"):
        SQLiteRateLimits(path, timeout=timeout)


def test_a_url_names_the_file(tmp_path):
    store = rate_limit_store(f"sqlite:///{tmp_path}/my%20limits.db")

    assert (tmp_path / "my limits.db").exists()
    store.close()
