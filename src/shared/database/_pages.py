"""Pages, and cursors that say where the next one begins."""

import base64
import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, or_

from shared.constants import FieldLimit
from shared.database._fields import Fields, coerce
from shared.errors import ValidationError

__all__ = ["Cursor", "KeysetPage", "Page", "checked_size"]

T = TypeVar("T")
Order = tuple[tuple[str, bool], ...]

_MAX_CURSOR: Final = 4096  # characters
_MAX_OFFSET: Final = 2**31


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page by number.

    Attributes:
        items: Its rows.
        number: Counted from 1.
        size: Rows per page.
        total: Rows in all, or None when they were not counted.
        has_next: Whether there is another.

    Example:
        >>> Page([1, 2], number=1, size=2, total=5, has_next=True).pages
        3
    """

    items: list[T]
    number: int
    size: int
    total: int | None
    has_next: bool

    @property
    def pages(self) -> int | None:
        """Pages in all, or None when they were not counted."""
        return None if self.total is None else -(-self.total // self.size)


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[T]):
    """A page that begins after a row: as fast at the end of a table as at its beginning.

    Attributes:
        items: Its rows.
        next_cursor: What to give as ``after`` for the next page; None at the end.

    Example:
        >>> KeysetPage([1, 2], next_cursor=None).next_cursor is None
        True
    """

    items: list[T]
    next_cursor: str | None


def checked_size(size: Any, limit: int) -> int:
    """Return *size*.

    Raises:
        ValidationError: It is not a whole number from 1 to *limit*.
    """
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= limit:
        msg = f"a page holds 1 to {limit} rows, got {str(size)[:20]}"
        raise ValidationError(msg)
    return size


def checked_offset(number: Any, size: int) -> int:
    """Return how many rows come before page *number*.

    Raises:
        ValidationError: It is not a whole number from 1, or too far.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number * size <= _MAX_OFFSET:
        msg = f"pages count from 1 and end before row {_MAX_OFFSET}, got {str(number)[:20]}"
        raise ValidationError(msg)
    return (number - 1) * size


DEFAULT_SIZE: Final = FieldLimit.PAGE_SIZE_DEFAULT


class Cursor:
    """Makes and reads the cursors of one model. They hold values of rows and no SQL."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def check(self, order: Order) -> None:
        """Refuse an order that has no place for a cursor.

        Raises:
            ValidationError: A column may hold NULL, which is neither before nor after.
        """
        for name, _ in order:
            if self._fields.is_nullable(name):
                msg = f"cannot page by {name!r} with a cursor: it may be empty"
                raise ValidationError(msg)

    def make(self, order: Order, row: Any) -> str:
        """Return the cursor that stands after *row*."""
        values = [_plain(getattr(row, name)) for name, _ in order]
        text = json.dumps([self._mark(order), *values], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def read(self, order: Order, cursor: str) -> dict[str, Any]:
        """Return the values a cursor holds, by the name of their placeholder.

        Raises:
            ValidationError: It is not one of ours, or of another order.
        """
        try:
            if len(cursor) > _MAX_CURSOR:
                raise ValueError  # noqa: TRY301 - the same answer to everything
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            mark, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if mark != self._mark(order) or len(values) != len(order):
                raise ValueError  # noqa: TRY301
            return {
                f"c_{index}": coerce(self._fields.kind(name), _exact(value), "cursor")
                for index, ((name, _), value) in enumerate(zip(order, values, strict=True))
            }
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise ValidationError("the cursor is not one of this list: begin without") from None

    def condition(self, order: Order) -> ColumnElement[bool]:
        """Return what holds for the rows after the cursor, with placeholders."""
        either = []
        for index, (name, descending) in enumerate(order):
            column = self._fields.columns[name]
            value = bindparam(f"c_{index}", type_=column.type)
            same = [
                self._fields.columns[earlier] == bindparam(f"c_{n}", type_=self._fields.columns[earlier].type)
                for n, (earlier, _) in enumerate(order[:index])
            ]
            either.append(and_(*same, column < value if descending else column > value))
        return or_(*either)

    def _mark(self, order: Order) -> str:
        return hashlib.blake2b(f"{self._fields.model}{order}".encode(), digest_size=4).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return str(value) if isinstance(value, (uuid.UUID, Decimal)) else value


def _exact(value: Any) -> Any:
    if value is None or isinstance(value, (list, dict)):
        raise ValueError
    return value
