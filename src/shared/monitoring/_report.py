"""What the health of a service looks like to those who ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from shared.monitoring._check import CheckResult, HealthStatus

_MEASURED_UNITS: Final = {
    "rss": "MiB",
    "heapUsed": "MiB",
    "free": "MiB",
    "total": "MiB",
    "lag": "s",
    "age": "s",
}


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state of the service at one moment.

    Attributes:
        status: ``healthy``; ``degraded`` when something failed that the service can
            do without, or that has not failed often enough to matter; ``unhealthy``
            when a critical check has tripped.
        ready: Whether traffic is welcome: started, not draining, nothing tripped.
        checks: Result by check name, in order of registration.
        timestamp: Wall clock, UTC.
        uptime: Seconds since the process' lifecycle began.
        state: ``starting``, ``ready``, ``draining`` or ``stopped``.
        service: Name shown in ``application/health+json``.
        version: Version shown there.

    Example:
        >>> from datetime import datetime, UTC
        >>> report = HealthReport(
        ...     HealthStatus.HEALTHY, ready=True,
        ...     checks={"database": CheckResult(HealthStatus.HEALTHY)},
        ...     timestamp=datetime(2024, 12, 28, tzinfo=UTC), uptime=12345,
        ... )
        >>> report.to_dict()["timestamp"], report.to_dict()["checks"]
        ('2024-12-28T00:00:00.000Z', {'database': 'healthy'})
        >>> report.http_status(ready=True)
        200
    """

    status: HealthStatus
    ready: bool
    checks: Mapping[str, CheckResult]
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    uptime: float = 0.0
    state: str = "ready"
    service: str | None = None
    version: str | None = None

    def http_status(self, ready: bool = False) -> int:
        """Return 200 or 503.

        Args:
            ready: Answer for the readiness probe, which also refuses while the
                service starts or drains; otherwise for ``/health``.
        """
        if ready:
            return 200 if self.ready else 503
        return 503 if self.status is HealthStatus.UNHEALTHY else 200

    def to_dict(self, *, details: bool = True, ready: bool = False) -> dict[str, Any]:
        """Return the documented shape.

        Args:
            details: Whether ``checks`` names the parts; an empty object otherwise,
                because names and errors tell an attacker what stands behind.
            ready: Show the verdict of the readiness probe.

        Returns:
            ``{"status": str, "timestamp": str, "uptime": seconds, "checks":
            {name: str | {"status": str, ...}}}``. A check is the bare status, or an
            object when it measured something or failed with an error.
        """
        shown: dict[str, Any] = {}
        if details:
            shown = {name: result.public() for name, result in self.checks.items()}
            if ready and self.state != "ready":
                shown["lifecycle"] = {"status": str(HealthStatus.UNHEALTHY), "state": self.state}
        return {
            "status": str(self._verdict(ready)),
            "timestamp": self._time(),
            "uptime": self._uptime(),
            "checks": shown,
        }

    def to_health_json(self, *, details: bool = True, ready: bool = False) -> dict[str, Any]:
        """Return the same as ``application/health+json``.

        Each check becomes ``name:responseTime`` in milliseconds, each number it
        measured ``name:measurement``. Source: draft-inadarei-api-health-check-06,
        sections 3 and 4.
        """
        body: dict[str, Any] = {"status": self._verdict(ready).as_health_json}
        if self.version is not None:
            body["version"] = self.version.partition(".")[0]
            body["releaseId"] = self.version
        if self.service is not None:
            body["serviceId"] = self.service
        if ready and self.state != "ready":
            body["notes"] = [f"the service is {self.state}"]
        if details:
            body["checks"] = self._components()
        return body

    def _components(self) -> dict[str, list[dict[str, Any]]]:
        time = self._time()
        found: dict[str, list[dict[str, Any]]] = {
            "uptime": [
                {
                    "componentType": "system",
                    "observedValue": self._uptime(),
                    "observedUnit": "s",
                    "status": "pass",
                    "time": time,
                }
            ]
        }
        for name, result in self.checks.items():
            status = result.status.as_health_json
            entry: dict[str, Any] = {
                "componentType": "component",
                "observedValue": round(result.duration * 1000, 3),
                "observedUnit": "ms",
                "status": status,
                "time": time,
            }
            if result.error is not None and status != "pass":
                entry["output"] = result.error  # section 4.8: omitted for "pass"
            found[f"{name}:responseTime"] = [entry]
            for key, value in result.facts.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    found[f"{name}:{key}"] = [_measurement(key, value, status, time)]
        return found

    def _verdict(self, ready: bool) -> HealthStatus:
        return HealthStatus.UNHEALTHY if ready and not self.ready else self.status

    def _time(self) -> str:
        return self.timestamp.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _uptime(self) -> float:
        return round(self.uptime, 3)


def _measurement(key: str, value: float, status: str, time: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"componentType": "system", "observedValue": value}
    if key in _MEASURED_UNITS:
        entry["observedUnit"] = _MEASURED_UNITS[key]
    return {**entry, "status": status, "time": time}
