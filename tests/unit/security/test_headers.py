"""Header policies."""

import base64
import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from shared.security import HeaderPolicy

PRESETS = ["api", "web", "docs", "seed", "off"]


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_also_an_attribute(name):
    assert HeaderPolicy.preset(name) is getattr(HeaderPolicy, name)


def test_preset_names_the_known_ones_when_it_is_unknown():
    with pytest.raises(ConfigurationError, match=r"'strict' \(known: api, web, docs, seed, off\)"):
        HeaderPolicy.preset("strict")


def test_seed_is_exactly_the_five_documented_headers():
    assert dict(HeaderPolicy.seed.headers(https=True)) == {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-XSS-Protection": "1; mode=block",
        "Strict-Transport-Security": "max-age=31536000",
        "Content-Security-Policy": "default-src 'self'",
    }


@pytest.mark.parametrize("name", PRESETS)
def test_transport_security_is_never_sent_over_http(name):
    sent = dict(HeaderPolicy.preset(name).headers(https=False))

    assert "Strict-Transport-Security" not in sent


@pytest.mark.parametrize("name", ["api", "web", "docs"])
def test_modern_presets_hold_two_years_of_transport_security(name):
    sent = dict(HeaderPolicy.preset(name).headers(https=True))

    assert sent["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"


@pytest.mark.parametrize("name", ["api", "web", "docs"])
def test_modern_presets_switch_the_old_filter_off(name):
    assert dict(HeaderPolicy.preset(name).headers(https=False))["X-XSS-Protection"] == "0"


def test_api_lets_an_answer_load_and_frame_nothing():
    policy = dict(HeaderPolicy.api.headers(https=True))["Content-Security-Policy"]

    assert policy == "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def allowed(policy, directive, source):
    """Whether *policy* lets *source* load, by the fallback rule of CSP."""
    rules = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}
    return source in rules.get(directive, rules["default-src"])


def test_docs_lets_the_documentation_pages_load_what_they_link():
    from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html

    policy = dict(HeaderPolicy.docs.headers(https=True))["Content-Security-Policy"]
    pages = [
        get_swagger_ui_html(openapi_url="/openapi.json", title="x").body.decode(),
        get_redoc_html(openapi_url="/openapi.json", title="x").body.decode(),
    ]

    for page in pages:
        for url in re.findall(r'<script src="(https://[^/"]+)', page):
            assert allowed(policy, "script-src", url)
        for url in re.findall(r'<link[^>]* href="(https://[^/"]+)[^>]*rel="stylesheet"', page):
            assert allowed(policy, "style-src", url)
        for url in re.findall(r'<link rel="shortcut icon" href="(https://[^/"]+)', page):
            assert allowed(policy, "img-src", url)
        assert allowed(policy, "script-src", "'unsafe-inline'")
        assert allowed(policy, "style-src", "'unsafe-inline'")
        assert allowed(policy, "connect-src", "'self'")
        assert allowed(policy, "worker-src", "blob:")


def test_docs_differs_from_web_only_where_the_pages_need_it():
    web, docs = (dict(policy.headers(https=True)) for policy in (HeaderPolicy.web, HeaderPolicy.docs))

    assert {name for name in web if web[name] != docs[name]} == {
        "Content-Security-Policy",
        "Cross-Origin-Opener-Policy",
    }


def test_nonce_is_added_to_scripts_and_styles():
    nonce = secrets.token_urlsafe(16)

    policy = dict(HeaderPolicy.web.headers(https=True, nonce=nonce))["Content-Security-Policy"]

    assert f"script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'" in policy


def test_nonce_replaces_none():
    policy = HeaderPolicy({"Content-Security-Policy": "script-src 'none'"})

    sent = dict(policy.headers(https=False, nonce="A" * 16))

    assert sent["Content-Security-Policy"] == f"script-src 'nonce-{'A' * 16}'"


@pytest.mark.parametrize("nonce", ["", "short", "a" * 16 + "'", "a" * 16 + "\r\n", "a" * 16 + "; x"])
def test_nonce_that_could_change_the_policy_is_refused(nonce):
    with pytest.raises(ConfigurationError, match="nonce"):
        HeaderPolicy.web.headers(https=True, nonce=nonce)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\0", "é", "\x7f"])
def test_value_with_a_control_character_is_refused_without_showing_it(value):
    with pytest.raises(ConfigurationError, match="X-A") as caught:
        HeaderPolicy({"X-A": value})

    assert value not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é"])
def test_name_that_is_no_header_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="header name"):
        HeaderPolicy({name: "x"})


@pytest.mark.parametrize(
    "arguments",
    [{"headers": [("X-A", "1"), ("x-a", "2")]}, {"headers": {"X-A": "1"}, "https_headers": {"x-a": "2"}}],
    ids=["plain", "both"],
)
def test_name_that_stands_there_twice_is_refused(arguments):
    with pytest.raises(ConfigurationError, match="'x-a' stands there twice"):
        HeaderPolicy(**arguments)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_only_our_errors_come_out(headers):
    try:
        policy = HeaderPolicy(headers)
    except ConfigurationError:
        return

    assert dict(policy.headers(https=True)) == headers


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("https", [True, False])
def test_raw_headers_are_the_same_in_lower_case_bytes(name, https):
    policy = HeaderPolicy.preset(name)

    expected = tuple((n.lower().encode(), v.encode()) for n, v in policy.headers(https=https))

    assert policy.raw_headers(https=https) == expected


def test_headers_are_made_once():
    assert HeaderPolicy.api.headers(https=True) is HeaderPolicy.api.headers(https=True)


def test_with_headers_replaces_in_place_and_adds_at_the_end():
    policy = HeaderPolicy({"X-A": "1", "X-B": "2"}, https_headers={"X-S": "3"})

    changed = policy.with_headers({"x-a": "9", "X-S": "8", "X-C": "4"})

    assert changed.headers(https=True) == (("x-a", "9"), ("X-B", "2"), ("X-C", "4"), ("X-S", "8"))
    assert changed.headers(https=False) == (("x-a", "9"), ("X-B", "2"), ("X-C", "4"))


def test_with_headers_can_add_for_https_only():
    policy = HeaderPolicy.off.with_headers({"X-S": "1"}, https_only=True)

    assert (policy.headers(https=True), policy.headers(https=False)) == ((("X-S", "1"),), ())


def test_without_drops_headers_of_both_kinds():
    policy = HeaderPolicy.seed.without("STRICT-transport-security", "x-frame-options")

    assert [name for name, _ in policy.headers(https=True)] == [
        "X-Content-Type-Options",
        "X-XSS-Protection",
        "Content-Security-Policy",
    ]


def test_policies_with_the_same_headers_are_equal():
    assert HeaderPolicy({"A": "1"}) == HeaderPolicy([("A", "1")])
    assert len({HeaderPolicy({"A": "1"}), HeaderPolicy({"A": "1"})}) == 1
    assert HeaderPolicy({"A": "1"}) != "A"


def test_repr_shows_names_only():
    assert repr(HeaderPolicy.seed.without("X-XSS-Protection")).startswith(
        "HeaderPolicy(X-Content-Type-Options, "
    )


def test_a_nonce_may_be_any_base64():
    nonce = base64.b64encode(secrets.token_bytes(16)).decode()

    assert (
        f"'nonce-{nonce}'"
        in dict(HeaderPolicy.web.headers(https=False, nonce=nonce))["Content-Security-Policy"]
    )
