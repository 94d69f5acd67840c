"""API keys: found by their id, proved by their secret, judged by time and place."""

import asyncio
import re
import string
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import (
    ApiKey,
    ApiKeyAuthenticator,
    ApiKeys,
    AsyncApiKeys,
    AsyncMemoryRecordStore,
    MemoryRecordStore,
    PlainRequest,
)
from shared.auth._api_key_format import KeyParts, parse_key, peppers_of, with_check
from shared.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidArgumentError,
    ResourceNotFoundError,
    ServiceUnavailableError,
    TransactionConflictError,
    ValidationError,
)
from shared.logging import capture_logs
from shared.security import mask_text
from tests.unit.auth._both import Awaited, Clock

PEPPER = "pepper-of-at-least-thirty-two-bytes!"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return MemoryRecordStore()


@pytest.fixture(params=["sync", "async"])
def make(request, store, clock):
    def make(**options):
        options = {"pepper": PEPPER, "clock": clock, **options}
        if request.param == "sync":
            return ApiKeys(store, **options)
        return Awaited(AsyncApiKeys(AsyncMemoryRecordStore(store), **options))

    return make


@pytest.fixture
def keys(make):
    return make()


def text(new):
    return new.secret.get_secret_value()


# --- format -------------------------------------------------------------------------------


def test_a_key_says_what_it_is_and_has_256_random_bits(keys):
    first, second = text(keys.create("billing")), text(keys.create("billing"))

    assert re.fullmatch(r"sk_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}", first)
    assert first != second


def test_a_key_is_masked_wherever_it_stands_in_a_text(keys):
    key = text(keys.create("billing"))

    assert key[20:] not in mask_text(f"calling with {key} failed")


def test_a_new_key_is_not_in_the_repr(keys):
    new = keys.create("billing")

    assert text(new)[22:] not in f"{new!r} {new.key!r} {new.key}"


@pytest.mark.parametrize("position", range(-6, 0))
def test_a_wrong_checksum_is_told_before_the_store_is_asked(keys, store, position):
    key = text(keys.create("billing"))
    wrong = list(key)
    wrong[position] = "a" if wrong[position] != "a" else "b"
    store.get = None

    with pytest.raises(AuthenticationError, match="mistyped"):
        keys.verify("".join(wrong))


@pytest.mark.parametrize(
    "junk",
    [None, 7, b"sk_live_", "", "sk_live_", "sk_live_x_y", "sk_live_" + "a" * 62, "x" * 10_000_000, "sk_live_" + "é" * 62,
     "sk_live_" + "_" * 62, "sk_live_aaaaaaaaaaaa_" + "a" * 48 + "\n"],
    ids=["none", "int", "bytes", "empty", "head", "short", "no border", "10 MB", "umlauts", "borders", "newline"],
)  # fmt: skip
def test_what_is_no_key_is_refused(keys, junk):
    with pytest.raises(AuthenticationError):
        keys.verify(junk)


@given(st.text(alphabet=string.ascii_letters + string.digits + "_é\n", max_size=90))
@settings(deadline=None)
def test_no_text_makes_the_parser_raise_anything_else(text):
    for candidate in (text, "sk_live_" + text, with_check("sk_live_" + text)):
        with suppress(AuthenticationError):
            parse_key(candidate, "sk_live")


# --- judging -------------------------------------------------------------------------------


def test_a_key_makes_a_principal_that_may_do_what_its_scopes_say(keys):
    new = keys.create("billing", scopes=["orders:read", "stock:*"], tenant="acme", name="nightly")

    found = keys.verify(text(new))
    principal = found.principal()

    assert (principal.user_id, principal.tenant, principal.method) == ("billing", "acme", "api_key")
    assert principal.scopes == principal.permissions == {"orders:read", "stock:*"}
    assert principal.token_id == new.key.id
    assert found.name == "nightly"


def test_the_right_id_with_a_wrong_secret_is_refused_like_an_unknown_key(keys):
    known = text(keys.create("billing"))
    forged = with_check(known[:-10] + "0000")
    unknown = with_check("sk_live_" + "0" * 12 + "_" + known[-49:-6])

    messages = set()
    for key in (forged, unknown):
        with pytest.raises(AuthenticationError) as caught:
            keys.verify(key)
        messages.add(str(caught.value))
        assert key not in str(caught.value)

    assert messages == {"the API key is not valid"}


