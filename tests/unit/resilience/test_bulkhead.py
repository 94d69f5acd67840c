"""Bulkheads: at most so many at once, first come first served, no place lost."""

import asyncio
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BulkheadFullError, DeadlineExceededError, InvalidArgumentError
from shared.resilience import AIMDLimit, Bulkhead, BulkheadRejected, CircuitBreaker, Deadline, bulkhead, retry
from shared.resilience.testing import FakeClock
from shared.runtime import Events


def fill(place, count):
    for _ in range(count):
        place.acquire()
    return place


def test_at_most_so_many_threads_run_at_once():
    place = Bulkhead(3, max_queue=20, max_wait=30.0)
    lock, now, most = threading.Lock(), [0], [0]

    @place
    def work():
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.002)
        with lock:
            now[0] -= 1

    threads = [threading.Thread(target=lambda: [work() for _ in range(5)]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert most[0] <= 3
    assert (place.in_flight, place.waiting) == (0, 0)


async def test_at_most_so_many_tasks_run_at_once():
    place = Bulkhead(3, max_queue=50, max_wait=30.0)
    now, most = 0, 0

    @place
    async def work():
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1

    await asyncio.gather(*(work() for _ in range(40)))

    assert most == 3
    assert (place.in_flight, place.waiting) == (0, 0)


async def test_threads_and_tasks_are_counted_together():
    place = fill(Bulkhead(1), 1)

    with pytest.raises(BulkheadFullError):
        await place.acall(asyncio.sleep, 0)
    place.release()

    async with place:
        with pytest.raises(BulkheadFullError):
            await asyncio.to_thread(place.call, int)


def test_a_full_bulkhead_refuses_at_once_and_says_how_full():
    place = fill(Bulkhead(2, name="reports"), 2)

    with pytest.raises(
        BulkheadFullError, match="'reports' is full: 2 of 2 calls are under way, 0 of 0 wait"
    ) as caught:
        place.call(int)

    assert caught.value.details["bulkhead"] == "reports"
    assert caught.value.status == 503
    assert place.rejected == 1


def test_a_full_queue_refuses_at_once():
    place = fill(Bulkhead(1, max_queue=1, max_wait=30.0), 1)
    waiting = threading.Thread(target=lambda: place.call(int))
    waiting.start()
    while not place.waiting:
        pass

    with pytest.raises(BulkheadFullError, match="1 of 1 wait"):
        place.acquire()
    place.release()
    waiting.join(30)

    assert place.in_flight == 0


async def test_the_line_is_first_come_first_served():
    place = fill(Bulkhead(1, max_queue=5, max_wait=30.0), 1)
    order = []

    async def work(number):
        async with place:
            order.append(number)

    tasks = []
    for number in range(5):
        tasks.append(asyncio.create_task(work(number)))
        await asyncio.sleep(0)
    place.release()
    await asyncio.gather(*tasks)

    assert order == [0, 1, 2, 3, 4]


def test_a_wait_in_vain_ends_in_a_refusal():
    place = fill(Bulkhead(1, max_queue=1, max_wait=0.005), 1)

    with pytest.raises(BulkheadFullError):
        place.acquire()

    assert (place.in_flight, place.waiting, place.rejected) == (1, 0, 1)


async def test_an_async_wait_in_vain_ends_in_a_refusal():
    place = fill(Bulkhead(1, max_queue=1, max_wait=0.005), 1)

    with pytest.raises(BulkheadFullError):
        await place.aacquire()

    assert (place.in_flight, place.waiting) == (1, 0)


async def test_a_nearer_deadline_shortens_the_wait():
    place = fill(Bulkhead(1, max_queue=1, max_wait=600.0), 1)

    with Deadline.after(0.005).scope(), pytest.raises(BulkheadFullError):
        await place.aacquire()
    with Deadline.after(0.005).scope(), pytest.raises(BulkheadFullError):
        place.acquire()


async def test_a_cancelled_wait_leaves_the_line():
    place = fill(Bulkhead(1, max_queue=2, max_wait=30.0), 1)
    task = asyncio.create_task(place.aacquire())
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (place.in_flight, place.waiting) == (1, 0)


async def test_a_wait_cancelled_in_the_moment_of_its_grant_gives_the_place_back():
    place = fill(Bulkhead(1, max_queue=2, max_wait=30.0), 1)
    task = asyncio.create_task(place.aacquire())
    await asyncio.sleep(0)

    place.release()  # granted now; the task has not run yet
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (place.in_flight, place.waiting) == (0, 0)


def test_a_waiter_whose_loop_has_gone_does_not_keep_its_place():
    place = fill(Bulkhead(1, max_queue=2, max_wait=30.0), 1)
    loop = asyncio.new_event_loop()
    coroutine = place.aacquire()
    task = loop.create_task(coroutine)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    place.release()

    assert place.in_flight == 0
    task._log_destroy_pending = False
    with pytest.raises(RuntimeError):
        coroutine.throw(RuntimeError("gone with its loop"))


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_call_gives_its_place_back(error):
    place = Bulkhead(1)

    def work():
        raise error

    for run in (lambda: place.call(work), lambda: place(work)()):
        with pytest.raises(error):
            run()
    with pytest.raises(error), place:
        work()

    assert place.in_flight == 0


async def test_a_failed_or_cancelled_async_call_gives_its_place_back():
    place = Bulkhead(1)
    with pytest.raises(OSError):
        async with place:
            raise OSError
    task = asyncio.create_task(place.acall(asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert place.in_flight == 0


def test_a_breaker_does_not_count_and_a_retry_does_not_repeat_a_full_bulkhead():
    place = fill(Bulkhead(1), 1)
    breaker = CircuitBreaker("reports", failure_threshold=1)
    guarded = retry(max_attempts=5)(breaker(place(int)))

    with pytest.raises(BulkheadFullError):
        guarded()

    assert (place.rejected, breaker.snapshot().failures) == (1, 0)


def test_refusals_are_told_outside_of_the_lock():
    events, heard = Events(), []

    def listen(event):
        thread = threading.Thread(
            target=lambda: heard.append((event, place.waiting, place._lock.acquire(timeout=5)))
        )
        thread.start()
        thread.join(10)

    events.subscribe(BulkheadRejected, listen)
    place = fill(Bulkhead(1, name="reports", events=events), 1)

    with pytest.raises(BulkheadFullError):
        place.acquire()

    assert heard == [(BulkheadRejected("reports", 1, 0), 0, True)]


def test_an_adaptive_limit_learns_from_durations_and_errors():
    clock = FakeClock()
    limit = AIMDLimit(initial=10, maximum=10)
    place = Bulkhead(limit, clock=clock)

    def overloaded():
        raise DeadlineExceededError

    for _ in range(3):
        with pytest.raises(DeadlineExceededError):
            place.call(overloaded)

    assert limit.value == 7


@pytest.mark.parametrize("error", [DeadlineExceededError(retryable=False), KeyboardInterrupt()])
def test_an_adaptive_limit_learns_nothing_from_the_callers_own_end(error):
    limit = AIMDLimit(initial=10, maximum=10)

    def ended():
        raise error

    with pytest.raises(type(error)):
        Bulkhead(limit).call(ended)

    assert limit.value == 10


def test_a_grown_limit_lets_the_line_move():
    class Growing:
        value = 1

        def sample(self, seconds, *, in_flight, dropped):
            self.value = 3

    place = Bulkhead(Growing(), max_queue=5, max_wait=30.0)
    place.acquire()
    threads = [threading.Thread(target=place.acquire) for _ in range(3)]
    for thread in threads:
        thread.start()
    while place.waiting < 3:
        pass

    place.release(0.1)
    for thread in threads:
        thread.join(30)

    assert (place.in_flight, place.waiting) == (3, 0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["take", "give"]), max_size=60), st.integers(1, 5))
def test_places_in_use_are_those_taken_and_never_above_the_limit(steps, limit):
    place, taken = Bulkhead(limit), 0

    for step in steps:
        if step == "take":
            try:
                place.acquire()
                taken += 1
            except BulkheadFullError:
                assert taken == limit
        elif taken:
            place.release()
            taken -= 1
        assert place.in_flight == taken <= limit


@pytest.mark.parametrize(
    "wrong", [{"max_concurrent": 0}, {"max_concurrent": 2.5}, {"max_queue": -1}, {"max_wait": -1.0}]
)
def test_a_wrong_size_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        bulkhead(**wrong)


def test_a_forked_child_starts_with_free_places():
    import warnings

    place = fill(Bulkhead(1), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            place.call(int)
            place.release()  # of the call the parent was in
            code = 0 if place.in_flight == 0 else 2
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert place.in_flight == 1


def test_the_repr_shows_its_use():
    assert repr(fill(Bulkhead(2, name="reports"), 1)) == "<Bulkhead 'reports' 1 of 2, 0 waiting>"
