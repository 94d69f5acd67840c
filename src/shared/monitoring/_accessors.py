"""The instances of the current runtime."""

from typing import Any

from shared.monitoring._builtin_checks import memory_check
from shared.monitoring._lifecycle import Lifecycle
from shared.monitoring._metrics import Metrics
from shared.monitoring._registry import HealthRegistry
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
