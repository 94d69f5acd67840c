"""Values of attributes as the formats see them: text, numbers, moments."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

Get: TypeAlias = Callable[[Mapping[str, Any]], Any]

_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
# Longer is no number anybody measured; it bounds what a hostile attribute costs.
_MAX_NUMBER_TEXT: Final = 400
_EXACT: Final = 1 << 53


def text_of(value: Any) -> str | None:
    """Return *value* as the text a foreign document compares, or ``None`` for what has none.

    ``1``, ``1.0`` and ``"1"`` are the same unit; ``True`` is ``"true"``.
    """
    if type(value) is str:
        return value
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    return None


def number_text(value: float) -> str:
    """Return a float as JSON of the other services spells it: ``1`` for 1.0."""
    if math.isfinite(value) and value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    return repr(value)


def number_of(value: Any) -> float | None:
    """Return *value* as a number, or ``None``: ``"12.0"`` is 12, ``"inf"`` is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _float(value)
    text = text_of(value)
    if text is None or len(text) > _MAX_NUMBER_TEXT or _NUMBER.fullmatch(text) is None:
        return None
    return _float(float(text))


def _float(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if math.isnan(number) else number


def moment_of(value: Any) -> datetime | None:
    """Return an ISO 8601 text or a ``datetime`` as an aware moment; without a zone it is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def attribute(name: str, aliases: Mapping[str, str]) -> Get:
    """Return a function that reads *name* from a context.

    The name of the document wins over the alias, and a ``properties`` mapping (the
    shape Unleash clients pass) is looked into before the alias.
    """
    alias = aliases.get(name)

    def get(context: Mapping[str, Any]) -> Any:
        value = context.get(name)
        if value is not None:
            return value
        properties = context.get("properties")
        if isinstance(properties, Mapping):
            value = properties.get(name)
        if value is None and alias is not None:
            value = context.get(alias)
        return value

    return get
