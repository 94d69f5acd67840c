"""Where a browser's request came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError, CsrfError
from shared.security import CrossSiteGuard

OURS = "https://good.com"
GUARD = CrossSiteGuard(["https://app.good.com", "http://localhost:3000", "https://[::1]:8443"])

PASS = {
    "same origin": {"Sec-Fetch-Site": "same-origin"},
    "typed by the user": {"Sec-Fetch-Site": "none"},
    "same origin, with cookies": {"Sec-Fetch-Site": "same-origin", "Cookie": "sid=1", "Origin": OURS},
    "no browser, no cookies": {"User-Agent": "curl"},
    "our own origin": {"Origin": OURS, "Cookie": "sid=1"},
    "our own origin with its port": {"Origin": "https://good.com:443"},
    "our own origin in upper case": {"ORIGIN": "https://GOOD.com"},
    "trusted": {"Origin": "https://app.good.com", "Sec-Fetch-Site": "same-site", "Cookie": "a=b"},
    "trusted with a port": {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"},
    "trusted address": {"Origin": "https://[::1]:8443", "Sec-Fetch-Site": "cross-site"},
    "cookies over several lines": [
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"sec-fetch-site", b"same-origin"),
    ],
}
REFUSED = {
    "same site": {"Sec-Fetch-Site": "same-site"},
    "cross site": {"Sec-Fetch-Site": "cross-site"},
    "cross site with our origin": {"Sec-Fetch-Site": "cross-site", "Origin": OURS},
    "unknown word": {"Sec-Fetch-Site": "Same-Origin"},
    "empty word": {"Sec-Fetch-Site": ""},
    "null": {"Origin": "null"},
    "empty origin": {"Origin": ""},
    "origin that begins like ours": {"Origin": "https://good.com.evil.com"},
    "origin that ends like ours": {"Origin": "https://evilgood.com"},
    "subdomain of ours": {"Origin": "https://x.good.com"},
    "other scheme": {"Origin": "http://good.com"},
    "other port": {"Origin": "https://good.com:8443"},
    "trusted name, other port": {"Origin": "http://localhost:3001"},
    "trusted prefix": {"Origin": "https://app.good.com.evil.com"},
    "user name": {"Origin": "https://good.com@evil.com"},
    "path": {"Origin": "https://good.com/"},
    "two origins": {"Origin": "https://good.com https://evil.com"},
    "cookies and nothing else": {"Cookie": "sid=1"},
    "origin twice": [("Origin", OURS), ("Origin", "https://evil.com")],
    "origin twice, ours last": [("Origin", "https://evil.com"), ("Origin", OURS)],
    "site twice": [("Sec-Fetch-Site", "same-origin"), ("sec-fetch-site", "cross-site")],
    "site twice, ours last": [("Sec-Fetch-Site", "cross-site"), ("sec-fetch-site", "same-origin")],
}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "X", ""])
@pytest.mark.parametrize("headers", PASS.values(), ids=PASS)
def test_a_request_of_this_site_or_a_trusted_one_passes(method, headers):
    assert GUARD.refusal(method, headers, origin=OURS) is None
    GUARD.check(method, headers, origin=OURS)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "X", ""])
@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_a_request_of_another_site_is_refused(method, headers):
    reason = GUARD.refusal(method, headers, origin=OURS)

    assert reason is not None
    with pytest.raises(CsrfError) as caught:
        GUARD.check(method, headers, origin=OURS)
    assert str(caught.value) == reason


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_a_request_that_changes_nothing_passes(method, headers):
    assert GUARD.refusal(method, headers, origin=OURS) is None


@pytest.mark.parametrize(
    "origin",
    ["good.com", "https://", "https://good.com/", "https://good.com/x", "https://*.good.com", "null", "*", "",
     "ftp://good.com", "https://good.com:x", "https://a@good.com", "https://good.com\n", None, 7],
    ids=repr,
)  # fmt: skip
def test_a_trusted_origin_that_is_none_is_refused(origin):
    with pytest.raises(ConfigurationError, match="trusted origin"):
        CrossSiteGuard([origin])


def test_an_origin_of_ours_that_is_malformed_matches_nothing():
    assert CrossSiteGuard().refusal("POST", {"Origin": "null"}, origin="null") is not None


names = st.sampled_from(["Origin", "origin", b"origin", "Sec-Fetch-Site", "Cookie", "X"])


@given(st.text(), st.lists(st.tuples(names, st.text() | st.binary()), max_size=5), st.text())
def test_any_request_gets_an_answer(method, headers, origin):
    reason = GUARD.refusal(method, headers, origin=origin)

    assert reason is None or len(reason) < 1200


def test_a_reason_repeats_only_a_little_of_the_header():
    reason = GUARD.refusal("POST", {"Origin": "x" * 100_000}, origin=OURS)

    assert len(reason) < 200