def test_an_unknown_key_costs_as_many_hashes_as_a_known_one(keys, monkeypatch):
    import hmac

    known = text(keys.create("billing"))
    unknown = with_check("sk_live_" + "0" * 12 + "_" + known[-49:-6])
    counts, original = [], hmac.digest
    monkeypatch.setattr(hmac, "digest", lambda *args: counts.append(1) or original(*args))

    keys.verify(known)
    first = len(counts)
    with pytest.raises(AuthenticationError):
        keys.verify(unknown)

    assert (first, len(counts) - first) == (1, 1)


def test_the_store_never_has_a_secret_in_the_clear(keys, store):
    key = text(keys.create("billing"))

    kept = repr(store._records) + repr([record.data for record in store._records.values()])

    assert key[21:64] not in kept


def test_a_copy_of_the_store_opens_nothing_without_the_pepper(keys, make):
    key = text(keys.create("billing"))

    with pytest.raises(AuthenticationError):
        make(pepper="another-pepper-of-thirty-two-bytes!!").verify(key)


def test_an_expired_key_is_refused_to_the_second(keys, clock):
    key = text(keys.create("billing", expires_in=60.0))

    clock.now += 59.9
    assert keys.verify(key)
    clock.now += 0.1
    with pytest.raises(AuthenticationError, match="expired"):
        keys.verify(key)


def test_a_revoked_key_is_refused_at_once_and_still_listed(keys):
    new = keys.create("billing")

    revoked = keys.revoke(new.key.id)

    assert revoked.revoked_at is not None
    with pytest.raises(AuthenticationError):
        keys.verify(text(new))
    assert [key.revoked_at is not None for key in keys.of_owner("billing")] == [True]
    assert keys.get(new.key.id).is_active(0.0) is False


def test_a_dead_key_leaves_the_list_after_a_month(keys, clock):
    keys.revoke(keys.create("billing").key.id)
    keys.create("billing", expires_in=60.0)

    clock.now += 31 * 86_400

    assert keys.of_owner("billing") == []


