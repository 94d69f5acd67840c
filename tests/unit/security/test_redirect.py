"""Redirects lead to this site or to an allowed host, in every browser."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from shared.security import safe_redirect

HOSTS = ["app.good.com", "files.good.com:8443", "*.shops.good.com"]

GOOD = [
    "/", "/a", "/a/b?c=d&e=/f#g", "/a?next=//evil.com", "/a#//evil.com", "/a%2F%2Fevil.com", "/?q=https://evil.com",
    "/a:b@c", "https://app.good.com", "https://app.good.com/", "https://app.good.com:443/x", "https://APP.good.com/x",
    "https://app.good.com./x", "https://files.good.com:8443/x?y#z", "https://a.shops.good.com/", "https://a.b.shops.good.com/",
    "HTTPS://app.good.com/x",
]  # fmt: skip
EVIL = [
    "//evil.com", "///evil.com", "////evil.com", "/\\evil.com", "\\\\evil.com", "\\/evil.com", "/\\/evil.com",
    "//\\evil.com", "/\tevil.com", "/\t/evil.com", "/\n/evil.com", "/\r\n/evil.com", " //evil.com", "\x01//evil.com",
    "/ /evil.com", "/a//evil.com", "/..//evil.com", "/.//evil.com", "/%09/evil.com\x00", "//evil.com/%2f..",
    "https:evil.com", "https:/evil.com", "https:///evil.com", "https:\\\\evil.com", "http://app.good.com",
    "https://evil.com", "https://app.good.com.evil.com", "https://evilapp.good.com", "https://app.good.com@evil.com",
    "https://app.good.com:443@evil.com", "https://app.good.com%2eevil.com", "https://app.good.com\\@evil.com",
    "https://app.good.com\\.evil.com", "https://evil.com#@app.good.com", "https://evil.com?app.good.com",
    "https://evil.com/app.good.com", "https://app.good.com:8443/", "https://files.good.com/", "https://shops.good.com/",
    "https://ashops.good.com/", "https://app.good.com//evil.com", "https://app.good.com:99999/", "https://[::1",
    "https://", "https://:443/", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,x",
    "vbscript:x", "file:///etc/passwd", "blob:https://app.good.com/x", "ftp://app.good.com", "evil.com", "a/b", "?a", "#a",
    "", ".", "..", "@evil.com", "／／evil.com", "/／evil.com", "https://app。good.com", "https://аpp.good.com",
    "https://app.good.com/é", "/é", "/\ud800", "/" + "a" * 2048, None, 7, b"/a", ["/a"],
]  # fmt: skip


@pytest.mark.parametrize("target", GOOD)
def test_a_target_of_this_site_or_an_allowed_host_is_kept(target):
    assert safe_redirect(target, allowed_hosts=HOSTS) == target


@pytest.mark.parametrize("target", EVIL, ids=repr)
def test_a_target_that_may_lead_elsewhere_becomes_the_default(target):
    assert safe_redirect(target, allowed_hosts=HOSTS, default="/home") == "/home"


@pytest.mark.parametrize("target", [t for t in GOOD if "://" in t.split("?")[0]])
def test_whole_urls_need_an_allowed_host(target):
    assert safe_redirect(target) == "/"


@pytest.mark.parametrize(("length", "kept"), [(2048, True), (2049, False)])
def test_a_target_may_have_2048_characters(length, kept):
    target = "/" + "a" * (length - 1)

    assert (safe_redirect(target) == target) is kept


@pytest.mark.parametrize("target", ["https://app.good.com:443/x", "http://app.good.com:80/x"])
def test_the_default_port_may_be_written(target):
    assert safe_redirect(target, allowed_hosts=HOSTS, allow_http=True) == target


def test_http_is_allowed_when_asked_for():
    assert (
        safe_redirect("http://app.good.com/x", allowed_hosts=HOSTS, allow_http=True)
        == "http://app.good.com/x"
    )
    assert safe_redirect("http://app.good.com:443/x", allowed_hosts=HOSTS, allow_http=True) == "/"


def test_an_address_can_be_allowed():
    assert safe_redirect("https://[::1]:8443/x", allowed_hosts=["[::1]:8443"]) == "https://[::1]:8443/x"


@given(st.text("/\\.:@?#%evilcom-\t\n \x00ａ", max_size=20))
def test_what_is_kept_stays_on_this_site(target):
    kept = safe_redirect(target, default="/default")

    # As a browser does: tabs and line breaks vanish, backslashes are slashes.
    seen = kept.translate({9: None, 10: None, 13: None, 92: "/"}).strip("\x00 ")
    assert urlsplit(urljoin("https://here.example/a/b", seen)).netloc == "here.example"


@given(st.text())
def test_any_text_gets_an_answer(target):
    assert safe_redirect(target, allowed_hosts=HOSTS) in (target, "/")


@pytest.mark.parametrize(
    "hosts",
    [["https://a.com"], ["a.com/x"], ["*"], ["*.*.com"], ["a b"], ["a.com:x"], [""], [None], ["é.com"]],
    ids=repr,
)
def test_a_malformed_allowed_host_is_refused_at_once(hosts):
    with pytest.raises(ConfigurationError, match="allowed host"):
        safe_redirect("/", allowed_hosts=hosts)


def test_a_text_for_the_list_of_hosts_is_refused():
    with pytest.raises(ConfigurationError, match="list of hosts"):
        safe_redirect("/", allowed_hosts="app.good.com")
