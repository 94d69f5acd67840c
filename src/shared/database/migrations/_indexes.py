"""Indexes built and dropped while the table is in use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.database.migrations._alembic import is_outside
from shared.database.migrations._operation import SafeOperation, Work
from shared.errors import MigrationError

__all__ = [
    "CreateIndexSafely",
    "DropIndexSafely",
    "build_index",
    "create_index_concurrently",
    "drop_index_concurrently",
]

_STATE = """
SELECT x.indisvalid, t.relname FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE i.relname = :name AND n.nspname = current_schema()
"""


class CreateIndexSafely(SafeOperation):
    """See :func:`create_index_concurrently`."""

    name: ClassVar[str] = "create_index_concurrently"

    def __init__(
        self, index: str, table: str, columns: Sequence[str], *, unique: bool, where: str | None, options: Any
    ) -> None:
        self.index_name, self.table_name, self.columns = index, table, list(columns)
        self.unique, self.where, self.options = unique, where, options

    def carry_out(self, work: Work) -> None:
        """Build it, or repair what an earlier try left."""
        build_index(work, self)


class DropIndexSafely(SafeOperation):
    """See :func:`drop_index_concurrently`."""

    name: ClassVar[str] = "drop_index_concurrently"

    def __init__(self, index: str, table: str) -> None:
        self.index_name, self.table_name = index, table

    def carry_out(self, work: Work) -> None:
        """Drop it."""
        if not work.is_postgres:
            work.op.drop_index(self.index_name, self.table_name)
            return
        with _outside(work):
            work.op.drop_index(self.index_name, self.table_name, if_exists=True, postgresql_concurrently=True)


def create_index_concurrently(
    name: str,
    table: str,
    columns: Sequence[str],
    *,
    unique: bool = False,
    where: str | None = None,
    **options: Any,
) -> None:
    """Build an index while the table is read and written; for use in a revision.

    On PostgreSQL it runs outside of transactions with a lock limit of its own
    (``MigrationOptions.concurrent_lock_timeout``: it waits for every older transaction
    and blocks nobody meanwhile). A build that fails leaves an invalid index, which
    ``IF NOT EXISTS`` would take for a good one for ever: such a one is dropped and built
    anew, and one that is there and valid is left alone. Other systems build it plainly.

    Args:
        name: Of the index.
        table: Of which table.
        columns: Names, in order.
        unique: Whether values may occur once only.
        where: Condition of a partial index, as SQL.
        options: More for ``op.create_index``, such as ``postgresql_using="gin"``.

    Raises:
        MigrationError: The caller's own transaction is around the revision, or another
            table has an index of this name.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     create_index_concurrently("ix_orders_status", "orders", ["status"])
        >>> "CREATE INDEX CONCURRENTLY ix_orders_status ON orders (status);" in out.getvalue()
        True
    """
    CreateIndexSafely(name, table, columns, unique=unique, where=where, options=options).invoke()


def drop_index_concurrently(name: str, table: str) -> None:
    """Drop an index without waiting in front of the table's readers; for use in a revision.

    Args:
        name: Of the index; one that is gone already is no error on PostgreSQL.
        table: Of which table.

    Raises:
        MigrationError: The caller's own transaction is around the revision.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     drop_index_concurrently("ix_orders_status", "orders")
        >>> "DROP INDEX CONCURRENTLY IF EXISTS ix_orders_status;" in out.getvalue()
        True
    """
    DropIndexSafely(name, table).invoke()


def build_index(work: Work, index: CreateIndexSafely) -> None:
    """Build *index* in the way of the database."""
    options = dict(index.options)
    if index.where is not None:
        condition = text(index.where)
        options |= {"postgresql_where": condition, "sqlite_where": condition}
    if not work.is_postgres:
        work.op.create_index(
            index.index_name, index.table_name, index.columns, unique=index.unique, **options
        )
        return
    with _outside(work):
        if not work.as_sql and _is_there(work, index):
            return
        try:
            work.op.create_index(
                index.index_name,
                index.table_name,
                index.columns,
                unique=index.unique,
                postgresql_concurrently=True,
                **options,
            )
        except DBAPIError as exc:
            if not work.as_sql and not exc.connection_invalidated:
                _drop_invalid(work, index.index_name)
            raise


def _is_there(work: Work, index: CreateIndexSafely) -> bool:
    """Tell whether the index is there and valid; an invalid one is dropped."""
    row = work.context.connection.execute(text(_STATE), {"name": index.index_name}).first()
    if row is None:
        return False
    if row.relname != index.table_name:
        msg = f"index {index.index_name!r} exists on table {row.relname!r}: choose another name"
        raise MigrationError(msg)
    if row.indisvalid:
        return True
    work.tell(f"index {index.index_name} was left invalid by an earlier try: dropped and built anew")
    _drop_invalid(work, index.index_name)
    return False


def _drop_invalid(work: Work, name: str) -> None:
    row = work.context.connection.execute(text(_STATE), {"name": name}).first()
    if row is not None and not row.indisvalid:
        work.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {work.quote(name)}")


@contextmanager
def _outside(work: Work) -> Iterator[None]:
    """Run the block outside of transactions, with a lock limit for work that blocks nobody."""
    if not work.as_sql and is_outside(work.context):
        msg = (
            "an index cannot be built concurrently inside the caller's transaction: "
            "give an engine or a URL, or commit before"
        )
        raise MigrationError(msg)
    # Of the class: what the context itself has tells that a revision does this by hand.
    with type(work.context).autocommit_block(work.context):
        if work.as_sql:
            yield
            return
        before = work.scalar("SELECT current_setting('lock_timeout')")
        limit = max(1, int(work.options.concurrent_lock_timeout * 1000))
        work.execute(f"SET lock_timeout = '{limit}ms'")
        try:
            yield
        finally:
            if not work.context.connection.invalidated:
                work.execute(f"SET lock_timeout = '{before}'")
