"""URLs from outside that this service is asked to fetch."""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from shared.errors import ConfigurationError, UnsafeUrlError
from shared.security._addresses import embedded_in, is_public_address, parsed_address
from shared.security._host import is_host_name, matches_host

__all__ = ["GuardedUrl", "aguard_url", "guard_url"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]
AsyncResolver = Callable[[str, int], Awaitable[Iterable[str]]]

_MAX_LENGTH: Final = 2048
_MAX_ADDRESSES: Final = 64
_PLAIN: Final = re.compile(r"[\x21-\x5b\x5d-\x7e]+\Z").match  # printable ASCII but the backslash
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z").match
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# Names that mean this machine or this network, whatever they resolve to.
_INNER_NAMES: Final = (
    ".localhost", ".local", ".localdomain", ".internal", ".intranet", ".home.arpa", ".lan", ".corp",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GuardedUrl:
    """A URL that may be fetched, and the addresses it may be fetched from.

    Connect to one of *addresses*, not to the name: asked again, a hostile name server
    may answer with an inner address. Do not follow redirects by yourself: pass each
    one through :func:`guard_url` first.

    Attributes:
        url: As given.
        scheme: In lower case.
        host: In lower case, without the dot at its end; the name to verify the
            certificate against and to send as ``Host`` and in TLS (SNI).
        port: As given, or that of the scheme.
        addresses: Where the host is, all of them allowed.

    Example:
        >>> found = guard_url("https://example.com/a?b=1", resolver=lambda host, port: ["93.184.215.14"])
        >>> found.host, found.addresses, found.pinned_url
        ('example.com', ('93.184.215.14',), 'https://93.184.215.14:443/a?b=1')
    """

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def pinned_url(self) -> str:
        """The URL with the first address in place of the host, and without the fragment."""
        parts = urlsplit(self.url)
        address = f"[{self.addresses[0]}]" if ":" in self.addresses[0] else self.addresses[0]
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.scheme}://{address}:{self.port}{parts.path or '/'}{query}"


def guard_url(
    url: str,
    *,
    resolver: Resolver | None = None,
    schemes: Collection[str] = ("https",),
    ports: Collection[int] | None = None,
    hosts: Collection[str] | None = None,
    allow_networks: Iterable[str] = (),
) -> GuardedUrl:
    """Check that fetching *url* reaches the public internet only (no server-side request forgery).

    Refused are: other schemes and ports, user names, addresses in any but their
    canonical spelling (decimal, octal, hexadecimal, short), names of this machine or
    network and names without a dot, and every host of which one address is private,
    loopback, link-local, a cloud's metadata service or otherwise not public.

    Args:
        url: What came from outside.
        resolver: From host and port to addresses; ``socket.getaddrinfo`` when absent,
            which blocks: in coroutines use :func:`aguard_url`.
        schemes: In lower case.
        ports: The default ports of *schemes* when None.
        hosts: When given, nothing else is reachable: ``"api.example.com"``,
            ``"*.example.com"``, with ``":port"`` where it is not the default.
        allow_networks: Networks that are reachable although they are not public, such
            as ``"10.20.0.0/16"``.

    Raises:
        UnsafeUrlError: It must not be fetched, or its host cannot be resolved.
        ConfigurationError: *hosts* or *allow_networks* is malformed.

    Source: OWASP Server-Side Request Forgery Prevention.

    Example:
        >>> guard_url("https://intern.example/", resolver=lambda host, port: ["10.0.0.7"])
        Traceback (most recent call last):
            ...
        shared.errors.UnsafeUrlError: host 'intern.example' has an address that is not public
    """
    networks = _networks(allow_networks)
    target = _target(url, schemes, ports, hosts)
    known = target.literal
    if known is None:
        try:
            known = list((resolver or _resolve)(target.host, target.port))
        except (OSError, UnicodeError) as exc:
            raise _unresolved(target.host, exc) from exc
    return _judged(url, target, known, networks)


async def aguard_url(
    url: str,
    *,
    resolver: AsyncResolver | None = None,
    schemes: Collection[str] = ("https",),
    ports: Collection[int] | None = None,
    hosts: Collection[str] | None = None,
    allow_networks: Iterable[str] = (),
) -> GuardedUrl:
    """Do the same as :func:`guard_url` without blocking the event loop.

    Example:
        >>> import asyncio
        >>> async def resolver(host, port):
        ...     return ["93.184.215.14"]
        >>> asyncio.run(aguard_url("https://example.com/", resolver=resolver)).port
        443
    """
    networks = _networks(allow_networks)
    target = _target(url, schemes, ports, hosts)
    known = target.literal
    if known is None:
        try:
            known = list(await (resolver or _aresolve)(target.host, target.port))
        except (OSError, UnicodeError) as exc:
            raise _unresolved(target.host, exc) from exc
    return _judged(url, target, known, networks)


