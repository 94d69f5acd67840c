import asyncio
import functools
import inspect

import pytest

from shared.context import request_context
from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.monitoring import get_performance_metrics, monitor_api_call, monitor_task_execution
from shared.runtime import Runtime, use


@pytest.fixture(autouse=True)
def runtime():
    with use(Runtime("test")) as made:
        yield made
        from shared.monitoring import get_lifecycle

        get_lifecycle().drain_delay = 0.0
        made.close()


def figures(name="work", *, user=None, group="tasks"):
    found = get_performance_metrics(24, user)[group].get(name)
    return None if found is None else (found["count"], found["errors"])


# -- the documented use ----------------------------------------------------------------


def test_the_seeds_lines_work_as_written():
    @monitor_task_execution("data_processing", user_id="user-123")
    def process_data():
        return "done"

    @monitor_api_call("/users", "GET", user_id="user-123")
    def get_users():
        return ["a"]

    assert (process_data(), get_users()) == ("done", ["a"])
    assert figures("data_processing", user="user-123") == (1, 0)
    assert figures("GET /users", user="user-123", group="api_calls") == (1, 0)


def test_the_method_is_spelt_in_capitals():
    monitor_api_call("/x", "post")(lambda: None)()

    assert figures("POST /x", group="api_calls") == (1, 0)


# -- every kind of function -------------------------------------------------------------------


def test_a_function_that_fails_counts_an_error_and_raises_the_same():
    error = ValueError("boom")

    @monitor_task_execution("work")
    def fail():
        raise error

    with pytest.raises(ValueError, match="boom") as caught:
        fail()

    assert caught.value is error
    assert figures() == (1, 1)


def test_leaving_the_process_is_no_error_of_the_task():
    @monitor_task_execution("work")
    def leave():
        raise SystemExit

    with pytest.raises(SystemExit):
        leave()

    assert figures() == (1, 0)


async def test_a_coroutine_is_timed_to_its_end():
    @monitor_task_execution("work")
    async def work():
        await asyncio.sleep(0.02)
        return 7

    assert await work() == 7
    assert get_performance_metrics()["tasks"]["work"]["max"] >= 0.015


async def test_a_coroutine_that_fails_counts_an_error():
    @monitor_task_execution("work")
    async def fail():
        raise ValueError

    with pytest.raises(ValueError):
        await fail()

    assert figures() == (1, 1)


async def test_a_cancelled_coroutine_is_no_error():
    @monitor_task_execution("work")
    async def work():
        await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert figures() == (1, 0)


def test_a_generator_keeps_all_of_its_ways():
    @monitor_task_execution("work")
    def talk():
        heard = []
        try:
            while True:
                try:
                    heard.append((yield len(heard)))
                except KeyError:
                    heard.append("thrown")
                if len(heard) == 3:
                    return heard
        finally:
            heard.append("closed")

    def outer():
        return (yield from talk())

    talking = outer()
    seen = [next(talking), talking.send("a"), talking.throw(KeyError)]
    with pytest.raises(StopIteration) as end:
        talking.send("b")

    assert (seen, end.value.value) == ([0, 1, 2], ["a", "thrown", "b", "closed"])
    assert figures() == (1, 0)


def test_a_generator_that_is_closed_early_is_no_error():
    @monitor_task_execution("work")
    def count():
        yield from range(10)

    numbers = count()
    next(numbers)
    numbers.close()

    assert figures() == (1, 0)


def test_a_generator_nobody_starts_is_not_counted():
    @monitor_task_execution("work")
    def count():
        yield 1

    count()

    assert figures() is None


def test_a_generator_that_fails_counts_an_error():
    @monitor_task_execution("work")
    def count():
        yield 1
        raise ValueError

    with pytest.raises(ValueError):
        list(count())

    assert figures() == (1, 1)


