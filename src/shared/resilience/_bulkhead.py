"""No more than so many calls at once; a bounded queue for the next few, and a quick no for the rest."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from shared.errors import BulkheadFullError, DeadlineExceededError, RateLimitError, ServiceUnavailableError
from shared.resilience._blocks import enter_block, leave_block
from shared.resilience._checks import at_least, is_async, whole
from shared.resilience._deadline import time_left
from shared.resilience._events import BulkheadRejected, emit
from shared.resilience._fleet import Fleet
from shared.resilience._limits import ConcurrencyLimit, FixedLimit
from shared.runtime import Events

__all__ = ["Bulkhead", "bulkhead"]

P = ParamSpec("P")
R = TypeVar("R")

_DROPPED = (TimeoutError, RateLimitError, ServiceUnavailableError)


class _Waiter:
    """One call in the queue; *granted* changes only under the lock of the bulkhead."""

    __slots__ = ("granted", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.granted = False


class Bulkhead:
    """Lets at most so many calls through at once; see :func:`bulkhead`.

    Calls of threads and of tasks, also of different event loops, are counted
    together and wait in one line, first come first served.

    Args:
        max_concurrent: Calls at once: a number, or a :class:`ConcurrencyLimit` such as
            :class:`GradientLimit` that adapts.
        max_queue: Calls that may wait; 0 refuses at once.
        max_wait: Longest wait in the queue, in seconds; a nearer deadline wins.
        name: The dependency, for events and messages.
        clock: Gives monotonic seconds.
        events: Where events go; the current runtime's by default.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> reports = Bulkhead(1, name="reports")
        >>> with reports:
        ...     try:
        ...         reports.call(len, "abc")
        ...     except BulkheadFullError as error:
        ...         print(error)
        'reports' is full: 1 of 1 calls are under way, 0 of 0 wait
    """

    __slots__ = (
        "__weakref__",
        "_lock",
        "_waiting",
        "clock",
        "events",
        "in_flight",
        "limit",
        "max_queue",
        "max_wait",
        "name",
        "rejected",
    )

    def __init__(
        self,
        max_concurrent: int | ConcurrencyLimit = 10,
        *,
        max_queue: int = 0,
        max_wait: float = 1.0,
        name: str = "bulkhead",
        clock: Callable[[], float] = time.monotonic,
        events: Events | None = None,
    ) -> None:
        plain = isinstance(max_concurrent, (int, float))
        self.limit: ConcurrencyLimit = (
            FixedLimit(cast("int", max_concurrent)) if plain else cast("ConcurrencyLimit", max_concurrent)
        )
        self.max_queue: int = whole("max_queue", max_queue, 0)
        self.max_wait: float = at_least("max_wait", max_wait, 0.0)
        self.name: str = name
        self.clock: Callable[[], float] = clock
        self.events: Events | None = events
        self.in_flight: int = 0
        self.rejected: int = 0
        self._waiting: deque[_Waiter] = deque()
        self._lock = threading.RLock()
        _fleet.add(self)

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._waiting)

    # -- places -------------------------------------------------------------------

    def _enter(self, waiter: _Waiter) -> bool:
        """Take a place at once (True) or put *waiter* in line (False)."""
        with self._lock:
            if self.in_flight < self.limit.value and not self._waiting:
                self.in_flight += 1
                return True
            if len(self._waiting) < self.max_queue:
                self._waiting.append(waiter)
                return False
            self.rejected += 1
            error = self._refusal()
        emit(self.events, BulkheadRejected(self.name, self.limit.value, self.waiting))
        raise error

    def _give_up(self, waiter: _Waiter) -> bool:
        """Leave the line; False when a place was granted in the last moment."""
        with self._lock:
            if waiter.granted:
                return False
            self._waiting.remove(waiter)
            return True

    def _timed_out(self, waiter: _Waiter) -> None:
        """Leave the line for good, or keep the place that has just been granted."""
        if not self._give_up(waiter):
            return
        with self._lock:
            self.rejected += 1
            error = self._refusal()
        emit(self.events, BulkheadRejected(self.name, self.limit.value, self.waiting))
        raise error

    def _release(self) -> None:
        """Give the place to the first in line, or back."""
        with self._lock:
            # A child forked in the middle of a call has begun to count at 0.
            self.in_flight = max(0, self.in_flight - 1)
            woken = self._grant()
        for waiter in woken:
            self._wake(waiter)

    def _grant(self) -> list[_Waiter]:
        granted = []
        while self._waiting and self.in_flight < self.limit.value:
            waiter = self._waiting.popleft()
            waiter.granted = True
            self.in_flight += 1
            granted.append(waiter)
        return granted

    def _wake(self, waiter: _Waiter) -> None:
        try:
            waiter.wake()
        except RuntimeError:  # its event loop was closed while it waited
            self._release()

    def acquire(self) -> None:
        """Take a place, waiting in line if need be; pair it with :meth:`release`.

        Raises:
            BulkheadFullError: The queue is full, or the wait was in vain.
        """
        if self._enter_free():
            return
        ready = threading.Event()
        waiter = _Waiter(ready.set)
        if self._enter(waiter):
            return
        try:
            if not ready.wait(time_left(self.max_wait, clock=self.clock)):
                self._timed_out(waiter)
        except BaseException as exc:
            if not isinstance(exc, BulkheadFullError) and not self._give_up(waiter):
                self._release()
            raise

    async def aacquire(self) -> None:
        """As :meth:`acquire`, for coroutines; a cancelled wait keeps no place.

        Raises:
            BulkheadFullError: The queue is full, or the wait was in vain.
        """
        if self._enter_free():
            return
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        waiter = _Waiter(lambda: _call_in(loop, ready))
        if self._enter(waiter):
            return
        try:
            await asyncio.wait((ready,), timeout=time_left(self.max_wait, clock=self.clock))
            if not ready.done():
                self._timed_out(waiter)
        except BaseException as exc:
            if not isinstance(exc, BulkheadFullError) and not self._give_up(waiter):
                self._release()
            raise

    def _enter_free(self) -> bool:
        with self._lock:
            if self.in_flight < self.limit.value and not self._waiting:
                self.in_flight += 1
                return True
            return False

    def release(self, seconds: float | None = None, *, error: BaseException | None = None) -> None:
        """Give a place back.

        Args:
            seconds: How long the call took, for an adaptive limit; None teaches nothing.
            error: What it raised: timeouts and overload shrink an adaptive limit.
        """
        if seconds is not None and not isinstance(self.limit, FixedLimit):
            cancelled = error is not None and not isinstance(error, Exception)
            late = isinstance(error, DeadlineExceededError) and not error.retryable
            if not cancelled and not late:
                with self._lock:
                    self.limit.sample(seconds, in_flight=self.in_flight, dropped=isinstance(error, _DROPPED))
        self._release()

    # -- calling ------------------------------------------------------------------

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Let at most so many calls of *function* run at once.

        Raises:
            UnsupportedCallableError: *function* is a generator function or not callable.
        """
        if is_async(function):

            @wraps(function)
            async def acall(*args: Any, **kwargs: Any) -> Any:
                return await self.acall(cast("Any", function), *args, **kwargs)

            return cast("Callable[P, R]", acall)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self.call(cast("Any", function), *args, **kwargs)

        return cast("Callable[P, R]", call)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* in a place of its own.

        Raises:
            BulkheadFullError: There is none.
        """
        self.acquire()
        started, error = self.clock(), None
        try:
            return function(*args, **kwargs)
        except BaseException as exc:
            error = exc
            raise
        finally:
            self.release(self.clock() - started, error=error)
            del error

    async def acall(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await *function* in a place of its own.

        Raises:
            BulkheadFullError: There is none.
        """
        await self.aacquire()
        started, error = self.clock(), None
        try:
            return await function(*args, **kwargs)
        except BaseException as exc:
            error = exc
            raise
        finally:
            self.release(self.clock() - started, error=error)
            del error

    def __enter__(self) -> Self:
        self.acquire()
        enter_block(self, self.clock())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started: float | None = leave_block(self)
        self.release(None if started is None else self.clock() - started, error=error)

    async def __aenter__(self) -> Self:
        await self.aacquire()
        enter_block(self, self.clock())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    # -- inside -------------------------------------------------------------------

    def _refusal(self) -> BulkheadFullError:
        limit, waiting = self.limit.value, len(self._waiting)
        return BulkheadFullError(
            f"{self.name!r} is full: {self.in_flight} of {limit} calls are under way, "
            f"{waiting} of {self.max_queue} wait",
            retry_after=1.0,
            details={"bulkhead": self.name, "limit": limit},
        )

    def after_fork(self) -> None:
        """Re-arm in a forked child: the calls and the queue of the parent's threads are not here."""
        self._lock = threading.RLock()
        self._waiting = deque()
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"<Bulkhead {self.name!r} {self.in_flight} of {self.limit.value}, {self.waiting} waiting>"


