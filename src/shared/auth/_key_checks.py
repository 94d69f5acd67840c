"""What a key must be before anything is signed or verified with it.

Sources: RFC 7518, sections 3.2 to 3.5; RFC 8725, sections 3.2 and 3.5; RFC 8037.
"""

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

from shared.auth._algorithms import Algorithm
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["check_hmac_secret", "check_public_key", "has_roca_shape"]

_RSA_BITS: Final = (2048, 8192)
_RSA_EXPONENT: Final = (65537, 1 << 32)
_MIN_DISTINCT: Final = 8  # different bytes of a secret; fewer is no random value
_MAX_SECRET: Final = 4096  # bytes
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_SSH: Final = re.compile(rb"(?:ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-|---- BEGIN)")
_BOM: Final = b"\xef\xbb\xbf"

# Moduli of a widespread faulty generator are powers of 65537 modulo each of these.
# Source: Nemec et al., "The Return of Coppersmith's Attack" (CVE-2017-15361).
_ROCA_PRIMES: Final = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip


def check_hmac_secret(secret: bytes, algorithm: Algorithm) -> None:
    """Refuse a secret that is short, not random, or a key of another kind.

    Raises:
        ConfigurationError: It must not be used; the message does not show it.
    """
    if not algorithm.size <= len(secret) <= _MAX_SECRET:
        msg = (
            f"the secret has {len(secret)} bytes, {algorithm.name} needs {algorithm.size} to {_MAX_SECRET}: "
            f"make one with: python -c 'import secrets; print(secrets.token_urlsafe(64))'"
        )
        raise ConfigurationError(msg)
    if len(set(secret)) < _MIN_DISTINCT:
        msg = f"the secret has only {len(set(secret))} different bytes: it is not random"
        raise ConfigurationError(msg)
    kind = _other_kind(secret)
    if kind is not None:
        # Whoever knows the public half of a pair could sign with it.
        msg = f"the secret of {algorithm.name} is {kind}: a public key is no secret"
        raise ConfigurationError(msg)


def _other_kind(secret: bytes) -> str | None:
    """Return what else *secret* is, in any of the forms in which keys are written."""
    text = secret.removeprefix(_BOM).strip()
    if b"-----BEGIN" in text:
        return "a PEM document"
    if _SSH.match(text):
        return "an SSH key"
    if text[:1] in (b"{", b"[") and re.search(rb'"(?:kty|keys)"', text):
        return "a JWK"
    body = b"".join(text.split())
    if _is_der(secret) or _is_der(_unbase64(body)) or _is_ssh_blob(_unbase64(body)):
        return "an encoded key"
    return None


def _unbase64(text: bytes) -> bytes:
    padded = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_ssh_blob(data: bytes) -> bool:
    return data[:3] == b"\x00\x00\x00" and bool(_SSH.match(data[4:]))


def _is_der(data: bytes) -> bool:
    """Tell whether *data* is a key or certificate in DER."""
    if data[:1] != b"\x30":  # a sequence; all of them are
        return False
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
    from cryptography.x509 import load_der_x509_certificate

    loads: tuple[Any, ...] = (
        load_der_public_key,
        lambda data: load_der_private_key(data, password=None),
        load_der_x509_certificate,
    )
    for load in loads:
        try:
            load(data)
        except Exception as exc:  # noqa: BLE001 - whatever a parser finds wrong, it is not that
            if "password" in str(exc).lower() and isinstance(exc, TypeError):
                return True  # an encrypted private key
            continue
        return True
    return False


def check_public_key(public: Any, algorithm: Algorithm) -> None:
    """Refuse a public key that does not belong to *algorithm* or is weak.

    Raises:
        ConfigurationError: It must not be used.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm.family in ("RSA", "RSA-PSS") and isinstance(public, rsa.RSAPublicKey):
        _check_rsa(public)
    elif algorithm.family == "EC" and isinstance(public, ec.EllipticCurvePublicKey):
        curve = _CURVES.get(public.curve.name, public.curve.name)
        if curve != algorithm.curve:
            msg = f"{algorithm.name} needs a key on {algorithm.curve}, this one is on {curve}"
            raise ConfigurationError(msg)
    elif not (algorithm.family == "OKP" and isinstance(public, ed25519.Ed25519PublicKey)):
        msg = f"{algorithm.name} cannot be used with a key of the type {type(public).__name__}"
        raise ConfigurationError(msg)


def _check_rsa(public: "RSAPublicKey") -> None:
    numbers, (shortest, longest) = public.public_numbers(), _RSA_BITS
    if not shortest <= public.key_size <= longest:
        msg = f"the RSA key has {public.key_size} bits, {shortest} to {longest} are accepted"
        raise ConfigurationError(msg)
    if not _RSA_EXPONENT[0] <= numbers.e < _RSA_EXPONENT[1] or numbers.e % 2 == 0:
        msg = "the public exponent of the RSA key must be odd, 65537 or above, below 2**32"
        raise ConfigurationError(msg)
    if has_roca_shape(numbers.n):
        raise ConfigurationError("the RSA key was made by a faulty generator (CVE-2017-15361)")


def has_roca_shape(modulus: int) -> bool:
    """Tell whether *modulus* is one of the faulty generator's; about 1 in 2**27 others looks like it."""
    return all(modulus % prime in _powers(prime) for prime in _ROCA_PRIMES)


def _powers(prime: int) -> set[int]:
    """Return all the powers of 65537 modulo *prime*."""
    found, power = set(), 1
    while power not in found:
        found.add(power)
        power = power * 65537 % prime
    return found
