"""Whether a URL sends its data over a network as it is."""

import ipaddress
from typing import Final
from urllib.parse import parse_qs

from shared.config._types import ConnectionUrl

__all__ = ["is_local", "is_plaintext"]

_PLAIN_SCHEMES: Final = ("amqp", "http", "nats", "redis")
_SAFE_SCHEMES: Final = ("sqlite", "memory", "unix", "rediss", "amqps", "tls", "https")
_TLS_PARAMETERS: Final = {
    "sslmode": ("require", "verify-ca", "verify-full"),
    "ssl": ("require", "verify-ca", "verify-full", "true", "1"),
    "ssl_mode": ("required", "verify_ca", "verify_identity"),
    "encrypt": ("yes", "true", "strict", "mandatory"),
}


def is_plaintext(url: ConnectionUrl) -> bool:
    """Tell whether *url* sends its data unencrypted over a network.

    A unix socket and a loopback address stay on the machine and do not count.
    """
    if url.scheme in _SAFE_SCHEMES:
        return False
    address, _, text = str(url).partition("://")[2].partition("?")
    query = {key.lower(): [item.lower() for item in items] for key, items in parse_qs(text).items()}
    hosts = query.get("host") or _hosts(address)
    if all(is_local(host) for host in hosts):
        return False
    if url.scheme in _PLAIN_SCHEMES:
        return True
    if "ssl_ca" in query:
        return False
    return not any(set(query.get(name, ())) & set(accepted) for name, accepted in _TLS_PARAMETERS.items())


def _hosts(address: str) -> list[str]:
    """Return the hosts of ``user:password@host:port,host:port/name``, without ports.

    Cut at the last ``@``: a password may hold characters that should have been
    escaped, and what stands before it must not be taken for the host.
    """
    hosts = []
    for part in address.rpartition("@")[2].partition("/")[0].split(","):
        name = part[1 : part.index("]")] if part.startswith("[") and "]" in part else part.partition(":")[0]
        hosts.append(name)
    return hosts


def is_local(host: str) -> bool:
    """Tell whether *host* is this machine: empty, a socket's path, localhost or loopback."""
    name = host.strip().strip("[]").lower().rstrip(".")
    if not name or name.startswith("/") or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
