"""Amounts as suppliers count them: in whole numbers of the smallest coin."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from shared.errors import ValidationError

__all__ = ["from_minor_units", "to_minor_units"]

# Source: ISO 4217, minor units; Stripe's list of zero-decimal and three-decimal currencies.
_NONE: Final = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a list of codes
)
_THREE: Final = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
_CODE: Final = re.compile(r"[A-Za-z]{3}\Z")
_MOST: Final = 10**12


def _places(currency: object) -> tuple[str, int]:
    if not isinstance(currency, str) or not _CODE.match(currency):
        raise ValidationError(
            "currency: three letters expected, such as 'EUR'", details={"field": "currency"}
        )
    code = currency.upper()
    return code, 0 if code in _NONE else 3 if code in _THREE else 2


def to_minor_units(amount: Decimal | int | str, currency: str) -> int:
    """Return *amount* in the smallest coin of *currency*: 4.80 EUR are 480, 500 JPY are 500.

    Raises:
        ValidationError: It is a ``float``, negative, too large, or has a fraction of the
            smallest coin; or *currency* is none.

    Example:
        >>> to_minor_units("4.80", "EUR"), to_minor_units(500, "JPY"), to_minor_units("1.5", "KWD")
        (480, 500, 1500)
    """
    code, places = _places(currency)
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int | str):
        msg = f"amount: Decimal, int or text expected, got {type(amount).__name__}"
        raise ValidationError(msg, details={"field": "amount"})
    try:
        exact = Decimal(amount).scaleb(places)
        whole = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValidationError("amount: not a number", details={"field": "amount"}) from None
    if exact != whole:
        msg = f"amount: {code} has {places} decimal places, and this one has more"
        raise ValidationError(msg, details={"field": "amount"})
    if not 0 <= whole < _MOST:
        raise ValidationError("amount: negative, or too large", details={"field": "amount"})
    return whole


def from_minor_units(amount: Any, currency: str) -> Decimal:
    """Return what *amount* smallest coins of *currency* are.

    Raises:
        ValidationError: *amount* is no whole number, or *currency* is none.

    Example:
        >>> from_minor_units(480, "EUR"), from_minor_units(500, "JPY")
        (Decimal('4.80'), Decimal('500'))
    """
    _, places = _places(currency)
    if isinstance(amount, bool) or not isinstance(amount, int) or abs(amount) >= _MOST:
        raise ValidationError(
            "amount: a whole number of the smallest coin expected", details={"field": "amount"}
        )
    return Decimal(amount).scaleb(-places)
