"""What sticky splits remember."""

import threading
from collections import OrderedDict
from typing import Final, Protocol

from shared.errors import InvalidArgumentError
from shared.runtime import after_fork_in_child

__all__ = ["FlagAssignments", "MemoryFlagAssignments"]

_MOST: Final = 100_000


class FlagAssignments(Protocol):
    """Where sticky splits keep what a unit got first. Evaluation waits for it: it must not block.

    One that raises is as good as none: the hash decides. For a store behind a network, load
    what a request needs before, and answer from memory.

    Example:
        >>> class Session(dict):
        ...     def put(self, key, rule_id, phase, unit, variant):
        ...         self[key, rule_id, phase, unit] = variant
        ...     def get(self, key, rule_id, phase, unit):
        ...         return super().get((key, rule_id, phase, unit))
        >>> assignments: FlagAssignments = Session()
    """

    def get(self, key: str, rule_id: str, phase: int, unit: str) -> str | None:
        """Return the variant the unit got before, or None."""

    def put(self, key: str, rule_id: str, phase: int, unit: str, variant: str) -> None:
        """Keep what the unit got; what was kept before stays in force where there is any."""


class MemoryFlagAssignments:
    """Remembers assignments in this process; the least recently used are forgotten first.

    Args:
        most: How many are remembered.

    Raises:
        InvalidArgumentError: *most* is below 1.

    Example:
        >>> from shared.feature_flags import Flag, Flags, Rule, Split
        >>> def ab(a, b):
        ...     rule = Rule(id="ab", split=Split({"a": a, "b": b}, sticky=True))
        ...     return Flag("x", default="a", variants={"a": "a", "b": "b"}, rules=[rule])
        >>> remembered = MemoryFlagAssignments()
        >>> Flags([ab(1, 0)], assignments=remembered).value("x", "u-1")
        'a'
        >>> changed = Flags([ab(0, 1)], assignments=remembered)
        >>> changed.value("x", "u-1"), changed.value("x", "u-2")
        ('a', 'b')
    """

    def __init__(self, *, most: int = _MOST) -> None:
        if most < 1:
            msg = f"most is at least 1, got {most}"
            raise InvalidArgumentError(msg)
        self._most = most
        self._kept: OrderedDict[tuple[str, str, int, str], str] = OrderedDict()
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def get(self, key: str, rule_id: str, phase: int, unit: str) -> str | None:
        """Return the variant the unit got before, or None."""
        name = (key, rule_id, phase, unit)
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
            return found

    def put(self, key: str, rule_id: str, phase: int, unit: str, variant: str) -> None:
        """Keep what the unit got."""
        with self._lock:
            self._kept.setdefault((key, rule_id, phase, unit), variant)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)

    def after_fork(self) -> None:
        """Replace a lock that may have been held."""
        self._lock = threading.Lock()
