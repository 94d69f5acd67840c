"""Amounts of money, exact on every engine."""

import decimal
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, Numeric
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import operators
from sqlalchemy.types import TypeDecorator, TypeEngine

from shared.errors import InvalidArgumentError, ValidationError

__all__ = ["Money"]

# A context of our own: what a service does to the global one must not round money.
_EXACT: Final = decimal.Context(prec=60, Emax=999_999, Emin=-999_999, traps=[decimal.InvalidOperation])
_REFUSED: Final = (operators.truediv, operators.floordiv, operators.mod)


class Money(TypeDecorator[Decimal]):
    """A column for exact amounts: ``NUMERIC`` on PostgreSQL, scaled ``BIGINT`` on SQLite.

    Takes :class:`~decimal.Decimal` and ``int`` and gives ``Decimal``. Refuses ``float``,
    more digits than fit, and anything that is not a number: an amount is never rounded.
    Sums and comparisons in SQL stay exact; multiply by whole numbers only, and divide in
    Python. Keep the currency in a column beside it.

    Args:
        precision: Digits in total, at most 18.
        scale: Digits after the point, at most *precision*.

    Raises:
        InvalidArgumentError: The digits are out of range.

    Example:
        >>> from decimal import Decimal
        >>> Money(18, 2).exact(Decimal("19.90"))
        Decimal('19.90')
        >>> Money().exact(0.1)
        Traceback (most recent call last):
            ...
        shared.errors.ValidationError: an amount is a Decimal or an int, got float: ...
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int = 18, scale: int = 4) -> None:
        if not (0 <= scale <= precision and 1 <= precision <= 18):
            msg = f"Money({precision}, {scale}): 0 <= scale <= precision and 1 <= precision <= 18"
            raise InvalidArgumentError(msg)
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def exact(self, value: Any) -> Decimal:
        """Return *value* with the column's digits after the point.

        Raises:
            ValidationError: It is not an exact number, or does not fit.
        """
        if isinstance(value, bool) or not isinstance(value, (Decimal, int)):
            msg = f"an amount is a Decimal or an int, got {type(value).__name__}: write Decimal('19.90')"
            raise ValidationError(msg)
        number = Decimal(value)
        if not number.is_finite():
            raise ValidationError("an amount is a finite number")
        sign, digits, exponent = number.as_tuple()
        if number and isinstance(exponent, int):
            while digits[-1] == 0 and exponent < -self.scale:
                digits, exponent = digits[:-1], exponent + 1
            if exponent < -self.scale:
                msg = f"an amount has at most {self.scale} digits after the point: round it before"
                raise ValidationError(msg)
            if len(digits) + exponent > self.precision - self.scale:
                msg = f"an amount has at most {self.precision - self.scale} digits before the point"
                raise ValidationError(msg)
        del sign
        return _EXACT.quantize(number, Decimal(1).scaleb(-self.scale, _EXACT))

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return how *dialect* stores it."""
        if dialect.name == "sqlite":  # its NUMERIC is a float
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return what is sent."""
        if value is None:
            return None
        amount = self.exact(value)
        return int(_EXACT.scaleb(amount, self.scale)) if dialect.name == "sqlite" else amount

    def process_literal_param(self, value: Any, dialect: Dialect) -> str:
        """Return what stands in a statement without placeholders."""
        return str(self.process_bind_param(value, dialect))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return what came back, with the column's digits after the point.

        An average that SQLite took is a float; it is rounded to the column's digits.
        """
        if value is None:
            return None
        number = Decimal(value)
        if dialect.name == "sqlite":
            number = _EXACT.scaleb(number, -self.scale)
        return _EXACT.quantize(number, Decimal(1).scaleb(-self.scale, _EXACT))

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return the type of the other side: a factor is a plain whole number.

        Raises:
            InvalidArgumentError: The operation would not be exact on every engine.
        """
        if op in _REFUSED or (
            op is operators.mul and (isinstance(value, bool) or not isinstance(value, int))
        ):
            msg = "money in SQL is multiplied by whole numbers only and not divided: do it in Python"
            raise InvalidArgumentError(msg)
        return Integer() if op is operators.mul else self
