"""What a cache counts."""

import threading
from dataclasses import dataclass, field, replace

__all__ = ["CacheStats", "Tally"]


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counts since the cache was made, and its size now.

    Example:
        >>> CacheStats(memory_hits=6, remote_hits=2, misses=2).hit_rate
        0.8
    """

    memory_hits: int = 0  # answered by this process
    remote_hits: int = 0  # answered by Redis
    stale_hits: int = 0  # of those, answered while a new value was loaded behind it
    misses: int = 0
    loads: int = 0  # calls of a loader
    load_failures: int = 0  # of those, ended by an exception
    loads_prevented: int = 0  # callers who were given what another one loaded
    sets: int = 0
    deletes: int = 0  # keys taken away
    tags_invalidated: int = 0
    evictions: int = 0  # dropped for want of room in this process
    too_large: int = 0  # values not kept because of their size
    unreadable: int = 0  # stored bytes that no longer fit the serializer or the model
    remote_errors: int = 0  # calls of Redis that failed or were not tried
    deferred: int = 0  # changes to Redis put off until it answers again
    entries: int = 0
    bytes: int = 0

    @property
    def hits(self) -> int:
        """Answers from either tier."""
        return self.memory_hits + self.remote_hits

    @property
    def hit_rate(self) -> float:
        """Share of reads that were answered, in ``[0, 1]``; 0 before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0


@dataclass(slots=True)
class Tally:
    """The counts while they change."""

    counts: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, number: int = 1) -> None:
        """Add *number* to the count called *name*."""
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + number

    def take(self, *, evictions: int, entries: int, size: int) -> CacheStats:
        """Return the counts of now."""
        with self.lock:
            counts = dict(self.counts)
        return replace(CacheStats(**counts), evictions=evictions, entries=entries, bytes=size)

    def after_fork(self) -> None:
        """A child counts its own."""
        self.lock = threading.Lock()
        self.counts = {}