async def test_an_asynchronous_generator_keeps_all_of_its_ways():
    closed = []

    @monitor_task_execution("work")
    async def talk():
        heard = []
        try:
            while len(heard) < 3:
                try:
                    heard.append((yield len(heard)))
                except KeyError:
                    heard.append("thrown")
        finally:
            closed.append(heard)

    talking = talk()
    seen = [await anext(talking), await talking.asend("a"), await talking.athrow(KeyError)]
    with pytest.raises(StopAsyncIteration):
        await talking.asend("b")

    assert seen == [0, 1, 2]
    assert closed == [["a", "thrown", "b"]]
    assert figures() == (1, 0)


async def test_an_asynchronous_generator_that_is_closed_early_closes_the_inner_one():
    closed = []

    @monitor_task_execution("work")
    async def count():
        try:
            for number in range(10):
                yield number
        finally:
            closed.append(1)

    numbers = count()
    await anext(numbers)
    await numbers.aclose()

    assert closed == [1]
    assert figures() == (1, 0)


async def test_an_asynchronous_generator_that_fails_counts_an_error():
    @monitor_task_execution("work")
    async def count():
        yield 1
        raise ValueError

    with pytest.raises(ValueError):
        [each async for each in count()]

    assert figures() == (1, 1)


async def test_an_asynchronous_generator_of_nothing_is_a_success():
    @monitor_task_execution("work")
    async def nothing():
        for each in ():
            yield each

    assert [each async for each in nothing()] == []
    assert figures() == (1, 0)


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "asyncgen"])
def test_the_kind_of_the_function_and_its_name_stay(kind):
    def function(a, *, b=1):
        """Doc."""

    async def coroutine(a, *, b=1):
        """Doc."""

    def generator(a, *, b=1):
        """Doc."""
        yield

    async def asyncgen(a, *, b=1):
        """Doc."""
        yield

    original = {"function": function, "coroutine": coroutine, "generator": generator, "asyncgen": asyncgen}[
        kind
    ]

    wrapped = monitor_task_execution("work")(original)

    tests = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    assert [test(wrapped) for test in tests] == [test(original) for test in tests]
    assert (wrapped.__name__, wrapped.__doc__) == (kind, "Doc.")
    assert inspect.signature(wrapped) == inspect.signature(original)


async def test_a_partial_coroutine_is_awaited():
    async def work(a, b):
        return a + b

    assert await monitor_task_execution("work")(functools.partial(work, 1))(2) == 3
    assert figures() == (1, 0)


def test_methods_get_their_self():
    class Service:
        @monitor_task_execution("work")
        def double(self, number):
            return 2 * number

    assert Service().double(4) == 8


# -- whose run it is -----------------------------------------------------------------------------


def test_the_user_may_be_found_in_the_arguments():
    @monitor_task_execution("work", user_id=lambda order, **_: order["user"])
    def pay(order, *, fast=False):
        return fast

    pay({"user": "u-7"}, fast=True)

    assert figures(user="u-7") == (1, 0)


def test_a_user_that_cannot_be_found_does_not_fail_the_call():
    @monitor_task_execution("work", user_id=lambda: 1 / 0)
    def work():
        return "ok"

    assert work() == "ok"
    assert figures() == (1, 0)


@pytest.mark.parametrize("principal", [{"user_id": "u-5"}, type("Principal", (), {"user_id": "u-5"})()])
def test_without_a_user_the_principal_of_the_request_counts(principal):
    @monitor_task_execution("work")
    def work():
        pass

    with request_context(principal=principal):
        work()

    assert figures(user="u-5") == (1, 0)


# -- misuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: monitor_task_execution(""),
        lambda: monitor_api_call("", "GET"),
        lambda: monitor_api_call("/x", ""),
        lambda: monitor_task_execution("x", user_id=7),
    ],
)
def test_a_decorator_without_a_name_or_with_a_wrong_user_is_refused(make):
    with pytest.raises(InvalidArgumentError):
        make()


@pytest.mark.parametrize("target", [int, "text", classmethod(lambda cls: None)])
def test_what_is_no_function_is_refused(target):
    with pytest.raises(UnsupportedCallableError, match="decorate a function"):
        monitor_task_execution("work")(target)


def test_two_runtimes_count_apart():
    work = monitor_task_execution("work")(lambda: None)
    work()
    with use(Runtime("other")) as other:
        inside = figures()
        other.close()

    assert (inside, figures()) == (None, (1, 0))
