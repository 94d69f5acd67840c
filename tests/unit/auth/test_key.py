"""Keys: checked when they are loaded, one algorithm each, no secret shown."""

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.auth import Key, KeyStatus
from shared.auth._key_checks import has_roca_shape
from shared.errors import ConfigurationError
from tests.unit.auth.forge import ALGORITHMS, SECRET, key

ASYMMETRIC = [name for name in ALGORITHMS if not name.startswith("HS")]


def private_pem(found, password=None):
    from cryptography.hazmat.primitives import serialization as ser

    encryption = ser.BestAvailableEncryption(password) if password else ser.NoEncryption()
    return found.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, encryption)


def public_pem(found):
    from cryptography.hazmat.primitives import serialization as ser

    return found.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)


def rsa(bits=2048, exponent=65537):
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(exponent, bits)


# --- secrets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_at_least_as_long_as_the_hash(algorithm, size):
    assert Key.from_secret(SECRET[:size], algorithm)
    with pytest.raises(ConfigurationError, match=f"{size - 1} bytes, {algorithm} needs {size}"):
        Key.from_secret(SECRET[: size - 1], algorithm)


def test_a_secret_has_at_most_4096_bytes():
    assert Key.from_secret((SECRET * 64)[:4096])
    with pytest.raises(ConfigurationError, match="4097 bytes"):
        Key.from_secret((SECRET * 65)[:4097])


@pytest.mark.parametrize("secret", ["", b"", "a", "a" * 64, "ab" * 32, "abcdefg" * 10])
def test_a_secret_that_is_empty_short_or_monotonous_is_refused(secret):
    with pytest.raises(ConfigurationError):
        Key.from_secret(secret)


def test_eight_different_bytes_are_enough():
    assert Key.from_secret("abcdefgh" * 4)


def test_text_bytes_and_secret_types_are_the_same_key():
    kinds = [SECRET, SECRET.encode(), bytearray(SECRET.encode()), SecretStr(SECRET)]

    assert len({Key.from_secret(kind).kid for kind in kinds}) == 1


@pytest.mark.parametrize("secret", [None, 1, ["a"], {"a": 1}], ids=range(4))
def test_what_is_no_secret_is_refused(secret):
    with pytest.raises(ConfigurationError, match="a key is text"):
        Key.from_secret(secret)


def test_random_secrets_are_not_taken_for_keys():
    import base64
    import secrets

    for _ in range(200):
        data = b"\x30" + secrets.token_bytes(47)
        assert Key.from_secret(data)
        assert Key.from_secret(base64.b64encode(data))


def test_an_encrypted_private_key_is_no_secret():
    from cryptography.hazmat.primitives import serialization as ser

    der = rsa().private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.BestAvailableEncryption(b"pw"))

    with pytest.raises(ConfigurationError, match="encoded key"):
        Key.from_secret(der)


def test_the_id_of_a_secret_is_the_same_every_time_and_no_hash_of_it():
    import base64
    import hashlib

    found = Key.from_secret(SECRET).kid

    assert found == Key.from_secret(SECRET).kid
    digest = hashlib.sha256(SECRET.encode()).digest()
    assert found not in {base64.urlsafe_b64encode(digest).decode().rstrip("="), digest.hex()}
    assert found != Key.from_secret(SECRET + "x").kid


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_other_algorithms_take_no_secret(algorithm):
    with pytest.raises(ConfigurationError, match="takes no secret"):
        Key.from_secret(SECRET, algorithm)


# --- algorithms --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["none", "None", "ES256K", "RSA1_5", "HS1", "hs256", "A128KW", "dir", "", None, 5]
)
def test_an_algorithm_that_is_not_accepted_has_no_key(name):
    with pytest.raises(ConfigurationError, match="not accepted"):
        Key.generate(name)
    with pytest.raises(ConfigurationError):
        Key.from_secret(SECRET, name)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_generated_for_each_algorithm(algorithm):
    found = key(algorithm)

    assert found.algorithm == algorithm
    assert found.can_sign
    assert found.can_verify
    assert found.is_symmetric == algorithm.startswith("HS")


def test_generated_keys_differ():
    assert Key.generate("HS256").kid != Key.generate("HS256").kid
    assert Key.generate("EdDSA").kid != Key.generate("EdDSA").kid


