"""The decision on one webhook: pure, no clock, no store."""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from shared.errors import ConfigurationError, WebhookSignatureError
from shared.security._secret_input import Secrets, secret_list
from shared.security._webhook_headers import required
from shared.security._webhook_schemes import WebhookScheme

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

__all__ = ["Signed", "check_time", "keys_of", "matching_key", "read_signed", "sign"]

_MAX_SIGNATURES: Final = 16
_MIN_SECRET: Final = 8  # bytes; suppliers let users choose short ones, but not this short
_STANDARD: Final = frozenset({"standard", "svix"})
_STANDARD_BYTES: Final = range(24, 65)  # Standard Webhooks, "Signature scheme"
_DIGITS: Final = re.compile(r"[0-9]{1,12}\Z").match  # Unix seconds; no sign, no fraction, no 5000 digits
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z").match
_SIGNED_ID: Final = re.compile(r"[A-Za-z0-9_:\-]{1,256}\Z").match  # no ".": it separates the parts

Signed = tuple[str, str, list[bytes], list[bytes]]
"""Timestamp text, delivery id, HMAC signatures and public-key signatures of a delivery."""


# --- secrets -----------------------------------------------------------------------


def keys_of(scheme: WebhookScheme, secrets: Secrets) -> tuple[bytes, ...]:
    """Return the keys to try, in the order given.

    Raises:
        ConfigurationError: A secret is missing, too short, or not spelled as the
            supplier spells it.
    """
    what = f"secret of webhook provider {scheme.name!r}"
    keys = secret_list(secrets, what=what, minimum=_MIN_SECRET)
    if scheme.algorithm == "ecdsa-p256":
        for key in keys:
            curve_key(key, what)
        return keys
    return tuple(_standard_key(key, what) for key in keys) if scheme.name in _STANDARD else keys


