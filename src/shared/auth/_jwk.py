"""JSON Web Keys, in and out. Source: RFC 7517; RFC 7518, section 6; RFC 7638; RFC 8037."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from shared.auth import _base64
from shared.auth._algorithms import ALGORITHMS, Algorithm
from shared.auth._json import dumps
from shared.errors import ConfigurationError

__all__ = ["jwk_algorithm", "jwk_of", "load_jwk", "thumbprint"]

_MAX_NUMBER: Final = 1400  # base64url characters of one number: 8192 bits
_EC_SIZES: Final = {"P-256": 32, "P-384": 48, "P-521": 66}
_REQUIRED: Final = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


def jwk_algorithm(jwk: Mapping[str, Any], wanted: str | None) -> str:
    """Return the one algorithm of *jwk*: its own, *wanted*, or that of its curve.

    Raises:
        ConfigurationError: They contradict each other, there is none, or the key is
            for something else than signatures.
    """
    own = jwk.get("alg")
    if own is not None and wanted is not None and own != wanted:
        msg = f"the JWK is for {str(own)[:40]!r} and cannot be used for {wanted!r}"
        raise ConfigurationError(msg)
    if jwk.get("use", "sig") != "sig":
        raise ConfigurationError("the JWK is not for signatures (member 'use')")
    operations = jwk.get("key_ops")
    if operations is not None and (
        not isinstance(operations, list) or not {"sign", "verify"}.intersection(map(str, operations))
    ):
        raise ConfigurationError("the JWK neither signs nor verifies (member 'key_ops')")
    curves = {each.curve: each.name for each in ALGORITHMS.values() if each.curve}
    found = own or wanted or curves.get(str(jwk.get("crv")))
    if found is None:
        raise ConfigurationError("the JWK does not say its algorithm (member 'alg'): give it")
    return str(found)


def load_jwk(jwk: Mapping[str, Any]) -> Any:
    """Return the key object of ``cryptography`` that *jwk* describes, private if it is; bytes for ``oct``.

    Raises:
        ConfigurationError: It is malformed or its numbers do not belong together.
    """
    kinds: dict[str, Any] = {"RSA": _load_rsa, "EC": _load_ec, "OKP": _load_okp, "oct": _load_oct}
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in kinds:
        msg = f"key type {str(kind)[:20]!r} is not known (known: {', '.join(kinds)})"
        raise ConfigurationError(msg)
    try:
        return kinds[kind](jwk)
    except ConfigurationError:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever the numbers are, the answer is ours
        # The library's message may show a number of a private key: the class says enough.
        msg = f"the JWK of type {kind!r} is not a usable key ({type(exc).__name__})"
        raise ConfigurationError(msg) from None


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    data = _base64.decode(value) if isinstance(value, str) and 0 < len(value) <= _MAX_NUMBER else None
    if data is None:
        msg = f"member {name!r} of the JWK must be base64url, at most {_MAX_NUMBER} characters"
        raise ConfigurationError(msg)
    return data


def _number(jwk: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_bytes(jwk, name), "big")


def _load_oct(jwk: Mapping[str, Any]) -> bytes:
    return _bytes(jwk, "k")


def _load_rsa(jwk: Mapping[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    public = rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n"))
    if "d" not in jwk:
        return public.public_key()
    if "oth" in jwk:
        raise ConfigurationError("RSA keys of more than two primes are not accepted")
    # All of the numbers, or none can be checked against the others.
    p, q, d = _number(jwk, "p"), _number(jwk, "q"), _number(jwk, "d")
    dp, dq, qi = _number(jwk, "dp"), _number(jwk, "dq"), _number(jwk, "qi")
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


def _load_ec(jwk: Mapping[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[str, Any] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    name = str(jwk.get("crv"))
    if name not in curves:
        msg = f"curve {name[:20]!r} is not accepted (known: {', '.join(curves)})"
        raise ConfigurationError(msg)
    for member in ("x", "y"):
        if len(_bytes(jwk, member)) != _EC_SIZES[name]:
            msg = f"member {member!r} of a key on {name} has {_EC_SIZES[name]} bytes"
            raise ConfigurationError(msg)
    public = ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), curves[name]())
    if "d" not in jwk:
        return public.public_key()
    return ec.EllipticCurvePrivateNumbers(_number(jwk, "d"), public).private_key()


def _load_okp(jwk: Mapping[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if jwk.get("crv") != "Ed25519":
        raise ConfigurationError("the only curve of OKP keys that is accepted is Ed25519")
    public = ed25519.Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x"))
    if "d" not in jwk:
        return public
    private = ed25519.Ed25519PrivateKey.from_private_bytes(_bytes(jwk, "d"))
    if private.public_key() != public:
        raise ConfigurationError("the two halves of the JWK do not belong together")
    return private


# --- out --------------------------------------------------------------------------------------


def jwk_of(public: Any, private: Any, algorithm: Algorithm) -> dict[str, Any]:
    """Return the members of the key's type; the private ones as well when *private* is given."""
    if algorithm.family == "EC":
        return _ec_members(public, private, algorithm)
    return _okp_members(public, private) if algorithm.family == "OKP" else _rsa_members(public, private)


def _text(number: int, size: int = 0) -> str:
    return _base64.encode(number.to_bytes(size or max(1, (number.bit_length() + 7) // 8), "big"))


def _rsa_members(public: Any, private: Any) -> dict[str, Any]:
    numbers = public.public_numbers()
    found = {"kty": "RSA", "n": _text(numbers.n), "e": _text(numbers.e)}
    if private is not None:
        secret = private.private_numbers()
        found |= {"d": _text(secret.d), "p": _text(secret.p), "q": _text(secret.q)}
        found |= {"dp": _text(secret.dmp1), "dq": _text(secret.dmq1), "qi": _text(secret.iqmp)}
    return found


def _ec_members(public: Any, private: Any, algorithm: Algorithm) -> dict[str, Any]:
    numbers, size = public.public_numbers(), algorithm.size
    found = {"kty": "EC", "crv": algorithm.curve, "x": _text(numbers.x, size), "y": _text(numbers.y, size)}
    if private is not None:
        found["d"] = _text(private.private_numbers().private_value, size)
    return found


def _okp_members(public: Any, private: Any) -> dict[str, Any]:
    found = {"kty": "OKP", "crv": "Ed25519", "x": _base64.encode(public.public_bytes_raw())}
    if private is not None:
        found["d"] = _base64.encode(private.private_bytes_raw())
    return found


def thumbprint(members: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a public key's *members*, in base64url. Source: RFC 7638."""
    required = {name: members[name] for name in _REQUIRED[members["kty"]]}
    return _base64.encode(hashlib.sha256(dumps(required)).digest())
