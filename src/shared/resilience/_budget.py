"""Keep retries a small share of the traffic, so that they cannot finish off a dependency."""

import threading
from typing import Final, Protocol

from shared.resilience._checks import at_least
from shared.runtime import after_fork_in_child

__all__ = ["ALWAYS", "Budget", "RetryBudget"]


class Budget(Protocol):
    """What retries and hedges ask before they add load.

    Example:
        >>> isinstance(RetryBudget().full, bool)
        True
    """

    full: bool
    """Whether a success has nothing to add; read on every call, so a plain attribute."""

    def success(self) -> None:
        """Count a call that answered."""

    def failure(self) -> bool:
        """Count a call that failed; return whether it may be tried again."""

    def spend(self) -> bool:
        """Ask for one extra call that follows no failure (a hedge)."""


class _Always:
    """The budget of a policy without one."""

    __slots__ = ("full",)

    def __init__(self) -> None:
        self.full = True

    def success(self) -> None:
        """Count nothing."""

    def failure(self) -> bool:
        """Allow."""
        return True

    def spend(self) -> bool:
        """Allow."""
        return True


ALWAYS: Final = _Always()


class RetryBudget:
    """A bucket of tokens shared by all calls to one dependency.

    It starts full. A failed try takes one token, a good call puts *ratio* back, and
    tries are repeated only while more than half of the bucket is left: a few
    failures are retried at once, an outage stops the retries of the whole process
    within *tokens* / 2 failures, and recovery earns them back. While the bucket is
    full a call costs one comparison. Thread-safe; share one object per dependency
    among retries and hedges. Source: gRPC proposal A6, "Throttling Retry Attempts
    and Hedged RPCs".

    Args:
        tokens: Size of the bucket, >= 2.
        ratio: Tokens earned by a good call: 0.1 allows one retry per ten calls.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> budget = RetryBudget(tokens=4, ratio=0.5)
        >>> [budget.failure() for _ in range(3)]
        [True, False, False]
        >>> for _ in range(3):
        ...     budget.success()
        >>> budget.tokens
        2.5
    """

    __slots__ = ("__weakref__", "_lock", "full", "half", "ratio", "size", "tokens")

    def __init__(self, tokens: float = 10.0, ratio: float = 0.1) -> None:
        self.size: float = at_least("tokens", tokens, 2.0)
        self.ratio: float = at_least("ratio", ratio, 0.0)
        self.half: float = self.size / 2.0
        self.tokens: float = self.size
        self.full: bool = True
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def success(self) -> None:
        """Count a call that answered."""
        with self._lock:
            self.tokens = min(self.size, self.tokens + self.ratio)
            self.full = self.tokens >= self.size

    def failure(self) -> bool:
        """Count a try that failed; return whether it may be repeated."""
        with self._lock:
            self.tokens = max(0.0, self.tokens - 1.0)
            self.full = False
            return self.tokens > self.half

    def spend(self) -> bool:
        """Take one token for an extra call that follows no failure; False when too few are left."""
        with self._lock:
            if self.tokens - 1.0 <= self.half:
                return False
            self.tokens -= 1.0
            self.full = False
            return True

    def after_fork(self) -> None:
        """Re-arm in a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"RetryBudget(tokens={self.tokens:g} of {self.size:g}, ratio={self.ratio:g})"
