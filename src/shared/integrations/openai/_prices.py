"""What a call costs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from shared.errors import InvalidArgumentError

__all__ = ["ModelPrice", "price_of"]

_MILLION: Final = 1_000_000
_TEXT: Final = re.compile(
    r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(?:/([0-9]{1,6}(?:\.[0-9]{1,6})?))?\Z", re.ASCII
).match
_DATED: Final = re.compile(r"-(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}|latest)\Z")


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """The price of one model in US dollars per million tokens.

    Args:
        input: Of tokens sent.
        output: Of tokens received; 0 for embeddings.

    Raises:
        InvalidArgumentError: A price is below 0.

    Example:
        >>> ModelPrice.parse("0.15/0.60").cost(input_tokens=2_000_000, output_tokens=500_000)
        0.6
    """

    input: float
    output: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.input < float("inf") and 0 <= self.output < float("inf")):
            msg = f"a price is US dollars >= 0 per million tokens, got {self.input!r}/{self.output!r}"
            raise InvalidArgumentError(msg)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the price written as ``"input/output"`` or ``"input"``.

        Raises:
            InvalidArgumentError: The text is not a price.
        """
        match = _TEXT(str(text))
        if match is None:
            msg = f"not a price: {str(text)[:40]!r} (write '0.15/0.60', US dollars per million tokens)"
            raise InvalidArgumentError(msg)
        return cls(float(match[1]), float(match[2] or 0.0))

    def cost(self, *, input_tokens: int = 0, output_tokens: int = 0) -> float:
        """Return US dollars."""
        return (input_tokens * self.input + output_tokens * self.output) / _MILLION


def price_of(prices: Mapping[str, ModelPrice], model: str) -> ModelPrice | None:
    """Return the price of *model*; that of its undated name when only that is known.

    Example:
        >>> price_of({"gpt-4o": ModelPrice(2.5, 10.0)}, "gpt-4o-2024-08-06")
        ModelPrice(input=2.5, output=10.0)
    """
    return prices.get(model) or prices.get(_DATED.sub("", model))
