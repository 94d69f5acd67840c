"""The circuit breaker as users hold it: decorator, blocks, calls, modes, events, threads."""

import asyncio
import copy
import gc
import os
import pickle
import threading
import tracemalloc

import pytest

from shared.errors import (
    CircuitOpenError,
    InvalidArgumentError,
    ResourceNotFoundError,
    UnsupportedCallableError,
)
from shared.resilience import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    BreakerConfig,
    BreakerMode,
    BreakerTransition,
    CallRejected,
    CircuitBreaker,
)
from shared.resilience._breaker import breakers_named
from shared.resilience.testing import FakeClock
from shared.runtime import Events, Runtime, use


@pytest.fixture
def clock():
    return FakeClock()


def fail(*_):
    raise OSError("down")


async def afail(*_):
    raise OSError("down")


def trip(breaker, times=None):
    """Fail until the breaker opens."""
    for _ in range(times or breaker.config.failure_threshold):
        with pytest.raises(OSError):
            breaker.call(fail)
    return breaker


WAYS = {}


def way(function):
    WAYS[function.__name__] = function
    return function


@way
def decorator(breaker, function):
    return breaker(function)()


@way
def call(breaker, function):
    return breaker.call(function)


@way
def with_block(breaker, function):
    with breaker:
        return function()


@way
def async_decorator(breaker, function):
    @breaker
    async def inner():
        return function()

    return asyncio.run(inner())


@way
def acall(breaker, function):
    async def inner():
        return function()

    return asyncio.run(breaker.acall(inner))


@way
def async_with_block(breaker, function):
    async def inner():
        async with breaker:
            return function()

    return asyncio.run(inner())