@pytest.mark.parametrize("bits", [1024, 2047, 8193])
def test_an_rsa_key_of_another_size_is_not_generated(bits):
    with pytest.raises(ConfigurationError, match="2048 to 8192"):
        Key.generate("RS256", bits=bits)


# --- RSA ------------------------------------------------------------------------------------------


def test_a_short_rsa_key_is_refused():
    weak = rsa(1024)

    for load in (
        lambda: Key.from_pem(private_pem(weak), "RS256"),
        lambda: Key.from_pem(public_pem(weak.public_key()), "PS256"),
    ):
        with pytest.raises(ConfigurationError, match="1024 bits, 2048 to 8192"):
            load()


def test_a_small_exponent_is_refused():
    with pytest.raises(ConfigurationError, match="exponent"):
        Key.from_pem(private_pem(rsa(2048, 3)), "RS256")


@pytest.mark.parametrize("exponent", [65536, 65539 - 2 - 2, 2**32 + 1, 3])
def test_an_exponent_out_of_range_is_refused(exponent):
    jwk = key("RS256").to_jwk()
    jwk["e"] = _text(exponent)

    with pytest.raises(ConfigurationError):
        Key.from_jwk(jwk)


def test_an_even_exponent_is_refused():
    jwk = key("RS256").to_jwk() | {"e": _text(65538)}

    with pytest.raises(ConfigurationError):
        Key.from_jwk(jwk)


def _text(number):
    from shared.auth import _base64

    return _base64.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _faulty_modulus():
    import math

    primes = [n for n in range(3, 168) if all(n % d for d in range(2, int(math.sqrt(n)) + 1))]
    return pow(65537, 5, math.prod(primes))


def test_a_modulus_of_the_faulty_generator_is_known_by_its_shape():
    import math

    product = math.prod(n for n in range(3, 168) if all(n % d for d in range(2, int(math.sqrt(n)) + 1)))
    faulty = _faulty_modulus()

    assert has_roca_shape(faulty)
    assert has_roca_shape(faulty + 7 * product)
    assert not has_roca_shape(faulty + 1)
    assert not has_roca_shape(key("RS256").material(private=False).public_numbers().n)


