"""What a revision changes, in one form whether Alembic's operations or SQL say it."""

from collections.abc import Iterator
from typing import Any

from alembic.operations import ops
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Identity,
    PrimaryKeyConstraint,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from shared.database.migrations._change import Change
from shared.database.migrations._operation import SafeOperation
from shared.database.migrations._sql import changes_in_sql, parse_default

__all__ = ["changes_of", "type_text"]

_DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


def type_text(type_: TypeEngine[Any] | None) -> str | None:
    """Return *type_* as PostgreSQL writes it; None when it cannot."""
    if type_ is None:
        return None
    try:
        return str(type_.compile(dialect=_DIALECT)).lower()
    except Exception:  # noqa: BLE001 - a type of another dialect, or of the service's own
        return None


def changes_of(operation: Any) -> list[Change]:
    """Return what *operation* changes; several for SQL of several statements."""
    if isinstance(operation, SafeOperation):
        return list(_of_safe(operation))
    for kind, read in _READERS:
        if isinstance(operation, kind):
            return list(read(operation))
    return [Change("other", getattr(operation, "table_name", ""), text=type(operation).__name__)]


def _of_safe(operation: Any) -> Iterator[Change]:
    kind = f"safe:{operation.name}"
    referred = getattr(operation, "referred", None)
    columns = tuple(operation.columns) if referred is not None else ()
    yield Change(kind, operation.table_name, columns=columns, referred=referred)
    if operation.name in {"create_index_concurrently", "add_unique"}:
        yield Change("new_index", operation.table_name, columns=tuple(operation.columns))
    elif operation.name == "contract_column":
        before, after = operation.rename or (None, None)
        yield Change("drop_column", operation.table_name, column=operation.drop, new_name=after, is_ours=True)
        if before is not None:
            yield Change("rename_column", operation.table_name, column=before, new_name=after, is_ours=True)
    elif operation.name == "expand_column":
        yield Change(
            "add_column",
            operation.table_name,
            column=operation.new,
            type=type_text(operation.type),
            is_nullable=True,
            is_ours=True,
        )


def _create_table(operation: ops.CreateTableOp) -> Iterator[Change]:
    yield Change("create_table", operation.table_name)
    for item in operation.columns:
        if isinstance(item, Column):
            yield Change(
                "new_column",
                operation.table_name,
                column=item.name,
                type=type_text(item.type),
                is_nullable=bool(item.nullable) and not item.primary_key,
            )
        elif isinstance(item, (PrimaryKeyConstraint, UniqueConstraint)):
            columns = tuple(str(getattr(each, "name", each)) for each in item._pending_colargs)  # noqa: SLF001 - not bound yet
            yield Change("new_index", operation.table_name, columns=columns)


def _add_column(operation: ops.AddColumnOp) -> Iterator[Change]:
    column = operation.column
    default = column.server_default
    generated = identity = None
    expression = ""
    if isinstance(default, Computed):
        generated = "stored" if default.persisted is not False else "virtual"
    elif isinstance(default, Identity) or column.identity is not None:
        identity = True
    elif default is not None:
        argument = getattr(default, "arg", "")
        expression = f"'{argument}'" if isinstance(argument, str) else str(argument)
    kind = type_text(column.type)
    yield Change(
        "add_column",
        operation.table_name,
        column=column.name,
        type=kind,
        is_nullable=bool(column.nullable),
        default=parse_default(expression) if expression else "",
        generated=generated,
        is_serial=bool(identity) or (kind or "").endswith("serial") or column.primary_key,
        is_unique=bool(column.unique) or column.primary_key,
    )
    for key in column.foreign_keys:
        referred = key.target_fullname.rpartition(".")[0]
        inline = bool(getattr(operation, "inline_references", False))
        if not inline:
            yield Change("add_foreign_key", operation.table_name, columns=(column.name,), referred=referred)
    for constraint in column.constraints:
        if isinstance(constraint, CheckConstraint):
            yield Change("add_check", operation.table_name, text=str(constraint.sqltext))
    if column.index:
        yield Change("create_index", operation.table_name, columns=(column.name,))


