"""Retries: what is tried again, how often, when, and what leaves."""

import asyncio
import gc
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st

from shared.context import deadline_scope
from shared.errors import (
    BulkheadFullError,
    CircuitOpenError,
    ExternalServiceError,
    InvalidArgumentError,
    RateLimitError,
    ServiceUnavailableError,
    UnsupportedCallableError,
    ValidationError,
)
from shared.resilience import RetriesExhausted, RetryBudget, RetryPolicy, RetryScheduled, retry
from shared.resilience.testing import FakeClock, no_backoff
from shared.runtime import Events


class Script:
    """A function that plays a list: exceptions are raised, the rest is returned."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.calls = 0

    def __call__(self):
        step = self.steps[min(self.calls, len(self.steps) - 1)]
        self.calls += 1
        if isinstance(step, BaseException) or (isinstance(step, type) and issubclass(step, BaseException)):
            raise step
        return step


async def aboth(policy, script):
    async def step():
        return script()

    return await policy.acall(step)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.mark.parametrize("attempts", [1, 2, 3, 7])
def test_max_attempts_counts_all_calls(attempts, clock):
    script = Script(OSError("down"))

    with pytest.raises(OSError, match="down"):
        retry(max_attempts=attempts, clock=clock)(script)()

    assert script.calls == attempts


def test_a_good_call_is_made_once(clock):
    script = Script("fine")

    assert retry(clock=clock)(script)() == "fine"
    assert (script.calls, clock.sleeps) == (1, [])


def test_a_call_that_recovers_returns_its_result(clock):
    script = Script(OSError(), OSError(), "fine")

    assert retry(max_attempts=3, clock=clock)(script)() == "fine"


async def test_an_async_call_that_recovers_returns_its_result(clock):
    script = Script(OSError(), "fine")

    @retry(max_attempts=3, clock=clock)
    async def fetch():
        return script()

    assert await fetch() == "fine"
    assert len(clock.sleeps) == 1


def test_the_seeds_spelling_works_without_parentheses_and_with_positions():
    @retry
    def plain():
        return 1

    @retry(3, 1.0)
    def positional():
        return 2

    assert (plain(), positional()) == (1, 2)


def test_a_decorated_function_keeps_its_face():
    @retry(max_attempts=2)
    def fetch(url: str) -> str:
        """Get it."""
        return url

    assert (fetch.__name__, fetch.__doc__, fetch.__wrapped__.__name__) == ("fetch", "Get it.", "fetch")


def test_a_method_is_retried_with_its_self(clock):
    class Client:
        tries = 0

        @retry(max_attempts=2, clock=clock)
        def get(self, value, *, plus):
            self.tries += 1
            if self.tries == 1:
                raise OSError
            return value + plus

    assert Client().get(1, plus=2) == 3


def test_async_decoration_stays_a_coroutine_function():
    @retry
    async def fetch(): ...

    assert asyncio.iscoroutinefunction(fetch)


# --- what leaves ------------------------------------------------------------------------


def test_the_original_exception_leaves_unchanged_and_unchained(clock):
    errors = [OSError("first"), OSError("second")]
    script = Script(*errors)

    with pytest.raises(OSError, match="second") as caught:
        retry(max_attempts=2, clock=clock)(script)()

    assert caught.value is errors[1]
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_the_original_exception_leaves_an_async_call_unchained(clock):
    error = OSError("second")

    with pytest.raises(OSError) as caught:
        await aboth(RetryPolicy(2, clock=clock), Script(OSError("first"), error))

    assert caught.value is error
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_the_traceback_names_the_function_that_failed(clock):
    @retry(max_attempts=2, clock=clock)
    def deep():
        raise OSError("down")

    with pytest.raises(OSError) as caught:
        deep()

    assert "deep" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_an_error_that_is_not_retried_never_meets_tenacity(clock):
    @retry(on=ConnectionError, clock=clock)
    def broken():
        raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        broken()

    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not any("tenacity" in name for name in files)
    assert len(files) == 3


def test_wrap_makes_the_error_that_leaves_and_chains_the_last_one(clock):
    last = OSError("down")
    policy = RetryPolicy(2, wrap=lambda error: ExternalServiceError("supplier is down"), clock=clock)

    with pytest.raises(ExternalServiceError) as caught:
        policy.call(Script(last))

    assert caught.value.__cause__ is last


def test_wrap_takes_a_class_of_ours(clock):
    with pytest.raises(ServiceUnavailableError) as caught:
        RetryPolicy(2, wrap=ServiceUnavailableError, clock=clock).call(Script(OSError("down")))

    assert isinstance(caught.value.__cause__, OSError)


def test_a_finished_call_leaves_no_cycle_that_keeps_its_objects_alive(clock):
    class Big:
        pass

    alive = []

    @retry(max_attempts=2, clock=clock)
    def fetch():
        import weakref

        big = Big()
        alive.append(weakref.ref(big))
        if len(alive) == 1:
            raise OSError("down")
        return "fine"

    gc.collect()
    gc.disable()
    try:
        assert fetch() == "fine"
        assert alive[1]() is None
    finally:
        gc.enable()


# --- what is tried again -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "options", "calls"),
    [
        (OSError(), {}, 3),
        (KeyError(), {"on": OSError}, 1),
        (ConnectionResetError(), {"on": OSError}, 3),
        (OSError(), {"on": (KeyError, OSError)}, 3),
        (OSError(104, "reset"), {"retryable": lambda e: e.errno == 104}, 3),
        (OSError(2, "missing"), {"retryable": lambda e: e.errno == 104}, 1),
        (KeyError(), {"on": OSError, "retryable": lambda e: True}, 1),
        (ValidationError(), {}, 1),
        (ValidationError(), {"on": ValidationError}, 3),
        (ValidationError(retryable=True), {}, 3),
        (ValidationError(), {"retryable": lambda e: True}, 3),
        (ExternalServiceError(), {}, 3),
        (CircuitOpenError(), {}, 1),
        (CircuitOpenError(), {"retryable": lambda e: True}, 1),
        (CircuitOpenError(), {"on": CircuitOpenError}, 3),
        (BulkheadFullError(), {}, 1),
        (tenacity.TryAgain(), {}, 3),
    ],
)
async def test_only_what_may_succeed_is_tried_again(error, options, calls):
    for run in (lambda p, s: p.call(s), aboth):
        script = Script(error)
        with pytest.raises(type(error)) as caught:
            outcome = run(RetryPolicy(3, clock=FakeClock(), **options), script)
            if asyncio.iscoroutine(outcome):
                await outcome

        assert caught.value is error
        assert script.calls == calls


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("before", [0, 1])
async def test_cancellation_and_its_kin_always_pass(error, before):
    for run in (lambda p, s: p.call(s), aboth):
        script = Script(*[OSError()] * before, error("stop"))

        with pytest.raises(error):
            outcome = run(RetryPolicy(5, on=Exception, retryable=lambda e: True, clock=FakeClock()), script)
            if asyncio.iscoroutine(outcome):
                await outcome

        assert script.calls == before + 1


async def test_cancelling_an_async_call_during_its_backoff_ends_it():
    started = asyncio.Event()

    @retry(max_attempts=5, delay=60.0, max_delay=60.0, jitter="none")
    async def fetch():
        started.set()
        raise OSError

    task = asyncio.create_task(fetch())
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_refused_result_is_tried_again_and_the_last_one_returned(clock):
    script = Script(None, None, "late")

    assert RetryPolicy(3, on_result=lambda r: r is None, clock=clock).call(script) == "late"
    assert RetryPolicy(2, on_result=lambda r: r is None, clock=clock).call(Script(None)) is None


async def test_a_refused_result_of_an_async_call_is_tried_again(clock):
    script = Script(None, OSError(), "late")

    assert await aboth(RetryPolicy(3, on_result=lambda r: r is None, clock=clock), script) == "late"


@pytest.mark.parametrize("wrong", [BaseException, KeyboardInterrupt, asyncio.CancelledError, "OSError", 5])
def test_on_refuses_what_must_always_pass(wrong):
    with pytest.raises(InvalidArgumentError, match="on must be"):
        retry(on=wrong)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "3"])
def test_max_attempts_must_be_a_whole_number_above_zero(wrong):
    with pytest.raises(ValueError, match="max_attempts"):
        retry(max_attempts=wrong)


@pytest.mark.parametrize("name", ["retryable", "on_result", "stop", "wrap"])
def test_a_predicate_that_cannot_be_called_is_refused(name):
    with pytest.raises(InvalidArgumentError, match=name):
        retry(**{name: "yes"})


# --- waits -----------------------------------------------------------------------------------


def test_waits_double_and_are_drawn_below_the_ceiling(clock):
    with pytest.raises(OSError):
        retry(max_attempts=4, delay=1.0, clock=clock, rng=lambda: 0.5)(Script(OSError()))()

    assert clock.sleeps == [0.5, 1.0, 2.0]


@given(st.integers(2, 12), st.floats(0, 5), st.floats(0, 5), st.sampled_from(["full", "equal", "none"]))
def test_no_wait_is_above_max_delay(attempts, delay, cap, jitter):
    clock = FakeClock()

    with pytest.raises(OSError):
        retry(attempts, delay, max_delay=cap, jitter=jitter, clock=clock)(Script(OSError()))()

    assert len(clock.sleeps) == attempts - 1
    assert all(0.0 <= wait <= cap for wait in clock.sleeps)


def test_a_callable_backoff_receives_the_state_of_tenacity(clock):
    with pytest.raises(OSError):
        retry(4, backoff=tenacity.wait_incrementing(start=1, increment=2), clock=clock)(Script(OSError()))()

    assert clock.sleeps == [1, 3, 5]


def test_tenacity_waits_combine(clock):
    wait = tenacity.wait_fixed(1) + tenacity.wait_exponential(multiplier=2)

    with pytest.raises(OSError):
        retry(3, backoff=wait, clock=clock)(Script(OSError()))()

    assert clock.sleeps == [3.0, 5.0]


def test_a_tenacity_stop_takes_the_place_of_max_attempts(clock):
    script = Script(OSError())

    with pytest.raises(OSError):
        retry(stop=tenacity.stop_after_attempt(6), clock=clock)(script)()

    assert script.calls == 6


async def test_a_tenacity_stop_counts_the_time_of_the_first_try_by_our_clock():
    for run in (lambda p, s: p.call(s), aboth):
        clock = FakeClock()
        calls = []

        def slow(clock=clock, calls=calls):
            calls.append(1)
            clock.advance(9.0)
            raise OSError

        policy = RetryPolicy(stop=tenacity.stop_after_delay(10), backoff=tenacity.wait_fixed(2), clock=clock)
        with pytest.raises(OSError):
            outcome = run(policy, slow)
            if asyncio.iscoroutine(outcome):
                await outcome

        assert len(calls) == 2


def test_retry_after_lengthens_a_wait(clock):
    script = Script(RateLimitError(retry_after=7.0), "fine")

    assert retry(clock=clock)(script)() == "fine"
    assert clock.sleeps == [7.0]


def test_retry_after_beyond_max_delay_ends_the_tries(clock):
    script = Script(RateLimitError(retry_after=31.0), "fine")

    with pytest.raises(RateLimitError):
        retry(max_delay=30.0, clock=clock)(script)()

    assert (script.calls, clock.sleeps) == (1, [])


def test_retry_after_can_be_ignored(clock):
    script = Script(RateLimitError(retry_after=31.0), "fine")

    assert retry(respect_retry_after=False, delay=0.0, clock=clock)(script)() == "fine"


def test_a_wait_that_would_pass_the_deadline_ends_the_tries(clock):
    script = Script(OSError("down"))

    with deadline_scope(3.0, now=clock()), pytest.raises(OSError):
        retry(max_attempts=10, delay=2.0, jitter="none", backoff="constant", clock=clock)(script)()

    assert (script.calls, clock.sleeps) == (2, [2.0])


async def test_sleep_may_be_asynchronous():
    clock = FakeClock()
    script = Script(OSError(), "fine")

    assert await aboth(RetryPolicy(2, clock=clock, sleep=clock.asleep), script) == "fine"
    assert len(clock.sleeps) == 1


def test_an_asynchronous_sleep_under_a_synchronous_function_is_refused():
    with pytest.raises(UnsupportedCallableError, match="nothing would await"):
        retry(sleep=FakeClock().asleep)(lambda: 1)


def test_the_default_sleeps_are_real_and_short():
    assert retry(2, delay=0.001)(Script(OSError(), "fine"))() == "fine"


async def test_the_default_async_sleep_lets_other_tasks_run():
    assert await aboth(RetryPolicy(2, delay=0.001), Script(OSError(), "fine")) == "fine"


# --- tests of users -------------------------------------------------------------------------------


def test_no_backoff_waits_zero_seconds_and_changes_nothing_else():
    script = Script(OSError())
    waits = []

    with no_backoff(), pytest.raises(OSError):
        retry(3, delay=60.0, sleep=waits.append)(script)()

    assert (script.calls, waits) == (3, [0.0, 0.0])


def test_no_backoff_may_cap_the_tries_also_of_a_tenacity_stop():
    script = Script(OSError())

    with no_backoff(max_attempts=2), pytest.raises(OSError):
        retry(stop=tenacity.stop_after_attempt(9), delay=60.0)(script)()
    with no_backoff(max_attempts=2), pytest.raises(OSError):
        retry(9, delay=60.0)(script)()

    assert script.calls == 4


def test_no_backoff_ends_with_its_block_also_on_error():
    waits = []

    with pytest.raises(RuntimeError), no_backoff(max_attempts=1):
        raise RuntimeError
    with pytest.raises(OSError):
        retry(2, delay=1.0, jitter="none", sleep=waits.append)(Script(OSError()))()

    assert waits == [1.0]


# --- events ---------------------------------------------------------------------------------------


def test_tries_and_their_end_are_told(clock):
    events, heard = Events(), []
    events.subscribe(RetryScheduled, heard.append)
    events.subscribe(RetriesExhausted, heard.append)
    error = OSError("down")

    with pytest.raises(OSError):
        retry(2, jitter="none", name="payments", clock=clock, events=events)(Script(error))()

    assert heard == [
        RetryScheduled("payments", 1, 1.0, error),
        RetriesExhausted("payments", 2, "attempts", error),
    ]


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({}, OSError(), "attempts"),
        ({"stop": tenacity.stop_after_attempt(2)}, OSError(), "stop"),
        ({"max_delay": 1.0}, RateLimitError(retry_after=5.0), "retry_after"),
        ({"budget": RetryBudget(tokens=2.0)}, OSError(), "budget"),
    ],
)
def test_the_end_of_the_tries_says_why(options, error, reason, clock):
    events, heard = Events(), []
    events.subscribe(RetriesExhausted, heard.append)

    with pytest.raises(type(error)):
        RetryPolicy(clock=clock, events=events, **options).call(Script(error))

    assert [event.reason for event in heard] == [reason]


def test_a_listener_that_fails_does_not_harm_the_call(clock, caplog):
    events = Events()
    events.subscribe(RetryScheduled, lambda event: 1 / 0)

    assert retry(2, clock=clock, events=events)(Script(OSError(), "fine"))() == "fine"
    assert "listener failed" in caplog.text


# --- budget ----------------------------------------------------------------------------------------


def test_a_good_call_earns_back_what_failures_spent(clock):
    budget = RetryBudget(tokens=4.0, ratio=0.5)
    call = retry(2, budget=budget, clock=clock)(Script(OSError(), "fine", "fine"))

    call()
    call()

    assert budget.tokens == 4.0


async def test_async_calls_earn_too(clock):
    budget = RetryBudget(tokens=4.0, ratio=0.25)
    script = Script(OSError(), "fine", "fine")

    async def fetch():
        return script()

    policy = RetryPolicy(2, budget=budget, clock=clock)
    decorated = policy(fetch)
    await decorated()
    await decorated()
    await policy.acall(fetch)

    assert budget.tokens == 3.75


def test_direct_calls_earn_too(clock):
    budget = RetryBudget(tokens=4.0, ratio=0.25)
    policy = RetryPolicy(2, budget=budget, clock=clock)
    script = Script(OSError(), "fine", "fine")

    policy.call(script)
    policy.call(script)

    assert budget.tokens == 3.5


def test_an_outage_with_1000_clients_adds_at_most_a_tenth_of_load(clock):
    calls = []

    def down():
        calls.append(1)
        raise OSError

    policy = RetryPolicy(max_attempts=4, budget=RetryBudget(), clock=clock)
    for _ in range(1000):
        with pytest.raises(OSError):
            policy.call(down)

    assert len(calls) <= 1100


async def test_an_outage_with_1000_concurrent_clients_adds_at_most_a_tenth_of_load():
    calls = []
    clock = FakeClock()

    @retry(max_attempts=4, budget=RetryBudget(), clock=clock, sleep=clock.asleep)
    async def down():
        calls.append(1)
        await asyncio.sleep(0)
        raise OSError

    await asyncio.gather(*(down() for _ in range(1000)), return_exceptions=True)

    assert len(calls) <= 1100


# --- shapes that are refused ------------------------------------------------------------------------


def generator():
    yield 1


async def async_generator():
    yield 1


class CallableGenerator:
    def __call__(self):
        yield 1


@pytest.mark.parametrize("wrong", [generator, async_generator, CallableGenerator()])
def test_generators_are_refused_clearly(wrong):
    with pytest.raises(TypeError, match="generator function"):
        retry(max_attempts=2)(wrong)


def test_a_classmethod_object_is_refused_with_the_way_out():
    with pytest.raises(UnsupportedCallableError, match="below @staticmethod"):
        retry(max_attempts=2)(classmethod(lambda cls: 1))


def test_a_synchronous_wrapper_that_gives_a_coroutine_is_refused():
    async def fetch():
        return 1

    with pytest.raises(UnsupportedCallableError, match="async def"):
        retry(max_attempts=2)(lambda: fetch())()
    with pytest.raises(UnsupportedCallableError, match="acall"):
        RetryPolicy().call(fetch)


async def test_callables_and_partials_of_coroutines_are_recognised(clock):
    import functools

    class Fetch:
        async def __call__(self, value):
            return value

    assert await retry(max_attempts=2)(Fetch())(1) == 1
    assert await retry(max_attempts=2)(functools.partial(Fetch().__call__, 2))() == 2
    assert await retry(max_attempts=2)(functools.partial(Fetch(), 3))() == 3


# --- threads and tasks: the defects of shared tenacity objects ----------------------------------------


def test_8_threads_may_share_one_decorated_function():
    local = threading.local()

    @retry(max_attempts=3, delay=0.0)
    def flaky():
        local.calls = getattr(local, "calls", 0) + 1
        if local.calls % 3:
            raise OSError
        return local.calls

    def work(_):
        return [flaky() for _ in range(60)]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(work, range(8)))
    finally:
        sys.setswitchinterval(before)

    assert all(len(part) == 60 for part in results)


async def test_tasks_that_share_one_policy_all_get_their_attempts():
    policy = RetryPolicy(max_attempts=3, clock=FakeClock(), sleep=lambda s: asyncio.sleep(0))
    counts = [0] * 5

    async def fail(index):
        counts[index] += 1
        await asyncio.sleep(0)
        raise OSError

    await asyncio.gather(*(policy.acall(fail, n) for n in range(5)), return_exceptions=True)

    assert counts == [3] * 5
