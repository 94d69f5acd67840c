"""What JavaScript makes of values: JsonLogic and GrowthBook conditions are written for it."""

import math
import re
from typing import Any, Final

from shared.feature_flags.readers._values import number_text

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_RADIX: Final = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_MAX_TEXT: Final = 400
_SPACE: Final = " \t\n\v\f\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def is_number(value: Any) -> bool:
    """Return whether *value* is a number there; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def truthy(value: Any) -> bool:
    """Return whether *value* counts as true in JsonLogic: JavaScript, but an empty list is false."""
    if value is None or value is False:
        return False
    if isinstance(value, dict):
        return True
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    if isinstance(value, str | int | list | tuple):
        return bool(value)
    return True


def to_number(value: Any) -> float:
    """Return ``Number(value)``; what is no number is NaN."""
    if isinstance(value, bool) or value is None:
        return 1.0 if value else 0.0
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, list | tuple):
        value = to_text(value)
    if not isinstance(value, str):
        return math.nan
    return _parsed(value.strip(_SPACE))


def _parsed(text: str) -> float:
    if not text:
        return 0.0
    if len(text) > _MAX_TEXT:
        return math.nan
    if _NUMBER.fullmatch(text):
        return float(text)
    if _RADIX.fullmatch(text):
        return float(int(text, 0))
    return {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}.get(text, math.nan)


def to_text(value: Any) -> str:
    """Return ``String(value)``."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value)) if abs(value) < 10**21 else repr(to_number(value))
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, list | tuple):
        return ",".join("" if item is None else to_text(item) for item in value)
    return "[object Object]"


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return number_text(value)


def strict_equal(left: Any, right: Any) -> bool:
    """Return ``left === right``; two lists, or objects, are equal only when they are the same one."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return left is right


def loose_equal(left: Any, right: Any) -> bool:
    """Return ``left == right``."""
    if type(left) is str and type(right) is str:
        return left == right
    if left is None or right is None:
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    plain = (str, bool, int, float)
    if not isinstance(left, plain) and not isinstance(right, plain):
        return left is right
    if isinstance(left, str) and not isinstance(right, plain):
        return left == to_text(right)
    if isinstance(right, str) and not isinstance(left, plain):
        return right == to_text(left)
    return to_number(left) == to_number(right)


def less(left: Any, right: Any, *, or_equal: bool = False) -> bool:
    """Return ``left < right`` (or ``<=``): as text when both are, else as numbers."""
    if isinstance(left, list | tuple | dict):
        left = to_text(left)
    if isinstance(right, list | tuple | dict):
        right = to_text(right)
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = to_number(left), to_number(right)
    return bool(left <= right if or_equal else left < right)
