"""Connection pools that know how long somebody waited, and say so when nothing comes free."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from shared.database._events import PoolWaited
from shared.errors import PoolExhaustedError, ServiceUnavailableError
from shared.resilience import Deadline, time_left
from shared.runtime import Events

if TYPE_CHECKING:
    from sqlalchemy.pool.base import ConnectionPoolEntry

__all__ = ["AsyncTimedPool", "PoolSnapshot", "PoolWatch", "TimedPool"]

_LAST_USED: Final = "shared_last_used"
#: Seconds for which a connection that came back well is handed out without a test. A test is a
#: round trip, as much as the statement it is for; a server that dies shows in the first statement.
_SURELY_ALIVE: Final = 0.5


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """The numbers of a pool at one moment.

    Attributes:
        name: Name of the pool: that of the database, and what it is for.
        used: Connections in use.
        idle: Connections open and free.
        maximum: Connections it may open; 0 is without limit.
        waiting: Callers that wait for one.
        timeouts: Callers that gave up, since the start.

    Example:
        >>> PoolSnapshot("main", used=20, idle=0, maximum=20, waiting=3, timeouts=0).is_full
        True
    """

    name: str
    used: int
    idle: int
    maximum: int
    waiting: int
    timeouts: int

    @property
    def is_full(self) -> bool:
        """Whether the next caller must wait."""
        return 0 < self.maximum <= self.used


class PoolWatch:
    """What the pools of one database share: who waits, who listens, whether it drains."""

    __slots__ = ("draining", "events", "lock", "name", "timeouts", "waiting")

    def __init__(self, name: str, events: Events) -> None:
        self.name: str = name
        self.events: Events = events
        self.waiting: int = 0
        self.timeouts: int = 0
        self.draining: bool = False
        self.lock: threading.Lock = threading.Lock()

    def wait(self, pool: "QueuePool", get: Any) -> "ConnectionPoolEntry":
        """Get a connection with *get*; count, time and tell.

        Raises:
            DeadlineExceededError: None came free before the deadline of the request.
            PoolExhaustedError: None came free in time.
            ServiceUnavailableError: The database is draining.
        """
        if self.draining:
            msg = f"database {self.name!r} is shutting down: no new work is begun"
            raise ServiceUnavailableError(msg, retry_after=1)
        with self.lock:
            self.waiting += 1
        begin, timed_out = perf_counter(), False
        try:
            return get()  # type: ignore[no-any-return]
        except PoolTimeoutError as exc:
            timed_out = True
            with self.lock:
                self.timeouts += 1
            deadline = Deadline.current()
            if deadline is not None:
                deadline.check(f"a connection of database {self.name!r}")
            raise _exhausted(self.name, pool) from exc
        finally:
            with self.lock:
                self.waiting -= 1
            if self.events.has_listeners(PoolWaited):
                self.events.emit(PoolWaited(self.name, perf_counter() - begin, timed_out))


def _exhausted(name: str, pool: QueuePool) -> PoolExhaustedError:
    seconds, limit = pool.timeout(), pool.size() + pool._max_overflow  # noqa: SLF001 - no accessor for it
    return PoolExhaustedError(
        f"all {limit} connections of database {name!r} were in use for {seconds:g} s: close sessions "
        "sooner, keep slow calls out of transactions, or raise DB_POOL_SIZE",
        details={"limit": limit, "waited": seconds},
        retry_after=1,
    )


class _Timed(QueuePool):
    """Adds the watch to a queue pool."""

    watch: PoolWatch

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.echo:
            # By its module it would be told with our own lines; as SQLAlchemy's it follows
            # the level of that library, which is WARNING unless LOG_LEVELS says otherwise.
            self.logger = logging.getLogger("sqlalchemy.pool.TimedPool")

    @property
    def _timeout(self) -> float:
        """Seconds to wait for a connection: the pool's own, or what the deadline leaves."""
        return time_left(self.longest) or 0.0

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self.longest: float = seconds

    def _do_get(self) -> "ConnectionPoolEntry":
        record = self.watch.wait(self, super()._do_get)
        if self._pre_ping and perf_counter() - record.info.get(_LAST_USED, 0.0) < _SURELY_ALIVE:
            record.fresh = True  # type: ignore[attr-defined]  # it is not tested
        return record

    def _do_return_conn(self, record: "ConnectionPoolEntry") -> None:
        if self._pre_ping:
            record.info[_LAST_USED] = perf_counter()
        super()._do_return_conn(record)

    def recreate(self) -> QueuePool:
        twin = super().recreate()
        twin.watch = self.watch  # type: ignore[attr-defined]
        twin.longest = self.longest  # type: ignore[attr-defined]
        return twin


class TimedPool(_Timed):
    """For synchronous engines."""


class AsyncTimedPool(_Timed, AsyncAdaptedQueuePool):
    """For asynchronous engines; closes by force outside of an event loop."""

    def _close_connection(self, connection: Any, *, terminate: bool = False) -> None:
        from sqlalchemy.util.concurrency import in_greenlet

        if in_greenlet():
            super()._close_connection(connection, terminate=terminate)
            return
        dialect = self._dialect
        if dialect.has_terminate:
            _without_loop(lambda: super(AsyncTimedPool, self)._close_connection(connection, terminate=True))
            return
        # psycopg closes in a coroutine; what it would do there is this one call.
        dialect.get_driver_connection(connection).pgconn.finish()


def _without_loop(close: Callable[[], None]) -> None:
    """Call *close* where no event loop is current.

    aiosqlite promises the end of its thread to the current loop, which may be closed by
    then; the thread would die of that.
    """
    thread = threading.Thread(target=close, name="shared-database-close")
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending and starts no thread any more
        close()
    else:
        thread.join()
