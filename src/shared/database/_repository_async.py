"""The asynchronous side of a repository: a facade, the work is the same code."""

import builtins
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from shared.constants import FieldLimit
from shared.database._fields import Where
from shared.database._pages import KeysetPage, Page
from shared.database._reads import Count, OrderBy
from shared.database._repository import Repository
from shared.errors import InvalidArgumentError

__all__ = ["AsyncRepository"]

T = TypeVar("T")


class AsyncRepository(Generic[T]):
    """A :class:`Repository` for asynchronous sessions: the same methods, awaited.

    Args:
        repository: What does the work, or a model to make one from.
        kwargs: As :class:`Repository`, with a model.

    Raises:
        InvalidArgumentError: A repository was given options, or the model is not mapped.

    Example:
        >>> import asyncio
        >>> from sqlalchemy.orm import Mapped
        >>> from shared.database import AsyncRepository, Base, Database, UUIDKey
        >>> class Film(UUIDKey, Base):
        ...     __tablename__ = "docs_films"
        ...     title: Mapped[str]
        >>> films = AsyncRepository(Film)
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine)
        ...         async with db.aio.transaction() as session:
        ...             film = await films.add(session, Film(title="M"))
        ...         async with db.aio.read() as session:
        ...             print((await films.get(session, film.id)).title)
        >>> asyncio.run(main())
        M
    """

    def __init__(self, repository: Repository[T] | type[T], **kwargs: Any) -> None:
        if isinstance(repository, Repository):
            if kwargs:
                msg = f"{next(iter(kwargs))} belongs to the repository that is given"
                raise InvalidArgumentError(msg)
            self.sync: Repository[T] = repository
        else:
            self.sync = Repository(repository, **kwargs)

    async def get(self, session: AsyncSession, id: Any, *, include_deleted: bool = False) -> T:
        """See :meth:`Repository.get`."""
        return await session.run_sync(self.sync.get, id, include_deleted=include_deleted)

    async def find(self, session: AsyncSession, id: Any, *, include_deleted: bool = False) -> T | None:
        """See :meth:`Repository.find`."""
        return await session.run_sync(self.sync.find, id, include_deleted=include_deleted)

    async def find_by(
        self, session: AsyncSession, *, include_deleted: bool = False, **where: Any
    ) -> T | None:
        """See :meth:`Repository.find_by`."""
        return await session.run_sync(self.sync.find_by, include_deleted=include_deleted, **where)

    async def get_many(
        self, session: AsyncSession, ids: Iterable[Any], *, include_deleted: bool = False
    ) -> builtins.list[T]:
        """See :meth:`Repository.get_many`."""
        return await session.run_sync(self.sync.get_many, ids, include_deleted=include_deleted)

    async def list(
        self,
        session: AsyncSession,
        *,
        where: Where | None = None,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int = 0,
        include_deleted: bool = False,
    ) -> builtins.list[T]:
        """See :meth:`Repository.list`."""
        return await session.run_sync(
            self.sync.list,
            where=where,
            order_by=order_by,
            limit=limit,
            offset=offset,
            include_deleted=include_deleted,
        )

    async def count(
        self, session: AsyncSession, *, where: Where | None = None, include_deleted: bool = False
    ) -> int:
        """See :meth:`Repository.count`."""
        return await session.run_sync(self.sync.count, where=where, include_deleted=include_deleted)

    async def exists(
        self, session: AsyncSession, *, where: Where | None = None, include_deleted: bool = False
    ) -> bool:
        """See :meth:`Repository.exists`."""
        return await session.run_sync(self.sync.exists, where=where, include_deleted=include_deleted)

    async def page(
        self,
        session: AsyncSession,
        number: int = 1,
        *,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        where: Where | None = None,
        order_by: OrderBy = None,
        count: Count = "exact",
        include_deleted: bool = False,
    ) -> Page[T]:
        """See :meth:`Repository.page`."""
        return await session.run_sync(
            self.sync.page,
            number,
            size=size,
            where=where,
            order_by=order_by,
            count=count,
            include_deleted=include_deleted,
        )

    async def keyset(
        self,
        session: AsyncSession,
        *,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        where: Where | None = None,
        order_by: OrderBy = None,
        include_deleted: bool = False,
    ) -> KeysetPage[T]:
        """See :meth:`Repository.keyset`."""
        return await session.run_sync(
            self.sync.keyset,
            after=after,
            size=size,
            where=where,
            order_by=order_by,
            include_deleted=include_deleted,
        )

    async def iterate(
        self,
        session: AsyncSession,
        *,
        where: Where | None = None,
        chunk: int = 1000,
        include_deleted: bool = False,
    ) -> AsyncIterator[T]:
        """See :meth:`Repository.iterate`; use it with ``async for``."""
        after: str | None = None
        while True:
            rows, after = await session.run_sync(
                self.sync._chunk,  # noqa: SLF001 - its other half
                after,
                chunk,
                where,
                include_deleted=include_deleted,
            )
            for row in rows:
                yield row
            if after is None:
                return

    async def rows(
        self,
        session: AsyncSession,
        columns: Sequence[str],
        *,
        where: Where | None = None,
        order_by: OrderBy = None,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> builtins.list[Row[Any]]:
        """See :meth:`Repository.rows`."""
        return await session.run_sync(
            self.sync.rows,
            columns,
            where=where,
            order_by=order_by,
            limit=limit,
            include_deleted=include_deleted,
        )

    async def add(self, session: AsyncSession, entity: T) -> T:
        """See :meth:`Repository.add`."""
        return await session.run_sync(self.sync.add, entity)

    async def bulk_insert(self, session: AsyncSession, rows: Iterable[Mapping[str, Any]]) -> int:
        """See :meth:`Repository.bulk_insert`."""
        return await session.run_sync(self.sync.bulk_insert, rows)

    async def copy_from(self, session: AsyncSession, rows: Iterable[Mapping[str, Any]]) -> int:
        """See :meth:`Repository.copy_from`."""
        return await session.run_sync(self.sync.copy_from, rows)

    async def upsert(
        self,
        session: AsyncSession,
        values: Mapping[str, Any],
        *,
        on: Sequence[str],
        update: Sequence[str] | None = None,
    ) -> T:
        """See :meth:`Repository.upsert`."""
        return await session.run_sync(self.sync.upsert, values, on=on, update=update)

    async def upsert_many(
        self,
        session: AsyncSession,
        rows: Iterable[Mapping[str, Any]],
        *,
        on: Sequence[str],
        update: Sequence[str] | None = None,
    ) -> builtins.list[T]:
        """See :meth:`Repository.upsert_many`."""
        return await session.run_sync(self.sync.upsert_many, rows, on=on, update=update)

    async def update(
        self, session: AsyncSession, id: Any, values: Mapping[str, Any], *, version: int | None = None
    ) -> T:
        """See :meth:`Repository.update`."""
        return await session.run_sync(self.sync.update, id, values, version=version)

    async def delete(self, session: AsyncSession, id: Any, *, hard: bool = False) -> bool:
        """See :meth:`Repository.delete`."""
        return await session.run_sync(self.sync.delete, id, hard=hard)

    async def restore(self, session: AsyncSession, id: Any) -> T:
        """See :meth:`Repository.restore`."""
        return await session.run_sync(self.sync.restore, id)

    async def lock(self, session: AsyncSession, id: Any, *, nowait: bool = False) -> T:
        """See :meth:`Repository.lock`."""
        return await session.run_sync(self.sync.lock, id, nowait=nowait)

    async def lock_many(
        self, session: AsyncSession, ids: Iterable[Any], *, skip_locked: bool = False
    ) -> builtins.list[T]:
        """See :meth:`Repository.lock_many`."""
        return await session.run_sync(self.sync.lock_many, ids, skip_locked=skip_locked)
