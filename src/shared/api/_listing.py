"""What a list of an API can be asked: pages, filters and orders that were declared."""

import difflib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl

from shared.api._cursor import CURSOR, cursor_signer, mark_of, open_cursor
from shared.api._filters import Filter, FilterTerm, Problem, problem, terms_of
from shared.api._page_request import PAGE, PageRequest, PageRules
from shared.constants import FieldLimit
from shared.context import get_principal
from shared.errors import InvalidArgumentError, ValidationError

if TYPE_CHECKING:
    from shared.security import Signer

__all__ = ["Listing", "Style", "TotalPolicy"]

Style = Literal["cursor", "page"]
TotalPolicy = Literal["never", "first_page", "always"]

_SIZE: Final = "size"
_SORT: Final = "sort"
_MAX_FIELDS: Final = 500  # parameters of one query
_MAX_CURSOR: Final = 8192
_MAX_NAMED: Final = 50


class Listing:
    """The rules of one list: how it is paged, and what it may be filtered and ordered by.

    Only declared names pass; anything else in the query is a 422 that names what is
    allowed, because a filter that is silently ignored answers another question. Make one
    per route, at import; it is immutable and thread-safe.

    Args:
        filters: Name to :class:`Filter`, or just to the type of its values. The
            parameter is ``name`` for equality, else ``name__operator``.
        sort: Names to order by; ``sort=-created_at,title`` descends by the first.
        default_sort: Order when the caller has no wish.
        style: ``"cursor"`` goes on after the last item: right while items come and go,
            and fast at any depth. ``"page"`` counts pages.
        size: Items of a page unless the caller chooses.
        max_size: Most items of a page.
        max_page: Highest page of style ``"page"``: deep pages read everything before them.
        total: Whether answers tell how many items there are: ``"never"``,
            ``"first_page"`` or ``"always"``.
        also: Names of other parameters that the route reads itself.
        name: Part of what a cursor is bound to, beside order and filters.
        bind_principal: Whether a cursor is good for the caller who got it only.
        cursor_lifetime: Seconds a cursor is good for; for ever when None.
        signer: Signs the cursors; when None by ``CURSOR_SECRET_KEY`` of the settings.
        clock: Unix seconds.

    Raises:
        InvalidArgumentError: A name is taken twice, or a number makes no sense.

    Source: RFC 8288 for the ``Link`` field of the answers.

    Example:
        >>> films = Listing({"year": int}, sort=("title", "year"), default_sort="title", style="page")
        >>> films.read("year=1959&sort=-title").order_by
        ('-title',)
        >>> films.read("yaer=1959")
        Traceback (most recent call last):
            ...
        shared.errors.ValidationError: the parameters of the list are wrong: yaer
    """

    def __init__(
        self,
        filters: Mapping[str, Filter | Any] | None = None,
        *,
        sort: Iterable[str] = (),
        default_sort: str | Iterable[str] = (),
        style: Style = "cursor",
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        max_size: int = FieldLimit.PAGE_SIZE_MAX,
        max_page: int = 10_000,
        total: TotalPolicy = "never",
        also: Iterable[str] = (),
        name: str = "",
        bind_principal: bool = False,
        cursor_lifetime: float | None = None,
        signer: "Signer | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.style: Style = style
        self.size: int = size
        self.max_size: int = max_size
        self.max_page: int = max_page
        self.total: TotalPolicy = total
        self.cursor_lifetime: float | None = cursor_lifetime
        self.signer: Signer | None = signer
        self.clock: Callable[[], float] = clock
        self.sortable: tuple[str, ...] = tuple(dict.fromkeys(sort))
        self._default_sort = _names(default_sort)
        self._also = frozenset(also)
        self._name = name
        self._bind_principal = bind_principal
        self._terms: dict[str, FilterTerm] = terms_of(filters or {})
        self._position = CURSOR if style == "cursor" else PAGE
        self._own = {self._position, _SIZE} | ({_SORT} if self.sortable else set())
        self._check()

    def _check(self) -> None:
        _require(self.style in ("cursor", "page"), f"style is 'cursor' or 'page', got {self.style!r}")
        _require(
            self.total in ("never", "first_page", "always"),
            f"total is 'never', 'first_page' or 'always', got {self.total!r}",
        )
        _require(
            1 <= self.size <= self.max_size <= FieldLimit.PAGE_SIZE_MAX,
            f"size and max_size are 1 to {FieldLimit.PAGE_SIZE_MAX}, got {self.size!r} and {self.max_size!r}",
        )
        _require(1 <= self.max_page <= 10**7, f"max_page is 1 to 10000000, got {self.max_page!r}")
        lifetime = self.cursor_lifetime
        _require(lifetime is None or lifetime > 0, f"cursor_lifetime is above 0 s, or None, got {lifetime!r}")
        for each in self._default_sort:
            _require(
                each.removeprefix("-") in self.sortable or not self.sortable,
                f"default_sort {each!r} is not among the names to sort by",
            )
        taken = {*self._own, CURSOR, PAGE, _SORT} & (self._terms.keys() | self._also)
        _require(not taken, f"the names {', '.join(sorted(taken))} belong to the listing itself")
        both = self._terms.keys() & self._also
        _require(not both, f"also= names filters: {', '.join(sorted(both))}")

    @property
    def names(self) -> tuple[str, ...]:
        """Every parameter that may be given, sorted."""
        return tuple(sorted({*self._own, *self._terms, *self._also}))

    # -- a request ------------------------------------------------------------------------

    def read(self, query: str | bytes) -> PageRequest:
        """Return what a query asks for.

        Args:
            query: The part of the URL behind ``?``, as it was sent.

        Raises:
            ValidationError: A name is not declared or a value does not fit; all of them
                are in ``details["errors"]``.
            BadRequestError: The cursor was changed, is of another question, or too old.

        Example:
            >>> Listing(style="page").read("page=3&size=10").number
            3
        """
        pairs = _pairs(query)
        given: dict[str, list[str]] = {}
        for name, value in pairs:
            given.setdefault(name, []).append(value)
        problems: list[Problem] = [self._unknown(name) for name in given if not self._knows(name)]
        size = _whole(given, _SIZE, self.size, self.max_size, problems)
        number = _whole(given, PAGE, 1, self.max_page, problems) if self.style == "page" else None
        order = self._order(given.get(_SORT, []), problems)
        where: dict[str, Any] = {}
        for name, term in self._terms.items():
            if name in given:
                where[term.where], wrong = term.read(given[name])
                problems += wrong
        cursors = given.get(CURSOR, [])
        if self.style == "cursor" and len(cursors) > 1:
            problems.append(problem(CURSOR, "is given more than once", "repeated"))
        if problems:
            raise _refusal(problems, self.names)
        mark = self._mark(order, where)
        after = None
        if self.style == "cursor" and cursors:
            after = open_cursor(self.signer or cursor_signer(), cursors[0], mark, self.clock())
        rules = PageRules(self.total, self.cursor_lifetime, self.signer, self.clock)
        return PageRequest(size, number, after, where, order, rules, tuple(pairs), mark)

    def _knows(self, name: str) -> bool:
        return name in self._own or name in self._terms or name in self._also

    def _unknown(self, name: str) -> Problem:
        near = difflib.get_close_matches(name[:64], self.names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        shown = "".join(c for c in name[:64] if c.isprintable())
        return problem(shown, f"is no parameter of this list{hint}", "unknown")

    def _order(self, given: list[str], problems: list[Problem]) -> tuple[str, ...]:
        wanted = [each for text in given for each in text.split(",")] if self.sortable else []
        found: dict[str, str] = {}
        for each in wanted:
            name = each.removeprefix("-")
            if name not in self.sortable:
                allowed = ", ".join(self.sortable)
                problems.append(problem(_SORT, f"goes by {allowed}, with - in front to descend", "sort"))
                break
            found.setdefault(name, each)  # by a name again changes nothing: equals stay equals
        return tuple(found.values()) or self._default_sort

    def _mark(self, order: tuple[str, ...], where: Mapping[str, Any]) -> str:
        if self.style != "cursor":
            return ""
        who = _identity(get_principal()) if self._bind_principal else None
        return mark_of([self._name, order, sorted(where.items(), key=lambda pair: pair[0]), who])

    # -- the document ---------------------------------------------------------------------

    def parameters(self) -> list[dict[str, Any]]:
        """Return the parameters as an OpenAPI document describes them.

        Example:
            >>> [each["name"] for each in Listing({"year": int}, style="page").parameters()]
            ['page', 'size', 'year']
        """
        described: list[dict[str, Any]] = [_CURSOR_PARAMETER if self.style == "cursor" else self._page()]
        size = {"type": "integer", "minimum": 1, "maximum": self.max_size, "default": self.size}
        described.append(_parameter(_SIZE, "Items of a page.", size))
        if self.sortable:
            names = [sign + name for name in self.sortable for sign in ("", "-")]
            schema: dict[str, Any] = {"type": "array", "items": {"enum": names}, "minItems": 1}
            if self._default_sort:
                schema["default"] = list(self._default_sort)
            told = "What to order by; - in front descends."
            described.append({**_parameter(_SORT, told, schema), "style": "form", "explode": False})
        return described + [term.parameter() for term in self._terms.values()]

    def _page(self) -> dict[str, Any]:
        schema = {"type": "integer", "minimum": 1, "maximum": self.max_page, "default": 1}
        return _parameter(PAGE, "Which page.", schema)


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


_CURSOR_PARAMETER: Final = _parameter(
    CURSOR,
    "Where to go on: next_cursor of the page before; the first page when absent.",
    {"type": "string", "minLength": 1, "maxLength": _MAX_CURSOR},
)


def _names(given: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(given.split(",")) if isinstance(given, str) and given else tuple(given)


def _pairs(query: str | bytes) -> list[tuple[str, str]]:
    text = query.decode("latin-1") if isinstance(query, (bytes, bytearray)) else query
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        msg = f"the query has more than {_MAX_FIELDS} parameters"
        raise ValidationError(msg) from None


def _whole(
    given: Mapping[str, list[str]], name: str, default: int, most: int, problems: list[Problem]
) -> int:
    values = given.get(name)
    if values is None:
        return default
    text = values[0]
    if len(values) == 1 and text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most:
        return int(text)
    problems.append(problem(name, f"is a whole number from 1 to {most}", "whole"))
    return default


def _refusal(problems: list[Problem], names: tuple[str, ...]) -> ValidationError:
    fields = ", ".join(dict.fromkeys(each["field"] for each in problems[:5]))
    details: dict[str, Any] = {"errors": problems[:_MAX_NAMED]}
    if any(each["type"] == "unknown" for each in problems):
        details["allowed"] = list(names)
    return ValidationError(f"the parameters of the list are wrong: {fields}"[:300], details=details)


def _identity(principal: Any) -> str | None:
    if principal is None or isinstance(principal, str):
        return principal
    named = getattr(principal, "user_id", None) or getattr(principal, "id", None)
    return str(principal if named is None else named)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidArgumentError(message)
