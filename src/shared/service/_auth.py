"""Join the authenticators to the request layer, and what they refuse to the log."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigurationError
from shared.logging import get_logger
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.auth import AccessDenied, AuthenticationFailed, Authenticator
    from shared.service._service import Service

__all__ = ["add_auth", "document_auth"]

_DOES = "who sends a request, by {}; rules such as require_roles() decide"


def add_auth(service: "Service", given: "Iterable[Authenticator]") -> Part:
    """Find out who sends each request, when there are authenticators; return what to note."""
    ways, does = tuple(given), _DOES.format("authenticators")
    if "auth" in service.without:
        return Part("auth", does, enabled=False, reason="without='auth'")
    if not ways:
        return Part("auth", does, enabled=False, reason="no authenticators given")
    if "request_layer" in service.without:
        msg = "authenticators need the request layer: leave 'request_layer' out of without="
        raise ConfigurationError(msg)
    from shared.api import AuthenticationJob
    from shared.auth import AccessDenied, AuthenticationFailed, Authenticators, Challenges

    found = service.keep(Authenticators, Authenticators(ways))
    service.runtime.replace(Authenticators, found)
    service.runtime.replace(Challenges, service.keep(Challenges, found.challenges))
    # First of all jobs: limits and audit want to know who it is.
    service.jobs.insert(0, AuthenticationJob(found))
    events = service.runtime.events
    service.on_dismantle(events.subscribe(AccessDenied, _log_denied))
    service.on_dismantle(events.subscribe(AuthenticationFailed, _log_failed))
    return Part("auth", _DOES.format(", ".join(found.names)))


def document_auth(app: Any, service: "Service", face: Any) -> None:
    """Let the OpenAPI document name the ways to authenticate, where there is one."""
    from shared.auth import Authenticators

    ways = service.runtime.find(Authenticators)
    if ways is not None:
        face.add_security_schemes(app, ways)


def _log_denied(event: "AccessDenied") -> None:
    get_logger("shared.auth").warning(
        "access denied",
        event_type="access_denied",
        requirement=event.requirement,
        reason=event.reason,
        user_id=event.user_id,
        tenant=event.tenant,
        resource=event.resource or None,
    )


def _log_failed(event: "AuthenticationFailed") -> None:
    get_logger("shared.auth").warning(
        "authentication failed",
        event_type="authentication_failed",
        authenticator=event.authenticator,
        code=event.code,
        reason=event.reason,
        client=event.client,
    )
