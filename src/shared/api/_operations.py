"""The routes of the operators, probes and metrics, on Starlette and FastAPI."""

from typing import Any, Final

from starlette._utils import get_route_path
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import Receive, Scope, Send

__all__ = ["OperationRoutes"]

_NO_MATCH: Final[tuple[Match, Scope]] = (Match.NONE, {})


class OperationRoutes(BaseRoute):
    """Several fixed paths, found by one look-up.

    They stand in front of the application's own routes, where a catch-all cannot
    hide them; as single routes each of them would be tried for every request.
    """

    # What the index of route labels looks for in a mount.
    path = path_format = ""

    def __init__(self) -> None:
        self.app = self
        self.routes: list[Route] = []
        self._by_path: dict[str, Route] = {}

    def add(self, *routes: Route) -> None:
        """Serve *routes*, whose paths have no parameters."""
        self.routes += routes
        self._by_path = {route.path: route for route in self.routes}

    def remove(self, *routes: Route) -> None:
        """Serve them no more."""
        self.routes = [route for route in self.routes if route not in routes]
        self._by_path = {route.path: route for route in self.routes}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether one of the routes answers."""
        if scope["type"] != "http":
            return _NO_MATCH
        # The usual service is mounted nowhere: then the path is the whole path.
        route = self._by_path.get(get_route_path(scope) if scope.get("root_path") else scope["path"])
        return _NO_MATCH if route is None else route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route answer."""
        await self._by_path[get_route_path(scope)].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the route called *name*."""
        for route in self.routes:
            if route.name == name:
                return route.url_path_for(name, **path_params)
        raise NoMatchFound(name, path_params)
