"""How close two embeddings are."""

import math
from collections.abc import Sequence

from shared.errors import ValidationError

__all__ = ["cosine_similarity"]


def cosine_similarity(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how much two vectors point the same way: 1.0 the same, 0.0 unrelated, -1.0 opposite.

    A vector of zeros points nowhere: it is 0.0 to every other.

    Args:
        a: An embedding.
        b: Another of the same model and length.

    Returns:
        A number in [-1, 1].

    Raises:
        ValidationError: The vectors are empty, of different lengths, or not finite numbers.

    Example:
        >>> round(cosine_similarity([1.0, 0.0], [1.0, 1.0]), 3)
        0.707
    """
    left, right = _numbers(a), _numbers(b)
    if not left or len(left) != len(right):
        msg = f"vectors of one length >= 1 are needed, got {len(left)} and {len(right)}"
        raise ValidationError(msg)
    lengths = math.sqrt(_dot(left, left)) * math.sqrt(_dot(right, right))
    if not lengths:
        return 0.0
    return max(-1.0, min(1.0, _dot(left, right) / lengths))


def _numbers(vector: Sequence[float]) -> list[float]:
    """Return *vector* scaled to at most 1: the square of a large number would not fit into a float."""
    if isinstance(vector, str | bytes):
        msg = "a vector is a list of numbers, got text: embed it first"
        raise ValidationError(msg)
    try:
        numbers = [float(number) for number in vector]
    except (TypeError, ValueError, OverflowError) as exc:
        msg = f"a vector is a list of numbers: {type(exc).__name__}"
        raise ValidationError(msg) from exc
    if not all(map(math.isfinite, numbers)):
        msg = "a vector holds a number that is not finite"
        raise ValidationError(msg)
    largest = max(map(abs, numbers), default=0.0)
    return [number / largest for number in numbers] if largest else numbers


def _dot(left: list[float], right: list[float]) -> float:
    return sum(x * y for x, y in zip(left, right, strict=True))
