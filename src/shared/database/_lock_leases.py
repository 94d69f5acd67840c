"""Locks that outlive a transaction and end by themselves, kept in the database."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from shared.database._tables import DatabaseLock, DatabaseLockWaiter
from shared.errors import TransactionConflictError

if TYPE_CHECKING:
    from shared.database._database import Database

__all__ = ["SQLLocks"]

T = TypeVar("T")

_MICRO: Final = 1_000_000
_TRIES: Final = 3  # of a step that another writer was in the way of
_SERVER_NOW: Final = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


class SQLLocks:
    """The store for :class:`shared.cache.Lock` where there is a database and no Redis.

    One short transaction for each step; the clock is PostgreSQL's own, so the clocks of
    the callers do not matter (with SQLite it is the machine's). Needs the tables
    :class:`DatabaseLock` and :class:`DatabaseLockWaiter`. For what happens inside one
    transaction :class:`LockManager` is cheaper.

    Args:
        database: Where they are; the caller closes it.
        clock: Seconds since the epoch, for SQLite.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("database"))
        ...     locks = SQLLocks(db)
        ...     first = locks.take("reports", "me", 30.0)
        ...     locks.take("reports", "you", 30.0) is None, locks.give_back("reports", "me")
        (True, True)
    """

    def __init__(self, database: "Database", *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self.shown: str = f"database {database.name}"

    # -- what Lock asks ---------------------------------------------------------------

    def take(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """Take the lock and return its fencing token, or stand in line for it and return None.

        Args:
            name: Of the lock.
            owner: A text nobody else uses.
            ttl: Seconds until it is free again by itself.
            patience: Seconds for which the place in the line is kept; 0 does not stand in it.
        """
        return self._do(lambda session: self._take(session, name, owner, ttl, patience))

    def renew(self, name: str, owner: str, ttl: float) -> bool:
        """Hold it for *ttl* seconds from now; False when it is not held by *owner* any more."""
        return self._do(lambda session: self._renew(session, name, owner, ttl))

    def give_back(self, name: str, owner: str) -> bool:
        """Give it back, and leave the line; False when it was not held by *owner* any more."""
        return self._do(lambda session: self._give_back(session, name, owner))

    async def atake(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """As :meth:`take`, without blocking the event loop."""
        return await self._aside(lambda session: self._take(session, name, owner, ttl, patience))

    async def arenew(self, name: str, owner: str, ttl: float) -> bool:
        """As :meth:`renew`, without blocking the event loop."""
        return await self._aside(lambda session: self._renew(session, name, owner, ttl))

    async def agive_back(self, name: str, owner: str) -> bool:
        """As :meth:`give_back`, without blocking the event loop."""
        return await self._aside(lambda session: self._give_back(session, name, owner))

    def close(self) -> None:
        """Nothing: the database is the caller's."""

    async def aclose(self) -> None:
        """Nothing: the database is the caller's."""

    # -- inside a transaction ---------------------------------------------------------

    def _do(self, work: Callable[[Session], T]) -> T:
        for _ in range(_TRIES - 1):
            with suppress(TransactionConflictError), self._database.transaction() as session:
                return work(session)
        with self._database.transaction() as session:
            return work(session)

    async def _aside(self, work: Callable[[Session], T]) -> T:
        for _ in range(_TRIES - 1):
            with suppress(TransactionConflictError):
                async with self._database.aio.transaction() as session:
                    return await session.run_sync(work)
        async with self._database.aio.transaction() as session:
            return await session.run_sync(work)

    def _take(self, session: Session, name: str, owner: str, ttl: float, patience: float) -> int | None:
        held = self._row(session, name)
        now = self._now(session)
        session.execute(
            delete(DatabaseLockWaiter).where(DatabaseLockWaiter.name == name, DatabaseLockWaiter.until <= now)
        )
        first = session.scalars(
            select(DatabaseLockWaiter.owner)
            .where(DatabaseLockWaiter.name == name)
            .order_by(DatabaseLockWaiter.place)
            .limit(1)
        ).first()
        if (held.owner is None or held.until <= now) and first in {None, owner}:
            held.owner, held.until, held.token = owner, now + int(ttl * _MICRO), held.token + 1
            session.execute(_waiter(name, owner))
            return held.token
        if patience > 0:
            until = now + int(patience * _MICRO)
            place = _insert(session, DatabaseLockWaiter).values(name=name, owner=owner, until=until)
            session.execute(
                place.on_conflict_do_update(index_elements=["name", "owner"], set_={"until": until})
            )
        return None

    def _renew(self, session: Session, name: str, owner: str, ttl: float) -> bool:
        now = self._now(session)
        still = update(DatabaseLock).where(
            DatabaseLock.name == name, DatabaseLock.owner == owner, DatabaseLock.until > now
        )
        return bool(_count(session.execute(still.values(until=now + int(ttl * _MICRO)))))

    def _give_back(self, session: Session, name: str, owner: str) -> bool:
        session.execute(_waiter(name, owner))
        mine = update(DatabaseLock).where(DatabaseLock.name == name, DatabaseLock.owner == owner)
        still = _count(
            session.execute(mine.where(DatabaseLock.until > self._now(session)).values(owner=None))
        )
        return bool(still)

    def _row(self, session: Session, name: str) -> DatabaseLock:
        """Return the row of the lock, made when it is not there, and have it to oneself."""
        wanted = select(DatabaseLock).where(DatabaseLock.name == name).with_for_update()
        found = session.scalars(wanted).first()
        if found is None:
            session.execute(
                _insert(session, DatabaseLock)
                .values(name=name, owner=None, until=0, token=0)
                .on_conflict_do_nothing()
            )
            found = session.scalars(wanted).one()
        return found

    def _now(self, session: Session) -> int:
        if session.get_bind().dialect.name == "postgresql":
            return int(session.execute(_SERVER_NOW).scalar_one())
        return int(self._clock() * _MICRO)


def _insert(session: Session, table: Any) -> Any:
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return make(table)


def _waiter(name: str, owner: str) -> Any:
    return delete(DatabaseLockWaiter).where(
        DatabaseLockWaiter.name == name, DatabaseLockWaiter.owner == owner
    )


def _count(result: Any) -> int:
    return int(result.rowcount)
