"""CSRF tokens: bound to one session, one time and one secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import ConfigurationError, CsrfError, InvalidArgumentError
from shared.security import CsrfTokens

SECRET, OLD = "n" * 32, "o" * 32


class Clock:
    now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(clock):
    return CsrfTokens(SECRET, clock=clock)


sessions = st.text(min_size=1, max_size=100)


@given(sessions)
def test_a_token_is_valid_for_its_session(session):
    tokens = CsrfTokens(SECRET)

    tokens.verify(tokens.issue(session), session)


@given(sessions, sessions)
def test_a_token_of_another_session_is_refused(mine, other):
    tokens = CsrfTokens(SECRET)

    assert tokens.is_valid(tokens.issue(mine), other) is (mine == other)


def test_a_token_from_before_the_login_is_refused(tokens):
    with pytest.raises(CsrfError, match="belongs to another session or was changed"):
        tokens.verify(tokens.issue("anonymous-1"), "user-1")


def test_tokens_of_one_session_differ(tokens):
    assert len({tokens.issue("s") for _ in range(1000)}) == 1000


@given(st.data())
def test_a_changed_token_is_refused(data):
    tokens = CsrfTokens(SECRET, clock=Clock())
    token = tokens.issue("s")
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.characters(codec="ascii")) + token[at + 1 :]

    assert tokens.is_valid(changed, "s") is (changed == token)


@given(
    st.text()
    | st.binary()
    | st.none()
    | st.integers()
    | st.from_regex(r"v1\.[0-9a-f]{1,16}\.[\w-]{22}\.[\w-]{43}")
)
def test_any_token_gives_only_our_error(token):
    with pytest.raises(CsrfError):
        CsrfTokens(SECRET).verify(token, "s")


@pytest.mark.parametrize("token", [None, "", "a", "v1", "v1.a.b.c", "v2.1.2.3", "x" * 1_000_000])
def test_a_missing_or_malformed_token_is_told_apart(tokens, token):
    with pytest.raises(CsrfError, match="missing or malformed"):
        tokens.verify(token, "s")


@pytest.mark.parametrize("session", [None, "", "s" * 4097, 7, b"s"], ids=repr)
def test_a_token_needs_a_session(tokens, session):
    token = tokens.issue("s")

    with pytest.raises(InvalidArgumentError, match="session_id"):
        tokens.issue(session)
    with pytest.raises(CsrfError, match="no session"):
        tokens.verify(token, session)


def test_no_border_can_move_between_session_and_time(tokens):
    token = tokens.issue("s")
    version, issued, nonce, mac = token.split(".")

    for session, moved in (("s" + issued[0], issued[1:]), ("s" + issued, "0")):
        assert not tokens.is_valid(f"{version}.{moved}.{nonce}.{mac}", session)


@pytest.mark.parametrize(
    ("age", "valid"), [(0, True), (3600, True), (3601, False), (-60, True), (-61, False)]
)
def test_a_token_lives_as_long_as_max_age(clock, age, valid):
    tokens = CsrfTokens(SECRET, max_age=3600.0, clock=clock)
    token = tokens.issue("s")

    clock.now += age

    assert tokens.is_valid(token, "s") is valid


def test_a_token_without_max_age_lives_as_long_as_the_session(tokens, clock):
    token = tokens.issue("s")

    clock.now += 10**8

    assert tokens.is_valid(token, "s")


def test_a_token_that_is_too_old_says_by_how_much(clock):
    tokens = CsrfTokens(SECRET, max_age=60.0, clock=clock)
    token = tokens.issue("s")
    clock.now += 100

    with pytest.raises(CsrfError, match="100 s old, at most 60 s are accepted"):
        tokens.verify(token, "s")


def test_a_token_from_the_future_is_refused(tokens, clock):
    token = tokens.issue("s")
    clock.now -= 100

    with pytest.raises(CsrfError, match="100 s in the future"):
        tokens.verify(token, "s")


def test_a_clock_before_the_epoch_still_gives_a_token(clock):
    clock.now = -5.0
    tokens = CsrfTokens(SECRET, clock=clock)

    assert tokens.is_valid(tokens.issue("s"), "s")


def test_secrets_rotate():
    old, both, new = (CsrfTokens(secrets) for secrets in (OLD, [SECRET, OLD], [SECRET]))
    token = old.issue("s")

    assert (both.is_valid(token, "s"), new.is_valid(token, "s")) == (True, False)
    assert new.is_valid(both.issue("s"), "s")


def test_double_submit_needs_the_same_token_twice(tokens):
    one, two = tokens.issue("s"), tokens.issue("s")
    tokens.verify_double_submit(one, one, "s")

    for cookie, submitted in ((one, two), (None, one), ("", one), (one, None), ("é", one)):
        with pytest.raises(CsrfError):
            tokens.verify_double_submit(cookie, submitted, "s")


def test_double_submit_of_a_planted_pair_is_refused(tokens):
    """A neighbouring subdomain can set a cookie, but knows no token of this session."""
    planted = CsrfTokens("e" * 32).issue("s")

    with pytest.raises(CsrfError):
        tokens.verify_double_submit(planted, planted, "s")


@pytest.mark.parametrize("secrets", ["", "short", [], [SECRET, "short"], None, SecretStr("x" * 31)], ids=repr)
def test_a_short_secret_is_refused(secrets):
    with pytest.raises(ConfigurationError, match="CSRF secret"):
        CsrfTokens(secrets)


@pytest.mark.parametrize("max_age", [0, -1, float("nan"), float("inf")])
def test_a_max_age_that_is_no_time_is_refused(max_age):
    with pytest.raises(InvalidArgumentError, match="max_age"):
        CsrfTokens(SECRET, max_age=max_age)


def test_no_error_shows_token_or_secret(tokens):
    token = CsrfTokens(OLD).issue("s")
    with pytest.raises(CsrfError) as caught:
        tokens.verify(token, "s")

    assert not any(hidden in f"{caught.value!r}{caught.value.details}" for hidden in (token, SECRET, OLD))
