"""What is taken back stays so, what is for one use is used once: on every store, for threads and tasks."""

import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.auth import (
    AsyncTokenService,
    KeyRing,
    TokenOptions,
    TokenRefused,
    TokenReuseDetected,
    TokenService,
    TokensRevoked,
)
from shared.errors import (
    InvalidArgumentError,
    InvalidTokenError,
    TokenExpiredError,
    TokenReuseError,
    TokenRevokedError,
)
from tests.unit.auth.forge import Clock, key, ring

DAY = 86_400.0
# Rules that no store has a part in are tried with one.
MEMORY = pytest.mark.parametrize("kind", ["memory"])
PATIENT = TokenOptions(reuse_grace=300.0)  # a busy machine starts a process when it likes


def revoked(tokens, token, error=TokenRevokedError, token_type="access"):
    with pytest.raises(InvalidTokenError) as caught:
        tokens.decode(token, token_type=token_type)
    assert type(caught.value) is error
    assert tokens.verify(token, token_type=token_type) is None
    return True


def alive(tokens, token, token_type="refresh"):
    return tokens.verify(token, token_type=token_type) is not None


# --- rotation -------------------------------------------------------------------------------


def test_a_refresh_token_is_changed_for_its_successor(tokens, clock):
    first = tokens.create_refresh_token("u-1", "ada@example.com", device="phone")
    clock.advance(60)

    second = tokens.rotate_refresh_token(first)

    before = tokens.decode(first, token_type="refresh")
    after = tokens.decode(second, token_type="refresh")
    assert (before["gen"], after["gen"]) == (0, 1)
    assert after.family == before.family
    assert after.token_id != before.token_id
    assert after["fex"] == before["fex"]
    assert (after.user_id, after.email, after["device"]) == ("u-1", "ada@example.com", "phone")
    assert after["exp"] - before["exp"] == 60


def test_a_chain_of_rotations_goes_on(tokens, clock):
    token = tokens.create_refresh_token("u-1")

    for generation in range(1, 6):
        clock.advance(DAY)
        token = tokens.rotate_refresh_token(token, client=f"c{generation}")

    assert tokens.decode(token, token_type="refresh")["gen"] == 5


def test_who_lost_the_answer_gets_the_same_successor_within_the_grace(tokens, clock):
    first = tokens.create_refresh_token("u-1")
    second = tokens.rotate_refresh_token(first, client="phone")
    clock.advance(10)

    assert tokens.rotate_refresh_token(first, client="phone") == second
    assert tokens.rotate_refresh_token(second, client="phone") != second


def test_who_comes_after_the_grace_ends_the_family(tokens, clock, told):
    first = tokens.create_refresh_token("u-1")
    second = tokens.rotate_refresh_token(first)
    family = tokens.decode(second, token_type="refresh").family
    clock.advance(10.001)

    with pytest.raises(TokenReuseError, match="used before"):
        tokens.rotate_refresh_token(first)

    assert revoked(tokens, second, token_type="refresh")
    assert revoked(tokens, first, token_type="refresh")
    assert told[0] == TokenReuseDetected("refresh", family, "u-1", 0)
    with pytest.raises(TokenRevokedError):
        tokens.rotate_refresh_token(second)


def test_another_client_within_the_grace_ends_the_family(tokens):
    first = tokens.create_refresh_token("u-1")
    second = tokens.rotate_refresh_token(first, client="phone")

    for thief in ("laptop", None):
        with pytest.raises(TokenRevokedError):
            tokens.rotate_refresh_token(first, client=thief)

    assert revoked(tokens, second, token_type="refresh")


def test_no_grace_for_a_token_before_the_last(tokens):
    first = tokens.create_refresh_token("u-1")
    second = tokens.rotate_refresh_token(first)
    third = tokens.rotate_refresh_token(second)

    with pytest.raises(TokenReuseError):
        tokens.rotate_refresh_token(first)

    assert revoked(tokens, third, token_type="refresh")


def test_the_family_stays_ended_also_within_the_grace(tokens):
    first = tokens.create_refresh_token("u-1")
    tokens.rotate_refresh_token(first, client="phone")
    with pytest.raises(TokenReuseError):
        tokens.rotate_refresh_token(first, client="laptop")

    with pytest.raises(TokenRevokedError):
        tokens.rotate_refresh_token(first, client="phone")


