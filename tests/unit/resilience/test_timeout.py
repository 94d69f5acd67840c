"""Timeouts: cut off in time, never late, never somebody else's cancellation."""

import asyncio
import threading
import time

import pytest

from shared.context import get_deadline, request_context
from shared.errors import DeadlineExceededError, InvalidArgumentError, UnsupportedCallableError
from shared.resilience import CallTimedOut, CircuitBreaker, Deadline, Timeout, timeout
from shared.resilience._wheel import TICK, Wheel, wheel_of
from shared.resilience.testing import FakeClock
from shared.runtime import Events

FAST, COARSE = 0.01, 0.11  # one below and one above the wheel's threshold


async def hang():
    await asyncio.Event().wait()


@pytest.mark.parametrize("limit", [FAST, COARSE])
async def test_an_async_call_is_cut_off(limit):
    started = time.monotonic()

    with pytest.raises(DeadlineExceededError, match=f"took longer than {limit:g} s") as caught:
        await timeout(limit, name="payments")(hang)()

    assert limit <= time.monotonic() - started < limit + 1.0
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.retryable is True
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


@pytest.mark.parametrize("limit", [FAST, COARSE])
async def test_blocks_are_cut_off(limit):
    with pytest.raises(TimeoutError):
        async with timeout(limit):
            await hang()
    with pytest.raises(TimeoutError), timeout(limit):
        await hang()


@pytest.mark.parametrize("limit", [FAST, COARSE])
async def test_a_call_in_time_is_not_cancelled_later(limit):
    @timeout(limit)
    async def quick():
        return 7

    assert await quick() == 7
    await asyncio.sleep(limit + 2 * TICK)
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("limit", [FAST, COARSE])
async def test_a_cancellation_from_elsewhere_stays_one(limit):
    task = asyncio.create_task(timeout(limit)(hang)())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_meets_the_timeout_wins():
    async def body():
        try:
            async with timeout(FAST):
                await hang()
        finally:
            seen.append(asyncio.current_task().cancelling())

    seen = []
    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(FAST, task.cancel)
    await asyncio.wait([task])

    assert task.cancelled() or isinstance(task.exception(), TimeoutError)
    assert seen[0] == (1 if task.cancelled() else 0)


async def test_a_task_can_be_used_after_its_timeout():
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await timeout(FAST)(hang)()
    await asyncio.sleep(0)

    assert asyncio.current_task().cancelling() == 0


async def test_a_body_that_swallows_the_cancellation_keeps_its_result():
    @timeout(FAST)
    async def stubborn():
        try:
            await hang()
        except asyncio.CancelledError:
            return "late"

    assert await stubborn() == "late"
    await asyncio.sleep(0)


async def test_an_error_of_the_body_leaves_as_it_is():
    with pytest.raises(ZeroDivisionError):
        async with timeout(1.0):
            raise ZeroDivisionError


async def test_of_nested_timeouts_the_one_that_ran_out_is_named():
    with pytest.raises(DeadlineExceededError, match="inner took longer"):
        async with timeout(COARSE, name="outer"), timeout(FAST, name="inner"):
            await hang()
    with pytest.raises(DeadlineExceededError, match="outer took longer"):
        async with timeout(FAST, name="outer"), timeout(COARSE, name="inner"):
            await hang()


@pytest.mark.parametrize("rest", [FAST, COARSE])
async def test_a_limit_beyond_the_deadline_is_cut_down_to_it_and_final(rest):
    with (
        Deadline.after(rest).scope(),
        pytest.raises(DeadlineExceededError, match="no time is left for payments") as caught,
    ):
        await timeout(60.0, name="payments")(hang)()

    assert caught.value.retryable is False


async def test_many_timeouts_share_the_wheel():
    results = await asyncio.gather(
        *(timeout(COARSE + n * 0.001)(hang)() for n in range(50)), return_exceptions=True
    )

    assert {type(result) for result in results} == {DeadlineExceededError}


def test_the_limit_is_the_deadline_inside_and_ends_with_the_block():
    with request_context():
        with timeout(5.0):
            assert 4.0 < Deadline.current().remaining() <= 5.0
        assert get_deadline() is None


def test_synchronous_code_sees_what_is_left_and_keeps_a_late_result():
    @timeout(0.001)
    def late():
        remaining = Deadline.current().remaining()
        time.sleep(0.005)
        return remaining, Deadline.current().expired

    remaining, expired = late()

    assert 0.0 <= remaining <= 0.001
    assert expired


def test_nothing_is_started_when_no_time_is_left():
    calls = []

    with (
        Deadline.after(0.0).scope(),
        pytest.raises(DeadlineExceededError, match="no time is left for payments") as caught,
    ):
        timeout(5.0, name="payments")(calls.append)(1)

    assert (calls, caught.value.retryable) == ([], False)


async def test_a_total_limit_is_final_and_says_so():
    with pytest.raises(DeadlineExceededError, match="within the 0.01 s allowed for all tries") as caught:
        await Timeout(FAST, name="payments", total=True)(hang)()

    assert caught.value.retryable is False


