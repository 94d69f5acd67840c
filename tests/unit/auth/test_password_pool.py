"""The threads for hashing: few, bounded, gone after close and after a fork."""

import asyncio
import threading

import pytest

from shared.auth import HashingPool
from shared.errors import InvalidArgumentError, ServiceUnavailableError


@pytest.fixture
def pool():
    made = HashingPool(threads=1, max_waiting=1)
    yield made
    made.close()


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(pool):
    go = threading.Event()
    running = [asyncio.create_task(pool.run(lambda: go.wait(30))) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(ServiceUnavailableError) as caught:
        await pool.run(lambda: None)

    go.set()
    assert await asyncio.gather(*running) == [True, True]
    assert caught.value.headers == {"Retry-After": "1"}


async def test_a_call_that_is_over_makes_room_for_the_next(pool):
    answers = [await pool.run(lambda: 42) for _ in range(5)]

    assert answers == [42] * 5
    assert pool.held == 0


async def test_what_the_work_raises_reaches_the_caller_and_makes_room(pool):
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    assert await pool.run(lambda: 1) == 1


async def test_a_caller_that_gives_up_while_waiting_makes_room(pool):
    go = threading.Event()
    first = asyncio.create_task(pool.run(lambda: go.wait(30)))
    second = asyncio.create_task(pool.run(lambda: 2))
    await asyncio.sleep(0)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second

    third = asyncio.create_task(pool.run(lambda: 3))
    await asyncio.sleep(0)
    go.set()
    assert await third == 3
    await first


async def test_a_closed_pool_starts_anew_when_it_is_used(pool):
    await pool.run(lambda: 1)
    pool.close()
    pool.close()

    assert await pool.run(lambda: 2) == 2


async def test_a_forked_child_has_threads_of_its_own(pool):
    await pool.run(lambda: 1)
    before = pool._executor

    pool.after_fork()

    assert (pool.held, pool._executor) == (0, None)
    before.shutdown()
    assert await pool.run(lambda: 2) == 2


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"max_waiting": 0}])
def test_a_pool_without_threads_or_queue_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        HashingPool(**wrong)


@pytest.mark.parametrize(("cores", "threads"), [(None, 1), (1, 1), (2, 1), (4, 3), (64, 4)])
def test_a_core_is_left_to_the_event_loop(monkeypatch, cores, threads):
    monkeypatch.setattr("os.cpu_count", lambda: cores)

    assert HashingPool().threads == threads
