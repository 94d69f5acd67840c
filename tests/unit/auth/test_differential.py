"""What is accepted here is accepted by other libraries, too; and what they make, here."""

import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import KeyRing, sign_compact, verify_compact
from shared.errors import InvalidTokenError
from tests.unit.auth.forge import ALGORITHMS, NOW, b64, claims, key, raw, ring, service, signed

# The libraries warn of each other and of names that are going out of use.
pytestmark = pytest.mark.filterwarnings("ignore")
JOSE = [name for name in ALGORITHMS if name[:2] not in ("PS", "Ed")]
FAR = NOW + 10**9  # the libraries read the real clock


def material(algorithm):
    return key(algorithm).material(private=False)


def pyjwt(token, algorithm):
    import jwt

    return jwt.decode(
        token, material(algorithm), algorithms=[algorithm], audience="shared", issuer="shared",
        options={"verify_iat": False, "verify_exp": False},
    )  # fmt: skip


def joserfc_(token, algorithm):
    from joserfc import jws
    from joserfc.jwk import import_key

    jwk = key(algorithm).to_jwk(private=True)
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return json.loads(jws.deserialize_compact(token, import_key(jwk), registry=registry).payload)


def authlib_(token, algorithm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from authlib.jose import JsonWebKey, JsonWebSignature

        found = JsonWebKey.import_key(key(algorithm).to_jwk(private=True))
        return json.loads(JsonWebSignature([algorithm]).deserialize_compact(token, found)["payload"])


def python_jose(token, algorithm):
    from jose import jwt

    secret = material(algorithm) if algorithm.startswith("HS") else pem(algorithm)
    return jwt.decode(
        token,
        secret,
        algorithms=[algorithm],
        audience="shared",
        issuer="shared",
        options={"verify_exp": False},
    )


def pem(algorithm):
    from cryptography.hazmat.primitives import serialization as ser

    return material(algorithm).public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()


LIBRARIES = {"pyjwt": pyjwt, "joserfc": joserfc_, "authlib": authlib_}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_library_accepts_what_is_made_here(algorithm, library):
    if (library, algorithm) == ("authlib", "EdDSA"):
        token = sign_compact(json.dumps(claims()).encode(), ring(algorithm), typ="at+jwt")
    else:
        token = service(algorithm).create_access_token(
            "u-1", "ada@example.com", roles=["admin"], name="Grüße"
        )

    assert LIBRARIES[library](token, algorithm)["sub"] == "u-1"


@pytest.mark.parametrize("algorithm", JOSE)
def test_python_jose_accepts_what_is_made_here(algorithm):
    token = service(algorithm).create_access_token("u-1", "ada@example.com")

    assert python_jose(token, algorithm)["sub"] == "u-1"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_pyjwt_makes_is_accepted_here(algorithm):
    import jwt

    token = jwt.encode(
        claims(),
        key(algorithm).material(private=True),
        algorithm=algorithm,
        headers={"kid": "k1", "typ": "at+jwt"},
    )

    for backend in ("jose", "native"):
        assert service(algorithm, backend=backend).decode(token).user_id == "u-1"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_joserfc_makes_is_accepted_here(algorithm):
    from joserfc import jws
    from joserfc.jwk import import_key

    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    head = {"alg": algorithm, "kid": "k1", "typ": "at+jwt"}
    found = import_key(key(algorithm).to_jwk(private=True))
    token = jws.serialize_compact(head, json.dumps(claims()), found, registry=registry)

    assert service(algorithm).decode(token).user_id == "u-1"


RING = KeyRing([key()])
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_heads = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["HS256", "HS512", "none", ["HS256"], None]),
        "kid": st.sampled_from(["k1", "k2", 1, None]),
        "typ": st.sampled_from(["at+jwt", "JWT", "at+JWT", 1]),
        "crit": _json,
        "x": _json,
        "b64": st.booleans(),
    },
)


@settings(max_examples=250, deadline=None)
@given(_heads, st.dictionaries(st.text(max_size=5), _json, max_size=4), st.integers(0, 3))
def test_whatever_is_accepted_here_the_others_accept(head, body, damage):
    token = raw(head, body)
    token = (token, token + "=", token[:-1], token.replace(".", ".=", 1))[damage]
    try:
        payload = json.loads(verify_compact(token, RING))
    except InvalidTokenError:
        return

    import jwt

    theirs = jwt.api_jws.PyJWS().decode(token, material("HS256"), algorithms=["HS256"])
    assert payload == json.loads(theirs) == joserfc_(token, "HS256") == authlib_(token, "HS256")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_payload_is_accepted_here_the_others_read_the_same(payload):
    text = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'k1'}))}.{b64(payload)}"
    token = signed(text)

    import jwt

    ours = verify_compact(token, RING)
    assert ours == payload == jwt.api_jws.PyJWS().decode(token, material("HS256"), algorithms=["HS256"])
