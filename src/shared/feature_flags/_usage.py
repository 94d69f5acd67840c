"""How often each flag yielded what: counted exactly, without a lock."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from shared.runtime import after_fork_in_child

if TYPE_CHECKING:
    from shared.feature_flags._events import FlagsChanged
    from shared.monitoring import Metrics

__all__ = ["Counters", "FlagUse", "Meter"]

_MOST: Final = 100_000  # of flag, variant and reason; beyond it everything is one

Tick = Callable[[], object]


@dataclass(frozen=True, slots=True)
class FlagUse:
    """How often a flag yielded a variant for a reason in this process.

    Attributes:
        key: Of the flag; ``(unknown)`` for all that are not declared.
        variant: Name of the value.
        reason: As in :class:`Detail`.
        count: Evaluations.

    Example:
        >>> from shared.feature_flags import Flag, Flags
        >>> flags = Flags([Flag("beta")])
        >>> flags.is_enabled("beta")
        False
        >>> flags.usage()
        [FlagUse(key='beta', variant='off', reason='STATIC', count=1)]
    """

    key: str
    variant: str
    reason: str
    count: int


class Counters:
    """A counter for each flag, variant and reason; shared by all snapshots of a ``Flags``.

    ``next()`` of :class:`itertools.count` is one step of the interpreter: no thread's
    evaluation is lost, and nothing is locked.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], count[int]] = {}
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def tick(self, key: str, variant: str, reason: str) -> Tick:
        """Return the function that counts one evaluation."""
        name = (key, variant, reason)
        found = self._counts.get(name)
        if found is None:
            with self._lock:
                if len(self._counts) >= _MOST:
                    name = ("(others)", "", "")
                found = self._counts.setdefault(name, count())
        return found.__next__

    def read(self) -> list[FlagUse]:
        """Return what was counted so far, without what is zero."""
        uses = [FlagUse(*name, _value(counter)) for name, counter in self._counts.copy().items()]
        return [use for use in uses if use.count]

    def after_fork(self) -> None:
        """Replace a lock that may have been held; the counts go on from the parent's."""
        self._lock = threading.Lock()


def _value(counter: "count[int]") -> int:
    return int(repr(counter)[6:-1])  # count(17): the only look at it that does not move it


class Meter:
    """Brings counters to metrics whenever those are collected.

    Args:
        counters: What is counted.
        metrics: Where it appears.
    """

    def __init__(self, counters: Counters, metrics: "Metrics") -> None:
        from shared.monitoring import FlagMetrics

        self._counters = counters
        self._target = FlagMetrics(metrics)
        self._told: dict[tuple[str, str, str], int] = {}
        self._lock = threading.Lock()
        self._remove = metrics.before_collection(self.update)
        after_fork_in_child(self)

    def update(self) -> None:
        """Hand over what was counted since the last time."""
        with self._lock:
            for use in self._counters.read():
                name = (use.key, use.variant, use.reason)
                more = use.count - self._told.get(name, 0)
                self._told[name] = use.count
                if more > 0:
                    self._target.evaluated(*name, count=more)

    def changed(self, event: "FlagsChanged") -> None:
        """Count a change of each flag."""
        for key in event.keys:
            self._target.changed(key)

    def stop(self) -> None:
        """Hand over what is left, and no more. Safe to call twice."""
        self.update()
        self._remove()

    def after_fork(self) -> None:
        """Leave to the parent what it counted before the fork."""
        self._lock = threading.Lock()
        self._told = {(use.key, use.variant, use.reason): use.count for use in self._counters.read()}
