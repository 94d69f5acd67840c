"""Locks by name that end with the transaction."""

import hashlib
from collections.abc import Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.database._faults import sqlstate
from shared.database._reads import ours
from shared.database._watch import refusal
from shared.errors import InvalidArgumentError, LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shared.database._database import Database
    from shared.database._database_async import AsyncDatabase

__all__ = ["AsyncLockManager", "LockManager"]

_WAIT: Final = text("SELECT pg_advisory_xact_lock(:key)")
_TRY: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
_LIMIT: Final = text("SELECT set_config('lock_timeout', :limit, true)")
_BEFORE: Final = text("SELECT current_setting('lock_timeout')")


class LockManager:
    """Locks on anything that has a name, such as a user, for as long as a transaction lasts.

    Keys are taken in one order however they are given, so two callers cannot wait for
    each other. PostgreSQL's transaction-level advisory locks: they end with the
    transaction, also when the process dies, and pass a transaction pooler. SQLite's
    writer has the whole database to itself already. They exclude those who ask for the
    same key, and nobody else.

    Args:
        database: For :meth:`transaction`.
        namespace: Keeps the keys of services that share a database apart.
        lock: Makes a lock from a name, to be held around :meth:`transaction` instead of
            the database's own: for callers on several databases, such as
            ``lambda name: shared.cache.Lock(name, store=redis_locks)``. A lock that was
            lost meanwhile rolls back.

    Example:
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db:
        ...     locks = LockManager(db)
        ...     with locks.transaction("user:7", "user:3") as session:
        ...         locks.try_acquire(session, "user:7")
        True
    """

    def __init__(
        self,
        database: "Database",
        *,
        namespace: str = "",
        lock: "Callable[[str], AbstractContextManager[Any]] | None" = None,
    ) -> None:
        self._database = database
        self._lock = lock
        self.namespace = namespace

    def keys(self, *names: str) -> list[int]:
        """Return the numbers of *names*, in the order in which they are taken.

        Raises:
            InvalidArgumentError: There is no name, or one is empty.
        """
        if not names or not all(names):
            msg = "a lock needs names that are not empty, such as 'user:7'"
            raise InvalidArgumentError(msg)
        return sorted({_number(self.namespace, name) for name in names})

    @ours
    def acquire(self, session: Session, *names: str, timeout: float = 5.0) -> None:
        """Take the locks until the transaction of *session* ends.

        Args:
            session: Of the caller; not one that only reads.
            names: What to lock.
            timeout: Longest wait for each, in seconds, > 0.

        Raises:
            LockTimeoutError: Somebody else held one for longer.
        """
        keys = self.keys(*names)
        if not timeout > 0:
            msg = f"timeout is seconds above 0, got {timeout!r}"
            raise InvalidArgumentError(msg)
        if not _is_postgres(session):
            return
        before = session.execute(_BEFORE).scalar_one()
        session.execute(_LIMIT, {"limit": f"{max(1, int(timeout * 1000))}ms"})
        try:
            for key in keys:
                session.execute(_WAIT, {"key": key})
        except Exception as exc:
            if sqlstate(exc) == "55P03":
                msg = f"{', '.join(map(repr, names))[:200]}: the lock was not free within {timeout:g} s"
                raise LockTimeoutError(msg) from exc
            raise
        session.execute(_LIMIT, {"limit": before})

    @ours
    def try_acquire(self, session: Session, *names: str) -> bool:
        """Take the locks if all are free now; tell whether they were.

        Those that were free stay taken until the transaction ends, in either case.
        """
        keys = self.keys(*names)
        if not _is_postgres(session):
            return True
        return all(session.execute(_TRY, {"key": key}).scalar_one() for key in keys)

    def transaction(self, *names: str, timeout: float = 5.0) -> AbstractContextManager[Session]:
        """Open a transaction that holds the locks."""
        return self._transaction(names, timeout)

    @contextmanager
    def _transaction(self, names: tuple[str, ...], timeout: float) -> Iterator[Session]:
        if self._lock is None:
            with self._database.transaction() as session:
                self.acquire(session, *names, timeout=timeout)
                yield session
            return
        self.keys(*names)
        with ExitStack() as held:
            leases = [held.enter_context(self._lock(name)) for name in _ordered(self.namespace, names)]
            with self._database.transaction() as session:
                yield session
                _check(leases)


class AsyncLockManager:
    """A :class:`LockManager` for asynchronous sessions.

    Args:
        database: ``db.aio``.
        namespace: As :class:`LockManager`.
        lock: As :class:`LockManager`, such as ``lambda name: AsyncLock(name, store=redis_locks)``.

    Example:
        >>> import asyncio
        >>> from shared.database import Database
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         locks = AsyncLockManager(db.aio)
        ...         async with locks.transaction("user:7") as session:
        ...             print(await locks.try_acquire(session, "user:7"))
        >>> asyncio.run(main())
        True
    """

    def __init__(
        self,
        database: "AsyncDatabase",
        *,
        namespace: str = "",
        lock: "Callable[[str], AbstractAsyncContextManager[Any]] | None" = None,
    ) -> None:
        self._database = database
        self._lock = lock
        # What it does with a session is the same; transactions are opened here.
        self._sync = LockManager(cast("Any", database), namespace=namespace)

    def keys(self, *names: str) -> list[int]:
        """See :meth:`LockManager.keys`."""
        return self._sync.keys(*names)

    async def acquire(self, session: AsyncSession, *names: str, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the server's
        """See :meth:`LockManager.acquire`."""
        await session.run_sync(lambda inner: self._sync.acquire(inner, *names, timeout=timeout))

    async def try_acquire(self, session: AsyncSession, *names: str) -> bool:
        """See :meth:`LockManager.try_acquire`."""
        return await session.run_sync(lambda inner: self._sync.try_acquire(inner, *names))

    def transaction(self, *names: str, timeout: float = 5.0) -> AbstractAsyncContextManager[AsyncSession]:
        """See :meth:`LockManager.transaction`."""
        return self._transaction(names, timeout)

    @asynccontextmanager
    async def _transaction(self, names: tuple[str, ...], timeout: float) -> "AsyncIterator[AsyncSession]":  # noqa: ASYNC109
        if self._lock is None:
            async with self._database.transaction() as session:
                await self.acquire(session, *names, timeout=timeout)
                yield session
            return
        self.keys(*names)
        async with AsyncExitStack() as held:
            ordered = _ordered(self._sync.namespace, names)
            leases = [await held.enter_async_context(self._lock(name)) for name in ordered]
            async with self._database.transaction() as session:
                yield session
                _check(leases)


def _ordered(namespace: str, names: tuple[str, ...]) -> list[str]:
    """Return the full names in the one order in which they are taken."""
    return sorted({f"{namespace}:{name}" if namespace else name for name in names})


def _check(leases: "list[Any]") -> None:
    """See before the commit that every lock is still held, where a lock can tell."""
    for lease in leases:
        if hasattr(lease, "check"):
            lease.check()


def _number(namespace: str, name: str) -> int:
    """Return 64 bits that are the same in every process, which ``hash`` is not."""
    data = f"{len(namespace)}:{namespace}{name}".encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


def _is_postgres(session: Session) -> bool:
    """Tell whether locks must be asked for; on SQLite the writer's lock is taken.

    Raises:
        ConfigurationError: The session only reads.
    """
    if getattr(session, "read_only", False):
        raise refusal("a lock")
    if session.get_bind().dialect.name == "postgresql":
        return True
    session.connection()  # begins, and that takes the lock
    return False
