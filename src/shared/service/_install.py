"""``install(app)``: one call for FastAPI, Starlette and Flask."""

import atexit
import weakref
from collections.abc import Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.errors import ConfigurationError
from shared.runtime import use
from shared.service._alerts import add_alerts
from shared.service._auth import add_auth, add_jwks, document_auth
from shared.service._database import add_database
from shared.service._edge import left_out, note_edge
from shared.service._errors import add_error_tracking
from shared.service._explain import Explanation, Part
from shared.service._flags import add_flags
from shared.service._idempotency import add_idempotency
from shared.service._limits import add_limits
from shared.service._observe import add_http_metrics, add_metrics, add_resilience
from shared.service._process import add_disks, add_event_loop, add_report
from shared.service._redis import add_redis
from shared.service._service import Service
from shared.service._storage import add_storage
from shared.service._tracing import add_tracing

if TYPE_CHECKING:
    from shared.api import LayerOptions
    from shared.auth import Authenticator
    from shared.monitoring import SLO, Alert
    from shared.service._service import Check, SettingsLike

__all__ = ["PARTS", "explain", "install", "installed", "uninstall"]

A = TypeVar("A")

PARTS: Final = (
    "settings",
    "logging",
    "tracing",
    "request_layer",
    "access_log",
    "security_headers",
    "body_limit",
    "cors",
    "csrf",
    "content_types",
    "time_limit",
    "auth",
    "rate_limits",
    "feature_flags",
    "errors",
    "jwks",
    "idempotency",
    "error_tracking",
    "resilience",
    "metrics",
    "alerts",
    "event_loop",
    "database",
    "redis",
    "storage",
    "report",
    "health",
    "drain",
)
"""What ``install()`` adds; every part but ``settings`` can be left out by ``without=``."""

_OPTIONAL: Final = PARTS[1:]
_LAYER_PARTS: Final = {
    "access_log": ("one line per request", ("LOG_ACCESS", "LOG_ACCESS_SAMPLE", "LOG_SLOW_REQUEST_SECONDS")),
    "security_headers": ("security headers, by path", ("SECURITY_HEADERS", "DOCS_PATHS")),
    "body_limit": ("413 for larger bodies, declared or streamed", ("MAX_BODY_BYTES",)),
}


def install(
    app: A,
    settings: "SettingsLike" = None,
    *,
    service: str | None = None,
    checks: "Iterable[Check]" = (),
    authenticators: "Iterable[Authenticator | str]" = (),
    alerts: "Iterable[Alert | SLO]" = (),
    without: Iterable[str] = (),
) -> A:
    """Make *app* a service: settings, logs, ids, errors, headers, limits, health, drain.

    The application keeps its type and is returned. Calling again with the same
    arguments changes nothing.

    Args:
        app: A FastAPI, Starlette or Flask application.
        settings: The service's settings: an instance, a subclass of ``Settings``
            that is built now, or None for the settings in force.
        service: Name in logs, metrics and health; overrides ``SERVICE_NAME``.
        checks: Health checks: ``(name, callable)`` pairs, which are critical, or
            :class:`~shared.monitoring.HealthCheck` objects.
        authenticators: Ways to prove who one is, in order: objects of :mod:`shared.auth`,
            or ``"bearer"``, ``"api_key"``, ``"session"``, ``"gateway"`` as the settings
            have them; those of ``AUTHENTICATORS`` when none are given.
        alerts: Alerts and SLOs of :mod:`shared.monitoring`, looked at while the service
            runs and told to the log and to ``ALERT_WEBHOOK_URL``.
        without: Names from :data:`PARTS` to leave out.

    Raises:
        ConfigurationError: The settings are wrong, *app* is no application of the
            three kinds, a name in *without* is unknown, or *app* is installed
            already with other arguments.

    Example:
        >>> from flask import Flask
        >>> app = install(Flask("catalog"), service="catalog")
        >>> app.test_client().get("/live").status_code
        200
        >>> uninstall(app)
    """
    kind = _kind(app)
    present = _find(app)
    if present is not None:
        if present.given != (settings, service):
            msg = (
                f"the application is already installed as {present.settings.app.SERVICE_NAME!r} "
                "with other arguments: uninstall(app) first"
            )
            raise ConfigurationError(msg)
        return app
    if getattr(app, "_got_first_request", False):  # Flask takes no routes after that
        msg = "the application has handled a request already: call install(app) before the first one"
        raise ConfigurationError(msg)
    made = Service(kind, settings, name=service, checks=checks, without=without, known_parts=_OPTIONAL)
    try:
        with use(made.runtime):
            _install_parts(app, made, authenticators, alerts)
    except BaseException:
        made.dismantle()
        raise
    _remember(app, made)
    return app


