"""One place that says how a service's transactions run."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.database._session import Hook, on_commit
from shared.database._transaction import TransactionRetry

if TYPE_CHECKING:
    from shared.database._database import Database
    from shared.database._database_async import AsyncDatabase

__all__ = ["AsyncTransactionManager", "TransactionManager"]

P = ParamSpec("P")
R = TypeVar("R")


class TransactionManager:
    """Runs units of work: serializable, repeated as a whole when they lose, by default.

    Args:
        database: Where.
        isolation: Level of every transaction.
        retry: Runs in total, or a policy.

    Example:
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db:
        ...     manager = TransactionManager(db)
        ...     manager.run(lambda session, x: x * 2, 21)
        42
    """

    def __init__(
        self,
        database: "Database",
        *,
        isolation: str | None = "SERIALIZABLE",
        retry: TransactionRetry | int | bool | None = True,
    ) -> None:
        self._database = database
        self._isolation = isolation
        self._retry = TransactionRetry.of(retry)

    def run(self, work: "Callable[Concatenate[Session, P], R]", /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``work(session, *args, **kwargs)`` in a transaction; see :meth:`Transaction.run`."""
        return self._database.transaction(isolation=self._isolation, retry=self._retry).run(
            work, *args, **kwargs
        )

    def begin(self) -> AbstractContextManager[Session]:
        """Open one transaction as a block; it is not repeated."""
        return self._database.transaction(isolation=self._isolation)

    def nested(self, session: Session) -> AbstractContextManager[Any]:
        """Open a savepoint: what fails inside is undone, the transaction goes on."""
        return session.begin_nested()

    def on_commit(self, session: Session, hook: Hook) -> None:
        """Call *hook* once after the commit; see :func:`on_commit`."""
        on_commit(session, hook)


class AsyncTransactionManager:
    """A :class:`TransactionManager` for asynchronous code.

    Args:
        database: ``db.aio``.
        isolation: As :class:`TransactionManager`.
        retry: As :class:`TransactionManager`.

    Example:
        >>> import asyncio
        >>> from shared.database import Database
        >>> async def work(session, x):
        ...     return x * 2
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         print(await AsyncTransactionManager(db.aio).run(work, 21))
        >>> asyncio.run(main())
        42
    """

    def __init__(
        self,
        database: "AsyncDatabase",
        *,
        isolation: str | None = "SERIALIZABLE",
        retry: TransactionRetry | int | bool | None = True,
    ) -> None:
        self._database = database
        self._isolation = isolation
        self._retry = TransactionRetry.of(retry)

    async def run(
        self,
        work: "Callable[Concatenate[AsyncSession, P], Awaitable[R]]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """See :meth:`TransactionManager.run`."""
        transaction = self._database.transaction(isolation=self._isolation, retry=self._retry)
        return await transaction.run(work, *args, **kwargs)

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """See :meth:`TransactionManager.begin`."""
        return self._database.transaction(isolation=self._isolation)

    def nested(self, session: AsyncSession) -> AbstractAsyncContextManager[Any]:
        """See :meth:`TransactionManager.nested`."""
        return session.begin_nested()

    def on_commit(self, session: AsyncSession, hook: Hook) -> None:
        """See :meth:`TransactionManager.on_commit`."""
        on_commit(session, hook)
