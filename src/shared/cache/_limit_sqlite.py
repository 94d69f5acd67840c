"""Rate limits of several processes on one machine, in a file and without a server."""

import asyncio
import math
import sqlite3
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from shared.cache._limit_memory import decide
from shared.cache._limit_types import LimitTier
from shared.errors import InfrastructureError, InvalidArgumentError, ServiceUnavailableError
from shared.resilience import CircuitBreaker, RateDecision
from shared.runtime import after_fork_in_child

__all__ = ["SQLiteRateLimits"]

_MICRO: Final = 1_000_000
_SWEEP_EVERY: Final = 64  # requests between two looks at old rows
_SWEEP_ROWS: Final = 256  # rows looked at: more than a request can add
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS grants (
  key TEXT NOT NULL, at INTEGER NOT NULL, total INTEGER NOT NULL, cost INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (key, at, total)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (
  key TEXT PRIMARY KEY, state BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
"""
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class SQLiteRateLimits:
    """The store for the workers of one machine: exact across processes, no server needed.

    Args:
        path: The file, made when it is not there; on a local disk, not a network share.
        timeout: Longest wait for the file while another process decides, in seconds.
        clock: Seconds since the epoch, the same in every process.

    A request takes some ten microseconds. In an event loop it is decided at once when
    the file is free, and in a thread when it is not. Losing the file loses permits that
    were used, nothing else, so nothing waits for the disk. A child after a fork opens
    the file anew. Close it when done.

    Raises:
        ServiceUnavailableError: The file cannot be opened.
        InvalidArgumentError: *timeout* is not seconds above 0.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = SQLiteRateLimits(folder.name + "/limits.db")
        >>> [store.hit((LimitTier("2/minute"),), "user-1")[0].allowed for _ in range(3)]
        [True, True, False]
        >>> store.close(); folder.cleanup()
    """

    def __init__(
        self, path: str | Path, *, timeout: float = 0.05, clock: Callable[[], float] = time.time
    ) -> None:
        if not (math.isfinite(timeout) and timeout > 0):
            msg = f"timeout is seconds above 0, got {timeout!r}"
            raise InvalidArgumentError(msg)
        self._path = str(path)
        self.shown: str = f"sqlite {Path(path).name}"
        self._timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._since_sweep = 0
        self._cursor = ""
        self._inherited: sqlite3.Connection | None = None
        self._file: sqlite3.Connection | None = self._open()
        self.breaker: CircuitBreaker | None = CircuitBreaker(
            f"rate limits at {self.shown}", failure_threshold=3, recovery_timeout=1.0
        )
        after_fork_in_child(self)

    def _open(self) -> sqlite3.Connection:
        try:
            file = sqlite3.connect(
                self._path, timeout=max(self._timeout, 5.0), isolation_level=None, check_same_thread=False
            )
            try:
                file.execute("PRAGMA journal_mode=WAL")
                file.execute("PRAGMA synchronous=OFF")
                file.executescript(_SCHEMA)
            except BaseException:
                file.close()
                raise
        except (sqlite3.Error, OSError) as exc:
            msg = f"the rate limits at {Path(self._path).name!r} cannot be opened: {type(exc).__name__}"
            raise ServiceUnavailableError(msg) from exc
        return file

    def hit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """Ask every tier for permits; see :meth:`RateLimitStore.hit`.

        Raises:
            ServiceUnavailableError: The file was not free in time.
            InfrastructureError: The file cannot be read or written.
        """
        answer = self._try(tiers, key, cost, self._timeout)
        if answer is None:
            msg = f"{self.shown} was in use for {self._timeout} s"
            raise ServiceUnavailableError(msg)
        return answer

    async def ahit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """As :meth:`hit`, without blocking the event loop."""
        answer = self._try(tiers, key, cost, 0.0)
        if answer is None:
            return await asyncio.to_thread(self.hit, tiers, key, cost)
        return answer

    # -- inside ----------------------------------------------------------------------

    def _try(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int], wait: float
    ) -> tuple[RateDecision, ...] | None:
        """Decide, or return None when the file is not free within *wait* seconds."""
        keys = (key,) * len(tiers) if isinstance(key, str) else key
        costs = (cost,) * len(tiers) if isinstance(cost, int) else cost
        if not self._lock.acquire(timeout=wait) if wait else not self._lock.acquire(blocking=False):
            return None
        try:
            file = self._file
            if file is None:
                file = self._file = self._open()
            file.execute(f"PRAGMA busy_timeout={math.ceil(wait * 1000)}")
            file.execute("BEGIN IMMEDIATE")
            try:
                answer = self._decide(file, list(zip(tiers, keys, costs, strict=True)))
                file.execute("COMMIT")
            except BaseException:
                if file.in_transaction:
                    file.execute("ROLLBACK")
                raise
            return answer
        except sqlite3.Error as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF in _BUSY:
                return None
            msg = f"{self.shown} cannot be used: {type(exc).__name__}"
            raise InfrastructureError(msg) from exc
        finally:
            self._lock.release()

    def _decide(
        self, file: sqlite3.Connection, asked: list[tuple[LimitTier, str, int]]
    ) -> tuple[RateDecision, ...]:
        # Read inside of the transaction: who decides later sees a later moment.
        now = int(self._clock() * _MICRO)
        self._since_sweep += 1
        if self._since_sweep >= _SWEEP_EVERY:
            self._sweep(file, now)
        rows: list[_Window | _State] = [
            (_Window if tier.kind == "sliding_window" else _State)(file, tier, tier.prefix + key, cost, now)
            for tier, key, cost in asked
        ]
        granted = all(row.allowed for row in rows)
        if granted:
            for row in rows:
                row.take()
        return tuple(row.decision() for row in rows)

    def _sweep(self, file: sqlite3.Connection, now: int) -> None:
        """Drop what no longer counts, some keys at a time: the file follows the keys in use."""
        self._since_sweep = 0
        last = ""
        for table, order in (("grants", "key, at, total"), ("states", "key")):
            looked = file.execute(
                f"SELECT {order}, until FROM {table} WHERE key >= ? ORDER BY {order} LIMIT {_SWEEP_ROWS}",  # noqa: S608
                (self._cursor,),
            ).fetchall()
            where = " AND ".join(f"{column} = ?" for column in order.split(", "))
            file.executemany(
                f"DELETE FROM {table} WHERE {where}",  # noqa: S608
                [row[:-1] for row in looked if row[-1] <= now],
            )
            if len(looked) == _SWEEP_ROWS:
                # A key with more rows than one look is passed over: it is in use, or the next round has it.
                last = min(last or looked[-1][0], looked[-1][0])
        self._cursor = last + "\0" if last else ""

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


class _Window:
    """The exact sliding window as rows: each grant with the permits granted so far."""

    def __init__(self, file: sqlite3.Connection, tier: LimitTier, key: str, cost: int, now: int) -> None:
        self._file, self._tier, self._key, self._cost = file, tier, key, cost
        self._permits = tier.limit.permits
        self._per = per = math.ceil(tier.limit.per * _MICRO)
        last = file.execute(
            "SELECT at, total FROM grants WHERE key = ? ORDER BY at DESC, total DESC LIMIT 1", (key,)
        ).fetchone()
        newest: int | None = None if last is None else last[0]
        self._total: int = 0 if last is None else last[1]
        self._before = self._total
        if newest is not None:
            if newest > now + per:  # the system clock was set back by more than a period
                file.execute("DELETE FROM grants WHERE key = ?", (key,))
                newest = None
            else:
                now = max(now, newest)
                file.execute("DELETE FROM grants WHERE key = ? AND at <= ?", (key, now - per))
                oldest = file.execute(
                    "SELECT total - cost FROM grants WHERE key = ? ORDER BY at, total LIMIT 1", (key,)
                ).fetchone()
                self._before = self._total if oldest is None else oldest[0]
                newest = None if oldest is None else newest
        self._now, self._newest = now, newest
        self._used = self._total - self._before
        self.allowed: bool = self._used + cost <= self._permits
        self._taken = 0

    def take(self) -> None:
        """Write the grant down."""
        if self._cost:
            now, cost = self._now, self._cost
            self._file.execute(
                "INSERT INTO grants VALUES (?, ?, ?, ?, ?)",
                (self._key, now, self._total + cost, cost, now + self._per),
            )
            self._newest, self._taken = now, cost

    def decision(self) -> RateDecision:
        """Return the answer of this tier."""
        reset = 0 if self._newest is None else self._newest + self._per - self._now
        wait = 0.0 if self.allowed else self._wait()
        left = max(0, self._permits - self._used - self._taken)
        return RateDecision(self.allowed, self._permits, left, wait, reset / _MICRO)

    def _wait(self) -> float:
        if self._cost > self._permits:
            return math.inf
        enough = self._before + self._used + self._cost - self._permits
        (at,) = self._file.execute(
            "SELECT at FROM grants WHERE key = ? AND total >= ? ORDER BY at, total LIMIT 1",
            (self._key, enough),
        ).fetchone()
        return float(at + self._per - self._now) / _MICRO


class _State:
    """Every other algorithm: its few numbers as one value."""

    def __init__(self, file: sqlite3.Connection, tier: LimitTier, key: str, cost: int, now: int) -> None:
        self._file, self._key = file, key
        self._algorithm: Any = tier.algorithm
        self._now = now / _MICRO
        self._cost = cost
        found = file.execute("SELECT state, until FROM states WHERE key = ?", (key,)).fetchone()
        # One that ends later than any can was written before the system clock was set back.
        known = found is not None and found[1] <= now + 3 * tier.limit.per * _MICRO
        self._before: bytes = found[0] if known else b""
        self._state = self._load()
        self._taken = not cost
        (self._answer,) = decide([(self._algorithm, self._state, self._now, cost)])
        self.allowed: bool = self._answer.allowed

    def take(self) -> None:
        """Write the new state down; the trial has changed it already."""
        self._taken = True
        if self._cost:
            until = math.ceil((self._now + self._answer.reset_after) * _MICRO)
            state = array("d", self._algorithm.dump(self._state)).tobytes()
            self._file.execute("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", (self._key, state, until))

    def decision(self) -> RateDecision:
        """Return the answer of this tier."""
        if self._taken or not self.allowed:
            return self._answer
        return self._algorithm.hit(self._load(), self._now, 0)  # type: ignore[no-any-return]

    def _load(self) -> Any:
        numbers = array("d")
        try:
            numbers.frombytes(self._before)
            return self._algorithm.load(numbers.tolist())
        except (InvalidArgumentError, ValueError):  # not written by us; the permits are back
            return self._algorithm.new()
