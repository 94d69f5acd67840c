"""What every function of the room asks of its arguments."""

from typing import Any, Final

from shared.errors import InvalidArgumentError

# More digits than this say nothing more to a reader, and printing a number with
# more than 4300 digits is refused by Python itself.
_SHOWN_DIGITS: Final = 18


def plain_text(value: object) -> str | None:
    """Return *value* as an exact ``str``, or None when it is not text.

    The type is asked and not the object: a hostile ``__class__``, ``__len__`` or
    ``__str__`` is never run.
    """
    if not issubclass(type(value), str):
        return None
    return str.__str__(value)


def text_argument(name: str, value: object) -> str:
    """Return *value* as an exact ``str``.

    Raises:
        InvalidArgumentError: It is not text.
    """
    text = plain_text(value)
    if text is None:
        msg = f"{name} must be text, got {kind(value)}"
        raise InvalidArgumentError(msg)
    return text


def whole_argument(name: str, value: object, *, low: int, high: int) -> int:
    """Return *value* when it is a whole number in ``[low, high]``.

    Raises:
        InvalidArgumentError: It is not; True and 3.0 are not whole numbers here.
    """
    problem = whole_problem(value, low=low, high=high)
    if problem is not None:
        msg = f"{name} {problem}"
        raise InvalidArgumentError(msg)
    return int.__int__(value)  # type: ignore[arg-type]


def whole_problem(value: object, *, low: int, high: int) -> str | None:
    """Say what keeps *value* from being a whole number in ``[low, high]``; None: nothing."""
    if not issubclass(type(value), int) or type(value) is bool:
        return f"must be a whole number from {low} to {high}, got {kind(value)}"
    number = int.__int__(value)  # type: ignore[arg-type]
    if low <= number <= high:
        return None
    return f"must be from {low} to {high}, got {shown_number(number)}"


def shown_number(number: int) -> str:
    """Return *number* for a message; a monstrous one only by its size."""
    if number.bit_length() <= _SHOWN_DIGITS * 3:
        return str(number)
    sign = "negative " if number < 0 else ""
    return f"a {sign}number of {number.bit_length()} bits"


def kind(value: Any) -> str:
    """Return the name of the type of *value*: the value itself may be a secret."""
    return type(value).__name__
