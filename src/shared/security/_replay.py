"""Memory of the deliveries that were accepted."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from shared.errors import InvalidArgumentError
from shared.runtime import after_fork_in_child

__all__ = ["AsyncReplayStore", "MemoryReplayStore", "ReplayStore"]


class ReplayStore(Protocol):
    """Remembers keys for a while; a claim of several keys is all or nothing.

    Must be atomic: of two callers that claim the same key at once, one succeeds.

    Example:
        >>> store: ReplayStore = MemoryReplayStore()
    """

    def claim(self, keys: Sequence[str], *, ttl: float) -> bool:
        """Remember *keys* for *ttl* seconds; False, and nothing remembered, when one of them is."""

    def release(self, keys: Sequence[str]) -> None:
        """Forget *keys*, so that they can be claimed again."""


class AsyncReplayStore(Protocol):
    """The same as :class:`ReplayStore` for stores behind an await.

    Example:
        >>> class RedisReplayStore:
        ...     async def claim(self, keys, *, ttl):
        ...         return True
        ...     async def release(self, keys):
        ...         pass
        >>> store: AsyncReplayStore = RedisReplayStore()
    """

    async def claim(self, keys: Sequence[str], *, ttl: float) -> bool:
        """As :meth:`ReplayStore.claim`."""

    async def release(self, keys: Sequence[str]) -> None:
        """As :meth:`ReplayStore.release`."""


class MemoryReplayStore:
    """A replay store of this process alone; thread-safe.

    Several processes need a store that they share: each of these remembers only
    what it has seen itself. When full, the oldest key is forgotten first; only
    deliveries with a valid signature take up room.

    Args:
        max_entries: Keys remembered at most.
        clock: Monotonic seconds.

    Example:
        >>> store = MemoryReplayStore()
        >>> store.claim(["a"], ttl=60.0), store.claim(["a", "b"], ttl=60.0), store.claim(["b"], ttl=60.0)
        (True, False, True)
    """

    def __init__(self, max_entries: int = 100_000, *, clock: Callable[[], float] = time.monotonic) -> None:
        if max_entries < 1:
            msg = f"max_entries must be >= 1, got {max_entries}"
            raise InvalidArgumentError(msg)
        self._max_entries = max_entries
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()  # in order of claiming
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def claim(self, keys: Sequence[str], *, ttl: float) -> bool:
        """Remember *keys* for *ttl* seconds; False, and nothing remembered, when one of them is.

        Example:
            >>> MemoryReplayStore().claim(["stripe:evt_1"], ttl=3600.0)
            True
        """
        now = self._clock()
        with self._lock:
            self._forget_expired(now)
            if any(self._until.get(key, now) > now for key in keys):
                return False
            for key in keys:
                self._until.pop(key, None)
                self._until[key] = now + ttl
            while len(self._until) > self._max_entries:
                self._until.popitem(last=False)
            return True

    def release(self, keys: Sequence[str]) -> None:
        """Forget *keys*, so that they can be claimed again.

        Example:
            >>> store = MemoryReplayStore()
            >>> _ = store.claim(["a"], ttl=60.0)
            >>> store.release(["a"])
            >>> store.claim(["a"], ttl=60.0)
            True
        """
        with self._lock:
            for key in keys:
                self._until.pop(key, None)

    def _forget_expired(self, now: float) -> None:
        while self._until:
            key, until = next(iter(self._until.items()))
            if until > now:
                return
            del self._until[key]

    def __len__(self) -> int:
        return len(self._until)

    def after_fork(self) -> None:
        """Replace the lock, which a fork may have left held."""
        self._lock = threading.Lock()
