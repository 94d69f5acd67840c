"""Encryption of contents of any length, in frames that open one by one.

Each frame is a token of :func:`shared.security.encrypt`, bound to the key of the object,
to a random name of this version of it, to its place, and to whether it is the last: a
frame that is left out, moved, or taken from another object does not open. All frames but
the last have the same length, so any range can be read without what is before it.
"""

import secrets
from dataclasses import dataclass
from typing import Final

import orjson

from shared.errors import DecryptionError
from shared.security import EncryptionKeys, decrypt, encrypt

__all__ = ["Opener", "Sealed", "Sealer"]

FRAME: Final = 1024 * 1024  # bytes of content in a frame
_PURPOSE: Final = "shared.storage"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What must be known to open an object; kept encrypted beside it."""

    name: str
    frame_size: int  # bytes a full frame takes in the store
    size: int
    sha256: str

    def to_token(self, key: str, keys: EncryptionKeys) -> str:
        """Return this, encrypted for the object of *key*."""
        data = orjson.dumps([self.name, self.frame_size, self.size, self.sha256])
        return encrypt(data, keys, purpose=_PURPOSE, context=("attributes", key))

    @classmethod
    def from_token(cls, token: str, key: str, keys: EncryptionKeys) -> "Sealed":
        """Return what :meth:`to_token` was called on.

        Raises:
            DecryptionError: The token was changed, or belongs to another object.
        """
        data = decrypt(token, keys, purpose=_PURPOSE, context=("attributes", key))
        name, frame_size, size, sha256 = orjson.loads(data)
        return cls(name, frame_size, size, sha256)


class Sealer:
    """Encrypts a content on its way into the store."""

    def __init__(self, key: str, keys: EncryptionKeys) -> None:
        self._key = key
        self._keys = keys
        self._waiting = bytearray()
        self._index = 0
        self.name: str = secrets.token_hex(16)
        self.frame_size: int = _token_size(FRAME, keys.active)

    def feed(self, data: bytes) -> bytes:
        """Return the frames that *data* completes; the last bytes wait, since they may be the end."""
        self._waiting += data
        frames = []
        while len(self._waiting) > FRAME:
            frames.append(self._frame(bytes(self._waiting[:FRAME]), last=False))
            del self._waiting[:FRAME]
        return b"".join(frames)

    def finish(self) -> bytes:
        """Return the last frame."""
        return self._frame(bytes(self._waiting), last=True)

    def _frame(self, data: bytes, *, last: bool) -> bytes:
        context = _context(self._key, self.name, self._index, last=last)
        self._index += 1
        return encrypt(data, self._keys, purpose=_PURPOSE, context=context).encode("ascii")

    def sealed(self, size: int, sha256: str) -> Sealed:
        """Return what must be known to open it again."""
        return Sealed(self.name, self.frame_size, size, sha256)


class Opener:
    """Decrypts bytes *start* to *stop* of an object.

    Args:
        key: Of the object.
        keys: The ring.
        sealed: What is known of it.
        start: First byte of content wanted.
        stop: Byte behind the last.
    """

    def __init__(self, key: str, keys: EncryptionKeys, sealed: Sealed, start: int, stop: int) -> None:
        self._key = key
        self._keys = keys
        self._sealed = sealed
        self._index = start // FRAME
        self._last = max(0, -(-sealed.size // FRAME) - 1)
        self._skip = start - self._index * FRAME
        self._left = stop - start
        self._waiting = bytearray()

    def span(self, stored: int) -> tuple[int, int]:
        """Return which of the *stored* bytes to read."""
        first = self._index * self._sealed.frame_size
        end = self._skip + self._left
        frames = max(1, -(-end // FRAME))
        return first, min(stored, first + frames * self._sealed.frame_size)

    def feed(self, data: bytes) -> bytes:
        """Return the content of the frames that *data* completes."""
        self._waiting += data
        opened = []
        while self._index < self._last and len(self._waiting) >= self._sealed.frame_size:
            opened.append(self._open(bytes(self._waiting[: self._sealed.frame_size])))
            del self._waiting[: self._sealed.frame_size]
        return b"".join(opened)

    def finish(self) -> bytes:
        """Return the rest.

        Raises:
            DecryptionError: Something is missing.
        """
        rest = self._open(bytes(self._waiting)) if self._waiting else b""
        self._waiting.clear()
        if self._left:
            msg = f"the encrypted object ends {self._left} bytes early"
            raise DecryptionError(msg)
        return rest

    def _open(self, token: bytes) -> bytes:
        context = _context(self._key, self._sealed.name, self._index, last=self._index == self._last)
        data = decrypt(token, self._keys, purpose=_PURPOSE, context=context)
        self._index += 1
        data = data[self._skip : self._skip + self._left]
        self._skip = 0
        self._left -= len(data)
        return data


def _context(key: str, name: str, index: int, *, last: bool) -> tuple[str | int, ...]:
    return ("content", key, name, index, int(last))


def _token_size(size: int, key_id: str) -> int:
    """Return how many characters :func:`encrypt` makes of *size* bytes; base64 without padding."""
    raw = 24 + size + 16
    return len(f"v1.{key_id}.") + (raw * 8 + 5) // 6
