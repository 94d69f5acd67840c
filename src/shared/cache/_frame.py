"""What is stored beside a value: when it grows stale, its tags and their versions, how it is written.

One frame is ``magic, flags, stale_at, expires_at, count, (length, name, version) * count,
payload``; big-endian, the times in milliseconds since the epoch. A frame that cannot be read is
a miss: another version of this library, or another program, may have written it.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

__all__ = ["VERSION_BYTES", "Frame", "FrameError", "pack", "unpack"]

MAGIC: Final = 0xC1  # never the first byte of MessagePack, JSON or UTF-8
COMPRESSED: Final = 1
_SERIALIZERS: Final = ("json", "msgpack", "other")  # their index is in the flags
_HEAD: Final = struct.Struct(">BBQQB")
VERSION_BYTES: Final = 8
MAX_TAGS: Final = 64
MAX_TAG_BYTES: Final = 255


class FrameError(Exception):
    """The bytes are not a frame of ours."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A stored value and what is known about it."""

    payload: bytes  # as the serializer wrote it
    stale_at: float  # seconds since the epoch: from here on it should be loaded anew
    expires_at: float  # seconds since the epoch: from here on it does not exist
    serializer: str  # its name
    tags: tuple[tuple[str, bytes], ...] = ()


def pack(frame: Frame, *, compress_over: int) -> bytes:
    """Return the bytes of *frame*; the payload is compressed when it is longer and gains by it."""
    flags = _code(frame.serializer) << 1
    payload = frame.payload
    if len(payload) > compress_over:
        smaller = zlib.compress(payload, 1)
        if len(smaller) < len(payload):
            payload, flags = smaller, flags | COMPRESSED
    times = int(frame.stale_at * 1000), int(frame.expires_at * 1000)
    parts = [_HEAD.pack(MAGIC, flags, *times, len(frame.tags))]
    for name, version in frame.tags:
        encoded = name.encode()
        parts += [bytes((len(encoded),)), encoded, version]
    parts.append(payload)
    return b"".join(parts)


def unpack(data: bytes, *, max_bytes: int) -> Frame:
    """Return the frame in *data*.

    Raises:
        FrameError: It is not one, or unpacks to more than *max_bytes*.
    """
    try:
        magic, flags, stale_at, expires_at, count = _HEAD.unpack_from(data)
        if magic != MAGIC:
            raise FrameError
        serializer = _SERIALIZERS[flags >> 1]
        at, tags = _HEAD.size, []
        for _ in range(count):
            length = data[at]
            name, at = data[at + 1 : at + 1 + length].decode(), at + 1 + length
            version, at = data[at : at + VERSION_BYTES], at + VERSION_BYTES
            if len(version) != VERSION_BYTES:
                raise FrameError
            tags.append((name, version))
        payload = _inflate(data[at:], max_bytes) if flags & COMPRESSED else data[at:]
    except (struct.error, IndexError, UnicodeDecodeError, zlib.error) as exc:
        raise FrameError from exc
    return Frame(payload, stale_at / 1000, expires_at / 1000, serializer, tuple(tags))


def _inflate(data: bytes, max_bytes: int) -> bytes:
    """Decompress at most *max_bytes*: a few stored kilobytes may stand for gigabytes."""
    inflater = zlib.decompressobj()
    payload = inflater.decompress(data, max_bytes)
    if inflater.unconsumed_tail or not inflater.eof:
        raise FrameError
    return payload


def _code(serializer: str) -> int:
    return _SERIALIZERS.index(serializer if serializer in _SERIALIZERS else "other")
