"""What every store of answered requests promises: memory, a file, Redis, SQLite and PostgreSQL tables."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import shared
from shared.api import DatabaseReplays
from shared.cache import MemoryReplays, RedisReplays, ReplayState, SQLiteReplays, StoredAnswer
from shared.database import Database, IdempotencyKey
from shared.errors import InfrastructureError

STORES = ["memory", "sqlite", "redis", "database-sqlite", "database-postgres"]
ANSWER = StoredAnswer(201, (("Content-Type", "application/json"), ("X-A", "ä")), bytes(range(256)))


@pytest.fixture(params=STORES)
def where(request, tmp_path):
    """URL of a place for answers, or None for memory."""
    if request.param == "memory":
        yield None
        return
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/replays.db"
        return
    if request.param == "redis":
        yield str(request.getfixturevalue("shared_redis"))
        return
    if request.param == "database-sqlite":
        url = f"sqlite+database:///{tmp_path}/service.db"
    else:
        url = str(request.getfixturevalue("shared_postgres")).replace("postgresql", "pg+database", 1)
    with Database(_database_url(url)) as database:
        IdempotencyKey.__table__.drop(database.engine, checkfirst=True)
        IdempotencyKey.__table__.create(database.engine)
        yield url
        IdempotencyKey.__table__.drop(database.engine, checkfirst=True)


def _database_url(url):
    return url.replace("sqlite+database", "sqlite").replace("pg+database", "postgresql")


def open_store(where):
    """Open the store at *where*; returns it and what must be closed after it."""
    if where is None:
        return MemoryReplays(), None
    if "+database" in where:
        database = Database(_database_url(where))
        return DatabaseReplays(database), database
    if where.startswith("sqlite:"):
        return SQLiteReplays(where.removeprefix("sqlite:///"), timeout=30.0), None
    return RedisReplays(where, timeout=30.0), None


@pytest.fixture
def store(where):
    made, owner = open_store(where)
    yield made
    made.close()
    if owner is not None:
        owner.close()


def test_a_key_is_started_once_and_then_answered_again(store):
    first = store.begin("s", "k", "f", lease=60.0)
    during = store.begin("s", "k", "f", lease=60.0)
    kept = store.finish("s", "k", "f", first.token, ANSWER, ttl=60.0)
    after = store.begin("s", "k", "f", lease=60.0)

    assert (first.state, during.state, kept) == (ReplayState.STARTED, ReplayState.BUSY, True)
    assert 0 < during.retry_after <= 60.0
    assert (after.state, after.answer) == (ReplayState.DONE, ANSWER)


def test_another_request_under_the_key_is_told_apart_before_and_after(store):
    first = store.begin("s", "k", "f", lease=60.0)
    during = store.begin("s", "k", "g", lease=60.0)
    store.finish("s", "k", "f", first.token, ANSWER, ttl=60.0)
    after = store.begin("s", "k", "g", lease=60.0)

    assert (during.state, after.state) == (ReplayState.OTHER, ReplayState.OTHER)
    assert after.answer is None


def test_scopes_and_keys_are_kept_apart(store):
    states = [
        store.begin(scope, key, "f", lease=60.0).state for scope, key in [("s", "k"), ("s", "l"), ("t", "k")]
    ]

    assert states == [ReplayState.STARTED] * 3


def test_an_answer_that_is_not_kept_is_known_to_have_been_given(store):
    first = store.begin("s", "k", "f", lease=60.0)
    store.finish("s", "k", "f", first.token, None, ttl=60.0)

    claim = store.begin("s", "k", "f", lease=60.0)

    assert (claim.state, claim.answer) == (ReplayState.DONE, None)


def test_a_key_that_was_given_back_is_free(store):
    first = store.begin("s", "k", "f", lease=60.0)
    store.abandon("s", "k", first.token)

    assert store.begin("s", "k", "g", lease=60.0).state is ReplayState.STARTED


def test_who_lost_the_lease_changes_nothing(store):
    slow = store.begin("s", "k", "f", lease=0.01)
    second = _begin_when_free(store)

    late = store.finish("s", "k", "f", slow.token, StoredAnswer(500), ttl=60.0)
    store.abandon("s", "k", slow.token)
    kept = store.finish("s", "k", "f", second.token, ANSWER, ttl=60.0)

    assert (late, kept) == (False, True)
    assert store.begin("s", "k", "f", lease=60.0).answer == ANSWER


def test_who_is_late_but_alone_keeps_its_answer(store):
    slow = store.begin("s", "k", "f", lease=0.01)
    time.sleep(0.05)

    assert store.finish("s", "k", "f", slow.token, ANSWER, ttl=60.0)
    assert store.begin("s", "k", "f", lease=60.0).answer == ANSWER


def test_an_answer_is_kept_once(store):
    first = store.begin("s", "k", "f", lease=60.0)

    kept = [
        store.finish("s", "k", "f", first.token, answer, ttl=60.0) for answer in (ANSWER, StoredAnswer(204))
    ]

    assert kept == [True, False]
    assert store.begin("s", "k", "f", lease=60.0).answer == ANSWER


def test_an_answer_is_forgotten_when_its_time_is_up(store):
    first = store.begin("s", "k", "f", lease=60.0)
    store.finish("s", "k", "f", first.token, ANSWER, ttl=0.01)

    assert _begin_when_free(store).state is ReplayState.STARTED


def test_one_of_a_hundred_threads_starts(store):
    claims, ready = [], threading.Barrier(20)

    def come():
        ready.wait(30)
        claims.extend(store.begin("s", "k", "f", lease=60.0).state for _ in range(5))

    threads = [threading.Thread(target=come) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(claims) == 100
    assert claims.count(ReplayState.STARTED) == 1


def test_one_of_a_hundred_tasks_starts_and_the_others_are_answered(store):
    async def come():
        claim = await store.abegin("s", "k", "f", lease=60.0)
        if claim.state is ReplayState.STARTED:
            assert await store.afinish("s", "k", "f", claim.token, ANSWER, ttl=60.0)
        return claim.state

    async def all_at_once():
        try:
            other = await store.abegin("s", "other", "f", lease=60.0)
            await store.aabandon("s", "other", other.token)
            states = await asyncio.gather(*(come() for _ in range(100)))
            return states, (await store.abegin("s", "k", "f", lease=60.0)).answer
        finally:
            await store.aclose()

    states, answer = asyncio.run(all_at_once())

    assert states.count(ReplayState.STARTED) == 1
    assert answer == ANSWER


@pytest.mark.parametrize("text", ["", "x" * 200, "ä", "a'b\"c;--", "{}"])
def test_any_scope_is_kept(store, text):
    claim = store.begin(text, "k", "f", lease=60.0)

    assert store.finish(text, "k", "f", claim.token, ANSWER, ttl=60.0)
    assert store.begin(text, "k", "f", lease=60.0).answer == ANSWER


DYING = """
import sys, time
sys.path.insert(0, sys.argv[2])
from tests.conformance.api.test_replays import open_store
store, _ = open_store(sys.argv[1])
print(store.begin("s", "k", "f", lease=1.0).state, flush=True)
time.sleep(60)
"""


def test_a_worker_that_dies_leaves_its_key_to_the_next(where):
    if where is None:
        return  # memory dies with its process
    root = Path(__file__).parents[3]
    env = os.environ | {"PYTHONPATH": str(Path(shared.__file__).parents[1])}
    command = [sys.executable, "-c", DYING, where, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=root) as worker:
        assert worker.stdout.readline() == "started\n"
        worker.kill()
    store, owner = open_store(where)

    claim = _begin_when_free(store)

    assert claim.state is ReplayState.STARTED
    assert store.finish("s", "k", "f", claim.token, ANSWER, ttl=60.0)
    store.close()
    if owner is not None:
        owner.close()


def _begin_when_free(store):
    end = time.monotonic() + 30
    while (claim := store.begin("s", "k", "f", lease=60.0)).state is not ReplayState.STARTED:
        assert time.monotonic() < end, f"the key is still {claim.state}"
        time.sleep(0.02)
    return claim


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[1]", '[200, [["a"]], ""]', '["x", [], ""]', '[200, [], "?"]', None]
)
def test_an_answer_that_cannot_be_read_is_an_error_of_ours(text):
    with pytest.raises(InfrastructureError):
        StoredAnswer.load(text)
