"""Sessions: a random cookie, a record on the server, and an end that is an end."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import (
    AsyncMemoryRecordStore,
    AsyncSessions,
    MemoryRecordStore,
    PlainRequest,
    Principal,
    SessionAuthenticator,
    SessionCookie,
    Sessions,
)
from shared.errors import (
    AuthenticationError,
    ConfigurationError,
    CsrfError,
    InvalidArgumentError,
    ServiceUnavailableError,
    TransactionConflictError,
    ValidationError,
)
from shared.logging import capture_logs
from shared.security import CsrfTokens
from tests.unit.auth._both import Awaited, Clock

ADA = Principal(user_id="u-1", email="ada@example.com", roles=["admin"], permissions=["a:b"], tenant="acme")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return MemoryRecordStore()


@pytest.fixture(params=["sync", "async"])
def make(request, store, clock):
    def make(**options):
        options = {"clock": clock, **options}
        if request.param == "sync":
            return Sessions(store, **options)
        return Awaited(AsyncSessions(AsyncMemoryRecordStore(store), **options))

    return make


@pytest.fixture
def sessions(make):
    return make()


def begin(sessions, principal=ADA, **options):
    token, session = sessions.start(principal, **options)
    return token.get_secret_value(), session


def test_a_session_brings_back_who_logged_in(sessions):
    token, started = begin(sessions, data={"cart": [1, None]}, client="10.0.0.1", user_agent="x" * 999)

    session = sessions.load(token)
    principal = session.principal()

    assert principal == ADA.replaced(method="session", session_id=session.id)
    assert (session.id, session.data, session.client) == (started.id, {"cart": [1, None]}, "10.0.0.1")
    assert len(session.user_agent) == 255


def test_the_store_has_the_hash_of_the_cookie_only(sessions, store):
    token, session = begin(sessions)

    kept = repr(store._records) + repr([record.data for record in store._records.values()])

    assert token not in kept
    assert session.id in kept
    assert len(token) == 43


def test_neither_cookie_nor_address_is_in_a_repr(sessions):
    new = sessions.start(ADA, data={"secret": "hunter2"}, client="10.0.0.1")

    shown = f"{new!r}"

    assert new.token.get_secret_value() not in shown
    assert "hunter2" not in shown
    assert "ada@example.com" not in shown


@pytest.mark.parametrize(
    "token", [None, 7, "", "x" * 42, "x" * 44, "é" * 43, "x" * 42 + "\n", "x" * 10_000_000, "../../etc/passwd"],
    ids=["none", "int", "empty", "short", "long", "umlauts", "newline", "10 MB", "path"],
)  # fmt: skip
def test_what_is_no_cookie_opens_nothing_and_asks_no_store(sessions, store, token):
    store.get = None

    assert sessions.load(token) is None
    assert sessions.end(token) is False


def test_the_id_of_a_session_opens_nothing(sessions):
    _, session = begin(sessions)

    assert sessions.load(session.id) is None


# --- fixation and rotation ----------------------------------------------------------------


def test_a_login_gives_a_new_cookie_and_ends_the_one_that_was_planted(sessions):
    planted, _ = begin(sessions, Principal(user_id="attacker"))

    token, _ = begin(sessions, previous=planted)

    assert token != planted
    assert sessions.load(planted) is None
    assert sessions.load(token).user_id == "u-1"


def test_a_cookie_that_was_never_given_out_is_not_taken_over(sessions):
    token, _ = begin(sessions, previous="A" * 43)

    assert token != "A" * 43
    assert sessions.load("A" * 43) is None


def test_rotating_gives_a_new_cookie_with_the_same_content_and_end(sessions, clock):
    old, before = begin(sessions, data={"a": 1})
    clock.now += 100

    token, after = sessions.rotate(old, principal=ADA.replaced(roles=["admin", "root"]))

    assert sessions.load(old) is None
    found = sessions.load(token.get_secret_value())
    assert (found.data, found.expires_at, found.created_at) == (
        {"a": 1},
        before.expires_at,
        before.created_at,
    )
    assert found.principal().roles == {"admin", "root"}
    assert after.id != before.id


def test_a_session_that_is_rotated_takes_over_the_whole_identity(sessions):
    old, _ = begin(sessions)
    identity = Principal(
        user_id="u-1", email="new@example.com", roles=["root"], permissions=["x:y"], tenant="other"
    )

    token, _ = sessions.rotate(old, principal=identity)

    session = sessions.load(token.get_secret_value())
    who = session.principal()
    assert (who.email, who.roles, who.permissions, who.tenant) == (
        "new@example.com",
        {"root"},
        {"x:y"},
        "other",
    )
    assert sessions.save(sessions.save(session, {"a": 1}), {"a": 2}).data == {"a": 2}


def test_a_session_is_not_rotated_to_another_user_nor_after_its_end(sessions):
    token, _ = begin(sessions)
    sessions.end(token)

    with pytest.raises(AuthenticationError):
        sessions.rotate(token)
    with pytest.raises(InvalidArgumentError, match="another user"):
        sessions.rotate(begin(sessions)[0], principal=Principal(user_id="u-2"))


# --- time ----------------------------------------------------------------------------------


def test_a_session_ends_when_it_is_not_used(make, clock):
    sessions = make(idle_timeout=100.0, touch_every=10.0)
    token, _ = begin(sessions)

    for _ in range(5):
        clock.now += 99
        assert sessions.load(token)
    clock.now += 100
    assert sessions.load(token) is None


def test_a_session_ends_however_much_it_is_used(make, clock):
    sessions = make(idle_timeout=100.0, absolute_timeout=250.0, touch_every=0.0)
    token, _ = begin(sessions)

    for _ in range(4):
        clock.now += 60
        assert sessions.load(token)
    clock.now += 10
    assert sessions.load(token) is None


def test_a_clock_that_goes_back_ends_nothing_and_lengthens_no_idle_time(make, clock):
    sessions = make(idle_timeout=100.0, touch_every=10.0)
    token, _ = begin(sessions)

    clock.now -= 3600
    assert sessions.load(token)
    clock.now += 3600 + 100
    assert sessions.load(token) is None


def test_a_use_is_noted_at_most_once_in_a_while(make, store, clock):
    sessions = make(touch_every=60.0)
    token, _ = begin(sessions)
    writes, original = [], store.touch
    store.touch = lambda moments: writes.append(1) or original(moments)

    for _ in range(10):
        sessions.load(token)
    clock.now += 60
    for _ in range(10):
        sessions.load(token)

    assert len(writes) == 1


def test_a_use_that_cannot_be_noted_keeps_nobody_out(sessions, store, clock):
    token, _ = begin(sessions)
    clock.now += 60

    def touch(moments):
        raise ServiceUnavailableError("the store is down")

    store.touch = touch
    with capture_logs() as logs:
        assert sessions.load(token).user_id == "u-1"
    assert len(logs) == 1


# --- the end ---------------------------------------------------------------------------------


def test_logging_out_ends_the_session_and_a_late_write_does_not_bring_it_back(sessions):
    token, session = begin(sessions)

    assert sessions.end(token) is True
    assert sessions.end(token) is False

    with pytest.raises(AuthenticationError, match="ended"):
        sessions.save(session, {"late": 1})
    assert sessions.load(token) is None


def test_a_write_after_the_logout_of_another_request_is_refused(sessions, store, monkeypatch):
    token, session = begin(sessions)
    original = store.change

    def change(record, *, now):
        store.delete(record.id)  # the logout comes between the two
        return original(record, now=now)

    monkeypatch.setattr(store, "change", change)

    with pytest.raises(TransactionConflictError):
        sessions.save(session, {"late": 1})
    assert sessions.load(token) is None


def test_of_two_writes_of_one_version_the_second_is_told(sessions):
    token, _ = begin(sessions)
    first, second = sessions.load(token), sessions.load(token)

    saved = sessions.save(first, {"n": 1})
    with pytest.raises(TransactionConflictError):
        sessions.save(second, {"n": 2})

    assert sessions.save(saved, {"n": 3}).data == {"n": 3}
    assert sessions.load(token).data == {"n": 3}


def test_a_user_sees_and_ends_the_own_sessions(sessions, clock):
    first, one = begin(sessions)
    clock.now += 1
    second, two = begin(sessions)
    other, strange = begin(sessions, Principal(user_id="u-2"))

    assert [session.id for session in sessions.of_user("u-1")] == [one.id, two.id]
    assert sessions.end_by_id(strange.id, user_id="u-1") is False
    assert sessions.end_by_id(one.id, user_id="u-1") is True
    assert sessions.load(first) is None
    assert sessions.end_all("u-1", keep=two.id) == 0
    assert sessions.end_all("u-1") == 1
    assert sessions.load(second) is None
    assert sessions.load(other)


def test_idle_sessions_are_not_listed(make, clock):
    sessions = make(idle_timeout=100.0)
    begin(sessions)
    clock.now += 100

    assert sessions.of_user("u-1") == []


def test_the_oldest_session_gives_way_when_a_user_has_too_many(make, clock):
    sessions = make(max_per_user=2)
    tokens = []
    for _ in range(3):
        tokens.append(begin(sessions)[0])
        clock.now += 1

    assert [sessions.load(token) is not None for token in tokens] == [False, True, True]


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [{"a": object()}, {"a": float("nan")}, {"a": "x" * 20_000}, {("a",): 1}],
    ids=["object", "nan", "large", "key"],
)
def test_only_json_of_a_bounded_size_is_kept(sessions, data):
    with pytest.raises(ValidationError):
        sessions.start(ADA, data=data)


@pytest.mark.parametrize(
    "wrong",
    [
        {"idle_timeout": 0}, {"idle_timeout": 10, "absolute_timeout": 5}, {"idle_timeout": float("nan")},
        {"absolute_timeout": float("inf")}, {"max_per_user": 0}, {"touch_every": 1800}, {"touch_every": -1},
    ],
    ids=str,
)  # fmt: skip
def test_times_that_make_no_sense_are_refused(make, wrong):
    with pytest.raises(InvalidArgumentError):
        make(**wrong)


# --- the cookie ---------------------------------------------------------------------------------


def test_the_cookie_is_hardened():
    header = SessionCookie().header("T")

    assert header.startswith("__Host-session=T; Path=/; ")
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(header.split("; "))
    assert "Domain" not in header


def test_the_cookie_may_be_kept_from_every_other_site():
    assert "SameSite=Strict" in SessionCookie(same_site="Strict").header("T").split("; ")


def test_the_cookie_of_development_may_go_over_http():
    cookie = SessionCookie(name="session", insecure=True)

    assert "Secure" not in cookie.header("T")
    assert cookie.clear() == "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    "wrong",
    [{"name": "a b"}, {"name": ""}, {"name": "a;b"}, {"same_site": "None"}, {"insecure": True}, {"name": "__Secure-x", "insecure": True}],
    ids=str,
)  # fmt: skip
def test_a_cookie_that_browsers_refuse_or_that_protects_nothing_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        SessionCookie(**wrong)


# --- in a request ---------------------------------------------------------------------------------


def request(method="GET", cookie=None, **headers):
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if cookie is not None:
        pairs.append(("Cookie", f"theme=dark; __Host-session={cookie}; x=1"))
    return PlainRequest(method, "/", [("Host", "shop.example"), *pairs])


@pytest.fixture(params=["sync", "sync in a loop", "async"])
def way(request, store, clock):
    def make(**options):
        sessions = Sessions(store, clock=clock)
        if request.param == "async":
            sessions = AsyncSessions(AsyncMemoryRecordStore(store), clock=clock)
        made = SessionAuthenticator(sessions, **options)
        return (
            made.authenticate
            if request.param == "sync"
            else lambda found: asyncio.run(made.aauthenticate(found))
        )

    return make


@pytest.fixture
def cookie(store, clock):
    return begin(Sessions(store, clock=clock))[0]


def test_the_cookie_makes_a_principal(way, cookie):
    assert way()(request(cookie=cookie)).user_id == "u-1"
    assert way()(request()) is None


def test_a_cookie_that_opens_nothing_is_refused(way):
    with pytest.raises(AuthenticationError, match="ended") as caught:
        way()(request(cookie="A" * 43))

    assert caught.value.headers == {"WWW-Authenticate": 'Cookie cookie-name="__Host-session"'}


def test_a_doubled_cookie_is_refused(way, cookie):
    pairs = [("Cookie", f"__Host-session={cookie}; __Host-session={'A' * 43}")]

    with pytest.raises(AuthenticationError, match="twice"):
        way()(PlainRequest("GET", "/", pairs))


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "https://evil.example"},
        {"Origin": "null"}, {"Origin": "https://shop.example.evil.com"}, {"Origin": "http://shop.example"}, {},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WEBSOCKET", "ANYTHING"])
def test_a_request_of_another_site_is_refused(way, cookie, method, headers):
    with pytest.raises(CsrfError):
        way()(request(method, cookie, **headers))


@pytest.mark.parametrize(
    "headers", [{"Sec_Fetch_Site": "same-origin"}, {"Origin": "https://shop.example"}], ids=str
)
def test_a_request_of_this_site_passes(way, cookie, headers):
    assert way()(request("POST", cookie, **headers)).user_id == "u-1"


def test_the_own_and_trusted_origins_can_be_given(way, cookie):
    options = {"origin": "https://public.example", "trusted_origins": ("https://app.example",)}

    assert way(**options)(request("POST", cookie, Origin="https://public.example"))
    assert way(**options)(request("POST", cookie, Origin="https://app.example"))
    with pytest.raises(CsrfError):
        way(**options)(request("POST", cookie, Origin="https://shop.example"))


def test_a_token_of_the_session_is_asked_for_where_csrf_is_given(way, store, clock, cookie):
    csrf = CsrfTokens("c" * 32)
    guarded = way(csrf=csrf)
    _, other = begin(Sessions(store, clock=clock))
    mine = guarded(request(cookie=cookie)).session_id
    origin = {"Sec_Fetch_Site": "same-origin"}

    assert guarded(request("POST", cookie, X_CSRF_Token=csrf.issue(mine), **origin))
    for wrong in (csrf.issue(other.id), "junk"):
        with pytest.raises(CsrfError):
            guarded(request("POST", cookie, X_CSRF_Token=wrong, **origin))
    with pytest.raises(CsrfError, match="missing"):
        guarded(request("POST", cookie, **origin))


def test_asynchronous_sessions_cannot_be_asked_from_wsgi():
    way = SessionAuthenticator(AsyncSessions(AsyncMemoryRecordStore()))

    with pytest.raises(ConfigurationError, match="WSGI"):
        way.authenticate(request(cookie="A" * 43))


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_no_cookie_header_makes_the_check_raise_anything_else(value):
    way = SessionAuthenticator(Sessions(MemoryRecordStore()))
    for header in (value, b"__Host-session=" + value):
        with suppress(AuthenticationError, CsrfError):
            assert way.authenticate(PlainRequest("POST", "/", [(b"cookie", header)])) is None