_fleet: Fleet[Bulkhead] = Fleet()


def _call_in(loop: asyncio.AbstractEventLoop, ready: "asyncio.Future[None]") -> None:
    loop.call_soon_threadsafe(_set, ready)


def _set(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def bulkhead(
    max_concurrent: int | ConcurrencyLimit = 10,
    *,
    max_queue: int = 0,
    max_wait: float = 1.0,
    name: str = "bulkhead",
    clock: Callable[[], float] = time.monotonic,
    events: Events | None = None,
) -> Bulkhead:
    """Keep one slow dependency from taking every thread or connection: a decorator and a block.

    At most *max_concurrent* calls run at once, *max_queue* wait up to *max_wait*
    seconds, everybody else is refused at once with
    :class:`~shared.errors.BulkheadFullError`, which no breaker counts as a failure
    and no retry repeats.

    Args:
        max_concurrent: Calls at once: a number or an adaptive :class:`ConcurrencyLimit`.
        max_queue: Calls that may wait.
        max_wait: Longest wait, in seconds.
        name: The dependency, for events and messages.
        clock: Gives monotonic seconds.
        events: Where events go; the current runtime's by default.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> @bulkhead(4, max_queue=8, max_wait=0.5, name="reports")
        ... def render(rows):
        ...     return f"{rows} rows"
        >>> render(3)
        '3 rows'
    """
    return Bulkhead(
        max_concurrent, max_queue=max_queue, max_wait=max_wait, name=name, clock=clock, events=events
    )
