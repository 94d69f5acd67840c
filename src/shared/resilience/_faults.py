"""Where a chaos test gets between a guard and its dependency."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

__all__ = ["Faults"]


class Faults(Protocol):
    """Makes guarded calls go wrong on purpose; see :func:`shared.resilience.testing.chaos`."""

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call *function*, or fail in its place."""

    async def arun(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Await *function*, or fail in its place."""
