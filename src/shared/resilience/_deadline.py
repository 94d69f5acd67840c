"""The moment by which a piece of work must end, for this service and the next."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Self

from shared.context import deadline_scope, get_deadline
from shared.errors import DeadlineExceededError
from shared.resilience._checks import at_least

__all__ = ["Deadline", "time_left"]

# The header carries seconds left, never a moment: clocks of two hosts differ.
_SECONDS: Final = re.compile(r"(?:[0-9]{1,7}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})\Z", re.ASCII).match
_LONGEST: Final = 86_400.0


class Deadline:
    """A moment on the monotonic clock by which work must end.

    The deadline of the request is kept in :mod:`shared.context`; whoever waits asks
    for what is left. It only ever gets shorter on its way inwards: a scope never
    extends an outer one.

    Args:
        at: Reading of *clock* at which time is up.
        clock: Gives monotonic seconds.

    Example:
        >>> with Deadline.after(5.0).scope():
        ...     inner = Deadline.current()
        ...     4.9 < inner.remaining() <= 5.0
        True
        >>> Deadline.current() is None
        True
    """

    __slots__ = ("at", "clock")

    def __init__(self, at: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.at: float = at
        self.clock: Callable[[], float] = clock

    @classmethod
    def after(cls, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Self:
        """Return the deadline that many seconds from now; 0 is now.

        Raises:
            InvalidArgumentError: *seconds* is negative or not finite.
        """
        return cls(clock() + at_least("seconds", seconds, 0.0), clock=clock)

    @classmethod
    def current(cls, *, clock: Callable[[], float] = time.monotonic) -> Self | None:
        """Return the deadline in force, or None."""
        at = get_deadline()
        return None if at is None else cls(at, clock=clock)

    @classmethod
    def from_header(
        cls,
        value: str,
        *,
        longest: float = _LONGEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> Self | None:
        """Return the deadline a caller sent as seconds left, or None when it is not valid.

        Args:
            value: The header's value, from outside: anything may come.
            longest: Cap in seconds: no caller can make this service work longer.
            clock: Gives monotonic seconds.

        Example:
            >>> Deadline.from_header("1.5", clock=lambda: 100.0).at
            101.5
            >>> Deadline.from_header("tomorrow") is None
            True
        """
        value = value.strip(" \t")
        if not _SECONDS(value):
            return None
        return cls(clock() + min(float(value), longest), clock=clock)

    def remaining(self) -> float:
        """Return the seconds left, never below 0.0."""
        return max(0.0, self.at - self.clock())

    @property
    def expired(self) -> bool:
        """Whether time is up."""
        return self.clock() >= self.at

    def check(self, work: str = "the work") -> None:
        """Do nothing while there is time.

        Raises:
            DeadlineExceededError: Time is up; not retryable, since a retry has no
                time either.
        """
        if self.expired:
            late = self.clock() - self.at
            msg = f"the deadline for {work} passed {late:.3f} s ago"
            raise DeadlineExceededError(msg, retryable=False)

    def header(self) -> str:
        """Return what to send to the next service: the seconds left, to the millisecond."""
        return f"{self.remaining():.3f}"

    def scope(self) -> AbstractContextManager[float]:
        """Put the deadline in force for a block, unless an earlier one is; yields the moment."""
        now = self.clock()
        return deadline_scope(self.at - now, now=now)

    def __repr__(self) -> str:
        return f"<Deadline in {self.remaining():.3f} s>"


def time_left(
    limit: float | None = None, *, margin: float = 0.0, clock: Callable[[], float] = time.monotonic
) -> float | None:
    """Return how long a blocking operation may take: what to hand to a socket, a query, a lock.

    Args:
        limit: The operation's own limit, in seconds, or None.
        margin: Seconds of the deadline to keep for the work after it.
        clock: Gives monotonic seconds.

    Returns:
        Seconds >= 0.0: the smaller of *limit* and the deadline's rest less *margin*;
        None when there is neither.

    Example:
        >>> time_left(5.0)
        5.0
        >>> with Deadline.after(2.0).scope():
        ...     1.4 < time_left(5.0, margin=0.5) <= 1.5
        True
    """
    at = get_deadline()
    if at is None:
        return limit
    rest = max(0.0, at - clock() - margin)
    return rest if limit is None else min(limit, rest)
