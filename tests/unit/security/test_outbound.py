"""URLs that this service is asked to fetch reach the public internet only."""

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError, SharedError, UnsafeUrlError
from shared.security import aguard_url, guard_url, is_public_address

PUBLIC = "93.184.215.14"


def resolver(*addresses):
    return lambda host, port: list(addresses)


def never(host, port):
    pytest.fail(f"asked for {host}")


# --- addresses -----------------------------------------------------------------------------

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.255", "168.63.129.16",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "::2", "4000::1",
    "fe80::1%eth0", "2606:4700::1%0", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4/32", "", "x", "2130706433",
]  # fmt: skip
GLOBAL = [
    PUBLIC, "1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1",
    "192.0.1.1", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
    "2001:4860:4860::8888", "2003::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public(address):
    assert is_public_address(address) is False


@pytest.mark.parametrize("address", GLOBAL)
def test_an_address_that_is_public(address):
    assert is_public_address(address) is True


@given(st.ip_addresses(v=4))
def test_a_public_address_is_global_for_the_standard_library_too(address):
    if is_public_address(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_a_hidden_address_is_judged_by_what_it_hides(address):
    for hidden in (f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address)))):
        assert is_public_address(hidden) is is_public_address(str(address))


# --- what is refused before the name is resolved ------------------------------------------------

REFUSED = [
    # other spellings of 127.0.0.1 and 169.254.169.254
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://017700000001/",
    "https://127.1/", "https://127.0.1/", "https://0/", "https://127.0.0.1./", "https://2852039166/", "https://0xA9FEA9FE/",
    "https://0251.0376.0251.0376/", "https://169.254.43518/", "https://127.0.0.1.0x7f/", "https://1.2.3.4.5/", "https://0x/",
    "https://①②⑦.0.0.1/", "https://127。0。0。1/", "https://[::ffff:127.0.0.1]/", "https://[::1]/", "https://[0:0:0:0:0:0:0:1]/",
    "https://[::]/", "https://[fe80::1%25eth0]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[v1.x]/",
    "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://10.0.0.1/", "https://[fd00:ec2::254]/",
    # names of this machine and network
    "https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/", "https://redis/",
    "https://metadata.google.internal/", "https://printer.local/", "https://kubernetes.default.svc.cluster.local/",
    "https://router.lan/", "https://x.home.arpa/", "https://wiki.corp/",
    # schemes and ports
    "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com:70/_x", "dict://example.com:11211/",
    "javascript:x", "data:,x", "//example.com/", "example.com", "https:example.com", "https:/example.com", "https:///example.com",
    "https://example.com:22/", "https://example.com:80/", "https://example.com:0/", "https://example.com:99999/",
    "https://example.com:x/", "https://example.com:-1/",
    # two readings
    "https://example.com@127.0.0.1/", "https://user:pw@example.com/", "https://@example.com/", "https://example.com\\@127.0.0.1/",
    "https://127.0.0.1\\.example.com/", "https://exam ple.com/", "https://example.com/\n", "https://exa\tmple.com/",
    "https://example.com\r\nHost: x/", "https://example%2ecom/", "https://exämple.com/", "https://[example.com]/", "https://[::1",
    "https://-example.com/", "https://a..b/", "https://.example.com/", "https://", "https://./", "", " ", "https://example.com/é",
    "https://" + "a" * 64 + ".com/", "https://" + "a." * 127 + "com/", "https://example.com/" + "a" * 2048, None, 7, b"https://a.b/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED, ids=map(str, range(len(REFUSED))))
def test_a_url_that_leads_inside_or_has_two_readings_is_refused_unresolved(url):
    with pytest.raises(UnsafeUrlError):
        guard_url(url, resolver=never)
    with pytest.raises(UnsafeUrlError):
        asyncio.run(aguard_url(url, resolver=never))


# --- what the name resolves to --------------------------------------------------------------------


def test_a_public_host_is_returned_with_the_addresses_to_connect_to():
    found = guard_url("https://API.Example.com./a?b=1#c", resolver=resolver(PUBLIC, "2606:4700::1", PUBLIC))

    assert (found.scheme, found.host, found.port) == ("https", "api.example.com", 443)
    assert found.addresses == (PUBLIC, "2606:4700::1")
    assert found.pinned_url == f"https://{PUBLIC}:443/a?b=1"


def test_a_public_address_needs_no_resolver():
    found = guard_url("https://[2606:4700:0:0::1111]/x", resolver=never)

    assert (found.addresses, found.pinned_url) == (("2606:4700::1111",), "https://[2606:4700::1111]:443/x")


def test_an_empty_path_is_pinned_as_the_root():
    assert guard_url("https://example.com", resolver=resolver(PUBLIC)).pinned_url == f"https://{PUBLIC}:443/"


@pytest.mark.parametrize("address", [*PRIVATE, None, 7])
def test_one_address_that_is_not_public_spoils_the_host(address):
    with pytest.raises(UnsafeUrlError, match="has an address that is not public") as caught:
        guard_url("https://rebind.example/", resolver=resolver(PUBLIC, address))

    assert not address or f"'{address}'" not in str(caught.value)


def test_an_answer_that_changes_is_asked_for_once():
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    found = guard_url("https://rebind.example/", resolver=lambda host, port: next(answers))

    assert found.addresses == (PUBLIC,)


@pytest.mark.parametrize("addresses", [[], [f"1.1.{n}.1" for n in range(65)]], ids=["none", "too many"])
def test_a_strange_number_of_addresses_is_refused(addresses):
    with pytest.raises(UnsafeUrlError, match="addresses, 1 to 64 are expected"):
        guard_url("https://example.com/", resolver=resolver(*addresses))


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "unknown"), TimeoutError(), UnicodeError("label too long")], ids=repr
)
def test_a_host_that_cannot_be_resolved_is_our_error(error):
    def failing(host, port):
        raise error

    async def afailing(host, port):
        raise error

    for call in (lambda: guard_url("https://gone.example/", resolver=failing),
                 lambda: asyncio.run(aguard_url("https://gone.example/", resolver=afailing))):  # fmt: skip
        with pytest.raises(UnsafeUrlError, match=r"host 'gone.example' cannot be resolved") as caught:
            call()
        assert caught.value.__cause__ is error


