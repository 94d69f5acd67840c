"""Stores of answered requests: bounds, busy and broken files, forks, addresses."""

import os
import sqlite3

import pytest

from shared.cache import (
    MemoryReplays,
    RedisReplays,
    ReplayState,
    SQLiteReplays,
    StoredAnswer,
    replay_store,
)
from shared.errors import (
    ConfigurationError,
    InfrastructureError,
    InvalidArgumentError,
    ServiceUnavailableError,
)

ANSWER = StoredAnswer(201)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "replays.db"


@pytest.fixture
def file_store(path, clock):
    made = SQLiteReplays(path, clock=clock)
    yield made
    made.close()


def carry_out(store, key, *, ttl=3600.0):
    claim = store.begin("s", key, "f", lease=60.0)
    assert store.finish("s", key, "f", claim.token, ANSWER, ttl=ttl)


# --- memory ---------------------------------------------------------------------------


def test_memory_drops_what_ended_as_others_come(clock):
    store = MemoryReplays(clock=clock)
    for number in range(100):
        carry_out(store, f"old-{number}")
    clock.now += 3601.0

    for number in range(60):
        carry_out(store, f"new-{number}")

    assert len(store) == 60


def test_memory_is_bounded_by_forgetting_the_oldest_answer(clock):
    store = MemoryReplays(max_keys=3, clock=clock)
    for key in "abcd":
        carry_out(store, key)

    states = {key: store.begin("s", key, "f", lease=60.0).state for key in "dcb"}

    assert len(store) == 3
    assert set(states.values()) == {ReplayState.DONE}


def test_memory_refuses_new_keys_rather_than_forget_one_under_way(clock):
    store = MemoryReplays(max_keys=2, clock=clock)
    claims = [store.begin("s", key, "f", lease=60.0) for key in "ab"]

    with pytest.raises(ServiceUnavailableError, match="2 requests"):
        store.begin("s", "c", "f", lease=60.0)

    store.abandon("s", "a", claims[0].token)
    assert store.begin("s", "c", "f", lease=60.0).state is ReplayState.STARTED


def test_memory_keeps_at_least_one_key():
    with pytest.raises(InvalidArgumentError, match="max_keys"):
        MemoryReplays(max_keys=0)


def test_a_forked_child_goes_on_with_a_copy_although_the_lock_was_held(clock):
    store = MemoryReplays(clock=clock)
    carry_out(store, "k")

    with store._lock:
        child = os.fork()
        if child == 0:
            code = 9
            try:
                code = 0 if store.begin("s", "k", "f", lease=60.0).state is ReplayState.DONE else 1
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


# --- a file -----------------------------------------------------------------------------


def test_answers_survive_the_process(path, clock):
    first = SQLiteReplays(path, clock=clock)
    carry_out(first, "k")
    first.close()

    second = SQLiteReplays(path, clock=clock)

    assert second.begin("s", "k", "f", lease=60.0).answer == ANSWER
    second.close()


def test_rows_that_ended_are_dropped_as_others_come(file_store, path, clock):
    for number in range(40):
        carry_out(file_store, f"old-{number}")
    clock.now += 3601.0

    for number in range(20):
        carry_out(file_store, f"new-{number}")

    file = sqlite3.connect(path)
    assert file.execute("SELECT count(*) FROM replays").fetchone() == (20,)
    file.close()


def test_a_file_in_use_is_waited_for_only_so_long(path):
    store = SQLiteReplays(path, timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(ServiceUnavailableError, match=r"in use for 0\.05 s"):
        store.begin("s", "k", "f", lease=60.0)

    other.execute("ROLLBACK")
    other.close()
    carry_out(store, "k")
    store.close()


def test_a_file_that_lost_its_table_is_told(file_store, path):
    other = sqlite3.connect(path)
    other.execute("DROP TABLE replays")
    other.close()

    with pytest.raises(InfrastructureError, match="cannot be used: OperationalError"):
        file_store.begin("s", "k", "f", lease=60.0)


def test_a_file_that_is_no_database_is_told(path):
    path.write_bytes(b"not a database" * 100)

    with pytest.raises(ServiceUnavailableError, match="cannot be opened: DatabaseError"):
        SQLiteReplays(path)


def test_a_closed_store_opens_again_when_asked(file_store):
    file_store.close()

    carry_out(file_store, "k")


def test_a_forked_child_opens_the_file_anew(file_store):
    carry_out(file_store, "k")

    with file_store._lock:
        child = os.fork()
        if child == 0:
            code = 9
            try:
                code = 0 if file_store.begin("s", "k", "f", lease=60.0).state is ReplayState.DONE else 1
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    carry_out(file_store, "other")


# --- by address ----------------------------------------------------------------------------


def test_a_url_names_the_store(tmp_path):
    stores = [
        replay_store(url)
        for url in ("memory://", f"sqlite:///{tmp_path}/my%20keys.db", "redis://:secret@h/0")
    ]

    assert [type(store) for store in stores] == [MemoryReplays, SQLiteReplays, RedisReplays]
    assert [store.shown for store in stores] == ["memory", "sqlite my keys.db", "redis://:***@h/0"]
    assert (tmp_path / "my keys.db").exists()
    for store in stores:
        store.close()


@pytest.mark.parametrize("url", ["", "memory:", "sqlite://", "sqlite:///", "mysql://u:hunter2@h/d"])
def test_a_url_that_names_no_store_is_refused_without_its_password(url):
    with pytest.raises(ConfigurationError, match="not a store of answered requests") as caught:
        replay_store(url)

    assert "hunter2" not in str(caught.value)
