"""One walk through one structure: what is masked, how deep, how much."""

from collections import deque
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final
from uuid import UUID

from shared.security._masking import MASK, SHORTEST, mask_with
from shared.security._names import Verdict, Verdicts

__all__ = ["ATOMS", "CUT", "Walk", "hide", "mask_long"]

CUT: Final = "<cut>"

ATOMS: Final = frozenset(
    {int, float, bool, type(None), datetime, date, time, timedelta, Decimal, UUID, complex}
)
_MASK_BYTES: Final = MASK.encode()
_NUMBERS: Final = frozenset({int, float, Decimal})
_TAIL: Final = 1024  # characters before a cut in which the beginning of a secret may hide
_TRUSTED: Final = 4  # levels walked before cycles are looked for: nearly all data ends here


def hide(value: Any, verdict: int) -> Any:
    """Return the mask of a *value* under a secret name; nothing and yes/no are no secrets."""
    kind = type(value)
    if kind is str:
        return MASK if value else value
    if value is None or kind is bool or (kind in _NUMBERS and verdict == Verdict.TEXT_SECRET):
        return value
    if kind is bytes or kind is bytearray:
        return _MASK_BYTES if value else value
    return MASK


def mask_long(text: str, limit: int, verdicts: Verdicts) -> str:
    """Mask *text*; beyond *limit* characters it is shortened first.

    Then the last words of the head go too: a secret that the cut goes through may
    no longer be recognisable.
    """
    if len(text) <= limit:
        return mask_with(text, verdicts)
    head = mask_with(text[:limit], verdicts)
    return f"{head[: max(0, len(head) - _TAIL)].rpartition(' ')[0]} {CUT}"


