"""The one canonical encoding of a JSON value that flagd hashes since version 3."""

import math
import struct
from typing import Any, Final

_DEEPEST: Final = 32
_WORD: Final = 1 << 64
_SHORT: Final = tuple(bytes((0x60 | size,)) for size in range(24))
_SIMPLE: Final[dict[Any, bytes]] = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}


def canonical_cbor(value: Any) -> bytes | None:
    """Return *value* as deterministic CBOR, or ``None`` for what is no JSON.

    A float without a fraction is the integer (``1.0`` and ``1`` are the same unit);
    maps are sorted by their encoded keys; floats take the shortest form that keeps
    their value.

    Source: RFC 8949, section 4.2.
    """
    if type(value) is str and len(value) < 24 and value.isascii():  # the usual unit, without a detour
        return _SHORT[len(value)] + value.encode("ascii")
    try:
        return _encoded(value, 0)
    except (TypeError, ValueError, RecursionError):
        return None


def _encoded(value: Any, depth: int) -> bytes:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, str):
        text = value.encode("utf-8")
        return _head(0x60, len(text)) + text
    if value is None or isinstance(value, bool):
        return _SIMPLE[value]
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list | tuple):
        return _head(0x80, len(value)) + b"".join(_encoded(item, depth + 1) for item in value)
    if isinstance(value, dict):
        pairs = sorted((_encoded(key, depth + 1), _encoded(item, depth + 1)) for key, item in value.items())
        return _head(0xA0, len(pairs)) + b"".join(key + item for key, item in pairs)
    raise TypeError


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes((kind | number,))
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes((kind | extra,)) + number.to_bytes(size, "big")
    raise ValueError


def _integer(value: int) -> bytes:
    kind, number = (0x00, value) if value >= 0 else (0x20, -1 - value)
    if number < _WORD:
        return _head(kind, number)
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return (b"\xc2" if value >= 0 else b"\xc3") + _head(0x40, len(octets)) + octets


def _float(value: float) -> bytes:
    if math.isnan(value):
        return b"\xf9\x7e\x00"
    if value.is_integer() and -(1 << 63) <= value < _WORD:
        return _integer(int(value))
    for code, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            packed = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == value:
            return code + packed
    return b"\xfb" + struct.pack(">d", value)
