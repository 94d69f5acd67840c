"""Where a redirect may lead when the target came from outside."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from shared.errors import ConfigurationError
from shared.security._host import matches_host

__all__ = ["safe_redirect"]

_MAX_LENGTH: Final = 2048
# Printable ASCII but the backslash, which browsers read as a slash. Tabs, line
# breaks and leading spaces vanish in browsers and would make other URLs of it.
_PLAIN: Final = re.compile(r"[\x21-\x5b\x5d-\x7e]+\Z").match
_LOCAL: Final = re.compile(r"/(?!/)[^?#]*").match


def safe_redirect(
    target: str | None, *, allowed_hosts: Iterable[str] = (), default: str = "/", allow_http: bool = False
) -> str:
    r"""Return *target* when it leads to this site or an allowed host, else *default*.

    A path must begin with exactly one slash. Anything that browsers and servers may
    read in two ways is refused: backslashes, control characters, spaces, user names,
    ``//`` in the path, non-ASCII text that is not percent-encoded. Never raises for
    a bad target.

    Args:
        target: What the request asked for, such as its ``next`` parameter.
        allowed_hosts: Hosts for whole URLs, such as ``"app.example.com"``,
            ``"app.example.com:8443"`` or ``"*.example.com"`` (subdomains only).
        default: Returned instead; yours, so not checked.
        allow_http: Whether whole URLs may use ``http`` too.

    Raises:
        ConfigurationError: An allowed host is malformed.

    Source: OWASP Unvalidated Redirects and Forwards.

    Example:
        >>> [safe_redirect(target) for target in ("/orders?page=2", "//evil.example", "/\\evil.example")]
        ['/orders?page=2', '/', '/']
        >>> safe_redirect("https://app.example.com/x", allowed_hosts=["*.example.com"])
        'https://app.example.com/x'
    """
    hosts = _listed(allowed_hosts)
    if not isinstance(target, str) or len(target) > _MAX_LENGTH or not _PLAIN(target):
        return default
    local = _LOCAL(target)
    if local is not None:
        return target if "//" not in local[0] else default
    return target if _leads_to(target, hosts, allow_http=allow_http) else default


def _listed(allowed_hosts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(allowed_hosts, str):
        msg = f"allowed_hosts must be a list of hosts, got the text {allowed_hosts!r}"
        raise ConfigurationError(msg)
    hosts = tuple(allowed_hosts)
    for allowed in hosts:  # a mistake shows at once, not with the first URL that gets that far
        matches_host(allowed, "", 0, 0)
    return hosts


def _leads_to(target: str, hosts: tuple[str, ...], *, allow_http: bool) -> bool:
    try:
        parts = urlsplit(target)
        port = parts.port
    except ValueError:
        return False
    schemes = {"https": 443, "http": 80} if allow_http else {"https": 443}
    # urlsplit forgives "https:evil"; a browser goes to evil.
    if parts.scheme not in schemes or not target[len(parts.scheme) :].startswith("://"):
        return False
    if "@" in parts.netloc or not parts.hostname or "//" in parts.path:
        return False
    return any(
        matches_host(allowed, parts.hostname, port or schemes[parts.scheme], schemes[parts.scheme])
        for allowed in hosts
    )
