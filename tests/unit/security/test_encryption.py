"""Encryption of data at rest: what was encrypted decrypts, and only there."""

import base64
import pickle
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from shared.errors import ConfigurationError, DecryptionError, InvalidArgumentError, SharedError
from shared.security import (
    EncryptionKeys,
    blind_index,
    blind_index_candidates,
    decrypt,
    decrypt_text,
    encrypt,
    needs_reencryption,
    new_encryption_key,
    reencrypt,
)

OLD, NEW = new_encryption_key(), new_encryption_key()
KEYS = EncryptionKeys({"k1": OLD})
RING = EncryptionKeys({"k2": NEW, "k1": OLD})

parts = st.text(max_size=20) | st.binary(max_size=20) | st.integers()
contexts = parts | st.lists(parts, max_size=4).map(tuple)
purposes = st.from_regex(r"[\x21-\x7e]{1,30}", fullmatch=True)


@given(st.binary(max_size=300), purposes, contexts)
def test_what_was_encrypted_decrypts(data, purpose, context):
    token = encrypt(data, KEYS, purpose=purpose, context=context)

    assert decrypt(token, KEYS, purpose=purpose, context=context) == data
    assert decrypt(token.encode(), KEYS, purpose=purpose, context=context) == data


@given(st.text())
def test_text_comes_back_as_text(text):
    assert decrypt_text(encrypt(text, KEYS, purpose="p"), KEYS, purpose="p") == text


def test_data_that_is_no_text_is_told_without_showing_it():
    with pytest.raises(DecryptionError, match="not text") as caught:
        decrypt_text(encrypt(b"\xffhunter2", KEYS, purpose="p"), KEYS, purpose="p")

    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@given(st.binary(max_size=40))
def test_the_token_shows_version_and_key_and_nothing_else(data):
    token = encrypt(data, KEYS, purpose="p")

    version, key_id, rest = token.split(".")
    assert (version, key_id) == ("v1", "k1")
    assert len(base64.urlsafe_b64decode(rest + "==")) == len(data) + 40


def test_the_same_text_never_gives_the_same_token():
    assert len({encrypt("x", KEYS, purpose="p") for _ in range(1000)}) == 1000


def test_the_format_is_the_documented_one():
    """Opened by hand: HKDF, the key of the message from 12 random bytes, AES-GCM."""
    token = encrypt("hello", KEYS, purpose="users.email", context=("users", 7))
    raw = base64.urlsafe_b64decode(token.split(".")[2] + "==")
    root = HKDF(SHA256(), 32, None, b"shared.security/v1/encrypt/users.email").derive(
        base64.urlsafe_b64decode(OLD)
    )
    import hmac

    key = hmac.digest(root, raw[:12], "sha256")
    bound = b"".join(len(p).to_bytes(8, "big") + p for p in (b"v1", b"k1", b"users.email", b"susers", b"i7"))

    assert AESGCM(key).decrypt(raw[12:24], raw[24:], bound) == b"hello"


# --- attacks 99 to 103 ----------------------------------------------------------------------


@given(contexts, contexts)
def test_a_token_moved_to_another_row_does_not_open(here, there):
    def flat(context):
        parts = context if isinstance(context, tuple) else (context,)
        return [(type(part), part) for part in parts]

    token = encrypt("x", KEYS, purpose="p", context=here)

    if flat(here) != flat(there):
        with pytest.raises(DecryptionError, match="another purpose or context"):
            decrypt(token, KEYS, purpose="p", context=there)


@pytest.mark.parametrize(
    ("here", "there"),
    [(("ab", "c"), ("a", "bc")), (("1",), (1,)), (("a",), (b"a",)), ((), ("",)), (("a", ""), ("a",))],
)
def test_contexts_that_read_alike_are_told_apart(here, there):
    token = encrypt("x", KEYS, purpose="p", context=here)

    with pytest.raises(DecryptionError):
        decrypt(token, KEYS, purpose="p", context=there)


@given(purposes, purposes)
def test_a_token_of_another_purpose_does_not_open(here, there):
    token = encrypt("x", KEYS, purpose=here)

    if here != there:
        with pytest.raises(DecryptionError):
            decrypt(token, KEYS, purpose=there)


