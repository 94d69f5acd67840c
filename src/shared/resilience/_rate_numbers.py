"""States of rate-limit algorithms that were written down, read back with suspicion."""

import math
from typing import Any

from shared.errors import InvalidArgumentError


def broken_state(numbers: object) -> InvalidArgumentError:
    """Return the error for what is not a state."""
    return InvalidArgumentError(f"not a state of this algorithm: {numbers!r}"[:200])


def state_numbers(numbers: Any) -> list[float]:
    """Return *numbers* as floats; raise :func:`broken_state` when they are not finite numbers."""
    if not isinstance(numbers, list) or not all(
        isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in numbers
    ):
        raise broken_state(numbers)
    return [float(n) for n in numbers]
