"""Cut off what takes too long."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import Token
from functools import wraps
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, cast

from shared.context import (
    RequestContext,
    TraceContext,
    current_context,
    enter_context,
    leave_context,
    new_request_id,
)
from shared.errors import DeadlineExceededError
from shared.resilience._blocks import enter_block, leave_block
from shared.resilience._checks import call_name, is_async, seconds
from shared.resilience._events import CallTimedOut, emit
from shared.resilience._wheel import Slot, wheel_of
from shared.runtime import Events

__all__ = ["Timeout", "timeout"]

P = ParamSpec("P")
R = TypeVar("R")

_COARSE: Final = 0.1
"""Seconds from which on the wheel's tick of 10 ms does not matter."""

_NEAR: Final = 0.005
"""Seconds before a limit at which what keeps to it may give up."""


class Timeout:
    """Allows a call a number of seconds; see :func:`timeout`.

    Args:
        limit: Seconds, > 0.
        name: The dependency, for events and messages.
        total: Whether the limit is the caller's own budget for all tries together:
            running out of it is not retried and says nothing about the dependency.
        clock: Gives monotonic seconds.
        events: Where events go; the current runtime's by default.

    Raises:
        InvalidArgumentError: *limit* is not a positive number.

    Example:
        >>> Timeout(2.0)(len)("abc")
        3
    """

    __slots__ = ("__weakref__", "clock", "events", "limit", "name", "total")

    def __init__(
        self,
        limit: float,
        *,
        name: str | None = None,
        total: bool = False,
        clock: Callable[[], float] = time.monotonic,
        events: Events | None = None,
    ) -> None:
        self.limit: float = seconds("limit", limit)
        self.name: str | None = name
        self.total: bool = total
        self.clock: Callable[[], float] = clock
        self.events: Events | None = events

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Limit each call of *function*, synchronous or asynchronous.

        Raises:
            UnsupportedCallableError: *function* is a generator function or not callable.
        """
        name = call_name(function)
        if is_async(function):

            @wraps(function)
            async def acall(*args: Any, **kwargs: Any) -> Any:
                with _Block(self, name):
                    return await cast("Callable[..., Awaitable[Any]]", function)(*args, **kwargs)

            return cast("Callable[P, R]", acall)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _Block(self, name):
                return function(*args, **kwargs)

        return cast("Callable[P, R]", call)

    def __enter__(self) -> Self:
        block = _Block(self, "the block")
        block.__enter__()
        enter_block(self, block)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        block: _Block | None = leave_block(self)
        if block is not None:
            block.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"Timeout({self.limit:g}{', total=True' if self.total else ''})"


class _Block:
    """One limited stretch of work: a deadline in the context, and a cut-off when in a task."""

    __slots__ = (
        "_at",
        "_cancelling",
        "_expired",
        "_handle",
        "_left",
        "_own",
        "_slot",
        "_spec",
        "_task",
        "_token",
        "_what",
    )

    def __init__(self, spec: Timeout, what: str) -> None:
        self._spec = spec
        self._what = spec.name or what
        self._expired = False
        self._task: asyncio.Task[Any] | None = None
        self._slot: Slot | None = None
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        spec = self._spec
        now = spec.clock()
        context = current_context()
        outer = None if context is None else context.deadline
        at = now + spec.limit
        self._own = outer is None or at < outer
        self._at = at if self._own else cast("float", outer)
        self._left = self._at - now
        if self._left <= 0.0:
            raise self._error()
        self._token = _push(context, self._at)
        self._arm()

    def _arm(self) -> None:
        """Have the running task, if any, cancelled in time."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no loop runs here: synchronous code looks at the deadline itself
            return
        if task is None:
            return
        self._task = task
        self._cancelling = task.cancelling()
        loop = task.get_loop()
        if self._left >= _COARSE:
            self._slot = wheel_of(loop).add(self, loop.time() + self._left)
        else:
            self._handle = loop.call_later(self._left, self.expire)

    def expire(self) -> None:
        """Cancel the task; the wheel or the loop calls this when time is up."""
        self._expired = True
        if self._task is not None:
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave_context(self._token)
        if self._task is not None and self._disarm(self._task) and isinstance(error, asyncio.CancelledError):
            raise self._error() from error
        if self._is_our_limit(error):
            raise self._error() from error

    def _disarm(self, task: "asyncio.Task[Any]") -> bool:
        """Forget the cut-off; True when it has struck and nobody else wants the task to end."""
        self._task = None
        if self._slot is not None:
            self._slot.pop(self, None)
        elif self._handle is not None:
            self._handle.cancel()
        # Ours is one of possibly several cancellations: taking it back tells whether
        # somebody else, too, wants this task to end. Their wish wins.
        return self._expired and task.uncancel() <= self._cancelling

    def _is_our_limit(self, error: BaseException | None) -> bool:
        """Tell whether what is beneath kept to the limit of this one try.

        To the HTTP client or a query our limit looks like the deadline of the request,
        so it ends with a final error; seen from here one try was too slow.
        """
        if not self._own or self._spec.total:
            return False
        if not isinstance(error, DeadlineExceededError) or error.retryable:
            return False
        return self._at - self._spec.clock() <= max(_NEAR, 0.01 * self._spec.limit)

    def _error(self) -> DeadlineExceededError:
        spec = self._spec
        if self._own and not spec.total:
            emit(spec.events, CallTimedOut(self._what, spec.limit))
            return DeadlineExceededError(f"{self._what} took longer than {spec.limit:g} s")
        if self._own:
            text = f"{self._what} did not end within the {spec.limit:g} s allowed for all tries"
        else:
            text = f"no time is left for {self._what}: the deadline of the request has passed"
        emit(spec.events, CallTimedOut(self._what, max(0.0, self._left)))
        return DeadlineExceededError(text, retryable=False)