def test_a_clock_that_went_back_is_no_grace(tokens, clock):
    first = tokens.create_refresh_token("u-1")
    clock.advance(25)
    tokens.rotate_refresh_token(first)
    clock.advance(-20)

    with pytest.raises(TokenReuseError):
        tokens.rotate_refresh_token(first)


def test_the_end_of_a_family_ends_no_other(tokens):
    first, other = tokens.create_refresh_token("u-1"), tokens.create_refresh_token("u-1")
    tokens.revoke(first)

    assert tokens.rotate_refresh_token(other)


def test_a_family_has_a_longest_life(tokens, clock):
    token = tokens.create_refresh_token("u-1")
    for _ in range(8):
        clock.advance(11 * DAY)
        token = tokens.rotate_refresh_token(token)
    payload = tokens.decode(token, token_type="refresh")

    assert payload["exp"] == payload["fex"]
    clock.now = payload["fex"] + 0.5  # within the leeway of the token itself
    with pytest.raises(TokenExpiredError, match="longest life"):
        tokens.rotate_refresh_token(token)
    clock.now = payload["exp"] + 30
    with pytest.raises(TokenExpiredError, match="expired"):
        tokens.rotate_refresh_token(token)


@MEMORY
def test_an_expired_refresh_token_is_refused_before_the_family_hears_of_it(tokens, kind, clock):
    first = tokens.create_refresh_token("u-1", expires_in=60)
    clock.advance(90)

    with pytest.raises(TokenExpiredError):
        tokens.rotate_refresh_token(first)


def test_a_refresh_after_everything_was_revoked_is_refused(tokens, clock):
    first = tokens.create_refresh_token("u-1")
    clock.advance(1)
    tokens.revoke_all_for_user("u-1")

    with pytest.raises(TokenRevokedError, match="all tokens of this user"):
        tokens.rotate_refresh_token(first)

    clock.advance(1)
    assert tokens.rotate_refresh_token(tokens.create_refresh_token("u-1"))


def test_the_successor_that_was_handed_out_dies_with_everything_of_the_user(tokens, clock):
    first = tokens.create_refresh_token("u-1")
    second = tokens.rotate_refresh_token(first)
    tokens.revoke_all_for_user("u-1")

    with pytest.raises(TokenRevokedError):
        tokens.rotate_refresh_token(second)
    with pytest.raises(TokenRevokedError):
        tokens.rotate_refresh_token(first)


def test_what_is_no_token_is_not_changed(tokens):
    for junk in ("", "junk", "a.b.c", None, 1, b"x", "\ud800"):
        with pytest.raises(InvalidTokenError):
            tokens.rotate_refresh_token(junk)


@MEMORY
def test_another_kind_is_not_changed(tokens, kind):
    with pytest.raises(InvalidTokenError, match="made for something else"):
        tokens.rotate_refresh_token(tokens.create_access_token("u-1"))


def test_a_family_that_the_store_does_not_know_is_refused(tokens):
    elsewhere = TokenService(ring(), clock=Clock())

    with pytest.raises(TokenRevokedError, match="not known here"):
        tokens.rotate_refresh_token(elsewhere.create_refresh_token("u-1"))


@MEMORY
@pytest.mark.parametrize("client", [1, b"phone", ["phone"]], ids=range(3))
def test_a_client_is_text(tokens, kind, client):
    with pytest.raises(InvalidArgumentError, match="client is text"):
        tokens.rotate_refresh_token(tokens.create_refresh_token("u-1"), client=client)


def test_a_client_may_be_any_text(tokens):
    first = tokens.create_refresh_token("u-1")
    second = tokens.rotate_refresh_token(first, client="Ünïcode \ud800 " * 1000)

    assert tokens.rotate_refresh_token(first, client="Ünïcode \ud800 " * 1000) == second


def test_eight_parallel_refreshes_of_threads_get_one_successor(store):
    tokens = TokenService(ring(), store, options=PATIENT)
    first = tokens.create_refresh_token("u-1")

    with ThreadPoolExecutor(8) as pool:
        successors = set(pool.map(lambda _: tokens.rotate_refresh_token(first), range(8)))

    assert len(successors) == 1
    assert tokens.decode(successors.pop(), token_type="refresh")["gen"] == 1


async def test_eight_parallel_refreshes_of_tasks_get_one_successor(async_store):
    tokens = AsyncTokenService(ring(), async_store, options=PATIENT)
    first = await tokens.create_refresh_token("u-1")

    successors = set(await asyncio.gather(*(tokens.rotate_refresh_token(first) for _ in range(8))))

    assert len(successors) == 1
    payload = await tokens.decode(successors.pop(), token_type="refresh")
    assert payload["gen"] == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])