async def test_the_awaited_twin_decides_the_same():
    async def asked(host, port):
        await asyncio.sleep(0)
        return [PUBLIC]

    found = await aguard_url("https://example.com/a", resolver=asked)

    assert found == guard_url("https://example.com/a", resolver=resolver(PUBLIC))


async def test_the_system_resolver_is_the_default():
    """``localhost`` is on a list here, so that the real resolver is asked without a network."""
    allowed = {"hosts": ["localhost:8080"], "allow_networks": ["127.0.0.0/8", "::1/128"], "schemes": ["http"]}

    found = guard_url("http://localhost:8080/", **allowed)
    awaited = await aguard_url("http://localhost:8080/", **allowed)

    assert set(found.addresses) <= {"127.0.0.1", "::1"}
    assert set(awaited.addresses) == set(found.addresses)


# --- what can be allowed ------------------------------------------------------------------------------


def test_schemes_and_ports_can_be_allowed():
    found = guard_url("http://example.com:8080/", resolver=resolver(PUBLIC), schemes=["http"], ports=[8080])

    assert (found.scheme, found.port) == ("http", 8080)


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443), ("ws", 80), ("wss", 443)])
def test_each_scheme_has_its_port(scheme, port):
    assert guard_url(f"{scheme}://example.com/", resolver=resolver(PUBLIC), schemes=[scheme]).port == port


def test_a_url_may_have_2048_characters():
    url = "https://example.com/"

    assert guard_url(url.ljust(2048, "a"), resolver=resolver(PUBLIC))
    with pytest.raises(UnsafeUrlError, match="1 to 2048"):
        guard_url(url.ljust(2049, "a"), resolver=resolver(PUBLIC))


def test_what_was_checked_cannot_be_changed():
    found = guard_url("https://example.com/", resolver=resolver(PUBLIC))

    with pytest.raises(AttributeError):
        found.addresses = ("127.0.0.1",)


def test_the_ports_follow_the_schemes():
    found = guard_url("https://example.com:80/", resolver=resolver(PUBLIC), schemes=["http", "https"])

    assert found.port == 80


@pytest.mark.parametrize("url", ["https://api.example.com/", "https://x.files.example.com:8443/"])
def test_a_listed_host_passes(url):
    hosts = ["api.example.com", "*.files.example.com:8443"]

    assert guard_url(url, hosts=hosts, resolver=resolver(PUBLIC)).url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
        "https://files.example.com:8443/",
    ],
)
def test_a_host_that_is_not_on_the_list_is_refused(url):
    with pytest.raises(UnsafeUrlError, match="is not on the list"):
        guard_url(url, hosts=["api.example.com", "*.files.example.com:8443"], resolver=never)


def test_a_listed_host_must_still_be_public():
    with pytest.raises(UnsafeUrlError, match="not public"):
        guard_url("https://api.example.com/", hosts=["api.example.com"], resolver=resolver("10.0.0.1"))


def test_an_inner_network_can_be_allowed():
    options = {"allow_networks": ["10.20.0.0/16"]}

    assert guard_url("https://a.example/", resolver=resolver("10.20.3.4"), **options).addresses == (
        "10.20.3.4",
    )
    assert guard_url("https://a.example/", resolver=resolver("::ffff:10.20.3.4"), **options)
    with pytest.raises(UnsafeUrlError):
        guard_url("https://a.example/", resolver=resolver("10.21.3.4"), **options)


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["x"], [None], None, 7], ids=repr)
def test_malformed_networks_are_refused(networks):
    with pytest.raises(ConfigurationError, match="allow_networks"):
        guard_url("https://example.com/", resolver=never, allow_networks=networks)


@pytest.mark.parametrize("schemes", ["https", ["gopher"], ["https", "file"]], ids=repr)
def test_unknown_schemes_are_refused(schemes):
    with pytest.raises(ConfigurationError, match="unknown scheme"):
        guard_url("https://example.com/", resolver=never, schemes=schemes)


@given(st.text() | st.from_regex(r"https://[\w.:\[\]%@\\/-]{0,30}"))
def test_any_url_gives_an_answer_or_our_error(url):
    try:
        found = guard_url(url, resolver=resolver(PUBLIC))
    except SharedError:
        return

    assert all(map(is_public_address, found.addresses))
