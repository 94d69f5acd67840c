"""A runtime closes what it built: last first, all of it, and says what failed."""

import asyncio
import gc
import warnings

import pytest

from shared.errors import ConfigurationError
from shared.runtime import Runtime


class Resource:
    def __init__(self, name, log, error=None):
        self.name, self.log, self.error = name, log, error

    def note(self):
        self.log.append(self.name)
        if self.error:
            raise self.error


class Sync(Resource):
    def close(self):
        self.note()


class Async(Resource):
    async def aclose(self):
        await asyncio.sleep(0)
        self.note()


class AsyncClose(Resource):
    async def close(self):
        self.note()


class Both(Sync):
    async def aclose(self):
        self.log.append(f"a{self.name}")


def build(runtime, *resources):
    for resource in resources:
        runtime.get(type(resource.name, (), {}), lambda _, made=resource: made)


def test_close_closes_in_reverse_order_of_building():
    runtime, log = Runtime(), []
    runtime.provide(str, lambda rt: (rt.get(int), Sync("user", log))[1])
    runtime.provide(int, lambda _: Sync("used", log))
    runtime.get(str)

    runtime.close()

    assert log == ["user", "used"]


def test_close_tries_everything_and_tells_all_failures():
    runtime, log = Runtime("test"), []
    errors = [OSError("one"), ValueError("two")]
    build(runtime, Sync("a", log, errors[0]), Sync("b", log), Sync("c", log, errors[1]))

    with pytest.raises(ExceptionGroup, match="closing runtime 'test' failed") as caught:
        runtime.close()

    assert log == ["c", "b", "a"]
    assert list(caught.value.exceptions) == [errors[1], errors[0]]


def test_close_twice_closes_once():
    runtime, log = Runtime(), []
    build(runtime, Sync("a", log))

    runtime.close()
    runtime.close()

    assert log == ["a"]


def test_close_passes_over_what_has_nothing_to_close():
    runtime = Runtime()
    runtime.get(int, lambda _: 7)

    runtime.close()

    assert runtime.closed


@pytest.mark.parametrize("cls", [Async, AsyncClose])
async def test_close_leaves_what_needs_an_await_to_aclose(cls):
    runtime, log = Runtime(), []
    build(runtime, cls("a", log), Sync("s", log))

    with pytest.warns(ResourceWarning, match=f"{cls.__name__} can only be closed by await runtime.aclose"):
        runtime.close()
    await runtime.aclose()

    assert log == ["s", "a"]


async def test_close_closes_the_rest_although_the_warning_is_an_error():
    runtime, log = Runtime(), []
    build(runtime, Sync("s", log), Async("a", log))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ResourceWarning):
            runtime.close()

    assert log == ["s"]
    await runtime.aclose()


async def test_aclose_awaits_what_needs_it_and_prefers_aclose():
    runtime, log = Runtime(), []
    build(runtime, Sync("s", log), Async("a", log), Both("b", log), AsyncClose("c", log))
    runtime.get(int, lambda _: 7)

    await runtime.aclose()

    assert log == ["c", "ab", "a", "s"]


async def test_aclose_tells_all_failures():
    runtime, log = Runtime(), []
    build(runtime, Async("a", log, OSError("one")), Sync("b", log, ValueError("two")))

    with pytest.raises(ExceptionGroup) as caught:
        await runtime.aclose()

    assert [str(error) for error in caught.value.exceptions] == ["two", "one"]


async def test_aclose_that_is_cancelled_can_be_finished():
    runtime, log = Runtime(), []

    class Stuck(Resource):
        async def aclose(self):
            await asyncio.Event().wait()

    build(runtime, Sync("a", log), Stuck("b", log))
    task = asyncio.create_task(runtime.aclose())
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await runtime.aclose()

    assert log == ["a"]


async def test_close_that_is_interrupted_can_be_finished():
    runtime, log = Runtime(), []
    build(runtime, Sync("a", log), Sync("b", log, KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        runtime.close()
    await runtime.aclose()

    assert log == ["b", "a"]


def test_a_closed_runtime_refuses_new_builds():
    runtime = Runtime("test")
    runtime.close()

    with pytest.raises(ConfigurationError, match="runtime 'test' is closed: int is no longer available"):
        runtime.get(int, lambda _: 7)


def test_a_closed_runtime_refuses_a_replacement():
    runtime = Runtime()
    runtime.close()

    with pytest.raises(ConfigurationError, match="closed"):
        runtime.replace(int, 7)


@pytest.mark.parametrize("error", [None, OSError("close failed")], ids=["closes", "fails"])
def test_what_is_built_while_the_runtime_closes_is_closed_too(error):
    runtime, log = Runtime(), []

    def factory(rt):
        rt.close()
        return Sync("late", log, error)

    with pytest.raises(ConfigurationError, match="closed"):
        runtime.get(int, factory)

    assert log == ["late"]


async def test_what_is_built_late_and_needs_an_await_is_left_to_aclose():
    runtime, log = Runtime(), []

    def factory(rt):
        rt.close()
        return Async("late", log)

    with pytest.raises(ConfigurationError), pytest.warns(ResourceWarning, match="Async"):
        runtime.get(int, factory)
    await runtime.aclose()

    assert log == ["late"]


def test_a_dropped_runtime_that_owns_resources_warns():
    runtime = Runtime("orders")
    build(runtime, Sync("a", []))

    with pytest.warns(ResourceWarning, match="unclosed runtime 'orders' owns: Sync"):
        runtime = None


def test_a_dropped_runtime_whose_aclose_was_forgotten_warns():
    runtime = Runtime("orders")
    build(runtime, Async("a", []))

    with pytest.warns(ResourceWarning, match="can only be closed by await"):
        runtime.close()

    with pytest.warns(ResourceWarning, match="unclosed runtime 'orders' owns: Async"):
        runtime = None


def test_a_dropped_runtime_without_resources_is_silent():
    runtime = Runtime()
    runtime.get(int, lambda _: 7)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del runtime
        gc.collect()

    assert caught == []


def test_the_runtime_does_not_close_an_override():
    runtime, log = Runtime(), []

    with runtime.override(int, Sync("fake", log)):
        runtime.close()

    assert log == []