def curve_key(key: bytes, what: str) -> "EllipticCurvePublicKey | EllipticCurvePrivateKey":
    """Return the key of the curve P-256 in *key*: PEM, or base64 of the DER of a public one.

    Raises:
        ConfigurationError: It is none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import (
        SECP256R1,
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (
        load_der_public_key,
        load_pem_private_key,
        load_pem_public_key,
    )

    found: object = None
    try:
        if b"PRIVATE KEY" in key:
            found = load_pem_private_key(key, None)
        elif key.lstrip().startswith(b"-----BEGIN"):
            found = load_pem_public_key(key)
        else:
            found = load_der_public_key(base64.b64decode(key.strip(), validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the cause may show a piece of the key
        found = None
    if isinstance(found, EllipticCurvePublicKey | EllipticCurvePrivateKey) and isinstance(
        found.curve, SECP256R1
    ):
        return found
    msg = f"{what} must be a public key of the curve P-256, as PEM or as base64 of its DER"
    raise ConfigurationError(msg)


def _standard_key(secret: bytes, what: str) -> bytes:
    """Return the key inside ``whsec_<base64>``; a public key keeps its ``whpk_`` in front."""
    public = secret.startswith(b"whpk_")
    text = secret.removeprefix(b"whpk_").removeprefix(b"whsec_")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        msg = f"{what} must be base64, with or without 'whsec_' before it"
        raise ConfigurationError(msg) from None  # the cause may show a piece of the secret
    if len(key) not in ((32,) if public else _STANDARD_BYTES):
        msg = f"{what} must hold 24 to 64 bytes (a public key: 32), got {len(key)}"
        raise ConfigurationError(msg)
    return b"whpk_" + key if public else key


# --- headers -----------------------------------------------------------------------


def read_signed(scheme: WebhookScheme, headers: Mapping[str, str]) -> Signed:
    """Read time, id and signatures out of the *headers*.

    Raises:
        WebhookSignatureError: Something is missing, malformed, doubled or too much.
    """
    text = required(headers, scheme.signature_header)
    if scheme.name == "stripe":
        timestamp, signatures = _stripe(text)
        return timestamp, "", signatures, []
    timestamp = required(headers, scheme.timestamp_header or "") if scheme.signs_time else ""
    delivery_id = headers.get((scheme.id_header or "").lower(), "")
    if scheme.signs_id:
        delivery_id = required(headers, scheme.id_header or "")
        if not _SIGNED_ID(delivery_id):
            msg = f"header {scheme.id_header!r} is not an id: 1 to 256 of A-Z a-z 0-9 _ : -"
            raise WebhookSignatureError(msg)
    if scheme.name in _STANDARD:
        symmetric, public = _standard(text)
        return timestamp, delivery_id, symmetric, public
    if not text.startswith(scheme.prefix):
        msg = f"header {scheme.signature_header!r} does not begin with {scheme.prefix!r}"
        raise WebhookSignatureError(msg)
    return timestamp, delivery_id, [_decoded(text.removeprefix(scheme.prefix), scheme)], []


def _stripe(text: str) -> tuple[str, list[bytes]]:
    times: list[str] = []
    signatures: list[bytes] = []
    for name, value in _parts(text, ",", "="):
        if name == "t":
            times.append(value)
        elif name == "v1":
            signatures.append(_unhex(value))
    if len(times) != 1:
        msg = f"'Stripe-Signature' must hold one 't=', got {len(times)}"
        raise WebhookSignatureError(msg)
    return times[0], _not_none(signatures, "v1=")


def _standard(text: str) -> tuple[list[bytes], list[bytes]]:
    found: dict[str, list[bytes]] = {"v1": [], "v1a": []}
    for name, value in _parts(text, " ", ","):
        if name in found:
            found[name].append(_unbase64(value))
    _not_none([*found["v1"], *found["v1a"]], "v1,")
    return found["v1"], found["v1a"]


def _parts(text: str, between: str, within: str) -> Iterator[tuple[str, str]]:
    parts = text.split(between, _MAX_SIGNATURES + 1)
    if len(parts) > _MAX_SIGNATURES:
        msg = f"the signature header has more than {_MAX_SIGNATURES} parts"
        raise WebhookSignatureError(msg)
    for part in parts:
        name, _, value = part.strip().partition(within)
        yield name, value


def _not_none(signatures: list[bytes], spelling: str) -> list[bytes]:
    if not signatures:
        msg = f"the signature header holds no {spelling!r}"
        raise WebhookSignatureError(msg)
    return signatures


def _decoded(text: str, scheme: WebhookScheme) -> bytes:
    return _unhex(text) if scheme.encoding == "hex" else _unbase64(text)


def _unhex(text: str) -> bytes:
    if not _HEX(text):  # bytes.fromhex would skip spaces
        msg = "the signature is not hexadecimal"
        raise WebhookSignatureError(msg)
    return bytes.fromhex(text)


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        msg = "the signature is not base64"
        raise WebhookSignatureError(msg) from None


# --- judgement -----------------------------------------------------------------------


def check_time(timestamp: str, *, now: float, tolerance: float) -> float:
    """Return the time of the delivery in Unix seconds.

    Raises:
        WebhookSignatureError: It is no time, or too far from *now*, before or after.
    """
    if not _DIGITS(timestamp):
        msg = "the timestamp is not a whole number of Unix seconds"
        raise WebhookSignatureError(msg)
    sent = float(timestamp)
    away = now - sent
    if abs(away) > tolerance:
        where = f"{away:.0f} s old" if away > 0 else f"{-away:.0f} s in the future"
        msg = f"timestamp is {where}, at most {tolerance:g} s are accepted"
        raise WebhookSignatureError(msg)
    return sent


def sign(scheme: WebhookScheme, key: bytes, content: bytes) -> bytes:
    """Return the signature of *content*.

    Raises:
        ConfigurationError: The scheme signs with a private key, and *key* is a public one.
    """
    if scheme.algorithm == "ecdsa-p256":
        return _sign_on_curve(curve_key(key, f"key of webhook provider {scheme.name!r}"), content)
    return hmac.digest(key, content, scheme.algorithm)


def matching_key(scheme: WebhookScheme, keys: tuple[bytes, ...], content: bytes, signed: Signed) -> int:
    """Return which of *keys* made one of the signatures, counted from 0.

    Raises:
        WebhookSignatureError: None did.
    """
    for index, key in enumerate(keys):
        if scheme.algorithm == "ecdsa-p256":
            if any(_verifies_on_curve(key, signature, content) for signature in signed[2]):
                return index
            continue
        if key.startswith(b"whpk_") and scheme.name in _STANDARD:
            if any(_verifies(key.removeprefix(b"whpk_"), signature, content) for signature in signed[3]):
                return index
            continue
        expected = sign(scheme, key, content)
        # Bytes against bytes: compare_digest raises on text beyond ASCII. Each is
        # compared, so that the time does not tell which one was right.
        if sum(hmac.compare_digest(expected, signature) for signature in signed[2]):
            return index
    msg = f"no signature fits any of the {len(keys)} secrets of webhook provider {scheme.name!r}"
    raise WebhookSignatureError(msg)


def _verifies(public: bytes, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _sign_on_curve(key: "EllipticCurvePublicKey | EllipticCurvePrivateKey", content: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    if not isinstance(key, EllipticCurvePrivateKey):
        raise ConfigurationError("to sign needs the private key of the curve P-256, as PEM")
    return key.sign(content, ECDSA(SHA256()))


def _verifies_on_curve(key: bytes, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

    found = curve_key(key, "key")
    public = found.public_key() if isinstance(found, EllipticCurvePrivateKey) else found
    try:
        public.verify(signature, content, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
