"""Keys in a file: rotated by a command, followed by services that keep running."""

import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import KeyFile, TokenService, sign_compact, verify_compact
from shared.errors import ConfigurationError, InvalidTokenError
from tests.unit.auth.forge import NOW, Clock, key


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def mono():
    return Clock(1000.0)


@pytest.fixture
def keys(path, clock, mono):
    return KeyFile(path, clock=clock, monotonic=mono)


def statuses(keys):
    return {each["kid"]: each["status"] for each in keys.describe()}


def test_the_first_key_signs_and_later_ones_wait(keys):
    first, second = keys.new("ES256", kid="a"), keys.new("EdDSA", kid="b")

    assert (first.status, second.status) == ("active", "next")
    assert keys.current().active == first
    assert statuses(keys) == {"a": "active", "b": "next"}


def test_a_key_of_the_file_is_the_key_that_was_made(keys, path):
    for number, algorithm in enumerate(["RS256", "ES512", "EdDSA"]):
        keys.new(algorithm, kid=f"k{number}")

    assert KeyFile(path).current().keys == keys.current().keys


def test_secrets_may_be_kept_in_a_file_too(keys, path):
    keys.new("HS256", kid="a")
    keys.new("HS512", kid="b")

    token = sign_compact(b"{}", keys)

    assert verify_compact(token, KeyFile(path)) == b"{}"


def test_rotating_lets_the_next_key_sign(keys, clock):
    keys.new("ES256", kid="a")
    keys.new("ES256", kid="b")
    clock.advance(60)

    keys.rotate()

    assert statuses(keys) == {"a": "verify-only", "b": "active"}
    assert [each["since"] for each in keys.describe()] == [NOW + 60, NOW + 60]


def test_rotating_removes_keys_that_have_only_verified_for_long(keys, clock):
    for kid in "abc":
        keys.new("EdDSA", kid=kid)
    keys.rotate()
    clock.advance(99.0)

    assert set(statuses(keys)) == {"a", "b", "c"}
    keys.rotate(retire_after=100.0)
    assert statuses(keys) == {"a": "verify-only", "b": "verify-only", "c": "active"}
    keys.new("EdDSA", kid="d")
    clock.advance(1.0)
    keys.rotate(retire_after=100.0)
    assert statuses(keys) == {"b": "verify-only", "c": "verify-only", "d": "active"}


def test_rotating_without_an_age_removes_nothing(keys, clock):
    for kid in "abc":
        keys.new("EdDSA", kid=kid)
    keys.rotate()
    clock.advance(10**9)

    keys.rotate()

    assert set(statuses(keys)) == {"a", "b", "c"}


def test_retiring_removes_a_key_at_once(keys):
    keys.new("EdDSA", kid="a")
    keys.new("EdDSA", kid="b")
    token = sign_compact(b"{}", keys)
    keys.rotate()

    assert verify_compact(token, keys)
    keys.retire("a")

    with pytest.raises(InvalidTokenError):
        verify_compact(token, keys)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda keys: keys.new("ES256", kid="a"), "'a' stands twice"),
        (lambda keys: keys.new("HS256"), "do not mix"),
        (lambda keys: keys.new("none"), "not accepted"),
        (lambda keys: keys.new("ES256", kid="a b"), "key id"),
        (lambda keys: keys.rotate(), "no key 'next'"),
        (lambda keys: keys.retire("b"), "'b' is not in the ring"),
        (lambda keys: keys.retire("a"), "1 to 64 keys"),
    ],
    ids=range(7),
)
def test_a_change_that_makes_no_sense_leaves_the_file_as_it_was(keys, path, change, message):
    keys.new("ES256", kid="a")
    before = path.read_bytes()

    with pytest.raises(ConfigurationError, match=message):
        change(keys)

    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir() if "tmp" in found.name] == []


def test_the_file_is_its_owners_alone(keys, path):
    before = os.umask(0)
    try:
        keys.new("ES256")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_anybody_can_write_is_refused(keys, path):
    keys.new("ES256")
    path.chmod(0o666)

    with pytest.raises(ConfigurationError, match="written by anybody"):
        KeyFile(path).current()
    with pytest.raises(ConfigurationError, match="written by anybody"):
        keys.describe()


def test_a_description_shows_nothing_secret(keys, path):
    keys.new("ES256", kid="a")
    secret = json.loads(path.read_bytes())["keys"][0]["d"]

    assert secret not in repr(keys.describe()) + repr(keys) + repr(keys.current())


# --- following --------------------------------------------------------------------------------


