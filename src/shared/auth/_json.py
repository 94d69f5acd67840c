"""JSON as it stands in tokens: UTF-8, no name twice, no number that is none, not deep.

Source: RFC 7515, section 4 and RFC 7519, section 4 (unique names); RFC 8725, section 3.7.
"""

import json
import math
from typing import Any, Final

__all__ = ["dumps", "parse_object"]

_MAX_DEPTH: Final = 16


def dumps(value: Any) -> bytes:
    """Return *value* as compact JSON.

    Raises:
        TypeError: Something in it is not JSON.
        ValueError: A number is not finite, text has half a character, or it refers to itself.
    """
    return _encode(value).encode("utf-8")


def parse_object(data: bytes) -> dict[str, Any] | None:
    """Return the object that *data* is, or None when it is none or breaks a rule."""
    if data.count(b"{") + data.count(b"[") > _MAX_DEPTH and _depth(data) > _MAX_DEPTH:
        return None
    try:
        found = _parse(data.decode("utf-8"))
        if b"\\u" in data:  # only an escape can make half a surrogate pair
            _encode(found).encode("utf-8")
    except (ValueError, RecursionError):  # also UnicodeError and json.JSONDecodeError
        return None
    return found if type(found) is dict else None


def _depth(data: bytes) -> int:
    """Return how deep the brackets outside of texts go."""
    deepest = depth = 0
    in_text = escaped = False
    for byte in data:
        if escaped:
            escaped = False
        elif in_text:
            in_text = byte != 0x22
            escaped = byte == 0x5C
        elif byte == 0x22:
            in_text = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _refuse(name: str) -> Any:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


_parse: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse
).decode
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
