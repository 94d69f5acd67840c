"""FNV-1a as GrowthBook uses it: over UTF-16 code units, 32 bit."""

from collections.abc import Callable
from typing import Final

_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF
OFFSET: Final = 0x811C9DC5


def fnv1a(text: str, state: int = OFFSET) -> int:
    """Return the unsigned 32-bit FNV-1a hash of *text*, going on from *state*.

    The reference hashes ``charCodeAt``: one UTF-16 code unit at a time, sixteen bits
    of it. Text outside of the basic plane therefore counts as two units, and nothing
    is encoded as UTF-8.
    """
    if text.isascii():
        for unit in text.encode("ascii"):  # literals: half of the time goes into looking names up
            state = (state ^ unit) * 0x01000193 & 0xFFFFFFFF
        return state
    units = text.encode("utf-16-le", "surrogatepass")
    for start in range(0, len(units), 2):
        state = (state ^ (units[start] | units[start + 1] << 8)) * _PRIME & _MASK
    return state


def bucket_function(seed: str, version: int) -> Callable[[str], float] | None:
    """Return the function from a unit to its place in ``[0, 1)``, or ``None`` for an unknown version.

    Version 2 has 10,000 places; version 1 has 1,000 and is biased (kept because
    documents that say so depend on it).
    """
    if version == 2:
        seeded = fnv1a(seed)
        return lambda unit: fnv1a(str(fnv1a(unit, seeded))) % 10_000 / 10_000
    if version == 1:
        return lambda unit: fnv1a(seed, fnv1a(unit)) % 1_000 / 1_000
    return None
