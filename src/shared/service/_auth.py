"""Join the authenticators to the request layer, and what they refuse to the log."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigurationError
from shared.logging import get_logger
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.auth import AccessDenied, AuthenticationFailed, Authenticator
    from shared.service._service import Service

__all__ = ["add_auth", "add_jwks", "document_auth"]

_DOES = "who sends a request, by {}; rules such as require_roles() decide"
_PUBLISHES = "the public keys of the service, for those who verify its tokens"


def add_auth(app: Any, service: "Service", given: "Iterable[Authenticator | str]") -> Part:
    """Find out who sends each request, when there are authenticators; return what to note."""
    does = _DOES.format("authenticators")
    if "auth" in service.without:
        return Part("auth", does, enabled=False, reason="without='auth'")
    wanted = tuple(given) or tuple(service.settings.security.AUTHENTICATORS)
    if not wanted:
        return Part("auth", does, enabled=False, reason="no authenticators given, AUTHENTICATORS is empty")
    ways = [_named(way, service) if isinstance(way, str) else way for way in wanted]
    if "request_layer" in service.without:
        msg = "authenticators need the request layer: leave 'request_layer' out of without="
        raise ConfigurationError(msg)
    from shared.api import AuthenticationJob
    from shared.auth import AccessDenied, AuthenticationFailed, Authenticators, Challenges

    found = service.keep(Authenticators, Authenticators(ways))
    service.runtime.replace(Authenticators, found)
    service.runtime.replace(Challenges, service.keep(Challenges, found.challenges))
    # First of all jobs: limits and audit want to know who it is.
    service.jobs.insert(0, AuthenticationJob(found, at_first=lambda: _tell_bare_routes(app)))
    events = service.runtime.events
    service.on_dismantle(events.subscribe(AccessDenied, _log_denied))
    service.on_dismantle(events.subscribe(AuthenticationFailed, _log_failed))
    shown = service.show("AUTHENTICATORS", "AUTH_STORE")
    return Part("auth", _DOES.format(", ".join(found.names)), settings=shown)


def _named(name: str, service: "Service") -> "Authenticator":
    from shared.auth import (
        ApiKeyAuthenticator,
        BearerAuthenticator,
        GatewayAuthenticator,
        SessionAuthenticator,
        get_api_keys,
        get_async_api_keys,
        get_async_sessions,
        get_session_cookie,
        get_sessions,
    )

    settings = service.settings
    if name == "bearer":
        return BearerAuthenticator()
    if name == "api_key":
        # Made now, although it is looked up with each request: a pepper that is missing
        # must end the start, and not the first call of a customer.
        _ = get_api_keys() if service.kind == "flask" else get_async_api_keys()
        return ApiKeyAuthenticator()
    if name == "session":
        _ = get_sessions() if service.kind == "flask" else get_async_sessions()
        trusted = tuple(settings.security.CSRF_TRUSTED_ORIGINS)
        return SessionAuthenticator(cookie=get_session_cookie(), trusted_origins=trusted)
    if name == "gateway":
        if not settings.security.GATEWAY_SECRET_KEYS:
            raise ConfigurationError("the authenticator 'gateway' needs GATEWAY_SECRET_KEYS")
        return GatewayAuthenticator(settings.security.GATEWAY_SECRET_KEYS, audience=settings.app.SERVICE_NAME)
    msg = f"no authenticator is called {name!r} (known: bearer, api_key, session, gateway)"
    raise ConfigurationError(msg)


def add_jwks(app: Any, service: "Service", face: Any) -> None:
    """Publish the public keys of the service, where the settings name a path."""
    path = service.settings.security.JWT_JWKS_PATH
    if not service.wants("jwks", _PUBLISHES):
        return
    if path is None:
        service.note(Part("jwks", _PUBLISHES, enabled=False, reason="JWT_JWKS_PATH is not set"))
        return
    from shared.auth import get_key_source

    face.add_jwks_route(app, get_key_source(), path=path)
    service.note(Part("jwks", _PUBLISHES, settings=service.show("JWT_JWKS_PATH")))


def document_auth(app: Any, service: "Service", face: Any) -> None:
    """Let the OpenAPI document name the ways to authenticate, where there is one."""
    from shared.auth import Authenticators

    ways = service.runtime.find(Authenticators)
    if ways is not None:
        face.add_security_schemes(app, ways)


def _tell_bare_routes(app: Any) -> None:
    """Log routes that serve a function which a rule guards elsewhere: most likely by mistake."""
    from shared.api._auth_openapi import bare_routes

    for path, requirement in bare_routes(app):
        get_logger("shared.auth").error(
            "a route is not protected: its rule stands above the route's decorator, put it below",
            path=path,
            requirement=requirement,
        )


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
