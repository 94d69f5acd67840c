import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import CsrfPolicy, LayerOptions
from shared.api._csrf import CsrfJob
from shared.config import Settings, override_settings
from shared.errors import ConfigurationError, CsrfError

SECRET = "a secret of at least thirty-two bytes"
COOKIE = {"cookie": "session=s-1"}


class Asked:
    """A request of a browser to https://shop.example."""

    def __init__(self, method="POST", path="/orders", protocol="http", **headers):
        self.method, self.path, self.protocol, self.https = method, path, protocol, True
        self.headers = {"host": "shop.example"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }

    def header(self, name):
        return self.headers.get(name.lower())


def decide(asked, **policy):
    return CsrfJob(CsrfPolicy(**policy)).on_request(asked)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": "https://shop.example"},
    ],
    ids=["site", "typed", "origin"],
)
def test_request_of_our_own_page_passes(headers):
    assert decide(Asked(**COOKIE, **headers)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "http://shop.example"},
        {"origin": "null"},
        {},
    ],
    ids=["site", "neighbour", "origin", "scheme", "null", "silent"],
)
def test_request_with_cookies_from_elsewhere_is_refused(headers):
    assert isinstance(decide(Asked(**COOKIE, **headers)), CsrfError)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_request_that_changes_nothing_passes(method):
    assert decide(Asked(method, **COOKIE, sec_fetch_site="cross-site")) is None


def test_request_without_cookies_passes():
    assert decide(Asked(origin="https://evil.example")) is None


def test_bearer_token_passes_because_no_browser_adds_it():
    assert decide(Asked(**COOKIE, origin="https://evil.example", authorization="bearer x")) is None


def test_basic_credentials_do_not_pass_because_browsers_add_them():
    assert decide(Asked(**COOKIE, origin="https://evil.example", authorization="Basic x")) is not None


def test_trusted_origin_passes():
    asked = Asked(**COOKIE, sec_fetch_site="same-site", origin="https://app.example")

    assert decide(asked, trusted_origins=("https://app.example",)) is None


def test_exempt_path_passes():
    assert decide(Asked(**COOKIE), exempt_paths={"/orders"}) is None


def test_handshake_of_a_websocket_from_elsewhere_is_refused():
    asked = Asked("WEBSOCKET", protocol="websocket", **COOKIE, origin="https://evil.example")

    assert isinstance(decide(asked), CsrfError)


def test_handshake_of_a_websocket_needs_no_token():
    asked = Asked("WEBSOCKET", protocol="websocket", **COOKIE, sec_fetch_site="same-origin")

    assert decide(asked, secrets=(SECRET,)) is None


@pytest.fixture
def policy():
    return CsrfPolicy(secrets=(SECRET,))


def with_token(token, cookie="session=s-1"):
    return Asked(cookie=cookie, sec_fetch_site="same-origin", x_csrf_token=token)


def test_token_of_the_session_passes(policy):
    assert CsrfJob(policy).on_request(with_token(policy.tokens().issue("s-1"))) is None


@pytest.mark.parametrize("session", ["s-2", "S-1"])
def test_token_of_another_session_is_refused(policy, session):
    assert isinstance(CsrfJob(policy).on_request(with_token(policy.tokens().issue(session))), CsrfError)


def test_session_without_a_token_is_refused(policy):
    refusal = CsrfJob(policy).on_request(Asked(**COOKIE, sec_fetch_site="same-origin"))

    assert refusal.code == "CSRF_FAILED"


def test_request_without_the_cookie_of_a_session_needs_no_token(policy):
    assert CsrfJob(policy).on_request(Asked(cookie="theme=dark", sec_fetch_site="same-origin")) is None


def test_session_that_is_there_twice_is_refused(policy):
    token = policy.tokens().issue("s-1")

    assert isinstance(CsrfJob(policy).on_request(with_token(token, "session=s-1; session=s-2")), CsrfError)


def test_quoted_value_of_a_cookie_is_read_like_frameworks_do(policy):
    assert CsrfJob(policy).on_request(with_token(policy.tokens().issue("s 1"), 'a=b; session="s 1"')) is None


@pytest.mark.parametrize(
    "wrong",
    [{"secrets": ("short",)}, {"trusted_origins": ("*",)}, {"trusted_origins": ("shop.example",)}],
    ids=["secret", "star", "host"],
)
def test_policy_that_cannot_protect_is_refused_at_the_start(wrong):
    with pytest.raises(ConfigurationError):
        CsrfPolicy(**wrong)


def test_policy_without_a_secret_has_no_tokens():
    with pytest.raises(ConfigurationError, match="CSRF_SECRET_KEY"):
        CsrfPolicy().tokens()


def test_secrets_do_not_show():
    assert SECRET not in repr(CsrfPolicy(secrets=(SECRET,)))


@pytest.mark.parametrize(("chosen", "secrets"), [("origin", ()), ("token", (SECRET,))])
def test_settings_choose_what_a_request_must_show(chosen, secrets):
    with override_settings(CSRF_PROTECTION=chosen, CSRF_SECRET_KEY=SECRET) as settings:
        assert LayerOptions.from_settings(settings).csrf.secrets == secrets


def test_origins_that_may_send_cookies_by_cors_are_trusted():
    changes = {"CORS_ORIGINS": ["https://app.example"], "CORS_ALLOW_CREDENTIALS": True}
    with override_settings(CSRF_PROTECTION="origin", **changes) as settings:
        assert CsrfPolicy.from_settings(settings).trusted_origins == ("https://app.example",)


def test_tokens_without_a_key_are_refused_at_the_start():
    settings = Settings()
    security = settings.security.model_copy(update={"CSRF_PROTECTION": "token", "CSRF_SECRET_KEY": None})

    class Given:
        api = settings.api

    Given.security = security
    with pytest.raises(ConfigurationError, match="CSRF_SECRET_KEY"):
        CsrfPolicy.from_settings(Given)


@given(cookie=st.text(max_size=80), token=st.text(max_size=80), origin=st.none() | st.text(max_size=40))
def test_hostile_headers_are_refused_and_nothing_else(cookie, token, origin):
    asked = Asked(cookie=f"session={cookie}", x_csrf_token=token, sec_fetch_site="same-origin")
    if origin is not None:
        asked.headers["origin"] = origin

    assert isinstance(decide(asked, secrets=(SECRET,)), CsrfError)
