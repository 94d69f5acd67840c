"""Where rollups are kept."""

import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from shared.errors import InvalidArgumentError
from shared.monitoring._rollup import Rollup, RollupKey, add_up
from shared.runtime import after_fork_in_child


class RollupStore(Protocol):
    """Keeps rollups; ``shared.database`` has the one that all processes share.

    Implementations are thread-safe and raise only errors of :mod:`shared.errors`.

    Example:
        >>> store: RollupStore = MemoryRollupStore()
        >>> store.add([Rollup(RollupKey(0, 60, "task", "x", ""), 1, 0, 0.1, 0.1, {40: 1})])
        >>> [row.count for row in store.read(0, 60)]
        [1]
    """

    def add(self, rollups: Sequence[Rollup]) -> None:
        """Add the numbers to those under the same keys, all or none of them."""
        ...

    def read(self, since: float, until: float, *, user: str | None = None) -> Iterable[Rollup]:
        """Return the rollups whose start lies in ``[since, until)``, in Unix time.

        Args:
            since: Begin.
            until: End.
            user: Only this user's; everybody's when None.
        """
        ...

    def totals(self, since: float, until: float, *, user: str | None = None) -> Iterable[Rollup]:
        """Return what :meth:`read` does, added up: one rollup per kind and name.

        The key of each has start and width 0, and *user*, or no user when that is None.
        """
        ...

    def downsample(self, before: float, width: int) -> int:
        """Merge rollups that start before *before* into stretches of *width* seconds.

        Returns:
            How many rows were merged away. Running it twice changes nothing more.
        """
        ...

    def cleanup(self, before: float) -> int:
        """Delete the rollups that start before *before*; return how many."""
        ...


class MemoryRollupStore:
    """Rollups of this process alone, for tests and single-process services.

    Args:
        max_rows: Rows kept, >= 1; the oldest go first.

    Raises:
        InvalidArgumentError: *max_rows* is below 1.

    Example:
        >>> store = MemoryRollupStore(max_rows=1000)
        >>> store.add([Rollup(RollupKey(0, 60, "task", "x", "u-1"), 2, 1, 0.3, 0.2, {40: 2})])
        >>> store.cleanup(before=60)
        1
    """

    def __init__(self, *, max_rows: int = 100_000) -> None:
        if max_rows < 1:
            msg = f"max_rows is 1 or more, got {max_rows!r}"
            raise InvalidArgumentError(msg)
        self._max_rows = max_rows
        self._rows: dict[RollupKey, Rollup] = {}
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def add(self, rollups: Sequence[Rollup]) -> None:
        """See :class:`RollupStore`."""
        with self._lock:
            for rollup in rollups:
                present = self._rows.get(rollup.key)
                self._rows[rollup.key] = rollup if present is None else present.merged(rollup)
            surplus = len(self._rows) - self._max_rows
            if surplus > 0:
                for key in sorted(self._rows)[:surplus]:
                    del self._rows[key]

    def read(self, since: float, until: float, *, user: str | None = None) -> Iterable[Rollup]:
        """See :class:`RollupStore`."""
        with self._lock:
            rows = list(self._rows.values())
        return [row for row in rows if since <= row.key.start < until and user in (None, row.key.user)]

    def totals(self, since: float, until: float, *, user: str | None = None) -> Iterable[Rollup]:
        """See :class:`RollupStore`."""
        return add_up(self.read(since, until, user=user), user)

    def downsample(self, before: float, width: int) -> int:
        """See :class:`RollupStore`."""
        with self._lock:
            old = [key for key in self._rows if key.start < before and key.width < width]
            count = len(self._rows)
            for key in old:
                wide = self._rows.pop(key).widened(width)
                present = self._rows.get(wide.key)
                self._rows[wide.key] = wide if present is None else present.merged(wide)
            return count - len(self._rows)

    def cleanup(self, before: float) -> int:
        """See :class:`RollupStore`."""
        with self._lock:
            old = [key for key in self._rows if key.start < before]
            for key in old:
                del self._rows[key]
            return len(old)

    def after_fork(self) -> None:
        """Replace the lock, and forget what the parent keeps counting itself; called in the child."""
        self._lock = threading.Lock()
        self._rows = {}
