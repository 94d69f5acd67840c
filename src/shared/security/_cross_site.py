"""Which site a browser's request came from."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.errors import ConfigurationError, CsrfError

__all__ = ["CrossSiteGuard"]

_ORIGIN: Final = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?\Z"
).match
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = frozenset({"same-origin", "none"})  # "none": the user typed it or used a bookmark
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_READ: Final = frozenset({"cookie", "origin", "sec-fetch-site"})


class CrossSiteGuard:
    """Refuses state-changing requests that a browser sends on behalf of another site.

    Looks at ``Sec-Fetch-Site``, which browsers set and pages cannot, and at
    ``Origin`` where it is absent. Needs no token and no state. A request without
    both comes from no browser of today: it passes only without cookies, because
    then it carries nothing that a browser would add by itself. Immutable.

    Args:
        trusted_origins: Other origins that may send, such as
            ``"https://app.example.com"``; compared whole, never as a part.

    Raises:
        ConfigurationError: An origin is not of the form ``scheme://host[:port]``.

    Source: W3C Fetch Metadata Request Headers; OWASP Cross-Site Request Forgery
    Prevention.

    Example:
        >>> guard = CrossSiteGuard()
        >>> guard.refusal("POST", {"Sec-Fetch-Site": "same-origin"}, origin="https://shop.example")
        >>> guard.refusal("POST", {"Origin": "https://evil.example"}, origin="https://shop.example")
        "the request came from 'https://evil.example', not from this site"
    """

    __slots__ = ("_trusted",)

    def __init__(self, trusted_origins: Iterable[str] = ()) -> None:
        given = tuple(trusted_origins)
        self._trusted = frozenset(filter(None, map(_normal, given)))
        wrong = [origin for origin in given if _normal(origin) is None]
        if wrong:
            msg = f"trusted origin {wrong[0]!r} must read scheme://host or scheme://host:port"
            raise ConfigurationError(msg)

    def refusal(
        self, method: str, headers: Mapping[str, str] | Iterable[tuple[Any, Any]], *, origin: str
    ) -> str | None:
        """Return why the request is refused, or None when it may pass.

        Args:
            method: As the client sent it; all but GET, HEAD and OPTIONS change state.
            headers: A mapping or pairs, text or bytes, in any case.
            origin: Our own, as the browser sees it: behind a proxy the outer one.

        Example:
            >>> CrossSiteGuard().refusal("GET", {"Sec-Fetch-Site": "cross-site"}, origin="https://shop.example")
        """
        if method in _SAFE:
            return None
        found = _read(headers)
        if found is None:
            return "a header that tells where the request came from is there twice"
        site, sender = found.get("sec-fetch-site"), found.get("origin")
        known = _normal(sender) if sender is not None else None
        if known is not None and known in self._trusted:
            return None
        if site is not None:
            return None if site in _OURS else f"the browser calls the request {site[:32]!r}"
        if sender is None:
            return (
                "the request has cookies and does not tell where it came from" if "cookie" in found else None
            )
        if known is None or known != _normal(origin):
            return f"the request came from {sender[:128]!r}, not from this site"
        return None

    def check(
        self, method: str, headers: Mapping[str, str] | Iterable[tuple[Any, Any]], *, origin: str
    ) -> None:
        """Let the request pass or raise; arguments as for :meth:`refusal`.

        Raises:
            CsrfError: It comes from another site.

        Example:
            >>> CrossSiteGuard().check("POST", {"Sec-Fetch-Site": "same-site"}, origin="https://shop.example")
            Traceback (most recent call last):
                ...
            shared.errors.CsrfError: the browser calls the request 'same-site'
        """
        reason = self.refusal(method, headers, origin=origin)
        if reason is not None:
            raise CsrfError(reason)


def _normal(origin: object) -> tuple[str, str, str] | None:
    """Return scheme, host and port of an origin, or None for anything else ("null" too)."""
    match = _ORIGIN(origin.lower()) if isinstance(origin, str) else None
    if match is None:
        return None
    scheme, host, port = match.groups()
    return scheme, host, port or _DEFAULT_PORTS[scheme]


def _read(headers: Mapping[str, str] | Iterable[tuple[Any, Any]]) -> dict[str, str] | None:
    """Return the headers that matter by their lower-case names; None when one is doubled."""
    found: dict[str, str] = {}
    pairs: Any = headers.items() if hasattr(headers, "items") else headers
    for name, value in pairs:
        lower = _text(name).lower()
        if lower in _READ:
            if lower in found and lower != "cookie":  # HTTP/2 may split cookies over several
                return None
            found[lower] = _text(value).strip()
    return found


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
