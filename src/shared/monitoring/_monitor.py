"""Decorators that record how long a function takes and whether it fails."""

import asyncio
import functools
import inspect
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from shared.context import get_principal
from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.monitoring._accessors import get_performance_recorder

_log: Final = logging.getLogger("shared.monitoring")

P = ParamSpec("P")
R = TypeVar("R")

UserId: TypeAlias = "str | Callable[..., str | None] | None"
"""Whose run it is: fixed, or a function of the call's arguments; the principal of the request when None."""

_clock: Final = time.perf_counter


def monitor_task_execution(
    name: str, *, user_id: UserId = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record every run of the decorated function as the task *name*.

    Works on plain functions, coroutine functions, generators and asynchronous
    generators; those are timed from the first item to the last. What the function
    returns and raises is untouched. A run that is cancelled, or a generator that is
    closed early, is no error.

    Args:
        name: Name of the task; a bounded set of names, not the data.
        user_id: Whose run it is: text, or a function that gets the call's arguments;
            the ``user_id`` of the request's principal when None.

    Raises:
        InvalidArgumentError: *name* is empty.
        UnsupportedCallableError: What is decorated is a class, or cannot be called.

    Example:
        >>> @monitor_task_execution("data_processing", user_id="user-123")
        ... def process_data(rows):
        ...     return len(rows)
        >>> process_data([1, 2, 3])
        3
    """
    return _decorator("task", name, user_id)


def monitor_api_call(
    endpoint: str, method: str, *, user_id: UserId = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record every run of the decorated function as the API call *method* *endpoint*.

    As :func:`monitor_task_execution`; the name becomes ``"GET /users"``.

    Args:
        endpoint: Template of the path, such as ``/users/{id}``; never the path itself.
        method: HTTP method, in any case.
        user_id: As for :func:`monitor_task_execution`.

    Raises:
        InvalidArgumentError: *endpoint* or *method* is empty.
        UnsupportedCallableError: As for :func:`monitor_task_execution`.

    Example:
        >>> @monitor_api_call("/users", "GET", user_id="user-123")
        ... async def get_users():
        ...     return []
        >>> import asyncio
        >>> with asyncio.Runner() as runner:
        ...     runner.run(get_users())
        []
    """
    if not method:
        msg = f"monitor_api_call({endpoint!r}, ...): the method is empty"
        raise InvalidArgumentError(msg)
    return _decorator("api", f"{method.upper()} {endpoint}" if endpoint else "", user_id)


def _decorator(kind: str, name: str, user_id: UserId) -> Callable[[Callable[P, R]], Callable[P, R]]:
    if not name:
        msg = f"a monitored {kind} needs a name"
        raise InvalidArgumentError(msg)
    given: Any = user_id
    if not (given is None or isinstance(given, str) or callable(given)):
        msg = f"monitored {kind} {name!r}: user_id is text or a function, got {type(given).__name__}"
        raise InvalidArgumentError(msg)
    watch = _Watch(kind, name, user_id)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        inner: Any = function
        if isinstance(inner, type) or not callable(inner):
            msg = f"monitored {kind} {name!r}: decorate a function, not {inner!r:.80}"
            raise UnsupportedCallableError(msg)
        while isinstance(inner, functools.partial):
            inner = inner.func
        wrap: Any = _wrap_function
        if inspect.iscoroutinefunction(inner):
            wrap = _wrap_coroutine
        elif inspect.isasyncgenfunction(inner):
            wrap = _wrap_async_generator
        elif inspect.isgeneratorfunction(inner):
            wrap = _wrap_generator
        wrapped: Callable[P, R] = wrap(function, watch)
        return wrapped

    return decorate


class _Watch:
    """Takes the outcome of one run to the recorder of the runtime in force."""

    __slots__ = ("kind", "name", "user_id")

    def __init__(self, kind: str, name: str, user_id: UserId) -> None:
        self.kind = kind
        self.name = name
        self.user_id = user_id

    def done(self, began: float, outcome: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seconds = _clock() - began
        user = self.user_id
        if not isinstance(user, str):
            user = _user(user, args, kwargs)
        get_performance_recorder().record(self.kind, self.name, seconds, user=user, outcome=outcome)


def _user(source: Callable[..., str | None] | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    try:
        if source is not None:
            found: Any = source(*args, **kwargs)
        else:
            principal = get_principal()
            found = (
                principal.get("user_id")
                if isinstance(principal, dict)
                else getattr(principal, "user_id", None)
            )
        return "" if found is None else str(found)
    except Exception:  # noqa: BLE001 - the caller's function; not knowing the user must not fail the call
        _log.debug("the user of a monitored call is not known", exc_info=True)
        return ""


def _outcome(exc: BaseException) -> str:
    return (
        "error" if isinstance(exc, Exception) and not isinstance(exc, asyncio.CancelledError) else "cancelled"
    )


def _wrap_function(function: Callable[..., Any], watch: _Watch) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        began = _clock()
        try:
            result = function(*args, **kwargs)
        except BaseException as exc:
            watch.done(began, _outcome(exc), args, kwargs)
            raise
        watch.done(began, "success", args, kwargs)
        return result

    return run


def _wrap_coroutine(function: Callable[..., Awaitable[Any]], watch: _Watch) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        began = _clock()
        try:
            result = await function(*args, **kwargs)
        except BaseException as exc:
            watch.done(began, _outcome(exc), args, kwargs)
            raise
        watch.done(began, "success", args, kwargs)
        return result

    return run


def _wrap_generator(function: Callable[..., Generator[Any, Any, Any]], watch: _Watch) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        began = _clock()
        try:
            result = yield from function(*args, **kwargs)
        except BaseException as exc:
            watch.done(began, _outcome(exc), args, kwargs)
            raise
        watch.done(began, "success", args, kwargs)
        return result

    return run


def _wrap_async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], watch: _Watch
) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        began = _clock()
        inner = function(*args, **kwargs)
        outcome = "success"
        try:
            item = await anext(inner)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as exc:  # noqa: BLE001 - thrown in by the consumer: the inner one decides
                    item = await inner.athrow(exc)
                else:
                    item = await inner.asend(sent)
        except StopAsyncIteration:
            return
        except BaseException as exc:
            outcome = _outcome(exc)
            raise
        finally:
            await inner.aclose()
            watch.done(began, outcome, args, kwargs)

    return run
