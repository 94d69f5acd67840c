"""Which runtime is in force."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context

import pytest

from shared.context import with_context
from shared.runtime import Runtime, current, enter_runtime, leave_runtime, reset_default, use


@pytest.fixture(autouse=True)
def fresh_default():
    before = reset_default()
    yield
    made = reset_default(before)
    if made is not None:
        made.close()


def test_current_makes_the_default_once_under_many_threads():
    barrier = threading.Barrier(16)

    def work(_):
        barrier.wait(10)
        return current()

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(work, range(16)))

    assert len(found) == 1


def test_use_is_in_force_inside_the_block_only():
    before = current()

    with use(Runtime("mine")) as mine:
        inside = current()

    assert (inside, current()) == (mine, before)


async def test_use_is_seen_by_tasks_started_inside_and_not_by_others():
    meet = asyncio.Barrier(2)

    async def name():
        return current().name

    async def service(label):
        with use(Runtime(label)):
            await meet.wait()
            return await asyncio.create_task(name())

    assert await asyncio.gather(service("a"), service("b")) == ["a", "b"]
    assert current().name == "default"


def test_use_reaches_a_thread_through_with_context():
    with ThreadPoolExecutor(1) as pool, use(Runtime("mine")):
        plain = pool.submit(Context().run, lambda: current().name).result()
        carried = pool.submit(with_context(lambda: current().name)).result()

    assert (plain, carried) == ("default", "mine")


def test_use_that_ends_in_a_copied_context_is_undone_there():
    block, entered = use(Runtime("mine")), Context()
    entered.run(block.__enter__)
    copied = entered.run(copy_context)

    copied.run(block.__exit__, None, None, None)

    assert copied.run(current).name == "default"


def test_use_that_ends_in_a_foreign_context_changes_nothing_there():
    block, foreign = use(Runtime("mine")), Context()
    Context().run(block.__enter__)
    foreign.run(use(Runtime("theirs")).__enter__)

    foreign.run(block.__exit__, None, None, None)

    assert foreign.run(current).name == "theirs"


def test_leave_runtime_restores_what_was_before():
    with use(Runtime("outer")):
        token = enter_runtime(Runtime("inner"))
        inside = current().name
        leave_runtime(token)

        assert (inside, current().name) == ("inner", "outer")


def test_leave_runtime_in_another_context_falls_back_to_the_default():
    token, foreign = Context().run(enter_runtime, Runtime("mine")), Context()
    foreign.run(enter_runtime, Runtime("last request"))

    foreign.run(leave_runtime, token)

    assert foreign.run(current).name == "default"


def test_reset_default_returns_the_old_one_unclosed():
    first, second = Runtime("first"), Runtime("second")
    reset_default(first)

    old = reset_default(second)

    assert (old, old.closed, current()) == (first, False, second)


def test_reset_default_without_a_runtime_makes_the_next_on_demand():
    reset_default(Runtime("first"))

    reset_default()

    assert current().name == "default"