def test_a_key_of_the_faulty_generator_is_refused():
    import math

    product = math.prod(n for n in range(3, 168) if all(n % d for d in range(2, int(math.sqrt(n)) + 1)))
    modulus = _faulty_modulus() + product * (2**2048 // product - 1)
    modulus += 0 if modulus % 2 else product
    jwk = {"kty": "RSA", "n": _text(modulus), "e": "AQAB"}

    with pytest.raises(ConfigurationError, match="CVE-2017-15361"):
        Key.from_jwk(jwk, "RS256")


# --- curves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_a_curve_belongs_to_one_algorithm(algorithm, curve):
    of_curve = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[curve]
    pem = private_pem(key(of_curve).material(private=True))

    if of_curve == algorithm:
        assert Key.from_pem(pem, algorithm).algorithm == algorithm
    else:
        with pytest.raises(ConfigurationError, match=f"this one is on {curve}"):
            Key.from_pem(pem, algorithm)


def test_other_curves_are_refused():
    from cryptography.hazmat.primitives.asymmetric import ec, ed448

    for found in (ec.generate_private_key(ec.SECP256K1()), ed448.Ed448PrivateKey.generate()):
        for algorithm in ("ES256", "EdDSA"):
            with pytest.raises(ConfigurationError):
                Key.from_pem(private_pem(found), algorithm)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("other", ["RS256", "PS512", "ES256", "EdDSA"])
def test_a_key_of_another_type_is_refused(algorithm, other):
    if (
        algorithm[0] + other[0] in ("RP", "RR", "EE")
        and algorithm[:2] == other[:2]
        or algorithm[0] + other[0] == "RP"
    ):
        return
    with pytest.raises(ConfigurationError):
        Key.from_pem(private_pem(key(algorithm).material(private=True)), other)


# --- PEM ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "ES512", "EdDSA"])
def test_a_pem_document_is_loaded_private_or_public(algorithm):
    private = private_pem(key(algorithm).material(private=True))
    public = public_pem(key(algorithm).material(private=False))

    signing, verifying = Key.from_pem(private, algorithm), Key.from_pem(public.decode(), algorithm)

    assert signing.can_sign
    assert signing.status is KeyStatus.ACTIVE
    assert not verifying.can_sign
    assert verifying.status is KeyStatus.VERIFY_ONLY
    assert signing.kid == verifying.kid == signing.thumbprint


def test_white_space_around_a_pem_document_does_not_matter():
    assert Key.from_pem(b"\n  " + private_pem(key("EdDSA").material(private=True)) + b" \n", "EdDSA")


@pytest.mark.parametrize(
    "pem",
    ["", "junk", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
     "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "x" * 40_000, "-----BEGIN PUBLIC KEY-----" + "A" * 40_000,
     b"\xff\xfe", SECRET],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_pem_document_is_refused_without_showing_it(pem):
    with pytest.raises(ConfigurationError) as caught:
        Key.from_pem(pem, "RS256")

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_encrypted_pem_document_is_refused():
    with pytest.raises(ConfigurationError, match="no key that can be read"):
        Key.from_pem(private_pem(rsa(), b"password"), "RS256")


def test_hmac_takes_no_pem_document():
    with pytest.raises(ConfigurationError, match="use from_secret"):
        Key.from_pem(private_pem(key("RS256").material(private=True)), "HS256")


# --- JWK -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_private_jwk_comes_back_whole(algorithm):
    found = key(algorithm)

    again = Key.from_jwk(found.to_jwk(private=True))

    assert again == found
    assert again.can_sign


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_jwk_has_nothing_private(algorithm):
    found = key(algorithm)
    jwk = found.to_jwk()

    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & jwk.keys()
    assert jwk["use"] == "sig"
    assert Key.from_jwk(jwk).kid == found.kid
    assert not Key.from_jwk(jwk).can_sign


def test_a_secret_is_never_public():
    with pytest.raises(ConfigurationError, match="no public half"):
        key("HS256").to_jwk()
    with pytest.raises(ConfigurationError, match="no public half"):
        key("HS256").public()
    with pytest.raises(ConfigurationError, match="no public thumbprint"):
        _ = key("HS256").thumbprint


def test_a_public_key_has_no_private_jwk():
    with pytest.raises(ConfigurationError, match="no private half here"):
        key("ES256").public().to_jwk(private=True)


def test_the_thumbprint_is_that_of_the_standard():
    # Source: RFC 7638, section 3.1.
    jwk = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV"
        "4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd"
        "AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-k"
        "EgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }

    assert Key.from_jwk(jwk).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_signature_of_the_standard_is_verified():
    # Source: RFC 7515, appendix A.1.
    import json

    from shared.auth import KeyRing, verify_compact

    secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    token = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )

    payload = verify_compact(token, KeyRing([Key.from_jwk({"kty": "oct", "k": secret, "alg": "HS256"})]))

    assert json.loads(payload)["iss"] == "joe"


@pytest.mark.parametrize(
    "change",
    [{"alg": "none"}, {"alg": "HS256"}, {"alg": "ES384"}, {"use": "enc"}, {"key_ops": ["encrypt"]}, {"key_ops": "sign"},
     {"key_ops": []}, {"kty": "oct"}, {"kty": "RSA"}, {"kty": None}, {"kty": ["EC"]}, {"crv": "P-384"}, {"crv": "secp256k1"},
     {"x": "AAAA"}, {"x": 1}, {"x": None}, {"x": "!!"}, {"y": "A" * 43}, {"kid": 5}, {"kid": ""}, {"kid": "x" * 129},
     {"kid": "a b"}, {"d": "AAAA"}, {"x": "A" * 2000}],
    ids=range(24),
)  # fmt: skip
def test_a_jwk_that_contradicts_itself_is_refused(change):
    jwk = key("ES256").to_jwk() | change

    with pytest.raises(ConfigurationError):
        Key.from_jwk(jwk)


def test_the_halves_of_a_private_jwk_must_belong_together():
    for algorithm in ("ES256", "EdDSA"):
        mixed = key(algorithm).to_jwk(private=True) | {"d": Key.generate(algorithm).to_jwk(private=True)["d"]}
        with pytest.raises(ConfigurationError):
            Key.from_jwk(mixed)
    mixed = key("RS256").to_jwk(private=True) | {"d": _text(65537)}
    with pytest.raises(ConfigurationError):
        Key.from_jwk(mixed)


def test_a_jwk_of_many_primes_is_refused():
    jwk = key("RS256").to_jwk(private=True) | {"oth": []}

    with pytest.raises(ConfigurationError, match="two primes"):
        Key.from_jwk(jwk)


def test_the_algorithm_of_a_jwk_may_be_given_when_it_has_none():
    jwk = key("RS256").to_jwk()
    del jwk["alg"]

    assert Key.from_jwk(jwk, "PS256").algorithm == "PS256"
    with pytest.raises(ConfigurationError, match="does not say its algorithm"):
        Key.from_jwk(jwk)
    with pytest.raises(ConfigurationError, match="cannot be used for"):
        Key.from_jwk(jwk | {"alg": "RS256"}, "PS256")


def test_a_curve_says_the_algorithm_of_a_jwk():
    jwk = key("EdDSA").to_jwk()
    del jwk["alg"]

    assert Key.from_jwk(jwk).algorithm == "EdDSA"


@pytest.mark.parametrize("operations", [["verify"], ["sign"], ["sign", "verify", "other"]])
def test_a_jwk_that_signs_or_verifies_is_taken(operations):
    assert Key.from_jwk(key("ES256").to_jwk() | {"key_ops": operations})


@pytest.mark.parametrize("value", [None, 1, "x", [], b"x"], ids=range(5))
def test_what_is_no_mapping_is_no_jwk(value):
    with pytest.raises(ConfigurationError, match="a JWK is a mapping"):
        Key.from_jwk(value)


_json = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=80)
    | st.lists(st.text(max_size=5), max_size=3)
)
_members = st.sampled_from(
    ["kty", "alg", "kid", "use", "key_ops", "crv", "x", "y", "d", "n", "e", "k", "p", "oth"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["RS256", "ES256", "EdDSA", "HS256"]),
    st.dictionaries(_members, _json, max_size=4),
    st.booleans(),
)
def test_only_our_error_comes_out_of_any_jwk(algorithm, change, bare):
    jwk = change if bare else {**key(algorithm).to_jwk(private=True), **change}

    message = ""
    try:
        Key.from_jwk(jwk)
    except ConfigurationError as exc:
        message = str(exc)
    assert key(algorithm).to_jwk(private=True).get("d", SECRET) not in message


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300), st.sampled_from(ALGORITHMS))
def test_only_our_error_comes_out_of_any_text(data, algorithm):
    for load in (Key.from_pem, Key.from_secret):
        try:
            load(data, algorithm)
        except ConfigurationError:
            pass


