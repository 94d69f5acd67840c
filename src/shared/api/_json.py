"""JSON bytes of any value a handler may return.

``orjson`` does the work; what it refuses (whole numbers beyond 64 bits, lone
surrogates, exotic keys, pydantic models inside plain data) goes through a slower
copy that it accepts. Not-a-number and the infinities become ``null`` on both
ways, because JSON has no spelling for them (RFC 8259, section 6).
"""

import base64
import json
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import orjson

from shared.errors import SharedError

__all__ = ["dumps", "dumps_lossy"]

# Date and time pass through our own function: orjson 3.13 crashes the process on
# a tzinfo that raises, and writes "+00:00" where pydantic writes "Z".
_QUICK: Final = orjson.OPT_PASSTHROUGH_DATETIME
_ANY_KEYS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME  # half as fast again
_MAX_DEPTH: Final = 400  # levels; below the interpreter's own recursion limit
_MAX_LOSSY_PARTS: Final = 10_000
_MAX_INT_BITS: Final = 14_000  # about 4 200 digits; int -> str refuses more than 4 300


def dumps(value: Any) -> bytes:
    """Return *value* as compact UTF-8 JSON.

    Decimals, UUIDs, paths and durations become strings, dates ISO 8601 (UTC as
    ``Z``), sets and iterators lists, bytes text or base64, models and dataclasses
    objects; NaN and the infinities become ``null``, lone surrogates U+FFFD.

    Raises:
        SharedError: The value holds something without a JSON form, or nests
            deeper than 400 levels (a cycle does).

    Example:
        >>> from decimal import Decimal
        >>> dumps({"price": Decimal("1.10"), "big": 2**70, 3: float("nan")})
        b'{"price":"1.10","big":1180591620717411303424,"3":null}'
    """
    try:
        return orjson.dumps(value, _scalar, _QUICK)
    except Exception:  # noqa: BLE001 - whatever the value's own code raised; the slow way says what is wrong
        return _dumps_slowly(value, lossy=False)


def dumps_lossy(value: Any) -> bytes:
    """Return *value* as JSON, replacing what has no JSON form by its type's name; never raises."""
    try:
        return orjson.dumps(value, _scalar, _QUICK)
    except Exception:  # noqa: BLE001
        return _dumps_slowly(value, lossy=True)


def _dumps_slowly(value: Any, *, lossy: bool) -> bytes:
    try:
        return orjson.dumps(value, _scalar, _ANY_KEYS)
    except Exception:  # noqa: BLE001
        return _encode(_Copier(lossy=lossy).copy(value))


def _encode(plain: Any) -> bytes:
    return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _iso(value: Any) -> str:
    text: str = value.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def _bytes(value: bytes | bytearray | memoryview) -> str:
    raw = bytes(value)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode("ascii")


def _duration(value: timedelta) -> str:
    from pydantic_core import to_jsonable_python

    return str(to_jsonable_python(value))


_SCALARS: Final[tuple[tuple[Any, Any], ...]] = (
    (datetime, _iso),
    (date, _iso),
    (time, _iso),
    (Decimal, str),
    (UUID, str),
    (PurePath, str),
    (timedelta, _duration),
    (bytes | bytearray | memoryview, _bytes),
    (set | frozenset | deque, list),
)


def _scalar(value: Any) -> Any:
    """Give orjson a form it knows; its ``default`` hook."""
    for kind, convert in _SCALARS:
        if isinstance(value, kind):
            return convert(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(mode="json", by_alias=True)
    raise TypeError(type(value).__name__)


def _text(value: str) -> str:
    # Joins surrogate pairs into the character they mean, replaces lonely ones.
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _number(value: int) -> int | str:
    return int(value) if value.bit_length() <= _MAX_INT_BITS else hex(value)


class _Copier:
    """Copies a value into what the standard library's encoder accepts.

    Args:
        lossy: Replace what has no JSON form instead of raising. Then the number of
            parts is bounded, too: a value may hold itself many times over.
    """

    def __init__(self, *, lossy: bool) -> None:
        self._lossy = lossy
        self._left = _MAX_LOSSY_PARTS if lossy else None

    def copy(self, value: Any, depth: int = 0) -> Any:
        """Return the copy of *value* at *depth* levels below the top."""
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Enum):
            return self.copy(value.value, depth + 1)
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int):
            return _number(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        try:
            self._check(depth)
            return self._structure(value, depth)
        except Exception as exc:
            if self._lossy:
                return f"<{type(value).__name__}>"
            if isinstance(exc, SharedError):
                raise
            kind = type(value).__name__
            msg = f"data cannot be sent as JSON: no form for a value of type {kind!r}; convert it first"
            raise SharedError(msg) from exc

    def _check(self, depth: int) -> None:
        if depth >= _MAX_DEPTH:
            msg = f"data cannot be sent as JSON: it nests deeper than {_MAX_DEPTH} levels or holds itself"
            raise SharedError(msg)
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                msg = f"more than {_MAX_LOSSY_PARTS} parts"
                raise SharedError(msg)

    def _structure(self, value: Any, depth: int) -> Any:
        below = depth + 1
        if isinstance(value, Mapping):
            return {_key(key): self.copy(item, below) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.copy(item, below) for item in value]
        if isinstance(value, type):
            raise TypeError(value.__name__)
        if is_dataclass(value):
            return {f.name: self.copy(getattr(value, f.name), below) for f in fields(value)}
        dump = getattr(value, "model_dump", None)
        if dump is not None:
            return self.copy(dump(by_alias=True), below)
        try:
            return self.copy(_scalar(value), below)
        except TypeError:
            if isinstance(value, Iterable):
                return [self.copy(item, below) for item in value]
            raise


def _key(key: Any) -> str:
    """Return an object key: JSON has only text there."""
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return _text(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return str(_number(key))
    if isinstance(key, float):
        return repr(float(key)) if math.isfinite(key) else "null"
    if isinstance(key, (datetime, date, time)):
        return _iso(key)
    return _text(_bytes(key) if isinstance(key, bytes) else str(key))
