"""Policies: the guards in their order, for calls and for blocks."""

import asyncio

import pytest

from shared.errors import BulkheadFullError, CircuitOpenError, DeadlineExceededError, InvalidArgumentError
from shared.resilience import (
    OPEN,
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Hedge,
    Policy,
    RetryBudget,
    RetryPolicy,
)
from shared.resilience.testing import FakeClock, FlakyDependency


@pytest.fixture
def clock():
    return FakeClock()


def full(clock, **changes):
    guards = {
        "retry": RetryPolicy(3, clock=clock, sleep=clock.sleep),
        "breaker": CircuitBreaker("payments", failure_threshold=5, clock=clock),
        "bulkhead": Bulkhead(4),
        "timeout": 60.0,
        "deadline": 300.0,
        "fallback": Fallback("cached"),
    }
    return Policy("payments", **{**guards, **changes})


@pytest.mark.parametrize("guards", ["full", "tries", "nothing", "no breaker"])
async def test_a_good_call_passes_every_combination_of_guards(guards, clock):
    policy = {
        "full": full(clock),
        "tries": Policy("payments", retry=RetryPolicy(), breaker=CircuitBreaker("payments")),
        "nothing": Policy("payments"),
        "no breaker": Policy("payments", retry=RetryPolicy(), timeout=5.0),
    }[guards]

    @policy
    def call(a, *, b):
        """Call it."""
        return a + b

    @policy
    async def acall(a, *, b):
        return a + b

    assert (call(1, b=2), await acall(1, b=2)) == (3, 3)
    assert (policy.call(max, 1, 2), await policy.acall(acall, 1, b=2)) == (2, 3)
    assert (call.__name__, call.__doc__) == ("call", "Call it.")
    assert asyncio.iscoroutinefunction(acall)


def test_each_try_passes_the_breaker_and_an_opening_ends_the_tries(clock):
    dependency = FlakyDependency("refused")
    breaker = CircuitBreaker("payments", failure_threshold=2, clock=clock)
    call = Policy("payments", retry=RetryPolicy(5, clock=clock), breaker=breaker)(dependency)

    with pytest.raises(CircuitOpenError):
        call()

    assert len(dependency.calls) == 2
    assert breaker.state is OPEN


def test_the_fallback_answers_what_all_else_could_not(clock):
    dependency = FlakyDependency("503")
    call = full(clock)(dependency)

    assert [call() for _ in range(3)] == ["cached"] * 3
    assert len(dependency.calls) == 5


async def test_a_timed_out_try_counts_and_is_tried_again(clock):
    dependency = FlakyDependency("hang, hang, ok")
    policy = Policy(
        "payments",
        retry=RetryPolicy(3, clock=clock, sleep=clock.asleep),
        breaker=CircuitBreaker("payments", clock=clock),
        timeout=0.005,
    )

    assert await policy(dependency.acall)() == "ok"
    assert policy.breaker.snapshot().failures == 2


async def test_the_deadline_ends_all_tries_and_does_not_count(clock):
    policy = Policy(
        "payments",
        deadline=0.02,
        retry=RetryPolicy(50, delay=0.0),
        breaker=CircuitBreaker("payments"),
        timeout=60.0,
    )

    with pytest.raises(DeadlineExceededError) as caught:
        await policy(FlakyDependency("hang").acall)()

    assert caught.value.retryable is False
    assert policy.breaker.snapshot().failures == 0


def test_a_full_bulkhead_is_neither_counted_nor_tried_again(clock):
    policy = full(clock, bulkhead=Bulkhead(1), fallback=None)
    policy.bulkhead.acquire()

    with pytest.raises(BulkheadFullError):
        policy(len)("abc")

    assert policy.bulkhead.rejected == 1
    assert policy.breaker.snapshot().failures == 0


async def test_hedges_are_tries_of_their_own_for_the_breaker(clock):
    dependency = FlakyDependency("hang, ok")
    breaker = CircuitBreaker("search", clock=clock)
    policy = Policy("search", hedge=Hedge(0.002, idempotent=True), breaker=breaker, retry=RetryPolicy(2))

    assert await policy(dependency.acall)() == "ok"
    assert len(dependency.calls) == 2
    assert await Policy("search", hedge=Hedge(0.002, idempotent=True))(dependency.acall)() == "ok"


