import asyncio
import functools
import inspect

import pytest

from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.logging import capture_logs, get_logger
from shared.utils import timed


class Clock:
    """Gives the seconds told; every reading takes one."""

    def __init__(self, step: float = 1.0) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def events():
    with capture_logs() as captured:
        yield captured


def fields(event):
    return {key: event[key] for key in ("event", "level", "name", "duration_ms", "outcome")}


def test_a_function_is_timed(events):
    @timed("sum", clock=Clock())
    def total(a, b):
        return a + b

    assert total(1, b=2) == 3
    assert [fields(event) for event in events] == [
        {"event": "timed", "level": "info", "name": "sum", "duration_ms": 1000.0, "outcome": "ok"}
    ]


def test_the_bare_decorator_takes_the_qualified_name(events):
    @timed
    def total():
        return 1

    total()

    assert events[0]["name"].endswith("test_the_bare_decorator_takes_the_qualified_name.<locals>.total")


def test_the_decorator_without_a_name_takes_the_qualified_name(events):
    @timed()
    def total():
        return 1

    total()

    assert events[0]["name"].endswith(".total")


async def test_a_coroutine_is_timed_to_its_end(events):
    @timed("work", clock=Clock())
    async def work():
        assert not events
        await asyncio.sleep(0)
        return 7

    assert inspect.iscoroutinefunction(work)
    assert await work() == 7
    assert fields(events[0])["duration_ms"] == 1000.0


async def test_calls_that_overlap_do_not_disturb_each_other(events):
    clock, gate = Clock(step=0.0), asyncio.Event()

    @timed("work", clock=clock)
    async def work(wait):
        if wait:
            await gate.wait()

    slow = asyncio.create_task(work(True))
    await asyncio.sleep(0)
    clock.now = 5.0
    await work(False)
    clock.now = 9.0
    gate.set()
    await slow

    assert [event["duration_ms"] for event in events] == [0.0, 9000.0]


def test_a_generator_is_timed_from_its_first_step_to_its_end(events):
    @timed("numbers", clock=Clock())
    def numbers():
        got = yield 1
        assert not events
        return got

    generator = numbers()
    first = next(generator)
    with pytest.raises(StopIteration) as stopped:
        generator.send("sent")

    assert (first, stopped.value.value) == (1, "sent")
    assert inspect.isgeneratorfunction(numbers)
    assert fields(events[0])["outcome"] == "ok"


def test_a_generator_closed_early_says_so(events):
    @timed("numbers")
    def numbers():
        yield 1
        yield 2

    generator = numbers()
    next(generator)
    generator.close()

    assert events[0]["outcome"] == "stopped"


async def test_an_async_generator_is_timed_and_passes_everything_through(events):
    seen = []

    @timed("rows")
    async def rows():
        seen.append((yield 1))
        try:
            yield 2
        except KeyError:
            seen.append("thrown")
        yield 3

    generator = rows()
    items = [await generator.__anext__(), await generator.asend("sent"), await generator.athrow(KeyError())]
    assert [item async for item in generator] == []

    assert inspect.isasyncgenfunction(rows)
    assert (items, seen) == ([1, 2, 3], ["sent", "thrown"])
    assert events[0]["outcome"] == "ok"


async def test_an_async_generator_closed_early_closes_the_function(events):
    closed = []

    @timed("rows")
    async def rows():
        try:
            yield 1
        finally:
            closed.append(True)

    generator = rows()
    await generator.__anext__()
    await generator.aclose()

    assert closed == [True]
    assert events[0]["outcome"] == "stopped"


async def test_an_error_inside_an_async_generator_goes_on_unchanged(events):
    @timed("rows")
    async def rows():
        yield 1
        raise KeyError("secret")

    with pytest.raises(KeyError):
        assert [item async for item in rows()]

    assert (events[0]["outcome"], events[0]["error"]) == ("error", "KeyError")


def test_an_error_goes_on_unchanged_and_only_its_type_is_logged(events):
    error = ValueError("the secret is hunter2")

    @timed("broken")
    def broken():
        raise error

    with pytest.raises(ValueError) as caught:
        broken()

    assert caught.value is error
    assert (events[0]["outcome"], events[0]["error"]) == ("error", "ValueError")
    assert "hunter2" not in repr(events)


async def test_a_cancelled_coroutine_says_so(events):
    @timed("work")
    async def work():
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert events[0]["outcome"] == "cancelled"


@pytest.mark.parametrize(
    ("slow", "level", "expected"), [(1.0, "info", "warning"), (1.5, "info", "info"), (0.5, "error", "error")]
)
def test_a_call_that_takes_as_long_as_slow_is_a_warning(events, slow, level, expected):
    with timed("block", slow=slow, level=level, clock=Clock()):
        pass

    assert events[0]["level"] == expected
    assert ("slow_after_ms" in events[0]) is (slow <= 1.0)


def test_a_block_knows_how_long_it_took(events):
    with timed("block", clock=Clock(step=0.25)) as timer:
        assert timer.seconds == 0.0

    assert timer.seconds == 0.25


def test_a_clock_that_is_set_back_gives_zero(events):
    with timed("block", clock=Clock(step=-1.0)) as timer:
        pass

    assert timer.seconds == 0.0


def test_the_line_goes_to_the_logger_given(events):
    with timed("block", logger=get_logger("orders")):
        pass

    assert events[0]["logger"] == "orders"


def test_a_partial_is_timed(events):
    assert timed(functools.partial(int, "7"))() == 7
    assert events[0]["name"] == "partial"


def test_a_method_keeps_its_name_and_its_documentation(events):
    class Service:
        @timed
        def work(self):
            """Work."""
            return self

    service = Service()

    assert service.work() is service
    assert (Service.work.__name__, Service.work.__doc__) == ("work", "Work.")


@pytest.mark.parametrize("target", [int, 7, object()])
def test_timed_refuses_what_is_no_function(target):
    with pytest.raises(UnsupportedCallableError, match="timed\\(\\) decorates functions"):
        timed("name")(target)


@pytest.mark.parametrize(
    "options", [{"level": "loud"}, {"level": None}, {"slow": -1}, {"slow": "1"}, {"slow": float("nan")}]
)
def test_timed_refuses_wrong_options(options):
    with pytest.raises(InvalidArgumentError):
        timed("name", **options)