def installed(app: Any) -> Service:
    """Return what :func:`install` made for *app*.

    Raises:
        ConfigurationError: Nothing is installed.

    Example:
        >>> from flask import Flask
        >>> app = install(Flask("docs"), service="orders")
        >>> installed(app).health.names
        ('memory', 'dependencies')
        >>> uninstall(app)
    """
    found = _find(app)
    if found is None:
        msg = "nothing is installed in this application: call install(app) first"
        raise ConfigurationError(msg)
    return found


def explain(app: Any) -> Explanation:
    """Return what :func:`install` added to *app*, part by part, with the settings it follows.

    Raises:
        ConfigurationError: Nothing is installed.

    Example:
        >>> from flask import Flask
        >>> app = install(Flask("docs"), service="orders", without=["health"])
        >>> explain(app).part("health").enabled
        False
        >>> uninstall(app)
    """
    return installed(app).explain()


def uninstall(app: Any) -> None:
    """Take everything out of *app* that :func:`install` put in; does nothing when there is nothing.

    Example:
        >>> from flask import Flask
        >>> app = install(Flask("docs"), service="orders")
        >>> uninstall(app)
        >>> app.test_client().get("/health").status_code
        404
    """
    found = _find(app)
    if found is not None:
        found.dismantle()
        _forget(app)


# --- the parts ------------------------------------------------------------------------


def _install_parts(
    app: Any,
    service: Service,
    authenticators: "Iterable[Authenticator | str]",
    alerts: "Iterable[Alert | SLO]",
) -> None:
    face = _face(service.kind)
    options = _options(service)
    pipeline = None
    auth = add_auth(app, service, authenticators)
    limits = add_limits(service)
    flags = add_flags(service)
    if "request_layer" not in service.without:
        add_tracing(service)
        pipeline = face.install_layer(app, options, runtime=service.runtime, jobs=service.jobs)
        if "drain" not in service.without:
            pipeline.in_flight = service.lifecycle
        service.note(Part("request_layer", "correlation and request ids, context, timing, the 500 path"))
        for name, (does, names) in _LAYER_PARTS.items():
            if service.wants(name, does):
                service.note(Part(name, does, settings=service.show(*names)))
        note_edge(service, options)
    else:
        service.wants("request_layer", "ids, access log, headers, limits")
    service.note(auth)
    service.note(limits)
    service.note(flags)
    if service.wants("errors", "every error leaves as an envelope or problem details"):
        face.install_error_handlers(app, options, runtime=service.runtime)
        shown = service.show("ERROR_FORMAT", "EXPOSE_ERROR_DETAILS")
        service.note(Part("errors", "every error leaves as an envelope or problem details", settings=shown))
    if auth.enabled:
        document_auth(app, service, face)
    add_jwks(app, service, face)
    add_idempotency(app, service, face)
    add_error_tracking(service)
    add_resilience(service)
    if add_metrics(service):
        add_http_metrics(app, service, face, pipeline)
    add_alerts(service, alerts)
    add_event_loop(service)
    add_disks(service)
    add_database(service)
    add_redis(service)
    add_storage(service)
    add_report(service)
    if service.wants("health", "health, readiness and liveness probes"):
        _add_health(app, service, face)
    # Taken out as a whole: the face knows the order.
    service.note(_drain_part(service), lambda: face.uninstall(app))
    _hook_lifecycle(app, service)


