"""Answers preflights and lets pages read answers. Source: Fetch Standard, section 3.2 (CORS protocol)."""

import re
from typing import Final

from shared.api._errors import Reply
from shared.api._exchange import Exchange
from shared.api._jobs import Job, ResponseHeaders
from shared.api._policies import CorsPolicy
from shared.errors import AuthorizationError, SharedError

__all__ = ["CorsJob"]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z").match  # RFC 9110, section 5.6.2
_MAX_ASKED: Final = 1000  # characters of the headers that a preflight asks for
_MAX_NAMES: Final = 50


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
