"""A lock while it is held."""

import os
import threading
from collections.abc import Callable

from shared.errors import LockLostError

__all__ = ["Lease"]


class Lease:
    """A lock while it is held: its fencing token, and whether it still is.

    The token is higher than every token before it for this name. Give it to whatever the
    lock protects, and let that refuse a token lower than the highest it has seen: a
    process that was paused for longer than the lock lasts does not know that it has lost
    it, and only the other side can tell.

    Example:
        >>> from shared.cache import Lock, MemoryLocks
        >>> with Lock("reports", store=MemoryLocks()) as lease:
        ...     lease.check()
        ...     lease.token, lease.lost
        (1, False)
    """

    __slots__ = ("_clock", "_pid", "ended", "expires", "key", "owner", "token")

    def __init__(
        self, key: str, owner: str, token: int, *, expires: float, clock: Callable[[], float]
    ) -> None:
        self.key: str = key
        self.owner: str = owner
        self.token: int = token
        self.expires: float = expires  # monotonic seconds; never later than the store thinks
        self.ended: threading.Event = threading.Event()  # given back, or lost
        self._clock = clock
        self._pid = os.getpid()

    @property
    def lost(self) -> bool:
        """Whether somebody else may hold it by now. In a forked child it is: the parent holds it."""
        return self.ended.is_set() or self._clock() >= self.expires or os.getpid() != self._pid

    @property
    def remaining(self) -> float:
        """Seconds until it ends unless it is renewed; 0.0 when it is lost."""
        return 0.0 if self.lost else max(0.0, self.expires - self._clock())

    def check(self) -> None:
        """See that it is still held: call it before each step that must not be done twice.

        Raises:
            LockLostError: It is not.
        """
        if self.lost:
            msg = f"lock {self.key!r} was lost: it was not renewed in time, or its store forgot it"
            raise LockLostError(msg)

    def __repr__(self) -> str:
        return f"Lease({self.key!r}, token={self.token}, lost={self.lost})"
