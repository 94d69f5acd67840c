"""One comparison of a condition, as a function of the context.

Every function answers False where the attribute is missing, None, or of a type that does not
fit, and raises nothing, whatever the attribute is. The ``try`` costs nothing when it is not needed.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, TypeAlias

from shared.feature_flags._regex import compile_bounded
from shared.feature_flags._semver import parse_version

__all__ = ["Context", "Test", "build_test", "getter", "is_text_in", "text_values"]

Context: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Context], bool]
_ValueTest: TypeAlias = Callable[[Any], bool]

_MOST_VALUES: Final = 20_000
_LONGEST_TEXT: Final = 64  # of a moment or an address
_NUMBERS: Final = (int, float, Decimal)
_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge
}  # fmt: skip


def getter(attr: str) -> Callable[[Context], Any]:
    """Return a function that finds *attr*; a dotted name that is no key is followed step by step."""
    if "." not in attr:

        def get(ctx: Context) -> Any:
            return ctx.get(attr)

        return get
    steps = attr.split(".")

    def follow(ctx: Context) -> Any:
        found = ctx.get(attr)
        if found is not None:
            return found
        found = ctx
        for step in steps:
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        return found

    return follow


def build_test(attr: str, op: str, value: Any) -> Test:
    """Return the comparison as a function of the context.

    Raises:
        ValueError: *value* does not fit *op*.
    """
    texts = text_values(attr, op, value)
    if texts is not None:
        return _text_in(*texts)
    get, test = getter(attr), _value_test(op, value)

    def compare(ctx: Context) -> bool:
        try:
            return test(get(ctx))
        except Exception:  # noqa: BLE001 - an attribute may be anything, and fail in its own way
            return False

    return compare


def text_values(attr: str | None, op: str | None, value: Any) -> tuple[str, frozenset[str]] | None:
    """Return the attribute and the texts it may be, where that is all there is to compare."""
    if attr is None or "." in attr:
        return None
    if op == "eq" and type(value) is str:
        return attr, frozenset({value})
    if op == "in" and isinstance(value, (list, tuple)) and 0 < len(value) <= _MOST_VALUES:
        return (attr, frozenset(value)) if set(map(type, value)) == {str} else None
    return None


def is_text_in(found: Any, values: frozenset[str]) -> bool:
    """Tell whether *found* is one of the texts; also for subclasses of text, and strangers."""
    try:
        return isinstance(found, str) and str.__str__(found) in values
    except Exception:  # noqa: BLE001 - an attribute may be anything, and fail in its own way
        return False


def _text_in(attr: str, values: frozenset[str]) -> Test:
    def compare(ctx: Context) -> bool:
        found = ctx.get(attr)
        if type(found) is str:
            return found in values
        return is_text_in(found, values)

    return compare


def _value_test(op: str, value: Any) -> _ValueTest:
    if op in ("eq", "ne"):
        return _equality(op, value)
    if op in ("in", "not_in"):
        return _membership(op, value)
    if op in _ORDER:
        return _ordering(op, value)
    if op.startswith("semver_"):
        return _version(op.removeprefix("semver_"), value)
    return _BUILDERS[op](value)


# --- equality ------------------------------------------------------------------------------


def _kind(value: Any) -> str | None:
    """Return what *value* can be equal to: True is no number, and text is only text."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, _NUMBERS) else None


def _plain(value: Any) -> Any:
    return str.__str__(value) if isinstance(value, str) else value


def _equality(op: str, value: Any) -> _ValueTest:
    kind, same = _scalar(value), op == "eq"
    value = _plain(value)
    return lambda found: _kind(found) == kind and (_plain(found) == value) is same


def _scalar(value: Any) -> str:
    kind = _kind(value)
    if kind is None:
        msg = f"a text, a number or a boolean expected, got {type(value).__name__}"
        raise ValueError(msg)
    return kind


def _membership(op: str, value: Any) -> _ValueTest:
    values = frozenset((_scalar(item), _plain(item)) for item in _list(value))
    wanted = op == "in"

    def test(found: Any) -> bool:
        kind = _kind(found)
        return kind is not None and ((kind, _plain(found)) in values) is wanted

    return test


def _list(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)) or not 0 < len(value) <= _MOST_VALUES:
        msg = f"a list of 1 to {_MOST_VALUES} values expected"
        raise ValueError(msg)
    return list(value)


def _texts(value: Any) -> list[str]:
    """Return *value* as a list of texts; one text is a list of one."""
    items = [value] if isinstance(value, str) else _list(value)
    if not all(isinstance(item, str) and item for item in items):
        msg = "a text that is not empty, or a list of them, expected"
        raise ValueError(msg)
    return [str(item) for item in items]


