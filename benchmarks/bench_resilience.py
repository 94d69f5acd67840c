"""What retries and circuit breakers cost while all is well, when they refuse, and when a call fails."""

import asyncio
import contextlib
import gc
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial, wraps
from typing import Any

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check, looped

Function = Callable[..., Any]
Make = Callable[[Function], Function]
THREADS = 8


def work(value: int) -> int:
    return value


async def awork(value: int) -> int:
    return value


def fail(_value: int) -> int:
    raise OSError


# --- ways to guard a function -------------------------------------------------------------


def bare(function: Function) -> Function:
    return function


def wrapper(function: Function) -> Function:
    """The least any decorator costs."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def awrapper(function: Function) -> Function:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return call


def our_retry(function: Function) -> Function:
    from shared.resilience import RetryBudget, retry

    return retry(max_attempts=3, delay=0.0, budget=RetryBudget())(function)


def our_breaker(function: Function, **options: Any) -> Function:
    from shared.resilience import CircuitBreaker

    return CircuitBreaker("bench", **options)(function)


def our_policy(function: Function) -> Function:
    from shared.resilience import CircuitBreaker, Policy, RetryBudget, RetryPolicy

    retry = RetryPolicy(max_attempts=3, delay=0.0, budget=RetryBudget())
    return Policy("bench", retry=retry, breaker=CircuitBreaker("bench"))(function)


def our_stack(function: Function) -> Function:
    """The two decorators, one over the other."""
    return our_retry(our_breaker(function))


def our_guard(function: Function) -> Function:
    from shared.resilience import guard

    return guard("bench")(function)


def our_block(function: Function) -> Function:
    from shared.resilience import CircuitBreaker

    breaker = CircuitBreaker("bench")

    def call(value: int) -> Any:
        with breaker:
            return function(value)

    return call


def tenacity_retry(function: Function) -> Function:
    import tenacity

    return tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True)(function)


def stamina_retry(function: Function) -> Function:
    import stamina

    return stamina.retry(on=Exception, attempts=3)(function)


def backoff_retry(function: Function) -> Function:
    import backoff

    return backoff.on_exception(backoff.expo, Exception, max_tries=3)(function)


def hyx_retry(function: Function) -> Function:
    from hyx.retry import retry

    return retry(on=Exception, attempts=3)(function)


def pybreaker_breaker(function: Function) -> Function:
    import pybreaker

    return pybreaker.CircuitBreaker(fail_max=5, reset_timeout=3600)(function)


def circuitbreaker_breaker(function: Function) -> Function:
    from circuitbreaker import CircuitBreaker

    return CircuitBreaker(failure_threshold=5, recovery_timeout=3600)(function)


def purgatory_breaker(function: Function) -> Function:
    from purgatory import SyncCircuitBreakerFactory

    return SyncCircuitBreakerFactory(default_threshold=5, default_ttl=3600)("bench")(function)


def purgatory_abreaker(function: Function) -> Function:
    from purgatory import AsyncCircuitBreakerFactory

    return AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=3600)("bench")(function)


def aiobreaker_breaker(function: Function) -> Function:
    from aiobreaker import CircuitBreaker

    return CircuitBreaker(fail_max=5, timeout_duration=timedelta(hours=1))(function)


def hyx_breaker(function: Function) -> Function:
    from hyx.circuitbreaker import consecutive_breaker

    return consecutive_breaker(failure_threshold=5, recovery_time_secs=3600)(function)


def interlock_breaker(function: Function) -> Function:
    import interlock

    return interlock.CircuitBreaker(name="bench")(function)


def tenacity_over_pybreaker(function: Function) -> Function:
    return tenacity_retry(pybreaker_breaker(function))


def tenacity_over_aiobreaker(function: Function) -> Function:
    return tenacity_retry(aiobreaker_breaker(function))


# --- jobs -----------------------------------------------------------------------------------


@contextlib.contextmanager
def passing(make: Make) -> Iterator[Run]:
    """A call that answers."""
    guarded = make(work)
    check(guarded(7) == 7, "the answer is wrong")
    yield looped(partial(guarded, 7))


@contextlib.contextmanager
def apassing(make: Make) -> Iterator[Run]:
    """An awaited call that answers."""
    guarded = make(awork)
    loop = asyncio.new_event_loop()

    async def repeat(loops: int) -> None:
        for _ in range(loops):
            await guarded(7)

    try:
        check(loop.run_until_complete(guarded(7)) == 7, "the answer is wrong")
        yield lambda loops: loop.run_until_complete(repeat(loops))
    finally:
        loop.close()


def _refuses(guarded: Function) -> bool:
    try:
        guarded(7)
    except OSError:
        return False
    except Exception:  # noqa: BLE001 - each peer has its own
        return True
    return False


@contextlib.contextmanager
def refusing(make: Make) -> Iterator[Run]:
    """A call that an open breaker refuses, caught by the caller; the floor raises by itself."""
    guarded = make(fail)
    if make is not bare:
        for _ in range(40):
            with contextlib.suppress(Exception):
                guarded(7)
        check(_refuses(guarded), "the breaker let a call pass")

    def operation() -> None:
        try:
            guarded(7)
        except Exception:  # noqa: BLE001 - each peer has its own
            return

    yield looped(operation)


@contextlib.contextmanager
def failing(make: Make) -> Iterator[Run]:
    """A call that fails and is not worth a retry, caught by the caller."""
    guarded = make(fail)

    def operation() -> None:
        try:
            guarded(7)
        except OSError:
            return
        raise AssertionError("no error left")

    yield looped(operation)


@contextlib.contextmanager
def recovering(make: Make) -> Iterator[Run]:
    """A call that fails twice and answers the third time, without waits in between."""
    calls = 0

    def flaky(value: int) -> int:
        nonlocal calls
        calls += 1
        if calls % 3:
            raise OSError
        return value

    guarded = make(flaky)
    check(guarded(7) == 7 and calls == 3, "there were not three tries")
    yield looped(partial(guarded, 7))


@contextlib.contextmanager
def threaded(make: Make) -> Iterator[Run]:
    """Eight threads through one guard; the CPU time of all of them for one call."""
    guarded = make(work)

    def run(loops: int) -> tuple[float, ...]:
        each, spent = max(1, loops // THREADS), []
        gate = threading.Barrier(THREADS)

        def calls() -> None:
            gate.wait()
            before = time.thread_time()
            for _ in range(each):
                guarded(7)
            spent.append(time.thread_time() - before)

        threads = [threading.Thread(target=calls) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (sum(spent) / (each * THREADS),)

    yield run


@contextlib.contextmanager
def sized(make: Callable[[], Any]) -> Iterator[Run]:
    """The memory of one breaker; a byte is shown as a microsecond."""
    keep = [make() for _ in range(50)]

    def run(_loops: int) -> tuple[float, ...]:
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            made = [make() for _ in range(200)]
            used = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        del made
        return (used / 200 * 1e-6,)

    yield run
    del keep


def never_retried(function: Function) -> Function:
    from shared.resilience import CircuitBreaker, Policy, RetryPolicy

    breaker = CircuitBreaker("bench", failure_threshold=10**9)
    return Policy("bench", retry=RetryPolicy(on=KeyError), breaker=breaker)(function)


def tenacity_never(function: Function) -> Function:
    import tenacity

    return tenacity.retry(retry=tenacity.retry_if_exception_type(KeyError), reraise=True)(function)


def by_hand(function: Function) -> Function:
    """The loop one would write."""

    def call(value: int) -> Any:
        for attempt in range(3):
            try:
                return function(value)
            except OSError:
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    return call


def our_tries(function: Function) -> Function:
    from shared.resilience import retry

    return retry(max_attempts=3, delay=0.0, sleep=_no_wait)(function)


def tenacity_tries(function: Function) -> Function:
    import tenacity

    return tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True, sleep=_no_wait)(function)


def _no_wait(_seconds: float) -> None:
    pass


def our_object() -> Any:
    from shared.resilience import CircuitBreaker

    return CircuitBreaker("bench")


def pybreaker_object() -> Any:
    import pybreaker

    return pybreaker.CircuitBreaker()


def circuitbreaker_object() -> Any:
    from circuitbreaker import CircuitBreaker

    return CircuitBreaker()


def aiobreaker_object() -> Any:
    from aiobreaker import CircuitBreaker

    return CircuitBreaker()


def interlock_object() -> Any:
    import interlock

    return interlock.CircuitBreaker(name="bench")


def purgatory_object() -> Any:
    from purgatory import SyncCircuitBreakerFactory

    return SyncCircuitBreakerFactory()("bench")


def hyx_object() -> Any:
    from hyx.circuitbreaker import consecutive_breaker

    return consecutive_breaker()


# --- tables -----------------------------------------------------------------------------------

Job = Callable[[Any], contextlib.AbstractContextManager[Run]]


def our_case(name: str, job: Job, make: Any) -> Case:
    return Case(name, partial(job, make), kind="ours", requires=("shared.resilience",))


def peer_case(name: str, job: Job, make: Any, *requires: str) -> Case:
    return Case(name, partial(job, make), requires=requires or (name.partition(" ")[0],))


WRAPPER = "floor: a plain wrapper"
BOTH = "ours, breaker + retry in one policy"
STACK = "tenacity over pybreaker"

SYNC = Table(
    name="guard",
    title="a good call through its guards",
    base=WRAPPER,
    cases=(
        Case("no guard", partial(passing, bare), kind="floor"),
        Case(WRAPPER, partial(passing, wrapper), kind="floor"),
        our_case("ours, retry", passing, our_retry),
        our_case("ours, breaker, failures in a row", passing, our_breaker),
        our_case("ours, breaker, rate over 100 calls", passing, partial(our_breaker, failure_rate=0.5)),
        our_case(
            "ours, breaker, rate over 30 s",
            passing,
            partial(our_breaker, failure_rate=0.5, window_seconds=30.0),
        ),
        our_case("ours, breaker, slow calls", passing, partial(our_breaker, slow_call_seconds=5.0)),
        our_case("ours, breaker as a block", passing, our_block),
        our_case(BOTH, passing, our_policy),
        our_case("ours, @retry over @breaker", passing, our_stack),
        our_case("ours, guard by name", passing, our_guard),
        peer_case("circuitbreaker", passing, circuitbreaker_breaker),
        peer_case("purgatory", passing, purgatory_breaker),
        peer_case("pybreaker", passing, pybreaker_breaker),
        peer_case("interlock", passing, interlock_breaker),
        peer_case("backoff", passing, backoff_retry),
        peer_case("stamina", passing, stamina_retry),
        peer_case("tenacity", passing, tenacity_retry),
        peer_case(STACK, passing, tenacity_over_pybreaker, "tenacity", "pybreaker"),
    ),
    goals=(
        Goal(BOTH, WRAPPER, at_most=2.0),
        Goal("ours, guard by name", WRAPPER, at_most=2.0),
        Goal(BOTH, STACK, at_least=50.0),
    ),
)

ABOTH = "ours, breaker + retry in one policy"
ASTACK = "tenacity over aiobreaker"

ASYNC = Table(
    name="guard-async",
    title="a good awaited call through its guards",
    base=WRAPPER,
    cases=(
        Case("no guard", partial(apassing, bare), kind="floor"),
        Case(WRAPPER, partial(apassing, awrapper), kind="floor"),
        our_case("ours, retry", apassing, our_retry),
        our_case("ours, breaker, failures in a row", apassing, our_breaker),
        our_case(ABOTH, apassing, our_policy),
        our_case("ours, guard by name", apassing, our_guard),
        peer_case("circuitbreaker", apassing, circuitbreaker_breaker),
        peer_case("hyx breaker", apassing, hyx_breaker),
        peer_case("hyx retry", apassing, hyx_retry),
        peer_case("aiobreaker", apassing, aiobreaker_breaker),
        peer_case("purgatory", apassing, purgatory_abreaker),
        peer_case("interlock", apassing, interlock_breaker),
        peer_case("backoff", apassing, backoff_retry),
        peer_case("stamina", apassing, stamina_retry),
        peer_case("tenacity", apassing, tenacity_retry),
        peer_case(ASTACK, apassing, tenacity_over_aiobreaker, "tenacity", "aiobreaker"),
    ),
    goals=(
        Goal(ABOTH, WRAPPER, at_most=1.5),
        Goal("ours, guard by name", WRAPPER, at_most=1.5),
        Goal(ABOTH, ASTACK, at_least=50.0),
    ),
)

REFUSED = Table(
    name="guard-open",
    title="a call that an open breaker refuses, caught",
    base="floor: raise and catch",
    cases=(
        Case("floor: raise and catch", partial(refusing, bare), kind="floor"),
        our_case("ours", refusing, our_breaker),
        peer_case("circuitbreaker", refusing, circuitbreaker_breaker),
        peer_case("purgatory", refusing, purgatory_breaker),
        peer_case("pybreaker", refusing, pybreaker_breaker),
    ),
    notes=("ours says why, how long to wait and what to answer over HTTP, and is told to listeners.",),
)

FAILED = Table(
    name="guard-failed",
    title="a call that fails and is not retried, caught",
    base="floor: raise and catch",
    cases=(
        Case("floor: raise and catch", partial(failing, bare), kind="floor"),
        our_case("ours, breaker + retry in one policy", failing, never_retried),
        peer_case("tenacity", failing, tenacity_never),
    ),
)

RETRIED = Table(
    name="guard-retried",
    title="a call that answers at the third try, without waits",
    base="floor: a loop by hand",
    cases=(
        Case("floor: a loop by hand", partial(recovering, by_hand), kind="floor"),
        our_case("ours, retry", recovering, our_tries),
        peer_case("tenacity", recovering, tenacity_tries),
    ),
    notes=("tenacity drives our tries, too; waits of a second make all of this disappear.",),
)

THREADED = Table(
    name="guard-threads",
    title=f"a good call through one guard shared by {THREADS} threads, CPU time of all",
    base=WRAPPER,
    cases=(
        Case(WRAPPER, partial(threaded, wrapper), kind="floor"),
        our_case(BOTH, threaded, our_policy),
        our_case("ours, breaker, rate over 100 calls", threaded, partial(our_breaker, failure_rate=0.5)),
        peer_case("circuitbreaker", threaded, circuitbreaker_breaker),
        peer_case("pybreaker", threaded, pybreaker_breaker),
        peer_case("purgatory", threaded, purgatory_breaker),
        peer_case("interlock", threaded, interlock_breaker),
        peer_case("backoff", threaded, backoff_retry),
        peer_case("stamina", threaded, stamina_retry),
        peer_case("tenacity", threaded, tenacity_retry),
        peer_case(STACK, threaded, tenacity_over_pybreaker, "tenacity", "pybreaker"),
    ),
    goals=(Goal(BOTH, WRAPPER, at_most=2.0),),
)

MEMORY = Table(
    name="guard-memory",
    title="the memory of one breaker, in bytes (shown as µs)",
    base="ours",
    cases=(
        our_case("ours", sized, our_object),
        peer_case("circuitbreaker", sized, circuitbreaker_object),
        peer_case("aiobreaker", sized, aiobreaker_object),
        peer_case("pybreaker", sized, pybreaker_object),
        peer_case("interlock", sized, interlock_object),
        peer_case("purgatory", sized, purgatory_object),
        peer_case("hyx", sized, hyx_object),
    ),
    rounds=(5, 2),
    notes=("one byte is shown as one microsecond; the goal is 1024, held by a unit test.",),
)

TABLES = (SYNC, ASYNC, REFUSED, FAILED, RETRIED, THREADED, MEMORY)
