"""The routes of the operators, probes, metrics and keys, on Starlette and FastAPI."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route

from shared.api._installed import installation
from shared.api._jwks import JWKS_PATH, JwksEndpoint
from shared.api._operations import OperationRoutes
from shared.api._starlette import health_views, jwks_view, metrics_view

if TYPE_CHECKING:
    from shared.auth import KeySource
    from shared.monitoring import DetailPolicy, HealthRegistry, Metrics

__all__ = [
    "add_health_routes",
    "add_jwks_route",
    "add_metrics_route",
    "add_operations",
    "remove_operations",
]


def add_health_routes(
    app: Starlette,
    registry: "HealthRegistry",
    *,
    health_path: str = "/health",
    ready_path: str = "/ready",
    live_path: str = "/live",
    details: "DetailPolicy" = "internal",
) -> None:
    """Answer the three probes; see :class:`shared.monitoring.HealthEndpoints`.

    Idempotent; a path that the application already serves keeps its own answer.

    Args:
        app: The application.
        registry: Whose checks and lifecycle decide.
        health_path: Path of the full report.
        ready_path: Path of the readiness probe.
        live_path: Path of the liveness probe.
        details: Who sees the parts: ``"always"``, ``"never"`` or ``"internal"`` callers.

    Example:
        >>> from starlette.applications import Starlette
        >>> from shared.monitoring import HealthRegistry
        >>> app = Starlette()
        >>> add_health_routes(app, HealthRegistry(), details="never")
    """
    record = installation(app)
    if record.find("health routes", None) is not None:
        return
    views = health_views(registry, details)
    paths = {"health": health_path, "ready": ready_path, "live": live_path}
    routes = add_operations(app, {path: (f"shared_{name}", views[name]) for name, path in paths.items()})
    record.add("health routes", routes, partial(remove_operations, app, routes))


def add_metrics_route(app: Starlette, metrics: "Metrics", *, path: str = "/metrics") -> None:
    """Answer the scrapes of Prometheus; see :meth:`shared.monitoring.Metrics.expose`.

    Idempotent; a path that the application already serves keeps its own answer.

    Args:
        app: The application.
        metrics: What is told.
        path: Where.

    Example:
        >>> from starlette.applications import Starlette
        >>> from shared.monitoring import Metrics
        >>> app = Starlette()
        >>> add_metrics_route(app, Metrics("docs"))
    """
    record = installation(app)
    if record.find("metrics route", None) is not None:
        return

    routes = add_operations(app, {path: ("shared_metrics", metrics_view(metrics))})
    record.add("metrics route", routes, partial(remove_operations, app, routes))


def add_jwks_route(app: Starlette, keys: "KeySource", *, path: str = JWKS_PATH, max_age: int = 300) -> None:
    """Publish the public keys by which others verify the tokens of this service.

    Idempotent; a path that the application already serves keeps its own answer.

    Args:
        app: The application.
        keys: The issuer's keys, such as :func:`shared.auth.get_key_source` returns.
        path: Where.
        max_age: Seconds that caches may keep the answer.

    Raises:
        ConfigurationError: The keys are another issuer's, or *max_age* is below 0.

    Example:
        >>> from shared.auth import Key, KeyRing
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> add_jwks_route(app, KeyRing([Key.generate("EdDSA")]))
    """
    record = installation(app)
    if record.find("jwks route", None) is not None:
        return
    routes = add_operations(app, {path: ("shared_jwks", jwks_view(JwksEndpoint(keys, max_age=max_age)))})
    record.add("jwks route", routes, partial(remove_operations, app, routes))


def add_operations(app: Starlette, views: Mapping[str, tuple[str, Any]]) -> list[Route]:
    """Serve *views* in front of everything: a catch-all or a mount at "/" must not hide them."""
    record = installation(app)
    front: OperationRoutes | None = record.find("operations", None)
    taken = {getattr(route, "path", None) for route in app.router.routes}
    routes = [
        Route(path, view, methods=["GET"], name=name, include_in_schema=False)
        for path, (name, view) in views.items()
        if path not in taken
    ]
    if front is None:
        front = OperationRoutes()
        app.router.routes.insert(0, front)
        record.add("operations", front, partial(_remove_front, app, front))
    front.add(*routes)
    return routes


def remove_operations(app: Starlette, routes: list[Route]) -> None:
    """Serve *routes* no more."""
    front: OperationRoutes | None = installation(app).find("operations", None)
    if front is not None:
        front.remove(*routes)


def _remove_front(app: Starlette, front: OperationRoutes) -> None:
    app.router.routes[:] = [route for route in app.router.routes if route is not front]
