"""Locks of several processes on one machine, in a file and without a server."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from shared.errors import ServiceUnavailableError
from shared.runtime import after_fork_in_child

__all__ = ["SQLiteLocks"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS locks (
  name TEXT PRIMARY KEY, owner TEXT, until REAL NOT NULL, token INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS line (
  place INTEGER PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL, until REAL NOT NULL,
  UNIQUE (name, owner));
"""


class SQLiteLocks:
    """The store for the workers of one machine: exclusive across processes, no server needed.

    The file keeps the last token of every name, so it grows with the number of names.
    A child after a fork opens the file anew. Close it when done.

    Args:
        path: The file, made when it is not there; on a local disk, not a network share.
        timeout: Longest wait for the file while another process uses it, in seconds.
        clock: Seconds since the epoch, the same in every process.

    Raises:
        ServiceUnavailableError: The file cannot be opened.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = SQLiteLocks(folder.name + "/locks.db")
        >>> first = store.take("reports", "me", 30.0)
        >>> store.take("reports", "you", 30.0) is None
        True
        >>> store.close(); folder.cleanup()
    """

    def __init__(
        self, path: str | Path, *, timeout: float = 5.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.shown: str = f"sqlite {Path(path).name}"
        self._path = str(path)
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._inherited: Any = None
        self._file: sqlite3.Connection | None = self._open()
        after_fork_in_child(self)

    def _open(self) -> sqlite3.Connection:
        with self._understood():
            file = sqlite3.connect(
                self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
            try:
                file.execute("PRAGMA journal_mode=WAL")
                file.executescript(_SCHEMA)
            except BaseException:
                file.close()
                raise
            return file

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            msg = f"the locks at {Path(self._path).name!r} cannot be used: {type(exc).__name__}"
            raise ServiceUnavailableError(msg) from exc

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Have the file to oneself."""
        with self._lock, self._understood():
            file = self._file = self._file or self._open()
            file.execute("BEGIN IMMEDIATE")
            try:
                yield file
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")

    def take(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """See :meth:`LockStore.take`.

        Raises:
            ServiceUnavailableError: The file cannot be used.
        """
        with self._change() as file:
            now = self._clock()
            file.execute("DELETE FROM line WHERE until <= ?", (now,))
            row = file.execute("SELECT owner, until, token FROM locks WHERE name = ?", (name,)).fetchone()
            first = file.execute(
                "SELECT owner FROM line WHERE name = ? ORDER BY place LIMIT 1", (name,)
            ).fetchone()
            is_free = row is None or row[0] is None or row[1] <= now
            if is_free and (first is None or first[0] == owner):
                token = 1 if row is None else row[2] + 1
                file.execute(
                    "INSERT OR REPLACE INTO locks VALUES (?, ?, ?, ?)", (name, owner, now + ttl, token)
                )
                file.execute("DELETE FROM line WHERE name = ? AND owner = ?", (name, owner))
                return int(token)
            if patience > 0:
                file.execute(
                    "INSERT INTO line (name, owner, until) VALUES (?, ?, ?) "
                    "ON CONFLICT (name, owner) DO UPDATE SET until = excluded.until",
                    (name, owner, now + patience),
                )
            return None

    def renew(self, name: str, owner: str, ttl: float) -> bool:
        """See :meth:`LockStore.renew`.

        Raises:
            ServiceUnavailableError: The file cannot be used.
        """
        with self._change() as file:
            now = self._clock()
            sql = "UPDATE locks SET until = ? WHERE name = ? AND owner = ? AND until > ?"
            return file.execute(sql, (now + ttl, name, owner, now)).rowcount == 1

    def give_back(self, name: str, owner: str) -> bool:
        """See :meth:`LockStore.give_back`.

        Raises:
            ServiceUnavailableError: The file cannot be used.
        """
        with self._change() as file:
            file.execute("DELETE FROM line WHERE name = ? AND owner = ?", (name, owner))
            held = file.execute(
                "SELECT until FROM locks WHERE name = ? AND owner = ?", (name, owner)
            ).fetchone()
            file.execute("UPDATE locks SET owner = NULL WHERE name = ? AND owner = ?", (name, owner))
            return held is not None and held[0] > self._clock()

    async def atake(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """As :meth:`take`, in a thread."""
        return await asyncio.to_thread(self.take, name, owner, ttl, patience)

    async def arenew(self, name: str, owner: str, ttl: float) -> bool:
        """As :meth:`renew`, in a thread."""
        return await asyncio.to_thread(self.renew, name, owner, ttl)

    async def agive_back(self, name: str, owner: str) -> bool:
        """As :meth:`give_back`, in a thread."""
        return await asyncio.to_thread(self.give_back, name, owner)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    async def aclose(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self.close)

    def after_fork(self) -> None:
        """SQLite forbids to use, or close, the parent's connection here."""
        self._lock = threading.Lock()
        self._inherited, self._file = self._file, None
