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
        self.value: int = whole("max_concurrent", value)

    def sample(self, seconds: float, *, in_flight: int, dropped: bool) -> None:
        """Learn nothing."""

    def __repr__(self) -> str:
        return f"FixedLimit({self.value})"


class _Bounded:
    """A limit between two bounds; fractions of a call are kept so that small steps add up."""

    __slots__ = ("_exact", "maximum", "minimum", "value")

    def __init__(self, initial: int, minimum: int, maximum: int) -> None:
        self.minimum: int = whole("minimum", minimum)
        self.maximum: int = whole("maximum", maximum)
        if not self.minimum <= whole("initial", initial) <= self.maximum:
            msg = f"initial must be within [{minimum}, {maximum}], got {initial!r}"
            raise InvalidArgumentError(msg)
        self._exact = float(initial)
        self.value: int = initial

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
        self.backoff: float = backoff
        self.slow_seconds: float | None = (
            None if slow_seconds is None else at_least("slow_seconds", slow_seconds, 0.0)
        )

    def sample(self, seconds: float, *, in_flight: int, dropped: bool) -> None:
        """Take in one finished call."""
        if dropped or (self.slow_seconds is not None and seconds > self.slow_seconds):
            self._set(self._exact * self.backoff)
        elif in_flight * 2 >= self.value:
            self._set(self._exact + 1.0 / self._exact)


class GradientLimit(_Bounded):
    """Follows the ratio of the unloaded duration to the recent one: queues show as slowness.

    While calls take about as long as without a queue, the limit probes upwards by about
    its square root; when they take longer, it shrinks in proportion, before the
    dependency begins to fail. What "without a queue" means is measured anew now and
    then: the limit is halved for a moment, and the mean of that moment is taken, so
    that a queue that stays does not become the new normal. Source: the idea of TCP
    Vegas, applied to calls.

    Args:
        initial: Limit to start with.
        minimum: Never below.
        maximum: Never above.
        tolerance: How much slower than without a queue is still fine; 1.5 means half again.
        smoothing: Weight of a new limit against the old, in (0, 1].
        probe_every: Calls between two measurements.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> limit = GradientLimit(initial=20)
        >>> for _ in range(80):
        ...     limit.sample(0.1, in_flight=limit.value, dropped=False)
        >>> limit.value > 20
        True
    """

    __slots__ = (
        "_before",
        "_calm",
        "_probe",
        "_recent",
        "_since",
        "_usual",
        "probe_every",
        "smoothing",
        "tolerance",
    )

    _FAST: Final = 0.05  # weight of one call in "recent": about its last 20
    _SLOW: Final = 0.01  # and where chance must not look like a faster dependency
    _LEAST: Final = 10  # calls that make a mean

    def __init__(
        self,
        initial: int = 20,
        *,
        minimum: int = 1,
        maximum: int = 200,
        tolerance: float = 1.5,
        smoothing: float = 0.2,
        probe_every: int = 1000,
    ) -> None:
        super().__init__(initial, minimum, maximum)
        self.tolerance: float = at_least("tolerance", tolerance, 1.0)
        self.smoothing: float = share("smoothing", smoothing)
        self.probe_every: int = whole("probe_every", probe_every, self._LEAST)
        self._usual = math.inf
        self._recent = self._calm = 0.0
        self._since = 0
        self._before = 0.0
        self._probe: list[float] | None = []  # durations of the measurement under way, or None

    def sample(self, seconds: float, *, in_flight: int, dropped: bool) -> None:
        """Take in one finished call."""
        if dropped:
            self._set(self._exact * 0.9)
            return
        if self._probe is not None:
            self._measure(self._probe, seconds)
            return
        self._since += 1
        self._recent += self._FAST * (seconds - self._recent)
        self._calm += self._SLOW * (seconds - self._calm)
        self._usual = min(self._usual, self._calm)
        if in_flight * 2 < self.value:
            return  # the limit is not what decides; nothing to learn about it
        gradient = self.tolerance * self._usual / self._recent if self._recent > 0.0 else 1.0
        target = self._exact * min(1.0, max(0.5, gradient)) + math.sqrt(self._exact)
        self._set((1.0 - self.smoothing) * self._exact + self.smoothing * target)
        if self._since >= self.probe_every:
            self._before, self._probe = self._exact, []
            self._set(self._exact / 2.0)

    def _measure(self, durations: list[float], seconds: float) -> None:
        durations.append(seconds)
        # The first half was still under way before the limit was halved.
        if len(durations) < 2 * max(self._LEAST, self.value):
            return
        half = durations[len(durations) // 2 :]
        self._usual = self._recent = self._calm = sum(half) / len(half)
        self._set(max(self._exact, self._before))
        self._since, self._probe = 0, None
