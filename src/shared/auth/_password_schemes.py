"""The schemes: how a password becomes a hash, and how one is checked."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final

from shared.auth._password_formats import ParsedHash, format_bcrypt, format_bcrypt_sha256
from shared.errors import MissingDependencyError

__all__ = ["BCRYPT_LIMIT", "Argon2Cost", "argon2_verify", "bcrypt_verify", "dummy_hash", "hash_with"]

BCRYPT_LIMIT: Final = 72
"""Bytes of a password that bcrypt looks at; what follows was silently ignored by many libraries."""

_DUMMY_SALT: Final = "Q5LqWGyZVpKdrmXTUEIanO"
_DUMMY_DIGEST: Final = "." * 31
_DUMMY_ARGON2: Final = f"{base64.b64encode(b'no such user ever').decode().rstrip('=')}${'A' * 43}"


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What one argon2id hash costs.

    Attributes:
        memory: KiB.
        passes: Times the memory is walked through.
        lanes: Threads.

    The defaults are the first choice of OWASP's Password Storage Cheat Sheet.

    Example:
        >>> Argon2Cost().memory
        19456
    """

    memory: int = 19_456
    passes: int = 2
    lanes: int = 1


def _bcrypt() -> Any:
    import bcrypt

    return bcrypt


def _argon2() -> Any:
    try:
        import argon2
    except ImportError as exc:
        raise MissingDependencyError("argon2-cffi", extra="argon2") from exc
    return argon2


def _prehash(secret: bytes, salt: str, version: int) -> bytes:
    """Return 44 characters without NUL for a password of any length.

    Keyed with the salt since version 2: a table of plain SHA-256 digests of known
    passwords is then of no use.
    """
    if version == 1:
        digest = hashlib.sha256(secret).digest()
    else:
        digest = hmac.digest(salt.encode(), secret, "sha256")
    return base64.b64encode(digest)


def _bcrypt_digest(key: bytes, ident: str, rounds: int, salt: str) -> str:
    hashed = _bcrypt().hashpw(key, f"${ident}${rounds:02d}${salt}".encode())
    return str(hashed[-31:], "ascii")


def bcrypt_verify(secret: bytes, parsed: ParsedHash) -> bool:
    """Tell whether *secret* made the bcrypt digest of *parsed*; at most 72 bytes for plain bcrypt."""
    key = _prehash(secret, parsed.salt, parsed.version) if parsed.scheme == "bcrypt_sha256" else secret
    made = _bcrypt_digest(key, parsed.ident, parsed.cost, parsed.salt)
    return hmac.compare_digest(made.encode(), parsed.digest.encode())


def argon2_verify(secret: bytes, parsed: ParsedHash) -> bool:
    """Tell whether *secret* made the argon2 hash."""
    argon2 = _argon2()
    kinds = {"argon2id": argon2.Type.ID, "argon2i": argon2.Type.I, "argon2d": argon2.Type.D}
    try:
        argon2.low_level.verify_secret(parsed.text.encode(), secret, kinds[parsed.scheme])
    except argon2.exceptions.Argon2Error:  # a mismatch, or a hash that cannot be read
        return False
    return True


def hash_with(scheme: str, secret: bytes, *, rounds: int, argon2: Argon2Cost) -> str:
    """Return a new hash of *secret*."""
    if scheme == "argon2id":
        low_level = _argon2().low_level
        import secrets

        made: bytes = low_level.hash_secret(
            secret, secrets.token_bytes(16), argon2.passes, argon2.memory, argon2.lanes, 32, low_level.Type.ID
        )
        return made.decode()
    salt = _bcrypt().gensalt(4)[-22:].decode()
    if scheme == "bcrypt":
        return format_bcrypt(rounds, salt, _bcrypt_digest(secret, "2b", rounds, salt))
    digest = _bcrypt_digest(_prehash(secret, salt, 2), "2b", rounds, salt)
    return format_bcrypt_sha256(rounds, salt, digest)


def dummy_hash(scheme: str, *, rounds: int, argon2: Argon2Cost) -> ParsedHash:
    """Return a hash that nothing fits and that costs as much to check as a real one."""
    if scheme == "argon2id":
        text = f"$argon2id$v=19$m={argon2.memory},t={argon2.passes},p={argon2.lanes}${_DUMMY_ARGON2}"
        return ParsedHash(scheme, argon2.passes, text, memory=argon2.memory, lanes=argon2.lanes)
    return ParsedHash(scheme, rounds, "", 2, "2b", _DUMMY_SALT, _DUMMY_DIGEST)
