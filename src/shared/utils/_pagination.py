"""One page of a list that is already in memory, with what a client needs to turn it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from shared.constants import FieldLimit
from shared.errors import InvalidArgumentError, ValidationError
from shared.utils._checks import kind, whole_argument, whole_problem

__all__ = ["Page", "paginate"]

T = TypeVar("T")

# Page numbers beyond this are no reader's; it also fits every database's bigint.
_LAST_PAGE: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The items of this page, in order; empty behind the last page.
        page: Its number, from 1.
        size: Most items a page has.
        total: Items on all pages.

    Example:
        >>> paginate(range(45), page=3).to_dict()["has_next"]
        False
    """

    items: list[T]
    page: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are; 0 when there are no items."""
        return -(-self.total // self.size)

    @property
    def has_next(self) -> bool:
        """Whether a later page has items."""
        return self.page < self.pages

    @property
    def has_prev(self) -> bool:
        """Whether an earlier page has items."""
        return self.page > 1 and self.total > 0

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata without the items.

        ``{"page": int, "size": int, "total": int, "pages": int, "has_next": bool, "has_prev": bool}``
        """
        return {
            "page": self.page,
            "size": self.size,
            "total": self.total,
            "pages": self.pages,
            "has_next": self.has_next,
            "has_prev": self.has_prev,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"items": list, **meta}``, ready to be sent."""
        return {"items": self.items, **self.meta}


def paginate(
    items: Sequence[T],
    page: int = 1,
    size: int = FieldLimit.PAGE_SIZE_DEFAULT,
    *,
    max_size: int = FieldLimit.PAGE_SIZE_MAX,
) -> Page[T]:
    """Return one page of *items*.

    For lists in memory; rows of a table are paged by the database. A page behind
    the last is empty, not an error: items may have gone since the client saw the
    page before.

    Args:
        items: A list, tuple, range or other sequence; copied for the page only.
        page: Number of the page, 1 to 1,000,000,000.
        size: Items of a page, 1 to *max_size*.
        max_size: Upper bound of *size*, 1 to 1,000,000.

    Raises:
        ValidationError: *page* or *size* is outside of that; both are reported, in
            ``details["errors"]``. They usually come from a query string.
        InvalidArgumentError: *items* is no sequence, or *max_size* is wrong.

    Example:
        >>> result = paginate(["a", "b", "c"], page=2, size=2)
        >>> result.items, result.meta
        (['c'], {'page': 2, 'size': 2, 'total': 3, 'pages': 2, 'has_next': False, 'has_prev': True})
    """
    limit = whole_argument("max_size", max_size, low=1, high=1_000_000)
    if not issubclass(type(items), Sequence) or issubclass(type(items), (str, bytes)):
        msg = f"items must be a list, tuple or other sequence, got {kind(items)}: pass list(items)"
        raise InvalidArgumentError(msg)
    problems = {
        "page": whole_problem(page, low=1, high=_LAST_PAGE),
        "size": whole_problem(size, low=1, high=limit),
    }
    errors = [{"field": field, "message": problem} for field, problem in problems.items() if problem]
    if errors:
        message = "; ".join(f"{error['field']} {error['message']}" for error in errors)
        raise ValidationError(message, details={"errors": errors})
    total = len(items)
    start = min((page - 1) * size, total)
    return Page(list(items[start : start + size]), int(page), int(size), total)
