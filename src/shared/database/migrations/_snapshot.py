"""The shape of a database and a digest of its rows, to compare before and after."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import MetaData, Table, inspect, select
from sqlalchemy.engine import Connection

from shared.database.migrations._locate import BOOKKEEPING

__all__ = ["Rows", "differences", "row_differences", "rows_of", "shape_of"]

_BATCH: Final = 1000
#: The shape of a database: every part by its name, described.
Shape = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table, by some of its columns.

    Attributes:
        count: How many.
        columns: Which columns the digest is of.
        digest: The same for the same rows in any order.
    """

    count: int
    columns: tuple[str, ...]
    digest: int


def shape_of(connection: Connection) -> Shape:
    """Return the tables, columns, keys, indexes and constraints of the database."""
    inspector = inspect(connection)
    shape: Shape = {}
    for table in sorted(inspector.get_table_names()):
        if table in BOOKKEEPING or table.endswith("alembic_version"):
            continue
        shape[f"table {table}"] = "there"
        for column in inspector.get_columns(table):
            words = [str(column["type"]), "null" if column["nullable"] else "not null"]
            words.append(f"default {column['default']}" if column["default"] is not None else "")
            shape[f"column {table}.{column['name']}"] = " ".join(filter(None, words)).lower()
        key = inspector.get_pk_constraint(table)
        shape[f"primary key {table}"] = f"{key.get('name')} {key['constrained_columns']}"
        for index in inspector.get_indexes(table):
            unique = "unique " if index["unique"] else ""
            where = (index.get("dialect_options") or {}).get("postgresql_where", "")
            shape[f"index {table}.{index['name']}"] = f"{unique}{index['column_names']} {where}".strip()
        for unique_constraint in inspector.get_unique_constraints(table):
            columns = unique_constraint["column_names"]
            shape[f"unique {table}.{unique_constraint['name'] or columns}"] = str(columns)
        for foreign in inspector.get_foreign_keys(table):
            name = foreign["name"] or foreign["constrained_columns"]
            referred = (
                f"{foreign['referred_table']} {foreign['referred_columns']} {foreign.get('options') or ''}"
            )
            shape[f"foreign key {table}.{name}"] = f"{foreign['constrained_columns']} -> {referred}"
        for check in inspector.get_check_constraints(table):
            shape[f"check {table}.{check['name'] or check['sqltext']}"] = str(check["sqltext"])
    shape.update(_triggers(connection))
    return shape


def _triggers(connection: Connection) -> Shape:
    if connection.dialect.name == "postgresql":
        sql = (
            "SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE NOT t.tgisinternal AND n.nspname = current_schema()"
        )
    elif connection.dialect.name == "sqlite":
        sql = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'"
    else:
        return {}
    return {f"trigger {table}.{name}": str(text) for table, name, text in connection.exec_driver_sql(sql)}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return how two shapes differ, in words."""
    found = []
    for name in sorted({*before, *after}):
        if name not in after:
            found.append(f"{name} is gone")
        elif name not in before:
            found.append(f"{name} is left over")
        elif before[name] != after[name]:
            found.append(f"{name} was {before[name]!r}, is {after[name]!r}")
    return tuple(found)


def rows_of(connection: Connection, like: Mapping[str, Rows] | None = None) -> dict[str, Rows]:
    """Return a digest of the rows of each table.

    Args:
        connection: Where.
        like: Earlier digests: only the columns that were there then count.
    """
    inspector = inspect(connection)
    found: dict[str, Rows] = {}
    for name in inspector.get_table_names():
        if name in BOOKKEEPING or name.endswith("alembic_version") or (like is not None and name not in like):
            continue
        table = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
        wanted: Iterable[str] = (column.name for column in table.columns)
        if like is not None:
            wanted = (column for column in like[name].columns if column in table.c)
        found[name] = _digest(connection, table, tuple(wanted))
    return found


def _digest(connection: Connection, table: Any, columns: tuple[str, ...]) -> Rows:
    count = total = 0
    if not columns:
        return Rows(0, (), 0)
    query = select(*(table.c[name] for name in columns)).execution_options(yield_per=_BATCH)
    for row in connection.execute(query):
        count += 1
        digest = hashlib.blake2b(repr(tuple(row)).encode(), digest_size=16).digest()
        # Addition, so that the order does not matter and doubles do.
        total = (total + int.from_bytes(digest)) % 2**128
    return Rows(count, columns, total)


def row_differences(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> tuple[str, ...]:
    """Return how the rows differ, in words; columns that are gone are told as such."""
    found = []
    for table in sorted(before):
        was, now = before[table], after.get(table)
        if now is None:
            if was.count:
                found.append(f"table {table}: its {was.count} rows are gone")
            continue
        gone = [column for column in was.columns if column not in now.columns]
        if was.count != now.count:
            found.append(f"table {table}: {was.count} rows became {now.count}")
        elif gone:
            found.append(f"table {table}: the values of {', '.join(gone)} are gone")
        elif was.digest != now.digest:
            found.append(f"table {table}: values of its {was.count} rows were changed")
    return tuple(found)
