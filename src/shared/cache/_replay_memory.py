"""Answered requests of one process, in memory."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from shared.cache._replay_types import ReplayClaim, ReplayState, StoredAnswer
from shared.errors import InvalidArgumentError, ServiceUnavailableError
from shared.runtime import after_fork_in_child

__all__ = ["MemoryReplays"]


@dataclass(slots=True)
class _Entry:
    fingerprint: str
    token: str
    until: float
    is_done: bool = False
    answer: StoredAnswer | None = None


class MemoryReplays:
    """The store for one process, for development and tests: other workers do not know of it.

    Args:
        max_keys: Keys kept at most. Above, the oldest answered ones are forgotten early;
            when all are under way, new ones are refused.
        clock: Monotonic seconds.

    Thread-safe. A forked child starts with a copy.

    Raises:
        InvalidArgumentError: *max_keys* is below 1.

    Example:
        >>> store = MemoryReplays()
        >>> claim = store.begin("u-1", "k-1", "f", lease=60.0)
        >>> store.finish("u-1", "k-1", "f", claim.token, StoredAnswer(201), ttl=3600.0)
        True
        >>> store.begin("u-1", "k-1", "f", lease=60.0).answer.status
        201
    """

    shown: str = "memory"

    def __init__(self, *, max_keys: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        if max_keys < 1:
            msg = f"max_keys is 1 or more, got {max_keys!r}"
            raise InvalidArgumentError(msg)
        self._max_keys = max_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        after_fork_in_child(self)

    def begin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """Claim a key; see :meth:`ReplayStore.begin`.

        Raises:
            ServiceUnavailableError: *max_keys* requests are under way.
        """
        with self._lock:
            now = self._clock()
            entry = self._entries.get((scope, key))
            if entry is None or entry.until <= now:
                self._make_room(now)
                token = secrets.token_hex(16)
                self._entries.pop((scope, key), None)
                self._entries[scope, key] = _Entry(fingerprint, token, now + lease)
                return ReplayClaim(ReplayState.STARTED, token)
            if entry.fingerprint != fingerprint:
                return ReplayClaim(ReplayState.OTHER)
            if entry.is_done:
                return ReplayClaim(ReplayState.DONE, answer=entry.answer)
            return ReplayClaim(ReplayState.BUSY, retry_after=entry.until - now)

    async def abegin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """As :meth:`begin`; nothing waits, so nothing is awaited."""
        return self.begin(scope, key, fingerprint, lease=lease)

    def finish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """Keep the answer; see :meth:`ReplayStore.finish`."""
        with self._lock:
            entry = self._entries.get((scope, key))
            if entry is None:  # the lease ended, and nobody came since
                entry = self._entries[scope, key] = _Entry(fingerprint, token, 0.0)
            if entry.token != token or entry.is_done:
                return False
            entry.is_done, entry.answer = True, answer
            entry.until = self._clock() + ttl
            self._entries.move_to_end((scope, key))
            return True

    async def afinish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """As :meth:`finish`; nothing waits, so nothing is awaited."""
        return self.finish(scope, key, fingerprint, token, answer, ttl=ttl)

    def abandon(self, scope: str, key: str, token: str) -> None:
        """Give the key back; see :meth:`ReplayStore.abandon`."""
        with self._lock:
            entry = self._entries.get((scope, key))
            if entry is not None and entry.token == token and not entry.is_done:
                del self._entries[scope, key]

    async def aabandon(self, scope: str, key: str, token: str) -> None:
        """As :meth:`abandon`; nothing waits, so nothing is awaited."""
        self.abandon(scope, key, token)

    def _make_room(self, now: float) -> None:
        """Drop two ended entries at the front; when there are too many, an answered one."""
        entries = self._entries
        for _ in range(2):
            oldest = next(iter(entries.items()), None)
            if oldest is None or oldest[1].until > now:
                break
            del entries[oldest[0]]
        if len(entries) >= self._max_keys:
            found = next(
                (name for name, entry in entries.items() if entry.is_done or entry.until <= now), None
            )
            if found is None:
                msg = f"{self._max_keys} requests with idempotency keys are under way"
                raise ServiceUnavailableError(msg, retry_after=1)
            del entries[found]

    def __len__(self) -> int:
        """Return how many keys are kept."""
        return len(self._entries)

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    async def aclose(self) -> None:
        """Do nothing: nothing is held open."""

    def after_fork(self) -> None:
        """Take a new lock."""
        self._lock = threading.Lock()
