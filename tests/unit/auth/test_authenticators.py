"""The ways to prove who one is, asked in order."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import (
    ApiKeyAuthenticator,
    ApiKeys,
    AuthenticationFailed,
    Authenticator,
    Authenticators,
    BearerAuthenticator,
    GatewayAuthenticator,
    MemoryRecordStore,
    PlainRequest,
    Principal,
    SessionAuthenticator,
    Sessions,
)
from shared.errors import AuthenticationError, ConfigurationError, ServiceUnavailableError
from shared.runtime import Runtime, use


class Named(Authenticator):
    """Answers as it is told."""

    def __init__(self, name, answer, challenge=""):
        self.name = name
        self.challenge = challenge
        self._answer = answer
        self.asked = 0

    def authenticate(self, request):
        self.asked += 1
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


ADA, BOB = Principal(user_id="ada"), Principal(user_id="bob")
REQUEST = PlainRequest("GET", "/", client="10.0.0.7")


@pytest.fixture(params=["sync", "async"])
def identify(request):
    if request.param == "sync":
        return lambda ways: ways.identify(REQUEST)
    return lambda ways: asyncio.run(ways.aidentify(REQUEST))


@pytest.fixture
def failures():
    heard = []
    with use(Runtime("ways")) as runtime:
        runtime.events.subscribe(AuthenticationFailed, heard.append)
        yield heard
        runtime.close()


def test_the_first_that_knows_somebody_decides(identify):
    last = Named("c", BOB)

    assert identify(Authenticators([Named("a", None), Named("b", ADA), last])) == (ADA, None)
    assert last.asked == 0


def test_nobody_is_nobody(identify):
    assert identify(Authenticators([Named("a", None)])) == (None, None)
    assert identify(Authenticators([])) == (None, None)


@pytest.mark.parametrize(
    "error", [AuthenticationError("expired"), ServiceUnavailableError("down")], ids=["401", "503"]
)
def test_a_credential_that_does_not_hold_ends_the_search_and_is_told(identify, failures, error):
    last = Named("b", BOB)

    found = identify(Authenticators([Named("a", error), last]))

    assert (found.principal, found.failure, last.asked) == (None, error, 0)
    assert failures == [AuthenticationFailed("a", str(error.code), error.message, "10.0.0.7")]


def test_what_no_rule_foresaw_is_not_taken_for_a_refusal(identify):
    with pytest.raises(ZeroDivisionError):
        identify(Authenticators([Named("a", ZeroDivisionError())]))


def test_every_challenge_is_sent_once():
    ways = [
        Named("a", None, "Bearer"),
        Named("b", None),
        Named("c", None, "ApiKey"),
        Named("d", None, "Bearer"),
    ]

    assert Authenticators(ways).challenges.header == "Bearer, ApiKey"
    assert Authenticators([Named("a", None)]).challenges.header == "Bearer"
    assert Authenticators(ways).names == ("a", "b", "c", "d")
    assert list(Authenticators(ways)) == ways


@pytest.mark.parametrize(
    "ways",
    [[Named("a", None), Named("a", None)], [object()], [BearerAuthenticator]],
    ids=["twice", "object", "class"],
)
def test_a_list_that_makes_no_sense_is_refused(ways):
    with pytest.raises(ConfigurationError):
        Authenticators(ways)


def test_the_base_class_knows_nobody_by_itself():
    with pytest.raises(NotImplementedError):
        Authenticator().authenticate(REQUEST)
    assert Authenticators([Named("a", None)]).schemes() == {}


def test_every_way_describes_itself_for_documents():
    ways = [
        BearerAuthenticator(verify=lambda token: None),
        ApiKeyAuthenticator(ApiKeys(MemoryRecordStore(), pepper="p" * 32)),
        SessionAuthenticator(Sessions(MemoryRecordStore())),
        GatewayAuthenticator("s" * 32, audience="orders"),
    ]

    assert Authenticators(ways).schemes() == {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
        "gateway": {"type": "apiKey", "in": "header", "name": "X-Gateway-Token"},
    }


# --- bearer ---------------------------------------------------------------------------------


def bearer(value, **options):
    way = BearerAuthenticator(verify={"t": {"sub": "ada"}}.get, **options)
    return way.authenticate(PlainRequest("GET", "/", [("Authorization", value)]))


@pytest.mark.parametrize("value", ["Bearer t", "bearer t", "BEARER   t  "])
def test_a_token_is_read_whatever_the_case_of_the_scheme(value):
    assert bearer(value).user_id == "ada"


@pytest.mark.parametrize("value", ["Basic dDp0", "t", "", "Digest x"])
def test_another_scheme_is_not_for_this_way(value):
    assert bearer(value) is None


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Bearer a b", "Bearer a,Bearer b", "Bearert", "Bearer " + "x" * 8193]
)
def test_a_malformed_header_is_refused_as_such(value):
    with pytest.raises(AuthenticationError) as caught:
        bearer(value)

    assert caught.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_request"'}


def test_a_token_that_is_not_known_is_refused_without_being_shown():
    with pytest.raises(AuthenticationError) as caught:
        bearer("Bearer hunter2")

    assert caught.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert "hunter2" not in str(caught.value)


def test_a_token_may_be_verified_by_awaiting():
    async def averify(token):
        return {"sub": f"async-{token}"}

    way = BearerAuthenticator(verify=lambda token: None, averify=averify)
    request = PlainRequest("GET", "/", [("Authorization", "Bearer t")])

    assert asyncio.run(way.aauthenticate(request)).user_id == "async-t"
    assert asyncio.run(way.aauthenticate(REQUEST)) is None
    plain = BearerAuthenticator(verify=lambda token: {"sub": token})
    assert asyncio.run(plain.aauthenticate(request)).user_id == "t"


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=100)
def test_no_header_makes_the_search_raise(value):
    ways = Authenticators([BearerAuthenticator()])

    for header in (value, b"Bearer " + value):
        found = ways.identify(PlainRequest("GET", "/", [(b"authorization", header)]))
        assert found.principal is None


# --- what a request is ------------------------------------------------------------------------


def test_names_are_compared_without_case_in_text_and_bytes():
    request = PlainRequest("GET", "/", [("X-A", "1"), (b"X-B", b"2"), ("x-c", "3")])

    assert [request.header(name) for name in ("x-a", "X-B", "X-C", "x-d")] == ["1", "2", "3", None]


def test_an_underscore_is_not_a_hyphen():
    assert PlainRequest("GET", "/", [("X_API_Key", "k")]).header("X-API-Key") is None


def test_cookies_are_found_in_several_headers_and_bounded():
    request = PlainRequest("GET", "/", [("Cookie", 'a="1"; b=2;broken'), ("Cookie", "a=3; ab=4")])

    assert request.cookies("a") == ("1", "3")
    assert request.cookies("broken") == ()
    assert PlainRequest("GET", "/", [("Cookie", "a=1; " + "x" * 20_000)]).cookies("a") == ()


def test_the_value_of_a_cookie_may_hold_an_equals_sign():
    request = PlainRequest("GET", "/", [("Cookie", "session=YWJj=; theme=a=b=c; flag")])

    assert (request.cookies("session"), request.cookies("theme"), request.cookies("flag=")) == (
        ("YWJj=",),
        ("a=b=c",),
        (),
    )