def test_parallel_refreshes_of_services_that_share_a_store_get_one_successor(store):
    """Two services stand for two processes: they share nothing but the store and the key."""
    one, two = (TokenService(ring(), store, options=PATIENT) for _ in range(2))
    first = one.create_refresh_token("u-1")

    with ThreadPoolExecutor(8) as pool:
        successors = set(pool.map(lambda n: (one, two)[n % 2].rotate_refresh_token(first), range(8)))

    assert len(successors) == 1


# --- one use ---------------------------------------------------------------------------------

ONCE = ["password_reset", "email_verification"]


def once(tokens, kind, **options):
    return getattr(tokens, f"create_{kind}_token")("u-1", "ada@example.com", **options)


@pytest.mark.parametrize("once_kind", ONCE)
def test_a_token_for_one_use_is_used_once(tokens, once_kind, told):
    token = once(tokens, once_kind)

    payload = tokens.consume(token, token_type=once_kind)

    assert (payload.user_id, payload.email) == ("u-1", "ada@example.com")
    with pytest.raises(TokenReuseError, match="used before"):
        tokens.consume(token, token_type=once_kind)
    assert told == [TokenReuseDetected(once_kind, payload.token_id, "u-1", 0)]
    assert revoked(tokens, token, token_type=once_kind)


@pytest.mark.parametrize("once_kind", ONCE)
def test_looking_at_a_token_does_not_use_it(tokens, once_kind):
    token = once(tokens, once_kind)

    assert alive(tokens, token, once_kind)
    assert tokens.consume(token, token_type=once_kind)


def test_a_token_dies_with_what_it_is_bound_to(tokens):
    token = once(tokens, "password_reset", bound_to="$2b$old")

    for wrong in ("$2b$new", None, "$2b$ol"):
        with pytest.raises(InvalidTokenError, match="bound to something that has changed"):
            tokens.consume(token, token_type="password_reset", bound_to=wrong)
    assert tokens.consume(token, token_type="password_reset", bound_to="$2b$old")


@MEMORY
def test_a_token_that_is_bound_to_nothing_is_not_taken_for_one_that_is(tokens, kind):
    token = once(tokens, "password_reset")

    with pytest.raises(InvalidTokenError, match="bound"):
        tokens.consume(token, token_type="password_reset", bound_to="$2b$old")


@MEMORY
def test_what_a_token_is_bound_to_cannot_be_seen_or_compared(tokens, kind):
    one = once(tokens, "password_reset", bound_to="$2b$old-hash")
    two = once(tokens, "password_reset", bound_to="$2b$old-hash")

    found = [tokens.decode(token, token_type="password_reset")["bnd"] for token in (one, two)]

    assert found[0] != found[1]
    assert "old-hash" not in found[0]


@MEMORY
@pytest.mark.parametrize("bound_to", ["", 1, b"x"], ids=range(3))
def test_what_a_token_is_bound_to_is_text(tokens, kind, bound_to):
    with pytest.raises(InvalidArgumentError, match="bound_to"):
        once(tokens, "password_reset", bound_to=bound_to)


def test_a_token_for_one_use_is_taken_back_with_everything_of_the_user(tokens, clock):
    token = once(tokens, "password_reset")
    clock.advance(1)
    tokens.revoke_all_for_user("u-1")

    with pytest.raises(TokenRevokedError, match="all tokens of this user"):
        tokens.consume(token, token_type="password_reset")


def test_a_token_for_one_use_that_was_revoked_cannot_be_used(tokens):
    token = once(tokens, "password_reset")
    assert tokens.revoke(token)

    with pytest.raises(TokenReuseError):
        tokens.consume(token, token_type="password_reset")


@MEMORY
def test_a_token_for_one_use_expires(tokens, kind, clock):
    token = once(tokens, "password_reset", expires_in=60)
    clock.advance(90)

    with pytest.raises(TokenExpiredError):
        tokens.consume(token, token_type="password_reset")


@MEMORY
@pytest.mark.parametrize("wrong", ["access", "refresh", "gateway"])
def test_other_kinds_are_not_consumed(tokens, kind, wrong):
    with pytest.raises(InvalidArgumentError, match="not for one use"):
        tokens.consume(tokens.create_access_token("u-1"), token_type=wrong)