@pytest.mark.parametrize(
    ("client", "allowed"),
    [
        ("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("2001:db8::7", True), ("11.0.0.1", False),
        ("2001:db9::7", False), (None, False), ("", False), ("localhost", False), ("10.1.2.3 ", False),
        ("10.1.2.3, 11.0.0.1", False),
    ],
    ids=str,
)  # fmt: skip
def test_a_key_bound_to_networks_works_from_there_alone(keys, client, allowed):
    key = text(keys.create("billing", networks=["10.0.0.0/8", "2001:db8::/32"]))

    if allowed:
        assert keys.verify(key, client=client)
    else:
        with pytest.raises(AuthenticationError, match="network"):
            keys.verify(key, client=client)


def test_a_key_of_one_mode_is_unknown_to_the_other(make):
    live = make().create("billing")

    with pytest.raises(AuthenticationError):
        make(mode="test").verify(text(live))


# --- rotation -----------------------------------------------------------------------------------


def test_after_a_rotation_both_secrets_work_for_the_grace_and_then_the_new_one(keys, clock):
    old = keys.create("billing", scopes=["a:b"])

    new = keys.rotate(old.key.id, grace=3600.0)

    assert new.key.id == old.key.id
    assert new.key.rotated_at == clock.now
    assert keys.verify(text(old)).scopes == keys.verify(text(new)).scopes == ("a:b",)
    clock.now += 3600.0
    with pytest.raises(AuthenticationError):
        keys.verify(text(old))
    assert keys.verify(text(new))


def test_a_rotation_without_grace_ends_the_old_secret_at_once(keys):
    old = keys.create("billing")
    keys.rotate(old.key.id, grace=0.0)

    with pytest.raises(AuthenticationError):
        keys.verify(text(old))


def test_a_second_rotation_does_not_lengthen_the_first_grace(keys, clock):
    first = keys.create("billing")
    keys.rotate(first.key.id, grace=100.0)
    clock.now += 50
    keys.rotate(first.key.id, grace=1000.0)

    clock.now += 50
    with pytest.raises(AuthenticationError):
        keys.verify(text(first))


def test_revoking_ends_every_secret_of_a_rotated_key(keys):
    old = keys.create("billing")
    new = keys.rotate(old.key.id)

    keys.revoke(old.key.id)

    for each in (old, new):
        with pytest.raises(AuthenticationError):
            keys.verify(text(each))


def test_a_revoked_key_is_not_rotated_back_to_life(keys):
    new = keys.create("billing")
    keys.revoke(new.key.id)

    with pytest.raises(InvalidArgumentError, match="make a new one"):
        keys.rotate(new.key.id)


def test_keys_hashed_with_an_earlier_pepper_still_work_while_it_is_listed(make):
    key = text(make(pepper=["old-pepper-of-at-least-32-bytes-long"]).create("billing"))
    rotated = make(pepper=[PEPPER, "old-pepper-of-at-least-32-bytes-long"])

    assert rotated.verify(key)
    assert rotated.verify(text(rotated.create("billing")))
    with pytest.raises(AuthenticationError):
        make(pepper=PEPPER).verify(key)


def test_a_change_that_others_keep_overtaking_is_a_conflict(keys, store, monkeypatch):
    new = keys.create("billing")
    monkeypatch.setattr(store, "change", lambda record, now: False)

    with pytest.raises(TransactionConflictError):
        keys.revoke(new.key.id)
    with pytest.raises(TransactionConflictError):
        keys.rotate(new.key.id)


@pytest.mark.parametrize("call", ["get", "revoke", "rotate"])
def test_an_unknown_id_is_not_found(keys, call):
    with pytest.raises(ResourceNotFoundError, match="API key not found") as caught:
        getattr(keys, call)("nobody")

    assert caught.value.details["id"] == "nobody"


# --- last use -------------------------------------------------------------------------------------


def test_the_last_use_is_written_once_a_minute_and_not_with_each_request(keys, store, clock):
    writes, original = [], store.touch
    store.touch = lambda moments: writes.append(dict(moments)) or original(moments)
    new = keys.create("billing")

    for _ in range(10):
        keys.verify(text(new))
    assert writes == []
    clock.now += 60
    for _ in range(10):
        keys.verify(text(new))

    assert len(writes) == 1
    assert keys.get(new.key.id).last_used_at == clock.now


def test_what_was_not_yet_written_is_written_at_the_end(keys, clock):
    new = keys.create("billing")
    keys.verify(text(new))

    keys.close()

    assert keys.get(new.key.id).last_used_at == clock.now


def test_a_note_that_cannot_be_written_keeps_nobody_out(keys, store, clock):
    new = keys.create("billing")
    keys.verify(text(new))
    clock.now += 60

    def touch(moments):
        raise ServiceUnavailableError("the store is down")

    store.touch = touch
    with capture_logs() as logs:
        assert keys.verify(text(new)).owner == "billing"

    assert [line["event"] for line in logs] == ["the last use of API keys was not noted"]


# --- what is refused at once ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": "orders:read"}, {"scopes": ["orders:read "]}, {"scopes": ["a"] * 101}, {"networks": "10.0.0.0/8"},
        {"networks": ["10.0.0.1/8"]}, {"networks": ["nonsense"]}, {"name": "x" * 256}, {"name": "a\nb"},
        {"tenant": ""}, {"created_by": 7}, {"expires_in": 0}, {"expires_in": -1.0}, {"expires_in": float("nan")},
        {"expires_in": float("inf")},
    ],
    ids=lambda wrong: str(wrong)[:40],
)  # fmt: skip
def test_a_malformed_key_is_not_made(keys, wrong):
    with pytest.raises((ValidationError, InvalidArgumentError)):
        keys.create("billing", **wrong)


@pytest.mark.parametrize("owner", ["", None, "x" * 256, "a\0"], ids=["empty", "none", "long", "nul"])
def test_a_key_has_an_owner(keys, owner):
    with pytest.raises(ValidationError):
        keys.create(owner)


@pytest.mark.parametrize("grace", [-1, 31 * 86_400, float("nan")])
def test_a_grace_out_of_range_is_refused(keys, grace):
    new = keys.create("billing")

    with pytest.raises(InvalidArgumentError):
        keys.rotate(new.key.id, grace=grace)


