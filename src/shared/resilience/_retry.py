"""Try again, politely."""

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, TypeVar, overload

from shared.context import get_deadline
from shared.errors import (
    BulkheadFullError,
    CircuitOpenError,
    InvalidArgumentError,
    SharedError,
    UnsupportedCallableError,
)
from shared.resilience._backoff import Backoff, BackoffKind, Jitter
from shared.resilience._budget import ALWAYS, Budget
from shared.resilience._checks import at_least, call_name, error_classes, is_async, no_coroutine, whole
from shared.resilience._compile import compile_call
from shared.resilience._random import draw
from shared.resilience._retry_after import retry_after_of
from shared.resilience._switch import find_switch
from shared.runtime import Events

__all__ = ["RetryPolicy", "retry"]

P = ParamSpec("P")
R = TypeVar("R")

_NO_RETRY: Final = (CircuitOpenError, BulkheadFullError)


class RetryPolicy:
    """When to call again, and how long to wait before.

    A policy is a decorator for synchronous and asynchronous functions and has
    :meth:`call` and :meth:`acall`. The first try costs a ``try`` block; only a
    failure brings tenacity in, with a fresh controller per failed call. What leaves
    is the original exception, unchanged, with its own traceback.

    Not retried, unless a class of *on* names them: our errors whose ``retryable`` is
    false (a validation error fails again), and refusals of a breaker or a bulkhead
    (failing fast is their purpose). Cancellation, ``KeyboardInterrupt`` and the like
    always pass at once.

    A retry is given up early, and the error leaves, when the wait would pass the
    deadline of the request, when the dependency asks for more patience than
    *max_delay*, or when the *budget* is spent.

    Args:
        max_attempts: Calls in total, the first included.
        delay: Base of the waits, in seconds.
        backoff: ``"exponential"``, ``"linear"``, ``"constant"``, ``"decorrelated"``
            (see :class:`Backoff`), or a tenacity ``wait_*`` object.
        max_delay: Longest wait, in seconds.
        jitter: ``"full"``, ``"equal"`` or ``"none"``.
        on: Exception class or classes worth a retry.
        retryable: Predicate on the exception, asked after *on*.
        on_result: Predicate on the result: True means try again. When tries run out
            the last result is returned.
        stop: A tenacity ``stop_*`` object; takes the place of *max_attempts*.
        respect_retry_after: Wait at least as long as the error asks for
            (``retry_after`` attribute, or ``Retry-After`` of its response).
        budget: A :class:`RetryBudget` shared by all callers of the dependency.
        wrap: Makes the error that leaves when tries run out, from the last one,
            which is chained: a class of ours or a callable.
        name: The dependency, for events; the function's name by default.
        clock: Gives monotonic seconds. An object with a ``sleep`` method, such as
            :class:`shared.resilience.testing.FakeClock`, sleeps as well.
        sleep: Waits the given seconds; for asynchronous functions it may be
            asynchronous. ``time.sleep`` and ``asyncio.sleep`` by default.
        rng: Gives numbers in ``[0, 1)``.
        events: Where events go; the current runtime's by default.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> policy = RetryPolicy(max_attempts=3, sleep=lambda seconds: None)
        >>> answers = iter([ConnectionError("reset"), "pong"])
        >>> def ping():
        ...     answer = next(answers)
        ...     if isinstance(answer, Exception):
        ...         raise answer
        ...     return answer
        >>> policy.call(ping)
        'pong'
    """

    def __init__(
        self,
        max_attempts: int = 3,
        delay: float = 1.0,
        *,
        backoff: BackoffKind | Callable[[Any], float] = "exponential",
        max_delay: float = 30.0,
        jitter: Jitter | bool = "full",
        on: type[Exception] | tuple[type[Exception], ...] = (Exception,),
        retryable: Callable[[Any], object] | None = None,
        on_result: Callable[[Any], object] | None = None,
        stop: Callable[[Any], bool] | None = None,
        respect_retry_after: bool = True,
        budget: Budget | None = None,
        wrap: Callable[[Exception], Exception] | None = None,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] | None = None,
        rng: Callable[[], float] = draw,
        events: Events | None = None,
    ) -> None:
        self.max_attempts: int = whole("max_attempts", max_attempts)
        self.wait: Any = backoff if callable(backoff) else None
        self.backoff: Backoff = Backoff(
            "constant" if callable(backoff) else backoff, delay, max_delay, jitter
        )
        self.max_delay: float = at_least("max_delay", max_delay, 0.0)
        self.on: tuple[type[Exception], ...] = error_classes("on", on)
        self.retryable: Any = _predicate("retryable", retryable)
        self.on_result: Any = _predicate("on_result", on_result)
        self.stop: Any = _predicate("stop", stop)
        self.respect_retry_after = respect_retry_after
        self.budget: Budget = ALWAYS if budget is None else budget
        self.wrap: Any = _predicate("wrap", wrap)
        self.name = name
        self.clock = clock
        self.sleep: Any = sleep or getattr(clock, "sleep", None)
        self.rng = rng
        self.events = events
        self._named = tuple(cls for cls in self.on if issubclass(cls, SharedError))

    # -- deciding: pure ---------------------------------------------------------------

    def wants(self, error: BaseException) -> bool:
        """Tell whether *error* is worth another try, tries and time permitting."""
        if not isinstance(error, self.on):
            return False
        ours = isinstance(error, SharedError) and not isinstance(error, self._named)
        if ours and isinstance(error, _NO_RETRY):
            return False
        if self.retryable is not None:
            return bool(self.retryable(error))
        return not ours or error.retryable  # type: ignore[attr-defined]  # ours: a SharedError

    def plan(
        self, attempt: int, error: BaseException | None, backoff: float, now: float
    ) -> tuple[float, str | None]:
        """Return the seconds to wait after failed try *attempt*, and why not to try again, or None.

        Args:
            attempt: Tries made, counted from 1.
            error: What the last one raised; None when its result was refused.
            backoff: The wait the backoff proposes.
            now: The clock's reading.
        """
        asked = retry_after_of(error) if error is not None and self.respect_retry_after else None
        may = self.budget.failure()
        switch = find_switch()
        most = self.max_attempts if self.stop is None else None
        if switch is not None and switch.max_attempts is not None:
            most = switch.max_attempts if most is None else min(most, switch.max_attempts)
        if most is not None and attempt >= most:
            return 0.0, "attempts"
        wait = backoff if asked is None else max(backoff, asked)
        if asked is not None and asked > self.max_delay:
            return wait, "retry_after"
        if switch is not None and not switch.waits:
            wait = 0.0
        deadline = get_deadline()
        if deadline is not None and now + wait >= deadline:
            return wait, "deadline"
        return wait, None if may else "budget"

    # -- calling ----------------------------------------------------------------------

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Make calls of *function*, synchronous or asynchronous, try again.

        Raises:
            UnsupportedCallableError: *function* is a generator function or not
                callable, or it is synchronous and *sleep* is not.
        """
        return compile_call(function, retry=self)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* until it answers or tries run out.

        Raises:
            UnsupportedCallableError: *function* is asynchronous; use :meth:`acall`.
        """
        started = self.clock() if self.stop is not None else None
        try:
            result = function(*args, **kwargs)
        except Exception as exc:
            if not self.wants(exc):
                raise
            first: Exception | None = exc
        else:
            no_coroutine(result, function, "await policy.acall(...)")
            if self.on_result is None or not self.on_result(result):
                if not self.budget.full:
                    self.budget.success()
                return result
            return self.again(function, args, kwargs, None, result=result, started=started)  # type: ignore[no-any-return]
        try:
            return self.again(function, args, kwargs, first, started=started)  # type: ignore[no-any-return]
        finally:
            del first  # its traceback refers to this frame: do not leave a cycle behind

    async def acall(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await *function* until it answers or tries run out."""
        started = self.clock() if self.stop is not None else None
        try:
            result = await function(*args, **kwargs)
        except Exception as exc:
            if not self.wants(exc):
                raise
            first: Exception | None = exc
        else:
            if self.on_result is None or not self.on_result(result):
                if not self.budget.full:
                    self.budget.success()
                return result
            return await self.aagain(function, args, kwargs, None, result=result, started=started)  # type: ignore[no-any-return]
        try:
            return await self.aagain(function, args, kwargs, first, started=started)  # type: ignore[no-any-return]
        finally:
            del first

    @property
    def simple(self) -> bool:
        """Whether a good first try needs no look at the clock or the result."""
        return self.stop is None and self.on_result is None

    def check(self, function: Callable[..., Any]) -> None:
        """Refuse a synchronous *function* with an asynchronous sleep."""
        if inspect.iscoroutinefunction(self.sleep) and not is_async(function):
            msg = f"{call_name(function)!r} is synchronous and sleep is not: nothing would await it"
            raise UnsupportedCallableError(msg)

    def replace(self, **changes: Any) -> "RetryPolicy":
        """Return a policy that differs in *changes* only; a budget stays shared."""
        options: dict[str, Any] = {
            "max_attempts": self.max_attempts,
            "delay": self.backoff.delay,
            "backoff": self.wait or self.backoff.kind,
            "jitter": self.backoff.jitter,
            "budget": None if self.budget is ALWAYS else self.budget,
        }
        same = ("max_delay", "on", "retryable", "on_result", "stop", "respect_retry_after", "wrap")
        options |= {name: getattr(self, name) for name in (*same, "name", "clock", "sleep", "rng", "events")}
        return RetryPolicy(**{**options, **changes})

    def again(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        first: Exception | None,
        *,
        result: Any = None,
        started: float | None = None,
    ) -> Any:
        """Go on after a first try that raised *first* or gave the refused *result*."""
        from shared.resilience._tenacity import Replay, Run

        run = Run(self, call_name(function), started)
        return run.controller()(Replay(function, args, kwargs, first, result))

    async def aagain(
        self,
        function: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        first: Exception | None,
        *,
        result: Any = None,
        started: float | None = None,
    ) -> Any:
        """Go on like :meth:`again`, for asynchronous functions."""
        from shared.resilience._tenacity import AsyncReplay, Run

        run = Run(self, call_name(function), started)
        return await run.async_controller()(AsyncReplay(function, args, kwargs, first, result))

    def __repr__(self) -> str:
        return f"RetryPolicy(max_attempts={self.max_attempts}, backoff={self.wait or self.backoff!r})"


def _predicate(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        msg = f"{name} must be callable, got {value!r}"
        raise InvalidArgumentError(msg)
    return value


@overload
def retry(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def retry(
    max_attempts: int = 3,
    delay: float = 1.0,
    *,
    backoff: BackoffKind | Callable[[Any], float] = "exponential",
    max_delay: float = 30.0,
    jitter: Jitter | bool = "full",
    on: type[Exception] | tuple[type[Exception], ...] = (Exception,),
    retryable: Callable[[Any], object] | None = None,
    on_result: Callable[[Any], object] | None = None,
    stop: Callable[[Any], bool] | None = None,
    respect_retry_after: bool = True,
    budget: Budget | None = None,
    wrap: Callable[[Exception], Exception] | None = None,
    name: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] | None = None,
    rng: Callable[[], float] = draw,
    events: Events | None = None,
) -> RetryPolicy: ...
def retry(max_attempts: Any = 3, delay: float = 1.0, **options: Any) -> Any:
    """Make a function try again when it fails: a decorator for sync and async functions.

    ``max_attempts=3`` means three calls in total. The waits double from *delay*
    seconds and are drawn at random below that ("full jitter"), so that clients that
    failed together do not come back together. All options are those of
    :class:`RetryPolicy`, which is what is returned; ``@retry`` without parentheses
    takes the defaults.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> calls = []
        >>> @retry(max_attempts=3, delay=0.0, on=ConnectionError)
        ... def fetch():
        ...     calls.append("try")
        ...     raise ConnectionError("reset by peer")
        >>> fetch()
        Traceback (most recent call last):
            ...
        ConnectionError: reset by peer
        >>> len(calls)
        3
    """
    if callable(max_attempts):
        return RetryPolicy()(max_attempts)
    return RetryPolicy(max_attempts, delay, **options)
