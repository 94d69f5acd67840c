"""The engines behind one database, for one way of calling: threads, or one event loop."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.engine.base import OptionEngine

from shared.database import _postgres, _sqlite
from shared.database._pool import AsyncTimedPool, PoolWatch, TimedPool
from shared.database._url import Target
from shared.database._watch import READ_ONLY, QueryWatch
from shared.errors import InvalidArgumentError

__all__ = ["ISOLATION_LEVELS", "Engines", "Plan", "checked_level", "make_engine"]

ISOLATION_LEVELS: Final = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine is made from.

    Attributes:
        target: What to connect to.
        watch: Times the statements.
        memory: Stands in for SQLite's memory.
        replica: Whether the server must refuse writes.
    """

    target: Target
    watch: QueryWatch
    memory: _sqlite.MemoryFile | None
    replica: bool


class _Kind(OptionEngine):
    """An engine for one kind of session, on the pool of another.

    SQLAlchemy's own sets the isolation level through a listener, and a single listener
    makes every connection of an engine half as expensive again.

    Args:
        base: Whose pool it uses.
        options: Execution options of every connection.
        each: Options that are set on the driver's connection, and reset when it comes back.
        begins: Whether the listener of *base* that begins transactions is heard.
    """

    def __init__(
        self, base: Engine, options: dict[str, Any], each: dict[str, Any], *, begins: bool = True
    ) -> None:
        super().__init__(base, options)
        self._each = each
        self._begins = begins

    def connect(self) -> Connection:
        connection = super().connect()
        return connection.execution_options(**self._each) if self._each else connection

    @property
    def _has_events(self) -> bool:
        return self._begins and bool(self._proxied._has_events)  # noqa: SLF001 - SQLAlchemy's name

    @_has_events.setter
    def _has_events(self, value: bool) -> None:
        """Whether anybody listens is the base's to say."""


