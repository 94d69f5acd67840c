"""An answer that is good enough when the real one cannot be had."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

from shared.errors import UnsupportedCallableError
from shared.resilience._checks import call_name, error_classes, is_async
from shared.resilience._events import FallbackUsed, emit
from shared.runtime import Events

__all__ = ["Fallback", "fallback"]

P = ParamSpec("P")
R = TypeVar("R")

_DEFAULT_ON: Final = (Exception,)


class Fallback:
    """What to answer instead; see :func:`fallback`.

    Args:
        answer: A value, or a callable ``answer(error, *args, **kwargs)``.
        on: Exception classes that are answered; others leave.
        name: The dependency, for events.
        events: Where events go; the current runtime's by default.

    Example:
        >>> Fallback(0)(int)("not a number")
        0
    """

    __slots__ = ("answer", "events", "name", "on")

    def __init__(
        self,
        answer: Any,
        *,
        on: type[Exception] | tuple[type[Exception], ...] = _DEFAULT_ON,
        name: str | None = None,
        events: Events | None = None,
    ) -> None:
        self.answer: Any = answer
        self.on: tuple[type[Exception], ...] = error_classes("on", on)
        self.name: str | None = name
        self.events: Events | None = events

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Answer for *function* when it fails.

        Raises:
            UnsupportedCallableError: *function* is a generator function, or it is
                synchronous and the answer is not.
        """
        name = call_name(function)
        if is_async(function):
            return cast("Callable[P, R]", self._wrap_async(cast("Any", function), name))
        if callable(self.answer) and is_async(self.answer):
            msg = f"{name!r} is synchronous and its fallback is not: nothing would await it"
            raise UnsupportedCallableError(msg)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except self.on as exc:
                return self._answer(name, exc, args, kwargs)

        return cast("Callable[P, R]", call)

    def _wrap_async(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except self.on as exc:
                answer = self._answer(name, exc, args, kwargs)
                return await answer if inspect.isawaitable(answer) else answer

        return acall

    def _answer(self, name: str, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        emit(self.events, FallbackUsed(self.name or name, error))
        return self.answer(error, *args, **kwargs) if callable(self.answer) else self.answer


def fallback(
    answer: Any,
    *,
    on: type[Exception] | tuple[type[Exception], ...] = _DEFAULT_ON,
    name: str | None = None,
    events: Events | None = None,
) -> Fallback:
    """Answer with *answer* when a function fails: a decorator.

    Args:
        answer: A value, handed out as it is; or a callable that receives the error and
            the arguments of the call, ``answer(error, *args, **kwargs)``, and may be
            asynchronous for an asynchronous function. What it raises leaves, with the
            error chained.
        on: Exception classes that are answered; cancellation never is.
        name: The dependency, for events.
        events: Where events go; the current runtime's by default.

    Example:
        >>> @fallback(lambda error, sku: {"sku": sku, "price": None}, on=ConnectionError)
        ... def price(sku):
        ...     raise ConnectionError("no route")
        >>> price("A-1")
        {'sku': 'A-1', 'price': None}
    """
    return Fallback(answer, on=on, name=name, events=events)
