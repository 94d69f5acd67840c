"""Answered requests of several processes on one machine, in a file."""

import asyncio
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from shared.cache._replay_types import ReplayClaim, ReplayState, StoredAnswer, done
from shared.errors import InfrastructureError, ServiceUnavailableError
from shared.runtime import after_fork_in_child

__all__ = ["SQLiteReplays"]

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS replays (
  scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, token TEXT NOT NULL,
  is_done INTEGER NOT NULL, answer TEXT, until REAL NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS replays_until ON replays (until);
"""
_SWEEP: Final = 4  # ended keys dropped per new one
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class SQLiteReplays:
    """The store for the workers of one machine, without a server.

    Args:
        path: The file, made when it is not there; on a local disk.
        timeout: Longest wait for the file while another process writes, in seconds.
        clock: Seconds since the epoch, the same in every process.

    In an event loop it works in a thread. A child after a fork opens the file anew.
    Close it when done.

    Raises:
        ServiceUnavailableError: The file cannot be opened.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = SQLiteReplays(folder.name + "/replays.db")
        >>> [str(store.begin("u-1", "k-1", "f", lease=60.0).state) for _ in range(2)]
        ['started', 'busy']
        >>> store.close(); folder.cleanup()
    """

    def __init__(
        self, path: str | Path, *, timeout: float = 5.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = str(path)
        self.shown: str = f"sqlite {Path(path).name}"
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._inherited: sqlite3.Connection | None = None
        self._file: sqlite3.Connection | None = self._open()
        after_fork_in_child(self)

    def _open(self) -> sqlite3.Connection:
        try:
            file = sqlite3.connect(
                self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
            try:
                file.execute("PRAGMA journal_mode=WAL")
                file.executescript(_SCHEMA)
            except BaseException:
                file.close()
                raise
        except (sqlite3.Error, OSError) as exc:
            msg = f"the answered requests at {Path(self._path).name!r} cannot be opened: {type(exc).__name__}"
            raise ServiceUnavailableError(msg) from exc
        return file

    def begin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """Claim a key; see :meth:`ReplayStore.begin`.

        Raises:
            SharedError: The file is in use for too long, or cannot be used.
        """

        def work(file: sqlite3.Connection) -> ReplayClaim:
            now, token = self._clock(), secrets.token_hex(16)
            row = file.execute(
                "SELECT fingerprint, is_done, answer, until FROM replays WHERE scope = ? AND key = ?",
                (scope, key),
            ).fetchone()
            if row is None or row[3] <= now:
                file.execute(
                    "INSERT OR REPLACE INTO replays VALUES (?, ?, ?, ?, 0, NULL, ?)",
                    (scope, key, fingerprint, token, now + lease),
                )
                file.execute(
                    "DELETE FROM replays WHERE (scope, key) IN "
                    "(SELECT scope, key FROM replays WHERE until <= ? LIMIT ?)",
                    (now, _SWEEP),
                )
                return ReplayClaim(ReplayState.STARTED, token)
            mark, is_done, answer, until = row
            if mark != fingerprint:
                return ReplayClaim(ReplayState.OTHER)
            return done(answer) if is_done else ReplayClaim(ReplayState.BUSY, retry_after=until - now)

        return self._write(work)

    async def abegin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """As :meth:`begin`, without blocking the event loop."""
        return await asyncio.to_thread(self.begin, scope, key, fingerprint, lease=lease)

    def finish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """Keep the answer; see :meth:`ReplayStore.finish`.

        Raises:
            SharedError: The file is in use for too long, or cannot be used.
        """
        kept = None if answer is None else answer.dump()

        def work(file: sqlite3.Connection) -> bool:
            until = self._clock() + ttl
            # Without a row the lease ended, was swept, and nobody came since.
            statement = (
                "INSERT INTO replays VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT (scope, key) DO UPDATE "
                "SET is_done = 1, answer = excluded.answer, until = excluded.until "
                "WHERE token = excluded.token AND is_done = 0"
            )
            return file.execute(statement, (scope, key, fingerprint, token, kept, until)).rowcount == 1

        return self._write(work)

    async def afinish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """As :meth:`finish`, without blocking the event loop."""
        return await asyncio.to_thread(self.finish, scope, key, fingerprint, token, answer, ttl=ttl)

    def abandon(self, scope: str, key: str, token: str) -> None:
        """Give the key back; see :meth:`ReplayStore.abandon`.

        Raises:
            SharedError: The file is in use for too long, or cannot be used.
        """
        statement = "DELETE FROM replays WHERE scope = ? AND key = ? AND token = ? AND is_done = 0"
        self._write(lambda file: file.execute(statement, (scope, key, token)))

    async def aabandon(self, scope: str, key: str, token: str) -> None:
        """As :meth:`abandon`, without blocking the event loop."""
        await asyncio.to_thread(self.abandon, scope, key, token)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            file = self._file
            if file is None:
                file = self._file = self._open()
            try:
                file.execute("BEGIN IMMEDIATE")
                try:
                    result = work(file)
                    file.execute("COMMIT")
                except BaseException:
                    if file.in_transaction:
                        file.execute("ROLLBACK")
                    raise
            except sqlite3.Error as exc:
                if getattr(exc, "sqlite_errorcode", 0) & 0xFF in _BUSY:
                    msg = f"{self.shown} was in use for {self._timeout} s"
                    raise ServiceUnavailableError(msg) from exc
                msg = f"{self.shown} cannot be used: {type(exc).__name__}"
                raise InfrastructureError(msg) from exc
            return result

    def close(self) -> None:
        """Close the file; the next request would open it again."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.close()

    async def aclose(self) -> None:
        """Close the file."""
        self.close()

    def after_fork(self) -> None:
        """Forget the parent's connection without closing it, which would end its locks."""
        self._lock = threading.Lock()
        self._inherited, self._file = self._file, None