async def test_a_breaker_counts_a_timed_out_try_and_not_the_callers_lost_time():
    breaker = CircuitBreaker("payments")
    with pytest.raises(TimeoutError):
        await breaker.acall(timeout(FAST)(hang))
    assert breaker.snapshot().failures == 1

    with pytest.raises(TimeoutError), Deadline.after(FAST).scope():
        await breaker.acall(timeout(COARSE)(hang))
    assert breaker.snapshot().failures == 1


def keeps_to_the_deadline(clock):
    """Stands for an HTTP client or a query: it gives up when the deadline in force has passed."""

    def call():
        clock.advance(Deadline.current(clock=clock).remaining())
        Deadline.current(clock=clock).check("the call")

    return call


def test_a_try_that_kept_to_its_limit_was_too_slow_and_not_final():
    clock, breaker = FakeClock(), CircuitBreaker("payments")
    guarded = breaker(timeout(2.0, name="payments", clock=clock)(keeps_to_the_deadline(clock)))

    with pytest.raises(DeadlineExceededError, match="payments took longer than 2 s") as caught:
        guarded()

    assert caught.value.retryable is True
    assert breaker.snapshot().failures == 1


@pytest.mark.parametrize("total", [True, False])
def test_running_out_of_the_callers_time_stays_final(total):
    clock = FakeClock()
    spec = Timeout(2.0, clock=clock, total=total)

    with (
        Deadline.after(9.0 if total else 1.0, clock=clock).scope(),
        pytest.raises(DeadlineExceededError) as caught,
    ):
        spec(keeps_to_the_deadline(clock))()

    assert caught.value.retryable is False


def test_a_shorter_deadline_inside_a_try_stays_final():
    clock = FakeClock()

    @timeout(60.0, clock=clock)
    def work():
        with Deadline.after(1.0, clock=clock).scope():
            keeps_to_the_deadline(clock)()

    with pytest.raises(DeadlineExceededError) as caught:
        work()

    assert caught.value.retryable is False


async def test_expiry_is_told():
    events, heard = Events(), []
    events.subscribe(CallTimedOut, heard.append)

    with pytest.raises(TimeoutError):
        await timeout(FAST, name="payments", events=events)(hang)()

    assert heard == [CallTimedOut("payments", FAST)]


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf"), "2", True])
def test_the_limit_must_be_positive(wrong):
    with pytest.raises(InvalidArgumentError, match="limit"):
        timeout(wrong)


def test_generators_are_refused():
    def generator():
        yield

    with pytest.raises(UnsupportedCallableError):
        timeout(1.0)(generator)


def test_it_can_decorate_where_no_loop_runs_and_work_in_several():
    guarded = timeout(COARSE)(hang)
    outcomes = []

    def work():
        with pytest.raises(TimeoutError):
            asyncio.run(guarded())
        outcomes.append("cut")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work()

    assert outcomes == ["cut"] * 3


def test_the_repr_shows_the_limit():
    assert (repr(Timeout(2.0)), repr(Timeout(2.0, total=True))) == ("Timeout(2)", "Timeout(2, total=True)")


# --- the wheel ----------------------------------------------------------------------------------


class Loop:
    """An event loop whose time obeys."""

    def __init__(self):
        self.now = 100.0
        self.calls = []

    def time(self):
        return self.now

    def call_at(self, when, function, *args):
        self.calls.append((when, function, args))

    def run_until(self, when):
        while due := [call for call in self.calls if call[0] <= when]:
            first = min(due, key=lambda call: call[0])
            self.calls.remove(first)
            self.now = max(self.now, first[0])
            first[1](*first[2])
        self.now = when


class Item:
    def __init__(self):
        self.expired = 0

    def expire(self):
        self.expired += 1


def test_the_wheel_expires_each_item_once_at_most_a_tick_late():
    loop = Loop()
    wheel = Wheel(loop)
    items = {}
    for n in range(40):
        items[Item()] = when = 100.1 + n * 0.037
        wheel.add(next(reversed(items)), when)

    for step in range(2000):
        loop.run_until(100.0 + step * 0.001)
        for item, when in items.items():
            if loop.now < when:
                assert item.expired == 0
            if loop.now > when + TICK + 0.001:
                assert item.expired == 1


def test_an_item_that_leaves_is_forgotten_and_idle_ticks_are_skipped():
    loop = Loop()
    wheel = Wheel(loop)
    gone, stays = Item(), Item()
    wheel.add(gone, 100.2).pop(gone)
    wheel.add(stays, 100.9)

    loop.run_until(101.0)

    assert (gone.expired, stays.expired) == (0, 1)
    assert (wheel._slots, wheel._ticks, loop.calls) == ({}, [], [])


def test_an_earlier_end_moves_the_wake_up_forward():
    loop = Loop()
    wheel = Wheel(loop)
    late, early = Item(), Item()
    wheel.add(late, 101.0)
    wheel.add(early, 100.2)

    loop.run_until(100.3)
    assert (late.expired, early.expired) == (0, 1)
    loop.run_until(101.1)

    assert (late.expired, early.expired) == (1, 1)


def test_a_thread_has_one_wheel_per_loop():
    first, second = Loop(), Loop()

    assert wheel_of(first) is wheel_of(first)
    assert wheel_of(second) is not wheel_of(first)
