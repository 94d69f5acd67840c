"""From the id of a unit to its place: 64 bits of SHA-256, compared as bytes with fixed limits.

The first eight bytes of ``SHA-256(salt + NUL + id)``, read as a number of 64 bits, are the
bucket. This is ``sha256-64/1`` and never changes. A digest is compared with an eight-byte
limit as it is: whatever follows the first eight bytes cannot change the order.
"""

import uuid
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from shared.feature_flags._hashing import sha256
from shared.feature_flags._rules import COVERAGE_PARTS, Layer, Split

__all__ = ["Bounds", "bounds_of", "bucket", "layer_bounds", "place", "unit_id"]

_FULL: Final = 1 << 64
_END: Final = b"\xff" * 33  # above every digest
_LONGEST: Final = 4096

#: Limits in order, and the variant that begins at each; None where nobody does.
Bounds: TypeAlias = tuple[list[bytes], list[str | None]]


def unit_id(value: Any) -> str | None:
    """Return what is hashed for *value*, or None where it identifies nobody.

    Text as it is; whole numbers as their digits, so that 1, 1.0 and "1" are one unit; UUIDs in
    their usual spelling. Empty text, True and False, and everything else is nobody.
    """
    if isinstance(value, str):
        return str.__str__(value) if 0 < len(value) <= _LONGEST else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(int(value)) if value.bit_length() <= 128 else None
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() else repr(float(value))) if abs(value) < 1e30 else None
    return str(value) if isinstance(value, uuid.UUID) else None


def bucket(salt: str, unit: str) -> int:
    """Return the place of *unit* among 2**64, for everything hashed with *salt*.

    Example:
        >>> bucket("pricing", "u-1") == bucket("pricing", "u-1") != bucket("menu", "u-1")
        True
    """
    return int.from_bytes(sha256(_bytes(salt) + b"\0" + _bytes(unit)).digest()[:8])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def bounds_of(weights: Mapping[str, int], coverage: int) -> Bounds:
    """Return the limits of a split: each variant fills its own slot from the beginning.

    Variants are laid out in the order of their names: the order of a JSON object means nothing.
    """
    total = sum(weights.values())
    below = 0
    spans: list[tuple[int, int, str]] = []
    for name in sorted(weights):
        begin = below * _FULL // total
        end = (below * COVERAGE_PARTS + weights[name] * coverage) * _FULL // (total * COVERAGE_PARTS)
        below += weights[name]
        spans.append((begin, end, name))
    return _bounds(spans)


def layer_bounds(layer: Layer) -> Bounds:
    """Return the limits of the slices of *layer* that are ours."""
    spans = [
        (begin * _FULL // COVERAGE_PARTS, end * _FULL // COVERAGE_PARTS, layer.id)
        for begin, end in sorted(layer.ranges)
    ]
    return _bounds(spans)


def _bounds(spans: list[tuple[int, int, str]]) -> Bounds:
    limits: list[bytes] = []
    owners: list[str | None] = [None]
    for begin, end, name in spans:
        if begin == end:
            continue
        start = begin.to_bytes(8)
        if limits and limits[-1] == start:
            owners[-1] = name
        else:
            limits.append(start)
            owners.append(name)
        limits.append(_END if end == _FULL else end.to_bytes(8))
        owners.append(None)
    return limits, owners


def place(bounds: Bounds, salt: str) -> Callable[[str], str | None]:
    """Return a function from a unit to the variant whose slot it is in, or None."""
    limits, owners = bounds
    # A copy of what the salt comes to costs less than hashing it again.
    salted = sha256(_bytes(salt) + b"\0")

    def find(unit: str) -> str | None:
        hashed = salted.copy()
        hashed.update(_bytes(unit))
        return owners[bisect_right(limits, hashed.digest())]

    return find


def split_units(split: Split) -> tuple[str, ...]:
    """Return the attributes that may hold the id, in order."""
    return (split.unit,) if split.fallback_unit is None else (split.unit, split.fallback_unit)
