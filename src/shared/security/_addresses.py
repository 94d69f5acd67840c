"""Which addresses belong to the public internet."""

import ipaddress
from typing import Final

__all__ = ["embedded_in", "is_public_address", "parsed_address"]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Written out, because ipaddress judges some of them differently from one Python to
# the next. Source: IANA IPv4 and IPv6 Special-Purpose Address Registries.
_NOT_PUBLIC: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # public by number, the wire server of a cloud by use
            "169.254.0.0/16",  # link-local, and the clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "2001::/23",  # Teredo, ORCHID, benchmarking
            "2001:db8::/32",
            "2002::/16",  # 6to4
            "3fff::/20",
        ),
    )
)
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def parsed_address(text: str) -> IPAddress | None:
    """Return the address that *text* spells in its one canonical way, else None."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A zone ("fe80::1%eth0") has no meaning outside of this machine.
    return None if "%" in text else address


def embedded_in(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 one stands for, else *address*."""
    if isinstance(address, ipaddress.IPv6Address) and (address in _MAPPED or address in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public_address(address: str | IPAddress) -> bool:
    """Tell whether *address* belongs to the public internet.

    False for private, loopback, link-local, shared, documentation, multicast and
    reserved addresses, for the metadata services of clouds, for IPv6 forms that hide
    such an address (mapped, NAT64, 6to4, Teredo), and for text that is no address in
    its canonical spelling.

    Example:
        >>> [is_public_address(text) for text in ("93.184.215.14", "169.254.169.254", "::ffff:10.0.0.1")]
        [True, False, False]
    """
    found = parsed_address(address) if isinstance(address, str) else address
    if found is None:
        return False
    found = embedded_in(found)
    if isinstance(found, ipaddress.IPv6Address) and found not in _GLOBAL_V6:
        return False
    return not any(found in network for network in _NOT_PUBLIC if network.version == found.version)
