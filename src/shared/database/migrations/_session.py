"""What a connection needs before revisions run on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Connection

from shared.database.migrations._options import MigrationOptions
from shared.errors import MigrationError

__all__ = ["ForeignKeys", "prepared"]

_PREPARED = "shared_migrations_prepared"


@contextmanager
def prepared(connection: Connection, options: MigrationOptions) -> Iterator[None]:
    """Set the limits of PostgreSQL, and put SQLite's foreign keys to rest, for the block.

    Both outlive the transactions of the revisions, so they are set outside of any.

    Raises:
        MigrationError: The connection is in a transaction, in which SQLite's foreign keys
            cannot be put to rest.
    """
    if connection.info.get(_PREPARED):
        yield
        return
    connection.info[_PREPARED] = True
    try:
        if connection.dialect.name == "postgresql":
            with _limits(connection, options):
                yield
        elif connection.dialect.name == "sqlite":
            with _resting_foreign_keys(connection):
                yield
        else:
            yield
    finally:
        connection.info.pop(_PREPARED, None)


@contextmanager
def _limits(connection: Connection, options: MigrationOptions) -> Iterator[None]:
    wanted = {
        "lock_timeout": f"{max(1, int(options.lock_timeout * 1000))}ms",
        "statement_timeout": f"{int(options.statement_timeout * 1000)}ms",
        "idle_in_transaction_session_timeout": "0",
        "application_name": "shared-migrations",
    }
    outside = not connection.in_transaction()
    before = {
        name: str(connection.exec_driver_sql(f"SELECT current_setting('{name}')").scalar_one())
        for name in wanted
    }
    # In the caller's transaction they end with it.
    _set(connection, wanted, "SET" if outside else "SET LOCAL")
    if outside:
        connection.commit()  # a setting made in a transaction that fails is taken back
    try:
        yield
    finally:
        if outside and not connection.closed and not connection.invalidated:
            if connection.in_transaction():
                connection.rollback()
            _set(connection, before, "SET")
            connection.commit()


def _set(connection: Connection, values: dict[str, str], command: str) -> None:
    for name, value in values.items():
        connection.exec_driver_sql(f"{command} {name} = '{value}'")


@contextmanager
def _resting_foreign_keys(connection: Connection) -> Iterator[None]:
    """Keep SQLite from deleting the children of a table that is rebuilt.

    A table is changed by copying it and dropping the old one, and with foreign keys on
    that drop deletes from the tables that refer to it. Source: SQLite, "ALTER TABLE",
    section 7.
    """
    if _pragma(connection, "foreign_keys") != 1:
        yield
        return
    if connection.in_transaction():
        msg = (
            "the connection is in a transaction, where SQLite's foreign keys cannot be put to rest, and "
            "rebuilding a table would delete from those that refer to it: commit before, or give the engine"
        )
        raise MigrationError(msg)
    _pragma(connection, "foreign_keys = OFF")
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            if connection.in_transaction():
                connection.rollback()
            _pragma(connection, "foreign_keys = ON")


def _pragma(connection: Connection, text: str) -> Any:
    """Run a pragma beside SQLAlchemy, which would begin a transaction for it."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(f"PRAGMA {text}")
        row = cursor.fetchone()
    finally:
        cursor.close()
    return row[0] if row else None


class ForeignKeys:
    """Holds revisions on SQLite to their foreign keys while those are at rest.

    Rows that break one before the run do not count.
    """

    def __init__(self, connection: Connection | None) -> None:
        self._connection = (
            connection if connection is not None and connection.dialect.name == "sqlite" else None
        )
        self._before = self._broken()

    def verify(self, revision: str) -> None:
        """Compare with the beginning.

        Raises:
            MigrationError: *revision* left rows that refer to nothing.
        """
        new = self._broken() - self._before
        if new:
            table, _row, parent, _number = min(new, key=str)
            msg = (
                f"revision {revision!r} leaves {len(new)} rows whose foreign key refers to nothing, "
                f"the first in {table!r} to {parent!r}: it was rolled back"
            )
            raise MigrationError(msg)

    def _broken(self) -> set[tuple[Any, ...]]:
        if self._connection is None:
            return set()
        return {tuple(row) for row in self._connection.exec_driver_sql("PRAGMA foreign_key_check")}
