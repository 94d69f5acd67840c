"""Rows of one model: found, paged, written and locked, with statements that are built once."""

import builtins
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.orm import Session

from shared.database import _bulk
from shared.database._reads import Reads, ours
from shared.database._types import utc_now
from shared.database._watch import refusal
from shared.errors import InvalidArgumentError, SharedError, TransactionConflictError, ValidationError

if TYPE_CHECKING:
    from shared.database import AsyncRepository

__all__ = ["Repository"]

T = TypeVar("T")


class Repository(Reads[T]):
    """The rows of *model*: one object per model, made once, used from every thread.

    Every method takes the session first. Rows that were deleted softly and rows of
    other tenants do not exist for it. Names in ``where`` and ``order_by`` are columns,
    so they may come from a query string: anything else is a :class:`ValidationError`.
    ``where`` maps ``"name"`` or ``"name__operator"`` to a value; the operators are
    ``eq ne lt le gt ge in not_in contains starts_with is_null``. ``order_by`` is a name
    or several, ``"-name"`` for the reverse.

    Args:
        model: A mapped class; a subclass of the repository may set it as an attribute.
        not_found: Error for a row that is not there.
        filterable: Names that ``where`` may use; all columns when None.
        sortable: Names that ``order_by`` may use; all columns when None.
        all_tenants: Whether rows of every tenant are in reach, for administration.

    Raises:
        InvalidArgumentError: *model* is not mapped, or a name is none of its columns.

    Example:
        >>> from sqlalchemy.orm import Mapped
        >>> from shared.database import Base, Database, Repository, UUIDKey
        >>> class Book(UUIDKey, Base):
        ...     __tablename__ = "docs_books"
        ...     title: Mapped[str]
        ...     pages: Mapped[int]
        >>> books = Repository(Book)
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine)
        ...     with db.transaction() as session:
        ...         _ = books.bulk_insert(session, [{"title": f"B{n}", "pages": n} for n in range(5)])
        ...     with db.read() as session:
        ...         [book.title for book in books.list(session, where={"pages__gt": 2}, order_by="-pages")]
        ['B4', 'B3']
    """

    @property
    def aio(self) -> "AsyncRepository[T]":
        """The same repository for asynchronous sessions."""
        from shared.database import AsyncRepository

        return AsyncRepository(self)

    # -- writing -----------------------------------------------------------------

    @ours
    def add(self, session: Session, entity: T) -> T:
        """Insert *entity* and return it, with what the database filled in.

        Raises:
            ConflictError: One with the same unique values exists.
            ValidationError: A rule of the table refuses it.
        """
        session.add(entity)
        session.flush()
        return entity

    @ours
    def bulk_insert(self, session: Session, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert rows by column names, as fast as the driver can; return how many.

        Raises:
            ValidationError: A name is none of the columns, or rows name different ones.
        """
        return _bulk.bulk_insert(self._statements, session, rows)

    @ours
    def copy_from(self, session: Session, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert rows by ``COPY`` on PostgreSQL, several times faster still; return how many."""
        return _bulk.copy_from(self._statements, session, rows)

    @ours
    def upsert(
        self,
        session: Session,
        values: Mapping[str, Any],
        *,
        on: Sequence[str],
        update: Sequence[str] | None = None,
    ) -> T:
        """Insert a row, or change the one with the same *on*, in one statement; return it.

        Args:
            session: Of the caller.
            values: By column names.
            on: Columns of a unique constraint or index.
            update: Columns to change when it exists; all given but *on* when None.
        """
        return _bulk.upsert(self._statements, session, [values], on=on, update=update)[0]  # type: ignore[no-any-return]

    @ours
    def upsert_many(
        self,
        session: Session,
        rows: Iterable[Mapping[str, Any]],
        *,
        on: Sequence[str],
        update: Sequence[str] | None = None,
    ) -> builtins.list[T]:
        """Insert or change many rows; return them, in no particular order."""
        return _bulk.upsert(self._statements, session, rows, on=on, update=update)

    @ours
    def update(
        self, session: Session, id: Any, values: Mapping[str, Any], *, version: int | None = None
    ) -> T:
        """Change columns of one row in one statement and return it.

        Args:
            session: Of the caller.
            id: The key.
            values: By column names; the key and the tenant cannot be changed.
            version: For :class:`Versioned` models: the version the caller saw.

        Raises:
            ResourceNotFoundError: There is no such row.
            TransactionConflictError: It has another version.
        """
        statements = self._statements
        fixed = {*statements.fields.key, "tenant_id", "version"}
        for name in values:
            if name not in statements.fields.columns or name in fixed:
                msg = f"{self._name} has no column {str(name)[:60]!r} that may be changed"
                raise ValidationError(msg)
        if version is not None and not statements.is_versioned:
            msg = f"{self._name} has no version: add the mixin Versioned"
            raise InvalidArgumentError(msg)
        session.flush()  # changes made on the entity come before
        statement = statements.update(frozenset(values), versioned=version is not None)
        sent = {f"v_{name}": value for name, value in values.items()}
        sent |= statements.key_values(id) | ({"version": version} if version is not None else {})
        found: T | None = session.execute(statement, sent).scalar()
        if found is None:
            raise self._gone(session, id, version)
        return found

    def _gone(self, session: Session, id: Any, version: int | None) -> SharedError:
        if version is not None and self.find(session, id) is not None:
            return TransactionConflictError(
                f"{self._name} was changed since version {version} was read", details={"reason": "stale"}
            )
        return self._missing(id)

    @ours
    def delete(self, session: Session, id: Any, *, hard: bool = False) -> bool:
        """Delete one row, softly where the model has :class:`SoftDelete`; tell whether there was one.

        Args:
            session: Of the caller.
            id: The key.
            hard: Whether the row is removed for good in any case.
        """
        statements, values = self._statements, self._statements.key_values(id)
        session.flush()
        if statements.is_soft and not hard:
            statement = statements.update(frozenset({"deleted_at"}))
            return session.execute(statement, {**values, "v_deleted_at": utc_now()}).scalar() is not None
        return session.execute(statements.delete(), values).first() is not None

    @ours
    def restore(self, session: Session, id: Any) -> T:
        """Bring back a row that was deleted softly and return it.

        Raises:
            ResourceNotFoundError: There is no such row.
            InvalidArgumentError: The model is not :class:`SoftDelete`.
        """
        statements = self._statements
        if not statements.is_soft:
            msg = f"{self._name} is deleted for good: add the mixin SoftDelete"
            raise InvalidArgumentError(msg)
        statement = statements.update(frozenset({"deleted_at"}), include_deleted=True)
        found: T | None = session.execute(
            statement, {**statements.key_values(id), "v_deleted_at": None}
        ).scalar()
        if found is None:
            raise self._missing(id)
        return found

    @ours
    def lock(self, session: Session, id: Any, *, nowait: bool = False) -> T:
        """Lock one row until the transaction ends and return it as it is now.

        ``SELECT … FOR UPDATE``; on SQLite the transaction holds the one lock there is.

        Args:
            session: Of the caller; not one that only reads.
            id: The key.
            nowait: Whether a row that somebody else holds is an error at once.

        Raises:
            ResourceNotFoundError: There is no such row.
            LockTimeoutError: Somebody else holds it and *nowait* is set.
        """
        _refuse_lock(session)
        statements = self._statements
        statement = statements.get(lock="nowait" if nowait else "wait")
        found: T | None = session.execute(statement, statements.key_values(id)).scalar()
        if found is None:
            raise self._missing(id)
        return found

    @ours
    def lock_many(
        self, session: Session, ids: Iterable[Any], *, skip_locked: bool = False
    ) -> builtins.list[T]:
        """Lock rows in the order of their keys, so that two callers cannot wait for each other.

        Returns:
            The rows, in the order of *ids*; missing ones are left out, and with
            *skip_locked* those that somebody else holds.
        """
        _refuse_lock(session)
        return self._many(session, ids, include_deleted=False, lock="skip_locked" if skip_locked else "wait")


def _refuse_lock(session: Session) -> None:
    if getattr(session, "read_only", False):
        raise refusal("a lock")
