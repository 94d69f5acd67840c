"""How long did that take? One line in the log, whatever kind of function it is."""

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, Self, TypeVar, cast, overload

from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.utils._checks import kind, plain_text

if TYPE_CHECKING:
    from shared.logging import BoundLogger

__all__ = ["Timer", "timed"]

P = ParamSpec("P")
R = TypeVar("R")
Level = Literal["debug", "info", "warning", "error"]

_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done with a measured time."""

    name: str
    level: Level
    slow: float | None
    logger: "BoundLogger | None"
    clock: Callable[[], float]

    def report(self, seconds: float, error: BaseException | None) -> None:
        """Write the line."""
        fields: dict[str, Any] = {
            "name": self.name,
            "duration_ms": round(seconds * 1000, 3),
            "outcome": "ok" if error is None else _outcome(error),
        }
        if error is not None:
            # The type only: a message may hold what the caller was given.
            fields["error"] = type(error).__name__
        level: str = self.level
        if self.slow is not None and seconds >= self.slow:
            fields["slow_after_ms"] = round(self.slow * 1000, 3)
            level = level if level == "error" else "warning"
        getattr(self.logger or _default_logger(), level)("timed", **fields)


class Timer:
    """Measures a block and writes one log line at its end; made by :func:`timed`.

    Attributes:
        seconds: How long the block took; 0.0 until it ends. A timer may be entered
            again, one block after the other.

    Example:
        >>> with timed("load", level="debug") as timer:
        ...     rows = list(range(3))
        >>> timer.seconds >= 0.0
        True
    """

    __slots__ = ("_plan", "_started", "seconds")

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._started = 0.0
        self.seconds: float = 0.0

    def __enter__(self) -> Self:
        self._started = self._plan.clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = max(0.0, self._plan.clock() - self._started)
        self._plan.report(self.seconds, error)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function* with every call timed; calls may overlap.

        Raises:
            UnsupportedCallableError: *function* cannot be called, or is a class.
        """
        target: Any = function
        if inspect.isclass(target) or not callable(target):
            msg = f"timed() decorates functions, got {kind(target)}"
            raise UnsupportedCallableError(msg)
        plan = self._plan
        if not plan.name:
            plan = replace(plan, name=getattr(target, "__qualname__", None) or kind(target))
        return cast("Callable[P, R]", _wrap(target, plan))


@functools.cache
def _default_logger() -> "BoundLogger":
    # A handle: it follows whatever logging is configured when it is used.
    from shared.logging import get_logger

    return get_logger("shared.timed")


def _outcome(error: BaseException) -> str:
    if isinstance(error, Exception):
        return "error"
    return "stopped" if isinstance(error, GeneratorExit) else "cancelled"


@overload
def timed(name: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def timed(
    name: str | None = None,
    *,
    level: Level = "info",
    slow: float | None = None,
    logger: "BoundLogger | None" = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Timer: ...


def timed(
    name: str | Callable[..., Any] | None = None,
    *,
    level: Level = "info",
    slow: float | None = None,
    logger: "BoundLogger | None" = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Any:
    """Log how long a function or a block takes.

    ``@timed``, ``@timed("import", slow=2.0)`` and ``with timed("import"):``. Functions
    may be plain, ``async``, generators and async generators; a generator is timed
    from its first step to its end. The event ``timed`` has ``name``, ``duration_ms``
    and ``outcome``: ``ok``, ``error`` (with the type as ``error``), ``cancelled``, or
    ``stopped`` for a generator that was closed early. What is raised goes on unchanged.

    Args:
        name: Name in the log; the function's qualified name when absent.
        level: Of the line: ``debug``, ``info``, ``warning`` or ``error``.
        slow: Seconds from which on the line is a warning and says so.
        logger: Where to write; ``get_logger("shared.timed")`` when absent.
        clock: Gives seconds.

    Raises:
        InvalidArgumentError: *level* or *slow* is outside of that.

    Example:
        >>> from shared.logging import capture_logs
        >>> @timed("sum")
        ... def total(*numbers):
        ...     return sum(numbers)
        >>> with capture_logs() as events:
        ...     total(1, 2)
        3
        >>> events[0]["name"], events[0]["outcome"]
        ('sum', 'ok')
    """
    if level not in _LEVELS:
        msg = f"level must be one of {', '.join(_LEVELS)}"
        raise InvalidArgumentError(msg)
    if slow is not None and not (type(slow) in (int, float) and 0 <= slow < float("inf")):
        msg = "slow must be a number of seconds, >= 0"
        raise InvalidArgumentError(msg)
    text = plain_text(name)
    timer = Timer(_Plan(text or "", level, slow, logger, clock))
    return timer if text is not None or name is None else timer(name)  # type: ignore[arg-type]


def _wrap(function: Callable[..., Any], plan: _Plan) -> Any:
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, plan)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, plan)
    if inspect.isgeneratorfunction(function):
        return _generator(function, plan)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with Timer(plan):
            return function(*args, **kwargs)

    return call


def _coroutine(function: Callable[..., Any], plan: _Plan) -> Any:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with Timer(plan):
            return await function(*args, **kwargs)

    return call


def _generator(function: Callable[..., Any], plan: _Plan) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with Timer(plan):
            return (yield from function(*args, **kwargs))

    return call


def _async_generator(function: Callable[..., Any], plan: _Plan) -> Any:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with Timer(plan):
            inner = function(*args, **kwargs)
            step = inner.__anext__()
            while True:  # what "yield from" does; the language has no async form of it
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as exc:  # noqa: BLE001 - thrown in by the consumer, for the function
                    step = inner.athrow(exc)

    return call
