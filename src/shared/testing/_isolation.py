"""A PostgreSQL database whose commits a test takes back: one connection, savepoints for transactions."""

import itertools
from typing import Any, Final

from psycopg import Connection as Driver
from psycopg import Cursor
from psycopg.pq import TransactionStatus
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from shared.database import Database, DatabaseOptions
from shared.database._core import Core
from shared.database._engines import Engines, checked_level, make_engine
from shared.database._watch import READ_ONLY
from shared.errors import ConfigurationError
from shared.runtime import Events

__all__ = ["OneConnectionDatabase"]

_LEVEL: Final = "shared_level"
#: Execution options: the savepoint is for reading single statements; the server must refuse writes.
_READER: Final = "shared_reader"
_SERVER_READ_ONLY: Final = "shared_server_read_only"
_WAY_OUT: Final = "use the fixture shared_db_committed for work side by side"


class _Level:
    """One open transaction of the code under test: a savepoint of the one connection."""

    __slots__ = ("is_done", "is_gone", "is_reader", "name")

    def __init__(self, name: str, *, is_reader: bool) -> None:
        self.name = name
        self.is_reader = is_reader
        self.is_done = False  # a reader that ended under an open transaction
        self.is_gone = False  # undone together with one further down


class _Levels:
    """The open transactions, innermost last."""

    def __init__(self, driver: "Driver[Any]") -> None:
        self._driver = driver
        self._open: list[_Level] = []
        self._numbers = itertools.count(1)

    def begin(self, connection: Connection) -> None:
        """Open a savepoint where a transaction begins."""
        if self._status is TransactionStatus.INERROR:
            msg = f"a transaction of this test failed and has not ended, so no other can begin: {_WAY_OUT}"
            raise ConfigurationError(msg)
        options = connection.get_execution_options()
        level = _Level(f"shared_{next(self._numbers)}", is_reader=bool(options.get(_READER)))
        self._run(f"SAVEPOINT {level.name}")
        if options.get(_SERVER_READ_ONLY):
            self._run("SET TRANSACTION READ ONLY")  # ends with the savepoint
        self._open.append(level)
        connection.connection.info[_LEVEL] = level

    def commit(self, connection: Any) -> None:
        """Release the savepoint.

        Raises:
            ConfigurationError: Another transaction began later and is still open.
        """
        level = _take(connection)
        if level is None:
            return
        above = [] if level.is_gone else self._open[self._open.index(level) + 1 :]
        if level.is_gone or not all(each.is_reader for each in above):
            self._undo(level)  # SQLAlchemy does not roll back what it could not commit
            msg = f"two transactions of this test overlap on its one connection: {_WAY_OUT}"
            raise ConfigurationError(msg)
        self._run(f"RELEASE SAVEPOINT {level.name}")
        self._drop(level)

    def rollback(self, connection: Any) -> None:
        """Go back to the savepoint; a reader's has nothing to undo and is released."""
        level = _take(connection)
        if level is None or level.is_gone or self._driver.closed:
            return
        if level.is_reader and self._status is not TransactionStatus.INERROR:
            level.is_done = True
        else:
            self._undo(level)
        while self._open and self._open[-1].is_done:
            self._run(f"RELEASE SAVEPOINT {self._open.pop().name}")

    def _undo(self, level: _Level) -> None:
        if not level.is_gone:
            self._run(f"ROLLBACK TO SAVEPOINT {level.name}")
            self._run(f"RELEASE SAVEPOINT {level.name}")
            self._drop(level)

    def _drop(self, level: _Level) -> None:
        place = self._open.index(level)
        for each in self._open[place:]:
            each.is_gone = True
        del self._open[place:]

    @property
    def _status(self) -> TransactionStatus:
        return self._driver.info.transaction_status

    def _run(self, statement: str) -> None:
        self._driver.execute(statement.encode())


def _take(connection: Any) -> "_Level | None":
    """Return the transaction of a connection of the pool and forget it there."""
    try:
        found: _Level | None = connection.info.pop(_LEVEL, None)
    except NotImplementedError:  # SQLAlchemy's own, while it looks at the server for the first time
        return None
    return found


async def _nothing() -> None:
    """What an asynchronous call awaits, for the connection is a synchronous one."""