def _alter_column(operation: ops.AlterColumnOp) -> Iterator[Change]:
    table, column = operation.table_name, operation.column_name
    if operation.modify_type is not None:
        yield Change(
            "alter_type",
            table,
            column=column,
            type=type_text(operation.modify_type),
            old_type=type_text(operation.existing_type),
        )
    if operation.modify_nullable is not None:
        yield Change("drop_not_null" if operation.modify_nullable else "set_not_null", table, column=column)
    if operation.modify_server_default is not False:
        kind = "drop_default" if operation.modify_server_default is None else "set_default"
        yield Change(kind, table, column=column)
    if operation.modify_name is not None:
        yield Change("rename_column", table, column=column, new_name=operation.modify_name)


def _constraint(operation: ops.AddConstraintOp) -> Iterator[Change]:
    options = getattr(operation, "kw", {}) or {}
    name = str(getattr(operation, "constraint_name", "") or "") or None
    if isinstance(operation, ops.CreateForeignKeyOp):
        yield Change(
            "add_foreign_key",
            operation.source_table,
            name=name,
            columns=tuple(operation.local_cols),
            referred=operation.referent_table,
            is_valid=not options.get("postgresql_not_valid"),
        )
    elif isinstance(operation, ops.CreateCheckConstraintOp):
        valid = not options.get("postgresql_not_valid")
        yield Change(
            "add_check", operation.table_name, name=name, text=str(operation.condition), is_valid=valid
        )
    elif isinstance(operation, ops.CreatePrimaryKeyOp):
        yield Change("add_primary_key", operation.table_name, name=name, columns=tuple(operation.columns))
    elif isinstance(operation, ops.CreateUniqueConstraintOp):
        yield Change("add_unique", operation.table_name, name=name, columns=tuple(operation.columns))
    else:
        constraint = operation.to_constraint()
        kind = "add_foreign_key" if isinstance(constraint, ForeignKeyConstraint) else "add_exclude"
        yield Change(kind, str(getattr(operation, "table_name", "")), name=name)


def _create_index(operation: ops.CreateIndexOp) -> Iterator[Change]:
    yield Change(
        "create_index",
        operation.table_name,
        name=str(operation.index_name),
        columns=tuple(str(each) for each in operation.columns),
        is_unique=bool(operation.unique),
        is_concurrent=bool(operation.kw.get("postgresql_concurrently")),
    )


def _drop_index(operation: ops.DropIndexOp) -> Iterator[Change]:
    concurrent = bool(operation.kw.get("postgresql_concurrently"))
    yield Change(
        "drop_index", operation.table_name or "", name=str(operation.index_name), is_concurrent=concurrent
    )


def _execute(operation: ops.ExecuteSQLOp) -> Iterator[Change]:
    sql = operation.sqltext
    if isinstance(sql, str):
        yield from changes_in_sql(sql)
        return
    kind = getattr(sql, "__visit_name__", "")
    table = getattr(getattr(sql, "table", None), "name", "")
    if kind in {"update", "delete", "insert"}:
        yield Change(kind, str(table), text=f"{kind.upper()} {table}")
    else:
        yield from changes_in_sql(str(sql))


def _bulk_insert(operation: ops.BulkInsertOp) -> Iterator[Change]:
    yield Change("insert", str(operation.table.name))


_READERS: Any = (
    (ops.CreateTableOp, _create_table),
    (ops.DropTableOp, lambda operation: [Change("drop_table", operation.table_name)]),
    (
        ops.RenameTableOp,
        lambda operation: [Change("rename_table", operation.table_name, new_name=operation.new_table_name)],
    ),
    (ops.AddColumnOp, _add_column),
    (
        ops.DropColumnOp,
        lambda operation: [Change("drop_column", operation.table_name, column=operation.column_name)],
    ),
    (ops.AlterColumnOp, _alter_column),
    (ops.AddConstraintOp, _constraint),
    (
        ops.DropConstraintOp,
        lambda operation: [
            Change("drop_constraint", operation.table_name, name=str(operation.constraint_name or ""))
        ],
    ),
    (ops.CreateIndexOp, _create_index),
    (ops.DropIndexOp, _drop_index),
    (ops.ExecuteSQLOp, _execute),
    (ops.BulkInsertOp, _bulk_insert),
    ((ops.CreateTableCommentOp, ops.DropTableCommentOp), lambda op: [Change("comment", op.table_name)]),
)
