"""Every store of locks: one holder at a time, whatever happens to him."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cache import AsyncLock, Lock, MemoryLocks, RedisLocks, SQLiteLocks, lock_store
from shared.database import Base, Database, SQLLocks, tables_of
from shared.errors import (
    ConfigurationError,
    InvalidArgumentError,
    LockLostError,
    LockTimeoutError,
    ServiceUnavailableError,
)
from shared.testing import RedisServer
from tests.conformance.cache._face import Hand

WAIT = 60.0  # seconds; a bound, never slept through
LONG = 600.0


@pytest.fixture(params=["memory", "sqlite", "redis", "database on SQLite", "database on PostgreSQL"])
def locks(request, tmp_path):
    """A store of each kind."""
    with contextlib.ExitStack() as stack:
        if request.param.startswith("database"):
            url = f"sqlite:///{tmp_path}/app.db"
            if request.param.endswith("PostgreSQL"):
                url = request.getfixturevalue("shared_postgres_database")()
            database = stack.enter_context(Database(url))
            Base.metadata.create_all(database.engine, tables=tables_of("database"))
            yield SQLLocks(database)
        else:
            urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/locks.db"}
            url = urls.get(request.param) or str.__str__(request.getfixturevalue("shared_redis"))
            yield stack.enter_context(contextlib.closing(lock_store(url)))


@pytest.fixture
async def alocks(locks):
    """The same, for a test with an event loop, whose connections end with it."""
    yield locks
    await locks.aclose()
    if isinstance(locks, SQLLocks):
        await locks._database.aio.dispose()


def test_a_lock_has_one_holder(locks):
    first = locks.take("a", "me", LONG)

    assert first > 0
    assert locks.take("a", "you", LONG) is None
    assert locks.take("b", "you", LONG) is not None
    assert locks.give_back("a", "you") is False
    assert locks.give_back("a", "me") is True
    assert locks.give_back("a", "me") is False


def test_tokens_only_rise(locks):
    tokens = []
    for number in range(20):
        tokens.append(locks.take("a", f"owner-{number}", LONG))
        locks.give_back("a", f"owner-{number}")

    assert tokens == sorted(set(tokens))


def test_tokens_go_on_rising_after_redis_has_forgotten_everything(shared_redis, shared_redis_client):
    locks = RedisLocks(shared_redis)
    before = locks.take("a", "me", LONG)
    shared_redis_client.flushdb()

    after = locks.take("a", "you", LONG)

    locks.close()
    assert after > before


def test_a_lock_that_was_not_renewed_is_free(locks):
    first = locks.take("a", "me", 0.05)

    with Lock("a", store=locks, timeout=WAIT) as lease:
        assert lease.token > first
    assert locks.renew("a", "me", LONG) is False


def test_only_its_holder_renews_it(locks):
    locks.take("a", "me", LONG)

    assert (locks.renew("a", "me", LONG), locks.renew("a", "you", LONG)) == (True, False)
    assert locks.renew("nobody's", "me", LONG) is False


def test_who_came_first_is_served_first(locks):
    locks.take("a", "holder", LONG)
    assert [locks.take("a", owner, LONG, LONG) for owner in ("first", "second")] == [None, None]
    locks.give_back("a", "holder")

    assert locks.take("a", "second", LONG, LONG) is None
    assert locks.take("a", "a passer-by", LONG) is None
    assert locks.take("a", "first", LONG, LONG) is not None


def test_who_stops_asking_loses_his_place(locks):
    locks.take("a", "holder", LONG)
    locks.take("a", "first", LONG, 0.05)
    locks.give_back("a", "holder")

    with Lock("a", store=locks, timeout=WAIT) as lease:
        assert not lease.lost


def test_who_leaves_the_line_is_not_waited_for(locks):
    locks.take("a", "holder", LONG)
    locks.take("a", "first", LONG, LONG)
    locks.give_back("a", "first")
    locks.give_back("a", "holder")

    assert locks.take("a", "second", LONG) is not None


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=100)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=NAMES, other=NAMES)
def test_two_names_are_two_locks(locks, one, other):
    locks.take(one, "me", LONG)

    got = locks.take(other, "you", LONG)

    locks.give_back(one, "me")
    locks.give_back(other, "you")
    assert (got is None) == (one == other)


@pytest.mark.parametrize(
    "name",
    ["", 7, "x" * 513, "\ud800", "a\0b", None],
    ids=["empty", "number", "long", "surrogate", "nul", "none"],
)
def test_an_unusable_name_is_refused(name):
    with pytest.raises(InvalidArgumentError, match="name of a lock"):
        Lock(name, store=MemoryLocks())


@pytest.mark.parametrize(
    "options", [{"ttl": 0}, {"ttl": float("inf")}, {"timeout": -1}, {"timeout": float("nan")}]
)
@pytest.mark.parametrize("kind", [Lock, AsyncLock])
def test_an_unusable_number_is_refused(kind, options):
    with pytest.raises(InvalidArgumentError):
        kind("a", store=MemoryLocks(), **options)


def test_an_unknown_store_is_refused_without_its_password():
    with pytest.raises(ConfigurationError) as caught:
        lock_store("mysql://app:hunter2@db/x")

    assert "hunter2" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(ServiceUnavailableError, match="cannot be used"):
        SQLiteLocks(tmp_path / "nowhere" / "locks.db")


def test_a_lock_that_is_held_is_waited_for_and_then_refused(locks):
    lock = Lock("a", store=locks, timeout=0.05)
    with lock:
        assert lock.try_acquire() is None
        with pytest.raises(LockTimeoutError, match=r"'a' was not free within 0\.05 s"):
            lock.acquire()

    assert lock.try_acquire() is not None


async def test_the_asynchronous_lock_does_the_same(alocks):
    lock = AsyncLock("a", store=alocks, timeout=0.05)
    async with lock as lease:
        assert (await lock.try_acquire(), lease.lost) == (None, False)
        with pytest.raises(LockTimeoutError):
            await lock.acquire()

    lease = await lock.try_acquire()
    assert (await lock.release(lease), await lock.release(lease)) == (True, False)


def test_threads_never_overlap(locks):
    lock = Lock("a", store=locks, timeout=WAIT)
    inside, most, tokens = [0], [0], []

    def work(_):
        for _ in range(3):
            with lock as lease:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                tokens.append(lease.token)
                time.sleep(0.001)
                inside[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert (most[0], len(tokens), tokens) == (1, 24, sorted(set(tokens)))


async def test_tasks_never_overlap(alocks):
    lock = AsyncLock("a", store=alocks, timeout=WAIT)
    inside, most = 0, 0

    async def work():
        nonlocal inside, most
        for _ in range(3):
            async with lock:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

    await asyncio.gather(*(work() for _ in range(8)))

    assert most == 1


async def test_a_cancelled_waiter_leaves_nothing_behind(alocks):
    lock = AsyncLock("a", store=alocks, timeout=WAIT)
    lease = await lock.acquire()
    waiter = asyncio.create_task(lock.acquire())
    await asyncio.sleep(0.02)
    waiter.cancel()
    await asyncio.wait([waiter])
    await lock.release(lease)

    assert await lock.try_acquire() is not None


# -- holders who die, stop, and lose ----------------------------------------------------------


def _work_in_process(url, path, rounds):
    store = lock_store(url)
    lock = Lock("a", store=store, timeout=WAIT)
    for _ in range(rounds):
        with lock as lease:
            # The protected thing: a file that is read, and written some time later.
            number = int(open(path).read())
            time.sleep(0.002)
            with open(path, "w") as file:
                file.write(str(number + 1))
            lease.check()
    store.close()


def _hold_for_ever(url, held, ttl):
    Lock("a", store=lock_store(url), ttl=ttl).acquire()
    held.set()
    time.sleep(600)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_eight_processes_never_overlap_also_when_a_holder_is_killed(kind, request, tmp_path):
    url = (
        f"sqlite:///{tmp_path}/locks.db"
        if kind == "sqlite"
        else str.__str__(request.getfixturevalue("shared_redis"))
    )
    path = tmp_path / "number"
    path.write_text("0")
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    doomed = context.Process(target=_hold_for_ever, args=(url, held, 2.0))
    doomed.start()
    assert held.wait(WAIT)
    workers = [context.Process(target=_work_in_process, args=(url, str(path), 3)) for _ in range(8)]
    for worker in workers:
        worker.start()
    os.kill(doomed.pid, signal.SIGKILL)
    for child in [doomed, *workers]:
        child.join(WAIT)

    assert ([worker.exitcode for worker in workers], path.read_text()) == ([0] * 8, "24")


def test_a_paused_holder_is_refused_by_his_token(locks):
    clock = Hand()
    highest = [0]

    def write(token):
        if token < highest[0]:
            raise LockLostError("an older token")
        highest[0] = token

    paused = Lock("a", store=locks, ttl=0.05, renew=False, clock=clock).acquire()  # his clock stands still
    with Lock("a", store=locks, timeout=WAIT) as lease:
        write(lease.token)

    assert not paused.lost  # he cannot know
    with pytest.raises(LockLostError):
        write(paused.token)


def test_a_lock_is_renewed_while_it_is_held(locks):
    with Lock("a", store=locks, ttl=0.6) as lease:
        first = lease.expires
        give_up = time.monotonic() + WAIT
        while lease.expires == first and time.monotonic() < give_up:
            time.sleep(0.01)

        assert lease.expires > first
        assert not lease.lost


def test_a_lock_that_its_store_forgot_is_lost(shared_redis, shared_redis_client):
    store = RedisLocks(shared_redis)
    with Lock("a", store=store, ttl=0.6) as lease:
        shared_redis_client.flushdb()

        assert lease.ended.wait(WAIT)
        with pytest.raises(LockLostError, match="'a' was lost"):
            lease.check()
    store.close()


async def test_a_body_that_has_lost_its_lock_is_stopped(shared_redis, shared_redis_client):
    store = RedisLocks(shared_redis)
    with pytest.raises(LockLostError, match="while it was needed"):
        async with AsyncLock("a", store=store, ttl=0.3):
            shared_redis_client.flushdb()
            await asyncio.sleep(WAIT)
    assert asyncio.current_task().cancelling() == 0
    await store.aclose()


async def test_a_cancelled_body_stays_cancelled(alocks):
    begun = asyncio.Event()

    async def work():
        async with AsyncLock("a", store=alocks):
            begun.set()
            await asyncio.sleep(WAIT)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert await alocks.atake("a", "next", LONG) is not None


def test_a_lock_without_renewal_ends_with_its_time():
    clock = Hand()
    store = MemoryLocks(clock=clock)
    with Lock("a", store=store, ttl=10.0, renew=False, clock=clock) as lease:
        seen = [lease.lost, lease.remaining]
        clock.wait(10.0)

        assert [*seen, lease.lost, lease.remaining] == [False, 10.0, True, 0.0]


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_does_not_hold_its_parents_lock(locks):
    with Lock("a", store=locks, ttl=LONG) as lease:
        pid = os.fork()
        if pid == 0:
            try:
                free = locks.take("b", "child", LONG) is not None
                os._exit(0 if lease.lost and free else 1)
            except BaseException:
                os._exit(2)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        assert (code, lease.lost) == (0, False)


def test_a_store_that_does_not_answer_is_an_error_and_no_lock(tmp_path):
    with RedisServer() as server:
        store = RedisLocks(server.url, timeout=0.5)
        lock = Lock("a", store=store)
        lease = lock.acquire()
        server.kill()

        with pytest.raises(ServiceUnavailableError):
            lock.try_acquire()
        assert lock.release(lease) is False
        store.close()


async def test_the_asynchronous_face_says_so_too():
    with RedisServer() as server:
        store = RedisLocks(server.url, timeout=0.5)
        lock = AsyncLock("a", store=store)
        lease = await lock.acquire()
        server.kill()

        with pytest.raises(ServiceUnavailableError):
            await lock.try_acquire()
        assert await lock.release(lease) is False
        await store.aclose()


def test_one_lock_object_serves_several_threads(locks):
    lock = Lock("a", store=locks, timeout=WAIT)
    begun = threading.Event()

    def other():
        begun.set()
        with lock:
            return True

    with ThreadPoolExecutor(1) as pool:
        with lock:
            found = pool.submit(other)
            begun.wait(WAIT)
        assert found.result(WAIT)


def test_the_line_and_the_lock_of_redis_share_a_slot_and_do_not_stay_for_ever(
    shared_redis, shared_redis_client
):
    store = RedisLocks(shared_redis)
    store.take("a{b}c", "me", 1.0)
    store.take("a{b}c", "you", 1.0, 1.0)

    keys = [key.decode() for key in shared_redis_client.keys("*lock*")]

    assert len({key.partition("{")[2].partition("}")[0] for key in keys}) == 1
    assert all(shared_redis_client.pttl(key) > 0 for key in keys)
    store.close()
