"""Blocks of code in which flags stay as they are, or are what the block says."""

import functools
import inspect
from collections.abc import Callable
from contextvars import Token
from typing import Any, Self, TypeVar, cast

from shared.feature_flags._scope import BlockState, enter_block, leave_block

__all__ = ["FlagBlock"]

F = TypeVar("F", bound=Callable[..., Any])


class FlagBlock:
    """A block of code, or a decorated function, in which flags stay, or are what was said.

    What :meth:`Flags.scope` and :meth:`Flags.override` return, for ``with``, ``async with``
    and as a decorator. It holds for this task and those it starts; other threads and tasks
    do not see it.

    Args:
        make: Makes what holds in the block, from what holds around it.

    Example:
        >>> from shared.feature_flags import Flag, Flags
        >>> flags = Flags([Flag("beta")])
        >>> @flags.override(beta=True)
        ... def test_beta():
        ...     return flags.is_enabled("beta")
        >>> test_beta(), flags.is_enabled("beta")
        (True, False)
    """

    def __init__(self, make: Callable[[], BlockState]) -> None:
        self._make = make
        self._entered: list[tuple[Token[BlockState | None], BlockState]] = []

    def __enter__(self) -> Self:
        state = self._make()
        self._entered.append((enter_block(state), state))
        return self

    def __exit__(self, *_: object) -> None:
        leave_block(*self._entered.pop())

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def __call__(self, function: F) -> F:
        """Return *function* with the block around each call, asynchronous or not."""
        make = self._make
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with FlagBlock(make):
                    return await function(*args, **kwargs)

            return cast("F", awaited)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with FlagBlock(make):
                return function(*args, **kwargs)

        return cast("F", called)
