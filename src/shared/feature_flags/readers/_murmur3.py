"""MurmurHash3 (x86, 32 bit), the hash two of the three formats bucket by."""

from collections.abc import Callable
from typing import Final

_MASK: Final = 0xFFFFFFFF
_C1: Final = 0xCC9E2D51
_C2: Final = 0x1B873593


def _mixed(block: int) -> int:
    block = block * _C1 & _MASK
    block = (block << 15 | block >> 17) & _MASK
    return block * _C2 & _MASK


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """Return the hash of *data* as an unsigned 32-bit number.

    Args:
        data: The bytes; text is encoded as UTF-8 by the caller.
        seed: 0 to 2**32 - 1.

    Source: MurmurHash3_x86_32 of the smhasher repository.
    """
    size = len(data)
    whole = size & ~3
    state = seed
    for start in range(0, whole, 4):
        state ^= _mixed(int.from_bytes(data[start : start + 4], "little"))
        state = (state << 13 | state >> 19) & _MASK
        state = (state * 5 + 0xE6546B64) & _MASK
    if whole != size:
        state ^= _mixed(int.from_bytes(data[whole:], "little"))
    state ^= size
    state = (state ^ state >> 16) * 0x85EBCA6B & _MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & _MASK
    return state ^ state >> 16


def fastest_murmur3() -> Callable[[bytes, int], int]:
    """Return the C implementation (``mmh3``) where it is installed, else ours: the answers are the same."""
    try:
        from mmh3 import hash as native
    except ImportError:
        return murmur3_32

    def murmur3(data: bytes, seed: int) -> int:
        return native(data, seed, False)

    return murmur3
