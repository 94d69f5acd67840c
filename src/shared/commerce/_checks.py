"""What callers give, checked before it reaches a statement."""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from shared.constants import FieldLimit
from shared.errors import ValidationError

__all__ = ["SYSTEM", "Currency", "Details", "Quantity", "Reference", "Symbol", "UserId", "VariantId"]

#: The owner of the other side of what comes in and goes out.
SYSTEM: Final = "system:external"
_CURRENCY: Final = re.compile(r"[A-Z][A-Z0-9]{2,9}\Z")
_MAX_VARIANT: Final = 100
_MAX_USER: Final = 64
_MAX_DETAILS: Final = 65_536  # bytes


def quantity_of(value: Any) -> int:
    """Return *value*, a number of pieces.

    Raises:
        ValidationError: It is not a whole number from 1 to ``FieldLimit.QUANTITY_MAX``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"a quantity is a whole number, got {type(value).__name__}"
        raise ValidationError(msg, details={"field": "quantity"})
    if not 1 <= value <= FieldLimit.QUANTITY_MAX:
        shown = value if abs(value) < 10**12 else "more digits than fit"
        msg = f"a quantity is 1 to {FieldLimit.QUANTITY_MAX}, got {shown}"
        raise ValidationError(msg, details={"field": "quantity"})
    return int(value)


def variant_of(value: Any) -> str:
    """Return the id of a variant as text; UUIDs and whole numbers are taken, too.

    Raises:
        ValidationError: It is not 1 to 100 printable characters.
    """
    text = str(value) if isinstance(value, (str, uuid.UUID, int)) and not isinstance(value, bool) else ""
    return _text(text, "variant_id", _MAX_VARIANT)


def user_of(value: Any) -> str:
    """Return the id of a user as text.

    Raises:
        ValidationError: It is not 1 to 64 printable characters, or is one of the system's.
    """
    text = str(value) if isinstance(value, (str, uuid.UUID, int)) and not isinstance(value, bool) else ""
    if text.startswith("system:"):
        msg = "user_id: names that begin with 'system:' are the ledger's own"
        raise ValidationError(msg, details={"field": "user_id"})
    return _text(text, "user_id", _MAX_USER)


def reference_of(value: Any) -> str:
    """Return a reference.

    Raises:
        ValidationError: It is not 1 to 200 printable characters.
    """
    return _text(value if isinstance(value, str) else "", "reference", 200)


def currency_of(value: Any) -> str:
    """Return the code of a currency.

    Raises:
        ValidationError: It is not 3 to 10 capital letters and digits.
    """
    if not isinstance(value, str) or not _CURRENCY.match(value):
        msg = "a currency is 3 to 10 capital letters and digits, such as 'EUR'"
        raise ValidationError(msg, details={"field": "currency"})
    return value


def lines_of(lines: Any) -> dict[str, int]:
    """Return quantities by variant, in the order in which rows are locked everywhere.

    Raises:
        ValidationError: It is not a mapping of variants to quantities, or empty.
    """
    if not isinstance(lines, Mapping) or not lines:
        raise ValidationError("lines: a mapping of variants to quantities expected, with one at least")
    return dict(sorted((variant_of(variant), quantity_of(count)) for variant, count in lines.items()))


def uuid_of(value: Any, name: str) -> uuid.UUID:
    """Return *value*, also as text, as a UUID.

    Raises:
        ValidationError: It is not one.
    """
    if isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        msg = f"{name}: a UUID expected"
        raise ValidationError(msg, details={"field": name}) from None


def _text(text: str, name: str, limit: int) -> str:
    if not 1 <= len(text) <= limit or not text.isprintable():
        msg = f"{name}: 1 to {limit} printable characters expected"
        raise ValidationError(msg, details={"field": name})
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("printable characters expected")
    return text


def _no_system(text: str) -> str:
    if text.startswith("system:"):
        raise ValueError("names that begin with 'system:' are the ledger's own")
    return text


def _small(details: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(details, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except ValueError:  # NaN, or half of a character
        raise ValueError("JSON without NaN expected") from None
    if "\\u0000" in text:  # PostgreSQL stores none
        raise ValueError("text without NUL expected")
    if size > _MAX_DETAILS:
        msg = f"at most {_MAX_DETAILS} bytes of JSON expected"
        raise ValueError(msg)
    return details


_Text = AfterValidator(_printable)
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{2,9}$")]
Details = Annotated[dict[str, JsonValue], AfterValidator(_small)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=FieldLimit.QUANTITY_MAX)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200), _Text]
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$")]
UserId = Annotated[
    str, StringConstraints(min_length=1, max_length=_MAX_USER), _Text, AfterValidator(_no_system)
]
VariantId = Annotated[str, StringConstraints(min_length=1, max_length=_MAX_VARIANT), _Text]
