"""What is remembered of tokens, in the service's database."""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from shared.auth._token_store import Advance, Family
from shared.auth._token_tables import TokenFamily, TokenMark

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AsyncSqlTokenStore", "SqlTokenStore", "claim_mark"]

R = TypeVar("R")
Work = Callable[[Session], R]

_SWEEP_EVERY: Final = 1000  # writes between two looks for what is over
_SWEEP_AT_MOST: Final = 1000  # rows of one look, so that no request waits for it


class SqlTokenStore:
    """A token store in SQLite or PostgreSQL, shared by all processes that use the database.

    Every call is a short transaction of its own, also while the caller has one open:
    what was taken back stays so, whatever becomes of the caller's work. Needs the tables
    :class:`TokenMark` and :class:`TokenFamily`.

    Args:
        database: Where the tables are.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...     store = SqlTokenStore(db)
        ...     store.claim("a", now=0.0, until=60.0), store.claim("a", now=1.0, until=60.0)
        (True, False)
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._writes = itertools.count(1)

    def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """See :meth:`TokenStore.marks`."""
        with self._database.read() as session:
            return _marks(session, names, now)

    def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.mark`."""
        self._write(_mark(name, value, now, until), now)

    def claim(self, name: str, *, now: float, until: float) -> bool:
        """See :meth:`TokenStore.claim`."""
        return self._write(claim_mark(name, now, until), now)

    def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.begin_family`."""
        self._write(_begin_family(family_id, until), now)

    def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """See :meth:`TokenStore.advance_family`."""
        return self._write(_advance_family(family_id, generation, sealed, client, now), now)

    def end_family(self, family_id: str, *, now: float) -> None:
        """See :meth:`TokenStore.end_family`."""
        self._write(_end_family(family_id), now)

    def purge(self, *, now: float) -> int:
        """Forget what is over; return how many rows. A little of it happens by itself."""
        with self._database.transaction() as session:
            return _purge(session, now, None)

    def _write(self, work: Work[R], now: float) -> R:
        with self._database.transaction() as session:
            result = work(session)
            if next(self._writes) % _SWEEP_EVERY == 0:
                _purge(session, now, _SWEEP_AT_MOST)
            return result


class AsyncSqlTokenStore:
    """A :class:`SqlTokenStore` for asynchronous code; both know the same.

    Args:
        database: Where the tables are.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...         print(await AsyncSqlTokenStore(db).claim("a", now=0.0, until=60.0))
        >>> asyncio.run(main())
        True
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._writes = itertools.count(1)

    async def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """See :meth:`TokenStore.marks`."""
        async with self._database.aio.read() as session:
            return await session.run_sync(_marks, names, now)

    async def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.mark`."""
        await self._write(_mark(name, value, now, until), now)

    async def claim(self, name: str, *, now: float, until: float) -> bool:
        """See :meth:`TokenStore.claim`."""
        return await self._write(claim_mark(name, now, until), now)

    async def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.begin_family`."""
        await self._write(_begin_family(family_id, until), now)

    async def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """See :meth:`TokenStore.advance_family`."""
        return await self._write(_advance_family(family_id, generation, sealed, client, now), now)

    async def end_family(self, family_id: str, *, now: float) -> None:
        """See :meth:`TokenStore.end_family`."""
        await self._write(_end_family(family_id), now)

    async def purge(self, *, now: float) -> int:
        """Forget what is over; return how many rows. A little of it happens by itself."""
        async with self._database.aio.transaction() as session:
            return await session.run_sync(_purge, now, None)

    async def _write(self, work: Work[R], now: float) -> R:
        async with self._database.aio.transaction() as session:
            result = await session.run_sync(work)
            if next(self._writes) % _SWEEP_EVERY == 0:
                await session.run_sync(_purge, now, _SWEEP_AT_MOST)
            return result


# --- the statements ----------------------------------------------------------------------------


def _insert(session: Session, table: Any) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return make(table)


def _marks(session: Session, names: Sequence[str], now: float) -> Sequence[float | None]:
    columns = select(TokenMark.name, TokenMark.value)
    rows = session.execute(columns.where(TokenMark.name.in_(list(names)), TokenMark.until > now))
    found = {row.name: row.value for row in rows}
    return [found.get(name) for name in names]


def _mark(name: str, value: float, now: float, until: float) -> Work[None]:
    def work(session: Session) -> None:
        statement = _insert(session, TokenMark).values(name=name, value=value, until=until)
        new, over = statement.excluded, TokenMark.until <= now

        def later(old: Any, given: Any) -> Any:
            return case((over | (old < given), given), else_=old)

        session.execute(
            statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"value": later(TokenMark.value, new.value), "until": later(TokenMark.until, new.until)},
            )
        )

    return work


def claim_mark(name: str, now: float, until: float) -> Work[bool]:
    """Return what marks *name* in a session and tells whether it was not marked."""

    def work(session: Session) -> bool:
        statement = _insert(session, TokenMark).values(name=name, value=now, until=until)
        statement = statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": now, "until": until}, where=TokenMark.until <= now
        )
        return session.execute(statement.returning(TokenMark.name)).scalar() is not None

    return work


def _begin_family(family_id: str, until: float) -> Work[None]:
    def work(session: Session) -> None:
        session.add(TokenFamily(id=family_id, until=until))

    return work


def _advance_family(family_id: str, generation: int, sealed: str, client: str, now: float) -> Work[Advance]:
    def work(session: Session) -> Advance:
        # One statement decides: of two at once, the second finds another generation.
        statement = update(TokenFamily).where(
            TokenFamily.id == family_id,
            TokenFamily.generation == generation,
            TokenFamily.is_revoked.is_(False),
            TokenFamily.until > now,
        )
        values = {"generation": generation + 1, "rotated_at": now, "sealed": sealed, "client": client}
        won = session.execute(statement.values(**values).returning(TokenFamily.id)).scalar() is not None
        if won:
            return Advance(won=True, family=Family(generation + 1, now, sealed, client))
        row = session.scalars(
            select(TokenFamily).where(TokenFamily.id == family_id, TokenFamily.until > now)
        ).first()
        if row is None:
            return Advance(won=False, family=None)
        family = Family(row.generation, row.rotated_at, row.sealed, row.client, row.is_revoked)
        return Advance(won=False, family=family)

    return work


def _end_family(family_id: str) -> Work[None]:
    def work(session: Session) -> None:
        statement = update(TokenFamily).where(TokenFamily.id == family_id)
        session.execute(statement.values(is_revoked=True, sealed=""))

    return work


def _purge(session: Session, now: float, at_most: int | None) -> int:
    count = 0
    for key, until in ((TokenMark.name, TokenMark.until), (TokenFamily.id, TokenFamily.until)):
        over = select(key).where(until <= now).limit(at_most)
        statement = delete(key.class_).where(key.in_(over))
        count += session.execute(statement).rowcount  # type: ignore[attr-defined]
    return count
