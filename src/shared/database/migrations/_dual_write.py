"""Columns that are renamed or change their type while old and new code write them."""

from typing import Any, ClassVar

from sqlalchemy import Column
from sqlalchemy.types import TypeEngine

from shared.database.migrations._operation import SafeOperation, Work
from shared.errors import InvalidArgumentError, MigrationError

__all__ = [
    "Contract",
    "Expand",
    "contract_column_rename",
    "contract_column_type",
    "expand_column_rename",
    "expand_column_type",
    "undo_expand",
]

#: What a trigger is called: found again by the contraction, which knows the same names.
_TRIGGER = "shared_sync_{table}_{old}"
_SHADOW = "{column}_shadow"

#: Both ways: whichever of the two a statement wrote is carried over to the other.
_RENAMED = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $sync$
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.{new} := coalesce(NEW.{new}, NEW.{old});
    NEW.{old} := coalesce(NEW.{old}, NEW.{new});
  ELSIF NEW.{old} IS DISTINCT FROM OLD.{old} THEN
    NEW.{new} := NEW.{old};
  ELSIF NEW.{new} IS DISTINCT FROM OLD.{new} THEN
    NEW.{old} := NEW.{new};
  END IF;
  RETURN NEW;
END $sync$
"""
#: One way: nobody writes the shadow but the trigger and the backfill.
_SHADOWED = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $sync$
BEGIN
  NEW.{new} := {using};
  RETURN NEW;
END $sync$
"""


class Expand(SafeOperation):
    """Adds the second column and keeps the two in step."""

    name: ClassVar[str] = "expand_column"

    def __init__(
        self,
        table: str,
        old: str,
        new: str,
        type_: TypeEngine[Any],
        *,
        using: str | None,
        server_default: Any = None,
    ) -> None:
        self.table_name, self.old, self.new, self.type, self.using = table, old, new, type_, using
        self.server_default = server_default

    @property
    def trigger(self) -> str:
        """Its name."""
        return _TRIGGER.format(table=self.table_name, old=self.old)[:63]

    def carry_out(self, work: Work) -> None:
        """Add the column, then the trigger, in one transaction."""
        work.op.add_column(
            self.table_name, Column(self.new, self.type, nullable=True, server_default=self.server_default)
        )
        if work.is_postgres:
            self._postgres(work)
        elif work.system == "sqlite":
            self._sqlite(work)
        else:
            msg = f"columns are kept in step on PostgreSQL and SQLite, not on {work.system}"
            raise MigrationError(msg)

    def _names(self, work: Work) -> dict[str, str]:
        return {
            "table": work.quote(self.table_name),
            "old": work.quote(self.old),
            "new": work.quote(self.new),
            "function": work.quote(self.trigger),
            "using": "",
        }

    def _postgres(self, work: Work) -> None:
        names = self._names(work)
        if self.using is not None:
            names["using"] = self.using.replace("{}", f"NEW.{names['old']}")
        work.execute((_RENAMED if self.using is None else _SHADOWED).format(**names).strip())
        work.execute(
            f"CREATE TRIGGER {names['function']} BEFORE INSERT OR UPDATE ON {names['table']} "
            f"FOR EACH ROW EXECUTE FUNCTION {names['function']}()"
        )

    def _sqlite(self, work: Work) -> None:
        names = self._names(work)
        old, new = names["old"], names["new"]
        if self.using is not None:
            value = self.using.replace("{}", f"NEW.{old}")
            for suffix, event in (("ins", "INSERT"), ("upd", f"UPDATE OF {old}")):
                self._sqlite_trigger(work, suffix, event, f"{new} = {value}")
            return
        both = f"{new} = coalesce(NEW.{new}, NEW.{old}), {old} = coalesce(NEW.{old}, NEW.{new})"
        self._sqlite_trigger(work, "ins", "INSERT", both)
        for suffix, mine, other in (("old", old, new), ("new", new, old)):
            when = f"WHEN NEW.{mine} IS NOT OLD.{mine} "
            self._sqlite_trigger(work, suffix, f"UPDATE OF {mine}", f"{other} = NEW.{mine}", when)

    def _sqlite_trigger(self, work: Work, suffix: str, event: str, change: str, when: str = "") -> None:
        table, name = work.quote(self.table_name), work.quote(f"{self.trigger}_{suffix}")
        update = f"UPDATE {table} SET {change} WHERE rowid = NEW.rowid"  # noqa: S608 - names are quoted
        work.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW {when}BEGIN {update}; END")


