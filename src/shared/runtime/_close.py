"""Close many resources: all are tried, all failures are told."""

import warnings
from typing import Any, Final

__all__ = ["aclose_all", "close_all", "is_closable", "report"]

_CO_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE


def is_closable(value: Any) -> bool:
    """Tell whether *value* is an open resource as far as its methods show."""
    return hasattr(value, "close") or hasattr(value, "aclose")


def _needs_await(value: Any) -> bool:
    close = getattr(value, "close", None)
    if close is None:
        return hasattr(value, "aclose")
    code = getattr(getattr(close, "__func__", close), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _CO_COROUTINE)


def close_all(waiting: list[Any], failures: list[Exception]) -> list[Any]:
    """Close the instances *waiting*, from the front, and return those that only an await can close.

    What is dealt with leaves *waiting*, so that the rest is known when an interrupt ends the work.
    """
    left: list[Any] = []
    while waiting:
        instance = waiting.pop(0)
        if _needs_await(instance):
            left.append(instance)
        elif (close := getattr(instance, "close", None)) is not None:
            try:
                close()
            except Exception as exc:  # noqa: BLE001 - the others must be closed too
                failures.append(exc)
    return left


async def aclose_all(waiting: list[Any], failures: list[Exception]) -> None:
    """Close the instances *waiting*, from the front, awaiting where there is something to await."""
    while waiting:
        instance = waiting.pop(0)
        close = getattr(instance, "aclose", None) or getattr(instance, "close", None)
        if close is None:
            continue
        try:
            ending = close()
            if hasattr(ending, "__await__"):
                await ending
        except Exception as exc:  # noqa: BLE001 - the others must be closed too
            failures.append(exc)


def report(left: list[Any], failures: list[Exception], runtime: str) -> None:
    """Tell what could not be closed, and what failed.

    Raises:
        ExceptionGroup: One or more resources failed to close.
    """
    try:
        for instance in left:
            msg = f"{type(instance).__name__} can only be closed by await runtime.aclose()"
            warnings.warn(msg, ResourceWarning, stacklevel=3)
    finally:  # a warning may be an error too
        if failures:
            msg = f"closing runtime {runtime!r} failed"
            raise ExceptionGroup(msg, failures)