@pytest.mark.parametrize("key_id", ["k2", "K1", "k1_", "x" * 32])
def test_an_unknown_key_is_named(key_id):
    token = encrypt("x", KEYS, purpose="p").replace("k1", key_id)

    with pytest.raises(DecryptionError, match=rf"key '{key_id}' is not in the ring \(known: k1\)"):
        decrypt(token, KEYS, purpose="p")


def test_a_token_relabelled_for_another_key_does_not_open():
    token = encrypt("x", RING, purpose="p").replace("v1.k2.", "v1.k1.")

    with pytest.raises(DecryptionError):
        decrypt(token, RING, purpose="p")


@given(st.binary(max_size=20), st.data())
def test_a_changed_bit_is_noticed(data, draw):
    token = encrypt(data, KEYS, purpose="p")
    raw = bytearray(base64.urlsafe_b64decode(token.split(".")[2] + "=="))
    raw[draw.draw(st.integers(0, len(raw) - 1))] ^= 1 << draw.draw(st.integers(0, 7))

    with pytest.raises(DecryptionError):
        decrypt("v1.k1." + base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), KEYS, purpose="p")


@given(st.data())
def test_a_token_has_one_spelling(draw):
    token = encrypt(b"xy", KEYS, purpose="p")
    at = draw.draw(st.integers(0, len(token) - 1))
    letter = draw.draw(st.characters(codec="ascii"))
    changed = token[:at] + letter + token[at + 1 :]

    if changed != token:
        with pytest.raises(DecryptionError):
            decrypt(changed, KEYS, purpose="p")


@given(st.integers(0, 200))
def test_a_cut_token_is_noticed(length):
    token = encrypt(b"x" * 100, KEYS, purpose="p")

    if length < len(token):
        with pytest.raises(DecryptionError):
            decrypt(token[:length], KEYS, purpose="p")


@pytest.mark.parametrize("suffix", ["=", "==", "\n", " ", "A", ".x", "\0"])
def test_a_longer_token_is_noticed(suffix):
    with pytest.raises(DecryptionError):
        decrypt(encrypt("x", KEYS, purpose="p") + suffix, KEYS, purpose="p")


@given(st.text() | st.binary() | st.none() | st.integers() | st.from_regex(r"v1\.k[12]\.[\w-]{0,80}"))
def test_any_token_gives_only_our_errors(token):
    for ask in (
        lambda: decrypt(token, RING, purpose="p"),
        lambda: needs_reencryption(token, RING),
        lambda: reencrypt(token, RING, purpose="p"),
    ):
        try:
            ask()
        except DecryptionError:
            pass


def test_a_huge_token_is_refused_before_it_is_decoded():
    with pytest.raises(DecryptionError, match="no encrypted data"):
        decrypt("v1.k1." + "A" * 100_000_000, KEYS, purpose="p")


def test_a_huge_text_is_refused():
    with pytest.raises(InvalidArgumentError, match="at most 67108864"):
        encrypt(bytes(67_108_865), KEYS, purpose="p")


@pytest.mark.parametrize("value", [None, 7, ["x"], object()], ids=lambda value: type(value).__name__)
def test_only_text_and_bytes_are_encrypted(value):
    for work in (encrypt, blind_index):
        with pytest.raises(InvalidArgumentError, match="only text and bytes"):
            work(value, KEYS, purpose="p")


@pytest.mark.parametrize("purpose", ["", " ", "a b", "é", "a" * 129, "a\n", None, 7], ids=repr)
def test_a_purpose_is_a_constant_word(purpose):
    with pytest.raises(ConfigurationError, match="purpose must be"):
        encrypt("x", KEYS, purpose=purpose)


@pytest.mark.parametrize("context", [None, 1.5, True, [1], ("a", None), (True,)], ids=repr)
def test_a_context_must_have_one_spelling(context):
    with pytest.raises(ConfigurationError, match="context must be"):
        encrypt("x", KEYS, purpose="p", context=context)


# --- rotation ------------------------------------------------------------------------------------


def test_a_ring_reads_old_data_and_writes_with_the_active_key():
    token = encrypt("x", KEYS, purpose="p")

    assert decrypt_text(token, RING, purpose="p") == "x"
    assert encrypt("x", RING, purpose="p").startswith("v1.k2.")