class Walk:
    """The state of one call: the budget that is left and, deep down, the path walked.

    Exact dictionaries and lists are walked by the shortest code; everything rarer
    is brought into their shape first.
    """

    __slots__ = ("left", "limit", "path", "verdicts", "watched")

    def __init__(self, verdicts: Verdicts, max_depth: int, max_items: int, max_text: int) -> None:
        self.verdicts = verdicts
        self.left = max_items
        self.limit = max_text
        self.watched = max(1, max_depth - _TRUSTED)
        self.path: set[int] | None = None

    def visit(self, value: Any, depth: int) -> Any:
        """Return *value* without secrets; itself when it holds none. Never raises."""
        kind = type(value)
        try:
            if kind is dict:
                return self._mapping(value, depth)
            if kind is list or kind is tuple:
                return self._sequence(value, depth)
            return value if kind in ATOMS else self._other(value, kind, depth)
        except Exception:  # noqa: BLE001 - a hostile object must neither pass nor harm the caller
            return MASK

    def _mapping(self, value: dict[Any, Any], depth: int, *, checked: bool = False) -> Any:
        if not checked:
            if depth < self.watched or len(value) > self.left:
                return self._carefully(value, depth)
            self.left -= len(value)
        depth -= 1
        verdicts = self.verdicts
        out: dict[Any, Any] | None = None
        secret_record = "value" in value and _is_secret_record(value, verdicts)
        for key, item in value.items():
            kind = type(item)
            if verdict := verdicts[key]:
                new = hide(item, verdict)
            elif secret_record and key == "value":
                new = hide(item, Verdict.SECRET)
            elif kind is str:
                size = len(item)
                if size < SHORTEST and "=" not in item and ":" not in item:
                    continue
                new = mask_with(item, verdicts) if size <= self.limit else self._text(item)
            elif kind in ATOMS:
                continue
            elif kind is dict:
                new = self._mapping(item, depth)
            elif kind is list:
                new = self._sequence(item, depth)
            else:
                new = self.visit(item, depth)
            if new is not item:
                if out is None:
                    out = dict(value)
                out[key] = new
        return value if out is None else out

    def _sequence(self, value: Any, depth: int, *, checked: bool = False) -> Any:
        if not checked:
            if depth < self.watched or len(value) > self.left:
                return self._carefully(value, depth)
            self.left -= len(value)
        depth -= 1
        verdicts = self.verdicts
        out: list[Any] | None = None
        for index, item in enumerate(value):
            kind = type(item)
            if kind is str:
                size = len(item)
                if size < SHORTEST and "=" not in item and ":" not in item:
                    continue
                new = mask_with(item, verdicts) if size <= self.limit else self._text(item)
            elif kind in ATOMS:
                continue
            elif kind is dict:
                new = self._mapping(item, depth)
            elif (kind is tuple or kind is list) and len(item) == 2 and (verdict := self._of_pair(item)):
                hidden = hide(item[1], verdict)
                new = item if hidden is item[1] else kind((item[0], hidden))
            else:
                new = self.visit(item, depth)
            if new is not item:
                if out is None:
                    out = list(value)
                out[index] = new
        if out is None:
            return value
        return tuple(out) if type(value) is tuple else out

    def _of_pair(self, pair: Any) -> int:
        """Return the verdict on a header or form pair, text or bytes."""
        name = pair[0]
        if isinstance(name, str):
            return self.verdicts[name] if " " not in name else Verdict.PLAIN  # prose, such as "Bearer ***"
        return self.verdicts[name] if isinstance(name, bytes) and b" " not in name else Verdict.PLAIN

    def _carefully(self, value: Any, depth: int) -> Any:
        """Walk what is deep, may be a cycle, or is larger than the budget."""
        if not value:
            return value
        path = self.path = self.path or set()
        left = self.left
        if depth <= 0 or left <= 0 or id(value) in path:
            return CUT
        path.add(id(value))
        self.left = max(0, left - len(value))
        try:
            if type(value) is dict:
                head = value if len(value) <= left else dict(islice(value.items(), left))
                clean = self._mapping(head, depth, checked=True)
                return value if clean is value else {**dict.fromkeys(value, CUT), **clean}
            head = value if len(value) <= left else value[:left]
            clean = self._sequence(head, depth, checked=True)
            return value if clean is value else clean + type(clean)((CUT,)) * (len(value) - len(clean))
        finally:
            path.discard(id(value))

    def _text(self, text: str) -> str:
        return mask_long(text, self.limit, self.verdicts)

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if isinstance(value, str):  # a member of a StrEnum or another subclass stays itself when clean
            plain = str.__str__(value)
            clean = self._text(plain)
            return value if clean == plain else clean
        if isinstance(value, bytes | bytearray):
            text = value.decode("latin-1")
            clean = self._text(text)
            return value if clean == text else clean.encode("latin-1")
        if isinstance(value, Mapping):
            entries = dict(value.items())
            found = self._mapping(entries, depth)
            return value if found is entries else found
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return self._named_tuple(value, kind, depth)
        if isinstance(value, list | tuple | set | frozenset | deque):
            items = list(value)
            found = self._sequence(items, depth)
            return value if found is items else _rebuild(value, found)
        if callable(getattr(kind, "get_secret_value", None)):
            return MASK
        # A model always becomes a dictionary, so that its type does not depend on its secrets.
        fields = _fields_of(value, kind)
        return value if fields is None else self._mapping(fields, depth)

    def _named_tuple(self, value: Any, kind: Any, depth: int) -> Any:
        before = dict(zip(kind._fields, value, strict=True))
        after = self._mapping(before, depth)
        if after is before or after is CUT:
            return value if after is before else CUT
        return kind._make(after[name] for name in kind._fields)


def _rebuild(value: Any, items: Any) -> Any:
    """Return *items* in the likeness of *value*, a subclass or a rarer collection."""
    if items is CUT:
        return CUT
    if isinstance(value, tuple):
        return tuple(items)
    if isinstance(value, set | frozenset):
        try:
            return set(items) if isinstance(value, set) else frozenset(items)
        except TypeError:  # a member became a dictionary
            return items
    return deque(items, value.maxlen) if isinstance(value, deque) else items


def _is_secret_record(value: Mapping[Any, Any], verdicts: Verdicts) -> bool:
    """Tell whether *value* is ``{"name": "DB_PASSWORD", "value": …}``."""
    label = value.get("name", value.get("key"))
    return isinstance(label, str) and bool(verdicts[label])


def _fields_of(value: Any, kind: type) -> dict[str, Any] | None:
    """Return the fields of a dataclass or pydantic model, known by its shape, else None."""
    if is_dataclass(kind):
        return {field.name: getattr(value, field.name, None) for field in dataclass_fields(kind)}
    names = getattr(kind, "model_fields", None) or getattr(kind, "__fields__", None)
    if not isinstance(names, Mapping):
        return None
    held = vars(value)
    fields = {name: held[name] for name in names if name in held}
    extra = getattr(value, "__pydantic_extra__", None)
    return {**fields, **extra} if extra else fields
