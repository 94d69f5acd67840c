"""The routes of the operators, probes, metrics and keys, on Flask."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, abort, request

from shared.api._flask import caller, probe_view
from shared.api._installed import installation
from shared.api._jwks import JWKS_PATH, JwksEndpoint

if TYPE_CHECKING:
    from shared.auth import KeySource
    from shared.monitoring import DetailPolicy, HealthRegistry, Metrics

__all__ = ["add_health_routes", "add_jwks_route", "add_metrics_route", "add_operations"]


def add_health_routes(
    app: Flask,
    registry: "HealthRegistry",
    *,
    health_path: str = "/health",
    ready_path: str = "/ready",
    live_path: str = "/live",
    details: "DetailPolicy" = "internal",
) -> None:
    """Answer the three probes; see :class:`shared.monitoring.HealthEndpoints`.

    Idempotent; a path that the application already serves keeps its own answer.
    After :func:`uninstall` the paths answer 404: Flask cannot forget a rule.

    Args:
        app: The application.
        registry: Whose checks and lifecycle decide.
        health_path: Path of the full report.
        ready_path: Path of the readiness probe.
        live_path: Path of the liveness probe.
        details: Who sees the parts: ``"always"``, ``"never"`` or ``"internal"`` callers.

    Example:
        >>> from flask import Flask
        >>> from shared.monitoring import HealthRegistry
        >>> app = Flask("docs")
        >>> add_health_routes(app, HealthRegistry(), details="never")
    """
    from shared.monitoring import HealthEndpoints

    record = installation(app)
    if record.find("health routes", None) is not None:
        return
    endpoints = HealthEndpoints(registry, details=details)
    views: dict[str, tuple[str, Callable[[], Any]]] = {
        "shared_health": (health_path, lambda: endpoints.health(**caller())),
        "shared_ready": (ready_path, lambda: endpoints.ready(**caller())),
        "shared_live": (live_path, endpoints.live),
    }
    add_operations(app, "health routes", views)


def add_metrics_route(app: Flask, metrics: "Metrics", *, path: str = "/metrics") -> None:
    """Answer the scrapes of Prometheus; see :meth:`shared.monitoring.Metrics.expose`.

    Idempotent; a path that the application already serves keeps its own answer.

    Args:
        app: The application.
        metrics: What is told.
        path: Where.

    Example:
        >>> from flask import Flask
        >>> from shared.monitoring import Metrics
        >>> app = Flask("docs")
        >>> add_metrics_route(app, Metrics("docs"))
        >>> app.test_client().get("/metrics").status_code
        200
    """
    if installation(app).find("metrics route", None) is None:

        def probe() -> Any:
            return metrics.expose(caller()["accept"])

        add_operations(app, "metrics route", {"shared_metrics": (path, probe)})


def add_jwks_route(app: Flask, keys: "KeySource", *, path: str = JWKS_PATH, max_age: int = 300) -> None:
    """Publish the public keys by which others verify the tokens of this service.

    See :func:`shared.api.starlette.add_jwks_route`.

    Args:
        app: The application.
        keys: The issuer's keys, such as :func:`shared.auth.get_key_source` returns.
        path: Where.
        max_age: Seconds that caches may keep the answer.

    Raises:
        ConfigurationError: The keys are another issuer's, or *max_age* is below 0.

    Example:
        >>> from flask import Flask
        >>> from shared.auth import Key, KeyRing
        >>> app = Flask("docs")
        >>> add_jwks_route(app, KeyRing([Key.generate("EdDSA")]))
        >>> app.test_client().get("/.well-known/jwks.json").json["keys"][0]["kty"]
        'OKP'
    """
    if installation(app).find("jwks route", None) is None:
        endpoint = JwksEndpoint(keys, max_age=max_age)

        def probe() -> Any:
            return endpoint.answer(request.headers.get("If-None-Match"))

        add_operations(app, "jwks route", {"shared_jwks": (path, probe)})


def add_operations(
    app: Flask, part: str, views: dict[str, tuple[str, Callable[[], Any]]], value: Any = None
) -> None:
    """Serve *views*, by name of the endpoint, as *part* of the installation."""
    taken = {rule.rule for rule in app.url_map.iter_rules()}
    for name, (path, probe) in views.items():
        if name in app.view_functions:  # left by an earlier uninstall()
            app.view_functions[name] = probe_view(probe)
        elif path not in taken:
            app.add_url_rule(path, name, probe_view(probe), methods=["GET"])

    def undo() -> None:
        for name in views:
            if name in app.view_functions:
                app.view_functions[name] = lambda: abort(404)

    installation(app).add(part, views if value is None else value, undo)