# --- before the name is resolved ------------------------------------------------------------


class _Target(NamedTuple):
    scheme: str
    host: str
    port: int
    literal: list[str] | None  # the address, when the host is one


def _target(
    url: object, schemes: Collection[str], ports: Collection[int] | None, hosts: Collection[str] | None
) -> _Target:
    if not isinstance(url, str) or len(url) > _MAX_LENGTH or not _PLAIN(url):
        msg = f"a URL must be 1 to {_MAX_LENGTH} printable ASCII characters without spaces and backslashes"
        raise UnsafeUrlError(msg)
    wrong = [scheme for scheme in schemes if scheme not in _DEFAULT_PORTS]
    if wrong:  # also when somebody gives the text "https" for the list of it
        msg = f"unknown scheme {wrong[0]!r} in schemes (known: {', '.join(_DEFAULT_PORTS)})"
        raise ConfigurationError(msg)
    parts, port = _split(url)
    if parts.scheme not in schemes:
        msg = f"scheme {parts.scheme!r} is not allowed (allowed: {', '.join(sorted(schemes))})"
        raise UnsafeUrlError(msg)
    host = (parts.hostname or "").removesuffix(".")
    if not host or "@" in parts.netloc:
        raise UnsafeUrlError("a URL must have a host and no user name")
    default = _DEFAULT_PORTS[parts.scheme]
    port = default if port is None else port
    allowed = {_DEFAULT_PORTS[scheme] for scheme in schemes} if ports is None else ports
    if hosts is not None:
        if not any(matches_host(each, host, port, default) for each in hosts):
            msg = f"host {host!r} with port {port} is not on the list"
            raise UnsafeUrlError(msg)
    elif port not in allowed:
        msg = f"port {port} is not allowed (allowed: {', '.join(map(str, sorted(allowed)))})"
        raise UnsafeUrlError(msg)
    literal = _literal(host, bracketed="[" in parts.netloc, listed=hosts is not None)
    return _Target(parts.scheme, host, port, literal)


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise UnsafeUrlError("the URL is malformed", cause=exc) from exc
    if not url[len(parts.scheme) :].startswith("://"):
        raise UnsafeUrlError("the URL must begin with a scheme and '://'")
    return parts, port


def _literal(host: str, *, bracketed: bool, listed: bool) -> list[str] | None:
    """Return the address that *host* is, or None for a name.

    A host whose last part is a number is an address to every client, in spellings that
    they read in different ways (2130706433, 0x7f.1, 0177.0.0.1): only one is accepted.
    """
    address = parsed_address(host)
    if address is not None and bracketed == (address.version == 6):
        return [str(address)]
    if bracketed or _NUMBER(host.rpartition(".")[2]):
        msg = f"host {host!r} is an address in an unusual spelling"
        raise UnsafeUrlError(msg)
    if not is_host_name(host):
        msg = f"host {host!r} is no host name; international names are written in punycode"
        raise UnsafeUrlError(msg)
    if not listed and ("." not in host or host.endswith(_INNER_NAMES)):
        msg = f"host {host!r} is a name of this machine or network"
        raise UnsafeUrlError(msg)
    return None


# --- after -----------------------------------------------------------------------------------


def _judged(url: str, target: _Target, addresses: list[str], networks: tuple[Network, ...]) -> GuardedUrl:
    host = target.host
    unique = tuple(dict.fromkeys(addresses))
    if not 0 < len(unique) <= _MAX_ADDRESSES:
        msg = f"host {host!r} has {len(unique)} addresses, 1 to {_MAX_ADDRESSES} are expected"
        raise UnsafeUrlError(msg)
    if not all(_is_reachable(address, networks) for address in unique):
        # Which one is not told: the answer would map the inner network.
        msg = f"host {host!r} has an address that is not public"
        raise UnsafeUrlError(msg)
    return GuardedUrl(url, target.scheme, host, target.port, unique)


def _is_reachable(text: object, networks: tuple[Network, ...]) -> bool:
    address = parsed_address(text) if isinstance(text, str) else None
    if address is None:
        return False
    inner = embedded_in(address)
    return is_public_address(inner) or any(inner in network for network in networks)


def _networks(given: Iterable[str]) -> tuple[Network, ...]:
    try:
        return tuple(map(ipaddress.ip_network, given))
    except (TypeError, ValueError) as exc:
        msg = f"allow_networks must be networks such as '10.20.0.0/16': {exc}"
        raise ConfigurationError(msg, cause=exc) from exc


def _unresolved(host: str, exc: Exception) -> UnsafeUrlError:
    return UnsafeUrlError(f"host {host!r} cannot be resolved", cause=exc)


def _resolve(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _aresolve(host: str, port: int) -> list[str]:
    import asyncio

    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]
