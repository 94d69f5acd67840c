"""The operators flagd adds to JsonLogic."""

import operator as compare
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from shared.feature_flags.readers._cbor import canonical_cbor
from shared.feature_flags.readers._javascript import to_text
from shared.feature_flags.readers._jsonlogic import Make, Node, Run, is_constant
from shared.feature_flags.readers._jsonlogic_operators import plain
from shared.feature_flags.readers._murmur3 import fastest_murmur3
from shared.feature_flags.readers._semver import parse_lenient_version

FractionalVersion: TypeAlias = Literal[1, 2, 3]

_MAX_INT32: Final = 2_147_483_647
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": compare.eq,
    "!=": compare.ne,
    "<": compare.lt,
    "<=": compare.le,
    ">": compare.gt,
    ">=": compare.ge,
    "^": lambda left, right: left[0] == right[0],
    "~": lambda left, right: left[:2] == right[:2],
}


def flagd_operators(
    flag_key: str, version: FractionalVersion, targeting_key: Callable[[Run], Any]
) -> dict[str, Make]:
    """Return the added operators, for the rules of the flag *flag_key*."""
    return {
        "fractional": partial(_fractional, flag_key, version, targeting_key, fastest_murmur3()),
        "sem_ver": plain(sem_ver),
        "starts_with": plain(partial(_affix, str.startswith)),
        "ends_with": plain(partial(_affix, str.endswith)),
    }


def _affix(test: Callable[[str, str], bool], *values: Any) -> bool | None:
    if len(values) != 2 or not all(isinstance(value, str) for value in values):
        return None
    return test(*values)


def sem_ver(*values: Any) -> bool | None:
    """Compare two versions; ``null`` where one is none, or the operator is unknown."""
    if len(values) != 3:
        return None
    left, right = (parse_lenient_version(to_text(value)) for value in (values[0], values[2]))
    order = _ORDERS.get(values[1]) if isinstance(values[1], str) else None
    return None if left is None or right is None or order is None else order(left, right)


def _fractional(
    flag_key: str,
    version: FractionalVersion,
    targeting_key: Callable[[Run], Any],
    murmur3: Callable[[bytes, int], int],
    nodes: Sequence[Node],
) -> Node:
    arguments = tuple(nodes)
    place = partial(_place_v1 if version == 1 else _place, murmur3)
    encode = _encoder(flag_key, version)
    # The usual distribution is written out: then only the unit has to be looked at.
    ready = _constant_buckets(arguments[1:])

    def fractional(data: Any, run: Run) -> Any:
        if not arguments:
            return None
        first = arguments[0](data, run)
        given = isinstance(first, str) if version != 3 else not isinstance(first, list | tuple)
        unit = encode(first if given else targeting_key(run), shorthand=not given)
        if given and ready is not None:
            return None if unit is None else place(unit, ready)
        values = [node(data, run) for node in arguments[1:]]
        buckets = _buckets(values if given else [first, *values])
        if unit is None or buckets is None:
            return None
        return place(unit, buckets)

    return fractional


def _constant_buckets(nodes: Sequence[Node]) -> "_Buckets | None":
    if not all(map(is_constant, nodes)):
        return None
    run = Run({})
    return _buckets([node(None, run) for node in nodes])


def _encoder(flag_key: str, version: FractionalVersion) -> Callable[..., bytes | None]:
    """Return what is hashed of a unit: text alone in versions 1 and 2, any value as CBOR in version 3."""

    def encode(unit: Any, *, shorthand: bool) -> bytes | None:
        if shorthand and (not isinstance(unit, str) or not unit):
            return None
        if version == 3:
            return None if unit is None else canonical_cbor([flag_key, unit] if shorthand else unit)
        return f"{flag_key if shorthand else ''}{unit}".encode("utf-8", "surrogatepass")

    return encode


@dataclass(frozen=True, slots=True)
class _Buckets:
    """A distribution: the end of each variant's share, in order."""

    ends: tuple[tuple[int, Any], ...]
    total: int


def _buckets(values: Sequence[Any]) -> _Buckets | None:
    """Return variants and weights, or ``None`` for what is no distribution; below zero is zero."""
    ends: list[tuple[int, Any]] = []
    total = 0
    for value in values:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= 2:
            return None
        weight = value[1] if len(value) > 1 else 1
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight != weight // 1:
            return None
        if isinstance(value[0], list | tuple | dict):
            return None
        total += max(0, int(weight))
        ends.append((total, value[0]))
    return _Buckets(tuple(ends), total) if 0 < total <= _MAX_INT32 else None


def _place(murmur3: Callable[[bytes, int], int], unit: bytes, buckets: _Buckets) -> Any:
    place = murmur3(unit, 0) * buckets.total >> 32
    for end, variant in buckets.ends:
        if place < end:
            return variant
    return None


def _place_v1(murmur3: Callable[[bytes, int], int], unit: bytes, buckets: _Buckets) -> Any:
    """Return the variant as before 2026: the absolute value of the signed hash as a share of 100."""
    unsigned = murmur3(unit, 0)
    signed = unsigned - (1 << 32) if unsigned > _MAX_INT32 else unsigned
    place = abs(signed) / _MAX_INT32 * 100
    reached = 0
    share = 0.0
    for end, variant in buckets.ends:  # summed one by one, as the floats of the others are
        share += (end - reached) * 100 / buckets.total
        reached = end
        if place < share:
            return variant
    return None
