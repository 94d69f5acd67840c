"""Hedges: a second copy of a slow call; the first good answer wins and nothing runs on."""

import asyncio

import pytest

from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.resilience import CircuitBreaker, Hedge, HedgeStarted, RetryBudget, hedge
from shared.runtime import Events


class Copies:
    """An async function whose copies wait for their turn and count their ends."""

    def __init__(self, *plans):
        self.plans = plans
        self.started = 0
        self.cancelled = 0

    async def __call__(self):
        plan = self.plans[self.started]
        self.started += 1
        try:
            if plan == "hang":
                await asyncio.Event().wait()
            if isinstance(plan, tuple):
                await asyncio.sleep(plan[0])
                plan = plan[1]
            if isinstance(plan, Exception):
                raise plan
            return plan
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def test_a_quick_answer_is_taken_without_a_copy():
    copies = Copies("first", "second")

    assert await hedge(1.0, idempotent=True)(copies)() == "first"
    assert copies.started == 1


async def test_a_slow_call_is_copied_and_the_loser_called_off():
    copies = Copies("hang", "second")

    assert await hedge(0.001, idempotent=True)(copies)() == "second"
    assert (copies.started, copies.cancelled) == (2, 1)


async def test_the_first_may_still_win():
    copies = Copies((0.01, "first"), "hang")

    assert await hedge(0.001, idempotent=True)(copies)() == "first"
    assert (copies.started, copies.cancelled) == (2, 1)


async def test_a_failing_call_is_not_copied():
    copies = Copies(OSError("down"), "second")

    with pytest.raises(OSError):
        await hedge(1.0, idempotent=True)(copies)()

    assert copies.started == 1


async def test_a_copy_may_save_a_call_that_fails_late():
    copies = Copies((0.01, OSError("down")), (0.02, "second"))

    assert await hedge(0.001, idempotent=True)(copies)() == "second"


async def test_when_all_fail_the_first_error_leaves():
    copies = Copies((0.01, OSError("first")), OSError("second"))

    with pytest.raises(OSError, match="second"):
        await hedge(0.001, idempotent=True)(copies)()

    assert copies.cancelled == 0


async def test_no_more_copies_than_asked_for():
    copies = Copies("hang", "hang", (0.01, "third"), "never")

    assert await hedge(0.001, idempotent=True, max_hedges=2)(copies)() == "third"
    assert (copies.started, copies.cancelled) == (3, 2)


async def test_a_spent_budget_sends_no_copy():
    budget = RetryBudget(tokens=2.0)
    budget.failure()
    copies = Copies((0.01, "first"), "second")

    assert await hedge(0.001, idempotent=True, budget=budget)(copies)() == "first"
    assert copies.started == 1


async def test_cancelling_the_call_calls_off_all_copies():
    copies, both = Copies("hang", "hang"), asyncio.Event()
    events = Events()
    events.subscribe(HedgeStarted, lambda event: asyncio.get_running_loop().call_soon(both.set))
    task = asyncio.create_task(hedge(0.001, idempotent=True, events=events)(copies)())
    await both.wait()
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert copies.cancelled == 2


async def test_a_loser_says_nothing_to_the_breaker():
    breaker = CircuitBreaker("search")
    copies = Copies("hang", "second")

    assert await hedge(0.001, idempotent=True)(breaker(copies))() == "second"

    assert (breaker.snapshot().failures, breaker.snapshot().streak) == (0, 0)


async def test_copies_are_told():
    events, heard = Events(), []
    events.subscribe(HedgeStarted, heard.append)

    await hedge(0.001, idempotent=True, name="search", events=events)(Copies("hang", "second"))()

    assert heard == [HedgeStarted("search", 1)]


def test_the_author_must_say_that_twice_is_harmless():
    with pytest.raises(InvalidArgumentError, match="idempotent=True"):
        Hedge(0.1, idempotent=False)


def test_a_synchronous_function_is_refused():
    with pytest.raises(UnsupportedCallableError, match="only coroutines"):
        hedge(0.1, idempotent=True)(len)


@pytest.mark.parametrize("wrong", [{"delay": -1.0}, {"delay": 0.1, "max_hedges": 0}])
def test_a_wrong_value_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        hedge(idempotent=True, **wrong)
