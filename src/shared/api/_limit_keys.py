"""Whose permits a request uses: client, principal, API key, route, or everybody."""

import hashlib
import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from shared.api._exchange import Exchange
from shared.constants import Header
from shared.errors import ConfigurationError

__all__ = ["ClientAddress", "KeyPart", "LimitKeys"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
KeyPart: TypeAlias = str | Callable[[Exchange], str | None]

_NAMES: Final = ("api_key", "client", "everybody", "principal", "route")
_NETWORK_BITS: Final = 64  # what one subscriber has of IPv6 at least; single addresses cost nothing
_MAX_HOPS: Final = 32
_LONGEST_TEXT: Final = 128


class ClientAddress:
    """Finds the address of the client behind proxies that are trusted, and nobody else.

    ``X-Forwarded-For`` is read from the right, which the own proxies wrote, and only
    as far as it was written by networks in *trusted*; what a client sends itself is
    never believed.

    Args:
        trusted: Networks of the proxies, such as ``10.0.0.0/8``. With none the peer is the client.

    Raises:
        ConfigurationError: One is no network.

    Example:
        >>> address = ClientAddress(["10.0.0.0/8"])
        >>> address.find("10.0.0.7", "6.6.6.6, 203.0.113.9, 10.0.0.3")
        '203.0.113.9'
        >>> address.find("203.0.113.50", "6.6.6.6")
        '203.0.113.50'
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        try:
            self._trusted: tuple[Network, ...] = tuple(
                ipaddress.ip_network(network, strict=False) for network in trusted
            )
        except ValueError as exc:
            msg = "a trusted proxy is an IP address or a network such as 10.0.0.0/8"
            raise ConfigurationError(msg) from exc

    def of(self, exchange: Exchange) -> str | None:
        """Return the client's address; None when the server does not know its peer."""
        peer = exchange.client
        if not self._trusted or peer is None:
            return peer
        return self.find(peer, exchange.header_list("x-forwarded-for"))

    def find(self, peer: str, forwarded: str) -> str:
        """Return the client's address from the peer's and the list of ``X-Forwarded-For``."""
        found = peer
        if not forwarded or not self._trusts(peer):
            return found
        for entry in reversed(forwarded.split(",")[-_MAX_HOPS:]):
            address = _address(entry)
            if address is None:  # what nobody trustworthy has written proves nothing
                break
            found = str(address)
            if not self._trusts(found):
                break
        return found

    def _trusts(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(
            address in network for network in self._trusted if network.version == address.version
        )


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """Return the address in ``1.2.3.4``, ``1.2.3.4:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@lru_cache(maxsize=4096)
def network_key(text: str | None) -> str:
    """Return the key of an address: itself, the /64 of IPv6, ``unknown`` for none."""
    if text is None:
        return "ip:unknown"
    address = _address(text)
    if address is None:  # a unix socket, a test client
        return "ip:" + text[:64]
    if address.version == 6:
        return f"ip:{ipaddress.ip_network((int(address), _NETWORK_BITS), strict=False).network_address}/64"
    return f"ip:{address}"


class LimitKeys:
    """Makes the keys of one application's limits.

    Args:
        address: Finds the client's address.
        api_key_header: Header that carries API keys.
    """

    def __init__(self, address: ClientAddress, api_key_header: str = Header.API_KEY) -> None:
        self._address = address
        self._api_key_header = str(api_key_header)

    def of(self, exchange: Exchange, parts: tuple[KeyPart, ...]) -> str | None:
        """Return the key of *parts* for this request; None when a function says that it is not limited."""
        if len(parts) == 1:
            return self._part(exchange, parts[0])
        found = [self._part(exchange, part) for part in parts]
        if None in found:
            return None
        return "|".join(text for text in found if text is not None)

    def _part(self, exchange: Exchange, part: KeyPart) -> str | None:
        if not isinstance(part, str):
            text = part(exchange)
            return None if text is None else f"of:{_bounded(str(text))}"
        if part == "principal":
            return self._principal(exchange)
        if part == "client":
            return network_key(self._address.of(exchange))
        if part == "route":
            return f"{exchange.method} {exchange.find_route()}"
        if part == "api_key":
            given = exchange.header(self._api_key_header)
            return network_key(self._address.of(exchange)) if not given else "key:" + _digest(given)
        return "everybody"

    def _principal(self, exchange: Exchange) -> str:
        who: Any = exchange.context.principal
        if who is None:  # nobody known: by address, or strangers would share one limit
            return network_key(self._address.of(exchange))
        named = who if isinstance(who, str) else getattr(who, "user_id", None) or getattr(who, "id", None)
        return f"user:{_bounded(str(who if named is None else named))}"


def _bounded(text: str) -> str:
    """Return *text*, or what stands for it when it is longer than a key should be."""
    return text if len(text) <= _LONGEST_TEXT else _digest(text)


def _digest(secret: str) -> str:
    """Return what stands for a credential where others may read: it cannot be turned back."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def key_parts(by: "KeyPart | Iterable[KeyPart]") -> tuple[KeyPart, ...]:
    """Return the parts of a key, checked.

    Raises:
        ConfigurationError: A name is unknown, or there is none.
    """
    parts = (by,) if isinstance(by, str) or callable(by) else tuple(by)
    wrong = [part for part in parts if not callable(part) and part not in _NAMES]
    if wrong or not parts:
        shown = repr(wrong[0]) if wrong else "nothing"
        msg = f"a limit is counted by {', '.join(_NAMES)} or a function of the request, got {shown}"
        raise ConfigurationError(msg)
    return parts
