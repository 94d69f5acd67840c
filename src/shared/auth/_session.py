"""One session as its user sees it, and its cookie; no store, no clock."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from pydantic import SecretStr

from shared.auth._auth_request import AuthRequest
from shared.auth._principal import Principal
from shared.auth._record_store import Record
from shared.errors import AuthenticationError, ConfigurationError, ValidationError

__all__ = ["NewSession", "Session", "SessionCookie"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z").match  # 256 bits
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z").match
_MAX_DATA: Final = 16_384  # bytes of JSON


@dataclass(frozen=True, slots=True)
class Session:
    """A session without the value of its cookie; safe to list.

    Attributes:
        id: Hash of the cookie's value: names the session and opens nothing.
        user_id: Whose it is.
        data: What the service keeps in it; JSON.
        identity: What the principal is made of.
        created_at: When its user logged in, in seconds since 1970.
        last_seen_at: About when it was last used.
        expires_at: When it ends however much it is used.
        client: Address it was started from, or None.
        user_agent: Browser it was started from, or None.
        version: Of what was read, for a change.

    Example:
        >>> Session("s-1", "u-1").principal()
        Principal(user_id='u-1', method='session')
    """

    id: str
    user_id: str
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    identity: Mapping[str, Any] = field(default_factory=dict, repr=False)
    created_at: float = 0.0
    last_seen_at: float = 0.0
    expires_at: float = 0.0
    client: str | None = field(default=None, repr=False)
    user_agent: str | None = field(default=None, repr=False)
    version: int = 1

    def principal(self) -> Principal:
        """Return who acts with it.

        Example:
            >>> Session("s-1", "u-1", identity={"roles": ["admin"]}).principal().roles
            frozenset({'admin'})
        """
        return Principal(
            user_id=self.user_id,
            email=self.identity.get("email"),
            roles=self.identity.get("roles") or (),
            permissions=self.identity.get("permissions") or (),
            tenant=self.identity.get("tenant"),
            method="session",
            session_id=self.id,
        )


class NewSession(NamedTuple):
    """A session that was just made: the only moment at which the value of its cookie is known.

    Attributes:
        token: Value of the cookie.
        session: What is kept of it.

    Example:
        >>> NewSession(SecretStr("…"), Session("s-1", "u-1")).token
        SecretStr('**********')
    """

    token: SecretStr
    session: Session


def new_token() -> str:
    """Return the value of a new cookie."""
    return secrets.token_urlsafe(32)


def id_of(token: object) -> str | None:
    """Return the id of the session that *token* opens, or None for what cannot be one."""
    if not isinstance(token, str) or not _TOKEN(token):
        return None
    return hashlib.sha256(b"shared.auth/v1/session" + token.encode()).hexdigest()


def session_record(
    token: str,
    principal: Principal,
    *,
    data: Mapping[str, Any],
    created_at: float,
    expires_at: float,
    now: float,
    client: str | None,
    user_agent: str | None,
) -> Record:
    """Return the record of a new session."""
    identity = {
        "email": principal.email,
        "roles": sorted(principal.roles),
        "permissions": sorted(principal.permissions),
        "tenant": principal.tenant,
    }
    facts = {
        "identity": {name: value for name, value in identity.items() if value},
        "data": checked_data(data),
        "client": client,
        "user_agent": None if user_agent is None else user_agent[:255],
    }
    session_id = id_of(token) or ""
    return Record(
        session_id, principal.user_id, facts, created_at=created_at, expires_at=expires_at, touched_at=now
    )


def checked_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return *data* as JSON gives it back.

    Raises:
        ValidationError: It is no JSON object, or larger than 16 KiB.
    """
    try:
        text = json.dumps(dict(data), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        msg = f"the data of a session must be JSON, got {type(data).__name__} ({type(exc).__name__})"
        raise ValidationError(msg) from exc
    if len(text) > _MAX_DATA:
        msg = f"the data of a session is {len(text)} bytes of JSON, at most {_MAX_DATA} are kept"
        raise ValidationError(msg)
    found: dict[str, Any] = json.loads(text)
    return found


def session_of(record: Record) -> Session:
    """Return what is known of a session."""
    data = record.data
    return Session(
        record.id,
        record.owner,
        data.get("data") or {},
        data.get("identity") or {},
        record.created_at,
        record.touched_at or record.created_at,
        record.expires_at or 0.0,
        data.get("client"),
        data.get("user_agent"),
        record.version,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCookie:
    """How the cookie is set, and read.

    Attributes:
        name: With ``__Host-`` browsers take it over https only, for this host only, and
            no neighbouring subdomain can plant another.
        same_site: ``"Lax"`` or ``"Strict"``.
        max_age: Seconds for which the browser keeps it; until it is closed when None.
        insecure: Send it over http as well, for development; needs a name without prefix.

    Raises:
        ConfigurationError: The name is malformed, or has a prefix that *insecure* breaks.

    Source: draft-ietf-httpbis-rfc6265bis, section 4.1.3.2 ("__Host-").

    Example:
        >>> SessionCookie().header("TOKEN")
        '__Host-session=TOKEN; Path=/; Secure; HttpOnly; SameSite=Lax'
    """

    name: str = "__Host-session"
    same_site: Literal["Lax", "Strict"] = "Lax"
    max_age: int | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if not _NAME(self.name):
            msg = f"the name of the session cookie is 1 to 64 of A-Z a-z 0-9 _ -, got {self.name[:64]!r}"
            raise ConfigurationError(msg)
        if self.same_site not in ("Lax", "Strict"):
            msg = f"same_site is 'Lax' or 'Strict', got {self.same_site!r}"
            raise ConfigurationError(msg)
        if self.insecure and self.name.lower().startswith(("__host-", "__secure-")):
            msg = f"browsers refuse {self.name!r} over http: choose a name without prefix, or not insecure"
            raise ConfigurationError(msg)

    def header(self, token: str | SecretStr) -> str:
        """Return the value of ``Set-Cookie`` for a new session.

        Example:
            >>> SessionCookie(max_age=60, same_site="Strict").header("T")
            '__Host-session=T; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Strict'
        """
        value = token.get_secret_value() if isinstance(token, SecretStr) else token
        return self._header(value, self.max_age)

    def clear(self) -> str:
        """Return the value of ``Set-Cookie`` that makes the browser forget it.

        Example:
            >>> SessionCookie().clear()
            '__Host-session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax'
        """
        return self._header("", 0)

    def read(self, request: AuthRequest) -> str | None:
        """Return the value of the cookie, or None.

        Raises:
            AuthenticationError: It is there twice: somebody planted another.

        Example:
            >>> from shared.auth import PlainRequest
            >>> SessionCookie().read(PlainRequest("GET", "/", [("Cookie", "__Host-session=T")]))
            'T'
        """
        found = request.cookies(self.name)
        if len(set(found)) > 1:
            raise AuthenticationError("the session cookie is there twice", challenge="Cookie")
        return found[0] if found and found[0] else None

    def _header(self, value: str, max_age: int | None) -> str:
        parts: Iterable[str] = (
            f"{self.name}={value}",
            "Path=/",
            *(() if max_age is None else (f"Max-Age={max_age}",)),
            *(() if self.insecure else ("Secure",)),
            "HttpOnly",
            f"SameSite={self.same_site}",
        )
        return "; ".join(parts)
