"""Secrets inside text."""

import base64
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.security import MASK, mask, mask_text, mask_url

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27uhbUJU1p1r"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nbase64==\n-----END RSA PRIVATE KEY-----"
BASIC = base64.b64encode(b"ada:hunter2").decode()

HIDDEN = {
    "bearer": ("call with Bearer abc123.def", "call with Bearer ***"),
    "bearer upper": ("BEARER abc123def", "BEARER ***"),
    "bearer in header": ("Authorization: Bearer abc", "Authorization: ***"),
    "basic": (f"sent Basic {BASIC} to h", "sent Basic *** to h"),
    "basic unpadded": (f"basic {BASIC.rstrip('=')}", "basic ***"),
    "jwt": (f"token is {JWT}, sorry", "token is ***, sorry"),
    "jwt unsigned": ("got eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. here", "got *** here"),
    "openai": ("key sk-proj-abc_123-XYZ9 refused", "key *** refused"),
    "stripe": ("sk_live_4eC39HqLyjWDarjtT1zdp7dc pk_test_TYooMQauvdEDq54", "*** ***"),
    "stripe hook": ("whsec_Zm9vYmFyYmF6 used", "*** used"),
    "github": ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "***"),
    "github fine": ("github_pat_11ABCDEFG0abcdefghijkl_mnop", "***"),
    "gitlab": ("glpat-abcdefghij1234567890", "***"),
    "slack": ("xoxb-123456789012-abcdefABCDEF", "***"),
    "aws": ("AKIAIOSFODNN7EXAMPLE rejected", "*** rejected"),
    "google": ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "***"),
    "sendgrid": ("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", "***"),
    "pem": (f"key:\n{PEM}\nend", "key:\n***\nend"),
    "pem cut": ("x -----BEGIN PRIVATE KEY-----\nMIIE", "x ***"),
    "pem pgp": ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----", "***"),
    "url password": ("redis://:hunter2@cache:6379/0 down", "redis://:***@cache:6379/0 down"),
    "url user": ("postgresql+psycopg://app:p%40ss@db/x?a=1", "postgresql+psycopg://app:***@db/x?a=1"),
    "url at sign": ("amqp://u:p@ss:w@host/v", "amqp://u:***@host/v"),
    "url slash": ("redis://:pa/ss@host/0", "redis://:***@host/0"),
    "url two": ("a://u:p1@h1,b://u:p2@h2", "a://u:***@h1,b://u:***@h2"),
    "url token": ("https://0123456789abcdef0123@sentry.io/4", "https://***@sentry.io/4"),
    "url json": ('{"url":"redis://:pw@h","mail":"a@b.c"}', '{"url":"redis://:***@h","mail":"a@b.c"}'),
    "slack hook": ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/***"),
    "query": ("GET /a?x=1&api_key=abc&y=2 HTTP/1.1", "GET /a?x=1&api_key=***&y=2 HTTP/1.1"),
    "query encoded": ("/a?user%5Bpassword%5D=abc", "/a?user%5Bpassword%5D=***"),
    "fragment": ("https://a/cb#access_token=abc&state=1", "https://a/cb#access_token=***&state=1"),
    "query in value": ("url=https://h/?token=abc", "url=https://h/?token=***"),
    "assignment": ("host=db password=hunter2 port=1", "host=db password=*** port=1"),
    "assignment comma": ("password=a,b, user=x", "password=***, user=x"),
    "semicolons": ("Server=x;Password=ab;Database=z", "Server=x;Password=***;Database=z"),
    "dict repr": ("{'user': 'ada', 'password': 'hun ter2'}", "{'user': 'ada', 'password': '***'}"),
    "json": ('{"client_secret": "a\\"b", "n": 1}', '{"client_secret": "***", "n": 1}'),
    "json in json": ('"{\\"password\\": \\"hunter2\\"}"', '"{\\"password\\": \\"***\\"}"'),
    "bytes repr": ("[(b'authorization', b'x')] password=b'hunter2'", "[(b'authorization', b'x')] password=b'***'"),
    "yaml": ("user: ada\npassword: hunter2\n", "user: ada\npassword: ***\n"),
    "colon": ("password:hunter2", "password:***"),
    "cookie": ("Cookie: sid=abc; theme=dark\nHost: h", "Cookie: ***\nHost: h"),
    "curl": ("curl -H 'Authorization: Basic xyz' http://h", "curl -H 'Authorization: ***' http://h"),
    "quote open": ('password="hunter2', 'password="***'),
    "number": ("otp=123456", "otp=***"),
}  # fmt: skip

KEPT = [
    "user 7 logged in from 10.0.0.1 at 12:30:11", "GET /v1/orders/12 200", "max_tokens=512", "token=512",
    "Bearer authentication required", 'Bearer realm="api"', "a bearer token is required.", "basic functionality",
    "Basic realm here", "password: must have at least 8 characters", "JWT_SECRET_KEY: missing",
    "password=None", "token expired 42 s ago", "task-management-service", "risk-assessment-42",
    "pk_orders_customer", "http://localhost:8080/users/me@example.com", "ssh://git@github.com/a/b",
    "see https://example.com:443/?q=1#top", "eyJ", "7f3c2a9b-e1d0-4c3b-9a8f-001122334455", "", "=", ":", "://@",
    "monkey=1", "key=value", "a@b.c", "sk-learn", "2026-11-20T10:56:00Z", "x" * 100,
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), HIDDEN.values(), ids=HIDDEN)
def test_mask_text_hides_the_secret_and_keeps_the_rest(text, expected):
    assert mask_text(text) == expected


@pytest.mark.parametrize("text", KEPT)
def test_mask_text_keeps_harmless_text(text):
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "text", ["GET /v1/orders/12 200", "7f3c2a9b-e1d0", "a_b.c-d", "12:30:11", "https://h/?q=1"]
)
def test_mask_text_returns_harmless_text_itself(text):
    assert mask_text(text) is text


pieces = st.sampled_from(
    [text for text, _ in HIDDEN.values()]
    + KEPT
    + [
        "password",
        "token",
        ":",
        "=",
        " ",
        '"',
        "'",
        "\\",
        "://",
        "@",
        "?",
        "&",
        ";",
        ",",
        "\n",
        MASK,
        "Bearer ",
    ]
)
texts = st.lists(pieces | st.text(max_size=6), max_size=6).map("".join)


@given(texts)
@example("password: sk-abcdefgh1234 foo")
@example("http://h://redis://:hunter2@cache:6379/0 down")
@example("ghp_16C7e42F292c6912E7710c838347Ae178B4amax_tokens=512call")
def test_mask_text_twice_is_mask_text_once(text):
    once = mask_text(text)

    assert mask_text(once) == once


secrets = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=24, max_size=40)


@given(secret=secrets, around=st.text(" \nxyz.", max_size=20))
@pytest.mark.parametrize(
    "frame",
    ["Bearer {}", "sk-{}", "sk_live_{}", "whsec_{}", "ghp_{}", "xoxb-{}", "redis://:{}@h/0", "https://{}@h/",
     "/a?api_key={}&b=1", "password={}", '{{"token": "{}"}}', "Authorization: Bearer {}", "Cookie: a={}",
     "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "eyJhbGciOiJIUzI1NiJ9.{}.sig"],
)  # fmt: skip
def test_mask_text_lets_no_secret_through(frame, secret, around):
    text = f"{around} {frame.format(secret)} {around}"

    assert secret not in mask_text(text)


@given(st.text(), st.text())
def test_mask_text_and_mask_url_answer_for_any_text(a, b):
    assert isinstance(mask_text(a + "://" + b), str)
    assert isinstance(mask_url(a + ":" + b), str)


HOSTILE = {
    "colons": "a:" * 50_000,
    "schemes": "://" * 50_000,
    "logins": "://a:" * 40_000,
    "at signs": "://a:" + "@" * 200_000,
    "begin": "-----BEGIN PRIVATE KEY-----" * 5_000,
    "word": "a" * 400_000 + "=",
    "jwt": ". " + "eyJ" * 100_000,
    "jwt words": "eyJaaaa. " * 40_000,
    "sendgrid": "SG.aaaaaaaaaaaaaaaaaaaa" * 15_000,
    "google": ". xAIza" + "AIza" * 80_000,
    "words": "password: " + "password:" * 40_000 + " x",
    "at the end": "://a:" + "b" * 300_000 + " @",
    "dashes": "-----BEGIN " * 30_000 + "PRIVATE KEY",
    "escaped": 'password=\\"' * 20_000,
    "jwt dots": "eyJaaaa" + "." * 300_000,
    "quotes": 'password="' * 20_000,
    "commas": "password=" + "a," * 100_000,
    "semicolons": "password=" + ";" * 200_000,
    "passwords": "password=" * 40_000,
    "spaces": "password" + " " * 300_000 + "=x",
    "bearer": "bearer " * 50_000,
    "basic": "basic " + "A" * 300_000,
    "backslashes": "password=\\'" + "\\" * 300_000,
    "keys": "sk-" * 100_000,
    "percent": "%" * 300_000 + "=",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_mask_text_takes_time_in_proportion_to_the_text(text):
    def cost(value):
        started = time.process_time()
        mask_text(value)
        return time.process_time() - started

    small = min(cost(text[: len(text) // 8]) for _ in range(3))

    large = cost(text)

    assert large < 0.05 + 40 * small, f"8 times the text took {large / small:.0f} times as long"


URLS = {
    "redis://:hunter2@cache:6379/0": "redis://:***@cache:6379/0",
    "postgresql://app:p w@db/x": "postgresql://app:***@db/x",
    "//app:pw@host/x": "//app:***@host/x",
    "app:pw@host/x": "app:***@host/x",
    "jdbc:postgresql://h/db?user=a&password=b": "jdbc:postgresql://h/db?user=a&password=***",
    "jdbc:oracle://app:pw@h/db": "jdbc:oracle://app:***@h/db",
    "mongodb://u:p@h1:27017,h2:27017/db?replicaSet=r": "mongodb://u:***@h1:27017,h2:27017/db?replicaSet=r",
    "https://u:p@[::1]:8080/x": "https://u:***@[::1]:8080/x",
    "https://[::1]:8080/x@y": "https://[::1]:8080/x@y",
    "https://u:p@h/a?mail=b@c.d": "https://u:***@h/a?mail=b@c.d",
    "https://u:a?b@h/": "https://u:***@h/",
    "https://h/a?token=x#frag": "https://h/a?token=***#frag",
    "https://h:80/a": "https://h:80/a",
    "http://h/a:b@c": "http://h/a:b@c",
    "sqlite:///x.db": "sqlite:///x.db",
    "sqlite://": "sqlite://",
    "mailto:ada@example.com": "mailto:ada@example.com",
    "https://[bad": "https://[bad",
    "": "",
}


@pytest.mark.parametrize(("url", "expected"), URLS.items(), ids=URLS)
def test_mask_url_hides_only_the_password_and_secret_parameters(url, expected):
    assert mask_url(url) == expected


@given(st.text("ab:/@?#=&[]1 %", max_size=30))
def test_mask_url_twice_is_mask_url_once(rest):
    once = mask_url("redis://" + rest)

    assert mask_url(once) == once


@given(st.one_of(st.text(), st.integers(), st.none(), st.binary()), st.integers(-1, 8))
def test_mask_twice_is_mask_once(value, keep):
    once = mask(value, keep=keep)

    assert mask(once, keep=keep) == once


@given(st.text(min_size=1).filter(lambda text: not text.startswith(MASK)), st.integers(0, 50))
def test_mask_hides_at_least_three_quarters(value, keep):
    masked = mask(value, keep=keep)

    assert len(masked.removeprefix(MASK)) * 4 <= len(value)


def test_mask_opens_a_secret_only_for_its_last_characters():
    assert mask(SecretStr("sk-live-1234567890abcdef"), keep=4) == "***cdef"


@pytest.mark.parametrize(
    "value", [None, 1234, b"hunter2", ["a"], object()], ids=lambda value: type(value).__name__
)
def test_mask_hides_whole_what_is_no_text(value):
    assert mask(value, keep=2) == MASK
