"""Requests that a browser was made to send: refused before the application sees them."""

from http.cookies import CookieError, SimpleCookie
from typing import Final

from shared.api._exchange import Exchange
from shared.api._jobs import Job
from shared.api._policies import CsrfPolicy
from shared.constants import Header
from shared.errors import CsrfError, SharedError

__all__ = ["CsrfJob"]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READ: Final = ("sec-fetch-site", "origin", "cookie")
_MAX_COOKIES: Final = 16_384  # characters


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
