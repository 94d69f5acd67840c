"""The keys of data at rest: several at once, one of them active."""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final, Self

from shared.errors import ConfigurationError, DecryptionError
from shared.security._secret_input import Secret

__all__ = ["EncryptionKeys", "new_encryption_key"]

KEY_BYTES: Final = 32
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}\Z").match
_PURPOSE: Final = re.compile(r"[\x21-\x7e]{1,128}\Z").match
_MAX_DERIVED: Final = 256
_MIN_DIFFERENT: Final = 8  # different bytes in a key; fewer is no random key


def new_encryption_key() -> str:
    """Return a fresh random key of 32 bytes as base64 text, for the settings.

    Example:
        >>> len(new_encryption_key())
        44
    """
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


class EncryptionKeys:
    """A ring of AES-256 keys, found by their ids.

    Rotate by adding a key and making it active: new data uses it, old data is
    still read by the key whose id it carries. No key is ever tried in vain.
    Immutable and thread-safe; shows no key in its repr.

    Args:
        keys: Key id (1 to 32 of ``A-Z a-z 0-9 _ -``) to 32 random bytes, as bytes,
            as base64 or hexadecimal text, or as a ``SecretStr`` of such text.
        active: Id of the key that encrypts; the first when absent.

    Raises:
        ConfigurationError: There is no key; a key has another length, is no random
            key, or stands there twice; an id is malformed; *active* is unknown.

    Example:
        >>> ring = EncryptionKeys({"2026": new_encryption_key(), "2025": new_encryption_key()})
        >>> ring.active, sorted(ring.ids)
        ('2026', ['2025', '2026'])
    """

    __slots__ = ("_derived", "_keys", "active")

    def __init__(self, keys: Mapping[str, Secret], *, active: str | None = None) -> None:
        self._keys = {_checked_id(key_id): _key_bytes(key_id, key) for key_id, key in keys.items()}
        if not self._keys:
            msg = "at least one encryption key is needed; make one with new_encryption_key()"
            raise ConfigurationError(msg)
        if len(set(self._keys.values())) < len(self._keys):
            msg = "the same encryption key stands under two ids"
            raise ConfigurationError(msg)
        self.active: str = next(iter(self._keys)) if active is None else active
        if self.active not in self._keys:
            msg = f"active encryption key {self.active!r} is not in the ring (known: {', '.join(self._keys)})"
            raise ConfigurationError(msg)
        self._derived: dict[tuple[str, str, str], bytes] = {}

    @classmethod
    def from_text(cls, text: str, *, active: str | None = None) -> Self:
        """Return the ring written as ``id:key,id:key``, the active first.

        Raises:
            ConfigurationError: As for the class; the text is never shown.

        Example:
            >>> EncryptionKeys.from_text(f"2026:{new_encryption_key()},2025:{new_encryption_key()}").active
            '2026'
        """
        pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
        ids = [key_id for key_id, _, _ in pairs]
        if len(set(ids)) < len(ids):
            msg = "an encryption key id stands there twice"
            raise ConfigurationError(msg)
        if not all(colon for _, colon, _ in pairs):
            msg = "encryption keys are written as 'id:key,id:key'; one has no ':'"
            raise ConfigurationError(msg)
        return cls({key_id: key for key_id, _, key in pairs}, active=active)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the ring, as given.

        Example:
            >>> EncryptionKeys({"k1": new_encryption_key()}).ids
            ('k1',)
        """
        return tuple(self._keys)

    def derive(self, key_id: str, *, use: str, purpose: str) -> bytes:
        """Return the key of 32 bytes for one *use* and *purpose*, made from the key *key_id*.

        So that what is encrypted for one purpose means nothing in another. Source:
        RFC 5869 (HKDF with SHA-256; the keys are uniformly random, so the salt is empty).

        Args:
            key_id: Which key of the ring.
            use: What the key does, such as ``"encrypt"``.
            purpose: What the data is, such as ``"users.email"``.

        Raises:
            DecryptionError: *key_id* is not in the ring.
            ConfigurationError: *purpose* is not 1 to 128 visible ASCII characters.

        Example:
            >>> len(EncryptionKeys({"k1": new_encryption_key()}).derive("k1", use="sign", purpose="exports"))
            32
        """
        wanted = (key_id, use, purpose)
        found = self._derived.get(wanted)
        if found is None:
            if key_id not in self._keys:
                msg = f"key {key_id!r} is not in the ring (known: {', '.join(self._keys)})"
                raise DecryptionError(msg)
            found = _hkdf(self._keys[key_id], f"shared.security/v1/{use}/{_checked_purpose(purpose)}")
            if len(self._derived) >= _MAX_DERIVED:
                self._derived.clear()
            self._derived[wanted] = found
        return found

    def __repr__(self) -> str:
        return f"EncryptionKeys(ids={self.ids!r}, active={self.active!r})"

    def __reduce__(self) -> Any:
        msg = "encryption keys are not pickled: build the ring anew in the other process"
        raise ConfigurationError(msg)


def _hkdf(key: bytes, info: str) -> bytes:
    """Return 32 bytes of HKDF-SHA256; one block, so expanding is one HMAC."""
    extracted = hmac.digest(bytes(KEY_BYTES), key, "sha256")
    return hmac.digest(extracted, info.encode() + b"\x01", "sha256")


def _checked_id(key_id: object) -> str:
    if not isinstance(key_id, str) or not _KEY_ID(key_id):
        msg = f"encryption key id {key_id!r} must be 1 to 32 of A-Z a-z 0-9 _ -"
        raise ConfigurationError(msg)
    return key_id


def _checked_purpose(purpose: object) -> str:
    if not isinstance(purpose, str) or not _PURPOSE(purpose):
        msg = f"purpose must be 1 to 128 visible ASCII characters, such as 'users.email', got {purpose!r}"
        raise ConfigurationError(msg)
    return purpose


def _key_bytes(key_id: str, key: Secret) -> bytes:
    reveal = getattr(key, "get_secret_value", None)
    value = reveal() if callable(reveal) else key
    raw = value if isinstance(value, bytes) and len(value) == KEY_BYTES else _decoded(value)
    if raw is None or len(raw) != KEY_BYTES:
        msg = (
            f"encryption key {key_id!r} must be {KEY_BYTES} random bytes as base64 or hexadecimal text; "
            "make one with new_encryption_key()"
        )
        raise ConfigurationError(msg)
    if len(set(raw)) < _MIN_DIFFERENT:
        msg = f"encryption key {key_id!r} is not random; make one with new_encryption_key()"
        raise ConfigurationError(msg)
    return raw


def _decoded(value: object) -> bytes | None:
    text = value.decode("ascii", "replace") if isinstance(value, bytes | bytearray) else value
    if not isinstance(text, str):
        return None
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        padded = text.translate(_TO_BASE64) + "=" * (-len(text) % 4)
        return base64.b64decode(padded, validate=True)
    except (ValueError, binascii.Error):
        return None


_TO_BASE64: Final = str.maketrans("-_", "+/")
