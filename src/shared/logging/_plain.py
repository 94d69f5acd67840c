"""A copy of any value in what JSON knows, bounded in depth, size and time."""

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from shared.logging._text import clip, safe_repr, safe_text, type_name

__all__ = ["MASK", "Limits", "plain"]

MASK: Final = "***"
_INT64: Final = 1 << 63
_UINT64: Final = 1 << 64
_HUGE_BITS: Final = 4096  # a longer number is described, not written out
_MAX_ARRAY: Final = 1000  # elements


@dataclasses.dataclass(slots=True)
class Limits:
    """How much of a value may be copied; the counters run down during one copy.

    Attributes:
        depth: Levels of nesting.
        nodes: Values in total; what is beyond is counted and left out.
        text: Characters of one string.
    """

    depth: int = 8
    nodes: int = 4000
    text: int = 8000


def plain(value: Any, limits: Limits | None = None) -> Any:
    """Return *value* as dicts with text keys, lists, text, numbers, booleans and None.

    Never raises but for ``KeyboardInterrupt`` and ``SystemExit``; cycles become
    ``"<cycle>"``, what is too deep ``"<depth>"``. Secret types come out masked.

    Example:
        >>> from uuid import UUID
        >>> plain({1: {UUID(int=7)}, "big": 2**70})
        {'1': ['00000000-0000-0000-0000-000000000007'], 'big': '1180591620717411303424'}
    """
    limits = limits or Limits()
    return _copy(value, limits.depth, limits, set())


def _copy(value: Any, depth: int, limits: Limits, path: set[int]) -> Any:
    if value is None or value is True or value is False:
        return value
    cls = type(value)
    simple = _SIMPLE.get(cls)
    if simple is not None:
        return simple(value, limits)
    limits.nodes -= 1
    if limits.nodes < 0:
        return "<cut>"
    try:
        return _copy_object(value, depth, limits, path)
    except Exception as exc:  # noqa: BLE001 - a hostile object must not reach the caller
        return f"<{type_name(value)}: {type(exc).__name__} while logged>"


def _copy_object(value: Any, depth: int, limits: Limits, path: set[int]) -> Any:
    cls = type(value)
    for base, convert in _BY_BASE:
        if isinstance(value, base):
            return convert(value, limits)
    if getattr(cls, "get_secret_value", None) is not None:
        return MASK
    items = _items(value, cls)
    if items is None:
        converted = _foreign(value, cls)
        if converted is value:
            # What a class prints of itself, when it says anything about that.
            show = safe_text if _has_own_str(cls) else safe_repr
            return _text(show(value, limits.text), limits)
        return _copy(converted, depth, limits, path)
    if id(value) in path:
        return "<cycle>"
    if depth <= 0:
        return "<depth>"
    path.add(id(value))
    try:
        return items(value, depth - 1, limits, path)
    finally:
        path.discard(id(value))


def _has_own_str(cls: type) -> bool:
    return any("__str__" in vars(base) for base in cls.__mro__[:-1])


_Walk = Callable[[Any, int, Limits, set[int]], Any]


def _items(value: Any, cls: type) -> _Walk | None:
    """Return how to walk *value*, or None when it is no container we know."""
    if isinstance(value, Mapping):
        return _walk_mapping
    if isinstance(value, tuple) and hasattr(cls, "_fields"):
        return _walk_named_tuple
    if isinstance(value, list | tuple | set | frozenset) or cls.__name__ in (
        "deque",
        "dict_keys",
        "dict_values",
    ):
        return _walk_sequence
    if dataclasses.is_dataclass(value):
        return _walk_dataclass
    if isinstance(getattr(cls, "model_fields", None), Mapping):
        return _walk_model
    if isinstance(getattr(cls, "__attrs_attrs__", None), tuple):
        return _walk_attrs
    return None


def _walk_mapping(value: Mapping[Any, Any], depth: int, limits: Limits, path: set[int]) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    total = len(value)
    for key, item in value.items():
        if limits.nodes <= 0:
            copy["<cut>"] = f"{total - len(copy)} more"
            break
        limits.nodes -= 1
        copy[_key(key, limits)] = _copy(item, depth, limits, path)
    return copy


def _walk_sequence(value: Any, depth: int, limits: Limits, path: set[int]) -> list[Any]:
    copy: list[Any] = []
    total = len(value)
    for item in value:
        if limits.nodes <= 0:
            copy.append(f"<cut: {total - len(copy)} more>")
            break
        limits.nodes -= 1
        copy.append(_copy(item, depth, limits, path))
    return copy


