"""The container: built once, overridden per task."""

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context

import pytest

from shared.context import with_context
from shared.errors import ConfigurationError
from shared.runtime import Runtime
from shared.runtime._runtime import _overrides

WAIT = 10.0  # seconds; a bound, never slept through


class Mailer:
    pass


class Clerk:
    pass


@pytest.fixture
def runtime():
    made = Runtime("test")
    yield made
    made.close()


def test_get_builds_lazily_and_once(runtime):
    built = []
    runtime.provide(Mailer, lambda rt: built.append(rt) or Mailer())
    before = list(built)

    first, second = runtime.get(Mailer), runtime.get(Mailer)

    assert (before, built) == ([], [runtime])
    assert first is second


def test_get_uses_the_fallback_only_when_nothing_is_provided(runtime):
    runtime.provide(str, lambda _: "provided")

    assert (runtime.get(str, lambda _: "fallback"), runtime.get(int, lambda _: 5)) == ("provided", 5)


@pytest.mark.parametrize("value", [0, "", None, False], ids=repr)
def test_get_keeps_a_falsy_instance(runtime, value):
    calls = []

    for _ in range(2):
        runtime.get(object, lambda _: calls.append(1) or value)

    assert len(calls) == 1


def test_get_says_what_to_do_when_nothing_provides_the_key(runtime):
    with pytest.raises(ConfigurationError) as caught:
        runtime.get(Mailer)

    assert str(caught.value) == (
        "nothing provides Mailer in runtime 'test': "
        "call install(app) or worker(), or runtime.provide(Mailer, factory)"
    )


def test_provide_replaces_the_factory_but_not_the_instance(runtime):
    runtime.provide(int, lambda _: 1)
    runtime.get(int)

    runtime.provide(int, lambda _: 2)

    assert runtime.get(int) == 1


def test_replace_returns_the_old_instance(runtime):
    runtime.get(int, lambda _: 1)

    assert (runtime.replace(int, 2), runtime.get(int), runtime.replace(str, "new")) == (1, 2, None)


@pytest.mark.parametrize("value", [0, "", None, False], ids=repr)
def test_find_returns_a_falsy_instance_and_override(runtime, value):
    runtime.get(object, lambda _: value)

    with runtime.override(int, value):
        found = runtime.find(int)

    assert (runtime.find(object), found) == (value, value)


def test_find_prefers_an_override_of_none_over_the_instance(runtime):
    runtime.get(int, lambda _: 7)

    with runtime.override(int, None):
        assert runtime.find(int) is None


def test_find_builds_nothing(runtime):
    runtime.provide(Mailer, lambda _: pytest.fail("built"))

    assert runtime.find(Mailer) is None


def test_a_failing_factory_is_tried_again_by_the_next_caller(runtime):
    answers = iter([RuntimeError("first"), "second"])

    def factory(_):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(RuntimeError, match="first"):
        runtime.get(str, factory)

    assert runtime.get(str, factory) == "second"


# --- threads ---------------------------------------------------------------------


def test_get_builds_once_under_32_threads(runtime):
    barrier, built = threading.Barrier(32), []

    def factory(_):
        built.append(1)
        return Mailer()

    def work(_):
        barrier.wait(WAIT)
        return runtime.get(Mailer, factory)

    with ThreadPoolExecutor(32) as pool:
        found = set(pool.map(work, range(32)))

    assert (len(built), len(found)) == (1, 1)


def test_a_slow_factory_does_not_keep_other_threads_from_other_keys(runtime):
    started, release = threading.Event(), threading.Event()

    def slow(_):
        started.set()
        assert release.wait(WAIT)
        return "slow"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(runtime.get, str, slow)
        started.wait(WAIT)

        second = pool.submit(runtime.get, int, lambda _: 7).result(WAIT)

        release.set()
        assert (second, first.result(WAIT)) == (7, "slow")


def test_a_factory_may_wait_for_a_thread_that_needs_the_runtime(runtime):
    def factory(rt):
        with ThreadPoolExecutor(1) as pool:
            return f"needs {pool.submit(rt.get, int, lambda _: 7).result(WAIT)}"

    assert runtime.get(str, factory) == "needs 7"


def test_waiting_threads_try_themselves_when_the_factory_fails(runtime):
    started, release = threading.Event(), threading.Event()
    calls = []

    def factory(_):
        calls.append(1)
        if len(calls) == 1:
            started.set()
            release.wait(WAIT)
            raise RuntimeError("first")
        return "second"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(runtime.get, str, factory)
        started.wait(WAIT)
        second = pool.submit(runtime.get, str, factory)
        release.set()

        assert isinstance(first.exception(WAIT), RuntimeError)
        assert second.result(WAIT) == "second"


def test_a_circle_in_one_thread_is_an_error_that_shows_it(runtime):
    runtime.provide(Mailer, lambda rt: rt.get(Clerk))
    runtime.provide(Clerk, lambda rt: rt.get(Mailer))

    with pytest.raises(ConfigurationError, match="in a circle: Mailer -> Clerk -> Mailer"):
        runtime.get(Mailer)


