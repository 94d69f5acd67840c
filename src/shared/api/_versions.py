"""The versions of an API: which one a request speaks, and how old ones are answered by new code."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from shared.api._deprecation import Deprecation
from shared.api._exchange import UNMATCHED
from shared.errors import (
    BadRequestError,
    InvalidArgumentError,
    NotAcceptableError,
    SharedError,
    ValidationError,
)

__all__ = ["ApiVersion", "Spoken", "VersionChange", "Versions"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,19}\Z").match
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}\Z").match
_OPERATIONS: Final = ("/docs", "/health", "/live", "/metrics", "/openapi.json", "/ready", "/redoc")
# What code that expects another body than it got raises.
_MISFITS: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """One version.

    Attributes:
        name: As in the path: ``"v1"``.
        deprecated: What :func:`deprecated` made, or None.
        released: When, for the guide: ``"2025-01-01"``.
        notes: For the guide.

    Raises:
        InvalidArgumentError: The name is not 1 to 20 of ``a-z 0-9 . -``.

    Example:
        >>> ApiVersion("v2", released="2025-06-01").name
        'v2'
    """

    name: str
    deprecated: Deprecation | None = None
    released: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if not _NAME(self.name):
            msg = f"a version is called 1 to 20 of a-z 0-9 . -, got {self.name!r}"
            raise InvalidArgumentError(msg)


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What a version changed, and how callers of the version before are kept happy.

    Attributes:
        title: One line for people.
        version: Name of the version that brought it.
        routes: Templates of the routes it concerns, without version prefix:
            ``["/orders", "/orders/{order_id}"]``.
        upgrade_request: Makes of the JSON body of the version before one of *version*.
        downgrade_response: Makes of the data (of an envelope; else of the whole JSON
            document) of *version* those of the version before. Errors stay as they are.
        methods: Only these; all when empty.
        description: More about it, for the guide; Markdown.

    Hooks get a value of their own and may change it; what they return is sent. A body that
    an upgrade cannot cope with (``KeyError`` and its like) is a 422.

    Example:
        >>> change = VersionChange(
        ...     "total is called amount",
        ...     version="v2",
        ...     routes=["/orders"],
        ...     upgrade_request=lambda body: {"amount": body.pop("total"), **body},
        ... )
        >>> change.upgrade_request({"total": 3})
        {'amount': 3}
    """

    title: str
    version: str
    routes: Iterable[str]
    upgrade_request: Convert | None = None
    downgrade_response: Convert | None = None
    methods: Iterable[str] = ()
    description: str = ""

    def __post_init__(self) -> None:
        routes = (self.routes,) if isinstance(self.routes, str) else tuple(self.routes)
        object.__setattr__(self, "routes", routes)
        object.__setattr__(self, "methods", tuple(method.upper() for method in self.methods))
        if not self.routes or not all(route.startswith("/") for route in routes):
            msg = f"{self.title!r}: routes are templates such as '/orders/{{id}}', got {routes!r}"
            raise InvalidArgumentError(msg[:300])

    def concerns(self, method: str, template: str) -> bool:
        """Tell whether it changes what this route takes or gives."""
        return template in tuple(self.routes) and (not self.methods or method in tuple(self.methods))


class Spoken(NamedTuple):
    """What a request speaks, and which code answers it."""

    version: ApiVersion | None  # None: this path has no versions
    path: str  # of the code that answers
    upgrades: tuple[Convert, ...]
    downgrades: tuple[Convert, ...]


