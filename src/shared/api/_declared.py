"""What routes declare about themselves, put into an OpenAPI document."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from shared.api._deprecation import DEPRECATED, Deprecation
from shared.api._documented import operation_of
from shared.api._error_refs import reference
from shared.api._installed import Installation
from shared.api._limit_rule import RULES, RateLimitRule
from shared.api._limits import RateLimits
from shared.api._listing import Listing
from shared.api._routes import RouteIndex
from shared.api._versions import Versions

__all__ = [
    "DEPRECATION_HEADERS",
    "LIMIT_HEADERS",
    "LISTING",
    "METHODS",
    "DeclaredRoute",
    "declared_for",
    "declared_routes",
    "deprecated_routes",
    "with_declared",
]

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")

#: Where a dependency or a function keeps the listing it reads.
LISTING: Final = "__shared_listing__"

_LINK: Final = {
    "description": "Where the other pages are, relative to this address (RFC 8288).",
    "schema": {"type": "string"},
}
LIMIT_HEADERS: Final[dict[str, Any]] = {
    "RateLimit": {"description": "Permits left, and seconds.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "Quota and window of each limit.", "schema": {"type": "string"}},
}
DEPRECATION_HEADERS: Final[dict[str, Any]] = {
    "Deprecation": {
        "description": "When it became, or becomes, deprecated: @ and Unix seconds (RFC 9745).",
        "schema": {"type": "string", "pattern": "^@[0-9]+$"},
    },
    "Sunset": {"description": "When it is switched off (RFC 8594).", "schema": {"type": "string"}},
    "Link": {"description": "What takes its place, and what to read.", "schema": {"type": "string"}},
}


class DeclaredRoute(NamedTuple):
    """One route, and everything callable that a request to it goes through."""

    path: str
    methods: frozenset[str]
    calls: tuple[Any, ...]


def declared_for(record: Installation) -> dict[str, Any]:
    """Return what the installed layer declares for all routes, as arguments of :func:`with_declared`."""
    layer = record.find("layer", None)
    jobs = () if layer is None else layer.jobs
    limited = any(isinstance(job, RateLimits) and job.limits_all for job in jobs)
    return {"limited": limited, "versions": record.find("versions", None)}


def with_declared(
    document: dict[str, Any],
    routes: Iterable[DeclaredRoute],
    *,
    limited: bool = False,
    versions: Versions | None = None,
) -> dict[str, Any]:
    """Return a copy of *document* with what routes and layer declare.

    Args:
        document: An OpenAPI document.
        routes: What to look at.
        limited: Whether every route is limited.
        versions: Of the application, or None.
    """
    document = copy.deepcopy(document)
    paths = document.get("paths", {})
    for route in routes:
        for method in route.methods:
            operation = paths.get(route.path, {}).get(method.lower())
            if operation is not None:
                _describe(operation, route.calls)
    for path, operations in paths.items():
        version = None if versions is None else versions.split(path)[0]
        for operation in (operations[method] for method in METHODS if method in operations):
            if limited:
                _add_headers(operation, LIMIT_HEADERS)
            if version is not None and version.deprecated is not None:
                _deprecate(operation, version.deprecated)
            if versions is not None and versions.header is not None and version is None:
                _choose(operation, versions)
    return document


def _describe(operation: dict[str, Any], calls: Iterable[Any]) -> None:
    for call in calls:
        listing = getattr(call, LISTING, None)
        if isinstance(listing, Listing):
            _list(operation, listing)
        told = operation_of(call)
        if told is not None:
            if told.listing is not None:
                _list(operation, told.listing)
            for status in told.errors:
                operation.setdefault("responses", {}).setdefault(str(status), reference(status))
        rule = _deprecation_of(call)
        if rule is not None:
            _deprecate(operation, rule)
        if isinstance(getattr(call, "__self__", call), RateLimitRule) or getattr(call, RULES, None):
            _add_headers(operation, LIMIT_HEADERS)


def _list(operation: dict[str, Any], listing: Listing) -> None:
    parameters = operation.setdefault("parameters", [])
    present = {(each.get("name"), each.get("in")) for each in parameters}
    parameters += [each for each in listing.parameters() if (each["name"], "query") not in present]
    _add_headers(operation, {"Link": _LINK})


def _deprecate(operation: dict[str, Any], rule: Deprecation) -> None:
    operation["deprecated"] = True
    if rule.reason:
        operation.setdefault("x-deprecation-reason", rule.reason)
    _add_headers(operation, DEPRECATION_HEADERS)
    if rule.sunset is not None and rule.retire:
        operation.setdefault("responses", {}).setdefault("410", reference(410))


def _choose(operation: dict[str, Any], versions: Versions) -> None:
    names = [version.name for version in versions]
    operation.setdefault("parameters", []).append(
        {
            "name": versions.header,
            "in": "header",
            "required": False,
            "description": "Version that the request speaks.",
            "schema": {"enum": names, "default": versions.default.name},
        }
    )


def _add_headers(operation: dict[str, Any], headers: dict[str, Any]) -> None:
    for status, answer in operation.get("responses", {}).items():
        if str(status).startswith("2") and "$ref" not in answer:
            answer["headers"] = {**headers, **answer.get("headers", {})}


def declared_routes(app: Any) -> Iterator[DeclaredRoute]:
    """Yield the routes of a FastAPI, Starlette or Flask application, mounts, routers and dependencies too."""
    rules = getattr(app, "url_map", None)
    if rules is None:
        for path, route, endpoint in RouteIndex(app.router).leaves():
            methods = frozenset(getattr(route, "methods", None) or ())
            yield DeclaredRoute(path, methods, (endpoint, *_dependencies(getattr(route, "dependant", None))))
        return
    from shared.api._flask import template_of

    for rule in rules.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        yield DeclaredRoute(template_of(rule.rule), frozenset(rule.methods or ()), (view,))


def deprecated_routes(app: Any) -> dict[str, Deprecation]:
    """Return what goes away of *app*, by method and template."""
    found: dict[str, Deprecation] = {}
    for route in declared_routes(app):
        for rule in filter(None, map(_deprecation_of, route.calls)):
            methods = route.methods - {"HEAD", "OPTIONS"} or route.methods
            found.update({f"{method} {route.path}": rule for method in sorted(methods)})
    return found


def _deprecation_of(call: Any) -> Deprecation | None:
    rule = call if isinstance(call, Deprecation) else getattr(call, DEPRECATED, None)
    return rule if isinstance(rule, Deprecation) else None


def _dependencies(dependant: Any) -> Iterator[Any]:
    for dependency in getattr(dependant, "dependencies", ()):
        yield getattr(dependency, "call", None)
        yield from _dependencies(dependency)