def _drain_part(service: Service) -> Part:
    does = "SIGTERM: not ready at once, then the work in flight, then the end"
    if "drain" in service.without:
        return Part("drain", does, enabled=False, reason="without='drain'")
    return Part("drain", does, settings=service.show("DRAIN_DELAY_SECONDS", "DRAIN_TIMEOUT_SECONDS"))


def _add_health(app: Any, service: Service, face: Any) -> None:
    monitoring = service.settings.monitoring
    paths = (monitoring.HEALTH_PATH, monitoring.READY_PATH, monitoring.LIVE_PATH)
    face.add_health_routes(
        app,
        service.health,
        health_path=paths[0],
        ready_path=paths[1],
        live_path=paths[2],
        details=monitoring.HEALTH_DETAILS,
    )
    names = ("HEALTH_PATH", "READY_PATH", "LIVE_PATH", "HEALTH_DETAILS")
    service.note(Part("health", f"GET {', '.join(paths)}", settings=service.show(*names)))


def _options(service: Service) -> "LayerOptions":
    from shared.api import LayerOptions

    overrides: dict[str, Any] = left_out(service)
    if "access_log" in service.without:
        overrides["access_log"] = False
    if "security_headers" in service.without:
        overrides["security_headers"] = "off"
    if "body_limit" in service.without:
        overrides["max_body_bytes"] = None
    if "tracing" in service.without:
        overrides["trace"] = False
    return LayerOptions.from_settings(service.settings, **overrides)


def _hook_lifecycle(app: Any, service: Service) -> None:
    if service.kind == "flask":
        # WSGI has no start-up: the application takes traffic once it is made, and
        # ends with the process.
        service.start()
        _stop_at_exit(service)
        return
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(owner: Any) -> Any:
        with use(service.runtime):
            async with before(owner) as state:
                service.start()
                try:
                    yield state
                finally:
                    await service.astop()

    app.router.lifespan_context = lifespan

    def undo() -> None:
        if app.router.lifespan_context is lifespan:
            app.router.lifespan_context = before

    service.on_dismantle(undo)
    _stop_at_exit(service)


def _stop_at_exit(service: Service) -> None:
    reference = weakref.ref(service)

    def at_exit() -> None:
        found = reference()
        if found is not None:
            found.dismantle()

    atexit.register(at_exit)
    service.on_dismantle(lambda: atexit.unregister(at_exit))


# --- the application --------------------------------------------------------------------


def _kind(app: Any) -> str:
    modules = {base.__module__.partition(".")[0] for base in type(app).__mro__}
    for kind in ("fastapi", "starlette", "flask"):
        if kind in modules:
            return kind
    msg = (
        f"cannot install into {type(app).__qualname__!r}: a FastAPI, Starlette or Flask application is needed"
    )
    raise ConfigurationError(msg)


def _face(kind: str) -> Any:
    from importlib import import_module

    return import_module(f"shared.api.{kind}")


def _slot(app: Any) -> tuple[Any, bool]:
    """Return where *app* keeps extensions, and whether it is a mapping."""
    return (app.extensions, True) if _kind(app) == "flask" else (app.state, False)


def _find(app: Any) -> Service | None:
    where, is_mapping = _slot(app)
    found = where.get("shared") if is_mapping else getattr(where, "shared", None)
    return found if isinstance(found, Service) else None


def _remember(app: Any, service: Service) -> None:
    where, is_mapping = _slot(app)
    if is_mapping:
        where["shared"] = service
    else:
        where.shared = service


def _forget(app: Any) -> None:
    where, is_mapping = _slot(app)
    if is_mapping:
        where.pop("shared", None)
    elif hasattr(where, "shared"):
        del where.shared
