"""How long to wait before the next try. Pure: a number in, a number out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from shared.errors import InvalidArgumentError
from shared.resilience._checks import at_least
from shared.resilience._random import draw

__all__ = ["Backoff", "BackoffKind", "Jitter"]

BackoffKind = Literal["constant", "decorrelated", "exponential", "linear"]
Jitter = Literal["equal", "full", "none"]

_KINDS: Final = ("constant", "decorrelated", "exponential", "linear")
_JITTERS: Final = ("equal", "full", "none")


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits between tries.

    The *ceiling* of the wait after the n-th try is ``delay * 2**(n-1)``
    (exponential), ``delay * n`` (linear) or ``delay`` (constant), never above
    *max_delay*. Jitter draws from it: ``"full"`` from ``[0, ceiling]``, ``"equal"``
    from ``[ceiling/2, ceiling]``, ``"none"`` takes it whole. ``"decorrelated"``
    draws from ``[delay, 3 * previous wait]``, which is a jitter of its own, so
    *jitter* plays no part there.

    Args:
        kind: One of the four names above.
        delay: Seconds, >= 0.
        max_delay: Upper bound of a wait, in seconds, >= 0.
        jitter: ``"full"`` unless clients cannot fail together; True means
            ``"full"`` and False ``"none"``.

    Raises:
        InvalidArgumentError: A name is unknown or a number out of range.

    Example:
        >>> [Backoff(delay=0.5, max_delay=3.0).ceiling(attempt) for attempt in (1, 2, 3, 4)]
        [0.5, 1.0, 2.0, 3.0]
        >>> Backoff(delay=1.0).wait(2, rng=lambda: 0.25)
        0.5
    """

    kind: BackoffKind = "exponential"
    delay: float = 1.0
    max_delay: float = 30.0
    jitter: Jitter | bool = "full"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            msg = f"unknown backoff {self.kind!r} (known: {', '.join(_KINDS)})"
            raise InvalidArgumentError(msg)
        if isinstance(self.jitter, bool):
            object.__setattr__(self, "jitter", "full" if self.jitter else "none")
        if self.jitter not in _JITTERS:
            msg = f"unknown jitter {self.jitter!r} (known: {', '.join(_JITTERS)})"
            raise InvalidArgumentError(msg)
        object.__setattr__(self, "delay", at_least("delay", self.delay, 0.0))
        object.__setattr__(self, "max_delay", at_least("max_delay", self.max_delay, 0.0))

    def ceiling(self, attempt: int) -> float:
        """Return the longest wait after try number *attempt*, counted from 1, in seconds."""
        if self.kind == "linear":
            return min(self.max_delay, self.delay * attempt)
        if self.kind == "constant" or attempt <= 1:
            return min(self.max_delay, self.delay)
        try:
            return min(self.max_delay, self.delay * 2.0 ** (attempt - 1))
        except OverflowError:  # 2.0**1024 does not fit a float; the cap still holds.
            return self.max_delay if self.delay else 0.0

    def wait(self, attempt: int, *, previous: float | None = None, rng: Callable[[], float] = draw) -> float:
        """Return the seconds to wait after try number *attempt*.

        Args:
            attempt: Tries already made, counted from 1.
            previous: The wait before this one, for ``"decorrelated"``.
            rng: Gives numbers in ``[0, 1)``.
        """
        if self.kind == "decorrelated":
            low = min(self.delay, self.max_delay)
            high = max(low, 3.0 * (low if previous is None else previous))
            return min(self.max_delay, low + rng() * (high - low))
        ceiling = self.ceiling(attempt)
        if self.jitter == "full":
            return rng() * ceiling
        if self.jitter == "equal":
            return ceiling / 2.0 + rng() * ceiling / 2.0
        return ceiling
