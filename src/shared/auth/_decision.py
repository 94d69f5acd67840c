"""What was decided about an access, and why."""

from copy import copy
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from shared.auth._principal import Principal
from shared.context import RequestContext, bind, current_context, set_principal, set_tenant
from shared.errors import AuthenticationError, AuthorizationError, SharedError
from shared.runtime import current

__all__ = ["AccessDenied", "AuthenticationFailed", "Challenges", "Decision", "denial", "establish"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a principal may, and why not.

    Attributes:
        allowed: Whether it may.
        requirement: What was asked for, in words.
        reason: Why, in words; no secret, no personal data.
        missing: What would have been needed, by name.
        authenticated: Whether the principal is known: False is a 401, True a 403.
        scope: OAuth scope to ask for, for the challenge; empty when none is missing.

    Example:
        >>> Decision(False, "role 'admin'", "has none of the roles 'admin'", ("admin",)).missing
        ('admin',)
    """

    allowed: bool
    requirement: str
    reason: str = ""
    missing: tuple[str, ...] = ()
    authenticated: bool = True
    scope: str = ""

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class AccessDenied:
    """Somebody was refused; emitted through ``runtime.events`` for log, metrics and audit.

    Attributes:
        requirement: What was asked for.
        reason: Why not.
        user_id: Who, or None when nobody was known.
        tenant: Of the principal.
        method: How the principal was proved.
        resource: What it was about: kind and id, empty when none was given.

    Example:
        >>> AccessDenied("role 'admin'", "has none of the roles 'admin'", "u-1").user_id
        'u-1'
    """

    requirement: str
    reason: str
    user_id: str | None = None
    tenant: str | None = None
    method: str | None = None
    resource: str = ""


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """A credential was presented that does not hold.

    Attributes:
        authenticator: Which one looked at it.
        code: Of the error.
        reason: Which rule failed; never the credential.
        client: Address of the peer, or None.

    Example:
        >>> AuthenticationFailed("api_key", "AUTHENTICATION_ERROR", "the API key has expired").reason
        'the API key has expired'
    """

    authenticator: str
    code: str
    reason: str
    client: str | None = None


class Challenges:
    """What a 401 asks for; the authenticators of a service put theirs into its runtime.

    Attributes:
        header: Value of ``WWW-Authenticate``.

    Example:
        >>> Challenges('Bearer, ApiKey').header
        'Bearer, ApiKey'
    """

    __slots__ = ("header",)

    def __init__(self, header: str = "Bearer") -> None:
        self.header: str = header


# Why nobody is known in a request that did present something. By request, and gone with it.
_failures: Final[WeakKeyDictionary[RequestContext, SharedError]] = WeakKeyDictionary()


def establish(principal: Principal | None, failure: SharedError | None = None) -> None:
    """Make *principal* the one who acts in the request at hand, or remember why nobody does.

    The request layer does this; call it yourself in a worker or a server of another kind.

    Args:
        principal: Who acts; sets the context's principal and tenant, and the log fields
            ``user_id`` and ``auth_method``.
        failure: Why nobody is known although a credential was presented: what
            :func:`require_user` and its kin raise.

    Example:
        >>> from shared.context import request_context
        >>> with request_context():
        ...     establish(Principal(user_id="job-7", method="worker"))
        ...     current_context().principal
        Principal(user_id='job-7', method='worker')
    """
    if principal is None:
        context = current_context()
        if failure is not None and context is not None:
            _failures[context.root or context] = failure
        return
    set_principal(principal)
    if principal.tenant is not None:
        set_tenant(principal.tenant)
    bind(user_id=principal.user_id, auth_method=principal.method)


def denial(decision: Decision, principal: Principal | None, *, resource: str = "") -> SharedError:
    """Emit that somebody was refused, and return the error to raise: 401 or 403."""
    known = principal is not None
    current().events.emit(
        AccessDenied(
            decision.requirement,
            decision.reason,
            principal.user_id if known else None,  # type: ignore[union-attr]
            principal.tenant if known else None,  # type: ignore[union-attr]
            principal.method if known else None,  # type: ignore[union-attr]
            resource,
        )
    )
    if known:
        details = {"missing": list(decision.missing)} if decision.missing else None
        # RFC 6750, section 3.1: only a scope is something the client can ask for.
        asked = f'Bearer error="insufficient_scope", scope="{decision.scope}"'
        headers = {"WWW-Authenticate": asked} if decision.scope else None
        return AuthorizationError(f"not allowed: {decision.reason}", details=details, headers=headers)
    context = current_context()
    failure = None if context is None else _failures.get(context.root or context)
    if failure is not None:
        return copy(failure)  # each refusal has a traceback of its own
    challenges = current().find(Challenges)
    return AuthenticationError(
        "authentication required", challenge="Bearer" if challenges is None else challenges.header
    )
