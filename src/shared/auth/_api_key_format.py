"""API keys as text: a prefix to find them by, an id, a secret, and a checksum against typing errors."""

import hmac
import secrets
import zlib
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from shared.errors import AuthenticationError, ConfigurationError, InvalidArgumentError

__all__ = ["KeyParts", "Pepper", "new_key", "parse_key", "peppers_of"]

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KNOWN: Final = frozenset(_ALPHABET)
_ID: Final = 12  # 71 bits
_SECRET: Final = 43  # 256 bits
_CHECK: Final = 6  # 32 bits
_MIN_PEPPER: Final = 32
_INVALID: Final = "the API key is not valid"


class KeyParts(NamedTuple):
    """What a key says."""

    id: str
    secret: str


def check_label(what: str, text: object) -> str:
    """Return *text* when it may stand in a key: 1 to 16 letters and digits."""
    if isinstance(text, str) and 1 <= len(text) <= 16 and _KNOWN.issuperset(text):
        return text
    msg = f"the {what} of API keys is 1 to 16 letters and digits, got {text!r}"
    raise InvalidArgumentError(msg)


def new_key(head: str, key_id: str | None = None) -> tuple[KeyParts, str]:
    """Return the parts and the text of a new key that begins with *head*; a new secret for *key_id*."""
    parts = KeyParts(key_id or _random(_ID), _random(_SECRET))
    return parts, with_check(f"{head}_{parts.id}_{parts.secret}")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def with_check(text: str) -> str:
    """Return *text* with its checksum: for people who mistype and for scanners that search."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECK):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return text + digits


def parse_key(text: object, head: str) -> KeyParts:
    """Return the parts of a key that begins with *head*.

    Raises:
        AuthenticationError: It is no such key, or was mistyped; the key is not in the message.
    """
    length = len(head) + _ID + _SECRET + _CHECK + 2
    if not isinstance(text, str) or len(text) != length or not text.startswith(head + "_"):
        raise AuthenticationError(_INVALID, challenge="ApiKey")
    key_id, _, rest = text[len(head) + 1 :].partition("_")
    if len(key_id) != _ID or not (_KNOWN.issuperset(key_id) and _KNOWN.issuperset(rest)):
        raise AuthenticationError(_INVALID, challenge="ApiKey")
    if not hmac.compare_digest(with_check(text[:-_CHECK]).encode(), text.encode()):
        raise AuthenticationError("the API key is mistyped: its checksum is wrong", challenge="ApiKey")
    return KeyParts(key_id, rest[:_SECRET])


class Pepper(NamedTuple):
    """A key that hashes API keys, and the short name by which a hash says which one it was."""

    id: str
    key: bytes

    def digest(self, parts: KeyParts) -> str:
        """Return the hash of a key; fast on purpose: the secret has 256 bits of its own."""
        signed = b"shared.auth/v1/api-key" + len(parts.id).to_bytes(2, "big")
        return hmac.digest(self.key, signed + parts.id.encode() + parts.secret.encode(), "sha256").hex()


def peppers_of(given: Any) -> tuple[Pepper, ...]:
    """Return one or several peppers, the newest first.

    Raises:
        ConfigurationError: There is none, or one has fewer than 32 bytes.
    """
    single = isinstance(given, (str, bytes)) or hasattr(given, "get_secret_value")
    several = [given] if single or not isinstance(given, Iterable) else list(given)
    if not several:
        raise ConfigurationError("API keys need a pepper: set API_KEY_PEPPER")
    return tuple(map(_pepper, several))


def _pepper(given: Any) -> Pepper:
    reveal = getattr(given, "get_secret_value", None)
    value = reveal() if callable(reveal) else given
    key = value.encode() if isinstance(value, str) else value
    if not isinstance(key, bytes) or len(key) < _MIN_PEPPER:
        msg = f"a pepper of API keys has at least {_MIN_PEPPER} bytes: set API_KEY_PEPPER to more"
        raise ConfigurationError(msg)
    return Pepper(hmac.digest(key, b"shared.auth/v1/api-key-pepper-id", "sha256").hex()[:8], key)