def test_reencrypt_moves_to_the_active_key_and_keeps_purpose_and_context():
    token = encrypt("x", KEYS, purpose="p", context="c")

    moved = reencrypt(token, RING, purpose="p", context="c")

    assert (needs_reencryption(token, RING), needs_reencryption(moved, RING)) == (True, False)
    assert decrypt_text(moved, EncryptionKeys({"k2": NEW}), purpose="p", context="c") == "x"


@pytest.mark.parametrize("spelling", [str, str.encode])
def test_reencrypt_leaves_what_uses_the_active_key(spelling):
    token = encrypt("x", RING, purpose="p")

    assert reencrypt(spelling(token), RING, purpose="p") == token


def test_reencrypt_notices_a_changed_token_also_of_the_active_key():
    with pytest.raises(DecryptionError):
        reencrypt(encrypt("x", RING, purpose="p"), RING, purpose="other")


def test_data_of_a_removed_key_does_not_open():
    with pytest.raises(DecryptionError, match="'k1' is not in the ring"):
        decrypt(encrypt("x", KEYS, purpose="p"), EncryptionKeys({"k2": NEW}), purpose="p")


# --- keys ------------------------------------------------------------------------------------------

RAW = base64.urlsafe_b64decode(OLD)


@pytest.mark.parametrize(
    "key",
    [RAW, RAW.hex(), RAW.hex().upper(), base64.b64encode(RAW).decode(), OLD, OLD.rstrip("="), f" {OLD}\n",
     OLD.encode(), SecretStr(OLD), SecretBytes(RAW)],
    ids=lambda key: type(key).__name__,
)  # fmt: skip
def test_a_key_comes_in_any_spelling(key):
    assert decrypt_text(encrypt("x", KEYS, purpose="p"), EncryptionKeys({"k1": key}), purpose="p") == "x"


@pytest.mark.parametrize(
    "key",
    ["", "x", b"", b"x" * 31, b"x" * 33, base64.b64encode(b"k" * 31).decode(), "é" * 32, "!" * 44, "zz" * 32, None, 7,
     bytes(32), b"k" * 32, b"ab" * 16, SecretStr("changeme")],
    ids=repr,
)  # fmt: skip
def test_a_key_that_is_not_32_random_bytes_is_refused_and_not_shown(key):
    with pytest.raises(ConfigurationError, match=r"new_encryption_key\(\)") as caught:
        EncryptionKeys({"k1": key})

    assert "changeme" not in str(caught.value)


@pytest.mark.parametrize("key_id", ["", "a.b", "a b", "é", "x" * 33, 7, None, "a\n"], ids=repr)
def test_a_key_id_must_fit_into_a_token(key_id):
    with pytest.raises(ConfigurationError, match="key id"):
        EncryptionKeys({key_id: OLD})


def test_an_empty_ring_is_refused():
    with pytest.raises(ConfigurationError, match="at least one"):
        EncryptionKeys({})


def test_one_key_under_two_ids_is_refused():
    with pytest.raises(ConfigurationError, match="under two ids"):
        EncryptionKeys({"k1": OLD, "k2": RAW})


def test_an_unknown_active_key_is_refused():
    with pytest.raises(ConfigurationError, match=r"'k9' is not in the ring \(known: k1\)"):
        EncryptionKeys({"k1": OLD}, active="k9")


def test_another_than_the_first_key_can_be_active():
    assert encrypt("x", EncryptionKeys({"k2": NEW, "k1": OLD}, active="k1"), purpose="p").startswith("v1.k1.")


def test_from_text_reads_a_ring():
    ring = EncryptionKeys.from_text(f" k2:{NEW} , k1:{OLD} ,")

    assert (ring.active, ring.ids) == ("k2", ("k2", "k1"))
    assert EncryptionKeys.from_text(f"k2:{NEW},k1:{OLD}", active="k1").active == "k1"


@pytest.mark.parametrize(
    "text",
    ["", ",", OLD, f"k1:{OLD},{NEW}", f"k1:{OLD},k1:{NEW}", "k1:", "k1:x", f":{OLD}"],
    ids=["nothing", "comma", "bare", "second bare", "same id twice", "no key", "no base64", "no id"],
)
def test_from_text_refuses_what_it_cannot_read_and_does_not_show_it(text):
    with pytest.raises(ConfigurationError, match="key") as caught:
        EncryptionKeys.from_text(text)

    assert OLD not in str(caught.value)


