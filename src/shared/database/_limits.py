"""Statements keep to the deadline of the request: none begins too late, none runs on beyond it."""

import math
import time
from collections.abc import Callable
from typing import Any, Final

from shared.database._fingerprint import operation_of
from shared.errors import DeadlineExceededError

__all__ = ["StatementLimits"]

_KEY: Final = "shared_statement_limit"
#: Statements that only clean up, or that cost nothing: they are let through when time is up.
_CLEANUP: Final = frozenset({"COMMIT", "DEALLOCATE", "RELEASE", "ROLLBACK"})
#: SQLite's virtual machine looks at the clock every so many steps, about ten milliseconds. More
#: often would cost: the callback needs the interpreter's lock.
_STEPS: Final = 1_000_000
#: The server's limit may be this much above what is left, so that it need not be set for every statement.
_SLACK: Final = 1.1
_STOPPED: Final = ("57014", "SQLITE_INTERRUPT", "SQLITE_BUSY")


class StatementLimits:
    """Holds the statements of one database to the deadline in force.

    On PostgreSQL what is left becomes the ``statement_timeout`` of the transaction, at
    the price of a round trip when it has changed much; through a transaction pooler it
    does in transactions only. On SQLite a running statement is interrupted, and the
    wait for the writer's lock is shortened. Without a deadline nothing is done.

    Args:
        system: ``postgresql`` or ``sqlite``.
        statement_timeout: Seconds the server allows each statement anyway, or None.
        busy_timeout: Seconds a writer of SQLite waits anyway.
        pooler: Whether a transaction pooler is in between.
        clock: Monotonic seconds, as those of deadlines.
    """

    __slots__ = ("_apply", "busy_timeout", "clock", "pooler", "statement_timeout", "used")

    def __init__(
        self,
        system: str,
        *,
        statement_timeout: float | None,
        busy_timeout: float,
        pooler: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statement_timeout: float | None = statement_timeout
        self.busy_timeout: float = busy_timeout
        self.pooler: bool = pooler
        self.clock: Callable[[], float] = clock
        self.used: bool = False  # whether any connection may carry a limit that must be taken off again
        self._apply = self._sqlite if system == "sqlite" else self._postgres

    def apply(self, connection: Any, statement: str, at: float | None) -> None:
        """Prepare *connection* for *statement*; call it when there is a deadline, or :attr:`used` is set.

        Args:
            connection: SQLAlchemy's, or the synchronous side of an asynchronous one.
            statement: The text that is about to be sent.
            at: Reading of the clock at which time is up; None for no deadline.

        Raises:
            DeadlineExceededError: Time is up already.
        """
        left = None
        if at is not None:
            self.used = True
            left = at - self.clock()
            if left <= 0:
                if operation_of(statement) in _CLEANUP:
                    return
                raise _too_late("was not begun", -left)
        self._apply(connection, statement, at, left)

    def explain(self, at: float | None, state: str) -> DeadlineExceededError | None:
        """Return the error for a statement that was stopped because of the deadline, or None.

        Args:
            at: As for :meth:`apply`.
            state: SQLSTATE, or the name of SQLite's code.
        """
        if at is None or not state.startswith(_STOPPED):
            return None
        late = self.clock() - at
        return _too_late("was stopped", late) if late >= 0 else None

    # -- PostgreSQL ------------------------------------------------------------------

    def _postgres(self, connection: Any, _statement: str, _at: float | None, left: float | None) -> None:
        if left is not None and self.statement_timeout is not None and self.statement_timeout <= left:
            left = None  # the server's own limit comes first
        info = connection.info
        held: _Held = info.get(_KEY) or _NOTHING
        if left is None and held is _NOTHING:
            return
        autocommit = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if autocommit and self.pooler:
            return  # what is set outside of a transaction would be somebody else's next
        owner = None if autocommit else connection.get_transaction()
        now = held.seen_by(owner)
        if left is None:
            if now is not None:
                _run(connection, f"SET {'' if autocommit else 'LOCAL '}statement_timeout TO DEFAULT")
                info[_KEY] = held.changed(owner, None)
            return
        wanted = left * 1000.0
        if now is None or not wanted <= now <= wanted * _SLACK:
            limit = math.ceil(wanted)
            _run(connection, f"SET {'' if autocommit else 'LOCAL '}statement_timeout = {limit}")
            info[_KEY] = held.changed(owner, limit)

    # -- SQLite ----------------------------------------------------------------------

    def _sqlite(self, connection: Any, statement: str, at: float | None, left: float | None) -> None:
        info = connection.info
        watch: _Watch | None = info.get(_KEY)
        if watch is None:
            if at is None:
                return
            watch = info[_KEY] = _Watch(self.clock)
        watch.at = at
        watch.arm(connection.connection.dbapi_connection, wanted=at is not None)
        usual = int(self.busy_timeout * 1000.0)
        now = usual if watch.busy is None else watch.busy
        wanted = usual if left is None else min(usual, math.ceil(left * 1000.0))
        # A lock is waited for at the begin; later only what was shortened is put right again.
        if now != wanted and (at is None or statement.startswith("BEGIN")):
            _run(connection, f"PRAGMA busy_timeout = {wanted}")
            watch.busy = wanted


def forget(connection: Any, *_rest: Any) -> None:
    """Know nothing of the limit any longer: a savepoint that was rolled back took it along, or not."""
    held = connection.info.get(_KEY)
    if isinstance(held, _Held):
        connection.info[_KEY] = held.changed(held.owner, 0)


class _Held:
    """The limits a connection of PostgreSQL carries, in milliseconds; None is the server's default."""

    __slots__ = ("local", "owner", "session")

    def __init__(self, session: int | None, owner: Any, local: int | None) -> None:
        self.session = session
        self.owner = owner  # the transaction whose end ends the local limit
        self.local = local

    def seen_by(self, owner: Any) -> int | None:
        return self.local if owner is not None and owner is self.owner else self.session

    def changed(self, owner: Any, limit: int | None) -> "_Held":
        return _Held(limit, None, None) if owner is None else _Held(self.session, owner, limit)


_NOTHING: Final = _Held(None, None, None)


class _Watch:
    """Stops the statement of one connection of SQLite when time is up."""

    __slots__ = ("armed", "at", "busy", "clock")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.at: float | None = None
        self.busy: int | None = None
        self.armed = False

    def __call__(self) -> bool:
        at = self.at
        return at is not None and self.clock() >= at

    def arm(self, connection: Any, *, wanted: bool) -> None:
        if wanted is self.armed:
            return
        handler = self if wanted else None
        if hasattr(connection, "run_async"):
            connection.run_async(lambda driver: driver.set_progress_handler(handler, _STEPS))
        else:
            connection.set_progress_handler(handler, _STEPS)
        self.armed = wanted


def _run(connection: Any, statement: str) -> None:
    """Send *statement* beside those that are watched."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()


def _too_late(what: str, late: float) -> DeadlineExceededError:
    msg = f"the statement {what}: the deadline passed {late:.3f} s ago"
    return DeadlineExceededError(msg, retryable=False)
