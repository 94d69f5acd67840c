"""Join what does not know each other: requests, breakers and health to metrics and logs."""

import weakref
from typing import TYPE_CHECKING, Any, Final

from shared.logging import get_logger
from shared.monitoring import (
    HttpMetrics,
    Metrics,
    ProcessMetrics,
    ResilienceMetrics,
    build_info,
    get_metrics,
    health_metrics,
)
from shared.resilience import (
    BreakerRegistry,
    PolicyRegistry,
    get_breakers,
    get_policies,
    log_events,
    record_events,
)
from shared.service._explain import Part
from shared.service._limits import count_refusals
from shared.service._versions import count_deprecated

if TYPE_CHECKING:
    from shared.service._service import Service

__all__ = ["add_http_metrics", "add_metrics", "add_resilience"]

_METRICS = "requests, process, health and breakers counted"
_RESILIENCE = "breakers in health, their events in the log"
# Series at 0 must not use up what one metric may have.
_MOST_ROUTES: Final = 400
_SILENT: Final = frozenset({"HEAD", "OPTIONS"})


def add_metrics(service: "Service") -> bool:
    """Count what every process has; return whether metrics are on."""
    settings = service.settings
    if not service.wants("metrics", _METRICS):
        return False
    if not settings.monitoring.METRICS_ENABLED:
        service.note(Part("metrics", _METRICS, enabled=False, reason="METRICS_ENABLED=False"))
        return False
    metrics = service.keep(Metrics, get_metrics())
    app = settings.app
    build_info(
        metrics, service=app.SERVICE_NAME, version=app.SERVICE_VERSION, environment=str(app.ENVIRONMENT)
    )
    ProcessMetrics(metrics)
    events = service.runtime.events
    service.on_dismantle(health_metrics(metrics, events))
    _add_resilience_metrics(service, metrics)
    service.note(Part("metrics", _METRICS, settings=service.show("METRICS_ENABLED", "METRICS_PATH")))
    return True


def _add_resilience_metrics(service: "Service", metrics: Metrics) -> None:
    """Show breakers, budgets and bulkheads: read at collection time, so that calls pay nothing."""
    target = ResilienceMetrics(metrics)
    breakers = service.keep(BreakerRegistry, get_breakers())
    policies = service.keep(PolicyRegistry, get_policies())

    def read() -> None:
        target.read_breakers(breakers.snapshots())
        target.read_policies(policies.snapshots())

    service.on_dismantle(metrics.before_collection(read))
    service.on_dismantle(record_events(target, service.runtime.events, read_elsewhere=breakers))


def add_http_metrics(app: Any, service: "Service", face: Any, pipeline: Any) -> None:
    """Count requests, and answer the scrapes."""
    metrics = get_metrics()
    if pipeline is not None:
        http = HttpMetrics(metrics, lifecycle=service.lifecycle)
        service.on_dismantle(pipeline.observe(http.on_finish))
        count_refusals(service, metrics)
        count_deprecated(service, metrics)
        _declare_routes(app, service, face, http)
    face.add_metrics_route(app, metrics, path=service.settings.monitoring.METRICS_PATH)


def _declare_routes(app: Any, service: "Service", face: Any, http: HttpMetrics) -> None:
    """Create the series of every route at 0: those that are born with an error are invisible to ``rate()``.

    At start-up, and before each scrape for routes that came later.
    """
    reference = weakref.ref(app)
    declared: set[tuple[str, str]] = set()

    def declare() -> None:
        target = reference()
        if target is None or len(declared) >= _MOST_ROUTES:
            return
        for method, route in face.operations(target):
            if method not in _SILENT and (method, route) not in declared and len(declared) < _MOST_ROUTES:
                declared.add((method, route))
                http.declare_route(method, route)

    service.on_start(declare)
    service.on_dismantle(get_metrics().before_collection(declare))


def add_resilience(service: "Service") -> None:
    """Show the circuit breakers in the health report, and log what happens to them."""
    if not service.wants("resilience", _RESILIENCE):
        return
    breakers = service.keep(BreakerRegistry, get_breakers())
    service.keep(PolicyRegistry, get_policies())
    # Degrades only, unless the settings name it: a dependency that is down is a reason to
    # fail fast, not to take every replica out of traffic.
    critical = tuple(service.settings.resilience.BREAKER_CRITICAL)
    service.health.add("dependencies", lambda: breakers.health(critical), critical=bool(critical))
    events = service.runtime.events
    service.on_dismantle(log_events(get_logger("shared.resilience"), events))
    names = (
        "BREAKER_FAILURE_THRESHOLD",
        "BREAKER_THRESHOLDS",
        "BREAKER_RECOVERY_TIMEOUT",
        "BREAKER_CRITICAL",
    )
    service.note(
        Part("resilience", _RESILIENCE, settings=service.show(*names)),
        lambda: service.health.remove("dependencies"),
    )
