"""Guards by name: found when a call is made, in the runtime of the call."""

import asyncio
import gc
import threading
import weakref

import pytest

from shared.errors import CircuitOpenError, ConfigurationError, InvalidArgumentError, UnsupportedCallableError
from shared.resilience import Bulkhead, Fallback, RetryPolicy, get_breakers, get_policies, guard
from shared.resilience.testing import FlakyDependency, no_backoff
from shared.runtime import Runtime, use


@pytest.fixture
def runtime():
    runtime = Runtime("test")
    with use(runtime), no_backoff():
        yield runtime
    runtime.close()


def test_everybody_with_one_name_shares_its_breaker(runtime):
    dependency = FlakyDependency("refused")
    first, second = guard("email")(dependency), guard("email")(dependency)

    with pytest.raises((ConnectionRefusedError, CircuitOpenError)):
        first()
    with pytest.raises(CircuitOpenError):
        second()

    assert len(dependency.calls) == 3
    assert get_breakers().get("email").state == "OPEN"


async def test_async_functions_are_guarded_alike(runtime):
    dependency = FlakyDependency("refused, ok, ok")

    @guard("email")
    async def send():
        return await dependency.acall()

    assert [await send(), await send()] == ["ok", "ok"]
    assert get_breakers().get("email").snapshot().failures == 1
    assert asyncio.iscoroutinefunction(send)


def test_one_decorated_function_serves_two_runtimes(runtime):
    dependency = FlakyDependency("refused")
    guarded = guard("email", retry=None)(dependency)
    other = Runtime("other")

    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            guarded()
    with use(other):
        with pytest.raises(ConnectionRefusedError):
            guarded()
        assert get_breakers().get("email").snapshot().failures == 1
    with pytest.raises(CircuitOpenError):
        guarded()
    other.close()


async def test_one_decorated_coroutine_serves_two_runtimes(runtime):
    @guard("email")
    async def where():
        return get_breakers()

    other = Runtime("other")

    assert await where() is get_breakers()
    with use(other):
        assert await where() is get_breakers()
    assert await where() is get_breakers()
    other.close()


def test_decorating_looks_nothing_up(runtime):
    runtime.close()

    @guard("payments")
    def charge():
        return 1

    with pytest.raises(ConfigurationError, match="closed"):
        charge()


def test_options_change_the_guards_for_this_use_only(runtime):
    place = Bulkhead(3)
    changed = guard("payments", timeout=2.0, deadline=9.0, bulkhead=place, fallback=Fallback(0))

    assert changed.explain() == [
        "fallback: on Exception",
        "deadline: 9 s for all tries",
        "retry: 3 tries",
        "breaker: CLOSED",
        "bulkhead: 3 at once, 0 wait",
        "timeout: 2 s",
    ]
    assert guard("payments").explain() == ["retry: 3 tries", "breaker: CLOSED"]
    assert guard("payments", retry=None).explain() == ["breaker: CLOSED"]
    assert changed.policy.breaker is get_policies().get("payments").breaker


@pytest.mark.parametrize(
    "options", [{}, {"timeout": 5.0}, {"retry": RetryPolicy(2, on_result=lambda r: False)}]
)
def test_calls_and_blocks_go_through_the_policy(options, runtime):
    payments = guard("payments", **options)

    assert payments(max)(1, 2) == payments.call(max, 1, 2) == 2
    with pytest.raises(OSError), payments:
        raise OSError

    assert payments.policy.breaker.snapshot().failures == 1


async def test_async_calls_and_blocks_go_through_the_policy(runtime):
    payments = guard("payments", timeout=0.005)

    async def one():
        return 1

    assert await payments.acall(one) == await payments(one)() == 1
    with pytest.raises(TimeoutError):
        async with payments:
            await asyncio.Event().wait()

    assert payments.policy.breaker.snapshot().failures == 1


def test_first_calls_of_many_threads_meet_one_policy(runtime):
    guarded = guard("payments")(threading.get_ident)
    barrier, seen = threading.Barrier(8), []

    def work():
        with use(runtime):
            barrier.wait()
            seen.append(guarded())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(seen) == 8


def test_a_guard_does_not_keep_other_runtimes_alive(runtime):
    guarded = guard("payments")(lambda: 1)
    guarded()
    other = Runtime("other")
    with use(other):
        guarded()
    other.close()
    gone = weakref.ref(other)
    del other
    gc.collect()

    assert gone() is None


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_guard_needs_a_name(name):
    with pytest.raises(InvalidArgumentError):
        guard(name)


def test_generators_are_refused_when_decorated():
    def generator():
        yield

    with pytest.raises(UnsupportedCallableError):
        guard("payments")(generator)


def test_the_repr_shows_the_name():
    assert repr(guard("payments")) == "<Guard 'payments'>"
