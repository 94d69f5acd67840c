"""Many callers, one load: tasks, threads, processes; cancelled, killed and slow ones."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.cache import AsyncCache, Cache

CALLERS = 200
WAIT = 30.0  # seconds; a bound, never slept through


@pytest.fixture
def cache(cache_url):
    with Cache(cache_url, timeout=10.0, subscribe=False) as made:
        yield made


def test_two_hundred_threads_that_miss_load_once(cache):
    loads, gate = [], threading.Barrier(CALLERS)

    def load():
        loads.append(1)
        time.sleep(0.05)  # the supplier is slow
        return {"stock": 3}

    def ask(_):
        gate.wait(WAIT)
        return cache.get_or_load("product", load)

    with ThreadPoolExecutor(CALLERS) as pool:
        found = list(pool.map(ask, range(CALLERS)))

    assert (len(loads), found) == (1, [{"stock": 3}] * CALLERS)
    assert len({id(value) for value in found}) == CALLERS


async def test_two_hundred_tasks_that_miss_load_once(cache_url):
    loads = []

    async def load():
        loads.append(1)
        await asyncio.sleep(0.05)
        return {"stock": 3}

    async with AsyncCache(cache_url, timeout=10.0, subscribe=False) as cache:
        found = await asyncio.gather(*(cache.get_or_load("product", load) for _ in range(CALLERS)))

        assert (len(loads), found) == (1, [{"stock": 3}] * CALLERS)
        assert cache.stats().loads_prevented == CALLERS - 1


def test_a_loader_that_asks_for_what_it_loads_does_not_wait_for_itself(cache):
    assert cache.get_or_load("a", lambda: [cache.get_or_load("a", lambda: 2), 1]) == [2, 1]


async def test_a_coroutine_that_asks_for_what_it_loads_does_not_wait_for_itself(cache):
    async def outer():
        return [await cache.aio.get_or_load("a", lambda: 2), 1]

    assert await cache.aio.get_or_load("a", outer) == [2, 1]
    await cache.aio.close()


async def test_tasks_and_threads_share_one_load(cache):
    loads, begun, go_on = [], threading.Event(), threading.Event()

    def load():
        loads.append(1)
        begun.set()
        go_on.wait(WAIT)
        return 5

    thread = asyncio.create_task(asyncio.to_thread(cache.get_or_load, "a", load))
    await asyncio.to_thread(begun.wait, WAIT)
    task = asyncio.create_task(cache.aio.get_or_load("a", load))
    await asyncio.sleep(0)
    go_on.set()

    assert (await thread, await task, len(loads)) == (5, 5, 1)
    await cache.aio.close()


async def test_a_cancelled_loader_leaves_the_work_to_one_who_waits(cache_url):
    loads, first = [], asyncio.Event()

    async def load():
        loads.append(1)
        if len(loads) == 1:
            first.set()
            await asyncio.Event().wait()
        return 5

    async with AsyncCache(cache_url, timeout=10.0, subscribe=False) as cache:
        leader = asyncio.create_task(cache.get_or_load("a", load))
        await first.wait()
        others = [asyncio.create_task(cache.get_or_load("a", load)) for _ in range(5)]
        await asyncio.sleep(0)
        leader.cancel()

        async with asyncio.timeout(WAIT):
            assert await asyncio.gather(*others) == [5] * 5
        assert (leader.cancelled() or leader.cancelling(), len(loads)) == (True, 2)


async def test_a_cancelled_follower_disturbs_nobody(cache_url):
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def load():
        begun.set()
        await go_on.wait()
        return 5

    async with AsyncCache(cache_url, timeout=10.0, subscribe=False) as cache:
        leader = asyncio.create_task(cache.get_or_load("a", load))
        await begun.wait()
        follower = asyncio.create_task(cache.get_or_load("a", load))
        await asyncio.sleep(0)
        follower.cancel()
        await asyncio.wait([follower])
        go_on.set()

        assert (await leader, follower.cancelled()) == (5, True)


def test_followers_are_given_the_exception_of_the_load(cache):
    begun, go_on = threading.Event(), threading.Event()

    def load():
        begun.set()
        go_on.wait(WAIT)
        raise LookupError("gone")

    def ask(loader):
        try:
            return cache.get_or_load("a", loader)
        except LookupError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(ask, load)
        begun.wait(WAIT)
        follower = pool.submit(ask, lambda: "loaded by the follower")
        while not cache.stats().loads_prevented and not follower.done() and not _waits(cache):
            time.sleep(0.001)
        go_on.set()

        assert (leader.result(WAIT), follower.result(WAIT)) in {
            ("gone", "gone"),
            ("gone", "loaded by the follower"),  # it came after the first had ended
        }


def _waits(cache):
    flights = list(cache.core.flights._flights.values())
    return any(flight.future._condition._waiters for flight in flights)


def test_who_asks_after_an_invalidation_does_not_join_an_older_load(cache):
    begun, go_on = threading.Event(), threading.Event()

    def old():
        begun.set()
        go_on.wait(WAIT)
        return "old"

    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(cache.get_or_load, "a", old)
        begun.wait(WAIT)
        cache.delete("a")

        assert cache.get_or_load("a", lambda: "new") == "new"

        go_on.set()
        assert leader.result(WAIT) == "old"
    assert cache.get("a") == "new"


# -- several processes -----------------------------------------------------------------------


def _ask_in_process(url, gate, loads, answers):
    def load():
        with loads.get_lock():
            loads.value += 1
        time.sleep(0.3)
        return {"stock": 3}

    with Cache(url, timeout=10.0, subscribe=False) as cache:
        gate.wait(WAIT)
        with ThreadPoolExecutor(20) as pool:
            found = list(pool.map(lambda _: cache.get_or_load("product", load), range(20)))
        answers.put(found)


def test_two_processes_that_miss_load_once(shared_redis):
    context = multiprocessing.get_context("spawn")
    gate, loads, answers = context.Barrier(2), context.Value("i", 0), context.Queue()
    arguments = (str(shared_redis), gate, loads, answers)
    children = [context.Process(target=_ask_in_process, args=arguments) for _ in range(2)]

    for child in children:
        child.start()
    found = [answers.get(timeout=60) for _ in children]
    for child in children:
        child.join(WAIT)

    assert (loads.value, found) == (1, [[{"stock": 3}] * 20] * 2)


def _load_and_die(url, began):
    def load():
        began.set()
        time.sleep(60)

    Cache(url, timeout=10.0, subscribe=False).get_or_load("product", load)


def test_a_killed_loader_keeps_nobody_waiting_beyond_the_bound(shared_redis):
    context = multiprocessing.get_context("spawn")
    began = context.Event()
    child = context.Process(target=_load_and_die, args=(str(shared_redis), began))
    child.start()
    assert began.wait(60)
    os.kill(child.pid, signal.SIGKILL)
    child.join(WAIT)

    with Cache(shared_redis, timeout=10.0, wait=0.5, lease=600.0, subscribe=False) as cache:
        assert cache.get_or_load("product", lambda: 5) == 5
        assert cache.stats().loads == 1


def test_a_loader_whose_lease_was_taken_over_does_not_overwrite(shared_redis):
    with (
        Cache(shared_redis, timeout=10.0, subscribe=False) as slow,
        Cache(shared_redis, timeout=10.0, wait=0.05, subscribe=False) as impatient,
    ):

        def load():
            impatient.get_or_load("a", lambda: "of the impatient")
            return "of the slow"

        slow.get_or_load("a", load)

        slow.core.memory.clear()
        assert slow.get("a") == "of the impatient"


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_uses_the_cache_while_a_thread_of_the_parent_loads(cache):
    begun, go_on = threading.Event(), threading.Event()

    def load():
        begun.set()
        go_on.wait(WAIT)
        return 1

    thread = threading.Thread(target=cache.get_or_load, args=("a", load))
    thread.start()
    begun.wait(WAIT)
    cache.core.memory._lock.acquire()  # as if another thread held it at the fork
    pid = os.fork()
    if pid == 0:
        try:
            cache.set("b", 2)
            os._exit(0 if cache.get("b") == 2 else 1)
        except BaseException:
            os._exit(2)
    cache.core.memory._lock.release()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    go_on.set()
    thread.join(WAIT)

    assert code == 0
