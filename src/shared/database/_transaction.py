"""What decides whether and when a transaction is run again. Pure."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from shared.database._faults import conflict_reason, is_lost
from shared.errors import ConfigurationError, InvalidArgumentError
from shared.resilience import Backoff

__all__ = ["ONCE", "TransactionRetry", "running"]

#: The databases whose whole-callable runs are under way in this task.
running: Final[ContextVar[frozenset[int]]] = ContextVar("shared_database_running", default=frozenset())


@dataclass(frozen=True, slots=True)
class TransactionRetry:
    """How often a transaction is run, and how long to wait in between.

    Args:
        max_attempts: Runs in total, >= 1.
        backoff: The waits; exponential from 20 ms to 1 s with full jitter by default.
        lost_connection: Whether a connection that was lost *before* the commit counts
            as a reason: the server has rolled back then. A connection lost during the
            commit never does, because nobody knows whether it was carried out.

    Raises:
        InvalidArgumentError: *max_attempts* is below 1.

    Example:
        >>> TransactionRetry(max_attempts=3).max_attempts
        3
    """

    max_attempts: int = 5
    backoff: Backoff = field(default_factory=lambda: Backoff(delay=0.02, max_delay=1.0))
    lost_connection: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or self.max_attempts < 1:
            msg = f"max_attempts is 1 or more, got {self.max_attempts!r}"
            raise InvalidArgumentError(msg)

    @classmethod
    def of(cls, value: "TransactionRetry | int | bool | None") -> "TransactionRetry":
        """Return the policy for what a caller gave: a number of runs, True for the default, None for one."""
        if isinstance(value, TransactionRetry):
            return value
        if value is True:
            return cls()
        return cls(max_attempts=int(value)) if value else ONCE

    def reason(self, error: BaseException, *, attempt: int, committing: bool) -> str | None:
        """Return why run number *attempt* is to be repeated, or None when it is not."""
        if attempt >= self.max_attempts:
            return None
        reason = conflict_reason(error)
        if reason is None and self.lost_connection and not committing and is_lost(error):
            return "connection"
        return reason

    def wait(self, attempt: int, rng: Callable[[], float] | None = None) -> float:
        """Return the seconds to wait after run number *attempt*."""
        return self.backoff.wait(attempt) if rng is None else self.backoff.wait(attempt, rng=rng)


ONCE: Final = TransactionRetry(max_attempts=1)


def enter(database: Any, policy: TransactionRetry) -> Any:
    """Note that a run begins; refuse a repeatable one inside of another.

    Raises:
        ConfigurationError: A run of the same database is under way in this task.
    """
    under_way = running.get()
    if id(database) in under_way and policy.max_attempts > 1:
        msg = (
            "a transaction that may be repeated cannot run inside of another: only the outermost "
            "callable can be run again; pass its session on"
        )
        raise ConfigurationError(msg)
    return running.set(under_way | {id(database)})
