"""Data access objects: verbs that work in the caller's session, or in a transaction of their own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.database._accessors import get_database
from shared.database._faults import translated
from shared.database._watch import refusal
from shared.errors import InvalidArgumentError

if TYPE_CHECKING:
    from shared.database._database import Database

__all__ = ["DAO", "AsyncDAO"]

R = TypeVar("R")


class DAO:
    """The base of data access objects such as ``OrderDAO``: business verbs over plain functions.

    A verb is a function of a session that is written once; :meth:`write` and :meth:`read`
    decide where it runs. With ``session=`` it joins the caller's transaction, inside a
    savepoint: when it fails, what it wrote is undone and the caller's transaction lives
    on. Without, it runs in a transaction of its own, which is repeated when it loses
    against another one. :class:`AsyncDAO` runs the same functions.

    Args:
        database: Where; :func:`get_database` when None, looked up at each call.

    Example:
        >>> from sqlalchemy.orm import Mapped
        >>> from shared.database import Base, Database, Repository, UUIDKey
        >>> class Shop(UUIDKey, Base):
        ...     __tablename__ = "docs_dao_shops"
        ...     name: Mapped[str]
        >>> shops = Repository(Shop)
        >>> def open_shop(session, name):
        ...     return shops.add(session, Shop(name=name)).name
        >>> class ShopDAO(DAO):
        ...     def open_shop(self, name, *, session=None):
        ...         return self.write(open_shop, name, session=session)
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=[Shop.__table__])
        ...     ShopDAO(db).open_shop("north")
        'north'
    """

    def __init__(self, database: "Database | None" = None) -> None:
        self._database = database

    @property
    def database(self) -> "Database":
        """Where the verbs work."""
        return self._database or get_database()

    def write(
        self,
        work: Callable[..., R],
        /,
        *args: Any,
        session: Session | None = None,
        **kwargs: Any,
    ) -> R:
        """Run ``work(session, *args, **kwargs)`` and return what it returns.

        Args:
            work: Writes with the session it is given and commits nothing.
            args: Passed on.
            session: Of the caller, who commits; None for a transaction of its own.
            kwargs: Passed on.

        Raises:
            InvalidArgumentError: *session* is not a synchronous session.
            ConfigurationError: *session* only reads.
            SharedError: As *work* fails.
        """
        if session is None:
            return self.database.transaction(retry=True).run(work, *args, **kwargs)
        return _joined(_synchronous(session), work, args, kwargs)

    def read(
        self,
        work: Callable[..., R],
        /,
        *args: Any,
        session: Session | None = None,
        **kwargs: Any,
    ) -> R:
        """Run ``work(session, *args, **kwargs)``, which only reads, and return what it returns."""
        if session is None:
            with self.database.read() as own:
                return work(own, *args, **kwargs)
        with translated():
            return work(_synchronous(session), *args, **kwargs)


class AsyncDAO:
    """A :class:`DAO` for coroutines: the same functions behind awaited verbs.

    Args:
        database: The :class:`Database`, of which ``aio`` is used; :func:`get_database`
            when None.

    Example:
        >>> import asyncio
        >>> from sqlalchemy import text
        >>> from shared.database import Database
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         print(await AsyncDAO(db).read(lambda session: session.scalar(text("select 7"))))
        >>> asyncio.run(main())
        7
    """

    def __init__(self, database: "Database | None" = None) -> None:
        self._database = database

    @property
    def database(self) -> "Database":
        """Where the verbs work."""
        return self._database or get_database()

    async def write(
        self,
        work: Callable[..., R],
        /,
        *args: Any,
        session: AsyncSession | None = None,
        **kwargs: Any,
    ) -> R:
        """See :meth:`DAO.write`; *work* is a plain function of a synchronous session."""
        if session is not None:
            return await _asynchronous(session).run_sync(_joined, work, args, kwargs)

        async def run(own: AsyncSession) -> R:
            return await own.run_sync(work, *args, **kwargs)

        return await self.database.aio.transaction(retry=True).run(run)

    async def read(
        self,
        work: Callable[..., R],
        /,
        *args: Any,
        session: AsyncSession | None = None,
        **kwargs: Any,
    ) -> R:
        """See :meth:`DAO.read`."""
        if session is None:
            async with self.database.aio.read() as own:
                return await own.run_sync(work, *args, **kwargs)
        with translated():
            return await _asynchronous(session).run_sync(work, *args, **kwargs)


def _joined(session: Session, work: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    """Run *work* in a savepoint: a verb that fails in the middle leaves nothing half-written."""
    if getattr(session, "read_only", False):
        raise refusal("a write")
    with translated(), session.begin_nested():
        found = work(session, *args, **kwargs)
        session.flush()
        return found


def _synchronous(session: Any) -> Session:
    if not isinstance(session, Session):
        msg = (
            f"session is a synchronous session of db, got {type(session).__name__}: use the asynchronous twin"
        )
        raise InvalidArgumentError(msg)
    return session


def _asynchronous(session: Any) -> AsyncSession:
    if not isinstance(session, AsyncSession):
        msg = f"session is an asynchronous session of db.aio, got {type(session).__name__}"
        raise InvalidArgumentError(msg)
    return session