def _push(context: RequestContext | None, at: float) -> Token[RequestContext | None]:
    """Put *at* in force as the deadline, for this task and what it starts."""
    if context is None:  # outside of any request: this block becomes one of its own
        trace = TraceContext.new()
        return enter_context(RequestContext(trace.trace_id, new_request_id(), trace, deadline=at))
    view = context.view()
    view.deadline = at
    return enter_context(view)


def timeout(
    limit: float,
    *,
    name: str | None = None,
    total: bool = False,
    clock: Callable[[], float] = time.monotonic,
    events: Events | None = None,
) -> Timeout:
    """Allow a call or a block *limit* seconds: a decorator, ``with`` and ``async with``.

    Asynchronous code is cut off: it ends with
    :class:`~shared.errors.DeadlineExceededError` (also a ``TimeoutError``) up to 10 ms
    after the limit, and never later. A cancellation from elsewhere stays a
    cancellation.

    Synchronous code cannot be interrupted safely, so there the limit is put into the
    context: the HTTP client, retries, queries and locks take what is left, and a
    result that is late is still returned, because its effect has happened.

    A limit longer than the deadline in force is cut down to it; then running out is
    the caller's loss of time, which is not retried.

    Args:
        limit: Seconds, > 0.
        name: The dependency, for events and messages.
        total: Whether this is the budget for all tries together; see :class:`Timeout`.
        clock: Gives monotonic seconds.
        events: Where events go; the current runtime's by default.

    Raises:
        InvalidArgumentError: *limit* is not a positive number.

    Example:
        >>> import asyncio
        >>> @timeout(0.01, name="payments")
        ... async def hang():
        ...     await asyncio.Event().wait()
        >>> try:
        ...     asyncio.run(hang())
        ... except TimeoutError as error:
        ...     print(error)
        payments took longer than 0.01 s
    """
    return Timeout(limit, name=name, total=total, clock=clock, events=events)
