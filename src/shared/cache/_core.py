"""What a cache decides, without I/O: plans that both shells carry out."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.cache._flight import Flights
from shared.cache._frame import Frame, FrameError, pack
from shared.cache._keys import check_key
from shared.cache._memory import Entry, MemoryTier
from shared.cache._options import CacheOptions, Storing
from shared.cache._outage import Outage
from shared.cache._remote import RemoteTier
from shared.cache._serializers import Serializer
from shared.cache._stats import CacheStats, Tally
from shared.cache._steps import Plan
from shared.errors import InfrastructureError, InvalidArgumentError, ServiceUnavailableError
from shared.runtime import after_fork_in_child

__all__ = ["MISSING", "CacheCore"]

MISSING: Final = object()


class CacheCore:
    """The state of one cache in one process, and the plans of its operations.

    Redis failing is never the caller's error: reads fall back to memory and to the
    loader, changes are owed (:class:`Outage`) and made good before Redis is believed again.
    """

    def __init__(
        self,
        options: CacheOptions,
        serializer: Serializer,
        *,
        remote: bool,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.options: CacheOptions = options
        self.serializer: Serializer = serializer
        self.clock: Callable[[], float] = clock
        self.wall: Callable[[], float] = wall
        self.rng: Callable[[], float] = rng
        self.memory: MemoryTier = MemoryTier(
            max_entries=options.max_entries, max_bytes=options.max_bytes, clock=clock
        )
        self.remote: RemoteTier | None = RemoteTier(options, clock=clock) if remote else None
        self.flights: Flights = Flights()
        self.outage: Outage = Outage()
        self.tally: Tally = Tally()
        self.on_load: Callable[[float], None] | None = None  # hears how long each load took, in seconds
        self.on_trip: Callable[[float], None] | None = None  # the same of each round trip to Redis
        after_fork_in_child(self)

    def after_fork(self) -> None:
        """Begin anew in a forked child."""
        for part in (self.memory, self.flights, self.outage, self.tally):
            part.after_fork()

    def stats(self) -> CacheStats:
        """Return the counts of now."""
        memory = self.memory
        return self.tally.take(evictions=memory.evictions, entries=len(memory), size=memory.bytes)

    # -- values and entries ---------------------------------------------------------------

    def encode(self, value: Any, how: Storing) -> bytes:
        """Return *value* as bytes.

        Raises:
            InvalidArgumentError: The serializer does not take it.
        """
        return (how.serializer or self.serializer).dumps(value)

    def value(self, kept: Entry | Frame, serializer: Serializer | None = None) -> Any:
        """Return a new value, or :data:`MISSING` when the bytes do not fit or another wrote them."""
        reader = serializer or self.serializer
        try:
            if kept.serializer == reader.name:
                return reader.loads(kept.payload)
        except Exception:  # noqa: BLE001, S110  # nosec B110 - a model's validators may raise anything
            pass
        if isinstance(kept, Entry):
            kept.expires = float("-inf")  # nobody need try again
        self.tally.add("unreadable")
        return MISSING

    def life(self, ttl: float) -> float:
        """Return *ttl* less a part drawn by chance, in seconds."""
        return ttl * (1.0 - self.options.jitter * self.rng())

    def frame(
        self, payload: bytes, how: Storing, versions: tuple[tuple[str, bytes], ...], ttl: float
    ) -> Frame:
        """Return the frame of a value stored now, to grow stale after *ttl*."""
        stale_at = self.wall() + self.life(ttl)
        name = (how.serializer or self.serializer).name
        return Frame(payload, stale_at, stale_at + how.stale, name, versions)

    def entry(self, frame: Frame) -> Entry:
        """Return what this process keeps of *frame*."""
        now, wall = self.clock(), self.wall()
        checked = now + self.options.max_staleness if self.remote is not None else float("inf")
        return Entry(
            frame.payload,
            stale_at=now + frame.stale_at - wall,
            expires=now + frame.expires_at - wall,
            checked_until=checked,
            serializer=frame.serializer,
            tags=frame.tags,
        )

    def packed(self, frame: Frame) -> bytes:
        """Return *frame* as Redis keeps it."""
        return pack(frame, compress_over=int(self.options.compress_over))

    def fits(self, payload: bytes) -> bool:
        """Tell whether a value of this size is kept, and count it when not."""
        if len(payload) <= self.options.max_value_bytes:
            return True
        self.tally.add("too_large")
        return False

    # -- Redis ------------------------------------------------------------------------------

    def failed(self) -> None:
        """Note that Redis was not there for a read."""
        self.tally.add("remote_errors")
        self.outage.owe()

    def recover(self) -> Plan[None]:
        """Make good what is owed before Redis is believed again; what memory holds may be old by then."""
        remote = self.remote
        if remote is None or not self.outage.impaired:
            return
        debt = self.outage.take()
        if debt is None:
            msg = "Redis is being told what it missed"
            raise ServiceUnavailableError(msg)
        try:
            remote.recheck()
            if debt.clear:
                yield from remote.change((), (), clear=True)
            yield from remote.ready()
            if debt.keys or debt.tags:
                yield from remote.change(tuple(debt.keys), tuple(debt.tags), clear=False)
        except BaseException:
            self.outage.give_back(debt)
            raise
        if self.outage.settle():
            self.memory.clear()

    # -- reading ------------------------------------------------------------------------------

    def near(self, key: str, serializer: Serializer | None = None, *, fresh: bool = False) -> Any:
        """Return the value that this process may serve without asking anybody, or :data:`MISSING`.

        Args:
            key: Of the value.
            serializer: That wrote it, when it was not the cache's.
            fresh: Whether one that has grown stale does not count.
        """
        now = self.clock()
        entry = self.memory.find(key, now)
        if entry is None or (fresh and now >= entry.stale_at):
            return MISSING
        value = self.value(entry, serializer)
        if value is not MISSING:
            self.tally.add("memory_hits")
        return value

    def read(self, key: str) -> Plan[Any]:
        """Return the value of *key*, or :data:`MISSING`; memory has been looked at."""
        check_key(key)
        found = MISSING
        if self.remote is not None:
            found = yield from self._read_remote(key)
        self.tally.add("misses" if found is MISSING else "remote_hits")
        return found

    def _read_remote(self, key: str) -> Plan[Any]:
        fill = self.memory.expect(key)
        try:
            _, value = yield from self.fetch(key, fill)
        except InfrastructureError:
            self.failed()
            entry = self.memory.find(key, self.clock(), unchecked=True)
            return MISSING if entry is None else self.value(entry)
        finally:
            self.memory.forget(fill)
        return value

    def fetch(
        self, key: str, fill: Any, serializer: Serializer | None = None
    ) -> Plan[tuple[Entry | None, Any]]:
        """Return the entry and the value in Redis, and keep them here; ``(None, MISSING)`` without."""
        remote = self.remote
        assert remote is not None  # noqa: S101  # nosec B101 - for the type checker
        yield from self.recover()
        try:
            frame = yield from remote.fetch(key)
        except FrameError:
            self.tally.add("unreadable")
            return None, MISSING
        return self.keep(frame, fill, serializer)

    def keep(
        self, frame: Frame | None, fill: Any, serializer: Serializer | None = None
    ) -> tuple[Entry | None, Any]:
        """Put what was read into memory; as :meth:`fetch`."""
        if frame is None:
            return None, MISSING
        value = self.value(frame, serializer)
        if value is MISSING:
            return None, MISSING
        entry = self.entry(frame)
        self.memory.put(fill, entry)
        return entry, value

    def read_many(self, keys: Sequence[str]) -> Plan[dict[str, Any]]:
        """Return the values that exist, by key."""
        now, found = self.clock(), {}
        for key in dict.fromkeys(map(check_key, keys)):
            entry = self.memory.find(key, now)
            found[key] = MISSING if entry is None else self.value(entry)
        missing = [key for key, value in found.items() if value is MISSING]
        self.tally.add("memory_hits", len(found) - len(missing))
        if missing and self.remote is not None:
            got = yield from self._read_many_remote(missing)
            found.update(got)
            hits = sum(value is not MISSING for value in got.values())
            self.tally.add("remote_hits", hits)
            self.tally.add("misses", len(missing) - hits)
        else:
            self.tally.add("misses", len(missing))
        return {key: value for key, value in found.items() if value is not MISSING}

    def _read_many_remote(self, keys: Sequence[str]) -> Plan[dict[str, Any]]:
        remote = self.remote
        assert remote is not None  # noqa: S101  # nosec B101 - for the type checker
        fills = {key: self.memory.expect(key) for key in keys}
        try:
            yield from self.recover()
            frames = yield from remote.fetch_many(keys)
            return {key: self.keep(frame, fills[key])[1] for key, frame in frames.items()}
        except InfrastructureError:
            self.failed()
            now = self.clock()
            entries = {key: self.memory.find(key, now, unchecked=True) for key in keys}
            return {key: MISSING if entry is None else self.value(entry) for key, entry in entries.items()}
        finally:
            for fill in fills.values():
                self.memory.forget(fill)

    # -- changing -----------------------------------------------------------------------------

    def write(self, values: Mapping[str, Any], how: Storing) -> Plan[None]:
        """Store *values*."""
        payloads = {check_key(key): self.encode(value, how) for key, value in values.items()}
        for key, payload in payloads.items():
            if len(payload) > self.options.max_value_bytes:
                most = self.options.max_value_bytes
                msg = f"the value of {key[:100]!r} is {len(payload)} bytes; this cache keeps {most} at most"
                raise InvalidArgumentError(msg)
        self.overtake(payloads)
        fills = {key: self.memory.expect(key) for key in payloads}
        try:
            frames = yield from self._write_remote(payloads, how)
            for key, frame in frames.items():
                self.memory.put(fills[key], self.entry(frame))
        finally:
            for fill in fills.values():
                self.memory.forget(fill)
        self.tally.add("sets", len(payloads))

    def _write_remote(self, payloads: Mapping[str, bytes], how: Storing) -> Plan[dict[str, Frame]]:
        """Return the frames as stored; what Redis did not take is owed, and served from memory."""
        versions = tuple((tag, b"") for tag in how.tags)
        remote = self.remote
        if remote is not None:
            try:
                yield from self.recover()
                versions = yield from remote.versions(how.tags)
                frames = {key: self.frame(data, how, versions, how.ttl) for key, data in payloads.items()}
                wall = self.wall()
                stored = [(key, self.packed(frame), frame.expires_at - wall) for key, frame in frames.items()]
                yield from remote.store(stored)
            except InfrastructureError:
                self.defer(keys=payloads)
            else:
                return frames
        return {key: self.frame(data, how, versions, how.ttl) for key, data in payloads.items()}

    def defer(self, keys: Any = (), tags: Any = (), *, clear: bool = False) -> None:
        """Owe a change to Redis, and count it."""
        self.tally.add("remote_errors")
        self.tally.add("deferred", len(keys) + len(tags) + clear)
        self.outage.owe(keys, tags, clear=clear)

    def overtake(self, keys: Any = (), tags: Any = (), *, clear: bool = False) -> int:
        """Take away here what is about to change everywhere; return how many of *keys* were here."""
        wanted = set(tags)
        if clear:
            self.memory.clear()
            self.flights.forget(lambda _: True)
            return 0
        found = self.memory.discard(keys)
        if wanted:
            self.memory.discard_tags(wanted)
        self.flights.forget(lambda flight: flight.key in keys or not wanted.isdisjoint(flight.tags))
        return found

    def invalidate(self, keys: Sequence[str], tags: Sequence[str], *, clear: bool = False) -> Plan[int]:
        """Take away keys, the entries of tags, or everything; return how many of *keys* were there."""
        found = self.overtake(frozenset(keys), tags, clear=clear)
        if self.remote is not None:
            try:
                yield from self.recover()
                found = yield from self.remote.change(keys, tags, clear=clear)
            except InfrastructureError:
                self.defer(keys, tags, clear=clear)
            # Somebody may have read the old value between the first look and Redis.
            self.overtake(frozenset(keys), tags, clear=clear)
        self.tally.add("deletes", len(keys))
        self.tally.add("tags_invalidated", len(tags))
        return found

    def heard(self, kind: str, names: Sequence[str]) -> None:
        """Take away what another process says has changed."""
        if kind == "clear":
            if self.remote is not None:
                self.remote.recheck()
            self.overtake(clear=True)
        elif kind == "tags":
            self.overtake(tags=names)
        else:
            self.overtake(frozenset(names))