def test_a_service_follows_the_file_without_a_restart(path, mono, clock):
    operator = KeyFile(path)
    operator.new("ES256", kid="a")
    tokens = TokenService(KeyFile(path, monotonic=mono), clock=clock)
    old = tokens.create_access_token("u-1")
    operator.new("ES256", kid="b")
    operator.rotate()

    mono.advance(5.0)

    assert tokens.ring.active.kid == "b"
    assert tokens.verify(old) is not None
    operator.retire("a")
    mono.advance(5.0)
    assert tokens.verify(old) is None
    assert tokens.verify(tokens.create_access_token("u-1")) is not None


def test_the_file_is_looked_at_once_in_a_while(path, mono):
    KeyFile(path).new("ES256", kid="a")
    keys = KeyFile(path, monotonic=mono, check_every=5.0)
    ring = keys.current()
    KeyFile(path).new("ES256", kid="b")

    mono.advance(4.9)
    assert keys.current() is ring
    mono.advance(0.1)
    assert len(keys.current().keys) == 2


def test_a_file_that_did_not_change_is_the_same_ring(path, mono):
    KeyFile(path).new("ES256", kid="a")
    keys = KeyFile(path, monotonic=mono)
    ring = keys.current()

    mono.advance(100)

    assert keys.current() is ring


@pytest.mark.parametrize("damage", [
    lambda path: path.write_text("{"), lambda path: path.unlink(), lambda path: path.write_text('{"keys": []}'),
    lambda path: path.chmod(0o666), lambda path: path.write_bytes(b"\xff" * 100),
], ids=range(5))  # fmt: skip
def test_a_file_that_breaks_leaves_the_keys_before_in_force(path, mono, damage, caplog):
    KeyFile(path).new("ES256", kid="a")
    keys = KeyFile(path, monotonic=mono)
    ring = keys.current()
    damage(path)
    mono.advance(10)

    assert keys.current() is ring

    assert "the keys before stay in force" in caplog.text


def test_a_file_that_is_mended_is_followed_again(path, mono):
    KeyFile(path).new("ES256", kid="a")
    keys = KeyFile(path, monotonic=mono)
    keys.current()
    whole = path.read_bytes()
    path.write_text("{")
    mono.advance(10)
    keys.current()
    path.write_bytes(whole)
    KeyFile(path).new("ES256", kid="b")
    mono.advance(10)

    assert len(keys.current().keys) == 2


def test_a_file_that_was_never_there_is_told_with_the_way_out(path):
    with pytest.raises(ConfigurationError, match="make it with: shared keys new"):
        KeyFile(path).current()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"keys": 1}', '{"keys": [1]}', '{"keys": {}}', '{"keys": [{}]}', '{"keys": [], "keys": []}',
     '{"keys": [{"kty": "oct", "k": "AAAA", "alg": "HS256"}]}', "x" * 2_000_000],
    ids=range(10),
)  # fmt: skip
def test_a_file_that_is_no_set_of_keys_is_refused(path, text):
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match="key file"):
        KeyFile(path).describe()
        KeyFile(path).current()


def test_an_unknown_status_is_told_with_the_number_of_the_key(keys, path):
    keys.new("ES256", kid="a")
    path.write_text(path.read_text().replace('"active"', '"old"'))

    with pytest.raises(ConfigurationError, match="key 1: status 'old'"):
        KeyFile(path).current()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_only_our_error_comes_out_of_any_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(data)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError):
        KeyFile(path).current()


def test_commands_at_once_lose_no_key(path):
    def add(number):
        KeyFile(path).new("EdDSA", kid=f"k{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(16)))

    assert {found.kid for found in KeyFile(path).current().keys} == {f"k{number}" for number in range(16)}
    assert sum(found.status == "active" for found in KeyFile(path).current().keys) == 1


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be written"):
        KeyFile(tmp_path / "nowhere" / "keys.json").new("ES256")


def test_readers_at_once_see_a_whole_file(path):
    operator = KeyFile(path)
    operator.new("EdDSA", kid="a")
    keys = KeyFile(path, check_every=0.0)
    failures, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                KeyFile(path).current()
                keys.current()
            except Exception as exc:
                failures.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        operator.new("EdDSA", kid=f"k{number}")
    stop.set()
    reader.join(30)

    assert failures == []


def test_a_public_key_of_the_file_verifies_only(path):
    path.write_text(json.dumps({"keys": [{**key("ES256").to_jwk(), "status": "active"}]}))
    path.chmod(0o600)

    keys = KeyFile(path)

    assert keys.current().active is None
    assert keys.describe()[0]["status"] == "verify-only"
    assert keys.new("ES256", kid="b").status == "next"
    assert len(KeyFile(path).current().keys) == 2
