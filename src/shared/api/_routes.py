"""From a finished ASGI scope to the template of its route. Bounded by the routes that exist."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from re import Pattern
from typing import Any, Final, NamedTuple

from shared.api._exchange import UNMATCHED

__all__ = ["RouteIndex"]

_MAX_DEPTH: Final = 8  # mounts inside mounts; guards against an app mounted into itself
_MAX_REBUILDS: Final = 100  # an application that makes a route per request gets "unmatched" in the end


class _Leaf(NamedTuple):
    template: str
    route: Any
    is_router: bool  # a mount whose own router found nothing


class RouteIndex:
    """Finds route templates for one Starlette or FastAPI application.

    Frameworks differ, by version, in what they leave in the scope: the matched
    route, FastAPI's effective route of an included router, or only the endpoint.
    The endpoint is always the last match, so it leads; the route object and, for
    an application mounted twice, the path choose between several.

    Args:
        router: The outermost router; its routes may still grow.
    """

    def __init__(self, router: Any) -> None:
        self._router = router
        self._by_endpoint: dict[int, tuple[_Leaf, ...]] = {}
        self._by_route: dict[tuple[int, int], tuple[_Leaf, ...]] = {}
        self._kept: list[Any] = []  # keeps endpoints alive: their id() is the key
        self._rebuilds = 0

    def __call__(self, scope: Any, status: int) -> str:
        """Return the template, such as ``/orders/{id}``; ``"unmatched"`` when no route answered."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return UNMATCHED
        leaves = self._by_endpoint.get(id(endpoint))
        if leaves is None:
            leaves = self._rebuild(endpoint)
        if len(leaves) > 1:
            leaves = self._choose(leaves, scope)
        if not leaves:
            return UNMATCHED
        leaf = leaves[0]
        return UNMATCHED if leaf.is_router and status in (404, 307, 403) else leaf.template

    def _choose(self, leaves: tuple[_Leaf, ...], scope: Any) -> tuple[_Leaf, ...]:
        route = scope.get("route")
        fastapi = scope.get("fastapi")
        effective = fastapi.get("effective_route_context") if isinstance(fastapi, dict) else None
        if effective is not None and getattr(effective, "original_route", None) is route:
            route = effective
        found = self._by_route.get((id(leaves), id(route)))
        if found is not None:
            return found
        same = tuple(leaf for leaf in leaves if leaf.route is route) or leaves
        if len(same) == 1 and route is not None:
            # Both are kept alive by the index, so their ids stay theirs.
            self._by_route[id(leaves), id(route)] = same
            return same
        path = scope["path"]
        for loose in (False, True):
            for leaf in same:
                if _pattern(leaf.template, loose).match(path):
                    return (leaf,)
        return same[:1]

    def templates(self) -> tuple[str, ...]:
        """Return every template there is, sorted."""
        found = {leaf.template for _, leaf in self._walk(self._router, "", 0) if not leaf.is_router}
        return tuple(sorted(found))

    def _rebuild(self, endpoint: Any) -> tuple[_Leaf, ...]:
        if self._rebuilds >= _MAX_REBUILDS:
            return ()
        self._rebuilds += 1
        index: dict[int, tuple[_Leaf, ...]] = {}
        kept = []
        for found, leaf in self._walk(self._router, "", 0):
            index[id(found)] = (*index.get(id(found), ()), leaf)
            kept.append(found)
        if id(endpoint) not in index:
            # Not reachable from the router: remember that, or each request would walk.
            index[id(endpoint)] = ()
            kept.append(endpoint)
        self._by_endpoint, self._kept, self._by_route = index, kept, {}
        return index[id(endpoint)]

    def _walk(self, router: Any, prefix: str, depth: int) -> Iterator[tuple[Any, _Leaf]]:
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
                yield endpoint, _Leaf(prefix + path, effective or route, is_router=False)
            elif inner is not None and path is not None:  # a mount
                below = bool(getattr(shown, "routes", None))
                yield inner, _Leaf(prefix + path, shown, is_router=below)
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
