"""Keys of rows as text, and back."""

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Column

from shared.errors import MigrationError

__all__ = ["from_json", "to_json"]

_PLAIN: Final = (int, str)
_TEXTUAL: Final[dict[type[Any], Callable[[str], Any]]] = {
    uuid.UUID: uuid.UUID,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    Decimal: Decimal,
}


def to_json(key: Sequence[Any], table: str) -> str:
    """Return *key* as text.

    Raises:
        MigrationError: A value is of a type that cannot be written down without loss.
    """
    written = []
    for value in key:
        if isinstance(value, _PLAIN) and not isinstance(value, bool):
            written.append(value)
        elif type(value) in _TEXTUAL:
            written.append(value.isoformat() if isinstance(value, date) else str(value))
        else:
            kind = type(value).__name__
            msg = f"table {table!r}: a key of type {kind} cannot be written down: name another key"
            raise MigrationError(msg)
    return json.dumps(written)


def from_json(text: str, columns: Sequence[Column[Any]]) -> tuple[Any, ...]:
    """Return the key that :func:`to_json` wrote, with the types of *columns*."""
    found = []
    for value, column in zip(json.loads(text), columns, strict=True):
        kind = column.type.python_type
        found.append(_TEXTUAL[kind](value) if isinstance(value, str) and kind in _TEXTUAL else value)
    return tuple(found)
