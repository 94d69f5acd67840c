"""What GrowthBook makes of values: JavaScript's types, equality, order and versions."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

from shared.feature_flags.readers._javascript import is_number, to_text

Get: TypeAlias = Callable[[Mapping[str, Any]], Any]

_STRIPPED: Final = re.compile(r"(^v|\+.*$)")
_PARTS: Final = re.compile(r"[-.]")
_LISTS: Final = (list, tuple, set, frozenset)
_MOST_INDEX: Final = 2**32 - 1


def js_type(value: Any) -> str:
    """Return the type as ``$type`` names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, _LISTS):
        return "array"
    return "object" if isinstance(value, Mapping) else "unknown"


def is_list(value: Any) -> bool:
    """Return whether *value* is an array."""
    return isinstance(value, _LISTS)


def is_on(value: Any) -> bool:
    """Return whether JavaScript takes *value* for true; an empty list or object is."""
    if value is True:
        return True
    if value is None or value is False or value == "":
        return False
    return not is_number(value) or not (value == 0 or math.isnan(value))


def path_getter(path: str, aliases: Mapping[str, str]) -> Get:
    """Return a function that reads a dotted path; a list has its indices and ``length``."""
    first, *rest = path.split(".")
    alias = aliases.get(first)
    if not rest and alias is None:
        return lambda attributes: (
            attributes.get(path) if type(attributes) is dict else _step(attributes, path)
        )

    def get(attributes: Any) -> Any:
        value = _step(attributes, first)
        if value is None and alias is not None and isinstance(attributes, Mapping):
            value = attributes.get(alias)
        for name in rest:
            value = _step(value, name)
        return value

    return get


def _step(value: Any, name: str) -> Any:
    if type(value) is dict or isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, list | tuple):
        if name == "length":
            return len(value)
        if _is_index(name, len(value)):
            return value[int(name)]
    return None


def _is_index(name: str, length: int) -> bool:
    return (
        len(name) <= 10
        and name.isascii()
        and name.isdigit()
        and (name == "0" or name[0] != "0")
        and int(name) < length
    )


def same(left: Any, right: Any) -> bool:
    """Return ``===`` of two values that come from different documents: no list equals another."""
    kind = js_type(left)
    return kind == js_type(right) and kind not in {"array", "object", "unknown"} and bool(left == right)


def deep_same(left: Any, right: Any) -> bool:
    """Return whether two values have the same JSON: same types, same order of keys."""
    kind = js_type(left)
    if kind != js_type(right):
        return False
    if kind == "array":
        return len(left) == len(right) and all(
            deep_same(_json(one), _json(other)) for one, other in zip(left, right, strict=True)
        )
    if kind == "object":
        return _key_order(left) == _key_order(right) and all(
            deep_same(_json(left[key]), _json(right[key])) for key in left
        )
    return bool(left == right)


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _key_order(value: Mapping[Any, Any]) -> list[Any]:
    indices = [key for key in value if isinstance(key, str) and _is_index(key, _MOST_INDEX)]
    return sorted(indices, key=int) + [key for key in value if key not in set(indices)]


def orderable(left: Any, right: Any) -> bool:
    """Return whether the two have an order: both numbers, or both texts."""
    return (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def order(left: Any, right: Any) -> int | None:
    """Return -1, 0 or 1; ``None`` where there is no order. Texts compare by UTF-16 units."""
    if not orderable(left, right):
        return None
    if isinstance(left, str) and not (left.isascii() and right.isascii()):
        left, right = (text.encode("utf-16-be", "surrogatepass") for text in (left, right))
    elif left != left or right != right:  # noqa: PLR0124 (NaN has no order)
        return None
    return int(left > right) - int(left < right)


def padded_version(value: Any) -> str:
    """Return a version as text that sorts as versions do: ``1.2.10`` after ``1.2.9``."""
    text = to_text(value) if is_number(value) else value
    if not isinstance(text, str) or not text:
        text = "0"
    parts = _PARTS.split(_STRIPPED.sub("", text))
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts)


def unit_text(value: Any) -> str:
    """Return the text a unit is hashed by; empty for what identifies nobody."""
    if isinstance(value, str):
        return value
    if isinstance(value, UUID):
        return str(value)
    if not is_number(value):
        return ""
    try:
        return to_text(value) if value != 0 and math.isfinite(value) else ""
    except OverflowError:
        return ""


class Members:
    """A list of values to look one up in, as ``Array.includes`` would; hashed once."""

    __slots__ = ("_has_null", "_known")

    def __init__(self, values: Sequence[Any], *, fold: bool = False) -> None:
        plain = [_folded(value) if fold else value for value in values]
        self._has_null = any(value is None for value in plain)
        self._known = frozenset(_token(value) for value in plain if isinstance(value, str | int | float))

    def has(self, value: Any) -> bool:
        """Return whether *value*, or for a list any of its items, is among them."""
        if isinstance(value, str):
            return value in self._known
        if value is None:
            return self._has_null
        if isinstance(value, int | float):
            return _token(value) in self._known
        return is_list(value) and any(self.has(item) for item in value if not is_list(item))


def _token(value: Any) -> Any:
    # A boolean equals 0 or 1 in Python and nothing but itself in JavaScript.
    return (value,) if isinstance(value, bool) else value


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def folded(value: Any) -> Any:
    """Return *value* in lower case; of a list, each item."""
    return [_folded(item) for item in value] if is_list(value) else _folded(value)
