"""Requests that a browser was made to send: refused before the application sees them."""

from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final, Self

from shared.api._exchange import Exchange
from shared.api._jobs import Job
from shared.constants import Header
from shared.errors import ConfigurationError, CsrfError, SharedError

if TYPE_CHECKING:
    from shared.security import CsrfTokens

__all__ = ["CsrfPolicy"]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READ: Final = ("sec-fetch-site", "origin", "cookie")
_MAX_COOKIES: Final = 16_384  # characters


@dataclass(frozen=True, kw_only=True)
class CsrfPolicy:
    """How requests with cookies prove that a page of ours sent them.

    Put it into :attr:`LayerOptions.csrf`. Looked at are requests with a ``Cookie``
    header whose method is not GET, HEAD or OPTIONS, and handshakes of websockets;
    one with ``Authorization: Bearer`` passes, because no browser adds that by itself.
    First comes the origin (:class:`shared.security.CrossSiteGuard`). With *secrets*, a
    request that carries the session's cookie also needs the session's token
    (:class:`shared.security.CsrfTokens`) in ``X-CSRF-Token``. A refusal is a 403 with the code
    ``CSRF_FAILED``.

    Attributes:
        trusted_origins: Other origins that may send, and our own where a proxy hides it.
        secrets: Keys of the tokens, the newest first; without one no token is asked for.
        session_cookie: Name of the cookie that holds the session's id.
        exempt_paths: Paths that are not looked at, such as those of webhooks.

    Raises:
        ConfigurationError: An origin or secret is malformed.

    Example:
        >>> policy = CsrfPolicy(secrets=("a secret of at least thirty-two bytes",))
        >>> policy.tokens().is_valid(policy.tokens().issue("session-1"), "session-1")
        True
    """

    trusted_origins: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    session_cookie: str = "session"
    exempt_paths: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "trusted_origins", tuple(self.trusted_origins))
        object.__setattr__(self, "secrets", tuple(self.secrets))
        object.__setattr__(self, "exempt_paths", frozenset(self.exempt_paths))
        CsrfJob(self)  # says at start-up what is wrong

    def tokens(self) -> "CsrfTokens":
        """Return what issues the tokens: for the page, or a cookie that its script may read.

        Raises:
            ConfigurationError: The policy has no secret.
        """
        from shared.security import CsrfTokens

        if not self.secrets:
            msg = "the CSRF policy has no secret: set CSRF_SECRET_KEY and CSRF_PROTECTION=token"
            raise ConfigurationError(msg)
        return CsrfTokens(self.secrets)

    @classmethod
    def from_settings(cls, settings: Any) -> Self | None:
        """Return the policy that the settings ask for, None for ``CSRF_PROTECTION=off``.

        Raises:
            ConfigurationError: ``CSRF_PROTECTION=token`` without ``CSRF_SECRET_KEY``.

        Example:
            >>> from shared.config import Settings
            >>> CsrfPolicy.from_settings(Settings()) is None
            True
        """
        security, api = settings.security, settings.api
        if security.CSRF_PROTECTION == "off":
            return None
        secrets: tuple[str, ...] = ()
        if security.CSRF_PROTECTION == "token":
            if security.CSRF_SECRET_KEY is None:
                raise ConfigurationError("CSRF_PROTECTION=token needs CSRF_SECRET_KEY")
            secrets = (security.CSRF_SECRET_KEY.get_secret_value(),)
        # Whoever may send cookies by CORS is trusted already.
        by_cors = api.CORS_ORIGINS if api.CORS_ALLOW_CREDENTIALS else ()
        return cls(
            trusted_origins=(*security.CSRF_TRUSTED_ORIGINS, *by_cors),
            secrets=secrets,
            session_cookie=security.CSRF_SESSION_COOKIE,
        )


class CsrfJob(Job):
    """Refuses requests with cookies that another site made the browser send."""

    def __init__(self, policy: CsrfPolicy) -> None:
        from shared.security import CrossSiteGuard

        self._guard = CrossSiteGuard(policy.trusted_origins)
        self._tokens = policy.tokens() if policy.secrets else None
        self._session = policy.session_cookie
        self._exempt = policy.exempt_paths

    def on_request(self, exchange: Exchange) -> SharedError | None:
        """Refuse what does not prove where it came from."""
        if exchange.method in _SAFE or exchange.path in self._exempt:
            return None
        cookies = exchange.header("cookie")
        if cookies is None or (exchange.header("authorization") or "")[:7].lower() == "bearer ":
            return None
        scheme = "https" if exchange.https else "http"
        origin = f"{scheme}://{exchange.header('host') or ''}"
        given = ((name, exchange.header(name)) for name in _READ)
        found = [pair for pair in given if pair[1] is not None]
        try:
            self._guard.check(exchange.method, found, origin=origin)
            if self._tokens is not None and exchange.protocol == "http":
                session = _cookie(cookies, self._session)
                if session is not None:
                    self._tokens.verify(exchange.header(Header.CSRF_TOKEN), session)
        except CsrfError as refusal:
            return refusal
        return None


def _cookie(header: str, name: str) -> str | None:
    """Return the value of one cookie, or None.

    Raises:
        CsrfError: There are several of that name: a neighbouring subdomain may have
            planted one, and the application may take the other.
    """
    pairs = (part.partition("=") for part in header[:_MAX_COOKIES].split(";"))
    found = [value.strip() for key, _, value in pairs if key.strip() == name]
    if len(found) > 1:
        raise CsrfError("the cookie of the session is there twice")
    return _unquoted(found[0]) if found else None


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        morsels = SimpleCookie(f"c={value}")
    except CookieError:
        return value
    return morsels["c"].value if "c" in morsels else value
