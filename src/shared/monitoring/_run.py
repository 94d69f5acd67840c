"""Run one check: once at a time, bounded, without harming whoever asked."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any

from shared.monitoring._check import CheckResult, HealthCheck, failure, result_of
from shared.monitoring._check_state import CheckState, Freshness


class _Flight:
    """One run of a check; everyone who needs its outcome waits for the same future."""

    __slots__ = ("alive", "future", "loop", "started_at", "task")

    def __init__(self, started_at: float) -> None:
        self.future: Future[CheckResult] = Future()
        self.future.set_running_or_notify_cancel()  # a waiter that gives up must not cancel it
        self.started_at = started_at
        self.alive = True  # the work has not ended, though its time may be up
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None

    def is_alive(self) -> bool:
        # A loop that was closed takes its tasks with it without telling anyone.
        return self.alive and not (self.loop is not None and self.loop.is_closed())


class CheckRunner:
    """A check, what is known about it, and at most one run of it at a time.

    A synchronous check runs in a daemon thread of its own, so a hung one holds
    that one thread and nobody else's; while it hangs, no second is started. An
    asynchronous check runs as a task of the event loop that asks. It runs in the
    context in which it was added, not in that of the request that asks.

    Thread-safe; no lock is held while the check runs or anybody is told.
    """

    def __init__(
        self,
        spec: HealthCheck,
        state: CheckState,
        *,
        timeout: float,
        clock: Callable[[], float],
        on_change: Callable[["CheckRunner"], None],
    ) -> None:
        self.spec = spec
        self.state = state
        self.timeout = timeout
        self._clock = clock
        self._on_change = on_change
        self._context = copy_context()
        self._is_async = _is_async(spec.check)
        self._lock = threading.Lock()
        self._flight: _Flight | None = None

    # -- asking ------------------------------------------------------------------

    def poll(self, loop: asyncio.AbstractEventLoop | None, *, here: bool) -> Future[CheckResult] | None:
        """Start a run when one is due.

        Args:
            loop: Event loop on which an asynchronous check may run, or None.
            here: Whether the caller runs on that loop.

        Returns:
            None when the last result will do, else the future to wait for.
        """
        now = self._clock()
        overdue = self._overdue(now)
        if overdue is not None:
            self.give_up(overdue)
        with self._lock:
            freshness = self.state.freshness(now)
            flight = self._flight
            if freshness is Freshness.FRESH:
                return None
            if flight is not None and flight.is_alive():
                if flight.future.done():  # its time is up and it still hangs
                    changed = self.state.record(self._hung(flight, now), now)
                    flight = None
                    start = None
                else:
                    changed, start = False, None
            else:
                changed = False
                start = flight = self._flight = _Flight(now)
        if changed:
            self._on_change(self)
        if start is not None:
            self._start(start, loop, here=here)
        if flight is None or (freshness is Freshness.STALE and not flight.future.done()):
            return None
        return flight.future

    def remaining(self) -> float:
        """Return the seconds left to the run under way, at least 0."""
        flight = self._flight
        if flight is None:
            return 0.0
        return max(0.0, flight.started_at + self.timeout - self._clock())

    def give_up(self, future: "Future[CheckResult]") -> None:
        """Record the run behind *future* as timed out, unless it has ended."""
        flight = self._flight
        if flight is None or flight.future is not future:
            return
        text = f"no answer within {self.timeout:g} s"
        self._settle(flight, failure(text, self.timeout))
        task, loop = flight.task, flight.loop
        if task is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    def _overdue(self, now: float) -> "Future[CheckResult] | None":
        flight = self._flight
        if flight is None or flight.future.done() or now - flight.started_at < self.timeout:
            return None
        return flight.future

    def _hung(self, flight: _Flight, now: float) -> CheckResult:
        age = now - flight.started_at
        return failure(f"still running after {age:.1f} s (limit {self.timeout:g} s); not started again", age)

    # -- running -----------------------------------------------------------------

    def _start(self, flight: _Flight, loop: asyncio.AbstractEventLoop | None, *, here: bool) -> None:
        if not self._is_async or loop is None:
            self._start_thread(flight, loop)
            return
        flight.loop = loop
        if here:
            self._start_task(flight, loop)
            return
        try:
            loop.call_soon_threadsafe(self._start_task, flight, loop)
        except RuntimeError:  # the loop was closed a moment ago
            flight.loop = None
            self._start_thread(flight, None)

    def _start_task(self, flight: _Flight, loop: asyncio.AbstractEventLoop) -> None:
        flight.task = loop.create_task(self._arun(flight), context=self._context.copy())
        flight.task.add_done_callback(lambda _task: self._landed(flight))

    def _start_thread(self, flight: _Flight, loop: asyncio.AbstractEventLoop | None) -> None:
        run = functools.partial(self._context.copy().run, self._run, flight, loop)
        thread = threading.Thread(target=run, name=f"shared-health-{self.spec.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:  # the process may not have more threads
            self._settle(flight, failure(exc, 0.0))
            self._landed(flight)

    def _run(self, flight: _Flight, loop: asyncio.AbstractEventLoop | None) -> None:
        try:
            outcome = self.spec.check()
            if inspect.isawaitable(outcome):
                outcome = self._wait_for(outcome, loop)
            result = result_of(outcome, self._clock() - flight.started_at)
        except BaseException as exc:  # noqa: BLE001 - whatever a check raises is its answer
            result = failure(exc, self._clock() - flight.started_at)
        self._settle(flight, result)
        self._landed(flight)

    def _wait_for(self, outcome: Any, loop: asyncio.AbstractEventLoop | None) -> Any:
        """Await in this thread: on the application's loop where there is one, else on a loop of its own."""

        async def wait() -> Any:
            async with asyncio.timeout(self.timeout):
                return await outcome

        if loop is not None and loop.is_running():
            return asyncio.run_coroutine_threadsafe(wait(), loop).result()
        with asyncio.Runner() as runner:
            return runner.run(wait())

    async def _arun(self, flight: _Flight) -> None:
        try:
            outcome: Any = self.spec.check()
            if inspect.isawaitable(outcome):
                outcome = await outcome
            result = result_of(outcome, self._clock() - flight.started_at)
        except asyncio.CancelledError as exc:
            self._settle(flight, failure(exc, self._clock() - flight.started_at))
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a check raises is its answer
            result = failure(exc, self._clock() - flight.started_at)
        self._settle(flight, result)

    # -- landing -----------------------------------------------------------------

    def _settle(self, flight: _Flight, result: CheckResult) -> None:
        """Take *result* as the outcome of the run, unless its time was up before."""
        with self._lock:
            if flight.future.done():
                return
            changed = self.state.record(result, self._clock())
            # No waiter's callback runs here: those of asyncio only schedule.
            flight.future.set_result(result)
        if changed:
            self._on_change(self)

    def _landed(self, flight: _Flight) -> None:
        if not flight.future.done():  # cancelled before its first step
            self._settle(flight, failure("the run was cancelled", 0.0))
        flight.alive = False
        flight.task = None
        with self._lock:
            if self._flight is flight and flight.future.done():
                self._flight = None

    def after_fork(self) -> None:
        """Forget a run whose thread stayed in the parent."""
        self._lock = threading.Lock()
        self._flight = None


def _is_async(check: Callable[..., Any]) -> bool:
    while isinstance(check, functools.partial):
        check = check.func
    return inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(
        getattr(check, "__call__", None)  # noqa: B004 - an object with an async __call__
    )
