"""What a live PostgreSQL is like: sizes, how often tables are read and written, who is in the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.engine import Connection

__all__ = ["LiveDatabase", "LiveTable", "look_at"]

_TABLES: Final = """
SELECT c.relname, greatest(c.reltuples, 0)::bigint, pg_table_size(c.oid), pg_total_relation_size(c.oid),
  coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)::bigint,
  (coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0))::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname = current_schema()
"""
_DATABASE: Final = """
SELECT extract(epoch FROM now() - coalesce(
    (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
    pg_postmaster_start_time())),
  (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
   WHERE datname = current_database() AND pid <> pg_backend_pid()),
  (SELECT coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_stat_replication)
"""
_INVALID: Final = """
SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT x.indisvalid AND n.nspname = current_schema() ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class LiveTable:
    """One table in use.

    Attributes:
        rows: As the server estimates them.
        heap_bytes: Without indexes.
        total_bytes: With them.
        writes: Rows written in each second.
        reads: Scans in each second.

    Example:
        >>> LiveTable(rows=10, heap_bytes=8192, total_bytes=16384, writes=0.5, reads=2.0).writes
        0.5
    """

    rows: int
    heap_bytes: int
    total_bytes: int
    writes: float
    reads: float


@dataclass(frozen=True, slots=True)
class LiveDatabase:
    """A database in use.

    Attributes:
        tables: By name.
        longest_transaction: Seconds that the oldest open transaction has lasted.
        replica_lag: Seconds that the slowest replica is behind.
        invalid_indexes: Left by builds that failed.

    Example:
        >>> LiveDatabase().longest_transaction
        0.0
    """

    tables: dict[str, LiveTable] = field(default_factory=dict)
    longest_transaction: float = 0.0
    replica_lag: float = 0.0
    invalid_indexes: tuple[str, ...] = ()


def look_at(
    connection: Connection, *, observe: float, sleep: Callable[[float], object] = time.sleep
) -> LiveDatabase:
    """Return what the database of *connection* is like; it is only read.

    The rates are the higher of the average since the statistics began and of what is
    seen during *observe* seconds.
    """
    first = _rows(connection)
    age, longest, lag = (float(value or 0) for value in connection.exec_driver_sql(_DATABASE).one())
    invalid = tuple(connection.exec_driver_sql(_INVALID).scalars())
    connection.rollback()
    if observe > 0:
        sleep(observe)
    second = _rows(connection) if observe > 0 else first
    connection.rollback()
    tables = {
        name: _table(row, first.get(name), age=max(age, 1.0), observe=observe) for name, row in second.items()
    }
    return LiveDatabase(tables, longest, lag, invalid)


def _rows(connection: Connection) -> dict[str, Any]:
    return {row[0]: row for row in connection.exec_driver_sql(_TABLES)}


def _table(row: Any, before: Any, *, age: float, observe: float) -> LiveTable:
    _name, rows, heap, total, writes, reads = row

    def rate(value: int, place: int) -> float:
        seen = (value - before[place]) / observe if before is not None and observe > 0 else 0.0
        return max(value / age, seen)

    return LiveTable(int(rows), int(heap), int(total), rate(writes, 4), rate(reads, 5))
