"""What has to be remembered of tokens: what was taken back, what was used, how far a family is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from shared.auth._fork_lock import ForkLock

__all__ = ["Advance", "AsyncTokenStore", "Family", "MemoryTokenStore", "TokenStore"]

_SWEEP_EVERY: Final = 1024  # writes between two looks for what has expired


@dataclass(frozen=True, slots=True)
class Family:
    """Where a refresh family stands.

    Attributes:
        generation: Of the token that may be used next; the first is 0.
        rotated_at: When the one before was used, in seconds since 1970.
        sealed: The newest token, encrypted for who has the one before.
        client: Who used the one before, as a digest; empty when nobody said.
        is_revoked: Whether the family was ended.

    Example:
        >>> Family().generation
        0
    """

    generation: int = 0
    rotated_at: float = 0.0
    sealed: str = ""
    client: str = ""
    is_revoked: bool = False


class Advance(NamedTuple):
    """What came of an attempt to advance a family.

    Attributes:
        won: Whether this attempt did it.
        family: Where it stands now; None when it is not known, or over.

    Example:
        >>> Advance(won=False, family=None).won
        False
    """

    won: bool
    family: Family | None


class TokenStore(Protocol):
    """Remembers marks and families until their time is over; each call is atomic.

    A mark is a name with a number. Times come from the caller: ``now`` and ``until``
    are seconds since 1970.

    Example:
        >>> store: TokenStore = MemoryTokenStore()
    """

    def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """Return the numbers of *names*, None for those that are not marked."""

    def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """Mark *name*; a larger number, and a later end, that stand there already stay."""

    def claim(self, name: str, *, now: float, until: float) -> bool:
        """Mark *name* with *now*, unless it is marked; tell whether it was not."""

    def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """Remember a new family in generation 0."""

    def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """Go from *generation* to the next, if the family is there and not revoked."""

    def end_family(self, family_id: str, *, now: float) -> None:
        """Revoke the family, if it is there."""

    def purge(self, *, now: float) -> int:
        """Forget what is over; return how many. Stores that do it by themselves return 0."""


class AsyncTokenStore(Protocol):
    """The same as :class:`TokenStore` behind awaits.

    Example:
        >>> from shared.auth import AsyncMemoryTokenStore
        >>> store: AsyncTokenStore = AsyncMemoryTokenStore()
    """

    async def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """As :meth:`TokenStore.marks`."""

    async def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """As :meth:`TokenStore.mark`."""

    async def claim(self, name: str, *, now: float, until: float) -> bool:
        """As :meth:`TokenStore.claim`."""

    async def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """As :meth:`TokenStore.begin_family`."""

    async def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """As :meth:`TokenStore.advance_family`."""

    async def end_family(self, family_id: str, *, now: float) -> None:
        """As :meth:`TokenStore.end_family`."""

    async def purge(self, *, now: float) -> int:
        """As :meth:`TokenStore.purge`."""


class MemoryTokenStore:
    """A token store of this process alone; thread-safe.

    For tests, development and services of one process: what it knows is gone with the
    process, and another one has not heard of it. Nothing is forgotten before its time
    is over; that is what its size follows.

    Example:
        >>> store = MemoryTokenStore()
        >>> store.claim("a", now=0.0, until=60.0), store.claim("a", now=1.0, until=60.0)
        (True, False)
    """

    def __init__(self) -> None:
        self._marks: dict[str, tuple[float, float]] = {}  # value, until
        self._families: dict[str, tuple[Family, float]] = {}
        self._writes = 0
        self._lock = ForkLock()

    def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """Return the numbers of *names*, None for those that are not marked.

        Example:
            >>> MemoryTokenStore().marks(["a"], now=0.0)
            (None,)
        """
        if not self._marks:
            return (None,) * len(names)
        found = map(self._marks.get, names)  # no lock: each look-up is atomic
        return [None if mark is None or mark[1] <= now else mark[0] for mark in found]

    def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """Mark *name*; a larger number, and a later end, that stand there already stay.

        Example:
            >>> store = MemoryTokenStore()
            >>> store.mark("a", 2.0, now=0.0, until=60.0); store.mark("a", 1.0, now=0.0, until=9.0)
            >>> store.marks(["a"], now=10.0)
            [2.0]
        """
        with self._lock:
            self._sweep(now)
            present = self._marks.get(name)
            if present is not None and present[1] > now:
                value, until = max(value, present[0]), max(until, present[1])
            self._marks[name] = (value, until)

    def claim(self, name: str, *, now: float, until: float) -> bool:
        """Mark *name* with *now*, unless it is marked; tell whether it was not.

        Example:
            >>> MemoryTokenStore().claim("a", now=0.0, until=60.0)
            True
        """
        with self._lock:
            self._sweep(now)
            present = self._marks.get(name)
            if present is not None and present[1] > now:
                return False
            self._marks[name] = (now, until)
            return True

    def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """Remember a new family in generation 0.

        Example:
            >>> MemoryTokenStore().begin_family("f", now=0.0, until=60.0)
        """
        with self._lock:
            self._sweep(now)
            self._families[family_id] = (Family(), until)

    def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """Go from *generation* to the next, if the family is there and not revoked.

        Example:
            >>> store = MemoryTokenStore()
            >>> store.begin_family("f", now=0.0, until=60.0)
            >>> store.advance_family("f", generation=0, sealed="x", client="", now=1.0).won
            True
        """
        with self._lock:
            self._sweep(now)
            family, until = self._families.get(family_id, (None, 0.0))
            if family is None or until <= now:
                return Advance(won=False, family=None)
            if family.is_revoked or family.generation != generation:
                return Advance(won=False, family=family)
            family = Family(generation + 1, now, sealed, client)
            self._families[family_id] = (family, until)
            return Advance(won=True, family=family)

    def end_family(self, family_id: str, *, now: float) -> None:
        """Revoke the family, if it is there.

        Example:
            >>> MemoryTokenStore().end_family("unknown", now=0.0)
        """
        with self._lock:
            self._sweep(now)
            family, until = self._families.get(family_id, (None, 0.0))
            if family is not None:
                self._families[family_id] = (replace(family, is_revoked=True, sealed=""), until)

    def purge(self, *, now: float) -> int:
        """Forget what is over; return how many. It also happens by itself.

        Example:
            >>> store = MemoryTokenStore()
            >>> store.begin_family("f", now=0.0, until=60.0)
            >>> store.purge(now=61.0)
            1
        """
        with self._lock:
            return self._forget(now)

    def _sweep(self, now: float) -> None:
        self._writes += 1
        if self._writes % _SWEEP_EVERY == 0:
            self._forget(now)

    def _forget(self, now: float) -> int:
        tables: tuple[dict[str, tuple[object, float]], ...] = (self._marks, self._families)  # type: ignore[assignment]
        count = 0
        for table in tables:
            for name in [name for name, (_, until) in table.items() if until <= now]:
                del table[name]
                count += 1
        return count