@pytest.mark.parametrize("pepper", ["", "short", [], None, 7, [b"x" * 31]], ids=ascii)
def test_an_absent_or_short_pepper_is_refused_at_start(pepper):
    with pytest.raises(ConfigurationError) as caught:
        ApiKeys(MemoryRecordStore(), pepper=pepper)

    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"prefix": "s_k"}, {"mode": ""}, {"prefix": "é"}, {"touch_every": -1}], ids=str
)
def test_a_malformed_prefix_or_interval_is_refused_at_start(wrong):
    with pytest.raises(InvalidArgumentError):
        ApiKeys(MemoryRecordStore(), pepper=PEPPER, **wrong)


# --- in a request ------------------------------------------------------------------------------------


def ask(way, request):
    return asyncio.run(way.aauthenticate(request))


@pytest.fixture(params=["sync", "sync in a loop", "async"])
def way(request, store, clock):
    keys = ApiKeys(store, pepper=PEPPER, clock=clock)
    if request.param == "async":
        keys = AsyncApiKeys(AsyncMemoryRecordStore(store), pepper=PEPPER, clock=clock)
    made = ApiKeyAuthenticator(keys)
    return made.authenticate if request.param == "sync" else lambda found: ask(made, found)


@pytest.fixture
def key(store, clock):
    return text(ApiKeys(store, pepper=PEPPER, clock=clock).create("billing", networks=["10.0.0.0/8"]))


def test_a_key_is_read_from_its_header_or_from_authorization(way, key):
    for headers in (
        [("X-API-Key", key)],
        [("Authorization", f"ApiKey {key}")],
        [(b"x-api-key", key.encode())],
    ):
        assert way(PlainRequest("GET", "/", headers, client="10.0.0.1")).user_id == "billing"


def test_a_request_without_a_key_is_nobodys(way):
    assert way(PlainRequest("GET", "/", [("Authorization", "Bearer x")])) is None


def test_a_key_in_the_url_is_not_looked_at(way, key):
    assert way(PlainRequest("GET", "/", query=f"api_key={key}")) is None


def test_two_keys_are_refused(way, key):
    for headers in (
        [("X-API-Key", key), ("X-API-Key", key)],
        [("X-API-Key", key), ("Authorization", f"ApiKey {key}")],
    ):
        with pytest.raises(AuthenticationError):
            way(PlainRequest("GET", "/", headers, client="10.0.0.1"))


def test_the_address_of_the_peer_counts(way, key):
    with pytest.raises(AuthenticationError, match="network"):
        way(
            PlainRequest("GET", "/", [("X-API-Key", key), ("X-Forwarded-For", "10.0.0.1")], client="11.0.0.1")
        )


def test_asynchronous_keys_cannot_be_asked_from_wsgi(key):
    way = ApiKeyAuthenticator(AsyncApiKeys(AsyncMemoryRecordStore(), pepper=PEPPER))

    with pytest.raises(ConfigurationError, match="WSGI"):
        way.authenticate(PlainRequest("GET", "/", [("X-API-Key", key)]))


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=50)
def test_no_header_makes_the_check_raise_anything_else(value):
    way = ApiKeyAuthenticator(ApiKeys(MemoryRecordStore(), pepper=PEPPER))
    for header in (b"x-api-key", b"authorization"):
        with suppress(AuthenticationError):
            way.authenticate(PlainRequest("GET", "/", [(header, b"ApiKey " + value)]))


def test_a_key_shows_no_more_than_its_owner_may_see():
    assert ApiKey("k-1", "billing").principal().claims == {}


def test_the_hash_of_a_key_is_the_same_for_ever():
    # Keys that are out are known by it alone.
    pepper = peppers_of("p" * 32)[0]

    assert pepper.id == "4f87e0e6"
    assert pepper.digest(KeyParts("a" * 12, "b" * 43)) == (
        "e2686f2f50f991739d4fb9a5669ab2f4b88a8d1307ce5518e59f6b2b615a4985"
    )


@pytest.mark.parametrize(
    "text", ["", "nonsense", "sk_live_" + "a" * 12 + "_" + "!" * 49], ids=["empty", "word", "letters"]
)
def test_what_is_no_key_is_refused_with_the_scheme_to_use(text):
    with pytest.raises(AuthenticationError) as caught:
        parse_key(text, "sk_live")

    assert caught.value.headers["WWW-Authenticate"].startswith("ApiKey")