class Engines:
    """Makes and keeps the engines of one target.

    On SQLite readers have a pool of their own whose connections refuse to write; on
    PostgreSQL reading and writing share one.

    Args:
        plan: What to make them from.
        pools: What the pools of the database share.
        asynchronous: Whether the drivers are the asynchronous ones.
    """

    def __init__(self, plan: Plan, *, pools: PoolWatch, asynchronous: bool) -> None:
        self._plan = plan
        self._pools = pools
        self._asynchronous = asynchronous
        self._is_sqlite = plan.target.system == "sqlite"
        self.main: Engine = self._make(read_only=plan.replica)
        own_readers = self._is_sqlite and not plan.replica
        self.readers: Engine = self._make(read_only=True) if own_readers else self.main
        self._binds: dict[Any, Any] = {}
        self._forked: list[Any] = []

    def bind(self, *, isolation: str | None = None, read_only: bool = False, autocommit: bool = False) -> Any:
        """Return the engine for a session, an ``AsyncEngine`` when asynchronous. Made once each.

        Raises:
            InvalidArgumentError: The isolation level is unknown.
        """
        key = (isolation, read_only, autocommit)
        found = self._binds.get(key)
        if found is None:
            found = self._binds[key] = self._bind(isolation, read_only, autocommit)
        return found

    def _bind(self, isolation: str | None, read_only: bool, autocommit: bool) -> Any:
        options: dict[str, Any] = {READ_ONLY: True} if read_only else {}
        each: dict[str, Any] = {}
        level = checked_level(isolation)
        if self._is_sqlite:  # SERIALIZABLE is all there is, and every level is met by it
            options[_sqlite.BEGIN] = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        elif autocommit:
            each["isolation_level"] = "AUTOCOMMIT"
        else:
            if level is not None:
                each["isolation_level"] = level
            if read_only:
                each["postgresql_readonly"] = True
        base = self.readers if read_only else self.main
        engine: Engine = _Kind(base, options, each, begins=not (self._is_sqlite and autocommit))
        if not self._asynchronous:
            return engine
        from sqlalchemy.ext.asyncio import AsyncEngine

        return AsyncEngine(engine)

    def _make(self, *, read_only: bool) -> Engine:
        engine = make_engine(self._plan, read_only=read_only, asynchronous=self._asynchronous)
        engine.pool.watch = self._pools  # type: ignore[attr-defined]
        self._plan.watch.attach(engine)
        return engine

    # -- state -------------------------------------------------------------------

    @property
    def all(self) -> tuple[Engine, ...]:
        """The engines with a pool."""
        return (self.main,) if self.readers is self.main else (self.main, self.readers)

    def used(self) -> int:
        """Return how many connections are in use."""
        return sum(engine.pool.checkedout() for engine in self.all)  # type: ignore[attr-defined]

    def dispose(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        for engine in self.all:
            engine.dispose()

    async def adispose(self) -> None:
        """As :meth:`dispose`, in the event loop of the connections."""
        from sqlalchemy.ext.asyncio import AsyncEngine

        for engine in self.all:
            await AsyncEngine(engine).dispose()

    def after_fork(self) -> None:
        """Begin with empty pools; the parent's connections are kept, unused, and never closed here."""
        for engine in self.all:
            self._forked.append(engine.pool)
            engine.dispose(close=False)


def checked_level(isolation: str | None) -> str | None:
    """Return the name of an isolation level as SQLAlchemy spells it.

    Raises:
        InvalidArgumentError: It is none of them.
    """
    if isolation is None:
        return None
    level = isolation.upper().replace("_", " ")
    if level not in ISOLATION_LEVELS:
        msg = f"unknown isolation level {isolation!r} (known: {', '.join(ISOLATION_LEVELS)})"
        raise InvalidArgumentError(msg)
    return level


def make_engine(plan: Plan, *, read_only: bool, asynchronous: bool, alone: bool = False) -> Engine:
    """Return a new engine; the synchronous side of an asynchronous one.

    Args:
        plan: What to make it from.
        read_only: Whether its connections refuse to write, where the server can do that.
        asynchronous: Whether the driver is the asynchronous one.
        alone: Whether it has one connection only, begins no transactions and is not watched.
    """
    options, is_sqlite = plan.target.options, plan.target.system == "sqlite"
    keywords: dict[str, Any] = {
        "poolclass": AsyncTimedPool if asynchronous else TimedPool,
        "pool_size": 1 if alone else options.pool_size,
        "max_overflow": 0 if alone else options.max_overflow,
        "pool_timeout": options.pool_timeout,
        "pool_recycle": options.pool_recycle,
        "pool_pre_ping": options.pre_ping and not is_sqlite,
        "pool_use_lifo": True,
        "hide_parameters": True,
    }
    if is_sqlite:
        keywords["connect_args"] = _sqlite.connect_arguments(
            plan.target.url, busy_timeout=options.busy_timeout
        )
    else:
        keywords["connect_args"] = _postgres.connect_arguments(plan.target, read_only=read_only)
    if asynchronous:
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine(_url(plan, "aiosqlite"), **keywords).sync_engine
    else:
        engine = create_engine(_url(plan, "pysqlite"), **keywords)
    engine.pool.watch = PoolWatch("alone", plan.watch.events)  # type: ignore[attr-defined]
    if is_sqlite:
        durable = plan.memory is None
        _sqlite.arm(engine, read_only=read_only, durable=durable, busy_timeout=options.busy_timeout)
        if alone:
            return engine.execution_options(**{_sqlite.BEGIN: None})
    return engine


def _url(plan: Plan, sqlite_driver: str) -> URL:
    if plan.target.system != "sqlite":
        # One driver for both ways of calling; the asynchronous engine finds its twin.
        return plan.target.url.set(drivername="postgresql+psycopg")
    url = plan.target.url if plan.memory is None else URL.create("sqlite", database=plan.memory.path)
    return url.set(drivername=f"sqlite+{sqlite_driver}")