def _touch_the_loop(*_arguments: Any) -> None:
    if in_greenlet():
        await_only(_nothing())


def _ignore(*_arguments: Any) -> None:
    """The connection outlives those who believe that they close it."""


def _refuse_level(*_arguments: Any) -> None:
    msg = f"the isolation level cannot change inside of the test's transaction: {_WAY_OUT}"
    raise ConfigurationError(msg)


class _Cursor(Cursor[Any]):
    """A cursor that SQLAlchemy's asynchronous results accept; it holds all rows already."""

    async def _async_soft_close(self) -> None:
        """There is nothing to wait for."""


class _OverOne(AsyncEngine):
    """An asynchronous engine over the synchronous connection: both sides see the same data."""

    def __init__(self, engine: Engine) -> None:
        self.sync_engine = self._assign_proxied(engine)


class _OneEngine(Engines):
    """The engine of the one connection, in place of those of a database."""

    def __init__(self, engine: Engine, *, asynchronous: bool) -> None:
        self.main = self.readers = engine
        self._asynchronous = asynchronous
        self._binds: dict[Any, Any] = {}

    def _bind(self, isolation: str | None, read_only: bool, autocommit: bool) -> Any:
        checked_level(isolation)  # inside of the test's transaction there is none to choose
        options = {
            READ_ONLY: read_only,
            _READER: autocommit,
            _SERVER_READ_ONLY: read_only and not autocommit,
        }
        engine = self.main.execution_options(**options)
        return _OverOne(engine) if self._asynchronous else engine

    def dispose(self) -> None:
        """Keep the connection: what the test wrote is in it."""

    async def adispose(self) -> None:
        """As :meth:`dispose`."""

    def after_fork(self) -> None:
        """Leave the connection to the parent; a child has no part in its transaction."""


class _OneCore(Core):
    """A core whose engines are all the same one."""

    engine: Engine
    driver: "Driver[Any]"

    def connect(self) -> None:
        """Open the connection and its outer transaction."""
        self.engine = engine = make_engine(self._plan(None), read_only=False, asynchronous=False)
        engine.pool.watch = self.pools  # type: ignore[attr-defined]
        arguments, keywords = engine.dialect.create_connect_args(engine.url)
        self.driver = engine.dialect.connect(  # type: ignore[assignment]
            *arguments, **keywords, **self.connect_arguments()
        )
        self.driver.cursor_factory = _Cursor
        levels = _Levels(self.driver)
        event.listen(engine, "do_connect", lambda *_arguments: self.driver)
        event.listen(engine, "begin", levels.begin)
        event.listen(engine, "before_cursor_execute", _touch_the_loop)
        changes = {
            "do_commit": levels.commit, "do_rollback": levels.rollback, "do_close": _ignore,
            "do_terminate": _ignore, "set_isolation_level": _refuse_level,
        }  # fmt: skip
        for name, function in changes.items():
            setattr(engine.dialect, name, function)
        self._plan(None).watch.attach(engine)

    def connect_arguments(self) -> dict[str, Any]:
        """Return what psycopg is told, as for any other database."""
        from shared.database._postgres import connect_arguments

        return connect_arguments(self.target, read_only=False)

    def make_engines(self, *, asynchronous: bool, replica: int | None = None) -> Engines:
        """Return the engine there is."""
        del replica
        engines = _OneEngine(self.engine, asynchronous=asynchronous)
        self._primaries.add(engines)
        return engines

    def close(self) -> None:
        """Take everything back."""
        if not self.closed:
            self.driver.close()  # the server rolls back
        super().close()


class OneConnectionDatabase(Database):
    """A database of which nothing remains: all its work is in one transaction that is never committed.

    Every transaction of the code under test is a savepoint. Threads and tasks may use
    it in turn; transactions that overlap without one being inside of the other are an
    error.

    Args:
        url: A PostgreSQL.
        events: Who hears its events.
    """

    def __init__(self, url: str, *, events: Events) -> None:
        options = DatabaseOptions(
            pool_size=1, max_overflow=-1, pool_recycle=-1, pre_ping=False, idle_in_transaction_timeout=None
        )
        super().__init__(url, options=options, events=events)
        core = _OneCore(url, (), options, name="main", events=events, clock=self._core.clock)
        core.connect()
        self._core = core
