"""The asynchronous side of a database: the same names, the same behaviour."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from shared.database._core import Core
from shared.database._engines import Engines
from shared.database._pool import PoolSnapshot
from shared.database._session import SharedSession
from shared.database._transaction import TransactionRetry
from shared.database._unit_async import AsyncTransaction

if TYPE_CHECKING:
    from shared.monitoring import HealthCheck

__all__ = ["AsyncDatabase"]

#: Engines of one event loop: those of the primary under None, those of replicas by number.
_OfLoop = dict[int | None, Engines]


class AsyncDatabase:
    """A :class:`Database` for asynchronous code; made by ``db.aio``.

    Connections belong to the event loop they were opened in, so every loop has a pool
    of its own; that of a loop that ended is cut when the next begins.

    Example:
        >>> import asyncio
        >>> from sqlalchemy import text
        >>> from shared.database import Database
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         async with db.aio.transaction() as session:
        ...             await session.execute(text("create table t (id int)"))
        ...         async with db.aio.read() as session:
        ...             print(await session.scalar(text("select count(*) from t")))
        >>> asyncio.run(main())
        0
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop] = (
            weakref.WeakKeyDictionary()
        )
        self._last: tuple[asyncio.AbstractEventLoop | None, _OfLoop] = (None, {})
        self._ended: list[Any] = []

    # -- sessions ----------------------------------------------------------------

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a session whose work *you* commit; see :meth:`Database.session`."""
        session = self._session(self._of().bind())
        with self._translating():
            async with session:
                yield session
                session.sync_session.refuse_to_lose_work()  # type: ignore[attr-defined]

    @asynccontextmanager
    async def read(self, *, replica: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a session that only reads, each statement by itself; see :meth:`Database.read`."""
        number = None
        if replica and self._core.replicas:
            number = await greenlet_spawn(self._core.choose_replica, self._reader)
        with self._translating(number):
            async with self._session(self._reader(number), read_only=True) as session:
                yield session

    def _reader(self, replica: int | None) -> Any:
        return self._of(replica).bind(read_only=True, autocommit=True)

    def transaction(
        self,
        *,
        isolation: str | None = None,
        retry: TransactionRetry | int | bool | None = None,
        read_only: bool = False,
    ) -> AsyncTransaction:
        """Return a transaction: ``async with``, or a coroutine function to repeat.

        See :meth:`Database.transaction`.
        """
        return AsyncTransaction(self, isolation, TransactionRetry.of(retry), read_only=read_only)

    def _session(self, bind: AsyncEngine, *, read_only: bool = False) -> AsyncSession:
        return AsyncSession(
            bind,
            sync_session_class=SharedSession,
            read_only=read_only,
            sticky=self._core.stickiness,
        )

    def _open(self, isolation: str | None, *, read_only: bool) -> AsyncSession:
        bind = self._of().bind(isolation=isolation, read_only=read_only)
        return self._session(bind, read_only=read_only)

    @contextmanager
    def _translating(self, replica: int | None = None) -> Iterator[None]:
        try:
            yield
        except Exception as exc:
            ours = self._core.translated(exc, replica)
            if ours is exc:
                raise
            raise ours from exc

    # -- parts -------------------------------------------------------------------

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's asynchronous engine of the running loop, for tools that need one."""
        found: AsyncEngine = self._of().bind()
        return found

    @property
    def name(self) -> str:
        """Name of the database."""
        return self._core.name

    @property
    def system(self) -> str:
        """``postgresql`` or ``sqlite``."""
        return self._core.target.system

    @property
    def is_open(self) -> bool:
        """Whether there are connections to close."""
        return bool(self._ended)

    def _of(self, replica: int | None = None) -> Engines:
        loop = asyncio.get_running_loop()
        last, engines = self._last
        if last is not loop:
            engines = self._loops.setdefault(loop, {})
            self._last = (loop, engines)
            self._cut_ended()
        found = engines.get(replica)
        if found is None:
            found = engines[replica] = self._core.make_engines(asynchronous=True, replica=replica)
            self._ended.append((weakref.ref(loop), found))
        return found

    def _all(self) -> list[Engines]:
        return [engines for _, engines in self._ended]

    def _cut_ended(self) -> None:
        """Cut the connections of loops that were closed."""
        for entry in self._ended.copy():
            loop, engines = entry[0](), entry[1]
            if loop is None or loop.is_closed():
                self._ended.remove(entry)
                engines.dispose()

    # -- looking after it --------------------------------------------------------

    def pool(self) -> PoolSnapshot:
        """Return the numbers of this process' pools; see :meth:`Database.pool`."""
        return self._core.snapshot()

    def health_checks(self) -> "list[HealthCheck]":
        """Return the checks for ``/ready``; see :meth:`Database.health_checks`."""
        from shared.database._health import checks_of

        return checks_of(self._core)

    async def drain(self, timeout: float = 20.0) -> bool:  # noqa: ASYNC109 - gives up without cancelling
        """Begin no new work and wait for the connections in use; see :meth:`Database.drain`."""
        self._core.pools.draining = True
        until = self._core.clock() + timeout
        while any(engines.used() for engines in self._all()):
            if self._core.clock() >= until:
                return False
            await asyncio.sleep(0.01)
        return True

    async def dispose(self) -> None:
        """Close the idle connections of the running loop; cut those of loops that ended."""
        self._cut_ended()
        for engines in self._loops.get(asyncio.get_running_loop(), {}).values():
            await engines.adispose()

    async def close(self) -> None:
        """Close the asynchronous side. :meth:`Database.aclose` closes both."""
        await self.dispose()
        self._terminate()

    async def aclose(self) -> None:
        """Close the asynchronous side; the same as :meth:`close`."""
        await self.close()

    def _terminate(self) -> None:
        """Cut every connection, without a running loop."""
        for _, engines in self._ended:
            engines.dispose()
        self._ended, self._last = [], (None, {})
        self._loops.clear()

    def after_fork(self) -> None:
        """Begin with empty pools; called in a forked child."""
        for engines in self._all():
            engines.after_fork()

    def __repr__(self) -> str:
        return f"AsyncDatabase({self._core.target.masked!r}, name={self.name!r})"
