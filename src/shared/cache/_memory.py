"""The tier in this process: encoded bytes, bounded by entries and by size."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

__all__ = ["Entry", "MemoryTier"]

_OVERHEAD: Final = 250  # bytes an entry costs beside its key and payload, by tracemalloc


class Entry:
    """A value as bytes, and how long it may be served. Times are monotonic seconds."""

    __slots__ = ("checked_until", "expires", "payload", "serializer", "stale_at", "tags", "used")

    def __init__(
        self,
        payload: bytes,
        *,
        stale_at: float,
        expires: float,
        checked_until: float,
        serializer: str,
        tags: tuple[tuple[str, bytes], ...] = (),
    ) -> None:
        self.payload: bytes = payload
        self.stale_at: float = stale_at  # from here on somebody should load it anew
        self.expires: float = expires  # from here on it does not exist
        self.checked_until: float = checked_until  # until here nobody else need be asked
        self.serializer: str = serializer  # the name of what wrote the payload
        self.tags: tuple[tuple[str, bytes], ...] = tags
        self.used: bool = False


class Fill:
    """The right to store what was read; lost when the key is changed meanwhile."""

    __slots__ = ("epoch", "key", "valid")

    def __init__(self, key: str, epoch: int) -> None:
        self.key: str = key
        self.epoch: int = epoch  # of the tags, when it began
        self.valid: bool = True


class MemoryTier:
    """Entries by key. Reading takes no lock; whatever changes anything does.

    Full, it drops what has not been read since the hand of the clock last passed
    (second chance), which needs no bookkeeping on a hit.

    Thread-safe; re-armed after a fork by its owner.
    """

    def __init__(self, *, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self.max_entries: int = max_entries
        self.max_bytes: int = max_bytes
        self.bytes: int = 0
        self.evictions: int = 0
        self._clock = clock
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._by_tag: dict[str, set[str]] = {}
        self._fills: dict[str, set[Fill]] = {}
        self._epoch = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str, now: float, *, unchecked: bool = False) -> Entry | None:
        """Return the entry that may be served at *now*; *unchecked*: also one others may have changed."""
        entry = self._entries.get(key)
        if entry is None or now >= entry.expires or (now >= entry.checked_until and not unchecked):
            return None
        entry.used = True
        return entry

    # -- storing what was read or written -----------------------------------------------

    def expect(self, key: str) -> Fill:
        """Announce a fill of *key*: begin here, before anything is read."""
        with self._lock:
            fill = Fill(key, self._epoch)
            self._fills.setdefault(key, set()).add(fill)
        return fill

    def forget(self, fill: Fill) -> None:
        """End a fill, whether or not it stored anything."""
        with self._lock:
            waiting = self._fills.get(fill.key)
            if waiting is not None:
                waiting.discard(fill)
                if not waiting:
                    del self._fills[fill.key]

    def put(self, fill: Fill, entry: Entry) -> bool:
        """Store *entry* unless its key, or any tag, was changed since the fill began; tell whether."""
        size = _size(fill.key, entry)
        with self._lock:
            if not fill.valid or (entry.tags and fill.epoch != self._epoch):
                return False
            self._drop(fill.key)
            if size > self.max_bytes or self.max_entries < 1:
                return False
            self._entries[fill.key] = entry
            self.bytes += size
            for name, _ in entry.tags:
                self._by_tag.setdefault(name, set()).add(fill.key)
            self._make_room(fill.key)
        return True

    # -- taking away --------------------------------------------------------------------

    def discard(self, keys: Iterable[str]) -> int:
        """Take *keys* away, and the right to fill them with what is being read; return how many were."""
        with self._lock:
            found = 0
            for key in keys:
                self._revoke(self._fills.get(key, ()))
                found += self._drop(key)
            return found

    def discard_tags(self, tags: Iterable[str]) -> None:
        """Take away every entry that has one of *tags*."""
        wanted = set(tags)
        with self._lock:
            self._epoch += 1
            for tag in wanted:
                for key in tuple(self._by_tag.get(tag, ())):
                    self._drop(key)

    def clear(self) -> None:
        """Take everything away."""
        with self._lock:
            for fills in self._fills.values():
                self._revoke(fills)
            self._entries.clear()
            self._by_tag.clear()
            self.bytes = 0

    def after_fork(self) -> None:
        """Bring the lock into a working state; another thread's fills do not exist here."""
        self._lock = threading.Lock()
        self._fills = {}
        # The parent's thread may have been between two changes: begin anew.
        self._entries, self._by_tag, self.bytes = OrderedDict(), {}, 0

    @staticmethod
    def _revoke(fills: "Iterable[Fill]") -> None:
        for fill in fills:
            fill.valid = False

    def _drop(self, key: str) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self.bytes -= _size(key, entry)
        for name, _ in entry.tags:
            keys = self._by_tag.get(name)
            if keys is not None:
                keys.discard(key)
                if not keys:
                    del self._by_tag[name]
        return True

    def _make_room(self, newest: str) -> None:
        now = self._clock()
        while len(self._entries) > self.max_entries or self.bytes > self.max_bytes:
            key = next(iter(self._entries))  # the hand of the clock
            entry = self._entries[key]
            if key == newest or (entry.used and now < entry.expires):
                entry.used = False
                self._entries.move_to_end(key)
                continue
            self._drop(key)
            self.evictions += 1


def _size(key: str, entry: Entry) -> int:
    return len(key) + len(entry.payload) + _OVERHEAD + 100 * len(entry.tags)
