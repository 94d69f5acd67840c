"""Encryption of data at rest: what was changed, moved or mixed up does not open."""

import base64
import hmac
import re
import secrets
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

from shared.errors import ConfigurationError, DecryptionError, InvalidArgumentError
from shared.security._encryption_keys import EncryptionKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = [
    "blind_index",
    "blind_index_candidates",
    "decrypt",
    "decrypt_text",
    "encrypt",
    "needs_reencryption",
    "reencrypt",
]

Context = str | bytes | int | tuple[str | bytes | int, ...]

# v1.<key id>.<base64url of: 24 random bytes, ciphertext, 16 bytes of tag>
_TOKEN: Final = re.compile(r"v1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]*)\Z").match
_NONCE: Final = 12  # bytes AES-GCM takes
_RANDOM: Final = 2 * _NONCE  # the first half chooses the key of the message, the second is its nonce
_TAG: Final = 16
_MAX_BYTES: Final = 67_108_864  # 64 MiB of plain text
_MAX_TOKEN: Final = 40 + (_MAX_BYTES + _RANDOM + _TAG) * 4 // 3 + 4


def encrypt(plaintext: str | bytes, keys: EncryptionKeys, *, purpose: str, context: Context = ()) -> str:
    """Return *plaintext* as a token that only *keys*, *purpose* and *context* open again.

    AES-256-GCM. Each token has a key of its own, derived from 12 random bytes, and a
    random nonce, so the number of tokens is not limited to the 2**32 of one key. The
    same text gives a different token each time; look values up by
    :func:`blind_index`.

    Args:
        plaintext: At most 64 MiB; text is stored as UTF-8.
        keys: The active key encrypts.
        purpose: What the data is, such as ``"users.email"``; constant.
        context: Where it belongs, such as ``("users", row_id)``: a token copied to
            another row does not open there. Not stored, so it must be known again.

    Returns:
        ``v1.<key id>.<base64url>``, ASCII without spaces, 54 characters and the id
        longer than four thirds of the plain text.

    Raises:
        InvalidArgumentError: *plaintext* is too large, or neither text nor bytes.
        ConfigurationError: *purpose* or *context* cannot be used.

    Source: NIST SP 800-38D (GCM); the two halves of the random bytes are used as in
    XAES-256-GCM of the C2SP.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> keys = EncryptionKeys({"k1": new_encryption_key()})
        >>> token = encrypt("ada@example.com", keys, purpose="users.email", context=("users", 7))
        >>> token[:6], decrypt_text(token, keys, purpose="users.email", context=("users", 7))
        ('v1.k1.', 'ada@example.com')
    """
    data = _plain_bytes(plaintext)
    random = secrets.token_bytes(_RANDOM)
    cipher = _cipher(keys, keys.active, purpose, random)
    sealed = cipher.encrypt(random[_NONCE:], data, _bound(keys.active, purpose, context))
    return f"v1.{keys.active}.{base64.urlsafe_b64encode(random + sealed).rstrip(b'=').decode()}"


def decrypt(token: str | bytes, keys: EncryptionKeys, *, purpose: str, context: Context = ()) -> bytes:
    """Return what :func:`encrypt` was given.

    Args:
        token: What :func:`encrypt` returned.
        keys: The ring; the key is found by the id in the token.
        purpose: As given to :func:`encrypt`.
        context: As given to :func:`encrypt`.

    Raises:
        DecryptionError: *token* is malformed or was changed, belongs to another
            purpose or context, or its key is not in the ring. The message does not
            tell the first three apart more than it must.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> keys = EncryptionKeys({"k1": new_encryption_key()})
        >>> decrypt(encrypt(b"secret", keys, purpose="notes"), keys, purpose="notes")
        b'secret'
    """
    key_id, raw = _parsed(token)
    cipher = _cipher(keys, key_id, purpose, raw)
    try:
        return cipher.decrypt(raw[_NONCE:_RANDOM], raw[_RANDOM:], _bound(key_id, purpose, context))
    except _library()[1] as exc:
        msg = f"data encrypted with key {key_id!r} was changed or belongs to another purpose or context"
        raise DecryptionError(msg, cause=exc) from exc


def decrypt_text(token: str | bytes, keys: EncryptionKeys, *, purpose: str, context: Context = ()) -> str:
    """Return what :func:`encrypt` was given, as text.

    Raises:
        DecryptionError: As :func:`decrypt`, or the data is not UTF-8.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> keys = EncryptionKeys({"k1": new_encryption_key()})
        >>> decrypt_text(encrypt("Grüße", keys, purpose="notes"), keys, purpose="notes")
        'Grüße'
    """
    data = decrypt(token, keys, purpose=purpose, context=context)
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        msg = "the decrypted data is not text; use decrypt()"
        raise DecryptionError(msg) from None  # the cause would show the data


def needs_reencryption(token: str | bytes, keys: EncryptionKeys) -> bool:
    """Tell whether *token* uses another key than the active one.

    Raises:
        DecryptionError: *token* is malformed.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> keys = EncryptionKeys({"k1": new_encryption_key()})
        >>> needs_reencryption(encrypt("x", keys, purpose="notes"), keys)
        False
    """
    return _parsed(token)[0] != keys.active


def reencrypt(token: str | bytes, keys: EncryptionKeys, *, purpose: str, context: Context = ()) -> str:
    """Return *token* under the active key; itself when it uses that key already.

    Raises:
        DecryptionError: As :func:`decrypt`.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> old, new = new_encryption_key(), new_encryption_key()
        >>> token = encrypt("x", EncryptionKeys({"2025": old}), purpose="notes")
        >>> reencrypt(token, EncryptionKeys({"2026": new, "2025": old}), purpose="notes")[:8]
        'v1.2026.'
    """
    data = decrypt(token, keys, purpose=purpose, context=context)
    if not needs_reencryption(token, keys):
        return token if isinstance(token, str) else token.decode("ascii")
    return encrypt(data, keys, purpose=purpose, context=context)


