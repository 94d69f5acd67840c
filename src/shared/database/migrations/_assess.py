"""Tell what each pending revision will cost a live PostgreSQL, from running it on a copy."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from shared.database.migrations._assessment import Assessment, AssessmentLimits, StepAssessment, judge
from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._effects import SchemaState, effect_of
from shared.database.migrations._live import LiveDatabase, look_at
from shared.database.migrations._locate import BOOKKEEPING
from shared.database.migrations._options import MigrationProgress
from shared.database.migrations._probe import Measured, Probe
from shared.database.migrations._runner import Migrations
from shared.database.migrations._shadow import shadow_of
from shared.database.migrations._sql import changes_in_sql
from shared.database.migrations._target import migration_engine, reason_of, run_on
from shared.errors import MigrationError

__all__ = ["assess"]

_QUIET: Final = frozenset({"question", "maintenance"})


def assess(
    url: str,
    chain: MigrationChain | None = None,
    *,
    shadow: str | None = None,
    rows: int = 20_000,
    schema: str | None = None,
    limits: AssessmentLimits | None = None,
    observe: float = 2.0,
    progress: Callable[[MigrationProgress], object] = lambda _progress: None,
    sleep: Callable[[float], object] = time.sleep,
) -> Assessment:
    """Run the pending revisions on a copy of a live PostgreSQL and say what each will cost.

    Measured on the copy, statement by statement: the locks taken, whether a table was
    written anew or read, the write-ahead log, the time. Combined with the live tables'
    sizes and how often they are read and written. The live database is only read.

    Args:
        url: The live database.
        chain: Whose revisions; the library's when None.
        shadow: URL of a copy that may be changed, such as one from a backup; made
            beside the live database, with *rows* of each table, when None.
        rows: Most rows of each table in a copy made here.
        schema: PostgreSQL schema.
        limits: What counts as long.
        observe: Seconds to watch reads and writes for.
        progress: Told how it goes on.
        sleep: Waits.

    Raises:
        MigrationError: *url* is no PostgreSQL, or the copy cannot be made.

    Example:
        >>> assess("sqlite:///orders.db")
        Traceback (most recent call last):
            ...
        shared.errors.MigrationError: assess measures PostgreSQL: SQLite's writers wait anyway, ...
    """
    if not str(url).startswith("postgres"):
        msg = (
            "assess measures PostgreSQL: SQLite's writers wait anyway, "
            "and 'shared db rehearse' tries a revision there"
        )
        raise MigrationError(msg)
    whose = chain or MigrationChain.library()
    live = _live(url, schema, observe, sleep)
    with shadow_of(url, whose, rows=rows, schema=schema, given=shadow) as copy:
        engine = migration_engine(copy.url)
        try:
            steps = list(_steps(engine, whose, live, limits or AssessmentLimits(), progress))
        finally:
            engine.dispose()
    return Assessment(tuple(steps), live, copy.notes)


def _live(url: str, schema: str | None, observe: float, sleep: Callable[[float], object]) -> LiveDatabase:
    found: list[LiveDatabase] = []
    run_on(
        url, lambda connection: found.append(look_at(connection, observe=observe, sleep=sleep)), schema=schema
    )
    return found[0]


def _steps(
    engine: Engine,
    chain: MigrationChain,
    live: LiveDatabase,
    limits: AssessmentLimits,
    progress: Callable[[MigrationProgress], object],
) -> Iterator[StepAssessment]:
    migrations = Migrations(engine, chain, progress=progress)
    pending = [state for state in migrations.history() if not state.is_applied]
    with engine.connect() as connection:
        sizes = {name: table.heap_bytes for name, table in look_at(connection, observe=0).tables.items()}
    with _measuring(engine) as measure:
        for state in pending:
            measure.clear()
            failed: str | None = None
            try:
                migrations.upgrade(state.revision)
            except Exception as exc:  # noqa: BLE001 - a revision is any code
                failed = reason_of(exc)
            yield judge(state, measure.transactions(), live, sizes, limits=limits, failed=failed)
            if failed is not None:
                return


class _Measure:
    """Collects what the statements of one revision did, transaction by transaction."""

    def __init__(self) -> None:
        self._done: list[list[Measured]] = []
        self._open: list[Measured] = []
        self._probe: Probe | None = None
        self._connection: Any = None
        self._is_measured = False

    def clear(self) -> None:
        self._done, self._open = [], []

    def transactions(self) -> list[list[Measured]]:
        return [each for each in (*self._done, self._open) if each]

    def before(self, connection: Connection, statement: str) -> None:
        self._is_measured = _is_work(statement)
        if not self._is_measured:
            return
        driver = connection.connection.driver_connection
        if driver is not self._connection:
            self._connection, self._probe = driver, Probe(driver)
        if self._probe is not None:
            self._probe.begin()

    def after(self, statement: str) -> None:
        if not self._is_measured or self._probe is None:
            return
        measured = self._probe.end(" ".join(statement.split())[:200])
        if self._connection.autocommit:  # its locks are gone by now: they are known, not seen
            changes = changes_in_sql(statement)
            locks = {each.table: effect_of(each, SchemaState()).lock for each in changes if each.table}
            measured = Measured(
                measured.statement,
                measured.seconds,
                locks,
                measured.rewritten,
                measured.scanned,
                measured.wal_bytes,
            )
        self._open.append(measured)
        if self._connection.autocommit:
            self.over()

    def over(self) -> None:
        if self._open:
            self._done.append(self._open)
            self._open = []


def _is_work(statement: str) -> bool:
    """Tell whether *statement* does something, and not to our own bookkeeping."""
    changes = changes_in_sql(statement)
    return bool(changes) and not all(
        change.kind in _QUIET or change.table in BOOKKEEPING or change.table.endswith("alembic_version")
        for change in changes
    )


@contextmanager
def _measuring(engine: Engine) -> Iterator[_Measure]:
    measure = _Measure()

    def before(connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        measure.before(connection, statement)

    def after(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        measure.after(statement)

    def over(_connection: Any) -> None:
        measure.over()

    listeners = (
        ("before_cursor_execute", before),
        ("after_cursor_execute", after),
        ("commit", over),
        ("rollback", over),
    )
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield measure
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
