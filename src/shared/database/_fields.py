"""Filters and orders by name: only declared names, only values that fit."""

import difflib
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.orm import Mapper

from shared.errors import InvalidArgumentError, ValidationError

__all__ = ["Fields", "Where", "coerce"]

Where = Mapping[str, Any]

_MAX_LIST: Final = 1000  # values of one "in"


def _like(method: str) -> Callable[[Any, Any], Any]:
    return lambda column, value: getattr(column, method)(value, escape="\\")


_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column != value,
    "lt": lambda column, value: column < value,
    "le": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "ge": lambda column, value: column >= value,
    "in": lambda column, value: column.in_(value),
    "not_in": lambda column, value: column.not_in(value),
    "contains": _like("contains"),
    "starts_with": _like("startswith"),
    "is_null": lambda column, value: column.is_(None) if value else column.is_not(None),
}
_LISTS: Final = frozenset({"in", "not_in"})
_TEXTS: Final = frozenset({"contains", "starts_with"})
_MAX_INTEGER: Final = 2**63


class Fields:
    """The columns of a model that may be named from outside.

    Args:
        mapper: Of the model.
        filterable: Names to filter by; all plain columns when None.
        sortable: Names to order by; all plain columns when None.

    Raises:
        InvalidArgumentError: A name is none of the model's columns.
    """

    def __init__(
        self, mapper: Mapper[Any], filterable: Iterable[str] | None, sortable: Iterable[str] | None
    ) -> None:
        self.model = mapper.class_.__name__
        self.columns: dict[str, Any] = {
            attribute.key: getattr(mapper.class_, attribute.key) for attribute in mapper.column_attrs
        }
        self.key: tuple[str, ...] = tuple(
            mapper.get_property_by_column(column).key for column in mapper.primary_key
        )
        self._filterable = self._declared("filterable", filterable)
        self._sortable = self._declared("sortable", sortable)

    def _declared(self, what: str, names: Iterable[str] | None) -> frozenset[str]:
        if names is None:
            return frozenset(self.columns)
        found = frozenset(names)
        unknown = sorted(found - self.columns.keys())
        if unknown:
            msg = f"{what}: {self.model} has no column {unknown[0]!r}"
            raise InvalidArgumentError(msg)
        return found

    def shape(self, where: Where | None) -> tuple[tuple[tuple[str, str, Any], ...], dict[str, Any]]:
        """Return what *where* looks like without its values, and the values.

        Returns:
            ``(((name, operator, variant), …), {"f_0": value, …})``.

        Raises:
            ValidationError: A name or operator is not declared, or a value does not fit.
        """
        parts: list[tuple[str, str, Any]] = []
        values: dict[str, Any] = {}
        for given, value in (where or {}).items():
            name, operator = self._split(given)
            if operator in {"eq", "ne"} and value is None:
                operator, value = "is_null", operator == "eq"  # noqa: PLW2901
            if operator == "is_null":
                parts.append((name, operator, bool(coerce(bool, value, given))))
                continue
            values[f"f_{len(parts)}"] = self._value(given, name, operator, value)
            parts.append((name, operator, None))
        return tuple(parts), values

    def _split(self, given: str) -> tuple[str, str]:
        name, _, operator = str(given).rpartition("__")
        if not name or operator not in _OPERATORS:
            name, operator = str(given), "eq"
        if name not in self._filterable:
            raise _unknown("filter by", name, self._filterable)
        return name, operator

    def _value(self, given: str, name: str, operator: str, value: Any) -> Any:
        kind = self.kind(name)
        if operator in _LISTS:
            if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
                msg = f"{given[:60]}: a list is expected"
                raise ValidationError(msg)
            found = [coerce(kind, each, given) for each in value]
            if len(found) > _MAX_LIST:
                msg = f"{given[:60]}: {len(found)} values, at most {_MAX_LIST} are allowed"
                raise ValidationError(msg)
            return found
        if operator in _TEXTS:
            text = coerce(str, value, given)
            return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return coerce(kind, value, given)

    def kind(self, name: str) -> type:
        """Return the Python type of a column; ``object`` when it has none."""
        column_type = self.columns[name].type
        try:
            kind: type = getattr(column_type, "impl_instance", column_type).python_type
        except NotImplementedError:
            return object
        return object if kind in {dict, list} else kind  # a document may be anything

    def conditions(self, shape: tuple[tuple[str, str, Any], ...]) -> list[ColumnElement[bool]]:
        """Return the conditions of a shape, with placeholders for its values."""
        found = []
        for index, (name, operator, variant) in enumerate(shape):
            column = self.columns[name]
            value: Any = variant
            if operator != "is_null":
                expanding = operator in _LISTS
                text = operator in _TEXTS
                value = bindparam(f"f_{index}", expanding=expanding, type_=None if text else column.type)
            found.append(_OPERATORS[operator](column, value))
        return found

    def order(self, given: str | Iterable[str] | None) -> tuple[tuple[str, bool], ...]:
        """Return ``((name, descending), …)``; the key comes last, so that the order is total.

        Raises:
            ValidationError: A name is not declared or comes twice.
        """
        names = [given] if isinstance(given, str) else list(given or ())
        found: list[tuple[str, bool]] = []
        for each in names:
            text = str(each)
            name, descending = text.removeprefix("-"), text.startswith("-")
            if name not in self._sortable:
                raise _unknown("order by", name, self._sortable)
            if name in dict(found):
                msg = f"order by {name!r} is given twice"
                raise ValidationError(msg)
            found.append((name, descending))
        last = found[-1][1] if found else False
        found += [(name, last) for name in self.key if name not in dict(found)]
        return tuple(found)

    def ordering(self, order: tuple[tuple[str, bool], ...]) -> list[Any]:
        """Return the expressions of an order."""
        return [self.columns[n].desc() if down else self.columns[n].asc() for n, down in order]

    def is_nullable(self, name: str) -> bool:
        """Whether a column may hold NULL."""
        return bool(self.columns[name].property.columns[0].nullable)


