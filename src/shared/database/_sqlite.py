"""SQLite made safe: transactions that begin, writers that queue, foreign keys that hold."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

from shared.context import get_deadline
from shared.errors import ConfigurationError

__all__ = ["BEGIN", "MemoryFile", "arm", "connect_arguments"]

#: Execution option of an engine: the statement that begins its transactions; None for none.
BEGIN: Final = "shared_begin"
_WRITER: Final = "shared_writer"
_TURN: Final = 0.005  # seconds between two tries to switch to the write-ahead log


class MemoryFile:
    """A private file that stands in for ``:memory:`` and is deleted at the end.

    A database in memory belongs to one connection: a second thread, or asynchronous
    code beside synchronous code, would see an empty one. A file without durability
    is as fast and behaves like the database of production.
    """

    def __init__(self) -> None:
        self.directory: str = tempfile.mkdtemp(prefix="shared-sqlite-")
        self.path: str = str(Path(self.directory) / "memory.db")
        self._end = weakref.finalize(self, _delete, self.directory, os.getpid())

    def close(self) -> None:
        """Delete the file; calling it twice does nothing."""
        self._end()


def _delete(directory: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves its parent's data alone
        shutil.rmtree(directory, ignore_errors=True)


def connect_arguments(url: URL, *, busy_timeout: float) -> dict[str, Any]:
    """Return what :func:`sqlite3.connect` takes: no hidden transactions, any thread."""
    arguments: dict[str, Any] = {
        "isolation_level": None,
        "timeout": busy_timeout,
        "check_same_thread": False,
    }
    if (url.database or "").startswith("file:"):
        arguments["uri"] = True
    return arguments


def arm(engine: Engine, *, read_only: bool, durable: bool, busy_timeout: float) -> None:
    """Make the connections of *engine* safe, and its transactions begin as they should.

    Args:
        engine: Synchronous, or the synchronous side of an asynchronous one.
        read_only: Whether its connections refuse to write.
        durable: Whether commits must survive the process; a stand-in for memory need not.
        busy_timeout: Seconds a writer waits for another.
    """
    pragmas = [
        f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}",
        "PRAGMA foreign_keys = ON",
        f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}",
    ]
    if read_only:
        pragmas.append("PRAGMA query_only = ON")

    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # begin and commit are ours, also for the async driver
        cursor = connection.cursor()
        try:
            for pragma in pragmas:
                cursor.execute(pragma)
            _write_ahead(connection, cursor, busy_timeout)
        finally:
            cursor.close()

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", _Begin())


def _write_ahead(connection: Any, cursor: Any, busy_timeout: float) -> None:
    """Switch to the write-ahead log, once per file; connections that open it together take turns.

    SQLite does not wait for the others when it switches, whatever the busy timeout says.
    """
    until = time.monotonic() + busy_timeout
    while True:
        try:
            cursor.execute("PRAGMA journal_mode")
            if str(cursor.fetchone()[0]).lower() != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
                cursor.fetchone()
        except sqlite3.OperationalError as exc:
            if getattr(exc, "sqlite_errorname", "") != "SQLITE_BUSY" or time.monotonic() >= until:
                raise
        else:
            return
        if hasattr(connection, "run_async"):
            connection.run_async(lambda _driver: asyncio.sleep(_TURN))
        else:
            time.sleep(_TURN)


class _Begin:
    """Begins transactions, and refuses the second writer of one task at once.

    SQLite has one writer. A task that holds the lock and asks for it again would wait
    for itself until the time limit: an error of the code, so it is told as one.
    """

    def __init__(self) -> None:
        self._writers: dict[int, Any] = {}

    def __call__(self, connection: Connection) -> None:
        statement = connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE")
        if statement is None:
            return
        if statement == "BEGIN IMMEDIATE":
            self._enter(connection)
        if get_deadline() is None:
            _send(connection, statement)
        else:  # the wait for the lock is held to the deadline, as any statement
            connection.exec_driver_sql(statement)

    def _enter(self, connection: Connection) -> None:
        me = _ident()
        record = connection.connection._connection_record  # noqa: SLF001 - lives as long as the transaction
        holder = self._writers.get(me)
        other = holder() if holder is not None else None
        if other is not None and other is not record and other.info.get(_WRITER) == me and _is_open(other):
            msg = (
                "this task has a write transaction open already, and SQLite has one writer: "
                "pass its session on, or use session.begin_nested()"
            )
            raise ConfigurationError(msg)
        if record is not None:
            record.info[_WRITER] = me
            self._writers[me] = weakref.ref(record)
        if len(self._writers) > 1000:
            self._writers = {key: ref for key, ref in self._writers.copy().items() if ref() is not None}


def _send(connection: Connection, statement: str) -> None:
    """Send *statement* past everything that looks at statements: it is sent for every transaction."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    except connection.dialect.loaded_dbapi.Error as exc:
        raise DBAPIError.instance(
            statement, None, exc, connection.dialect.loaded_dbapi.Error, dialect=connection.dialect
        ) from exc
    finally:
        cursor.close()


def _is_open(record: Any) -> bool:
    """Tell whether the connection of *record* is in a transaction; the driver's own word counts."""
    connection = getattr(record, "driver_connection", None)
    return bool(getattr(connection, "in_transaction", False))


def _ident() -> int:
    """Return what names the task, or the thread where there is none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return id(task) if task is not None else threading.get_ident()