def test_repr_shows_no_key():
    assert repr(RING) == "EncryptionKeys(ids=('k2', 'k1'), active='k2')"


def test_a_ring_cannot_be_pickled():
    with pytest.raises(ConfigurationError, match="not pickled"):
        pickle.dumps(KEYS)


def test_new_keys_differ_and_are_usable():
    keys = {new_encryption_key() for _ in range(100)}

    assert len(keys) == 100
    assert all(EncryptionKeys({"k": key}) for key in keys)


def test_derived_keys_are_apart_by_use_and_purpose():
    found = {KEYS.derive("k1", use=use, purpose=purpose) for use in ("a", "b") for purpose in ("p", "q")}

    assert len(found) == 4
    assert RAW not in found


def test_memory_of_derived_keys_is_bounded():
    ring = EncryptionKeys({"k1": OLD})

    for n in range(1000):
        ring.derive("k1", use="encrypt", purpose=f"p{n}")

    assert len(ring._derived) <= 256


# --- blind index -------------------------------------------------------------------------------------


@given(st.text(max_size=20), st.text(max_size=20))
def test_blind_index_is_equal_exactly_for_equal_values(a, b):
    assert (blind_index(a, KEYS, purpose="p") == blind_index(b, KEYS, purpose="p")) is (a == b)


@given(st.text(max_size=20))
def test_blind_index_of_text_and_its_bytes_are_equal(text):
    data = text.encode("utf-8", "surrogatepass")

    assert blind_index(text, KEYS, purpose="p") == blind_index(data, KEYS, purpose="p")


def test_blind_index_differs_by_purpose_and_key():
    found = {
        blind_index("x", KEYS, purpose="p"),
        blind_index("x", KEYS, purpose="q"),
        blind_index("x", EncryptionKeys({"k1": NEW}), purpose="p"),
    }

    assert len(found) == 3


def test_blind_index_normalizes_text_first():
    ask = {"purpose": "p", "normalize": str.casefold}

    assert blind_index("STRASSE", KEYS, **ask) == blind_index("straße", KEYS, **ask)
    assert blind_index(b"A", KEYS, **ask) != blind_index(b"a", KEYS, **ask)


def test_blind_index_candidates_are_normalized_like_the_index():
    ask = {"purpose": "p", "normalize": str.casefold}

    assert blind_index_candidates("STRASSE", KEYS, **ask)[0] == blind_index("straße", KEYS, **ask)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_blind_index_has_the_size_asked_for(size):
    key_id, digest = blind_index("x", KEYS, purpose="p", size=size).split(".")

    assert (key_id, len(base64.urlsafe_b64decode(digest + "=="))) == ("k1", size)


@pytest.mark.parametrize("size", [0, 7, 33, -1])
def test_blind_index_refuses_a_size_out_of_range(size):
    with pytest.raises(InvalidArgumentError, match="8 to 32"):
        blind_index("x", KEYS, purpose="p", size=size)


def test_blind_index_candidates_find_rows_of_every_key():
    old, new = blind_index("x", KEYS, purpose="p"), blind_index("x", RING, purpose="p")

    assert blind_index_candidates("x", RING, purpose="p") == (new, old)
    assert blind_index_candidates("x", EncryptionKeys({"k2": NEW, "k1": OLD}, active="k1"), purpose="p") == (
        old,
        new,
    )


def test_blind_index_is_no_key_of_the_encryption():
    assert KEYS.derive("k1", use="index", purpose="p") != KEYS.derive("k1", use="encrypt", purpose="p")


@given(purposes.filter(lambda purpose: purpose != "p"), st.text())
def test_no_error_shows_plain_text_or_key(purpose, data):
    secret = secrets.token_hex(16)

    with pytest.raises(SharedError) as caught:
        decrypt(encrypt(secret + data, KEYS, purpose="p"), KEYS, purpose=purpose)

    shown = f"{caught.value!r} {caught.value.details} {caught.value.__cause__}"
    assert secret not in shown
    assert OLD not in shown
