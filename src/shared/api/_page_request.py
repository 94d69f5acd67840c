"""One request for a page: what to look for, and how the answer tells where the others are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from shared.api._cursor import CURSOR, cursor_signer, seal_cursor
from shared.api._envelope import Success
from shared.constants import Header
from shared.errors import InvalidArgumentError

if TYPE_CHECKING:
    from shared.security import Signer

__all__ = ["PAGE", "PageRequest", "PageRules"]

PAGE: Final = "page"
_MAX_LINK: Final = 4096  # characters; proxies refuse answers with longer fields
_AS_IT_IS: Final[Callable[[Any], Any]] = lambda item: item  # noqa: E731


class PageRules(NamedTuple):
    """What the answer to a request for a page is made by."""

    total: str  # "never", "first_page", "always"
    cursor_lifetime: float | None  # seconds
    signer: "Signer | None"
    clock: Callable[[], float]  # Unix seconds


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asked of a :class:`Listing`, checked.

    Attributes:
        size: Items of a page.
        number: Which page, from 1; None for a listing by cursor.
        after: Where the page begins, as the repository knows it; None at the beginning.
        where: Filters as :class:`shared.database.Repository` takes them.
        order_by: Order as :class:`shared.database.Repository` takes it.

    Example:
        >>> from shared.api import Filter, Listing
        >>> films = Listing({"year": Filter(int, ("eq", "ge"))}, sort=("title", "year"), style="page")
        >>> request = films.read("year__ge=1950&sort=-year&page=2")
        >>> request.number, request.where, request.order_by
        (2, {'year__ge': 1950}, ('-year',))
    """

    size: int
    number: int | None
    after: str | None
    where: Mapping[str, Any]
    order_by: tuple[str, ...]
    _rules: PageRules = field(repr=False)
    _query: tuple[tuple[str, str], ...] = field(repr=False)
    _mark: str = field(repr=False)

    @property
    def wants_total(self) -> bool:
        """Whether this page tells how many items there are in all."""
        total = self._rules.total
        return total == "always" or (
            total == "first_page" and self.number in (None, 1) and self.after is None
        )

    # -- from a repository ----------------------------------------------------------------

    def find_in(
        self,
        repository: Any,
        session: Any,
        *,
        where: Mapping[str, Any] | None = None,
        show: Callable[[Any], Any] = _AS_IT_IS,
    ) -> Success:
        """Return the page out of a :class:`shared.database.Repository`.

        Args:
            repository: Where to look.
            session: Of the caller.
            where: Further filters, which the caller cannot choose: they win.
            show: Makes of a row what is sent.

        Raises:
            ValidationError: The repository refuses a filter, an order or a value.
        """
        sought = {**self.where, **(where or {})}
        if self.number is not None:
            count = "exact" if self.wants_total else "none"
            page = repository.page(
                session, self.number, size=self.size, where=sought, order_by=self.order_by, count=count
            )
            return self.answer(page, show=show)
        page = repository.keyset(
            session, after=self.after, size=self.size, where=sought, order_by=self.order_by
        )
        total = repository.count(session, where=sought) if self.wants_total else None
        return self.answer(page, total=total, show=show)

    async def afind_in(
        self,
        repository: Any,
        session: Any,
        *,
        where: Mapping[str, Any] | None = None,
        show: Callable[[Any], Any] = _AS_IT_IS,
    ) -> Success:
        """As :meth:`find_in`, of an :class:`shared.database.AsyncRepository`.

        Raises:
            ValidationError: As :meth:`find_in`.
        """
        sought = {**self.where, **(where or {})}
        if self.number is not None:
            count = "exact" if self.wants_total else "none"
            page = await repository.page(
                session, self.number, size=self.size, where=sought, order_by=self.order_by, count=count
            )
            return self.answer(page, show=show)
        page = await repository.keyset(
            session, after=self.after, size=self.size, where=sought, order_by=self.order_by
        )
        total = await repository.count(session, where=sought) if self.wants_total else None
        return self.answer(page, total=total, show=show)

    # -- from elsewhere -------------------------------------------------------------------

    def cut(self, items: Sequence[Any], *, show: Callable[[Any], Any] = _AS_IT_IS) -> Success:
        """Return the page out of a list in memory, filtered and ordered already.

        Raises:
            InvalidArgumentError: The listing goes by cursor: a list has none.

        Example:
            >>> from shared.api import Listing
            >>> Listing(style="page", size=2).read("page=2").cut(["a", "b", "c"]).data
            ['c']
        """
        if self.number is None:
            raise InvalidArgumentError("a list in memory has no cursors: declare Listing(style='page')")
        start = (self.number - 1) * self.size
        total = len(items)
        return self._numbered(
            [show(item) for item in items[start : start + self.size]],
            total if self.wants_total else None,
            more=start + self.size < total,
        )

    def answer(
        self, page: Any, *, total: int | None = None, show: Callable[[Any], Any] = _AS_IT_IS
    ) -> Success:
        """Return the answer for a page that was found.

        Args:
            page: Has ``items`` and, by the style of the listing, ``has_next`` (and
                ``total``) or ``next_cursor``: pages of :mod:`shared.database` and
                :func:`shared.utils.paginate`, or your own.
            total: Items in all, where *page* does not say.
            show: Makes of an item what is sent.
        """
        items = [show(item) for item in page.items]
        if total is None and self.wants_total:
            total = getattr(page, "total", None)
        if self.number is not None:
            return self._numbered(items, total, more=bool(page.has_next))
        return self._after(items, total, page.next_cursor)

    def _numbered(self, items: list[Any], total: int | None, *, more: bool) -> Success:
        number = self.number or 1
        meta: dict[str, Any] = {"page": number, "size": self.size}
        pages = None
        if total is not None:
            pages = -(-total // self.size)
            meta |= {"total": total, "pages": pages}
        meta |= {"has_next": more, "has_prev": number > 1}
        links: list[tuple[str, str | None]] = [("first", None)]
        if number > 1:
            links.append(("prev", None if number == 2 else str(number - 1)))
        if more:
            links.append(("next", str(number + 1)))
        if pages:
            links.append(("last", None if pages == 1 else str(pages)))
        return self._told(items, meta, [(rel, PAGE, value) for rel, value in links])

    def _after(self, items: list[Any], total: int | None, next_cursor: str | None) -> Success:
        cursor = None
        if next_cursor is not None:
            rules = self._rules
            lifetime = rules.cursor_lifetime
            expires = None if lifetime is None else rules.clock() + lifetime
            cursor = seal_cursor(rules.signer or cursor_signer(), next_cursor, self._mark, expires)
        meta: dict[str, Any] = {"size": self.size, "next_cursor": cursor}
        if total is not None:
            meta["total"] = total
        links: list[tuple[str, str, str | None]] = [("first", CURSOR, None)]
        if cursor is not None:
            links.append(("next", CURSOR, cursor))
        return self._told(items, meta, links)

    def _told(
        self, items: list[Any], meta: dict[str, Any], links: list[tuple[str, str, str | None]]
    ) -> Success:
        text = ", ".join(f'<{self._target(name, value)}>; rel="{rel}"' for rel, name, value in links)
        headers = ((str(Header.LINK), text),) if len(text) <= _MAX_LINK else ()
        return Success(items, meta=meta, headers=headers)

    def _target(self, name: str, value: str | None) -> str:
        # Relative to the address that was asked: right behind every proxy and prefix (RFC 3986, 5.2.2).
        pairs = [(key, text) for key, text in self._query if key != name]
        if value is not None:
            pairs.append((name, value))
        return "?" + urlencode(pairs)
