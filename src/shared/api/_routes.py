"""From a finished ASGI scope to the template of its route. Bounded by the routes that exist."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from re import Pattern
from typing import Any, Final, NamedTuple

from shared.api._exchange import UNMATCHED

__all__ = ["RouteIndex"]

_MAX_DEPTH: Final = 8  # mounts inside mounts; guards against an app mounted into itself
_MAX_EXPECTED: Final = 1024  # paths whose template is remembered
_MAX_REBUILDS: Final = 100  # an application that makes a route per request gets "unmatched" in the end


class _Leaf(NamedTuple):
    template: str
    route: Any
    endpoint: Any
    is_router: bool  # a mount whose own router found nothing


class RouteIndex:
    """Finds route templates for one Starlette or FastAPI application.

    Frameworks differ, by version, in what they leave in the scope: the matched
    route, FastAPI's effective route of an included router, or only the endpoint.
    The endpoint is always that of the last match; a route counts when its endpoint
    is that one, and the path chooses for an application that is mounted twice.

    Args:
        router: The outermost router; its routes may still grow.
    """

    def __init__(self, router: Any) -> None:
        self._router = router
        # By id(); the leaves keep routes and endpoints alive, so ids are not reused.
        self._by_route: dict[int, tuple[_Leaf, ...]] = {}
        self._by_endpoint: dict[int, tuple[_Leaf, ...]] = {}
        self._strangers: list[Any] = []
        self._rebuilds = 0
        self._expected: dict[str, str] = {}
        self._leaves: tuple[_Leaf, ...] = ()

    def __call__(self, scope: Any, status: int) -> str:
        """Return the template, such as ``/orders/{id}``; ``"unmatched"`` when no route answered."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return UNMATCHED
        route = scope.get("route")
        fastapi = scope.get("fastapi")
        if fastapi is not None:
            effective = fastapi.get("effective_route_context")
            if effective is not None and effective.original_route is route:
                route = effective
        leaves = self._by_route.get(id(route))
        if leaves is None or leaves[0].endpoint is not endpoint:
            leaves = self._by_endpoint.get(id(endpoint))
            if leaves is None:
                leaves = self._rebuild(endpoint)
        if len(leaves) != 1:
            leaves = self._choose(leaves, scope["path"])
            if not leaves:
                return UNMATCHED
        leaf = leaves[0]
        return UNMATCHED if leaf.is_router and status in (404, 307, 403) else leaf.template

    def _choose(self, leaves: tuple[_Leaf, ...], path: str) -> tuple[_Leaf, ...]:
        for loose in (False, True):
            for leaf in leaves:
                if _pattern(leaf.template, loose).match(path):
                    return (leaf,)
        return leaves[:1]

    def expected(self, path: str) -> str:
        """Return the template of the first route that fits *path*, before the router has chosen."""
        found = self._expected.get(path)
        if found is None:
            found = self._first_fit(path)
            if found == UNMATCHED and self._rebuilds < _MAX_REBUILDS:  # perhaps a route made since
                self._rebuilds += 1
                self._leaves = tuple(leaf for leaf in self._walk(self._router, "", 0) if not leaf.is_router)
                found = self._first_fit(path)
            if len(self._expected) >= _MAX_EXPECTED:
                self._expected.clear()
            self._expected[path] = found
        return found

    for_path = expected

    def _first_fit(self, path: str) -> str:
        for loose in (False, True):
            for leaf in self._leaves:
                if _pattern(leaf.template, loose).match(path):
                    return leaf.template
        return UNMATCHED

    def templates(self) -> tuple[str, ...]:
        """Return every template there is, sorted."""
        found = {leaf.template for leaf in self._walk(self._router, "", 0) if not leaf.is_router}
        return tuple(sorted(found))

    def operations(self) -> tuple[tuple[str, str], ...]:
        """Return method and template of every route that answers methods, sorted."""
        found: set[tuple[str, str]] = set()
        for leaf in self._walk(self._router, "", 0):
            methods = getattr(leaf.route, "methods", None) or ()
            found.update((str(method), leaf.template) for method in methods)
        return tuple(sorted(found))

    def methods_for(self, path: str) -> tuple[str, ...]:
        """Return every method that some route answers at *path*, sorted."""
        found: set[str] = set()
        for leaf in self._walk(self._router, "", 0):
            if not leaf.is_router and _pattern(leaf.template, loose=False).match(path):
                found.update(getattr(leaf.route, "methods", None) or ())
        return tuple(sorted(found))

    def leaves(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield template, route and endpoint of every route that answers."""
        for leaf in self._walk(self._router, "", 0):
            if not leaf.is_router:
                yield leaf.template, leaf.route, leaf.endpoint

    def _rebuild(self, endpoint: Any) -> tuple[_Leaf, ...]:
        if self._rebuilds >= _MAX_REBUILDS:
            return ()
        self._rebuilds += 1
        by_route: dict[int, tuple[_Leaf, ...]] = {}
        by_endpoint: dict[int, tuple[_Leaf, ...]] = {}
        for leaf in self._walk(self._router, "", 0):
            for index, key in ((by_route, id(leaf.route)), (by_endpoint, id(leaf.endpoint))):
                index[key] = (*index.get(key, ()), leaf)
        if id(endpoint) not in by_endpoint:
            # Not reachable from the router: remember that, or each request would walk.
            self._strangers.append(endpoint)
        for stranger in self._strangers:
            by_endpoint.setdefault(id(stranger), ())
        self._by_route, self._by_endpoint = by_route, by_endpoint
        return by_endpoint[id(endpoint)]

    def _walk(self, router: Any, prefix: str, depth: int) -> Iterator[_Leaf]:
        if depth > _MAX_DEPTH:
            return
        for route, effective in _contexts(getattr(router, "routes", None) or ()):
            shown = getattr(effective, "starlette_route", None) or effective or route
            path = getattr(shown, "path_format", None)
            endpoint = getattr(shown, "endpoint", None)
            inner = getattr(shown, "app", None)
            if getattr(shown, "host", None) is not None and endpoint is None:
                yield from self._walk(inner, prefix, depth + 1)
            elif endpoint is not None and path is not None:
                yield _Leaf(prefix + path, effective or route, endpoint, is_router=False)
            elif inner is not None and path is not None:  # a mount
                below = bool(getattr(shown, "routes", None))
                yield _Leaf(prefix + path, shown, inner, is_router=below)
                yield from self._walk(shown, prefix + path.removesuffix("/{path}"), depth + 1)


def _contexts(routes: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield routes with FastAPI's effective context, where the router keeps one (0.137 and later)."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route, None
        else:
            for context in contexts():
                yield context.original_route, context


@lru_cache(maxsize=1024)
def _pattern(template: str, loose: bool) -> Pattern[str]:
    """Return a pattern for paths of *template*; loose: a parameter may span several segments."""
    parts = re.split(r"\{[^{}]*\}", template)
    return re.compile((".+" if loose else "[^/]+").join(map(re.escape, parts)) + r"\Z")
