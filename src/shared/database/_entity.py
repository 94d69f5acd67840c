"""What leaves a data access object: values that are checked, frozen and free of any session."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic import ValidationError as Refused

from shared.database._money import Money
from shared.errors import ValidationError

__all__ = ["Entity", "ExactAmount", "exact_amount"]

_MAX_ERRORS: Final = 50
_MAX_STEP: Final = 64  # characters; a step of the path may be the caller's own key


class Entity(BaseModel):
    """The base of pydantic entities: made from a row or from input, and frozen.

    An entity is a copy: it can be kept, compared, sent and logged after the session has
    ended. Names of classes for input begin with ``New`` and refuse unknown fields.

    Example:
        >>> class NewPoint(Entity, extra="forbid"):
        ...     x: int
        >>> NewPoint.parse({"x": 3}).x
        3
        >>> NewPoint.parse({"x": "secret", "y": 1})
        Traceback (most recent call last):
            ...
        shared.errors.ValidationError: newpoint: x, y do not fit
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Return *data*, a mapping or an instance, as an entity.

        Raises:
            ValidationError: It does not fit; ``details["errors"]`` lists every wrong field,
                never what was given.
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            msg = f"{cls.__name__.lower()}: a mapping or a {cls.__name__} expected, got {type(data).__name__}"
            raise ValidationError(msg)
        try:
            return cls.model_validate(dict(data))
        except Refused as exc:
            raise _refusal(cls, exc) from None

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return the entity of a row of a table."""
        return cls.model_validate(row)


def _refusal(cls: type, exc: Refused) -> ValidationError:
    report = exc.errors(include_url=False, include_context=False, include_input=False)
    errors = [
        {"field": _path(error["loc"]), "message": error["msg"], "type": error["type"]}
        for error in report[:_MAX_ERRORS]
    ]
    fields = ", ".join(dict.fromkeys(error["field"] or "it" for error in errors[:5]))
    verb = "does" if len(errors) == 1 else "do"
    return ValidationError(f"{cls.__name__.lower()}: {fields} {verb} not fit", details={"errors": errors})


def _path(steps: Iterable[Any]) -> str:
    return ".".join("".join(c for c in str(step)[:_MAX_STEP] if c.isprintable()) for step in steps)[:256]


def exact_amount(precision: int = 18, scale: int = 4) -> BeforeValidator:
    """Return a validator for an exact number: ``Decimal``, ``int`` or text, never ``float``.

    Args:
        precision: Digits in total, as of the column's :class:`Money`.
        scale: Digits after the point.

    Example:
        >>> class Price(Entity):
        ...     amount: Annotated[Decimal, exact_amount(18, 2)]
        >>> Price.parse({"amount": "19.9"}).amount
        Decimal('19.90')
    """
    column = Money(precision, scale)

    def check(value: Any) -> Decimal:
        number = value
        if isinstance(value, str):
            try:
                number = Decimal(value) if len(value) <= 40 else Decimal("NaN")
            except ArithmeticError:
                raise ValueError("an amount is a number such as '19.90'") from None
        try:
            return column.exact(number)
        except ValidationError as exc:
            raise ValueError(str(exc)) from None

    return BeforeValidator(check, json_schema_input_type=str)


#: An amount of money as a field of an entity: exact, at most 18 digits, 4 after the point.
ExactAmount = Annotated[Decimal, exact_amount()]