@MEMORY
def test_one_kind_is_not_consumed_as_another(tokens, kind):
    with pytest.raises(InvalidTokenError, match="made for something else"):
        tokens.consume(once(tokens, "password_reset"), token_type="email_verification")


def test_of_eight_uses_at_once_one_succeeds(store):
    tokens = TokenService(ring(), store)
    token = tokens.create_password_reset_token("u-1")

    def use(_):
        try:
            return tokens.consume(token, token_type="password_reset").user_id
        except TokenReuseError:
            return None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(use, range(8)), key=str) == [None] * 7 + ["u-1"]


# --- taking back --------------------------------------------------------------------------------


def test_one_token_is_taken_back_and_no_other(tokens, told):
    token, other = tokens.create_access_token("u-1"), tokens.create_access_token("u-1")
    token_id = tokens.decode(token).token_id

    assert tokens.revoke(token) is True

    assert told == [TokensRevoked("access", "token", token_id)]
    assert revoked(tokens, token)
    assert alive(tokens, other, "access")


def test_a_token_stays_taken_back_until_it_expires_and_longer_than_its_leeway(tokens, clock):
    token = tokens.create_access_token("u-1", expires_in=60)
    tokens.revoke(token)

    clock.advance(89.9)
    assert revoked(tokens, token)
    clock.advance(0.2)
    assert revoked(tokens, token, TokenExpiredError)


def test_revoking_twice_is_no_error(tokens):
    token = tokens.create_access_token("u-1")

    assert [tokens.revoke(token), tokens.revoke(token)] == [True, True]
    assert revoked(tokens, token)


def test_there_is_nothing_to_take_back_of_what_is_no_token(tokens, clock, told):
    expired = tokens.create_access_token("u-1", expires_in=1)
    clock.advance(100)

    for junk in ("", "junk", "a.b.c", None, 1, b"x", "\ud800", expired):
        assert tokens.revoke(junk) is False
    assert told == []


def test_a_token_of_another_audience_can_be_taken_back(tokens):
    token = tokens.create_gateway_token("u-1", audience="orders")

    assert tokens.revoke(token) is True
    assert tokens.verify(token, token_type="gateway", audience="orders") is None


def test_a_refresh_token_is_taken_back_with_its_family_and_its_access_tokens(tokens, told):
    refresh = tokens.create_refresh_token("u-1")
    family = tokens.decode(refresh, token_type="refresh").family
    ours = tokens.create_access_token("u-1", family=family)
    other = tokens.create_access_token("u-1")
    successor = tokens.rotate_refresh_token(refresh)

    assert tokens.revoke(refresh) is True

    assert told == [TokensRevoked("refresh", "family", family)]
    assert revoked(tokens, ours)
    assert revoked(tokens, successor, token_type="refresh")
    assert alive(tokens, other, "access")


def test_everything_of_a_user_is_taken_back_until_now_and_not_later(tokens, clock, told):
    before = [
        tokens.create_access_token("u-1"),
        tokens.create_refresh_token("u-1"),
        tokens.create_password_reset_token("u-1"),
        tokens.create_email_verification_token("u-1"),
    ]
    other = tokens.create_access_token("u-2")
    kinds = ["access", "refresh", "password_reset", "email_verification"]

    tokens.revoke_all_for_user("u-1")

    assert told == [TokensRevoked("all", "user", "u-1")]
    for token, kind in zip(before, kinds, strict=True):
        assert revoked(tokens, token, token_type=kind)
    assert alive(tokens, other, "access")
    clock.advance(0.000_01)
    assert alive(tokens, tokens.create_access_token("u-1"), "access")


def test_revoking_a_user_by_number_is_revoking_them_by_text(tokens):
    token = tokens.create_access_token("7")

    tokens.revoke_all_for_user(7)

    assert revoked(tokens, token)


def test_users_of_different_issuers_do_not_meet(store):
    one = TokenService(ring(), store, options=TokenOptions(issuer="one"))
    two = TokenService(ring(), store, options=TokenOptions(issuer="two"))
    token = two.create_access_token("u-1")

    one.revoke_all_for_user("u-1")

    assert two.verify(token)


@MEMORY
def test_a_key_of_the_same_id_at_another_issuer_is_another_key(tokens, kind):
    from shared.auth import Key

    elsewhere = TokenService(
        KeyRing([Key.generate("HS256", kid="k1")]), options=TokenOptions(issuer="elsewhere"), clock=Clock()
    )
    same_key = TokenService(ring(), options=TokenOptions(issuer="elsewhere"), clock=Clock())

    assert tokens.verify(elsewhere.create_access_token("u-1")) is None
    assert tokens.verify(same_key.create_access_token("u-1")) is None