def test_a_budget_stops_the_tries_of_all_callers(clock):
    dependency = FlakyDependency("refused")
    policy = Policy("payments", retry=RetryPolicy(4, clock=clock, budget=RetryBudget()))

    for _ in range(1000):
        with pytest.raises(ConnectionRefusedError):
            policy.call(dependency)

    assert len(dependency.calls) <= 1100


async def test_cancelling_during_a_backoff_leaves_no_permit_and_no_place_taken():
    waiting = asyncio.Event()

    async def pause(_seconds):
        waiting.set()
        await asyncio.Event().wait()

    clock = FakeClock()
    breaker = CircuitBreaker("payments", failure_threshold=1, recovery_timeout=0.0, clock=clock)
    breaker.error(breaker.acquire(), OSError())
    policy = Policy(
        "payments", retry=RetryPolicy(5, clock=clock, sleep=pause), breaker=breaker, bulkhead=Bulkhead(1)
    )
    task = asyncio.create_task(policy(FlakyDependency("refused").acall)())
    await waiting.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (breaker.snapshot().probes, policy.bulkhead.in_flight) == (0, 0)


async def test_no_lock_is_held_while_a_guarded_call_is_awaited():
    """Another thread can use every part of the policy in the middle of the call."""
    policy = full(FakeClock())
    seen = []

    def look():
        policy.breaker.snapshot()
        policy.bulkhead.acquire()
        policy.bulkhead.release()
        policy.retry.budget.success()
        seen.append("free")

    @policy
    async def call():
        await asyncio.wait_for(asyncio.to_thread(look), 10)

    await call()

    assert seen == ["free"]


# --- blocks -------------------------------------------------------------------------------------


async def test_a_block_passes_deadline_breaker_bulkhead_and_timeout(clock):
    policy = full(clock)

    with policy:
        assert policy.bulkhead.in_flight == 1
    async with policy:
        assert policy.bulkhead.in_flight == 1

    assert policy.bulkhead.in_flight == 0


def test_a_failing_block_counts_and_is_not_answered(clock):
    policy = full(clock)

    with pytest.raises(OSError), policy:
        raise OSError

    assert policy.breaker.snapshot().failures == 1
    assert policy.bulkhead.in_flight == 0


async def test_an_async_block_is_cut_off(clock):
    policy = full(clock, timeout=0.005)

    with pytest.raises(TimeoutError):
        async with policy:
            await asyncio.Event().wait()

    assert policy.breaker.snapshot().failures == 1
    assert policy.bulkhead.in_flight == 0


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_refused_block_leaves_nothing_taken(asynchronous, clock):
    policy = full(clock, bulkhead=Bulkhead(1))
    policy.bulkhead.acquire()

    for _ in range(2):
        with pytest.raises(BulkheadFullError):
            if asynchronous:
                async with policy:
                    pass
            else:
                with policy:
                    pass

    policy.bulkhead.release()
    assert policy.bulkhead.in_flight == 0
    assert policy.breaker.snapshot().failures == 0


async def test_leaving_a_block_that_was_never_entered_does_nothing(clock):
    policy = Policy("payments", breaker=CircuitBreaker("payments"))

    assert policy.__exit__(None, None, None) is None
    assert await policy.__aexit__(None, None, None) is None


# --- for people ------------------------------------------------------------------------------------


def test_explain_lists_the_guards_from_the_outside_in(clock):
    policy = full(clock, hedge=Hedge(0.2, idempotent=True))

    assert policy.explain() == [
        "fallback: on Exception",
        "deadline: 300 s for all tries",
        "retry: 3 tries",
        "hedge: after 0.2 s",
        "breaker: CLOSED",
        "bulkhead: 4 at once, 0 wait",
        "timeout: 60 s",
    ]
    assert (
        repr(policy)
        == "<Policy 'payments' fallback > deadline > retry > hedge > breaker > bulkhead > timeout>"
    )


def test_replace_shares_breaker_and_bulkhead(clock):
    policy = full(clock)

    other = policy.replace(timeout=None, fallback=None)

    assert other.breaker is policy.breaker
    assert other.bulkhead is policy.bulkhead
    assert (other.timeout, other.fallback, other.deadline.limit) == (None, None, 300.0)


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "x", "timeout": 0.0}, {"name": "x", "deadline": -1.0}]
)
def test_a_wrong_value_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        Policy(**wrong)
