"""Find rows: by key, by filters, in pages, in chunks."""

import builtins
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Concatenate, Final, Generic, Literal, ParamSpec, TypeVar

from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.constants import FieldLimit
from shared.database._faults import translate
from shared.database._fields import Where
from shared.database._pages import KeysetPage, Page, checked_offset, checked_size
from shared.database._statements import Statements
from shared.errors import ConflictError, InvalidArgumentError, ResourceNotFoundError, ValidationError

__all__ = ["Count", "OrderBy", "Reads", "ours"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

OrderBy = str | Iterable[str] | None
Count = Literal["exact", "estimate", "none"]
_ALL: Final = 2**31 - 1
_ESTIMATE: Final = text("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:table)")


def ours(
    method: "Callable[Concatenate[Any, Session, P], R]",
) -> "Callable[Concatenate[Any, Session, P], R]":
    """Let only errors of ours out of *method*."""

    @functools.wraps(method)
    def call(self: Any, session: Session, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, session, *args, **kwargs)
        except SQLAlchemyError as exc:
            ours = translate(exc)
            raise ours from exc  # type: ignore[misc]

    return call


class Reads(Generic[T]):
    """The reading half of :class:`Repository`."""

    model: ClassVar[Any] = None

    def __init__(
        self,
        model: type[T] | None = None,
        *,
        not_found: type[ResourceNotFoundError] = ResourceNotFoundError,
        filterable: Iterable[str] | None = None,
        sortable: Iterable[str] | None = None,
        all_tenants: bool = False,
    ) -> None:
        chosen: Any = model or type(self).model
        self._statements = Statements(chosen, filterable, sortable, all_tenants=all_tenants)
        self._not_found = not_found
        self._name = chosen.__name__.lower()

    def _missing(self, id: Any) -> ResourceNotFoundError:
        if self._not_found is ResourceNotFoundError:
            return ResourceNotFoundError(resource=self._name, resource_id=str(id)[:100])
        return self._not_found(resource_id=str(id)[:100])

    # -- one row -----------------------------------------------------------------

    def get(self, session: Session, id: Any, *, include_deleted: bool = False) -> T:
        """Return the row with this key.

        Args:
            session: Of the caller.
            id: The key, also as text; a tuple when it has several columns.
            include_deleted: Whether rows that were deleted softly count.

        Raises:
            ResourceNotFoundError: There is none, or not for this tenant; or the class
                given as *not_found*.
            ValidationError: *id* does not have the form of the key.
        """
        found = self.find(session, id, include_deleted=include_deleted)
        if found is None:
            raise self._missing(id)
        return found

    @ours
    def find(self, session: Session, id: Any, *, include_deleted: bool = False) -> T | None:
        """Return the row with this key, or None."""
        statements = self._statements
        execute = getattr(session, "select_prebuilt", session.execute)
        found: T | None = execute(
            statements.get(include_deleted=include_deleted), statements.key_values(id)
        ).scalar()
        return found

    def find_by(self, session: Session, /, *, include_deleted: bool = False, **where: Any) -> T | None:
        """Return the one row these filters leave, or None.

        Raises:
            ConflictError: They leave more than one.
        """
        rows = self.list(session, where=where, limit=2, include_deleted=include_deleted)
        if len(rows) > 1:
            msg = f"more than one {self._name} was found, one was expected"
            raise ConflictError(msg)
        return rows[0] if rows else None

    @ours
    def get_many(
        self, session: Session, ids: Iterable[Any], *, include_deleted: bool = False
    ) -> builtins.list[T]:
        """Return the rows with these keys, in the order of *ids*; missing ones are left out.

        The key must be a single column.
        """
        return self._many(session, ids, include_deleted=include_deleted, lock=None)

    def _many(
        self, session: Session, ids: Iterable[Any], *, include_deleted: bool, lock: str | None
    ) -> builtins.list[T]:
        statements = self._statements
        if len(statements.fields.key) != 1:
            msg = f"{self._name}: rows by several keys need a key of one column"
            raise InvalidArgumentError(msg)
        keys = [statements.key_values(id)["k_0"] for id in ids]  # noqa: A001
        if not keys:
            return []
        values = {"keys": sorted(set(keys)), **statements.scope()}
        rows = session.execute(
            statements.get_many(include_deleted=include_deleted, lock=lock), values
        ).scalars()
        by_key = {getattr(row, statements.fields.key[0]): row for row in rows}
        return [by_key[key] for key in dict.fromkeys(keys) if key in by_key]

    # -- many rows ---------------------------------------------------------------

    def _find(
        self,
        session: Session,
        where: Where | None,
        order: Any,
        include_deleted: bool,
        *,
        limit: int,
        offset: int,
    ) -> builtins.list[T]:
        statements = self._statements
        shape, values = statements.fields.shape(where)
        statement = statements.find(shape, order, include_deleted=include_deleted)
        values |= {"limit": limit, "offset": offset, **statements.scope()}
        return list(session.execute(statement, values).scalars())

    @ours
    def list(
        self,
        session: Session,
        *,
        where: Where | None = None,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int = 0,
        include_deleted: bool = False,
    ) -> builtins.list[T]:
        """Return rows; all of them unless *limit* is given. For large tables use :meth:`iterate`.

        Raises:
            ValidationError: A name is not declared, or a value does not fit.
        """
        order = self._statements.fields.order(order_by)
        size = _ALL if limit is None else checked_size(limit, _ALL)
        return self._find(session, where, order, include_deleted, limit=size, offset=_offset(offset))

    @ours
    def count(self, session: Session, *, where: Where | None = None, include_deleted: bool = False) -> int:
        """Return how many rows there are."""
        statements = self._statements
        shape, values = statements.fields.shape(where)
        statement = statements.count(shape, include_deleted=include_deleted)
        return session.execute(statement, {**values, **statements.scope()}).scalar_one()  # type: ignore[no-any-return]

    @ours
    def exists(self, session: Session, *, where: Where | None = None, include_deleted: bool = False) -> bool:
        """Tell whether there is a row."""
        key = self._statements.fields.key
        return bool(self._rows(session, key, where, (), include_deleted, limit=1))

    @ours
    def page(
        self,
        session: Session,
        number: int = 1,
        *,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        where: Where | None = None,
        order_by: OrderBy = None,
        count: Count = "exact",
        include_deleted: bool = False,
    ) -> Page[T]:
        """Return page *number*, counted from 1.

        Args:
            session: Of the caller.
            number: Which page.
            size: Rows per page, 1 to 100.
            where: Filters.
            order_by: Order; the key decides between equals.
            count: ``"exact"`` counts all rows; ``"estimate"`` asks PostgreSQL's
                statistics when there is no filter; ``"none"`` does not count.
            include_deleted: Whether rows that were deleted softly count.

        Raises:
            ValidationError: A number is out of range, a name is not declared.
        """
        size = checked_size(size, FieldLimit.PAGE_SIZE_MAX)
        offset = checked_offset(number, size)
        order = self._statements.fields.order(order_by)
        rows = self._find(session, where, order, include_deleted, limit=size + 1, offset=offset)
        total = self._total(session, count, where, include_deleted=include_deleted)
        return Page(rows[:size], number, size, total, has_next=len(rows) > size)

    def _total(
        self, session: Session, count: Count, where: Where | None, *, include_deleted: bool
    ) -> int | None:
        if count not in ("exact", "estimate", "none"):
            msg = f"count is 'exact', 'estimate' or 'none', got {count!r}"
            raise InvalidArgumentError(msg)
        if count == "none":
            return None
        statements = self._statements
        plain = not where and not statements.needs_tenant and (include_deleted or not statements.is_soft)
        if count == "estimate" and plain and session.get_bind().dialect.name == "postgresql":
            table = statements.table
            name = session.get_bind().dialect.identifier_preparer.format_table(table)
            estimate = session.execute(_ESTIMATE, {"table": name}).scalar()
            if estimate is not None and estimate >= 0:  # -1: never analysed
                return int(estimate)
        return self.count(session, where=where, include_deleted=include_deleted)

    @ours
    def keyset(
        self,
        session: Session,
        *,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        where: Where | None = None,
        order_by: OrderBy = None,
        include_deleted: bool = False,
    ) -> KeysetPage[T]:
        """Return the page after a cursor: stable while rows come and go, and fast at any depth.

        Args:
            session: Of the caller.
            after: ``next_cursor`` of the page before; None for the first.
            size: Rows per page, 1 to 100.
            where: Filters; the same for every page.
            order_by: Order by columns that are never NULL; the key decides between equals.
            include_deleted: Whether rows that were deleted softly count.

        Raises:
            ValidationError: The cursor is not one of this list and order.
        """
        statements, size = self._statements, checked_size(size, FieldLimit.PAGE_SIZE_MAX)
        order = statements.fields.order(order_by)
        rows = self._after(session, after, size + 1, where, order, include_deleted=include_deleted)
        more = len(rows) > size
        cursor = statements.cursor.make(order, rows[size - 1]) if more else None
        return KeysetPage(rows[:size], cursor)

    def _after(
        self,
        session: Session,
        after: str | None,
        limit: int,
        where: Where | None,
        order: Any,
        *,
        include_deleted: bool,
    ) -> builtins.list[T]:
        statements = self._statements
        statements.cursor.check(order)
        if after is None:
            return self._find(session, where, order, include_deleted, limit=limit, offset=0)
        shape, values = statements.fields.shape(where)
        values |= statements.cursor.read(order, after)
        statement = statements.find(shape, order, include_deleted=include_deleted, cursor=True)
        return list(session.execute(statement, {**values, "limit": limit, **statements.scope()}).scalars())

    def iterate(
        self,
        session: Session,
        *,
        where: Where | None = None,
        chunk: int = 1000,
        include_deleted: bool = False,
    ) -> Iterator[T]:
        """Yield all rows in the order of the key, *chunk* rows in memory at a time."""
        after: str | None = None
        while True:
            rows, after = self._chunk(session, after, chunk, where, include_deleted=include_deleted)
            yield from rows
            if after is None:
                return

    @ours
    def _chunk(
        self, session: Session, after: str | None, chunk: int, where: Where | None, *, include_deleted: bool
    ) -> tuple[builtins.list[T], str | None]:
        statements, size = self._statements, checked_size(chunk, 100_000)
        order = statements.fields.order(None)
        rows = self._after(session, after, size, where, order, include_deleted=include_deleted)
        full = len(rows) == size
        return rows, statements.cursor.make(order, rows[-1]) if full else None

    @ours
    def rows(
        self,
        session: Session,
        columns: Sequence[str],
        *,
        where: Where | None = None,
        order_by: OrderBy = None,
        limit: int | None = None,
        include_deleted: bool = False,
    ) -> builtins.list[Row[Any]]:
        """Return columns as plain rows, without entities: several times faster than :meth:`list`."""
        order = self._statements.fields.order(order_by) if order_by else ()
        size = _ALL if limit is None else checked_size(limit, _ALL)
        return self._rows(session, tuple(columns), where, order, include_deleted, limit=size)

    def _rows(
        self,
        session: Session,
        columns: tuple[str, ...],
        where: Where | None,
        order: Any,
        include_deleted: bool,
        *,
        limit: int,
    ) -> builtins.list[Row[Any]]:
        statements = self._statements
        for name in columns:
            if name not in statements.fields.columns:
                msg = f"{self._name} has no column {str(name)[:60]!r}"
                raise ValidationError(msg)
        shape, values = statements.fields.shape(where)
        statement = statements.find(shape, order, include_deleted=include_deleted, columns=columns)
        values |= {"limit": limit, "offset": 0, **statements.scope()}
        return list(session.execute(statement, values))


def _offset(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _ALL:
        msg = f"offset is 0 or more, got {str(value)[:20]}"
        raise ValidationError(msg)
    return value
