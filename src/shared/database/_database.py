"""The database: engines, sessions, transactions, replicas and a clean end, for threads."""

import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from shared.database._core import Core
from shared.database._engines import Engines
from shared.database._options import DatabaseOptions
from shared.database._pool import PoolSnapshot
from shared.database._reading import Reading
from shared.database._session import SharedSession
from shared.database._transaction import TransactionRetry
from shared.database._unit import Transaction
from shared.runtime import Events, after_fork_in_child

if TYPE_CHECKING:
    from shared.database._database_async import AsyncDatabase
    from shared.monitoring import HealthCheck

__all__ = ["Database"]


class Database:
    """One database by URL, for synchronous code; ``db.aio`` is the same for asynchronous code.

    Connects on first use. Safe to share between threads and across a fork. Close it,
    or use it in a ``with`` block.

    Args:
        url: ``sqlite:///file.db``, ``sqlite://`` (in memory, seen by every thread and
            task) or ``postgresql://user:password@host/name``. The parameters
            ``connection_limit``, ``pool_timeout``, ``connect_timeout``, ``pooler`` and
            ``schema`` are understood.
        replicas: URLs of read replicas.
        options: Sizes and times; what the URL says goes first.
        name: For people: shown in logs, metrics and errors.
        events: Who hears :class:`DatabaseEvent` objects; those of the current runtime
            when None.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: A URL is malformed or of an unknown scheme.
        MissingDependencyError: The driver is not installed.

    Example:
        >>> from sqlalchemy import text
        >>> with Database("sqlite://") as db:
        ...     with db.transaction() as session:
        ...         _ = session.execute(text("create table notes (body text)"))
        ...         _ = session.execute(text("insert into notes values ('hello')"))
        ...     with db.read() as session:
        ...         session.scalar(text("select body from notes"))
        'hello'
    """

    def __init__(
        self,
        url: str,
        *,
        replicas: Iterable[str] = (),
        options: DatabaseOptions | None = None,
        name: str = "main",
        events: Events | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = Core(url, replicas, options or DatabaseOptions(), name=name, events=events, clock=clock)
        self._lock = threading.Lock()
        self._engines: Engines | None = None
        self._replicas: dict[int, Engines] = {}
        self._aio: AsyncDatabase | None = None
        after_fork_in_child(self)

    # -- sessions ----------------------------------------------------------------

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session whose work *you* commit.

        Raises:
            InvalidStateError: The block ends with changes that were neither committed
                nor rolled back.
            SharedError: As the statements fail; SQLAlchemy's exception is the cause.

        Example:
            >>> from sqlalchemy import text
            >>> with Database("sqlite://") as db, db.session() as session:
            ...     session.scalar(text("select 1"))
            1
        """
        session = self._session(self._main().bind())
        with self._translating(), session:
            yield session
            session.refuse_to_lose_work()

    def read(self, *, replica: bool = False) -> AbstractContextManager[Session]:
        """Open a session that only reads, each statement by itself: no begin, no commit.

        Args:
            replica: Read from a replica. A request that wrote lately, and a database
                without a usable replica, read from the primary.

        Raises:
            ConfigurationError: A write was tried. SQLite and replicas refuse all of
                them themselves; the primary of PostgreSQL refuses what its text shows.

        Example:
            >>> from sqlalchemy import text
            >>> with Database("sqlite://") as db, db.read() as session:
            ...     session.execute(text("create table t (id int)"))
            Traceback (most recent call last):
                ...
            shared.errors.ConfigurationError: CREATE in a session that only reads: ...
        """
        return Reading(self._core, self._reader, replica=replica)

    def _reader(self, replica: int | None) -> Any:
        engines = self._main() if replica is None else self._replica(replica)
        return engines.bind(read_only=True, autocommit=True)

    def transaction(
        self,
        *,
        isolation: str | None = None,
        retry: TransactionRetry | int | bool | None = None,
        read_only: bool = False,
    ) -> Transaction:
        """Return a transaction: a ``with`` block, or with :meth:`Transaction.run` a callable to repeat.

        Commits at the end of the block, rolls back on any exception.

        Args:
            isolation: ``READ COMMITTED``, ``REPEATABLE READ`` or ``SERIALIZABLE``; the
                server's default when None. SQLite is always serializable.
            retry: Runs in total when it loses against another transaction (True: 5).
                Needs :meth:`Transaction.run`: the body of a ``with`` cannot be run again.
            read_only: Whether the database must refuse writes; all statements see one
                snapshot when *isolation* is ``REPEATABLE READ`` or above, or on SQLite.

        Example:
            >>> from sqlalchemy import text
            >>> with Database("sqlite://") as db:
            ...     db.transaction(isolation="SERIALIZABLE", retry=3).run(
            ...         lambda session: session.scalar(text("select 2"))
            ...     )
            2
        """
        return Transaction(self, isolation, TransactionRetry.of(retry), read_only=read_only)

    def _session(self, bind: Any, *, read_only: bool = False) -> SharedSession:
        return SharedSession(bind, read_only=read_only, sticky=self._core.stickiness)

    def _open(self, isolation: str | None, *, read_only: bool) -> SharedSession:
        bind = self._main().bind(isolation=isolation, read_only=read_only)
        return self._session(bind, read_only=read_only)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:
            ours = self._core.translated(exc)
            if ours is exc:
                raise
            raise ours from exc

    # -- parts -------------------------------------------------------------------

    @property
    def aio(self) -> "AsyncDatabase":
        """The same database for asynchronous code.

        Example:
            >>> import asyncio
            >>> from sqlalchemy import text
            >>> async def main() -> None:
            ...     async with Database("sqlite://") as db, db.aio.read() as session:
            ...         print(await session.scalar(text("select 3")))
            >>> asyncio.run(main())
            3
        """
        if self._aio is None:
            from shared.database._database_async import AsyncDatabase

            with self._lock:
                if self._aio is None:
                    self._aio = AsyncDatabase(self._core)
        return self._aio

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine of the primary, for tools that need one."""
        return self._main().main

    @property
    def name(self) -> str:
        """As given."""
        return self._core.name

    @property
    def system(self) -> str:
        """``postgresql`` or ``sqlite``."""
        return self._core.target.system

    @property
    def events(self) -> Events:
        """Who hears the database's events."""
        return self._core.events

    @property
    def options(self) -> DatabaseOptions:
        """The options in force, those of the URL included."""
        return self._core.target.options

    def _main(self) -> Engines:
        engines = self._engines
        if engines is None:
            with self._lock:
                engines = self._engines
                if engines is None:
                    engines = self._engines = self._core.make_engines(asynchronous=False)
        return engines

    def _replica(self, number: int) -> Engines:
        with self._lock:
            if number not in self._replicas:
                self._replicas[number] = self._core.make_engines(asynchronous=False, replica=number)
            return self._replicas[number]

    def _all(self) -> list[Engines]:
        return [each for each in (self._engines, *self._replicas.values()) if each is not None]

    # -- looking after it --------------------------------------------------------

    def pool(self) -> PoolSnapshot:
        """Return the numbers of this process' pools of the primary, added up.

        Example:
            >>> with Database("sqlite://") as db, db.read() as session:
            ...     _ = session.connection()
            ...     db.pool().used
            1
        """
        return self._core.snapshot()

    def health_checks(self) -> "list[HealthCheck]":
        """Return the checks for ``/ready``: the database is critical, replicas are not.

        Each runs ``SELECT 1`` on a connection outside of the pool; a full pool is
        degraded, not dead.

        Example:
            >>> with Database("sqlite://") as db:
            ...     check = db.health_checks()[0]
            ...     check.name, check.check()["status"]
            ('database', 'healthy')
        """
        from shared.database._health import checks_of

        return checks_of(self._core)

    def drain(self, timeout: float = 20.0) -> bool:
        """Begin no new work and wait until the connections in use have come back.

        Args:
            timeout: Longest wait, in seconds.

        Returns:
            Whether all came back.

        Example:
            >>> with Database("sqlite://") as db:
            ...     db.drain(timeout=1.0)
            True
        """
        self._core.pools.draining = True
        until = self._core.clock() + timeout
        while any(engines.used() for engines in self._all()):
            if self._core.clock() >= until:
                return False
            time.sleep(0.01)
        return True

    def dispose(self) -> None:
        """Close the idle connections; the next use opens new ones.

        Example:
            >>> with Database("sqlite://") as db:
            ...     db.dispose()
            ...     db.pool().idle
            0
        """
        for engines in self._all():
            engines.dispose()

    def close(self) -> None:
        """Close everything; further use is an error. Safe to call twice.

        Connections of asynchronous code are cut; use :meth:`aclose` where it runs.

        Example:
            >>> db = Database("sqlite://")
            >>> db.close(); db.close()
        """
        self.dispose()
        if self._aio is not None:
            self._aio._terminate()  # noqa: SLF001 - its other half
        self._core.close()
        with self._lock:
            self._engines, self._replicas = None, {}

    async def aclose(self) -> None:
        """Close everything, those of asynchronous code in good order.

        Example:
            >>> import asyncio
            >>> asyncio.run(Database("sqlite://").aclose())
        """
        if self._aio is not None:
            await self._aio.close()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def after_fork(self) -> None:
        """Begin with empty pools; called in a forked child."""
        self._lock = threading.Lock()
        self._core.after_fork()
        for engines in self._all():
            engines.after_fork()
        if self._aio is not None:
            self._aio.after_fork()

    # As a default, for at the end of the interpreter the name ``sys`` may be gone before this object is.
    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        core = getattr(self, "_core", None)
        if (
            is_finalizing()
            or core is None
            or core.closed
            or not (self._all() or (self._aio and self._aio.is_open))
        ):
            return
        warnings.warn(
            f"unclosed {self!r}: use it in a with block, or call close()",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )

    def __repr__(self) -> str:
        return f"Database({self._core.target.masked!r}, name={self.name!r})"
