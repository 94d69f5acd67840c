"""One of all replicas leads: by a lock that ends by itself when its holder dies."""

from typing import Any, Protocol

from shared.errors import SharedError
from shared.runtime import after_fork_in_child


class _Lease(Protocol):
    @property
    def lost(self) -> bool: ...


class _Lock(Protocol):
    """A lock with leases; ``shared.cache.Lock`` is one."""

    def try_acquire(self) -> Any: ...
    def release(self, lease: Any) -> object: ...


class LeaseLeaderLock:
    """Makes one of the processes of all machines the leader; when it dies, another is after the lease.

    When the store of the lock cannot be reached every process leads: better told twice
    than not at all.

    Args:
        lock: With ``try_acquire()``, which returns a lease with ``lost``, or None, and
            ``release(lease)``: ``shared.cache.Lock("alerts", store=lock_store(url))``.

    Example:
        >>> from shared.cache import Lock, MemoryLocks
        >>> store = MemoryLocks()
        >>> first, second = (LeaseLeaderLock(Lock("alerts", store=store)) for _ in range(2))
        >>> first.acquire(), second.acquire()
        (True, False)
        >>> first.close()
        >>> second.acquire()
        True
        >>> second.close()
    """

    def __init__(self, lock: _Lock) -> None:
        self._lock = lock
        self._lease: _Lease | None = None
        after_fork_in_child(self)

    def acquire(self) -> bool:
        """Return whether this process leads, taking the lock when it is free."""
        lease = self._lease
        if lease is not None and not lease.lost:
            return True
        try:
            self._lease = self._lock.try_acquire()
        except SharedError:
            return True
        return self._lease is not None

    def close(self) -> None:
        """Let another process lead."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._lock.release(lease)

    def after_fork(self) -> None:
        """Leave the lock to the parent; called in the child."""
        self._lease = None