# --- order ---------------------------------------------------------------------------------


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or value != value:  # noqa: PLR0124 - nan
        msg = f"a number expected, got {type(value).__name__}"
        raise ValueError(msg)
    return value


def _is_number(found: Any) -> bool:
    return isinstance(found, _NUMBERS) and not isinstance(found, bool)


def _ordering(op: str, value: Any) -> _ValueTest:
    limit, compare = _number(value), _ORDER[op]
    return lambda found: _is_number(found) and bool(compare(found, limit))


def _between(value: Any) -> _ValueTest:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        msg = "a list of two numbers expected"
        raise ValueError(msg)
    low, high = map(_number, value)
    if high < low:
        msg = "two numbers, the smaller one first, expected"
        raise ValueError(msg)
    return lambda found: _is_number(found) and bool(low <= found <= high)


def _version(op: str, value: Any) -> _ValueTest:
    limit, compare = parse_version(value), _ORDER[op]
    if limit is None:
        msg = "a version such as 1.4.0 expected"
        raise ValueError(msg)

    def test(found: Any) -> bool:
        version = parse_version(found)
        return version is not None and compare(version, limit)

    return test


# --- text ----------------------------------------------------------------------------------


def _starts(value: Any) -> _ValueTest:
    texts = tuple(_texts(value))
    return lambda found: isinstance(found, str) and str.startswith(found, texts)


def _ends(value: Any) -> _ValueTest:
    texts = tuple(_texts(value))
    return lambda found: isinstance(found, str) and str.endswith(found, texts)


def _contains(value: Any) -> _ValueTest:
    """Look for a part in a text, or for an item in a list."""
    items = [value] if _kind(value) is not None else _list(value)
    parts = [str.__str__(item) for item in items if isinstance(item, str)]
    members = frozenset((_scalar(item), _plain(item)) for item in items)

    def test(found: Any) -> bool:
        if isinstance(found, str):
            return any(str.__contains__(found, part) for part in parts)
        if isinstance(found, (list, tuple, set, frozenset)) and len(found) <= _MOST_VALUES:
            return any(_kind(item) is not None and (_kind(item), _plain(item)) in members for item in found)
        return False

    return test


def _regex(value: Any) -> _ValueTest:
    matches = compile_bounded(value)
    return lambda found: isinstance(found, str) and matches(found)


# --- addresses, moments, presence ------------------------------------------------------------


def _cidr(value: Any) -> _ValueTest:
    try:
        networks = [ip_network(text, strict=False) for text in _texts(value)]
    except ValueError as exc:
        msg = "a network such as 10.0.0.0/8, or a list of them, expected"
        raise ValueError(msg) from exc

    def test(found: Any) -> bool:
        address = _address(found)
        return address is not None and any(address in network for network in networks)

    return test


def _address(found: Any) -> IPv4Address | IPv6Address | None:
    if isinstance(found, str):
        found = ip_address(found) if len(found) <= _LONGEST_TEXT else None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found if isinstance(found, (IPv4Address, IPv6Address)) else None


def moment(value: Any) -> float | None:
    """Return *value* as seconds since 1970, or None: a moment without a time zone is none.

    A date is its midnight in UTC, a number is seconds since 1970.
    """
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            return None
        value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.timestamp() if value.tzinfo is not None else None
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    return float(value) if _is_number(value) and value == value else None  # noqa: PLR0124 - nan


def _moment(value: Any) -> float:
    try:
        found = moment(value)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        msg = "a moment with a time zone such as 2026-12-01T00:00:00Z, or a date, expected"
        raise ValueError(msg)
    return found


def _before(value: Any) -> _ValueTest:
    limit = _moment(value)
    return lambda found: (at := moment(found)) is not None and at < limit


def _after(value: Any) -> _ValueTest:
    limit = _moment(value)
    return lambda found: (at := moment(found)) is not None and at > limit


def _exists(value: Any) -> _ValueTest:
    if value not in (None, True, False) or isinstance(value, (int, float)) is not isinstance(value, bool):
        msg = "true, false or nothing expected"
        raise ValueError(msg)
    wanted = value is not False
    return lambda found: (found is not None) is wanted


_BUILDERS: Final[dict[str, Callable[[Any], _ValueTest]]] = {
    "between": _between,
    "starts": _starts,
    "ends": _ends,
    "contains": _contains,
    "regex": _regex,
    "cidr": _cidr,
    "before": _before,
    "after": _after,
    "exists": _exists,
}