# --- looking up what is encrypted ----------------------------------------------------


def blind_index(
    value: str | bytes,
    keys: EncryptionKeys,
    *,
    purpose: str,
    normalize: Callable[[str], str] | None = None,
    size: int = 16,
) -> str:
    """Return a keyed digest by which an encrypted *value* can be found and kept unique.

    Equal values have equal digests under one key: that is what it is for, and what it
    tells to who reads the table. Do not use it where few values are possible and
    their frequency is a secret (yes or no, a birth year).

    Args:
        value: What was encrypted.
        keys: The active key is used. A ring of its own lets the two keys rotate apart.
        purpose: The column; the digests of two columns have nothing in common.
        normalize: Makes spellings equal before, such as ``str.casefold``; text only.
        size: Bytes of digest, 8 to 32. Fewer are shorter and collide sooner.

    Returns:
        ``<key id>.<base64url>``.

    Raises:
        InvalidArgumentError: *size* is out of range, or *value* is neither text nor bytes.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> keys = EncryptionKeys({"k1": new_encryption_key()})
        >>> one = blind_index("Ada@Example.com", keys, purpose="users.email", normalize=str.casefold)
        >>> one == blind_index("ada@example.com", keys, purpose="users.email", normalize=str.casefold)
        True
    """
    return _indexed(value, keys, keys.active, purpose=purpose, normalize=normalize, size=size)


def blind_index_candidates(
    value: str | bytes,
    keys: EncryptionKeys,
    *,
    purpose: str,
    normalize: Callable[[str], str] | None = None,
    size: int = 16,
) -> tuple[str, ...]:
    """Return the digests of *value* under every key of the ring, the active one first.

    For look-ups while rows are being moved to a new key:
    ``WHERE email_index IN (…)``. Arguments and errors as for :func:`blind_index`.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> keys = EncryptionKeys({"k2": new_encryption_key(), "k1": new_encryption_key()})
        >>> [index[:3] for index in blind_index_candidates("x", keys, purpose="users.email")]
        ['k2.', 'k1.']
    """
    ids = (keys.active, *(key_id for key_id in keys.ids if key_id != keys.active))
    return tuple(
        _indexed(value, keys, key_id, purpose=purpose, normalize=normalize, size=size) for key_id in ids
    )


def _indexed(
    value: str | bytes,
    keys: EncryptionKeys,
    key_id: str,
    *,
    purpose: str,
    normalize: Callable[[str], str] | None,
    size: int,
) -> str:
    if not 8 <= size <= 32:
        msg = f"size must be 8 to 32 bytes, got {size}"
        raise InvalidArgumentError(msg)
    if normalize is not None and isinstance(value, str):
        value = normalize(value)
    key = keys.derive(key_id, use="index", purpose=purpose)
    digest = hmac.digest(key, _plain_bytes(value), "sha256")[:size]
    return f"{key_id}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


# --- parts -------------------------------------------------------------------------------


def _plain_bytes(value: object) -> bytes:
    if isinstance(value, str):
        value = str.encode(value, "utf-8", "surrogatepass")
    if not isinstance(value, bytes | bytearray | memoryview):
        msg = f"only text and bytes are encrypted, got {type(value).__name__}"
        raise InvalidArgumentError(msg)
    if len(value) > _MAX_BYTES:
        msg = f"{len(value)} bytes to encrypt, at most {_MAX_BYTES} at once"
        raise InvalidArgumentError(msg)
    return bytes(value)


@cache
def _library() -> "tuple[type[AESGCM], type[Exception]]":
    """Return what is needed of ``cryptography``, imported by the first call that encrypts."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM, InvalidTag


def _cipher(keys: EncryptionKeys, key_id: str, purpose: str, random: bytes) -> "AESGCM":
    key = keys.derive(key_id, use="encrypt", purpose=purpose)
    return _library()[0](hmac.digest(key, random[:_NONCE], "sha256"))


def _bound(key_id: str, purpose: str, context: Context) -> bytes:
    """Return what a token is bound to; lengths before parts, so that no border can move."""
    parts = context if isinstance(context, tuple) else (context,)
    encoded = [b"v1", key_id.encode(), purpose.encode()]
    for part in parts:
        if isinstance(part, str):
            encoded.append(b"s" + str.encode(part, "utf-8", "surrogatepass"))
        elif isinstance(part, bytes):
            encoded.append(b"b" + part)
        elif type(part) is int:  # True is an int too, and str(True) would be another context
            encoded.append(b"i" + str(part).encode())
        else:
            msg = f"context must be text, bytes or whole numbers, got {type(part).__name__}"
            raise ConfigurationError(msg)
    return b"".join([len(part).to_bytes(8, "big") + part for part in encoded])


def _parsed(token: object) -> tuple[str, bytes]:
    text = token.decode("latin-1") if isinstance(token, bytes | bytearray) else token
    match = _TOKEN(text) if isinstance(text, str) and len(text) <= _MAX_TOKEN else None
    if match is None:
        msg = "this is no encrypted data: it must read v1.<key id>.<base64url>"
        raise DecryptionError(msg)
    key_id, data = match.groups()
    try:
        raw = base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
    except ValueError:
        raw = b""
    # Unused bits of the last character must be zero: one token has one spelling.
    if len(raw) < _RANDOM + _TAG or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != data:
        msg = f"data encrypted with key {key_id!r} was cut or changed"
        raise DecryptionError(msg)
    return key_id, raw
