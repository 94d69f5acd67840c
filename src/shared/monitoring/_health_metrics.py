"""Health as metrics, so that Prometheus can alert on it."""

from collections.abc import Callable
from typing import Final

from shared.monitoring._check import HealthStatus
from shared.monitoring._events import CheckChanged, HealthChanged, ReadinessChanged
from shared.monitoring._metrics import Metrics
from shared.runtime import Events

_NUMBERS: Final = {HealthStatus.HEALTHY: 0.0, HealthStatus.DEGRADED: 1.0, HealthStatus.UNHEALTHY: 2.0}


def health_metrics(metrics: Metrics, events: Events) -> Callable[[], None]:
    """Show ``service_ready``, ``service_health_status`` and ``service_check_failing`` from the health events.

    With several workers the worst one counts.

    Args:
        metrics: Where they are shown.
        events: Those of the health registry, such as ``runtime.events``.

    Returns:
        A function that ends it.

    Example:
        >>> from shared.monitoring import HealthRegistry
        >>> metrics, events = Metrics(), Events()
        >>> stop = health_metrics(metrics, events)
        >>> registry = HealthRegistry(events=events)
        >>> registry.add("database", lambda: False)
        >>> _ = registry.report()
        >>> metrics.value("service_ready"), metrics.value("service_health_status")
        (0.0, 2.0)
    """
    ready = metrics.gauge("service_ready", "1 when traffic is welcome.", mode="min")
    status = metrics.gauge("service_health_status", "0 healthy, 1 degraded, 2 unhealthy.", mode="max")
    failing = metrics.gauge("service_check_failing", "1 when the check has tripped.", ("check",), mode="max")

    def check(event: CheckChanged) -> None:
        failing.labels(event.name).set(float(event.tripped))

    stops = (
        events.subscribe(ReadinessChanged, lambda event: ready.set(float(event.ready))),
        events.subscribe(HealthChanged, lambda event: status.set(_NUMBERS[event.after])),
        events.subscribe(CheckChanged, check),
    )

    def stop() -> None:
        for each in stops:
            each()

    return stop
