"""Data moved in batches that can be stopped at any moment and go on where they were."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import Connection

from shared.database.migrations._alembic import is_outside
from shared.database.migrations._keys import from_json, to_json
from shared.database.migrations._locate import BACKFILL_TABLE
from shared.database.migrations._measure import measured
from shared.database.migrations._operation import SafeOperation, Work
from shared.errors import InvalidArgumentError, MigrationError

__all__ = ["Backfill", "backfill"]

_CHECKPOINTS: Final = Table(
    BACKFILL_TABLE,
    MetaData(),
    Column("name", String(200), primary_key=True),
    Column("last_key", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
)
_LAG: Final = "SELECT coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_stat_replication"


def backfill(
    name: str,
    table: str,
    values: Mapping[str, str],
    *,
    where: str | None = None,
    key: Sequence[str] | None = None,
    batch_rows: int = 1000,
    pause: float = 0.02,
    max_replica_lag: float = 10.0,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Change the rows of a table in batches, each in a transaction of its own; for use in a revision.

    Walks along the primary key. How far it has come is written down in the transaction
    of each batch: a run that was killed goes on behind the last batch it committed, and
    no batch is done twice. Give it a revision of its own, of phase ``migrate``: what
    stands before it in the same revision is committed first.

    Args:
        name: Of this backfill, unique in the database.
        table: Its name.
        values: Columns and what they become, as SQL, such as ``{"total": "price * quantity"}``.
        where: Which rows, as SQL; all when None. A condition that is false for rows that
            are done makes running it again free.
        key: Columns that name a row; the primary key when None.
        batch_rows: Rows in each transaction, 1 or more.
        pause: Rest between batches, in seconds.
        max_replica_lag: Waits while a replica of PostgreSQL is behind by more seconds.
        sleep: Waits.

    Raises:
        InvalidArgumentError: A number is out of range, or nothing is to be changed.
        MigrationError: The table has no primary key, or keys of a type that cannot be
            written down.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> from sqlalchemy import text
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db, db.engine.connect() as connection:
        ...     _ = connection.execute(text("create table t (id integer primary key, a int)"))
        ...     _ = connection.execute(text("insert into t (id) values (1), (2), (3)"))
        ...     with Operations.context(MigrationContext.configure(connection)):
        ...         backfill("t.a", "t", {"a": "id * 10"}, batch_rows=2, pause=0)
        ...     connection.execute(text("select a from t")).scalars().all()
        [10, 20, 30]
    """
    if batch_rows < 1 or pause < 0 or not values:
        given = f"{dict(values)!r}, {batch_rows!r}, {pause!r}"
        msg = f"a backfill needs values, batch_rows >= 1 and pause >= 0, got {given}"
        raise InvalidArgumentError(msg)
    throttle = _Throttle(pause, max_replica_lag, sleep)
    job = Backfill(name, table, dict(values), batch_rows=batch_rows, throttle=throttle)
    job.where, job.key = where, None if key is None else list(key)
    job.invoke()


class _Throttle:
    """Rests between batches."""

    def __init__(self, pause: float, max_replica_lag: float, sleep: Callable[[float], object]) -> None:
        self.pause, self.max_replica_lag, self.sleep = pause, max_replica_lag, sleep

    def rest(self, work: Work) -> None:
        """Sleep, and longer while replicas are behind."""
        if self.pause:
            self.sleep(self.pause)
        if not work.is_postgres:
            return
        while True:
            with work.transaction():
                lag = float(work.scalar(_LAG))
            if lag <= self.max_replica_lag:
                return
            work.tell(f"a replica is {lag:.0f} s behind")
            self.sleep(max(self.pause, 1.0))