@MEMORY
def test_who_listens_hears_why_a_token_was_refused(tokens, kind, clock, told):
    token = tokens.create_access_token("u-1", expires_in=60)
    clock.advance(132)

    tokens.verify(token)
    tokens.verify("junk", token_type="refresh")

    assert told[0] == TokenRefused("access", "TOKEN_EXPIRED", "the token expired 72 s ago (leeway 30 s)")
    assert (told[1].token_type, told[1].code) == ("refresh", "INVALID_TOKEN")


@MEMORY
def test_whether_a_token_has_expired_can_be_asked_of_every_kind(tokens, kind, clock):
    made = [
        tokens.create_access_token("u-1", expires_in=60),
        tokens.create_refresh_token("u-1", expires_in=60),
        tokens.create_password_reset_token("u-1", expires_in=60),
        tokens.create_gateway_token("u-1", audience="orders"),
    ]

    assert [tokens.is_expired(token) for token in made] == [False] * 4
    clock.advance(90)
    assert [tokens.is_expired(token) for token in [*made, "junk", None, 1]] == [True] * 7


# --- the cache of verified tokens ----------------------------------------------------------------


def test_a_token_seen_before_is_refused_once_it_is_taken_back(tokens):
    token = tokens.create_access_token("u-1")
    assert alive(tokens, token, "access")

    tokens.revoke(token)

    assert revoked(tokens, token)


def test_a_token_seen_before_is_refused_once_its_user_is_logged_out(tokens):
    token = tokens.create_access_token("u-1")
    assert alive(tokens, token, "access")

    tokens.revoke_all_for_user("u-1")

    assert revoked(tokens, token)


@MEMORY
def test_a_token_seen_before_expires(tokens, kind, clock):
    token = tokens.create_access_token("u-1", expires_in=45)
    assert alive(tokens, token, "access")

    clock.advance(74.9)
    assert alive(tokens, token, "access")
    clock.advance(0.1)
    assert revoked(tokens, token, TokenExpiredError)


@MEMORY
def test_a_token_seen_before_is_refused_when_the_clock_goes_back(tokens, kind, clock):
    token = tokens.create_access_token("u-1")
    assert alive(tokens, token, "access")

    clock.advance(-31)

    assert tokens.verify(token) is None


@MEMORY
def test_a_token_seen_before_is_refused_once_its_key_is_retired(tokens, kind):
    both = KeyRing([key(), key(kid="k2").with_status("next")])
    tokens.use_keys(both)
    token = tokens.create_access_token("u-1")
    assert alive(tokens, token, "access")

    tokens.use_keys(both.rotate())
    assert alive(tokens, token, "access")
    tokens.use_keys(both.rotate().retire("k1"))

    assert revoked(tokens, token, InvalidTokenError)


@MEMORY
def test_a_token_seen_before_is_not_accepted_for_another_audience_or_kind(tokens, kind):
    token = tokens.create_access_token("u-1")
    assert alive(tokens, token, "access")

    assert tokens.verify(token, audience="orders") is None
    assert tokens.verify(token, token_type="refresh") is None


def _rotate_in_child(url, token, results):
    from shared.auth import SqlTokenStore
    from shared.database import Database

    with Database(url) as db:
        tokens = TokenService(KeyRing([key_from_text()]), SqlTokenStore(db), options=PATIENT)
        try:
            results.put(tokens.rotate_refresh_token(token))
        except Exception as exc:
            results.put(repr(exc))


def key_from_text():
    from shared.auth import Key
    from tests.unit.auth.forge import SECRET

    return Key.from_secret(SECRET, kid="k1")


def test_processes_that_share_a_database_get_one_successor(tmp_path):
    from shared.auth import SqlTokenStore
    from shared.database import Base, Database, tables_of

    url = f"sqlite:///{tmp_path}/shared.db"
    with Database(url) as db:
        Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        token = TokenService(KeyRing([key_from_text()]), SqlTokenStore(db)).create_refresh_token("u-1")
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    children = [context.Process(target=_rotate_in_child, args=(url, token, results)) for _ in range(2)]

    for child in children:
        child.start()
    successors = {results.get(timeout=60) for _ in children}
    for child in children:
        child.join(60)
    results.close()
    results.join_thread()

    assert len(successors) == 1
    assert successors.pop().count(".") == 2
