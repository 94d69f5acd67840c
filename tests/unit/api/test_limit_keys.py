"""Whose permits a request uses, and whom a header is believed."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import ClientAddress, Exchange
from shared.api._limit_keys import LimitKeys, key_parts, network_key
from shared.errors import ConfigurationError

TRUSTED = ["10.0.0.0/8", "2001:db8:aaaa::/48", "192.0.2.1"]
address = ClientAddress(TRUSTED)


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2, 10.0.0.3", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.2,10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:aaaa::7", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:bbbb::7", "203.0.113.9", "2001:db8:bbbb::7"),
        ("192.0.2.1", "203.0.113.9", "203.0.113.9"),
        ("testclient", "203.0.113.9", "testclient"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
    ],
)
def test_only_what_a_trusted_proxy_wrote_is_believed(peer, forwarded, found):
    assert address.find(peer, forwarded) == found


@given(st.text(max_size=200))
def test_a_stranger_cannot_change_its_address_by_any_header(forwarded):
    assert address.find("203.0.113.9", forwarded) == "203.0.113.9"


@given(st.text(max_size=200), st.ip_addresses(v=4).filter(lambda ip: not address._trusts(str(ip))))
def test_what_stands_left_of_an_untrusted_address_does_not_matter(claimed, real):
    assert address.find("10.0.0.1", f"{claimed}, {real}") == str(real)


def test_a_list_of_hops_is_read_only_so_far():
    assert address.find("10.0.0.1", "203.0.113.9," + "10.0.0.2," * 100 + "10.0.0.3") == "10.0.0.2"


def test_a_proxy_that_is_no_network_is_refused():
    with pytest.raises(ConfigurationError, match="trusted proxy"):
        ClientAddress(["10.0.0.0/33"])


@given(st.ip_addresses(v=6).filter(lambda ip: ip.ipv4_mapped is None), st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_ipv6_network_have_one_key(ip, other):
    neighbour = ipaddress.IPv6Address((int(ip) >> 64 << 64) | other)

    same = neighbour.ipv4_mapped is not None or network_key(str(ip)) == network_key(str(neighbour))

    assert same


def test_keys_of_addresses_are_written_in_one_way():
    keys = [
        network_key(text)
        for text in ("203.0.113.9", "::ffff:203.0.113.9", "2001:DB8:0:0::1", "2001:db8::2", "@unix", None)
    ]

    assert keys == [
        "ip:203.0.113.9", "ip:203.0.113.9", "ip:2001:db8::/64", "ip:2001:db8::/64", "ip:@unix", "ip:unknown",
    ]  # fmt: skip


class Asked(Exchange):
    """An exchange with what the keys look at."""

    def __init__(self, *, peer="203.0.113.9", principal=None, headers=(), route="/orders/{id}"):
        super().__init__("GET", "/orders/7", https=True, api_version="v1")
        from shared.context import RequestContext

        self.context = RequestContext("c-1", "r-1", None, principal=principal)
        self._peer, self._given, self._template = peer, dict(headers), route

    @property
    def client(self):
        return self._peer

    def header(self, name):
        return self._given.get(name.lower())

    def find_route(self):
        return self._template


class Somebody:
    def __init__(self, **values):
        self.__dict__.update(values)


keys = LimitKeys(ClientAddress())


@pytest.mark.parametrize(
    ("parts", "asked", "key"),
    [
        ("principal", {"principal": "u-1"}, "user:u-1"),
        ("principal", {"principal": Somebody(user_id="u-2")}, "user:u-2"),
        ("principal", {"principal": Somebody(id=7)}, "user:7"),
        ("principal", {}, "ip:203.0.113.9"),
        ("client", {"peer": None}, "ip:unknown"),
        ("route", {}, "GET /orders/{id}"),
        ("everybody", {}, "everybody"),
        ("api_key", {}, "ip:203.0.113.9"),
        (("principal", "route"), {"principal": "u-1"}, "user:u-1|GET /orders/{id}"),
        (lambda exchange: exchange.path, {}, "of:/orders/7"),
        (lambda _exchange: None, {}, None),
        (("client", lambda _exchange: None), {}, None),
    ],
    ids=[
        "text", "user_id", "id", "nobody", "no-peer", "route", "everybody", "no-key", "two", "own", "own-none",
        "two-none",
    ],
)  # fmt: skip
def test_a_part_of_the_key_is(parts, asked, key):
    assert keys.of(Asked(**asked), key_parts(parts)) == key


def test_a_principal_cannot_look_like_an_address():
    stranger = keys.of(Asked(peer="203.0.113.9"), ("principal",))
    user = keys.of(Asked(principal="ip:203.0.113.9"), ("principal",))

    assert stranger != user


@pytest.mark.parametrize(
    "by", ["principal", lambda exchange: exchange.context.principal], ids=["principal", "own"]
)
def test_a_key_is_never_longer_than_a_store_likes(by):
    found = {keys.of(Asked(principal=end * 100_000), key_parts(by)) for end in "ab"}

    assert len(found) == 2
    assert all(len(key) < 50 for key in found)


def test_an_api_key_is_told_only_by_its_digest():
    key = keys.of(Asked(headers={"x-api-key": "sk-secret"}), ("api_key",))

    assert key.startswith("key:")
    assert "secret" not in key


@pytest.mark.parametrize("by", ["", "ip", (), ("client", "ip"), None], ids=str)
def test_a_part_that_is_unknown_is_refused(by):
    with pytest.raises((ConfigurationError, TypeError)):
        key_parts(by)