def test_a_factory_that_needs_itself_is_an_error(runtime):
    runtime.provide(Mailer, lambda rt: rt.get(Mailer))

    with pytest.raises(ConfigurationError, match="in a circle: Mailer -> Mailer"):
        runtime.get(Mailer)


def test_a_circle_across_threads_is_an_error_and_not_a_deadlock(runtime):
    both = threading.Barrier(2)
    first_time = {Mailer: True, Clerk: True}

    def needs(mine, other):
        def factory(rt):
            if first_time.pop(mine, False):
                both.wait(WAIT)
            return rt.get(other)

        return factory

    runtime.provide(Mailer, needs(Mailer, Clerk))
    runtime.provide(Clerk, needs(Clerk, Mailer))

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(runtime.get, key) for key in (Mailer, Clerk)]
        errors = [str(future.exception(WAIT)) for future in found]

    assert all("in a circle: " in error for error in errors)


def test_a_circle_is_gone_after_the_error(runtime):
    runtime.provide(Mailer, lambda rt: rt.get(Mailer))
    with pytest.raises(ConfigurationError):
        runtime.get(Mailer)

    runtime.provide(Mailer, lambda rt: Mailer())

    assert isinstance(runtime.get(Mailer), Mailer)


def test_a_signal_handler_may_use_the_runtime_it_interrupts(runtime):
    with runtime._lock:
        found = runtime.get(int, lambda _: 7)

    assert found == 7


# --- overrides -------------------------------------------------------------------


def test_override_ends_with_the_block(runtime):
    runtime.get(str, lambda _: "real")

    with runtime.override(str, "fake") as given:
        inside = runtime.get(str)

    assert (given, inside, runtime.get(str)) == ("fake", "fake", "real")


def test_override_ends_with_the_block_also_after_an_error(runtime):
    with pytest.raises(KeyError), runtime.override(str, "fake"):
        raise KeyError

    assert runtime.find(str) is None


def test_overrides_nest(runtime):
    with runtime.override(str, "a"), runtime.override(int, 1):
        with runtime.override(str, "b"):
            inner = runtime.get(str), runtime.get(int)
        outer = runtime.get(str)

    assert (inner, outer) == (("b", 1), "a")


async def test_override_is_not_seen_by_parallel_tasks(runtime):
    runtime.get(str, lambda _: "real")
    meet = asyncio.Barrier(2)

    async def seeing():
        return runtime.get(str)

    async def faking():
        with runtime.override(str, "fake"):
            await meet.wait()
            return await asyncio.create_task(seeing())

    async def plain():
        await meet.wait()
        return runtime.get(str)

    assert await asyncio.gather(faking(), plain()) == ["fake", "real"]


def test_override_is_not_seen_by_other_threads_unless_carried(runtime):
    runtime.get(str, lambda _: "real")

    with ThreadPoolExecutor(1) as pool, runtime.override(str, "fake"):
        plain = pool.submit(Context().run, runtime.get, str).result()
        carried = pool.submit(with_context(runtime.get), str).result()

    assert (plain, carried) == ("real", "fake")


def test_two_runtimes_do_not_see_each_other():
    first, second = Runtime("first"), Runtime("second")
    first.get(str, lambda _: "first")

    with first.override(int, 1):
        found = second.find(str), second.find(int), first.find(int)

    assert found == (None, None, 1)


def test_overrides_of_two_runtimes_stand_side_by_side():
    first, second = Runtime("first"), Runtime("second")

    with first.override(int, 1), second.override(int, 2):
        found = first.get(int), second.get(int)

    assert found == (1, 2)


def test_override_that_ends_in_a_copied_context_is_undone_there(runtime):
    block, entered = runtime.override(str, "fake"), Context()
    entered.run(block.__enter__)
    copied = entered.run(copy_context)

    copied.run(block.__exit__, None, None, None)

    assert copied.run(runtime.find, str) is None


def test_override_that_ends_in_a_foreign_context_changes_nothing_there(runtime):
    block, foreign = runtime.override(str, "fake"), Context()
    foreign.run(_overrides.set, {runtime: {str: "theirs"}})
    Context().run(block.__enter__)

    foreign.run(block.__exit__, None, None, None)

    assert foreign.run(runtime.find, str) == "theirs"


def test_runtimes_share_one_context_variable_and_leave_nothing_behind():
    def short_life():
        runtime = Runtime()
        with runtime.override(str, "fake"):
            runtime.get(int, lambda _: 7)
        return weakref.ref(runtime)

    def many():
        refs = [short_life() for _ in range(50)]
        gc.collect()
        return [ref() for ref in refs], len(copy_context())

    alive, variables = Context().run(many)

    assert (set(alive), variables) == ({None}, 0)


def test_repr_shows_what_is_built_in_order(runtime):
    runtime.get(int, lambda _: 7)
    runtime.get(str, lambda _: "x")

    assert repr(runtime) == "Runtime('test', built=[int, str])"
