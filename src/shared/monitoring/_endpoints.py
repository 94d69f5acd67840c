"""The answers to ``/health``, ``/ready`` and ``/live``, for any framework to send."""

import ipaddress
import json
from typing import Any, Final, Literal, TypeAlias

from shared.errors import InvalidArgumentError
from shared.monitoring._accept import preferred
from shared.monitoring._answer import HttpAnswer
from shared.monitoring._check import HealthStatus
from shared.monitoring._loop import EventLoopMonitor
from shared.monitoring._registry import HealthRegistry
from shared.monitoring._report import HealthReport

DetailPolicy: TypeAlias = Literal["always", "never", "internal"]

_JSON: Final = "application/json"
_HEALTH_JSON: Final = "application/health+json"
_POLICIES: Final = ("always", "never", "internal")


class HealthEndpoints:
    """Answers the probes; knows no framework.

    Args:
        registry: Whose checks and lifecycle decide.
        loop_monitor: Heartbeat for ``/live``; without one, being able to answer is
            all the life that is asked for.
        details: Who sees the names, figures and errors of the checks: everybody
            (``always``), nobody (``never``), or authorised and internal callers.

    Raises:
        InvalidArgumentError: *details* is none of the three.

    Example:
        >>> endpoints = HealthEndpoints(HealthRegistry(), details="never")
        >>> endpoints.ready().status, endpoints.live().headers[0]
        (200, ('Content-Type', 'application/json'))
    """

    def __init__(
        self,
        registry: HealthRegistry,
        *,
        loop_monitor: EventLoopMonitor | None = None,
        details: DetailPolicy = "internal",
    ) -> None:
        if details not in _POLICIES:
            msg = f"details {details!r} is unknown: one of {', '.join(_POLICIES)}"
            raise InvalidArgumentError(msg)
        self._registry = registry
        self._loop_monitor = loop_monitor
        self._details = details

    def may_see_details(self, *, client: str | None = None, authorised: bool = False) -> bool:
        """Tell whether this caller gets the names and figures.

        Args:
            client: Its address after trusted proxies were looked through, or None
                when that is not known.
            authorised: Whether it has proved that it may.

        Returns:
            For the policy ``internal``: True when authorised, or when *client* is a
            loopback, private or link-local address.
        """
        if self._details == "internal":
            return authorised or _is_internal(client)
        return self._details == "always"

    def health(self, *, accept: str = "", client: str | None = None, authorised: bool = False) -> HttpAnswer:
        """Return the answer to ``/health``: 503 when a critical check has tripped, else 200.

        Args:
            accept: The request's ``Accept`` header; ``application/health+json`` is
                served to whom names it.
            client: As in :meth:`may_see_details`.
            authorised: As in :meth:`may_see_details`.
        """
        details = self.may_see_details(client=client, authorised=authorised)
        return _answer(self._registry.report(), accept, details=details, ready=False)

    async def ahealth(
        self, *, accept: str = "", client: str | None = None, authorised: bool = False
    ) -> HttpAnswer:
        """Return the same as :meth:`health` without blocking the event loop."""
        details = self.may_see_details(client=client, authorised=authorised)
        return _answer(await self._registry.areport(), accept, details=details, ready=False)

    def ready(self, *, accept: str = "", client: str | None = None, authorised: bool = False) -> HttpAnswer:
        """Return the answer to ``/ready``: 200 when traffic is welcome, else 503.

        Arguments as for :meth:`health`.
        """
        details = self.may_see_details(client=client, authorised=authorised)
        return _answer(self._registry.report(), accept, details=details, ready=True)

    async def aready(
        self, *, accept: str = "", client: str | None = None, authorised: bool = False
    ) -> HttpAnswer:
        """Return the same as :meth:`ready` without blocking the event loop."""
        details = self.may_see_details(client=client, authorised=authorised)
        return _answer(await self._registry.areport(), accept, details=details, ready=True)

    def live(self) -> HttpAnswer:
        """Return the answer to ``/live``: 200, also while draining, as long as the loop beats.

        Looks at no dependency: a database that is down is no reason to restart.
        """
        monitor = self._loop_monitor
        alive = monitor is None or monitor.is_alive()
        report = HealthReport(
            HealthStatus.HEALTHY if alive else HealthStatus.UNHEALTHY,
            ready=alive,
            checks={},
            uptime=self._registry.lifecycle.uptime,
        )
        return _send(report.http_status(), report.to_dict(), _JSON)


def _answer(report: HealthReport, accept: str, *, details: bool, ready: bool) -> HttpAnswer:
    media_type = preferred(accept, (_JSON, _HEALTH_JSON)) if accept else _JSON
    if media_type == _JSON:
        body = report.to_dict(details=details, ready=ready)
    else:
        body = report.to_health_json(details=details, ready=ready)
    return _send(report.http_status(ready), body, media_type)


def _send(status: int, body: dict[str, Any], media_type: str) -> HttpAnswer:
    headers = (("Content-Type", media_type), ("Cache-Control", "no-store"))
    return HttpAnswer(status, headers, json.dumps(body, separators=(",", ":")).encode())


def _is_internal(client: str | None) -> bool:
    if client is None:
        return False
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_private or address.is_loopback or address.is_link_local
