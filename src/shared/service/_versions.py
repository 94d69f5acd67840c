"""Count the calls of what goes away."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.monitoring import Metrics
    from shared.service._service import Service

__all__ = ["count_deprecated"]


def count_deprecated(service: "Service", metrics: "Metrics") -> None:
    """Count calls of deprecated versions and routes by consumer; series are capped like all others."""
    from shared.api import DeprecationNoted

    calls = metrics.counter(
        "api_deprecated_calls",
        "Calls of deprecated versions and routes",
        ("api_deprecated", "consumer", "outcome"),
    )

    def count(event: DeprecationNoted) -> None:
        calls.labels(event.what, event.consumer, "refused" if event.retired else "answered").inc()

    service.on_dismantle(service.runtime.events.subscribe(DeprecationNoted, count))
