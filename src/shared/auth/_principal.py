"""Who acts: the one object that every authenticator makes and every rule reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Self

from shared.context import get_principal
from shared.errors import AuthenticationError

__all__ = ["Principal", "current_principal"]

_LONGEST: Final = 255  # characters of an id; RFC 7519 names no bound, columns do
_MOST: Final = 1000  # roles, permissions or scopes of one principal
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, init=False)
class Principal:
    """A user or a service that has proved who it is; immutable.

    Attributes:
        user_id: Never empty.
        email: Personal data: not in the repr.
        roles: Names; compared exactly.
        permissions: Granted beside those of the roles; may hold wildcards.
        scopes: What an API key or a client was allowed; None when nobody restricted it.
        tenant: For whom the principal may act, or None.
        method: How it was proved: ``"token"``, ``"api_key"``, ``"session"``,
            ``"gateway"`` or a name of your own.
        token_id: Id of the token or key, for revocation and audit.
        session_id: Public id of the session, or None.
        actor: Who really acts, when somebody acts on behalf of the user.
        claims: What else the credential said; not in the repr.

    Example:
        >>> ada = Principal(user_id="u-1", email="ada@example.com", roles={"admin"})
        >>> ada
        Principal(user_id='u-1', roles=['admin'], method='token')
    """

    user_id: str
    email: str | None
    roles: frozenset[str]
    permissions: frozenset[str]
    scopes: frozenset[str] | None
    tenant: str | None
    method: str
    token_id: str | None
    session_id: str | None
    actor: str | None
    claims: Mapping[str, Any] = field(hash=False, compare=False)

    def __init__(
        self,
        *,
        user_id: str,
        email: str | None = None,
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        scopes: Iterable[str] | None = None,
        tenant: str | None = None,
        method: str = "token",
        token_id: str | None = None,
        session_id: str | None = None,
        actor: str | None = None,
        claims: Mapping[str, Any] = _NOTHING,
    ) -> None:
        put = partial(object.__setattr__, self)  # frozen
        put("user_id", _identity("user_id", user_id))
        put("email", email)
        put("roles", _names("roles", roles))
        put("permissions", _names("permissions", permissions))
        put("scopes", None if scopes is None else _names("scopes", scopes))
        put("tenant", tenant)
        put("method", method)
        put("token_id", token_id)
        put("session_id", session_id)
        put("actor", actor)
        put("claims", MappingProxyType(dict(claims)))

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any], *, method: str = "token") -> Self:
        """Return the principal that the claims of a *verified* token speak of.

        Reads ``user_id`` or ``sub``, ``email``, ``roles``, ``permissions``, ``scope`` (text
        with spaces, RFC 8693) or ``scopes``, ``tenant`` or ``tenant_id``, ``jti``, ``sid``
        and ``act`` (RFC 8693).

        Raises:
            AuthenticationError: One of them is not of the kind it must be.

        Example:
            >>> Principal.from_claims({"sub": "u-1", "scope": "orders:read orders:write"}).scopes
            frozenset({'orders:...', 'orders:...'})
        """
        scope = claims.get("scope", claims.get("scopes"))
        actor = claims.get("act")
        return cls(
            user_id=claims.get("user_id") or claims.get("sub") or "",
            email=_text("email", claims.get("email")),
            roles=claims.get("roles") or (),
            permissions=claims.get("permissions") or (),
            scopes=scope.split() if isinstance(scope, str) else scope,
            tenant=_text("tenant", claims.get("tenant", claims.get("tenant_id"))),
            method=method,
            token_id=_text("jti", claims.get("jti")),
            session_id=_text("sid", claims.get("sid")),
            actor=_text("act", actor.get("sub") if isinstance(actor, Mapping) else actor),
            claims=claims,
        )

    def replaced(self, **changes: Any) -> Self:
        """Return a copy with *changes*.

        Example:
            >>> Principal(user_id="u-1").replaced(tenant="acme").tenant
            'acme'
        """
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return who it is as plain data, for logs and audit: no address, no claims.

        Example:
            >>> Principal(user_id="u-1", tenant="acme").to_dict()
            {'user_id': 'u-1', 'method': 'token', 'tenant': 'acme'}
        """
        shown = {
            "user_id": self.user_id,
            "method": self.method,
            "roles": sorted(self.roles),
            "tenant": self.tenant,
            "token_id": self.token_id,
            "actor": self.actor,
        }
        return {name: value for name, value in shown.items() if value}

    def __repr__(self) -> str:
        facts = self.to_dict()
        order = ("user_id", "roles", "tenant", "method", "actor")
        return f"Principal({', '.join(f'{name}={facts[name]!r}' for name in order if name in facts)})"


def _identity(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        msg = f"the claim {name!r} must be 1 to {_LONGEST} printable characters"
        raise AuthenticationError(msg)
    return value


def _text(name: str, value: object) -> str | None:
    return None if value is None else _identity(name, value)


def _names(name: str, value: object) -> frozenset[str]:
    # One text would be a set of its letters.
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        msg = f"the claim {name!r} must be a list of text, got {type(value).__name__}"
        raise AuthenticationError(msg)
    found = tuple(value)
    if len(found) > _MOST or not all(isinstance(item, str) and 0 < len(item) <= _LONGEST for item in found):
        msg = f"the claim {name!r} must hold at most {_MOST} texts of 1 to {_LONGEST} characters"
        raise AuthenticationError(msg)
    return frozenset(found)


def current_principal() -> Principal | None:
    """Return who acts in the request at hand, or None.

    A plain user id that somebody put into the context is a principal without any rights.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(principal="u-1"):
        ...     current_principal().user_id
        'u-1'
    """
    found = get_principal()
    if found is None or isinstance(found, Principal):
        return found
    if isinstance(found, str) and found:
        return Principal(user_id=found, method="context")
    return None
