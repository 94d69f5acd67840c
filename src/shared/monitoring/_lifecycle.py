"""From start to stop: when traffic is welcome and how it is shown out."""

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

from shared.errors import InvalidArgumentError
from shared.monitoring._events import DrainFinished, LifecycleChanged
from shared.runtime import Events

_log: Final = logging.getLogger("shared.monitoring")
_POLL: Final = 0.02  # seconds between looks at the work in flight; there is no event for "none left"


class LifecycleState(StrEnum):
    """Where a service is in its life; it moves down this list, and only a reset begins again.

    Example:
        >>> [str(state) for state in LifecycleState]
        ['starting', 'ready', 'draining', 'stopped']
    """

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


_ORDER: Final = tuple(LifecycleState)


class Lifecycle:
    """Knows whether traffic is welcome, what is in flight, and what to flush at the end.

    ``starting`` until :meth:`mark_ready`; then ``ready``. :meth:`begin_drain`, which
    a SIGTERM calls (see :class:`DrainOnSignal`), makes the readiness probe refuse at
    once, while requests are still served: load balancers need *drain_delay* to look
    away. :meth:`finish` waits for work in flight, runs the flush callbacks and ends
    in ``stopped``, all by the deadline.

    Args:
        drain_delay: Seconds to go on serving after the drain began, >= 0.
        drain_timeout: Seconds after that for work in flight and flushing, >= 0. The
            sum must stay below the grace period of whoever kills: 30 s in Kubernetes.
        events: Where changes are announced, such as ``runtime.events``.
        clock: Monotonic seconds.

    Raises:
        InvalidArgumentError: A number of seconds is below 0.

    Thread-safe without locks: a signal handler may interrupt any line of it.

    Example:
        >>> lifecycle = Lifecycle(drain_delay=0)
        >>> lifecycle.mark_ready()
        >>> with lifecycle.work("job-1"):
        ...     lifecycle.begin_drain("deploy"), lifecycle.is_ready, lifecycle.in_flight
        (True, False, 1)
        >>> lifecycle.finish().abandoned, str(lifecycle.state)
        (0, 'stopped')
    """

    def __init__(
        self,
        *,
        drain_delay: float = 5.0,
        drain_timeout: float = 20.0,
        events: Events | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("drain_delay", drain_delay), ("drain_timeout", drain_timeout)):
            if not 0 <= value < float("inf"):
                msg = f"{name} is seconds, 0 or more, got {value!r}"
                raise InvalidArgumentError(msg)
        self.drain_delay = drain_delay
        self.drain_timeout = drain_timeout
        self.drain_reason: str | None = None
        self._events = events or Events()
        self._clock = clock
        self._began = clock()
        self._drain_began: float | None = None
        self._state = LifecycleState.STARTING
        self._announced = LifecycleState.STARTING
        self._active: set[Hashable] = set()
        self._flushes: list[tuple[str, Callable[[], Any]]] = []
        self._outcome: DrainFinished | None = None

    # -- where we are ------------------------------------------------------------

    @property
    def state(self) -> LifecycleState:
        """Where the service is in its life."""
        return self._state

    @property
    def is_ready(self) -> bool:
        """Whether it has started and does not drain."""
        return self._state is LifecycleState.READY

    @property
    def is_draining(self) -> bool:
        """Whether it is on the way out; loops of workers look here before the next piece."""
        return self._state in (LifecycleState.DRAINING, LifecycleState.STOPPED)

    @property
    def uptime(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._began

    def drain_left(self) -> float:
        """Return the seconds until the drain's deadline, at least 0; all of them before it began."""
        total = self.drain_delay + self.drain_timeout
        if self._drain_began is None:
            return total
        return max(0.0, self._drain_began + total - self._clock())

    # -- moving on ---------------------------------------------------------------

    def mark_ready(self) -> None:
        """Say that start-up is done; without effect once draining."""
        if self._state is LifecycleState.STARTING:
            self._state = LifecycleState.READY
        self._announce()

    def begin_drain(self, reason: str = "asked to stop") -> bool:
        """Refuse traffic from now on; return False when that was so already.

        Args:
            reason: For the log, such as ``"SIGTERM"``.
        """
        first = self.flag_drain(reason)
        self._announce()
        return first

    def flag_drain(self, reason: str = "asked to stop") -> bool:
        """Do :meth:`begin_drain` without telling listeners; for signal handlers.

        A listener may need a lock that the interrupted code holds, so the handler
        only sets the flag and another thread calls :meth:`begin_drain`.
        """
        if self.is_draining:
            return False
        self._drain_began = self._clock()
        self._state = LifecycleState.DRAINING
        self.drain_reason = reason
        return True

    def _announce(self) -> None:
        before, after = self._announced, self._state
        if _ORDER.index(after) > _ORDER.index(before):
            self._announced = after
            self._events.emit(LifecycleChanged(str(before), str(after), len(self._active)))

    # -- work in flight ----------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Number of pieces of work under way."""
        return len(self._active)

    def active(self) -> tuple[Hashable, ...]:
        """Return the keys of the work under way, in no order."""
        return tuple(self._active.copy())

    def enter(self, key: Hashable) -> None:
        """Count a piece of work, such as the request's context object, until :meth:`leave`."""
        self._active.add(key)  # atomic, and cheaper than a lock around a number

    def leave(self, key: Hashable) -> None:
        """Stop counting it; unknown keys are ignored."""
        self._active.discard(key)

    @contextmanager
    def work(self, key: Hashable | None = None) -> Iterator[None]:
        """Count the block as a piece of work that the drain waits for."""
        token = object() if key is None else key
        self.enter(token)
        try:
            yield
        finally:
            self.leave(token)

    # -- the end -----------------------------------------------------------------

    def on_flush(self, name: str, callback: Callable[[], object | Awaitable[object]]) -> Callable[[], None]:
        """Call *callback* at the end of the drain: write out what is still in memory.

        Callbacks run in reverse order of registration, so what was set up first,
        the log, is flushed last. Synchronous and asynchronous ones may be mixed.

        Returns:
            A function that takes the callback off again.
        """
        entry = (name, callback)
        self._flushes.append(entry)

        def remove() -> None:
            if entry in self._flushes:
                self._flushes.remove(entry)

        return remove

    def finish(self) -> DrainFinished:
        """Wait for work in flight, flush, stop; the second call returns the first's outcome.

        Never takes longer than :meth:`drain_left` and never raises: a callback that
        fails or hangs is named in the outcome. In a coroutine use :meth:`afinish`.
        """
        if self._outcome is not None:
            return self._outcome
        self.begin_drain()
        while self._active and self.drain_left() > 0:
            time.sleep(_POLL)
        abandoned = len(self._active)
        failed = []
        for name, callback in reversed(tuple(self._flushes)):
            future = _call_in_thread(name, callback)
            try:
                future.result(max(_POLL, self.drain_left()))
            except (Exception, FutureTimeoutError):  # noqa: BLE001 - the others must be flushed too
                failed.append(_note(name))
        return self._stop(abandoned, failed)

    async def afinish(self) -> DrainFinished:
        """Do :meth:`finish` without blocking the event loop; asynchronous callbacks run on it."""
        if self._outcome is not None:
            return self._outcome
        self.begin_drain()
        # Threads finish work too, and those cannot set an asyncio.Event.
        while self._active and self.drain_left() > 0:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)
        abandoned = len(self._active)
        failed = []
        for name, callback in reversed(tuple(self._flushes)):
            try:
                async with asyncio.timeout(max(_POLL, self.drain_left())):
                    if inspect.iscoroutinefunction(callback):
                        await callback()
                    else:
                        await asyncio.wrap_future(_call_in_thread(name, callback))
            except Exception:  # noqa: BLE001 - the others must be flushed too
                failed.append(_note(name))
        return self._stop(abandoned, failed)

    def reset(self) -> None:
        """Begin again after the end, as an application does whose start-up runs twice.

        Flush callbacks stay registered. Without effect unless stopped.

        Example:
            >>> lifecycle = Lifecycle(drain_delay=0)
            >>> _ = lifecycle.finish()
            >>> lifecycle.reset()
            >>> lifecycle.state
            <LifecycleState.STARTING: 'starting'>
        """
        if self._state is not LifecycleState.STOPPED:
            return
        self.drain_reason = None
        self._drain_began = None
        self._outcome = None
        self._active.clear()
        self._state = self._announced = LifecycleState.STARTING

    def close(self) -> None:
        """Finish, when nobody has; called by the runtime that owns this object."""
        self.finish()

    async def aclose(self) -> None:
        """Finish, when nobody has; called by the runtime that owns this object."""
        await self.afinish()

    def _stop(self, abandoned: int, failed: list[str]) -> DrainFinished:
        began = self._clock() if self._drain_began is None else self._drain_began
        outcome = DrainFinished(self._clock() - began, abandoned, tuple(failed))
        self._outcome = outcome
        self._state = LifecycleState.STOPPED
        self._announce()
        self._events.emit(outcome)
        return outcome


def _call_in_thread(name: str, callback: Callable[[], Any]) -> "Future[None]":
    """Run *callback* where its hanging harms nobody."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()  # a waiter that gives up must not cancel it

    def run() -> None:
        try:
            outcome = callback()
            if inspect.isawaitable(outcome):
                _drive(outcome)
        except Exception as exc:  # noqa: BLE001 - handed to the waiter
            future.set_exception(exc)
        except BaseException as exc:  # noqa: BLE001 - a flush does not decide that the process ends
            future.set_exception(RuntimeError(f"flush raised {type(exc).__name__}"))
        else:
            future.set_result(None)

    try:
        threading.Thread(target=run, name=f"shared-flush-{name}", daemon=True).start()
    except RuntimeError:  # no threads any more, as while the interpreter ends: unbounded beats lost
        run()
    return future


def _note(name: str) -> str:
    _log.warning("flush %r failed or did not end before the drain's deadline", name, exc_info=True)
    return name


def _drive(outcome: Awaitable[object]) -> None:
    async def wait() -> None:
        await outcome

    with asyncio.Runner() as runner:
        runner.run(wait())
