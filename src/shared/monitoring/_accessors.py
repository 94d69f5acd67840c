"""The instances of the current runtime."""

from typing import Any

from shared.monitoring._builtin_checks import memory_check
from shared.monitoring._error_tracking import ErrorTracker
from shared.monitoring._lifecycle import Lifecycle
from shared.monitoring._metrics import Metrics
from shared.monitoring._performance import PerformanceRecorder
from shared.monitoring._registry import HealthRegistry
from shared.monitoring._rollup_store import MemoryRollupStore, RollupStore
from shared.monitoring._tracer import Tracer
from shared.runtime import Runtime, current


def get_lifecycle() -> Lifecycle:
    """Return the current runtime's lifecycle, built from the settings on first use.

    Example:
        >>> get_lifecycle() is get_lifecycle()
        True
    """
    return current().get(Lifecycle, _lifecycle)


def get_health_registry() -> HealthRegistry:
    """Return the current runtime's health registry, built from the settings on first use.

    It comes with the ``memory`` check; rooms and services add theirs.

    Example:
        >>> get_health_registry().names
        ('memory',)
    """
    return current().get(HealthRegistry, _registry)


def get_metrics() -> Metrics:
    """Return the current runtime's metrics, built on first use.

    Example:
        >>> signups = get_metrics().counter("signups", "People who signed up.")
        >>> signups.inc()
        >>> get_metrics().value("signups_total")
        1.0
    """
    return current().get(Metrics, _metrics)


def get_error_tracker() -> ErrorTracker:
    """Return the current runtime's error tracker, built from the settings on first use.

    With ``SENTRY_DSN`` set it reports to Sentry; without, to nobody until
    :meth:`ErrorTracker.add_reporter` is called.

    Raises:
        MissingDependencyError: ``SENTRY_DSN`` is set and the extra ``sentry`` is missing.

    Example:
        >>> get_error_tracker().capture(ValueError("nobody is told"))
        False
    """
    return current().get(ErrorTracker, _error_tracker)


def get_tracer() -> Tracer:
    """Return the current runtime's tracer, built from the settings on first use.

    It has no exporter: add one with :meth:`Tracer.add_exporter`, or provide a tracer
    of your own to the runtime.

    Example:
        >>> get_tracer().sample_rate
        1.0
    """
    return current().get(Tracer, _tracer)


def get_performance_recorder() -> PerformanceRecorder:
    """Return the current runtime's recorder, built from the settings on first use.

    It writes to the runtime's :class:`RollupStore`: the database's when there is one,
    else memory.

    Example:
        >>> get_performance_recorder().record("task", "import_prices", 1.2)
        >>> get_performance_metrics()["tasks"]["import_prices"]["count"]
        1
    """
    return current().get(PerformanceRecorder, _recorder)


def get_performance_metrics(time_range_hours: float = 24, user_id: str | None = None) -> dict[str, Any]:
    """Return how often tasks and API calls ran, how long they took and how often they failed.

    In a coroutine use ``await get_performance_recorder().aperformance(...)``: the
    store may block.

    Args:
        time_range_hours: How far to look back, above 0.
        user_id: Only this user's runs; the whole system's when None.

    Returns:
        ``{"time_range_hours", "user_id", "from", "to", "total": figures, "tasks":
        {name: figures}, "api_calls": {"GET /users": figures}}`` where figures are
        ``{"count", "errors", "error_rate", "mean", "p50", "p95", "p99", "max"}``,
        durations in seconds. Percentiles are off by at most 19 % of themselves.

    Raises:
        InvalidArgumentError: *time_range_hours* is not above 0.

    Example:
        >>> get_performance_metrics(time_range_hours=24)["total"]["errors"]
        0
    """
    return get_performance_recorder().performance(time_range_hours, user_id)


def cleanup_old_metrics(days: float | None = None) -> int:
    """Delete stored performance data older than *days*; return how many rows went.

    Args:
        days: Age in days, >= 0; ``METRICS_RETENTION_DAYS`` when None.

    Raises:
        InvalidArgumentError: *days* is below 0.

    Example:
        >>> cleanup_old_metrics(days=30)
        0
    """
    return get_performance_recorder().cleanup(days)


def get_health_status(*, details: bool = True) -> dict[str, Any]:
    """Return how the service is, in the documented shape.

    Waits at most as long as the slowest check may take; in a coroutine use
    ``await get_health_registry().areport()``.

    Args:
        details: Whether ``checks`` names the parts.

    Returns:
        ``{"status": "healthy" | "degraded" | "unhealthy", "timestamp": str,
        "uptime": seconds, "checks": {name: str | {"status": str, ...}}}``.

    Example:
        >>> health = get_health_status()
        >>> list(health)
        ['status', 'timestamp', 'uptime', 'checks']
        >>> sorted(health["checks"]["memory"])
        ['heapUsed', 'rss', 'status']
    """
    return get_health_registry().report().to_dict(details=details)


def _lifecycle(runtime: Runtime) -> Lifecycle:
    from shared.config import get_settings

    monitoring = get_settings().monitoring
    return Lifecycle(
        drain_delay=monitoring.DRAIN_DELAY_SECONDS,
        drain_timeout=monitoring.DRAIN_TIMEOUT_SECONDS,
        events=runtime.events,
    )


def _metrics(runtime: Runtime) -> Metrics:
    from shared.config import get_settings

    del runtime
    return Metrics(get_settings().app.SERVICE_NAME)


def _recorder(runtime: Runtime) -> PerformanceRecorder:
    from shared.config import get_settings

    return PerformanceRecorder(
        runtime.get(RollupStore, lambda _: MemoryRollupStore()),  # type: ignore[type-abstract]
        metrics=runtime.get(Metrics, _metrics),
        retention_days=get_settings().monitoring.METRICS_RETENTION_DAYS,
    )


def _error_tracker(runtime: Runtime) -> ErrorTracker:
    from shared.config import get_settings

    del runtime
    settings = get_settings()
    dsn = settings.monitoring.SENTRY_DSN
    if dsn is None:
        return ErrorTracker()
    from shared.monitoring._sentry import SentryReporter

    app = settings.app
    return ErrorTracker(
        [
            SentryReporter(
                str(dsn),
                service=app.SERVICE_NAME,
                version=app.SERVICE_VERSION,
                environment=str(app.ENVIRONMENT),
            )
        ]
    )


def _tracer(runtime: Runtime) -> Tracer:
    from shared.config import get_settings

    del runtime
    return Tracer(sample_rate=get_settings().monitoring.TRACE_SAMPLE_RATE)


def _registry(runtime: Runtime) -> HealthRegistry:
    from shared.config import get_settings

    settings = get_settings()
    monitoring = settings.monitoring
    registry = HealthRegistry(
        timeout=monitoring.HEALTH_CHECK_TIMEOUT,
        cache_seconds=monitoring.HEALTH_CACHE_SECONDS,
        failure_threshold=monitoring.HEALTH_FAILURE_THRESHOLD,
        lifecycle=runtime.get(Lifecycle, _lifecycle),
        service=settings.app.SERVICE_NAME,
        version=settings.app.SERVICE_VERSION,
        events=runtime.events,
    )
    registry.include(memory_check())
    return registry
