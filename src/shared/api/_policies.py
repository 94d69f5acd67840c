"""What the layer is told about browsers and bodies; the jobs of the same names do it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.security import CsrfTokens

__all__ = ["CorsPolicy", "CsrfPolicy", "checked_types"]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z").match  # RFC 9110, section 5.6.2
_ORIGIN: Final = re.compile(r"https?://[^\s/?#@,*\"<>\\]+\Z").match
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]+/(?:\*|[a-z0-9!#$&^_.+-]+)\Z").match
_EXPOSED: Final = (
    "Deprecation",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "X-Correlation-ID",
    "X-Request-ID",
)


@dataclass(frozen=True, kw_only=True)
class CorsPolicy:
    """Which pages of other origins may call the service from a browser.

    Put it into :attr:`LayerOptions.cors`: preflights are answered before anything
    else is asked, and every answer to an allowed origin, errors included, can be read
    by its page. An origin that is not listed gets no such header, and its preflight
    a 403.

    Attributes:
        origins: Origins such as ``"https://app.example.com"``, compared whole; ``"*"``
            is every origin and excludes *credentials*.
        credentials: Whether browsers may send cookies.
        methods: Methods that may be used.
        headers: Request headers that may be sent; ``"*"`` is whatever is asked for.
        expose: Response headers that pages may read.
        max_age: Seconds a browser may remember the answer to a preflight, >= 0.

    Raises:
        ConfigurationError: An unsafe combination, or a value that is no origin,
            method or header name.

    Example:
        >>> CorsPolicy(origins=("https://app.example.com",), credentials=True).max_age
        600
        >>> CorsPolicy(origins=("*",), credentials=True)
        Traceback (most recent call last):
            ...
        shared.errors.ConfigurationError: CORS: '*' with credentials lets every site act as the user...
    """

    origins: tuple[str, ...]
    credentials: bool = False
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    headers: tuple[str, ...] = ("*",)
    expose: tuple[str, ...] = _EXPOSED
    max_age: int = 600

    def __post_init__(self) -> None:
        for name in ("origins", "methods", "headers", "expose"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "origins", tuple(map(_lowered, self.origins)))
        if "*" in self.origins and self.credentials:
            _refuse("'*' with credentials lets every site act as the user; list the origins")
        if "*" in self.expose and self.credentials:
            _refuse("expose '*' means nothing to a browser that sends credentials; list the headers")
        for origin in self.origins:
            if origin != "*" and not _ORIGIN(origin):
                _refuse(f"{origin!r} is no origin; write scheme://host or scheme://host:port")
        for name in (*self.methods, *self.headers, *self.expose):
            if not _TOKEN(name):
                _refuse(f"{name!r} is no name of a method or header")
        if "*" in self.methods:
            _refuse("list the methods instead of '*'")
        if self.max_age < 0:
            _refuse(f"max_age is 0 seconds or more, got {self.max_age!r}")

    @classmethod
    def from_settings(cls, api: Any) -> Self | None:
        """Return the policy of ``settings.api``, None without ``CORS_ORIGINS``.

        Example:
            >>> from shared.config import APISettings
            >>> CorsPolicy.from_settings(APISettings()) is None
            True
        """
        if not api.CORS_ORIGINS:
            return None
        return cls(
            origins=tuple(api.CORS_ORIGINS),
            credentials=api.CORS_ALLOW_CREDENTIALS,
            methods=tuple(method.upper() for method in api.CORS_ALLOW_METHODS),
            headers=tuple(api.CORS_ALLOW_HEADERS),
            max_age=api.CORS_MAX_AGE,
        )


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
        from shared.security import CrossSiteGuard

        CrossSiteGuard(self.trusted_origins)  # says at start-up what is wrong
        if self.secrets:
            self.tokens()

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


def checked_types(given: Iterable[str]) -> tuple[str, ...]:
    """Return media types in lower case.

    Raises:
        ConfigurationError: One is neither ``type/subtype`` nor ``type/*``.
    """
    types = tuple(kind.strip().lower() for kind in given)
    for kind in types:
        if not _TYPE(kind):
            msg = f"content type {kind!r} must read type/subtype or type/*"
            raise ConfigurationError(msg)
    return types


def _lowered(origin: str) -> str:
    return origin.strip().lower()


def _refuse(message: str) -> None:
    msg = f"CORS: {message}"
    raise ConfigurationError(msg)
