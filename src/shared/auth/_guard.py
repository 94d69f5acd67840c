"""Put a check in front of a function of any kind, keeping its kind and its signature."""

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from shared.errors import UnsupportedCallableError

__all__ = ["GUARDED_BY", "REQUIREMENTS", "argument_of", "guard"]

Check = Callable[[tuple[Any, ...], Mapping[str, Any]], object]

REQUIREMENTS: Final = "__shared_requirements__"
"""Where a guarded function keeps what it asks for, outermost first."""

GUARDED_BY: Final = "__shared_guarded_by__"
"""Where the function beneath keeps its guard: a route that serves it directly is unprotected."""


def guard(function: Any, check: Check, requirement: Any) -> Any:
    """Return *function* with *check* before each call; a generator is checked at its first step.

    Raises:
        UnsupportedCallableError: *function* is a class, or cannot be called.
    """
    if isinstance(function, (staticmethod, classmethod)):
        msg = f"put @{type(function).__name__} above the rule: it is no function yet"
        raise UnsupportedCallableError(msg)
    if isinstance(function, type) or not callable(function):
        msg = f"only functions can be protected, got {type(function).__name__}: protect its methods"
        raise UnsupportedCallableError(msg)
    made = functools.wraps(function)(_wrapper(function, check))
    made.__dict__.pop(GUARDED_BY, None)
    inner = getattr(function, REQUIREMENTS, ())
    setattr(made, REQUIREMENTS, (requirement, *inner))
    with suppress(AttributeError, TypeError):  # a bound method, a builtin: nothing a route would serve
        setattr(function, GUARDED_BY, requirement)
    return made


def _wrapper(function: Any, check: Check) -> Any:
    plain = function
    while isinstance(plain, functools.partial):
        plain = plain.func
    kinds = (function, plain, getattr(plain, "__call__", None))  # noqa: B004 - its method, not whether
    if any(map(inspect.isasyncgenfunction, kinds)):
        return _async_generator(function, check)
    if any(map(inspect.iscoroutinefunction, kinds)):

        async def run_async(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return await function(*args, **kwargs)

        return run_async
    if any(map(inspect.isgeneratorfunction, kinds)):

        def run_generator(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return (yield from function(*args, **kwargs))

        return run_generator

    def run(*args: Any, **kwargs: Any) -> Any:
        check(args, kwargs)
        return function(*args, **kwargs)

    return run


def _async_generator(function: Any, check: Check) -> Any:
    async def run(*args: Any, **kwargs: Any) -> Any:
        check(args, kwargs)
        inner = function(*args, **kwargs)
        try:
            value = await anext(inner)
            while True:
                # Everything that is thrown in goes to the generator: it may have a transaction to undo.
                try:
                    sent = yield value
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as exc:  # noqa: BLE001 - the generator decides what to do with it
                    value = await inner.athrow(exc)
                else:
                    value = await inner.asend(sent)
        except StopAsyncIteration:
            return
        finally:
            await inner.aclose()

    return run


def argument_of(function: Any, name: str) -> Callable[[tuple[Any, ...], Mapping[str, Any]], Any]:
    """Return a function that finds the argument *name* in a call of *function*.

    Raises:
        UnsupportedCallableError: *function* has no such parameter.
    """
    parameters = list(inspect.signature(function).parameters.values())
    index = next((i for i, parameter in enumerate(parameters) if parameter.name == name), None)
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    if index is None and not takes_any:
        msg = f"{getattr(function, '__qualname__', function)!r} has no parameter {name!r} to compare with"
        raise UnsupportedCallableError(msg)
    default = None
    if index is not None and parameters[index].default is not inspect.Parameter.empty:
        default = parameters[index].default
    position = index if index is not None and parameters[index].kind in _POSITIONAL else None

    def find(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if name in kwargs:
            return kwargs[name]
        if position is not None and position < len(args):
            return args[position]
        return default

    return find


_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
