"""One closure for a breaker and its retries, however they are put together."""

import asyncio
import functools

import pytest

from shared.resilience import CircuitBreaker, RetryBudget, RetryPolicy, retry
from shared.resilience._compile import compile_call
from shared.resilience.testing import FakeClock, FlakyDependency

KINDS = {
    "streak": {},
    "ring": {"failure_rate": 0.9, "window_calls": 20},
    "time": {"failure_rate": 0.9, "window_seconds": 20.0},
    "slow": {"slow_call_seconds": 1.0},
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def breaker(request):
    return CircuitBreaker("payments", failure_threshold=4, clock=FakeClock(), **request.param)


def run(guarded):
    """Call and, if need be, await."""
    return asyncio.run(guarded()) if asyncio.iscoroutinefunction(guarded) else guarded()


@pytest.fixture(params=["sync", "async"])
def make(request):
    def of(script):
        dependency = FlakyDependency(script)
        if request.param == "sync":
            return dependency, lambda: dependency()

        async def call():
            return await dependency.acall()

        return dependency, call

    return of


def test_tries_go_through_the_breaker_for_every_window(make, breaker):
    dependency, call = make("refused, refused, ok, ok")
    clock = FakeClock()

    guarded = compile_call(call, breaker=breaker, retry=RetryPolicy(3, clock=clock, sleep=clock.sleep))

    assert (run(guarded), run(guarded)) == ("ok", "ok")
    assert len(dependency.calls) == 4
    assert (breaker.snapshot().failures, breaker.snapshot().streak) == (2, 0)


def test_an_error_that_is_not_retried_counts_once_and_leaves(make, breaker):
    dependency, call = make([KeyError("x")])

    with pytest.raises(KeyError):
        run(compile_call(call, breaker=breaker, retry=RetryPolicy(3, on=OSError)))

    assert len(dependency.calls) == breaker.snapshot().failures == 1


def test_a_policy_that_looks_at_results_still_passes_the_breaker(make, breaker):
    dependency, call = make([None, None, 7])
    clock = FakeClock()
    policy = RetryPolicy(3, on_result=lambda r: r is None, clock=clock, sleep=clock.sleep)

    assert run(compile_call(call, breaker=breaker, retry=policy)) == 7
    assert len(dependency.calls) == 3


def test_a_good_call_pays_back_into_the_budget(make, breaker):
    budget = RetryBudget(tokens=4.0, ratio=0.5)
    clock = FakeClock()
    _, call = make("refused, ok")
    guarded = compile_call(
        call, breaker=breaker, retry=RetryPolicy(2, budget=budget, clock=clock, sleep=clock.sleep)
    )

    run(guarded)
    run(guarded)

    assert budget.tokens == 4.0


def test_stacked_decorators_become_one_closure_with_the_same_outcome(make, breaker):
    dependency, call = make("refused, ok")
    clock = FakeClock()

    inner = breaker(call)
    stacked = retry(max_attempts=3, clock=clock, sleep=clock.sleep)(inner)

    assert run(stacked) == "ok"
    assert len(dependency.calls) == 2
    assert breaker.snapshot().failures == 1
    assert stacked.__wrapped__ is inner


def test_a_decorator_in_between_is_never_skipped():
    seen = []

    def between(function):
        @functools.wraps(function)
        def call(*args):
            seen.append("between")
            return function(*args)

        return call

    breaker = CircuitBreaker("payments")

    assert retry(max_attempts=2)(between(breaker(len)))("abc") == 3
    assert seen == ["between"]


def test_a_ring_remembers_the_good_calls_of_the_happy_path(make):
    breaker = CircuitBreaker("payments", failure_rate=0.5, window_calls=10, minimum_calls=5)
    _, call = make("ok")
    guarded = breaker(call)

    for _ in range(7):
        run(guarded)

    assert breaker.snapshot().window == (7, 0, 0)


def test_a_result_of_an_earlier_closed_period_changes_nothing(make):
    """The call begins before the breaker opens and ends after it has closed again."""
    clock = FakeClock()
    breaker = CircuitBreaker("payments", failure_threshold=2, clock=clock)

    def disturb():
        breaker.force_open()
        breaker.reset()
        raise OSError

    @breaker
    def outer():
        disturb()

    for _ in range(5):
        with pytest.raises(OSError):
            outer()

    assert breaker.snapshot().failures == 0
