"""One process migrates a database at a time; the others wait."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import Connection

from shared.database.migrations._target import separate_engine, translating
from shared.errors import LockTimeoutError

__all__ = ["migration_lock"]

_POLL: Final = 0.25  # seconds
_TRY: Final = text("SELECT pg_try_advisory_xact_lock(:key)")


@contextmanager
def migration_lock(
    connection: Connection,
    *,
    timeout: float,
    waiting: Callable[[float], object] = lambda _seconds: None,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Hold the database's migration lock in the block.

    On PostgreSQL it is held by a second connection: on the migrating one it would begin
    the transaction that work outside of transactions must not be in. It is bound to a
    transaction, not to a session, so it cannot be stranded behind a pooler, and that
    transaction has no snapshot an index build would wait for. SQLite has a lock file
    beside the database.

    Args:
        connection: Which database.
        timeout: Longest wait, in seconds.
        waiting: Called with the seconds waited while somebody else holds it.
        sleep: Waits.
        clock: Monotonic seconds.

    Raises:
        LockTimeoutError: Somebody else held it for longer.
    """
    patience = _Patience(timeout, waiting, sleep, clock)
    if connection.dialect.name == "postgresql":
        with _advisory(connection, patience):
            yield
    elif connection.dialect.name == "sqlite" and _file_of(connection) is not None:
        with _lock_file(Path(f"{_file_of(connection)}-migrate.lock"), patience):
            yield
    else:
        yield


class _Patience:
    """Waits between tries until the time is over."""

    def __init__(
        self,
        timeout: float,
        waiting: Callable[[float], object],
        sleep: Callable[[float], object],
        clock: Callable[[], float],
    ) -> None:
        self._timeout, self._waiting, self._sleep, self._clock = timeout, waiting, sleep, clock
        self._begin = clock()

    def wait(self) -> None:
        waited = self._clock() - self._begin
        if waited >= self._timeout:
            msg = (
                f"another process has been migrating this database for {waited:.0f} s "
                f"(limit {self._timeout:g} s): wait for it, or end it, and run again"
            )
            raise LockTimeoutError(msg)
        self._waiting(waited)
        self._sleep(_POLL)


@contextmanager
def _advisory(connection: Connection, patience: _Patience) -> Iterator[None]:
    engine = separate_engine(connection.engine)
    schema = connection.dialect.default_schema_name or "public"
    key = int.from_bytes(
        hashlib.blake2b(f"shared migrations {schema}".encode(), digest_size=8).digest(), signed=True
    )
    with translating(engine), engine.connect() as second, second.begin():
        while not second.execute(_TRY, {"key": key}).scalar_one():
            patience.wait()
        # After the lock, not before: the SELECT leaves an open portal behind, whose snapshot an
        # index built concurrently would wait for. This statement replaces it by one without.
        second.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def _file_of(connection: Connection) -> str | None:
    """Return the file of a SQLite database; None when it is in memory."""
    cursor = connection.connection.cursor()  # beside SQLAlchemy: it would begin a transaction
    try:
        cursor.execute("PRAGMA database_list")
        rows = cursor.fetchall()
    finally:
        cursor.close()
    return next((str(row[2]) for row in rows if row[1] == "main" and row[2]), None)


@contextmanager
def _lock_file(path: Path, patience: _Patience) -> Iterator[None]:
    import fcntl

    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            patience.wait()
            continue
        if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
            break
        os.close(handle)  # its last holder has just deleted it
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # still ours: a newcomer sees that its file is gone
        os.close(handle)
