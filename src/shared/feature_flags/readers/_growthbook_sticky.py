"""Sticky buckets of GrowthBook: units keep the variation they were given."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from shared.errors import InvalidArgumentError

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class StickyBuckets(Protocol):
    """Remembers which variation a unit was given.

    Both methods are called while a flag is evaluated: answer from memory, and do what
    takes longer before (load) or after (write) in your own time.

    Example:
        >>> store: StickyBuckets = MemoryStickyBuckets()
    """

    def assignments(self, attribute: str, value: str) -> Mapping[str, str]:
        """Return ``{"experiment__version": variation key}`` of a unit; empty for an unknown one.

        Example:
            >>> dict(MemoryStickyBuckets().assignments("id", "ada"))
            {}
        """

    def save(self, attribute: str, value: str, assignments: Mapping[str, str]) -> None:
        """Remember all assignments of a unit, in place of those before.

        Example:
            >>> MemoryStickyBuckets().save("id", "ada", {"button__0": "red"})
        """


class MemoryStickyBuckets:
    """Sticky buckets in the memory of this process; thread-safe, the least recent units are forgotten.

    Args:
        most: How many units are remembered, > 0.

    Example:
        >>> store = MemoryStickyBuckets()
        >>> store.save("id", "ada", {"button__0": "red"})
        >>> dict(store.assignments("id", "ada"))
        {'button__0': 'red'}
    """

    def __init__(self, *, most: int = 100_000) -> None:
        if most <= 0:
            msg = f"most must be > 0, got {most}"
            raise InvalidArgumentError(msg)
        self._most = most
        self._units: OrderedDict[tuple[str, str], Mapping[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def assignments(self, attribute: str, value: str) -> Mapping[str, str]:
        """Return what a unit was given.

        Example:
            >>> dict(MemoryStickyBuckets().assignments("id", "ada"))
            {}
        """
        with self._lock:
            found = self._units.get((attribute, value))
            if found is None:
                return _NONE
            self._units.move_to_end((attribute, value))
            return found

    def save(self, attribute: str, value: str, assignments: Mapping[str, str]) -> None:
        """Remember what a unit was given.

        Example:
            >>> MemoryStickyBuckets().save("id", "ada", {"button__0": "red"})
        """
        with self._lock:
            self._units[attribute, value] = MappingProxyType(dict(assignments))
            self._units.move_to_end((attribute, value))
            while len(self._units) > self._most:
                self._units.popitem(last=False)

    def __len__(self) -> int:
        return len(self._units)
