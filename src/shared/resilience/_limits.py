"""How many calls at once: a number, or one that follows what the dependency can take. Pure."""

import math
from typing import Final, Protocol

from shared.errors import InvalidArgumentError
from shared.resilience._checks import at_least, share, whole

__all__ = ["AIMDLimit", "ConcurrencyLimit", "FixedLimit", "GradientLimit"]


class ConcurrencyLimit(Protocol):
    """Learns from finished calls how many may run at once.

    Used under the lock of its bulkhead, so it needs none; it must not block.

    Example:
        >>> limit = FixedLimit(4)
        >>> limit.sample(0.2, in_flight=4, dropped=False), limit.value
        (None, 4)
    """

    value: int
    """Calls allowed at once."""

    def sample(self, seconds: float, *, in_flight: int, dropped: bool) -> None:
        """Take in one finished call.

        Args:
            seconds: How long it took.
            in_flight: Calls under way when it ended, itself included.
            dropped: Whether it timed out or was refused for overload.
        """


class FixedLimit:
    """A limit that never changes.

    Raises:
        InvalidArgumentError: *value* is not a whole number >= 1.

    Example:
        >>> FixedLimit(8).value
        8
    """

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = whole("max_concurrent", value)

    def sample(self, seconds: float, *, in_flight: int, dropped: bool) -> None:
        """Learn nothing."""

    def __repr__(self) -> str:
        return f"FixedLimit({self.value})"


class _Bounded:
    """A limit between two bounds; fractions of a call are kept so that small steps add up."""

    __slots__ = ("_exact", "maximum", "minimum", "value")

    def __init__(self, initial: int, minimum: int, maximum: int) -> None:
        self.minimum = whole("minimum", minimum)
        self.maximum = whole("maximum", maximum)
        if not self.minimum <= whole("initial", initial) <= self.maximum:
            msg = f"initial must be within [{minimum}, {maximum}], got {initial!r}"
            raise InvalidArgumentError(msg)
        self._exact = float(initial)
        self.value = initial

    def _set(self, exact: float) -> None:
        self._exact = min(float(self.maximum), max(float(self.minimum), exact))
        self.value = int(self._exact)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value} in [{self.minimum}, {self.maximum}])"


class AIMDLimit(_Bounded):
    """Adds one call per round of good ones, and takes a share off for each dropped one.

    Additive increase, multiplicative decrease, as TCP does; for dependencies that say
    when it is too much (timeouts, 429, 503). The limit grows only while at least half
    of it is used, so an idle service does not talk itself into a large one.

    Args:
        initial: Limit to start with.
        minimum: Never below.
        maximum: Never above.
        backoff: What remains of the limit after a dropped call, in (0, 1).
        slow_seconds: A call that takes longer counts as dropped, or None.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> limit = AIMDLimit(initial=10)
        >>> limit.sample(0.1, in_flight=10, dropped=True)
        >>> limit.value
        9
    """

    __slots__ = ("backoff", "slow_seconds")

    def __init__(
        self,
        initial: int = 20,
        *,
        minimum: int = 1,
        maximum: int = 200,
        backoff: float = 0.9,
        slow_seconds: float | None = None,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        if share("backoff", backoff) == 1.0:
            msg = "backoff must be below 1, or a dropped call would change nothing, got 1.0"
            raise InvalidArgumentError(msg)
        self.backoff = backoff
        self.slow_seconds = None if slow_seconds is None else at_least("slow_seconds", slow_seconds, 0.0)

    def sample(self, seconds: float, *, in_flight: int, dropped: bool) -> None:
        """Take in one finished call."""
        if dropped or (self.slow_seconds is not None and seconds > self.slow_seconds):
            self._set(self._exact * self.backoff)
        elif in_flight * 2 >= self.value:
            self._set(self._exact + 1.0 / self._exact)


class GradientLimit(_Bounded):
    """Follows the ratio of the usual duration to the recent one: queues show as slowness.

    While calls take as long as they usually do, the limit probes upwards by about the
    square root of itself; when they take longer, it shrinks in proportion, before the
    dependency begins to fail. Two moving averages stand for "usual" (slow) and
    "recent" (fast). Source: the gradient idea of TCP Vegas, applied to calls.

    Args:
        initial: Limit to start with.
        minimum: Never below.
        maximum: Never above.
        tolerance: How much slower than usual is still fine; 1.5 means half again.
        smoothing: Weight of a new limit against the old, in (0, 1].

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> limit = GradientLimit(initial=20)
        >>> for _ in range(50):
        ...     limit.sample(0.1, in_flight=20, dropped=False)
        >>> limit.value > 20
        True
    """

    __slots__ = ("_recent", "_usual", "smoothing", "tolerance")

    _SLOW: Final = 0.002  # weight of one call in "usual": about its last 500 calls
    _FAST: Final = 0.1  # and in "recent": about its last 10

    def __init__(
        self,
        initial: int = 20,
        *,
        minimum: int = 1,
        maximum: int = 200,
        tolerance: float = 1.5,
        smoothing: float = 0.2,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self.tolerance = at_least("tolerance", tolerance, 1.0)
        self.smoothing = share("smoothing", smoothing)
        self._usual: float | None = None
        self._recent = 0.0

    def sample(self, seconds: float, *, in_flight: int, dropped: bool) -> None:
        """Take in one finished call."""
        if dropped:
            self._set(self._exact * 0.9)
            return
        if self._usual is None:
            self._usual = self._recent = seconds
            return
        self._usual += self._SLOW * (seconds - self._usual)
        self._recent += self._FAST * (seconds - self._recent)
        if self._usual > 2.0 * self._recent:
            # Much faster than usual: a slow spell has ended. Without this the memory
            # of it would let a new queue pass as normal for hundreds of calls.
            self._usual *= 0.95
        if in_flight * 2 < self.value:
            return  # the limit is not what decides; nothing to learn about it
        gradient = 1.0 if self._recent <= 0.0 else self.tolerance * self._usual / self._recent
        target = self._exact * min(1.0, max(0.5, gradient)) + math.sqrt(self._exact)
        self._set((1.0 - self.smoothing) * self._exact + self.smoothing * target)
