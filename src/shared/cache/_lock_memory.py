"""Locks of one process."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.runtime import after_fork_in_child

__all__ = ["MemoryLocks"]


@dataclass(slots=True)
class _Held:
    """One lock; a waiter is the time until which its place is kept, by owner, in order of coming."""

    owner: str | None = None
    until: float = 0.0
    token: int = 0
    line: dict[str, float] = field(default_factory=dict)


class MemoryLocks:
    """The store for the threads and tasks of one process.

    A forked child begins with no lock held: nobody in it holds one.

    Args:
        clock: Gives monotonic seconds.

    Example:
        >>> store = MemoryLocks()
        >>> token = store.take("reports", "me", 30.0)
        >>> store.renew("reports", "me", 30.0), store.renew("reports", "you", 30.0)
        (True, False)
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.shown: str = "memory"
        self._clock = clock
        self._locks: dict[str, _Held] = {}
        self._token = 0  # one counter for all names, so that a forgotten name does not begin anew
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def take(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """See :meth:`LockStore.take`."""
        with self._lock:
            now = self._clock()
            held = self._locks.setdefault(name, _Held())
            held.line = {who: until for who, until in held.line.items() if until > now}
            is_free = held.owner is None or held.until <= now
            if is_free and next(iter(held.line), owner) == owner:
                held.line.pop(owner, None)
                self._token += 1
                held.owner, held.until, held.token = owner, now + ttl, self._token
                return held.token
            if patience > 0:
                held.line[owner] = now + patience  # keeps the place of one who is in line already
            return None

    def renew(self, name: str, owner: str, ttl: float) -> bool:
        """See :meth:`LockStore.renew`."""
        with self._lock:
            held, now = self._locks.get(name), self._clock()
            if held is None or held.owner != owner or held.until <= now:
                return False
            held.until = now + ttl
            return True

    def give_back(self, name: str, owner: str) -> bool:
        """See :meth:`LockStore.give_back`."""
        with self._lock:
            held, now = self._locks.get(name), self._clock()
            if held is None:
                return False
            held.line.pop(owner, None)
            was_held = held.owner == owner and held.until > now
            if held.owner == owner:
                held.owner = None
            if held.owner is None and not held.line:
                del self._locks[name]
            return was_held

    async def atake(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """See :meth:`LockStore.take`."""
        return self.take(name, owner, ttl, patience)

    async def arenew(self, name: str, owner: str, ttl: float) -> bool:
        """See :meth:`LockStore.renew`."""
        return self.renew(name, owner, ttl)

    async def agive_back(self, name: str, owner: str) -> bool:
        """See :meth:`LockStore.give_back`."""
        return self.give_back(name, owner)

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""

    def after_fork(self) -> None:
        """The holders are threads of the parent."""
        self._lock = threading.Lock()
        self._locks = {}
