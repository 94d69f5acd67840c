"""Refuse wrong arguments where they are written, with the value, the limit and the way out."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from shared.errors import InvalidArgumentError, UnsupportedCallableError

__all__ = [
    "at_least",
    "call_name",
    "error_classes",
    "is_async",
    "no_coroutine",
    "seconds",
    "share",
    "whole",
]


def _refuse(name: str, value: object, rule: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name} must be {rule}, got {value!r}")


def at_least(name: str, value: Any, minimum: float) -> float:
    """Return *value* as a float, refusing what is not a finite number >= *minimum*."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e300 < value < 1e300:
        raise _refuse(name, value, f"a finite number >= {minimum:g}")
    if value < minimum:
        raise _refuse(name, value, f">= {minimum:g}")
    return float(value)


def seconds(name: str, value: Any) -> float:
    """Return *value* as seconds > 0."""
    if at_least(name, value, 0.0) == 0.0:
        raise _refuse(name, value, "more than 0 seconds")
    return float(value)


def whole(name: str, value: Any, minimum: int = 1) -> int:
    """Return *value*, refusing what is not a whole number >= *minimum*."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise _refuse(name, value, f"a whole number >= {minimum}")
    return value


def share(name: str, value: Any) -> float:
    """Return *value*, refusing what is not a share in (0, 1]; 0.5 means 50 %."""
    if not 0.0 < at_least(name, value, 0.0) <= 1.0:
        raise _refuse(name, value, "a share in (0, 1], such as 0.5 for 50 %")
    return float(value)


def error_classes(name: str, value: object) -> tuple[type[Exception], ...]:
    """Return *value* (a class or several) as a tuple of exception classes.

    ``BaseException`` and its other children are refused: cancellation,
    ``KeyboardInterrupt`` and ``SystemExit`` always pass.
    """
    classes = tuple(value) if isinstance(value, Iterable) else (value,)
    for cls in classes:
        if not (isinstance(cls, type) and issubclass(cls, Exception)):
            raise _refuse(name, value, "exception classes below Exception (cancellation always passes)")
    return classes


def call_name(function: Callable[..., Any]) -> str:
    """Return the name under which *function* shows up in events and messages."""
    while isinstance(function, functools.partial) and "__qualname__" not in vars(function):
        function = function.func
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def is_async(function: Any) -> bool:
    """Tell whether calling *function* gives a coroutine; refuses what cannot be guarded.

    Raises:
        UnsupportedCallableError: *function* is a generator function (its body runs
            after the guarded call has returned), or not callable.
    """
    if not callable(function):
        msg = f"{function!r} is not callable: put the decorator below @staticmethod or @classmethod"
        raise UnsupportedCallableError(msg)
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    candidates = (target, getattr(target, "__call__", None))  # noqa: B004 - the bound method is inspected
    if any(inspect.isgeneratorfunction(item) or inspect.isasyncgenfunction(item) for item in candidates):
        msg = (
            f"{call_name(function)!r} is a generator function: its body runs after the call has returned, "
            "outside of any guard; decorate the function that makes one call, or use a with block inside"
        )
        raise UnsupportedCallableError(msg)
    return any(inspect.iscoroutinefunction(item) for item in candidates)


def no_coroutine(result: Any, function: Callable[..., Any], use: str) -> None:
    """Refuse a coroutine that a synchronous shell was about to report as a success.

    Raises:
        UnsupportedCallableError: *result* is a coroutine; it is closed first.
    """
    if inspect.iscoroutine(result):
        result.close()
        msg = f"{call_name(function)!r} gave a coroutine, which nothing here awaits: use {use}"
        raise UnsupportedCallableError(msg)