class Versions:
    """The versions of one application, the oldest first.

    A request names its version by the first segment of the path (``/v1/orders``), by a
    header, or by a media type in ``Accept``. When no route answers that path, the route of
    the next newer version that has it does: its code sees an upgraded request, the caller
    a downgraded answer. So there is one implementation, and old versions are declarations.

    Args:
        versions: Names or :class:`ApiVersion`, the oldest first.
        changes: What newer versions changed, in the order in which it happened.
        header: Name of a header that chooses the version of a path without one, such as
            ``"API-Version"``.
        media_type: Media type that chooses it, with ``{version}`` in it:
            ``"application/vnd.shop.{version}+json"``.
        default: Version of a request that names none, where *header* or *media_type* is
            given; the newest when None.
        unversioned: Paths that have no version, however *default* is: probes must not be
            answered with the 410 of a version.
        max_bytes: Largest JSON answer that is downgraded, in bytes.

    Immutable and thread-safe.

    Raises:
        InvalidArgumentError: A name is unknown or comes twice, or a value makes no sense.

    Example:
        >>> versions = Versions(["v1", "v2"], header="API-Version")
        >>> versions.newest.name, [each.name for each in versions]
        ('v2', ['v1', 'v2'])
    """

    def __init__(
        self,
        versions: Iterable[ApiVersion | str],
        *,
        changes: Iterable[VersionChange] = (),
        header: str | None = None,
        media_type: str | None = None,
        default: str | None = None,
        unversioned: Iterable[str] = _OPERATIONS,
        max_bytes: int = 10_485_760,
    ) -> None:
        known = [ApiVersion(each) if isinstance(each, str) else each for each in versions]
        self._order: dict[str, int] = {each.name: index for index, each in enumerate(known)}
        _require(bool(known), "at least one version is needed")
        _require(len(self._order) == len(known), "a version is named twice")
        self._versions = tuple(known)
        self.changes: tuple[VersionChange, ...] = tuple(changes)
        for change in self.changes:
            _require(
                self._order.get(change.version, 0) > 0,
                f"{change.title!r} was brought by {change.version!r}, which is no version with one before it",
            )
        _require(
            header is None or _HEADER(header) is not None, f"header is the name of a field, got {header!r}"
        )
        _require(
            media_type is None or media_type.count("{version}") == 1,
            f"media_type holds {{version}} once, got {media_type!r}",
        )
        _require(default is None or default in self._order, f"default {default!r} is none of the versions")
        _require(max_bytes > 0, f"max_bytes is above 0, got {max_bytes!r}")
        self.header: str | None = header
        self.media_type: str | None = media_type
        self._media = None if media_type is None else _pattern_of(media_type)
        self.default: ApiVersion = known[-1] if default is None else known[self._order[default]]
        self.max_bytes: int = max_bytes
        self._unversioned = frozenset(unversioned)

    def __iter__(self) -> Iterator[ApiVersion]:
        return iter(self._versions)

    @property
    def newest(self) -> ApiVersion:
        """The last one."""
        return self._versions[-1]

    def get(self, name: str) -> ApiVersion | None:
        """Return the version called *name*, or None."""
        index = self._order.get(name)
        return None if index is None else self._versions[index]

    # -- a request ------------------------------------------------------------------------

    def split(self, path: str) -> tuple[ApiVersion | None, str]:
        """Return the version that *path* begins with, or None, and the rest.

        Example:
            >>> version, rest = Versions(["v1"]).split("/v1/orders")
            >>> version.name, rest
            ('v1', '/orders')
        """
        first, sign, rest = path[1:].partition("/")
        found = self.get(first)
        return (None, path) if found is None else (found, sign + rest or "/")

    def speak(
        self,
        method: str,
        path: str,
        header: Callable[[str], str | None],
        route_of: Callable[[str], str],
    ) -> Spoken:
        """Return what a request speaks and who answers.

        Args:
            method: Of the request.
            path: Of the request.
            header: Returns a header of the request, or None.
            route_of: Returns the template of the route that answers a path, or ``"unmatched"``.

        Raises:
            BadRequestError: The header names no version.
            NotAcceptableError: The media type names no version.
        """
        asked, rest = self.split(path)
        version = asked or (None if path in self._unversioned else self._chosen(header))
        if version is None:
            return Spoken(None, path, (), ())
        for code, candidate in self._candidates(version, rest, prefixed=asked is not None):
            template = route_of(candidate)
            if template != UNMATCHED:
                bare = self.split(template)[1]
                return self._answered(method, version, code, candidate, bare)
        return Spoken(version if asked else None, path, (), ())

    def _candidates(self, version: ApiVersion, rest: str, *, prefixed: bool) -> list[tuple[ApiVersion, str]]:
        # A path without version is code of the newest one. With a prefix it is no candidate:
        # else /v1/metrics would be a way around a proxy that keeps /metrics to itself.
        found = [] if prefixed else [(self.newest, rest)]
        newer = self._versions[self._order[version.name] :]
        return found + [(each, f"/{each.name}{'' if rest == '/' else rest}") for each in newer]

    def _answered(
        self, method: str, version: ApiVersion, code: ApiVersion, path: str, template: str
    ) -> Spoken:
        first, last = self._order[version.name], self._order[code.name]
        concerned = [
            change
            for change in self.changes
            if first < self._order[change.version] <= last and change.concerns(method, template)
        ]
        concerned.sort(key=lambda change: self._order[change.version])
        upgrades = tuple(each.upgrade_request for each in concerned if each.upgrade_request)
        downgrades = tuple(each.downgrade_response for each in reversed(concerned) if each.downgrade_response)
        return Spoken(version, path, upgrades, downgrades)

    def _chosen(self, header: Callable[[str], str | None]) -> ApiVersion | None:
        """Return the version that a header or ``Accept`` names, else the default."""
        if self.header is not None:
            named = header(self.header)
            if named is not None:
                found = self.get(named.strip().lower())
                if found is None:
                    msg = f"{self.header} names no version of this API"
                    raise BadRequestError(msg, details={"known": list(self._order)})
                return found
        if self._media is not None:
            match = self._media(header("accept") or "")
            if match is not None:
                found = self.get(match[1].lower())
                if found is None:
                    raise NotAcceptableError(
                        "Accept names no version of this API", details={"known": list(self._order)}
                    )
                return found
        return None if self.header is None and self._media is None else self.default


def upgraded(spoken: Spoken, body: Any) -> Any:
    """Return a request's JSON as the code that answers expects it.

    Raises:
        ValidationError: A hook could not cope with it.
    """
    try:
        for convert in spoken.upgrades:
            body = convert(body)
    except SharedError:
        raise
    except _MISFITS as exc:
        name = "" if spoken.version is None else spoken.version.name
        msg = f"the body does not have the form of version {name}"
        raise ValidationError(
            msg, details={"errors": [{"field": "body", "message": msg, "type": "version"}]}
        ) from exc
    return body


def downgraded(spoken: Spoken, document: Any) -> Any:
    """Return an answer's JSON as the caller's version has it."""
    if isinstance(document, dict) and document.get("success") is True and "data" in document:
        document["data"] = _down(spoken, document["data"])
        return document
    return _down(spoken, document)


def _down(spoken: Spoken, data: Any) -> Any:
    for convert in spoken.downgrades:
        data = convert(data)
    return data


def _pattern_of(media_type: str) -> Callable[[str], re.Match[str] | None]:
    before, _, after = media_type.partition("{version}")
    return re.compile(re.escape(before) + r"([A-Za-z0-9.-]{1,20})" + re.escape(after), re.IGNORECASE).search


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidArgumentError(message)
