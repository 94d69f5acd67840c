"""Ask a second time when the first answer is slow, and take whichever comes first."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.resilience._budget import ALWAYS, Budget
from shared.resilience._checks import at_least, call_name, is_async, whole
from shared.resilience._events import HedgeStarted, emit
from shared.runtime import Events

__all__ = ["Hedge", "hedge"]

P = ParamSpec("P")
R = TypeVar("R")


class Hedge:
    """Sends copies of a slow call; see :func:`hedge`.

    Args:
        delay: Seconds of patience before each copy.
        idempotent: Must be True: the author's word that calling twice is harmless.
        max_hedges: Copies besides the first call.
        budget: A :class:`RetryBudget` asked before each copy.
        name: The dependency, for events.
        events: Where events go; the current runtime's by default.

    Raises:
        InvalidArgumentError: A value is out of range, or *idempotent* is not True.

    Example:
        >>> Hedge(0.2, idempotent=True).max_hedges
        1
    """

    __slots__ = ("budget", "delay", "events", "max_hedges", "name")

    def __init__(
        self,
        delay: float,
        *,
        idempotent: bool,
        max_hedges: int = 1,
        budget: Budget | None = None,
        name: str | None = None,
        events: Events | None = None,
    ) -> None:
        if idempotent is not True:
            msg = (
                "a hedge makes a call more than once: say idempotent=True if that is harmless, or do without"
            )
            raise InvalidArgumentError(msg)
        self.delay: float = at_least("delay", delay, 0.0)
        self.max_hedges: int = whole("max_hedges", max_hedges)
        self.budget: Budget = ALWAYS if budget is None else budget
        self.name: str | None = name
        self.events: Events | None = events

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Hedge calls of the asynchronous *function*.

        Raises:
            UnsupportedCallableError: *function* is synchronous: a blocked thread
                cannot be called off.
        """
        if not is_async(function):
            msg = f"{call_name(function)!r} is synchronous: only coroutines can be hedged and called off"
            raise UnsupportedCallableError(msg)

        @wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            return await self.acall(cast("Any", function), *args, **kwargs)

        return cast("Callable[P, R]", acall)

    async def acall(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await *function*, and copies of it when it is slow; return the first good result.

        When all fail, the error of the first call leaves. Losers are cancelled and
        awaited before this returns, so nothing runs on behind the caller's back.
        """

        async def once() -> R:
            return await function(*args, **kwargs)

        name = self.name or call_name(function)
        running: set[asyncio.Task[R]] = {asyncio.ensure_future(once())}
        first: BaseException | None = None
        copies = 0
        try:
            while True:
                more = copies < self.max_hedges
                done, running = await asyncio.wait(
                    running, timeout=self.delay if more else None, return_when=asyncio.FIRST_COMPLETED
                )
                # All are looked at, also after a winner: an exception nobody has
                # retrieved is reported by the event loop.
                errors = {task: _error_of(task) for task in done}
                for task, error in errors.items():
                    if error is None:
                        return task.result()
                    first = first or error
                if not running and (done or not more):
                    raise first  # type: ignore[misc]  # a finished task that did not return has failed
                if not done and more and self.budget.spend():
                    copies += 1
                    emit(self.events, HedgeStarted(name, copies))
                    running = {*running, asyncio.ensure_future(once())}
                elif not done:
                    copies = self.max_hedges  # the budget is spent: wait for what runs
        finally:
            del first
            await _call_off(running)


def _error_of(task: "asyncio.Task[Any]") -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def _call_off(tasks: "set[asyncio.Task[Any]]") -> None:
    """Cancel *tasks* and wait for their end, also when we are cancelled ourselves."""
    for task in tasks:
        task.cancel()
    if tasks:
        # gather keeps what they raise to itself; shield keeps a second cancellation
        # of ours from leaving them half cancelled.
        await asyncio.shield(asyncio.gather(*tasks, return_exceptions=True))


def hedge(
    delay: float,
    *,
    idempotent: bool,
    max_hedges: int = 1,
    budget: Budget | None = None,
    name: str | None = None,
    events: Events | None = None,
) -> Hedge:
    """Send a second copy of a slow asynchronous call and take the first answer: a decorator.

    Cuts the long tail of a dependency whose single calls are now and then slow. Choose
    *delay* near its 95th percentile: then one call in twenty is sent twice. A call that
    fails is not hedged (that is what a retry is for), but a copy already under way may
    still answer.

    Args:
        delay: Seconds of patience before each copy.
        idempotent: Must be True: calling twice must be harmless.
        max_hedges: Copies besides the first call.
        budget: A :class:`RetryBudget` asked before each copy: during an outage none is sent.
        name: The dependency, for events.
        events: Where events go; the current runtime's by default.

    Raises:
        InvalidArgumentError: A value is out of range, or *idempotent* is not True.

    Example:
        >>> import asyncio
        >>> calls = []
        >>> @hedge(0.01, idempotent=True)
        ... async def search(term):
        ...     calls.append(term)
        ...     await asyncio.sleep(5 if len(calls) == 1 else 0)
        ...     return f"copy {len(calls)}"
        >>> asyncio.run(search("chairs"))
        'copy 2'
    """
    return Hedge(delay, idempotent=idempotent, max_hedges=max_hedges, budget=budget, name=name, events=events)
