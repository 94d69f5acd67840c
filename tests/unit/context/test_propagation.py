"""The context follows work into threads when asked."""

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.context import (
    ContextThreadPoolExecutor,
    bind,
    bound,
    bound_fields,
    get_correlation_id,
    request_context,
    with_context,
)


def test_with_context_carries_into_a_thread():
    seen = []
    with request_context(correlation_id="c"), bound(step=1):
        thread = threading.Thread(
            target=with_context(lambda: seen.append((get_correlation_id(), bound_fields())))
        )
    thread.start()
    thread.join()

    assert seen == [("c", {"step": 1})]


async def test_with_context_carries_into_run_in_executor():
    with request_context(correlation_id="c"), ThreadPoolExecutor(1) as pool:
        plain = await asyncio.get_running_loop().run_in_executor(pool, get_correlation_id)
        carried = await asyncio.get_running_loop().run_in_executor(pool, with_context(get_correlation_id))

    assert (plain, carried) == (None, "c")


async def test_the_executor_carries_into_run_in_executor():
    with request_context(correlation_id="c"), ContextThreadPoolExecutor(1) as pool:
        found = await asyncio.get_running_loop().run_in_executor(pool, get_correlation_id)

    assert found == "c"


async def test_to_thread_needs_no_help():
    with request_context(correlation_id="c"):
        assert await asyncio.to_thread(get_correlation_id) == "c"


def test_what_a_thread_binds_reaches_the_request():
    with request_context(), ContextThreadPoolExecutor(1) as pool:
        pool.submit(bind, user="ada").result()

        assert bound_fields() == {"user": "ada"}


def test_with_context_may_be_called_many_times_at_once():
    meet = threading.Barrier(4)

    def work(n):
        with bound(n=n):
            meet.wait(10)
            return bound_fields()

    with request_context(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(with_context(work), range(4)))

    assert found == [{"n": n} for n in range(4)]


def test_a_worker_thread_shows_each_task_its_own_request():
    with ContextThreadPoolExecutor(1) as pool:
        found = []
        for n in range(3):
            with request_context(correlation_id=f"c-{n}"):
                found.append(pool.submit(get_correlation_id).result())
        found.append(pool.submit(get_correlation_id).result())

    assert found == ["c-0", "c-1", "c-2", None]


def test_the_executor_maps_with_the_context():
    with request_context(correlation_id="c"), ContextThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: get_correlation_id(), range(4))) == ["c"] * 4


def test_the_executor_passes_arguments_and_errors():
    with ContextThreadPoolExecutor(1) as pool:
        assert pool.submit(int, "ff", base=16).result() == 255
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()


def test_with_context_keeps_name_and_signature():
    def work(a, *, b=1):
        """Add."""
        return a + b

    wrapped = with_context(work)

    assert (wrapped(1, b=2), wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__) == (
        3,
        "work",
        "Add.",
        work,
    )


def test_with_context_takes_any_callable():
    assert with_context(functools.partial(max, 1))(2) == 2
