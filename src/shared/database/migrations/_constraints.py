"""Constraints added in steps none of which blocks for long."""

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import text

from shared.database.migrations._indexes import CreateIndexSafely, build_index
from shared.database.migrations._operation import SafeOperation, Work

__all__ = [
    "AddCheckSafely",
    "AddForeignKeySafely",
    "AddNotNullSafely",
    "AddUniqueSafely",
    "add_check",
    "add_foreign_key",
    "add_not_null",
    "add_unique",
]

_KNOWN = """
SELECT c.convalidated FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE c.conname = :name AND t.relname = :tab AND n.nspname = current_schema()
"""


def _add_and_validate(work: Work, table: str, name: str, definition: str) -> None:
    """Add a constraint that holds for new rows at once, then look at the old ones without blocking.

    Every step is skipped when an earlier try has done it.
    """
    quoted, constraint = work.quote(table), work.quote(name)
    valid = None if work.as_sql else work.scalar(_KNOWN, name=name, tab=table)
    if valid is None:
        with work.transaction():
            work.execute(f"ALTER TABLE {quoted} ADD CONSTRAINT {constraint} {definition} NOT VALID")
    if not valid:
        with work.transaction():
            work.execute(f"ALTER TABLE {quoted} VALIDATE CONSTRAINT {constraint}")


class AddNotNullSafely(SafeOperation):
    """See :func:`add_not_null`."""

    name: ClassVar[str] = "add_not_null"

    def __init__(self, table: str, column: str) -> None:
        self.table_name, self.column_name = table, column

    def carry_out(self, work: Work) -> None:
        """Add a check, validate it, set NOT NULL, drop the check."""
        if not work.is_postgres:
            with work.op.batch_alter_table(self.table_name) as batch:
                batch.alter_column(self.column_name, nullable=False)
            return
        name = f"ck_{self.table_name}_{self.column_name}_not_null"[:63]
        table, column = work.quote(self.table_name), work.quote(self.column_name)
        with work.own_transactions():
            _add_and_validate(work, self.table_name, name, f"CHECK ({column} IS NOT NULL)")
            with work.transaction():
                # The valid check tells the server that it need not look at the rows.
                work.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
                work.execute(f"ALTER TABLE {table} DROP CONSTRAINT {work.quote(name)}")


class AddForeignKeySafely(SafeOperation):
    """See :func:`add_foreign_key`."""

    name: ClassVar[str] = "add_foreign_key"

    def __init__(
        self,
        name: str,
        table: str,
        columns: Sequence[str],
        referred: str,
        referred_columns: Sequence[str],
        *,
        ondelete: str | None,
    ) -> None:
        self.constraint_name, self.table_name, self.columns = name, table, list(columns)
        self.referred, self.referred_columns, self.ondelete = referred, list(referred_columns), ondelete

    def carry_out(self, work: Work) -> None:
        """Add it unvalidated, validate it."""
        if not work.is_postgres:
            with work.op.batch_alter_table(self.table_name) as batch:
                batch.create_foreign_key(
                    self.constraint_name,
                    self.referred,
                    self.columns,
                    self.referred_columns,
                    ondelete=self.ondelete,
                )
            return
        local = ", ".join(map(work.quote, self.columns))
        remote = ", ".join(map(work.quote, self.referred_columns))
        definition = f"FOREIGN KEY ({local}) REFERENCES {work.quote(self.referred)} ({remote})"
        if self.ondelete:
            definition += f" ON DELETE {self.ondelete}"
        with work.own_transactions():
            _add_and_validate(work, self.table_name, self.constraint_name, definition)


class AddCheckSafely(SafeOperation):
    """See :func:`add_check`."""

    name: ClassVar[str] = "add_check"

    def __init__(self, name: str, table: str, condition: str) -> None:
        self.constraint_name, self.table_name, self.condition = name, table, condition

    def carry_out(self, work: Work) -> None:
        """Add it unvalidated, validate it."""
        if not work.is_postgres:
            with work.op.batch_alter_table(self.table_name) as batch:
                batch.create_check_constraint(self.constraint_name, text(self.condition))
            return
        with work.own_transactions():
            _add_and_validate(work, self.table_name, self.constraint_name, f"CHECK ({self.condition})")