# --- the object ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_key_shows_no_secret_and_does_not_leave_the_process(algorithm):
    found = key(algorithm)

    assert repr(found) == f"Key('k1', '{algorithm}', status='active')"
    assert repr(found) == str(found)
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(ConfigurationError, match="not pickled"):
            leave(found)


def test_a_key_is_retired_without_being_changed():
    found = key("ES256")

    retired = found.with_status("retired")

    assert not retired.can_verify
    assert found.can_verify
    assert (retired.kid, retired.algorithm, retired.can_sign) == (found.kid, found.algorithm, True)


def test_an_unknown_status_is_refused():
    with pytest.raises(ConfigurationError, match="status 'old' is not known"):
        key().with_status("old")


def test_a_public_key_cannot_become_active():
    assert key("ES256").public().with_status("active").status is KeyStatus.VERIFY_ONLY
    assert key("ES256").public().with_status("next").status is KeyStatus.VERIFY_ONLY


def test_keys_are_equal_when_everything_is():
    found = key("ES256")

    assert found == Key.from_jwk(found.to_jwk(private=True))
    assert hash(found) == hash(Key.from_jwk(found.to_jwk(private=True)))
    for other in (
        found.public(), found.with_status("next"), Key.generate("ES256", kid="k1"), key("ES256", "k2"),
        key("HS256"), "k1",
    ):  # fmt: skip
        assert found != other
    assert key("HS256") == Key.from_jwk(key("HS256").to_jwk(private=True))
    assert key("HS256") != Key.generate("HS256", kid="k1")


def test_the_id_of_a_secret_is_the_same_for_ever():
    # Tokens that are out name it: another derivation would refuse them all.
    assert (
        Key.from_secret("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH", "HS256").kid
        == "hekCEeGnSiCwFD6WnYQD0w"
    )


def test_an_id_that_is_given_with_a_pem_is_the_key_s():
    pem = private_pem(ed25519())

    assert Key.from_pem(pem, "EdDSA", kid="2026").kid == "2026"


def ed25519():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()
