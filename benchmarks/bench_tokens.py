"""What it costs to verify an access token and to make one, beside the usual libraries."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check, looped

SECRET = "tq7Zk2bV-9xLr4WmHs0cYp6uEa1dNfGj3iKoXvRwBzQ8MtUy5hJlSeCgPnDiFb_A"
JOSE = "python-jose, key as text"
CHECKED = "every claim checked"
CACHED = "ours, seen before"


@cache
def _private(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    return (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ES256"
        else rsa.generate_private_key(65537, 2048)
    )


def _pem(algorithm: str, *, private: bool) -> str:
    """Return the key as a service writes it into its settings."""
    from cryptography.hazmat.primitives import serialization as ser

    if algorithm.startswith("HS"):
        return SECRET
    key = _private(algorithm)
    if private:
        return key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()).decode()
    return key.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()


def _ring(algorithm: str, backend: str) -> Any:
    from shared.auth import Key, KeyRing

    load: Any = Key.from_secret if algorithm.startswith("HS") else Key.from_pem
    return KeyRing([load(_pem(algorithm, private=True), algorithm, kid="k1")], backend=backend)


def _service(algorithm: str, backend: str, *, cached: bool) -> Any:
    from shared.auth import TokenOptions, TokenService

    return TokenService(_ring(algorithm, backend), options=TokenOptions(cache_size=4096 if cached else 0))


def _token(algorithm: str) -> str:
    tokens = _service(algorithm, "native", cached=False)
    return tokens.create_access_token(
        "u-4711", "ada@example.com", roles=["admin", "editor"], expires_in=80_000
    )


def _claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "shared", "sub": "u-4711", "aud": "shared", "iat": now, "exp": now + 1800, "jti": "a" * 22,
        "email": "ada@example.com", "roles": ["admin", "editor"],
    }  # fmt: skip


def _checked(operation: Callable[[], Any]) -> Run:
    check(operation()["sub"] == "u-4711", "the token says something else")
    return looped(operation)


# --- verify ----------------------------------------------------------------------------------


@contextlib.contextmanager
def ours(algorithm: str, *, backend: str = "jose", cached: bool = False) -> Iterator[Run]:
    tokens, token = _service(algorithm, backend, cached=cached), _token(algorithm)
    yield _checked(lambda: tokens.decode(token))


@contextlib.contextmanager
def python_jose(algorithm: str, *, parsed: bool = False) -> Iterator[Run]:
    from jose import jwk, jwt

    token, key = _token(algorithm), _pem(algorithm, private=False)
    if parsed:
        key = jwk.construct(key, algorithm)
    yield _checked(lambda: jwt.decode(token, key, algorithms=[algorithm], audience="shared", issuer="shared"))


def _public(algorithm: str) -> Any:
    return SECRET if algorithm.startswith("HS") else _private(algorithm).public_key()


@contextlib.contextmanager
def pyjwt(algorithm: str) -> Iterator[Run]:
    import jwt

    token, key = _token(algorithm), _public(algorithm)
    yield _checked(lambda: jwt.decode(token, key, algorithms=[algorithm], audience="shared", issuer="shared"))


@contextlib.contextmanager
def joserfc(algorithm: str) -> Iterator[Run]:
    from joserfc import jwt
    from joserfc.jwk import ECKey, OctKey, RSAKey

    token = _token(algorithm)
    kinds: dict[str, Any] = {"HS256": OctKey, "RS256": RSAKey, "ES256": ECKey}
    key = kinds[algorithm].import_key(_pem(algorithm, private=False))
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": "shared"},
        aud={"essential": True, "value": "shared"},
        exp={"essential": True},
    )

    def decode() -> dict[str, Any]:
        found = jwt.decode(token, key, algorithms=[algorithm])
        registry.validate(found.claims)
        return found.claims

    yield _checked(decode)


@contextlib.contextmanager
def authlib(algorithm: str) -> Iterator[Run]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from authlib.jose import JsonWebKey, JsonWebToken
    token, kinds = _token(algorithm), {"HS256": "oct", "RS256": "RSA", "ES256": "EC"}
    key = JsonWebKey.import_key(_pem(algorithm, private=False), {"kty": kinds[algorithm]})
    codec = JsonWebToken([algorithm])
    options = {name: {"essential": True, "value": "shared"} for name in ("iss", "aud")}

    def decode() -> Any:
        found = codec.decode(token, key, claims_options=options)
        found.validate()
        return found

    yield _checked(decode)


# --- make --------------------------------------------------------------------------------------


def _making(algorithm: str, make: Callable[[], str]) -> Run:
    from shared.auth import verify_compact

    check(verify_compact(make(), _ring(algorithm, "native")), "the token is not authentic")
    return looped(make)


@contextlib.contextmanager
def ours_made(algorithm: str) -> Iterator[Run]:
    tokens = _service(algorithm, "jose", cached=False)
    yield _making(
        algorithm, lambda: tokens.create_access_token("u-4711", "ada@example.com", roles=["admin", "editor"])
    )


@contextlib.contextmanager
def python_jose_made(algorithm: str) -> Iterator[Run]:
    from jose import jwt

    key, headers = _pem(algorithm, private=True), {"kid": "k1"}
    yield _making(algorithm, lambda: jwt.encode(_claims(), key, algorithm, headers=headers))


@contextlib.contextmanager
def pyjwt_made(algorithm: str) -> Iterator[Run]:
    import jwt

    key = SECRET if algorithm.startswith("HS") else _private(algorithm)
    yield _making(algorithm, lambda: jwt.encode(_claims(), key, algorithm, headers={"kid": "k1"}))


def _verifying(algorithm: str, goal: float) -> Table:
    mine = f"ours, {CHECKED}"
    return Table(
        name=f"token-{algorithm.lower()}",
        title=f"verify an access token, {algorithm}: signature, issuer, audience, times",
        base=JOSE,
        cases=(
            Case(JOSE, partial(python_jose, algorithm), requires=("jose",)),
            Case("python-jose, key object", partial(python_jose, algorithm, parsed=True), requires=("jose",)),
            Case("PyJWT, key object", partial(pyjwt, algorithm), requires=("jwt",)),
            Case("joserfc, key object", partial(joserfc, algorithm), requires=("joserfc",)),
            Case("Authlib, key object", partial(authlib, algorithm), requires=("authlib",)),
            Case(mine, partial(ours, algorithm), kind="ours", requires=("jose",)),
            Case(f"{mine}, native backend", partial(ours, algorithm, backend="native"), kind="ours"),
            Case(CACHED, partial(ours, algorithm, cached=True), kind="ours", requires=("jose",)),
        ),
        goals=(
            Goal(mine, JOSE, at_most=goal),
            Goal(CACHED, JOSE, at_most=0.05),
        ),
        notes=(
            "Ours also looks for revocations, in memory, and checks type, life, ids and spelling.",
            "'Seen before': no signature is computed again for a minute; the rest is looked at.",
        ),
        rounds=(30, 6),
    )


def _made(algorithm: str) -> Table:
    return Table(
        name=f"token-{algorithm.lower()}-made",
        title=f"make an access token, {algorithm}",
        base=JOSE,
        cases=(
            Case(JOSE, partial(python_jose_made, algorithm), requires=("jose",)),
            Case("PyJWT, key object", partial(pyjwt_made, algorithm), requires=("jwt",)),
            Case("ours", partial(ours_made, algorithm), kind="ours", requires=("jose",)),
        ),
        rounds=(30, 6),
    )


TABLES = (
    _verifying("HS256", 0.70),
    _verifying("RS256", 0.70),
    _verifying("ES256", 0.80),
    _made("HS256"),
    _made("ES256"),
)
