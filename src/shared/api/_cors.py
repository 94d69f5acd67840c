"""Which pages of other origins may call the service. Source: Fetch Standard, section 3.2 (CORS protocol)."""

import re
from dataclasses import dataclass
from typing import Any, Final, Self

from shared.api._errors import Reply
from shared.api._exchange import Exchange
from shared.api._jobs import Job, ResponseHeaders
from shared.errors import AuthorizationError, ConfigurationError, SharedError

__all__ = ["CorsPolicy"]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z").match  # RFC 9110, section 5.6.2
_ORIGIN: Final = re.compile(r"https?://[^\s/?#@,*\"<>\\]+\Z").match
_MAX_ASKED: Final = 1000  # characters of the headers that a preflight asks for
_MAX_NAMES: Final = 50
_EXPOSED: Final = (
    "Deprecation",
    "ETag",
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


class CorsJob(Job):
    """Answers preflights, and adds to answers what lets a page read them."""

    def __init__(self, policy: CorsPolicy) -> None:
        self._every = "*" in policy.origins
        self._origins = frozenset(policy.origins)
        self._credentials = policy.credentials
        self._methods = ", ".join(policy.methods)
        self._headers = ", ".join(policy.headers)
        self._any_header = "*" in policy.headers
        self._expose = ", ".join(policy.expose)
        self._max_age = str(policy.max_age)

    def on_request(self, exchange: Exchange) -> Reply | SharedError | None:
        """Answer a preflight; everything else passes."""
        if exchange.method != "OPTIONS":
            return None
        origin = exchange.header("origin")
        if origin is None or exchange.header("access-control-request-method") is None:
            return None
        if not self._allows(origin):
            return AuthorizationError("pages of this origin may not call the service")
        headers = [("Access-Control-Allow-Methods", self._methods)]
        if allowed := self._allowed_headers(exchange.header("access-control-request-headers")):
            headers.append(("Access-Control-Allow-Headers", allowed))
        headers.append(("Access-Control-Max-Age", self._max_age))
        headers.append(("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers"))
        return Reply(204, tuple(headers))

    def on_headers(self, exchange: Exchange, status: int, headers: ResponseHeaders) -> None:  # noqa: ARG002
        """Let the page read the answer, whoever made it."""
        if exchange.protocol != "http":
            return
        if self._every:
            headers.set("Access-Control-Allow-Origin", "*")
        else:
            _vary(headers, "Origin")
        origin = exchange.header("origin")
        if origin is None or not self._allows(origin):
            return
        if not self._every:
            headers.set("Access-Control-Allow-Origin", origin)
        if self._credentials:
            headers.set("Access-Control-Allow-Credentials", "true")
        if self._expose:
            headers.setdefault("Access-Control-Expose-Headers", self._expose)

    def _allows(self, origin: str) -> bool:
        return self._every or origin.lower() in self._origins

    def _allowed_headers(self, asked: str | None) -> str:
        if not self._any_header:
            return self._headers
        # Told by name: "*" covers neither Authorization nor requests with credentials.
        names = [name.strip() for name in (asked or "")[:_MAX_ASKED].split(",")][:_MAX_NAMES]
        return ", ".join(name for name in names if _TOKEN(name))


def _vary(headers: ResponseHeaders, name: str) -> None:
    present = headers.get("Vary")
    if present is None:
        headers.append("Vary", name)
    elif name.lower() not in (part.strip().lower() for part in present.split(",")):
        headers.set("Vary", f"{present}, {name}")


def _lowered(origin: str) -> str:
    return origin.strip().lower()


def _refuse(message: str) -> None:
    msg = f"CORS: {message}"
    raise ConfigurationError(msg)
