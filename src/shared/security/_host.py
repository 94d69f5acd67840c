"""Host names and lists of them."""

import re
from typing import Final

from shared.errors import ConfigurationError

__all__ = ["is_host_name", "matches_host"]

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z").match
_ALLOWED: Final = re.compile(
    rf"(\*\.)?({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\])(?::([0-9]{{1,5}}))?\Z"
).match
_MAX_NAME: Final = 253


def is_host_name(host: str) -> bool:
    """Tell whether *host* is a name in lower-case ASCII. Source: RFC 1123, section 2.1, and "_"."""
    return len(host) <= _MAX_NAME and _NAME(host) is not None


def matches_host(allowed: object, host: str, port: int, default_port: int) -> bool:
    """Tell whether *host* and *port* are what *allowed* names.

    ``"*.example.com"`` covers subdomains of any depth and not ``example.com``. Without
    a port the default one is meant. A dot at the end of *host* is another spelling of it.

    Raises:
        ConfigurationError: *allowed* is malformed.
    """
    match = _ALLOWED(allowed.lower()) if isinstance(allowed, str) else None
    if match is None:
        msg = f"allowed host {allowed!r} must read 'host', 'host:port' or '*.host'"
        raise ConfigurationError(msg)
    wildcard, name, allowed_port = match.groups()
    host = host.lower().removesuffix(".")
    if port != int(allowed_port or default_port):
        return False
    return host.endswith(f".{name}") if wildcard else host == name.strip("[]")