class AddUniqueSafely(SafeOperation):
    """See :func:`add_unique`."""

    name: ClassVar[str] = "add_unique"

    def __init__(self, name: str, table: str, columns: Sequence[str]) -> None:
        self.constraint_name, self.table_name, self.columns = name, table, list(columns)

    def carry_out(self, work: Work) -> None:
        """Build the index concurrently, then name it a constraint."""
        if not work.is_postgres:
            with work.op.batch_alter_table(self.table_name) as batch:
                batch.create_unique_constraint(self.constraint_name, self.columns)
            return
        if (
            not work.as_sql
            and work.scalar(_KNOWN, name=self.constraint_name, tab=self.table_name) is not None
        ):
            return
        index: Any = CreateIndexSafely(
            self.constraint_name, self.table_name, self.columns, unique=True, where=None, options={}
        )
        build_index(work, index)
        name = work.quote(self.constraint_name)
        work.execute(
            f"ALTER TABLE {work.quote(self.table_name)} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"
        )


def add_not_null(table: str, column: str) -> None:
    """Forbid NULL in a column of a table in use; for use in a revision, after its backfill.

    PostgreSQL's ``SET NOT NULL`` reads the whole table while nobody may use it. This adds
    a check that holds for new rows, validates it while the table is in use, sets NOT
    NULL (the server trusts the check) and drops the check; each in a transaction of its
    own. Other systems change the column plainly. Taken back by
    ``op.alter_column(table, column, nullable=True)``.

    Args:
        table: Its name.
        column: Without NULL by now.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     add_not_null("orders", "status")
        >>> out.getvalue().count("BEGIN"), "VALIDATE CONSTRAINT" in out.getvalue()
        (4, True)
    """
    AddNotNullSafely(table, column).invoke()


def add_foreign_key(
    name: str,
    table: str,
    columns: Sequence[str],
    referred: str,
    referred_columns: Sequence[str],
    *,
    ondelete: str | None = None,
) -> None:
    """Add a foreign key to tables in use; for use in a revision.

    On PostgreSQL it holds for new rows at once and is validated in a second transaction,
    in which both tables can be written. Other systems add it plainly.

    Args:
        name: Of the constraint.
        table: With the columns.
        columns: That refer. An index on them makes deletes in *referred* quick.
        referred: The table referred to.
        referred_columns: Its columns.
        ondelete: Such as ``CASCADE``.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     add_foreign_key("fk_orders_user", "orders", ["user_id"], "users", ["id"])
        >>> "REFERENCES users (id) NOT VALID;" in out.getvalue()
        True
    """
    AddForeignKeySafely(name, table, columns, referred, referred_columns, ondelete=ondelete).invoke()


def add_check(name: str, table: str, condition: str) -> None:
    """Add a check to a table in use; for use in a revision.

    On PostgreSQL it holds for new rows at once and is validated in a second transaction,
    while the table is in use. Other systems add it plainly.

    Args:
        name: Of the constraint.
        table: Its name.
        condition: As SQL.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     add_check("ck_orders_total", "orders", "total >= 0")
        >>> "CHECK (total >= 0) NOT VALID;" in out.getvalue()
        True
    """
    AddCheckSafely(name, table, condition).invoke()


def add_unique(name: str, table: str, columns: Sequence[str]) -> None:
    """Add a unique constraint to a table in use; for use in a revision.

    On PostgreSQL its index is built concurrently and then named a constraint. Other
    systems add it plainly.

    Args:
        name: Of the constraint and its index.
        table: Its name.
        columns: In order; without doubles by now.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     add_unique("uq_orders_number", "orders", ["number"])
        >>> "UNIQUE USING INDEX uq_orders_number;" in out.getvalue()
        True
    """
    AddUniqueSafely(name, table, columns).invoke()
