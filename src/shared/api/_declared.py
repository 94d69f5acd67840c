"""What routes declare about themselves, put into an OpenAPI document."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from shared.api._listing import Listing

__all__ = ["LISTING", "DeclaredRoute", "fastapi_routes", "with_declared"]

#: Where a dependency or a function keeps the listing it reads.
LISTING: Final = "__shared_listing__"

_LINK: Final = {
    "description": "Where the other pages are, relative to this address (RFC 8288).",
    "schema": {"type": "string"},
}
_RESPONSES: Final = "#/components/responses/"


class DeclaredRoute(NamedTuple):
    """One route, and everything callable that a request to it goes through."""

    path: str
    methods: frozenset[str]
    calls: tuple[Any, ...]


def with_declared(document: dict[str, Any], routes: Iterable[DeclaredRoute]) -> dict[str, Any]:
    """Return a copy of *document* with what the routes declare: parameters of lists, and their headers."""
    document = copy.deepcopy(document)
    for route in routes:
        for method in route.methods:
            operation = document.get("paths", {}).get(route.path, {}).get(method.lower())
            if operation is not None:
                _describe(operation, route.calls)
    return document


def _describe(operation: dict[str, Any], calls: Iterable[Any]) -> None:
    for call in calls:
        listing = getattr(call, LISTING, None)
        if isinstance(listing, Listing):
            _list(operation, listing)


def _list(operation: dict[str, Any], listing: Listing) -> None:
    parameters = operation.setdefault("parameters", [])
    present = {(each.get("name"), each.get("in")) for each in parameters}
    parameters += [each for each in listing.parameters() if (each["name"], "query") not in present]
    answer = operation.get("responses", {}).get("200")
    if isinstance(answer, dict) and "$ref" not in answer:
        answer.setdefault("headers", {}).setdefault("Link", _LINK)


def fastapi_routes(routes: Iterable[Any]) -> Iterator[DeclaredRoute]:
    """Yield the routes of a FastAPI application, included routers and dependencies too."""
    from shared.api._routes import _contexts

    for route, context in _contexts(routes):
        shown = context or route
        path = getattr(shown, "path_format", None)
        if path is not None:
            calls = (getattr(shown, "endpoint", None), *_dependencies(getattr(shown, "dependant", None)))
            yield DeclaredRoute(path, frozenset(getattr(shown, "methods", None) or ()), calls)


def _dependencies(dependant: Any) -> Iterator[Any]:
    for dependency in getattr(dependant, "dependencies", ()):
        yield getattr(dependency, "call", None)
        yield from _dependencies(dependency)
