"""Password hashes as text: read without trust, written in the form other libraries read."""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["ParsedHash", "format_bcrypt", "format_bcrypt_sha256", "parse_hash"]

_B64: Final = "[./A-Za-z0-9]"
_BCRYPT: Final = re.compile(rf"\$(2[aby])\$([0-9]{{2}})\$({_B64}{{22}})({_B64}{{31}})\Z").match
# passlib's format. The salt is used as text here, so one with padding bits is refused.
_V2: Final = re.compile(
    rf"\$bcrypt-sha256\$v=2,t=(2b),r=([1-9][0-9]?)\$({_B64}{{21}}[.Oeu])\$({_B64}{{31}})\Z"
).match
_V1: Final = re.compile(
    rf"\$bcrypt-sha256\$(2[ab]),([1-9][0-9]?)\$({_B64}{{21}}[.Oeu])\$({_B64}{{31}})\Z"
).match
_ARGON2: Final = re.compile(
    r"\$(argon2(?:id|i|d))\$v=(?:16|19)\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,3})"
    r"\$[A-Za-z0-9+/]{8,128}\$[A-Za-z0-9+/]{16,128}\Z"
).match
_LONGEST: Final = 1024  # characters; no scheme we know comes near


@dataclass(frozen=True, slots=True)
class ParsedHash:
    """What a stored hash says about itself.

    Attributes:
        scheme: ``bcrypt``, ``bcrypt_sha256`` or ``argon2id`` (``argon2i``, ``argon2d``).
        cost: Power of two for bcrypt, passes for argon2.
        text: The whole hash.
        version: Of ``bcrypt_sha256``: 1 or 2.
        ident: Variant of bcrypt.
        salt: Of bcrypt, as written.
        digest: Of bcrypt, as written.
        memory: Of argon2, in KiB.
        lanes: Of argon2.
    """

    scheme: str
    cost: int
    text: str
    version: int = 2
    ident: str = "2b"
    salt: str = ""
    digest: str = ""
    memory: int = 0
    lanes: int = 0


def parse_hash(text: object) -> ParsedHash | None:
    """Return what *text* says, or None for anything that is not a well-formed hash of ours."""
    if not isinstance(text, str) or not text.startswith("$") or len(text) > _LONGEST:
        return None
    if match := _V2(text):
        ident, cost, salt, digest = match.groups()
        return ParsedHash("bcrypt_sha256", int(cost), text, 2, ident, salt, digest)
    if match := _BCRYPT(text):
        ident, cost, salt, digest = match.groups()
        return ParsedHash("bcrypt", int(cost), text, 2, ident, salt, digest)
    if match := _ARGON2(text):
        scheme, memory, passes, lanes = match.groups()
        return ParsedHash(scheme, int(passes), text, memory=int(memory), lanes=int(lanes))
    if match := _V1(text):
        ident, cost, salt, digest = match.groups()
        return ParsedHash("bcrypt_sha256", int(cost), text, 1, ident, salt, digest)
    return None


def format_bcrypt(rounds: int, salt: str, digest: str) -> str:
    """Return a hash in the form every bcrypt library reads."""
    return f"$2b${rounds:02d}${salt}{digest}"


def format_bcrypt_sha256(rounds: int, salt: str, digest: str) -> str:
    """Return a hash in passlib's form of ``bcrypt_sha256``, version 2."""
    return f"$bcrypt-sha256$v=2,t=2b,r={rounds}${salt}${digest}"