CONFIGS = {
    "consecutive": {},
    "count": {"failure_rate": 0.5, "window_calls": 10, "minimum_calls": 2, "failure_threshold": None},
    "time": {"failure_rate": 0.5, "window_seconds": 10.0, "minimum_calls": 2, "failure_threshold": None},
    "slow": {"slow_call_seconds": 99.0},
    "result": {"failure_result": lambda result: result == "bad"},
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def run(request):
    return request.param


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def options(request):
    return {"failure_threshold": 2, **request.param}


def test_it_opens_refuses_probes_and_closes_in_every_way(run, options, clock):
    breaker = CircuitBreaker("payments", recovery_timeout=30.0, clock=clock, **options)

    for _ in range(2):
        with pytest.raises(OSError):
            run(breaker, fail)
    assert breaker.state is OPEN
    with pytest.raises(CircuitOpenError):
        run(breaker, lambda: "never")
    clock.advance(30.0)
    assert breaker.state is HALF_OPEN
    assert run(breaker, lambda: "well") == "well"

    assert breaker.state is CLOSED


def test_a_failed_probe_reopens_in_every_way(run, options, clock):
    breaker = CircuitBreaker("payments", recovery_timeout=30.0, clock=clock, **options)
    for _ in range(2):
        with pytest.raises(OSError):
            run(breaker, fail)
    clock.advance(30.0)

    with pytest.raises(OSError):
        run(breaker, fail)

    assert breaker.snapshot().retry_after == 30.0


def test_good_calls_pass_in_every_way(run, options, clock):
    breaker = CircuitBreaker("payments", clock=clock, **options)

    assert [run(breaker, lambda: 7) for _ in range(5)] == [7] * 5
    assert (breaker.state, breaker.snapshot().streak) == (CLOSED, 0)


def test_an_answer_that_is_an_error_is_a_success_in_every_way(run, clock):
    breaker = CircuitBreaker("payments", failure_threshold=2, clock=clock)

    def missing():
        raise ResourceNotFoundError(resource="order")

    for function in (fail, missing, fail):
        with pytest.raises((OSError, ResourceNotFoundError)):
            run(breaker, function)

    assert breaker.state is CLOSED


def test_cancellation_gives_the_probe_permit_back_in_every_way(run, clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    clock.advance(30.0)

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(breaker, interrupted)

    assert (breaker.state, breaker.snapshot().probes) == (HALF_OPEN, 0)
    assert run(breaker, lambda: "well") == "well"


async def test_cancelling_a_task_during_its_probe_gives_the_permit_back(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    clock.advance(30.0)
    started = asyncio.Event()

    @breaker
    async def hang():
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await started.wait()
    with pytest.raises(CircuitOpenError):
        await breaker.acall(hang)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (breaker.state, breaker.snapshot().probes) == (HALF_OPEN, 0)


async def test_closing_a_coroutine_during_its_probe_gives_the_permit_back(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    clock.advance(30.0)

    async def hang():
        await asyncio.Event().wait()

    coroutine = breaker.acall(hang)
    coroutine.send(None)
    coroutine.close()

    assert breaker.snapshot().probes == 0


def test_a_refused_result_is_a_failure(clock):
    breaker = CircuitBreaker("mail", failure_threshold=2, failure_result=lambda r: r == "bad", clock=clock)
    send = breaker(lambda: "bad")

    assert [send(), send()] == ["bad", "bad"]
    assert breaker.state is OPEN


@pytest.mark.parametrize("option", ["failure_result", "record", "ignore"])
def test_a_predicate_that_raises_keeps_no_permit(option, clock):
    def broken(_):
        raise ZeroDivisionError

    breaker = CircuitBreaker("mail", failure_threshold=1, clock=clock, **{option: broken})
    breaker.force_open()
    breaker._machine.force(BreakerMode.AUTO, "x")
    breaker._machine.failure(breaker._machine.window, clock())
    breaker._refresh()
    clock.advance(30.0)

    with pytest.raises(ZeroDivisionError):
        breaker.call((lambda: 1) if option == "failure_result" else fail)

    assert breaker.snapshot().probes == 0


@pytest.mark.parametrize("fast", [True, False])
def test_slow_calls_open(fast, clock):
    breaker = CircuitBreaker(
        "search", slow_call_seconds=1.0, slow_call_rate=0.5, minimum_calls=4, window_calls=4, clock=clock
    )

    @breaker
    def search(seconds):
        clock.advance(seconds)

    for seconds in (0.1, 1.0, 0.1, 1.0):
        search(seconds)

    assert breaker.state is OPEN
    assert breaker.snapshot().reason == "2 of 4 calls were slow"


async def test_async_calls_are_timed_too(clock):
    breaker = CircuitBreaker("search", slow_call_seconds=1.0, minimum_calls=1, clock=clock)

    async def search():
        clock.advance(2.0)

    await breaker.acall(search)

    assert breaker.state is OPEN


# --- refusals ---------------------------------------------------------------------------------


def test_a_refusal_says_why_and_how_long(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    clock.advance(17.5)

    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(fail)

    error = caught.value
    assert str(error) == "circuit 'payments' is open (5 failures in a row): next try in 12.5 s"
    assert error.retry_after == 12.5
    assert error.headers == {"Retry-After": "13"}
    assert error.details == {"breaker": "payments", "state": "OPEN", "retry_after": 13}


def test_a_refusal_while_a_probe_is_out_says_so(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    clock.advance(30.0)
    breaker.acquire()

    with pytest.raises(CircuitOpenError, match="half-open: its probes are out") as caught:
        breaker.call(fail)

    assert caught.value.details["state"] == "HALF_OPEN"


def test_a_refusal_of_a_forced_breaker_names_the_way_out():
    breaker = CircuitBreaker("payments")
    breaker.force_open()

    with pytest.raises(CircuitOpenError, match=r"forced open: no call passes until reset\(\)"):
        breaker.call(fail)


def test_the_function_is_not_called_while_open(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    calls = []

    with pytest.raises(CircuitOpenError):
        breaker(calls.append)(1)

    assert calls == []


def test_a_recovering_dependency_is_called_once_per_call(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    clock.advance(30.0)
    calls = []

    breaker.call(calls.append, 1)

    assert calls == [1]


# --- by hand -------------------------------------------------------------------------------------


def test_operators_force_disable_watch_and_reset(clock):
    breaker = CircuitBreaker("payments", failure_threshold=1, clock=clock)

    breaker.force_closed()
    trip(breaker, 3)
    assert (breaker.state, breaker.mode) == (CLOSED, BreakerMode.FORCED_CLOSED)
    breaker.disable()
    trip(breaker, 3)
    assert breaker.snapshot().streak == 0
    breaker.metrics_only()
    trip(breaker, 3)
    assert breaker.state is OPEN
    breaker.reset()
    assert (breaker.state, breaker.mode) == (CLOSED, BreakerMode.AUTO)


def test_a_forced_breaker_does_not_recover_by_itself(clock):
    breaker = CircuitBreaker("payments", clock=clock)
    breaker.force_open()
    clock.advance(1e6)

    assert breaker.state is OPEN


def test_the_repr_shows_state_and_mode():
    breaker = CircuitBreaker("payments")
    assert repr(breaker) == "<CircuitBreaker 'payments' CLOSED>"

    breaker.force_open()

    assert repr(breaker) == "<CircuitBreaker 'payments' OPEN, FORCED_OPEN>"


# --- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_breaker_needs_a_name(name):
    with pytest.raises(InvalidArgumentError, match="name of its dependency"):
        CircuitBreaker(name)


def test_an_unknown_option_is_refused_with_the_known_ones():
    with pytest.raises(
        InvalidArgumentError, match=r"unknown breaker option fail_max \(known: failure_threshold"
    ):
        CircuitBreaker("payments", fail_max=5)


def test_a_ready_configuration_is_shared():
    config = BreakerConfig(failure_threshold=1)

    assert CircuitBreaker("a", config=config).config is CircuitBreaker("b", config=config).config is config


def generator():
    yield


async def async_generator():
    yield


@pytest.mark.parametrize("wrong", [generator, async_generator])
def test_generators_are_refused_clearly(wrong):
    with pytest.raises(UnsupportedCallableError, match="body runs after the call has returned"):
        CircuitBreaker("payments")(wrong)


async def test_a_coroutine_given_to_the_synchronous_call_is_refused_and_closed():
    async def fetch(): ...

    breaker = CircuitBreaker("payments")

    with pytest.raises(UnsupportedCallableError, match=r"breaker.acall"):
        breaker.call(fetch)
    with pytest.raises(UnsupportedCallableError, match="async def"):
        breaker(lambda: fetch())()


# --- blocks ---------------------------------------------------------------------------------------


def test_blocks_of_one_breaker_nest(clock):
    breaker = CircuitBreaker("payments", failure_threshold=1, clock=clock)

    with pytest.raises(OSError), breaker, breaker:
        raise OSError

    assert breaker.snapshot().failures == 1


async def test_blocks_of_parallel_tasks_do_not_mix(clock):
    breaker = CircuitBreaker("payments", failure_threshold=1, clock=clock)
    inside, go = asyncio.Event(), asyncio.Event()

    async def early():
        async with breaker:
            inside.set()
            await go.wait()

    task = asyncio.create_task(early())
    await inside.wait()
    with pytest.raises(OSError):
        async with breaker:
            raise OSError
    go.set()
    await task

    assert breaker.state is OPEN


def test_a_suspended_generator_may_hold_a_block_of_another_breaker(clock):
    outer, inner = (CircuitBreaker(name, failure_threshold=1, clock=clock) for name in ("a", "b"))

    def held():
        with inner:
            yield

    suspended = held()
    with pytest.raises(OSError), outer:
        next(suspended)
        raise OSError
    suspended.close()

    assert (outer.state, inner.state) == (OPEN, CLOSED)


def test_a_block_left_in_another_context_still_counts(clock):
    import contextvars

    breaker = CircuitBreaker("payments", failure_threshold=1, clock=clock)
    contextvars.copy_context().run(breaker.__enter__)

    contextvars.copy_context().run(breaker.__exit__, OSError, OSError("down"), None)

    assert breaker.state is OPEN


# --- events and locks ----------------------------------------------------------------------------------


def test_transitions_are_told_with_their_reason(clock):
    heard = []
    breaker = CircuitBreaker("payments", failure_threshold=1, clock=clock, listeners=[heard.append])

    trip(breaker)
    clock.advance(30.0)
    breaker.call(int)

    assert heard == [
        BreakerTransition("payments", CLOSED, OPEN, "1 failure in a row", 1),
        BreakerTransition("payments", OPEN, HALF_OPEN, "time to probe", 2),
        BreakerTransition("payments", HALF_OPEN, CLOSED, "1 probe succeeded", 3),
    ]


def test_events_go_to_the_current_runtime_unless_told_otherwise(clock):
    own, heard, runtime_heard = Events(), [], []
    own.subscribe(CallRejected, heard.append)
    runtime = Runtime("test")
    runtime.events.subscribe(CallRejected, runtime_heard.append)

    with use(runtime):
        for events in (own, None):
            breaker = trip(CircuitBreaker("payments", clock=clock, events=events))
            with pytest.raises(CircuitOpenError):
                breaker.call(fail)

    assert heard == runtime_heard == [CallRejected("payments", 30.0)]
    runtime.close()


def test_no_lock_is_held_while_a_listener_or_the_call_runs(clock):
    """Another thread can use the breaker in the middle of both."""
    seen = []

    def look(*_):
        thread = threading.Thread(target=lambda: seen.append(breaker.snapshot().state))
        thread.start()
        thread.join(5)
        assert not thread.is_alive()

    breaker = CircuitBreaker("payments", failure_threshold=1, clock=clock, listeners=[look])

    trip(breaker)
    clock.advance(30.0)
    breaker.call(look)

    assert seen == [OPEN, HALF_OPEN, HALF_OPEN, CLOSED]


def test_a_listener_may_use_the_breaker_and_may_fail(clock, caplog):
    def listener(event):
        breaker.snapshot()
        raise ZeroDivisionError

    breaker = CircuitBreaker("payments", failure_threshold=1, clock=clock, listeners=[listener])

    trip(breaker)

    assert breaker.state is OPEN
    assert "listener failed" in caplog.text


# --- threads, forks, memory ---------------------------------------------------------------------------------


def test_8_threads_at_a_half_open_breaker_get_exactly_the_permits(clock):
    breaker = CircuitBreaker(
        "payments", failure_threshold=1, half_open_max_calls=2, success_threshold=2, clock=clock
    )
    barrier, lock = threading.Barrier(8, timeout=30), threading.Lock()
    rounds, probes, refused = 200, [0] * 200, [0] * 200
    release = [threading.Event() for _ in range(rounds)]

    def attempt(number):
        def probe():
            with lock:
                probes[number] += 1
            release[number].wait(30)

        try:
            breaker.call(probe)
        except CircuitOpenError:
            with lock:
                refused[number] += 1
                if refused[number] == 6:
                    release[number].set()

    def work():
        for number in range(rounds):
            if barrier.wait() == 0:
                breaker.reset()
                trip(breaker)
                clock.advance(30.0)
            barrier.wait()
            attempt(number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert probes == [2] * rounds
    assert refused == [6] * rounds


def test_no_failure_is_lost_among_threads(clock):
    breaker = CircuitBreaker("payments", failure_threshold=10**9, clock=clock)
    guarded = breaker(fail)

    def work():
        for _ in range(1000):
            try:
                guarded()
            except OSError:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert breaker.snapshot().failures == 8000


def in_child(check):
    """Run *check* in a forked child and return its exit code."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12+: fork in a process with threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if check() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_keeps_the_state_and_is_not_stuck_on_a_lock(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    locked, done = threading.Event(), threading.Event()

    def hold():
        with breaker._lock:
            locked.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait(30)
    try:
        code = in_child(lambda: breaker.snapshot().state is OPEN)
    finally:
        done.set()
        thread.join()

    assert code == 0


def test_a_forked_child_counts_from_zero_and_the_parent_goes_on(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    before = breaker.snapshot()

    def check():
        mine = breaker.snapshot()
        return mine.state is OPEN and (mine.failures, mine.rejections, mine.openings) == (0, 0, 0)

    assert in_child(check) == 0
    assert breaker.snapshot() == before
    assert before.failures > 0


def test_a_forked_child_forgets_the_probes_of_the_parents_threads(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    clock.advance(30.0)
    breaker.acquire()

    assert in_child(lambda: breaker.call(lambda: "well") == "well") == 0
    assert breaker.snapshot().probes == 1


def test_a_breaker_takes_at_most_1_kb():
    CircuitBreaker("warm-up")
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        breakers = [CircuitBreaker(f"dependency-{n}") for n in range(200)]
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert used / len(breakers) <= 1024


def test_breakers_are_found_by_name_while_they_live():
    breaker = CircuitBreaker("found-by-name")

    assert breakers_named("found-by-name") == [breaker]
    del breaker
    gc.collect()
    assert breakers_named("found-by-name") == []


def test_a_refusal_crosses_processes(clock):
    breaker = trip(CircuitBreaker("payments", clock=clock))
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(fail)

    twin = pickle.loads(pickle.dumps(copy.copy(caught.value)))

    assert (str(twin), twin.retry_after) == (str(caught.value), 30.0)


def test_typed_options_are_the_fields_of_the_configuration():
    import dataclasses
    import inspect
    from typing import get_type_hints

    from shared.resilience._config import BreakerOptions

    named = set(inspect.signature(CircuitBreaker).parameters)
    fields = {field.name for field in dataclasses.fields(BreakerConfig) if field.init}

    assert set(get_type_hints(BreakerOptions)) == fields - named
