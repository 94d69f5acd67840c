"""A copy of a live database that may be changed and is thrown away."""

import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._locate import BOOKKEEPING, VERSION_TABLE
from shared.database.migrations._runner import Migrations
from shared.database.migrations._target import migration_engine
from shared.errors import MigrationError, SharedError

__all__ = ["Shadow", "shadow_of"]

_COLUMNS: Final = """
SELECT c.relname, a.attname, a.attgenerated <> '' FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname = current_schema()
ORDER BY c.relname, a.attnum
"""
_SEQUENCES: Final = """
SELECT c.relname, a.attname, pg_get_serial_sequence(quote_ident(c.relname), a.attname)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = current_schema()
  AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A copy.

    Attributes:
        url: Where it is.
        notes: What is not as in the original.
    """

    url: str
    notes: tuple[str, ...] = field(default=())


@contextmanager
def shadow_of(
    url: str, chain: MigrationChain, *, rows: int, schema: str | None = None, given: str | None = None
) -> Iterator[Shadow]:
    """Give a copy of the database at *url*, thrown away after the block.

    SQLite is copied whole. On PostgreSQL a new database on the same server gets the
    shape that the applied revisions make, and up to *rows* rows of each table: a live
    database cannot be cloned while it is in use. A copy made otherwise, such as from a
    backup, is *given* and left where it is, changed.

    Args:
        url: The live database; only read.
        chain: Whose revisions are to be tried.
        rows: Most rows of each table.
        schema: PostgreSQL schema.
        given: URL of a copy that may be changed.

    Raises:
        MigrationError: The copy cannot be made.
    """
    if given is not None:
        yield Shadow(given)
    elif url.startswith(("sqlite", "memory")):
        with _sqlite_copy(url) as copy:
            yield Shadow(copy)
    else:
        with _postgres_copy(url, chain, rows, schema) as shadow:
            yield shadow


@contextmanager
def _sqlite_copy(url: str) -> Iterator[str]:
    engine = migration_engine(url)
    with tempfile.TemporaryDirectory(prefix="shared-shadow-") as folder:
        path = Path(folder) / "shadow.db"
        target = sqlite3.connect(path)
        try:
            with engine.connect() as connection:
                connection.connection.driver_connection.backup(target)  # type: ignore[union-attr]
        finally:
            target.close()
            engine.dispose()
        yield f"sqlite:///{path}"


@contextmanager
def _postgres_copy(url: str, chain: MigrationChain, rows: int, schema: str | None) -> Iterator[Shadow]:
    live = migration_engine(url)
    name = f"shared_shadow_{secrets.token_hex(6)}"
    _administer(live, f'CREATE DATABASE "{name}"', "a copy cannot be made beside the live database")
    try:
        copy = live.url.set(database=name)
        text = _with_schema(copy, schema or _schema_of(live))
        _build(url, text, chain, schema)
        yield Shadow(text, tuple(_fill(url, text, rows, schema)))
    finally:
        _administer(live, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', "the copy cannot be dropped")
        live.dispose()


def _administer(engine: Engine, statement: str, failed: str) -> None:
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(statement)
    except SQLAlchemyError as exc:
        reason = str(getattr(exc, "orig", exc)).partition("\n")[0]
        msg = f"{failed}: {reason}; give a copy of your own with --shadow, such as one from a backup"
        raise MigrationError(msg) from exc


def _schema_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT current_schema()").scalar()
    return None if found in {None, "public"} else str(found)


def _with_schema(url: URL, schema: str | None) -> str:
    plain = url.set(drivername="postgresql")
    if schema is not None:
        plain = plain.update_query_dict({"schema": schema})
    return plain.render_as_string(hide_password=False)


def _build(live: str, copy: str, chain: MigrationChain, schema: str | None) -> None:
    """Give *copy* the shape that the revisions applied to *live* make."""
    library = MigrationChain.library()
    chains = [chain] if chain.name == "library" else [library, chain]
    for each in chains:
        heads = Migrations(live, each, schema=schema).current()
        target = Migrations(copy, each)
        try:
            for head in heads:
                target.upgrade(head)
        except SharedError as exc:
            msg = (
                f"the applied revisions of the {each.name} do not run on an empty database ({exc.message}): "
                "give a copy of your own with --shadow, such as one from a backup"
            )
            raise MigrationError(msg) from exc


def _fill(live: str, copy: str, rows: int, schema: str | None) -> Iterator[str]:
    """Copy rows from *live*; yield what is not as there."""
    source, target = migration_engine(live, schema=schema), migration_engine(copy)
    try:
        with source.connect() as reading, target.connect() as writing:
            yield from _copy_tables(
                reading.connection.driver_connection, writing.connection.driver_connection, rows
            )
    finally:
        source.dispose()
        target.dispose()


def _copy_tables(reading: Any, writing: Any, rows: int) -> Iterator[str]:
    here, there = _columns(reading), _columns(writing)
    unmanaged = sorted(set(here) - set(there) - BOOKKEEPING - {VERSION_TABLE, "alembic_version"})
    if unmanaged:
        yield f"not made by revisions, so not in the copy: {', '.join(unmanaged)}"
    _without_foreign_keys(writing)
    for table in there:
        if table in BOOKKEEPING or table not in here or table.endswith("alembic_version"):
            continue
        columns = [name for name in there[table] if name in here[table]]
        if columns and not _copy_rows(reading, writing, table, columns, rows):
            yield f"rows of {table} refer to rows that were not copied: it is empty in the copy"
    with writing.cursor() as cursor:
        for table, column, sequence in cursor.execute(_SEQUENCES).fetchall():
            cursor.execute(
                f"SELECT setval('{sequence}', greatest(max({_q(column)}), 1)) FROM {_q(table)}"  # noqa: S608
            )
        writing.commit()
        writing.autocommit = True
        cursor.execute("ANALYZE")
    reading.rollback()


def _columns(connection: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        for table, column, generated in cursor.execute(_COLUMNS).fetchall():
            columns = found.setdefault(table, [])
            if not generated:
                columns.append(column)
    connection.rollback()
    return found


def _without_foreign_keys(connection: Any) -> None:
    """Let rows in whose parents were not copied, where the role may do that."""
    import psycopg

    try:
        connection.execute("SET session_replication_role = replica")
        connection.commit()
    except psycopg.errors.InsufficientPrivilege:
        connection.rollback()


def _copy_rows(reading: Any, writing: Any, table: str, columns: Sequence[str], rows: int) -> bool:
    import psycopg

    names = ", ".join(map(_q, columns))
    select = f"COPY (SELECT {names} FROM {_q(table)} LIMIT {rows}) TO STDOUT (FORMAT binary)"  # noqa: S608
    try:
        with (
            reading.cursor() as source,
            writing.cursor() as target,
            source.copy(select) as outgoing,
            target.copy(f"COPY {_q(table)} ({names}) FROM STDIN (FORMAT binary)") as incoming,
        ):
            for block in outgoing:
                incoming.write(block)
        writing.commit()
    except psycopg.errors.ForeignKeyViolation:
        writing.rollback()
        return False
    return True


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
