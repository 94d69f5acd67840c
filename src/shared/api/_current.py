"""The exchange at hand, for what runs inside of the application and was not handed one."""

from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

from shared.api._exchange import Exchange
from shared.context import current_context

__all__ = ["CurrentExchange", "exchange_at_hand"]

J = TypeVar("J")


class CurrentExchange(Generic[J]):
    """Remembers, for the request under way, a job and the exchange it was asked about.

    Args:
        name: Of the context variable.
    """

    def __init__(self, name: str) -> None:
        self._variable: Final[ContextVar[tuple[J, Exchange] | None]] = ContextVar(name, default=None)

    def set(self, job: J, exchange: Exchange) -> None:
        """Remember until :meth:`forget`."""
        self._variable.set((job, exchange))

    def forget(self) -> None:
        """Let go: a thread that serves the next request must not keep this one alive."""
        self._variable.set(None)

    def find(self) -> Any:
        """Return ``(job, exchange)`` of the request under way, or None outside of one."""
        found = self._variable.get()
        # A thread or a task may still hold what belongs to a request before.
        return found if found is not None and found[1].context is current_context() else None


def exchange_at_hand() -> Any:
    """Return the exchange of the request under way, or None outside of one."""
    context = current_context()
    if context is None:
        return None
    return (context.root or context).exchange