def _walk_named_tuple(value: Any, depth: int, limits: Limits, path: set[int]) -> dict[str, Any]:
    return _walk_mapping(dict(zip(value._fields, value, strict=False)), depth, limits, path)


def _walk_dataclass(value: Any, depth: int, limits: Limits, path: set[int]) -> dict[str, Any]:
    # A field that its own repr leaves out is left out here too.
    shown = {
        field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr
    }
    return _walk_mapping(shown, depth, limits, path)


def _walk_model(value: Any, depth: int, limits: Limits, path: set[int]) -> dict[str, Any]:
    fields = type(value).model_fields
    shown = {
        name: getattr(value, name, None)
        for name, field in fields.items()
        if getattr(field, "repr", True) and not getattr(field, "exclude", None)
    }
    shown.update(getattr(value, "model_extra", None) or {})
    return _walk_mapping(shown, depth, limits, path)


def _walk_attrs(value: Any, depth: int, limits: Limits, path: set[int]) -> dict[str, Any]:
    shown = {
        field.name: getattr(value, field.name, None) for field in type(value).__attrs_attrs__ if field.repr
    }
    return _walk_mapping(shown, depth, limits, path)


def _foreign(value: Any, cls: type) -> Any:
    """Return what an array or scalar of a numeric library stands for; else *value* itself."""
    if hasattr(cls, "tolist") and hasattr(cls, "dtype"):
        size = getattr(value, "size", 1)
        if isinstance(size, int) and size > _MAX_ARRAY:
            return f"<{type_name(value)} shape={getattr(value, 'shape', '?')} dtype={value.dtype}>"
        return value.tolist()
    return value


def _key(key: Any, limits: Limits) -> str:
    if type(key) is str:
        return _text(key, limits)
    if isinstance(key, bytes):
        return _bytes(key, limits)
    if isinstance(key, Enum):
        key = key.value
    return _text("null" if key is None else safe_text(key, limits.text), limits)


# --- leaves --------------------------------------------------------------------------


def _text(value: str, limits: Limits) -> str:
    text = clip(str.__str__(value), limits.text)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: from os.fsdecode, or sent to hurt
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _int(value: int, limits: Limits) -> int | str:  # noqa: ARG001 - one signature for all leaves
    number = int(value)
    if -_INT64 <= number < _UINT64:
        return number
    if number.bit_length() > _HUGE_BITS:
        return f"<int of {number.bit_length()} bits>"
    return str(number)


def _float(value: float, limits: Limits) -> float | str:  # noqa: ARG001
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _bytes(value: bytes | bytearray | memoryview, limits: Limits) -> str:
    total = len(value)
    head = bytes(value[: limits.text])
    text = head.decode("utf-8", "backslashreplace")
    return text if total <= limits.text else f"{text}…[+{total - limits.text} bytes]"


def _moment(value: Any, limits: Limits) -> str:
    """Return a date or time in ISO 8601; a time zone that fails is left out and named."""
    try:
        return clip(str.__str__(value.isoformat()), limits.text)
    except Exception:  # noqa: BLE001 - a tzinfo is foreign code
        naive = value.replace(tzinfo=None)
        return f"{naive.isoformat()} <{type_name(value.tzinfo)} failed>"


def _error(value: BaseException, limits: Limits) -> dict[str, str]:
    return {"type": type_name(value), "message": _text(safe_text(value, limits.text), limits)}


def _enum(value: Enum, limits: Limits) -> Any:
    return _copy(value.value, 1, limits, set())


_SIMPLE: Final[dict[type, Callable[[Any, Limits], Any]]] = {
    str: _text,
    int: _int,
    float: _float,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    dt.datetime: _moment,
    dt.date: _moment,
    dt.time: _moment,
    dt.timedelta: lambda value, _limits: value.total_seconds(),
}
_BY_BASE: Final[tuple[tuple[type, Callable[[Any, Limits], Any]], ...]] = (
    (Enum, _enum),
    (str, _text),
    (bool, lambda value, _limits: bool(value)),
    (int, _int),
    (float, _float),
    (bytes, _bytes),
    (bytearray, _bytes),
    (dt.date, _moment),
    (dt.time, _moment),
    (dt.timedelta, lambda value, _limits: value.total_seconds()),
    (BaseException, _error),
    (type, lambda value, _limits: f"{value.__module__}.{value.__qualname__}"),
)