class Backfill(SafeOperation):
    """See :func:`backfill`."""

    name: ClassVar[str] = "backfill"

    def __init__(
        self, job: str, table: str, values: dict[str, str], *, batch_rows: int, throttle: _Throttle
    ) -> None:
        self.job, self.table_name, self.values = job, table, values
        self.batch_rows, self.throttle = batch_rows, throttle
        self.where: str | None = None
        self.key: list[str] | None = None

    def carry_out(self, work: Work) -> None:
        """Walk along the key, batch by batch."""
        if work.as_sql:
            self._print(work)
            return
        with measured("backfill") as moved, work.own_transactions():
            connection: Connection = work.context.connection
            with work.transaction():
                _CHECKPOINTS.create(connection, checkfirst=True)
                table = Table(self.table_name, MetaData(), autoload_with=connection)
                walk = _Walk(connection, table, self)
            before = walk.rows  # of a run that was cut short
            while True:
                with work.transaction():
                    more = walk.step()
                moved.rows = walk.rows - before
                work.tell(f"backfill {self.job}: {walk.rows} rows")
                if not more:
                    return
                if not is_outside(work.context):
                    self.throttle.rest(work)

    def _print(self, work: Work) -> None:
        table = work.quote(self.table_name)
        changes = ", ".join(f"{work.quote(name)} = {value}" for name, value in self.values.items())
        condition = f" WHERE {self.where}" if self.where else ""
        work.context.impl.static_output(
            f"-- {self.job}: one statement here; 'shared db upgrade' does it in batches of {self.batch_rows}"
        )
        with work.own_transactions(), work.transaction():
            work.execute(f"UPDATE {table} SET {changes}{condition}")  # noqa: S608 - a revision's own SQL


class _Walk:
    """Where a backfill is."""

    def __init__(self, connection: Connection, table: Table, job: Backfill) -> None:
        self._connection, self._table, self._job = connection, table, job
        names = job.key or [column.name for column in table.primary_key]
        if not names:
            msg = f"table {table.name!r} has no primary key: name the columns of a unique key"
            raise MigrationError(msg)
        self._columns = [table.c[name] for name in names]
        self._key: Any = self._columns[0] if len(names) == 1 else tuple_(*self._columns)
        self._where = text(job.where.replace(":", "\\:")) if job.where else None
        self.rows = 0
        self._last: tuple[Any, ...] | None = None
        self._resume()

    def _resume(self) -> None:
        row = self._connection.execute(
            select(_CHECKPOINTS).where(_CHECKPOINTS.c.name == self._job.job)
        ).first()
        if row is not None:
            self.rows = row.rows
            self._last = from_json(row.last_key, self._columns)

    def step(self) -> bool:
        """Do the next batch and write down where it ends; tell whether there may be more."""
        end = self._end()
        if end is None:
            self._connection.execute(delete(_CHECKPOINTS).where(_CHECKPOINTS.c.name == self._job.job))
            return False
        bounds = [self._key <= self._bound(end)]
        if self._last is not None:
            bounds.append(self._key > self._bound(self._last))
        changes = {
            name: text(f"({value.replace(':', chr(92) + ':')})") for name, value in self._job.values.items()
        }
        statement = update(self._table).values(changes).where(and_(*bounds, *self._filters()))
        self.rows += max(0, self._connection.execute(statement).rowcount)
        self._note(end)
        self._last = end
        return True

    def _end(self) -> tuple[Any, ...] | None:
        """Return the last key of the next batch; None when nothing is left."""
        query = (
            select(*self._columns)
            .where(*self._filters())
            .order_by(*self._columns)
            .limit(self._job.batch_rows)
        )
        if self._last is not None:
            query = query.where(self._key > self._bound(self._last))
        batch = query.subquery()
        columns = [batch.c[column.name] for column in self._columns]
        row = self._connection.execute(
            select(*columns).order_by(*(column.desc() for column in columns)).limit(1)
        ).first()
        return None if row is None else tuple(row)

    def _filters(self) -> list[Any]:
        return [] if self._where is None else [self._where]

    def _bound(self, key: tuple[Any, ...]) -> Any:
        values = [literal(value, column.type) for value, column in zip(key, self._columns, strict=True)]
        return values[0] if len(values) == 1 else tuple_(*values)

    def _note(self, end: tuple[Any, ...]) -> None:
        values = {"last_key": to_json(end, self._job.table_name), "rows": self.rows}
        where = _CHECKPOINTS.c.name == self._job.job
        if self._connection.execute(update(_CHECKPOINTS).values(values).where(where)).rowcount == 0:
            self._connection.execute(insert(_CHECKPOINTS).values(name=self._job.job, **values))
