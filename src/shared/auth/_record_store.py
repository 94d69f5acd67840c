"""What API keys and sessions need of a store: records with an owner, a version and an end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from shared.auth._fork_lock import ForkLock

__all__ = [
    "AsyncMemoryRecordStore",
    "AsyncRecordStore",
    "MemoryRecordStore",
    "Record",
    "RecordKind",
    "RecordStore",
]

RecordKind = Literal["api_key", "session"]


@dataclass(frozen=True, slots=True)
class Record:
    """One API key or session as a store keeps it; no secret is in it in the clear.

    Attributes:
        id: Unique within its kind.
        owner: Whose it is.
        data: JSON.
        version: Grows by one with each change; of what was read, for a change.
        created_at: Seconds since 1970.
        expires_at: From when on the store may forget it, or None.
        touched_at: When it was last used, or None.

    Example:
        >>> Record("k-1", "u-1", {"name": "ci"}, created_at=0.0).version
        1
    """

    id: str
    owner: str
    data: Mapping[str, Any] = field(repr=False)
    version: int = 1
    created_at: float = 0.0
    expires_at: float | None = None
    touched_at: float | None = None

    def is_over(self, now: float) -> bool:
        """Tell whether its time is over.

        Example:
            >>> Record("k-1", "u-1", {}, expires_at=60.0).is_over(60.0)
            True
        """
        return self.expires_at is not None and self.expires_at <= now


class RecordStore(Protocol):
    """Keeps records of one kind; each call is atomic. ``now`` is seconds since 1970.

    Nothing that was deleted comes back: a change of what is gone is refused.

    Example:
        >>> store: RecordStore = MemoryRecordStore()
    """

    def get(self, record_id: str, *, now: float) -> Record | None:
        """Return the record, or None when there is none or its time is over."""

    def insert(self, record: Record, *, now: float) -> bool:
        """Keep a new record; False when its id is taken."""

    def change(self, record: Record, *, now: float) -> bool:
        """Keep *record* in place of the one of its id and version; False when that is not there."""

    def delete(self, record_id: str) -> bool:
        """Forget the record; tell whether it was there."""

    def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """Return the records of *owner*, the oldest first."""

    def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """Forget the records of *owner* but *keep*; return how many."""

    def touch(self, moments: Mapping[str, float]) -> None:
        """Note when records were last used, by id; unknown ids and earlier moments change nothing."""

    def purge(self, *, now: float) -> int:
        """Forget what is over; return how many. Stores that do it by themselves return 0."""


class AsyncRecordStore(Protocol):
    """The same as :class:`RecordStore` behind awaits.

    Example:
        >>> store: AsyncRecordStore = AsyncMemoryRecordStore()
    """

    async def get(self, record_id: str, *, now: float) -> Record | None:
        """As :meth:`RecordStore.get`."""

    async def insert(self, record: Record, *, now: float) -> bool:
        """As :meth:`RecordStore.insert`."""

    async def change(self, record: Record, *, now: float) -> bool:
        """As :meth:`RecordStore.change`."""

    async def delete(self, record_id: str) -> bool:
        """As :meth:`RecordStore.delete`."""

    async def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """As :meth:`RecordStore.of_owner`."""

    async def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """As :meth:`RecordStore.delete_of_owner`."""

    async def touch(self, moments: Mapping[str, float]) -> None:
        """As :meth:`RecordStore.touch`."""

    async def purge(self, *, now: float) -> int:
        """As :meth:`RecordStore.purge`."""


_SWEEP_EVERY = 1024  # writes between two looks for what is over


class MemoryRecordStore:
    """A store of this process alone; thread-safe.

    For tests, development and services of one process.

    Example:
        >>> store = MemoryRecordStore()
        >>> store.insert(Record("s-1", "u-1", {}), now=0.0), store.insert(Record("s-1", "u-1", {}), now=0.0)
        (True, False)
        >>> store.delete("s-1"), store.change(Record("s-1", "u-1", {}), now=0.0)
        (True, False)
    """

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._owned: dict[str, dict[str, None]] = {}
        self._writes = 0
        self._lock = ForkLock()

    def get(self, record_id: str, *, now: float) -> Record | None:
        """See :meth:`RecordStore.get`."""
        found = self._records.get(record_id)
        return None if found is None or found.is_over(now) else found

    def insert(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.insert`."""
        with self._lock:
            self._sweep(now)
            present = self._records.get(record.id)
            if present is not None and not present.is_over(now):
                return False
            self._forget(record.id)
            self._records[record.id] = replace(record, version=1)
            self._owned.setdefault(record.owner, {})[record.id] = None
            return True

    def change(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.change`."""
        with self._lock:
            present = self._records.get(record.id)
            if present is None or present.is_over(now) or present.version != record.version:
                return False
            self._forget(record.id)
            self._records[record.id] = replace(record, version=record.version + 1)
            self._owned.setdefault(record.owner, {})[record.id] = None
            return True

    def delete(self, record_id: str) -> bool:
        """See :meth:`RecordStore.delete`."""
        with self._lock:
            return self._forget(record_id)

    def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """See :meth:`RecordStore.of_owner`."""
        with self._lock:
            found = [self._records[record_id] for record_id in self._owned.get(owner, ())]
        return sorted((record for record in found if not record.is_over(now)), key=_age)

    def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """See :meth:`RecordStore.delete_of_owner`."""
        with self._lock:
            return sum(self._forget(each) for each in list(self._owned.get(owner, ())) if each != keep)

    def touch(self, moments: Mapping[str, float]) -> None:
        """See :meth:`RecordStore.touch`."""
        with self._lock:
            for record_id, at in moments.items():
                found = self._records.get(record_id)
                if found is not None and (found.touched_at is None or found.touched_at < at):
                    self._records[record_id] = replace(found, touched_at=at)

    def purge(self, *, now: float) -> int:
        """See :meth:`RecordStore.purge`."""
        with self._lock:
            return sum(self._forget(each.id) for each in list(self._records.values()) if each.is_over(now))

    def _sweep(self, now: float) -> None:
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
            for each in [record for record in self._records.values() if record.is_over(now)]:
                self._forget(each.id)

    def _forget(self, record_id: str) -> bool:
        found = self._records.pop(record_id, None)
        if found is None:
            return False
        owned = self._owned[found.owner]
        del owned[record_id]
        if not owned:
            del self._owned[found.owner]
        return True


def _age(record: Record) -> tuple[float, str]:
    return record.created_at, record.id


class AsyncMemoryRecordStore:
    """A :class:`MemoryRecordStore` for asynchronous code; it never waits.

    Args:
        store: What it keeps its records in, to share them with synchronous code.

    Example:
        >>> import asyncio
        >>> asyncio.run(AsyncMemoryRecordStore().insert(Record("s-1", "u-1", {}), now=0.0))
        True
    """

    def __init__(self, store: MemoryRecordStore | None = None) -> None:
        self._store = store or MemoryRecordStore()

    async def get(self, record_id: str, *, now: float) -> Record | None:
        """See :meth:`RecordStore.get`."""
        return self._store.get(record_id, now=now)

    async def insert(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.insert`."""
        return self._store.insert(record, now=now)

    async def change(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.change`."""
        return self._store.change(record, now=now)

    async def delete(self, record_id: str) -> bool:
        """See :meth:`RecordStore.delete`."""
        return self._store.delete(record_id)

    async def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """See :meth:`RecordStore.of_owner`."""
        return self._store.of_owner(owner, now=now)

    async def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """See :meth:`RecordStore.delete_of_owner`."""
        return self._store.delete_of_owner(owner, keep=keep)

    async def touch(self, moments: Mapping[str, float]) -> None:
        """See :meth:`RecordStore.touch`."""
        self._store.touch(moments)

    async def purge(self, *, now: float) -> int:
        """See :meth:`RecordStore.purge`."""
        return self._store.purge(now=now)
