"""Measure what PostgreSQL does for each statement: locks, rewrites, scans, write-ahead log, time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["STRENGTH", "Measured", "Probe", "strongest"]

#: Locks on tables, the weakest first. Source: PostgreSQL, "Explicit Locking", table 13.2.
STRENGTH: Final = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
_LOCKS: Final = """
SELECT l.relation::bigint, l.mode FROM pg_locks l
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
"""
_TABLES: Final = """
SELECT c.oid::bigint, c.relname, c.relfilenode::bigint, pg_stat_get_xact_numscans(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'
"""
_LSN: Final = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


def strongest(modes: "set[str] | list[str]") -> str:
    """Return the strongest lock of *modes*; empty when there is none."""
    return max(modes, key=STRENGTH.index, default="")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one statement did.

    Attributes:
        statement: Its text.
        seconds: How long it took.
        locks: The strongest lock it took on each table that was there before it.
        rewritten: Tables whose rows were written anew.
        scanned: Tables whose rows were all read.
        wal_bytes: Write-ahead log of the whole server meanwhile.
        failed: Why the server refused it, or None.
    """

    statement: str
    seconds: float
    locks: dict[str, str] = field(default_factory=dict)
    rewritten: tuple[str, ...] = ()
    scanned: tuple[str, ...] = ()
    wal_bytes: int = 0
    failed: str | None = None


@dataclass(slots=True)
class _State:
    locks: set[tuple[int, str]]
    tables: dict[int, tuple[str, int, int]]
    lsn: int


class Probe:
    """Looks at the server before and after statements, over the connection that runs them.

    Args:
        connection: Of the driver, not of SQLAlchemy: looking must not look at itself.
        clock: Monotonic seconds.
    """

    def __init__(self, connection: Any, clock: Callable[[], float] = time.perf_counter) -> None:
        self._connection, self._clock = connection, clock
        self._before: _State | None = None
        self._began = 0.0
        self._names: dict[int, str] = {}  # as first seen: a table keeps its name through a rename

    def begin(self) -> None:
        """Look, and start the clock."""
        self._before = self._look()
        self._began = self._clock()

    def end(self, statement: str) -> Measured:
        """Stop the clock, look again, and return the difference."""
        seconds = self._clock() - self._began
        before, after = self._before, self._look()
        if before is None:
            return Measured(statement, seconds)
        locks: dict[str, set[str]] = {}
        for oid, mode in after.locks - before.locks:
            if oid in before.tables:  # a table that the statement makes belongs to nobody else
                locks.setdefault(before.tables[oid][0], set()).add(_words(mode))
        rewritten, scanned = [], []
        for oid, (name, file, scans) in after.tables.items():
            if oid in before.tables:
                if before.tables[oid][1] != file:
                    rewritten.append(name)
                if scans > before.tables[oid][2]:
                    scanned.append(name)
        return Measured(
            statement,
            seconds,
            {name: strongest(modes) for name, modes in locks.items()},
            tuple(sorted(rewritten)),
            tuple(sorted(scanned)),
            after.lsn - before.lsn,
        )

    def _look(self) -> _State:
        with self._connection.cursor() as cursor:
            tables = {
                int(oid): (self._names.setdefault(int(oid), str(name)), int(file), int(scans or 0))
                for oid, name, file, scans in cursor.execute(_TABLES).fetchall()
            }
            locks = {(int(oid), str(mode)) for oid, mode in cursor.execute(_LOCKS).fetchall()}
            lsn = int(cursor.execute(_LSN).fetchone()[0])
        return _State(locks, tables, lsn)


_MODES: Final = {"".join(word.title() for word in mode.split()) + "Lock": mode for mode in STRENGTH}


def _words(mode: str) -> str:
    """Return ``ACCESS EXCLUSIVE`` for the server's ``AccessExclusiveLock``."""
    return _MODES.get(mode, mode)
