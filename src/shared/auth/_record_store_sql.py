"""API keys and sessions in the service's database."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from shared.auth._record_store import Record, RecordKind
from shared.auth._record_tables import ApiKeyRecord, SessionRecord

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AsyncSqlRecordStore", "SqlRecordStore"]

R = TypeVar("R")
Work = Callable[[Session], R]


class SqlRecordStore:
    """A store in SQLite or PostgreSQL, shared by all processes that use the database.

    Every call is a short transaction of its own: what was revoked stays so, whatever
    becomes of the caller's work. Needs the table :class:`ApiKeyRecord` or
    :class:`SessionRecord`. Reads go to the main server: a replica may not know yet of
    what was revoked.

    Args:
        database: Where the table is.
        kind: ``"api_key"`` or ``"session"``.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...     store = SqlRecordStore(db, "session")
        ...     store.insert(Record("s-1", "u-1", {"a": 1}), now=0.0), store.get("s-1", now=1.0).data
        (True, {'a': 1})
    """

    def __init__(self, database: "Database", kind: RecordKind) -> None:
        self._database = database
        self._work = _Statements(kind)

    def get(self, record_id: str, *, now: float) -> Record | None:
        """See :meth:`RecordStore.get`."""
        with self._database.read() as session:
            return self._work.get(record_id, now)(session)

    def insert(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.insert`."""
        return self._run(self._work.insert(record, now))

    def change(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.change`."""
        return self._run(self._work.change(record, now))

    def delete(self, record_id: str) -> bool:
        """See :meth:`RecordStore.delete`."""
        return self._run(self._work.delete(record_id))

    def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """See :meth:`RecordStore.of_owner`."""
        with self._database.read() as session:
            return self._work.of_owner(owner, now)(session)

    def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """See :meth:`RecordStore.delete_of_owner`."""
        return self._run(self._work.delete_of_owner(owner, keep))

    def touch(self, moments: Mapping[str, float]) -> None:
        """See :meth:`RecordStore.touch`."""
        self._run(self._work.touch(moments))

    def purge(self, *, now: float) -> int:
        """See :meth:`RecordStore.purge`."""
        return self._run(self._work.purge(now))

    def _run(self, work: Work[R]) -> R:
        with self._database.transaction() as session:
            return work(session)


class AsyncSqlRecordStore:
    """A :class:`SqlRecordStore` for asynchronous code; both know the same.

    Args:
        database: Where the table is.
        kind: ``"api_key"`` or ``"session"``.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...         print(await AsyncSqlRecordStore(db, "session").insert(Record("s-1", "u-1", {}), now=0.0))
        >>> asyncio.run(main())
        True
    """

    def __init__(self, database: "Database", kind: RecordKind) -> None:
        self._database = database
        self._work = _Statements(kind)

    async def get(self, record_id: str, *, now: float) -> Record | None:
        """See :meth:`RecordStore.get`."""
        async with self._database.aio.read() as session:
            return await session.run_sync(self._work.get(record_id, now))

    async def insert(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.insert`."""
        return await self._run(self._work.insert(record, now))

    async def change(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.change`."""
        return await self._run(self._work.change(record, now))

    async def delete(self, record_id: str) -> bool:
        """See :meth:`RecordStore.delete`."""
        return await self._run(self._work.delete(record_id))

    async def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """See :meth:`RecordStore.of_owner`."""
        async with self._database.aio.read() as session:
            return await session.run_sync(self._work.of_owner(owner, now))

    async def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """See :meth:`RecordStore.delete_of_owner`."""
        return await self._run(self._work.delete_of_owner(owner, keep))

    async def touch(self, moments: Mapping[str, float]) -> None:
        """See :meth:`RecordStore.touch`."""
        await self._run(self._work.touch(moments))

    async def purge(self, *, now: float) -> int:
        """See :meth:`RecordStore.purge`."""
        return await self._run(self._work.purge(now))

    async def _run(self, work: Work[R]) -> R:
        async with self._database.aio.transaction() as session:
            return await session.run_sync(work)


class _Statements:
    """What both stores do with a session."""

    def __init__(self, kind: RecordKind) -> None:
        self._table: Any = {"api_key": ApiKeyRecord, "session": SessionRecord}[kind].__table__

    def get(self, record_id: str, now: float) -> Work[Record | None]:
        columns = self._table.c
        statement = select(self._table).where(columns.id == record_id, self._is_alive(now))

        def work(session: Session) -> Record | None:
            row = session.execute(statement).first()
            return None if row is None else _record(row)

        return work

    def insert(self, record: Record, now: float) -> Work[bool]:
        values = {**_values(record), "id": record.id, "version": 1}

        def work(session: Session) -> bool:
            from sqlalchemy.dialects import postgresql, sqlite

            make: Any = (
                postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
            )
            statement = make(self._table).values(**values)
            # One whose time is over, and that nobody swept, gives way.
            again = {name: value for name, value in values.items() if name != "id"}
            statement = statement.on_conflict_do_update(
                index_elements=["id"], set_=again, where=self._table.c.expires_at <= now
            )
            return session.execute(statement.returning(self._table.c.id)).first() is not None

        return work

    def change(self, record: Record, now: float) -> Work[bool]:
        columns = self._table.c
        statement = (
            update(self._table)
            .where(columns.id == record.id, columns.version == record.version, self._is_alive(now))
            .values(**_values(record), version=record.version + 1)
            .returning(columns.id)
        )
        return lambda session: session.execute(statement).first() is not None

    def delete(self, record_id: str) -> Work[bool]:
        statement = delete(self._table).where(self._table.c.id == record_id).returning(self._table.c.id)
        return lambda session: session.execute(statement).first() is not None

    def of_owner(self, owner: str, now: float) -> Work[Sequence[Record]]:
        columns = self._table.c
        statement = (
            select(self._table)
            .where(columns.owner == owner, self._is_alive(now))
            .order_by(columns.created_at, columns.id)
        )
        return lambda session: [_record(row) for row in session.execute(statement)]

    def delete_of_owner(self, owner: str, keep: str | None) -> Work[int]:
        columns = self._table.c
        statement = delete(self._table).where(columns.owner == owner).returning(columns.id)
        if keep is not None:
            statement = statement.where(columns.id != keep)
        return lambda session: len(session.execute(statement).all())

    def touch(self, moments: Mapping[str, float]) -> Work[None]:
        columns = self._table.c

        def work(session: Session) -> None:
            for record_id, at in sorted(moments.items()):  # in one order: no deadlock
                session.execute(
                    update(self._table)
                    .where(
                        columns.id == record_id, or_(columns.touched_at.is_(None), columns.touched_at < at)
                    )
                    .values(touched_at=at)
                )

        return work

    def purge(self, now: float) -> Work[int]:
        statement = delete(self._table).where(self._table.c.expires_at <= now).returning(self._table.c.id)
        return lambda session: len(session.execute(statement).all())

    def _is_alive(self, now: float) -> Any:
        expires = self._table.c.expires_at
        return or_(expires.is_(None), expires > now)


def _values(record: Record) -> dict[str, Any]:
    return {
        "owner": record.owner,
        "data": dict(record.data),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "touched_at": record.touched_at,
    }


def _record(row: Any) -> Record:
    return Record(
        row.id, row.owner, row.data or {}, row.version, row.created_at, row.expires_at, row.touched_at
    )