def _unknown(what: str, name: str, known: Iterable[str]) -> ValidationError:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ValidationError(
        f"cannot {what} {name[:60]!r}{hint}", details={"field": name[:60], "allowed": sorted(known)}
    )


def coerce(kind: type, value: Any, name: str) -> Any:
    """Return *value* as *kind*, from what a query string or JSON holds.

    Raises:
        ValidationError: It is not one.
    """
    try:
        return _converted(kind, value)
    except (TypeError, ValueError, AttributeError, InvalidOperation, OverflowError):
        msg = f"{str(name)[:60]}: {kind.__name__} expected, got {type(value).__name__}"
        raise ValidationError(msg, details={"field": str(name)[:60]}) from None


def _converted(kind: type, value: Any) -> Any:
    if kind is object or (type(value) is kind and kind not in {int, float, Decimal, str}):
        return value
    if kind is bool:
        return (
            {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
            if _word(value)
            else _no()
        )
    if kind is int:
        number = int(value) if isinstance(value, str) or type(value) is int else _no()
        return number if -_MAX_INTEGER <= number < _MAX_INTEGER else _no()
    if kind is Decimal:
        amount = Decimal(value) if isinstance(value, (str, int, Decimal)) else _no()
        return amount if amount.is_finite() else _no()
    if kind is float:
        real = float(value) if isinstance(value, (str, int, float)) else _no()
        return real if math.isfinite(real) else _no()
    if kind is uuid.UUID:
        return uuid.UUID(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else _no()
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if kind is date:
        return date.fromisoformat(value)
    if kind is str:
        # PostgreSQL stores no NUL, and a lone surrogate is no text.
        return (
            value if isinstance(value, str) and "\x00" not in value and value.encode() is not None else _no()
        )
    return value if isinstance(value, kind) else _no()


def _word(value: Any) -> bool:
    return str(value).lower() in {"true", "1", "false", "0"}


def _no() -> Any:
    raise ValueError