class Contract(SafeOperation):
    """Ends the keeping in step, and one of the columns."""

    name: ClassVar[str] = "contract_column"

    def __init__(self, table: str, old: str, *, drop: str, rename: tuple[str, str] | None) -> None:
        self.table_name, self.old, self.drop, self.rename = table, old, drop, rename

    def carry_out(self, work: Work) -> None:
        """Drop the trigger, the column, and give the other its name: one short transaction."""
        trigger = _TRIGGER.format(table=self.table_name, old=self.old)[:63]
        table = work.quote(self.table_name)
        if work.is_postgres:
            work.execute(f"DROP TRIGGER IF EXISTS {work.quote(trigger)} ON {table}")
            work.execute(f"DROP FUNCTION IF EXISTS {work.quote(trigger)}()")
        else:
            for suffix in ("ins", "upd", "old", "new"):
                work.execute(f"DROP TRIGGER IF EXISTS {work.quote(f'{trigger}_{suffix}')}")
        work.execute(f"ALTER TABLE {table} DROP COLUMN {work.quote(self.drop)}")
        if self.rename is not None:
            before, after = map(work.quote, self.rename)
            work.execute(f"ALTER TABLE {table} RENAME COLUMN {before} TO {after}")


def expand_column_rename(table: str, old: str, new: str, type_: TypeEngine[Any]) -> None:
    """Begin to rename a column while old code runs: add the new one and keep both in step.

    For a revision of phase ``expand``. Then :func:`backfill` what was there (phase
    ``migrate``), deploy the code that knows the new name, and end with
    :func:`contract_column_rename`. Whichever column a statement writes, the other
    follows. On SQLite a NOT NULL column must still be written by its old name.

    Args:
        table: Its name.
        old: The column's name now.
        new: Its name to be.
        type_: Its type.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> from sqlalchemy import String
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     expand_column_rename("orders", "note", "remark", String(100))
        >>> "CREATE TRIGGER shared_sync_orders_note" in out.getvalue()
        True
    """
    _two_names(old, new)
    Expand(table, old, new, type_, using=None).invoke()


def contract_column_rename(table: str, old: str, new: str) -> None:
    """End a rename: drop the old column, for a revision of phase ``contract``.

    Args:
        table: Its name.
        old: The column's name before.
        new: Its name now.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     contract_column_rename("orders", "note", "remark")
        >>> "DROP COLUMN note;" in out.getvalue()
        True
    """
    _two_names(old, new)
    Contract(table, old, drop=old, rename=None).invoke()


def expand_column_type(table: str, column: str, type_: TypeEngine[Any], *, using: str = "{}") -> None:
    """Begin to change a column's type without rewriting the table under a lock.

    For a revision of phase ``expand``: adds ``<column>_shadow`` of the new type, which
    follows the column. Then :func:`backfill` it, build its indexes, and exchange the two
    with :func:`contract_column_type`.

    Args:
        table: Its name.
        column: Its name.
        type_: The type to be.
        using: How a value is converted, as SQL with ``{}`` for the column, such as
            ``"{}::bigint"``.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> from sqlalchemy import BigInteger
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     expand_column_type("orders", "total", BigInteger())
        >>> "ADD COLUMN total_shadow BIGINT;" in out.getvalue()
        True
    """
    if "{}" not in using:
        msg = f"using is SQL with {{}} for the column, such as '{{}}::bigint', got {using!r}"
        raise InvalidArgumentError(msg)
    Expand(table, column, _SHADOW.format(column=column), type_, using=using).invoke()


def contract_column_type(table: str, column: str) -> None:
    """End a change of type: the shadow takes the column's place and name.

    For a revision of phase ``contract``. The lock is exclusive and short. Constraints,
    the default and the indexes of the old column go with it: give the shadow its own
    before, with :func:`add_not_null` and :func:`create_index_concurrently`.

    Args:
        table: Its name.
        column: Its name.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     contract_column_type("orders", "total")
        >>> "RENAME COLUMN total_shadow TO total;" in out.getvalue()
        True
    """
    shadow = _SHADOW.format(column=column)
    Contract(table, column, drop=column, rename=(shadow, column)).invoke()


def undo_expand(table: str, column: str, new: str | None = None) -> None:
    """Take an expansion back, for its ``downgrade()``.

    Args:
        table: Its name.
        column: The column before the expansion.
        new: The new name, after :func:`expand_column_rename`.

    Example:
        >>> from alembic.migration import MigrationContext
        >>> from alembic.operations import Operations
        >>> import io
        >>> out = io.StringIO()
        >>> context = MigrationContext.configure(
        ...     dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
        >>> with Operations.context(context):
        ...     undo_expand("orders", "note", "remark")
        >>> "DROP COLUMN remark;" in out.getvalue()
        True
    """
    Contract(table, column, drop=new or _SHADOW.format(column=column), rename=None).invoke()


def _two_names(old: str, new: str) -> None:
    if old == new:
        msg = f"a rename needs two names, got {old!r} twice"
        raise InvalidArgumentError(msg)
