"""Rate-limit algorithms: time and state come in, a decision goes out.

An algorithm belongs to a :class:`RateLimit` and knows no clock, no key and no lock. A
store keeps one *state* per key, hands it to :meth:`hit` under its own lock or
transaction, and can write it down (:meth:`dump`) and read it back (:meth:`load`): a
state is a list of numbers. Time is any number of seconds that does not run backwards
for one key; a small step back is taken as standing still.
"""

import itertools
import math
from collections import deque
from typing import Any, Final, Protocol, TypeVar

from shared.errors import InvalidArgumentError
from shared.resilience._checks import whole
from shared.resilience._rate_limit import RateDecision, RateLimit
from shared.resilience._rate_numbers import broken_state, state_numbers

__all__ = ["GCRA", "FixedWindow", "RateAlgorithm", "SlidingWindow", "SubBuckets", "rate_algorithm"]

S = TypeVar("S")

# Seconds of tolerance where times are added up: wall time in a float is exact to
# about a quarter of a microsecond, and a permit that is due now is due.
_HAIR: Final = 1e-6
# Past the named constructor, which costs as much as the decision itself.
_new_tuple: Final = tuple.__new__


class RateAlgorithm(Protocol[S]):
    """What a store needs of an algorithm.

    Example:
        >>> algorithm = GCRA(RateLimit("2/second"))
        >>> state = algorithm.new()
        >>> [algorithm.hit(state, now=100.0).allowed for _ in range(3)]
        [True, True, False]
    """

    limit: RateLimit

    def new(self) -> S:
        """Return the state of a key nobody has asked for."""

    def hit(self, state: S, now: float, cost: int = 1) -> RateDecision:
        """Ask for *cost* permits at *now*; the state changes only when they are granted.

        A cost of 0 looks without taking. A cost above the limit is never granted.
        """

    def idle(self, state: S, now: float) -> bool:
        """Tell whether the state is as good as new, so that a store may drop it."""

    def dump(self, state: S) -> list[float]:
        """Return the state as numbers."""

    def load(self, numbers: list[float]) -> S:
        """Return the state that :meth:`dump` wrote down.

        Raises:
            InvalidArgumentError: These are not the numbers of such a state.
        """


class SlidingWindowState:
    """When permits were granted: moments and how many, oldest first."""

    __slots__ = ("grants", "used")

    def __init__(self) -> None:
        self.grants: deque[tuple[float, int]] = deque()
        self.used: int = 0


class SlidingWindow:
    """Exact: never more than the permits in any stretch of the period, and never fewer.

    Remembers each grant of the last period, so a state takes as much room as there
    are permits in use. The default.

    Example:
        >>> algorithm = SlidingWindow(RateLimit(permits=2, per=60.0))
        >>> state = algorithm.new()
        >>> [algorithm.hit(state, now).allowed for now in (0.0, 30.0, 59.0, 60.0)]
        [True, True, False, True]
    """

    __slots__ = ("_per", "_permits", "limit")

    def __init__(self, limit: RateLimit) -> None:
        self.limit: RateLimit = limit
        self._per = limit.per
        self._permits = limit.permits

    def new(self) -> SlidingWindowState:
        """Return an empty state."""
        return SlidingWindowState()

    def hit(self, state: SlidingWindowState, now: float, cost: int = 1) -> RateDecision:
        """Ask for *cost* permits."""
        per, permits, grants, used = self._per, self._permits, state.grants, state.used
        if grants:
            newest = grants[-1][0]
            if now < newest:  # noqa: PLR1730 - a third of the cost of max()
                now = newest
            if grants[0][0] + per <= now:
                while grants and grants[0][0] + per <= now:
                    used -= grants.popleft()[1]
                state.used = used
        after = used + cost
        if after <= permits:
            if cost:
                grants.append((now, cost))
                state.used = after
                return _new_tuple(RateDecision, (True, permits, permits - after, 0.0, per))
            reset = grants[-1][0] + per - now if grants else 0.0
            return _new_tuple(RateDecision, (True, permits, permits - after, 0.0, reset))
        reset = grants[-1][0] + per - now if grants else 0.0
        wait = self._wait(state, now, after - permits)
        return RateDecision(False, permits, max(0, permits - used), wait, reset)

    def _wait(self, state: SlidingWindowState, now: float, short: int) -> float:
        """Return the seconds until *short* more permits have come back."""
        for moment, count in state.grants:
            short -= count
            if short <= 0:
                return moment + self.limit.per - now
        return math.inf  # a cost above the limit

    def idle(self, state: SlidingWindowState, now: float) -> bool:
        """Tell whether no grant of the last period is left."""
        return not state.grants or state.grants[-1][0] + self.limit.per <= now

    def dump(self, state: SlidingWindowState) -> list[float]:
        """Return moment and count of each grant in turn."""
        return [number for grant in state.grants for number in grant]

    def load(self, numbers: list[float]) -> SlidingWindowState:
        """Return the state written down."""
        values = state_numbers(numbers)
        pairs = list(zip(values[::2], values[1::2], strict=False))
        ordered = all(a <= b for (a, _), (b, _) in itertools.pairwise(pairs))
        if len(values) % 2 or not ordered or any(count < 1 or count != int(count) for _, count in pairs):
            raise broken_state(numbers)
        state = SlidingWindowState()
        state.grants.extend((moment, int(count)) for moment, count in pairs)
        state.used = sum(count for _, count in state.grants)
        return state


class GCRA:
    """One number per key: permits come back one by one, evenly.

    A full burst at first, then one permit each ``per / permits`` seconds: a smooth
    flow, at most twice the permits in one unlucky stretch of the period. Source: the
    generic cell rate algorithm, ITU-T I.371, as virtual scheduling.

    Example:
        >>> algorithm = GCRA(RateLimit(permits=2, per=60.0))
        >>> state = algorithm.new()
        >>> [algorithm.hit(state, now).allowed for now in (0.0, 0.0, 29.0, 30.0)]
        [True, True, False, True]
    """

    __slots__ = ("_per", "_permits", "_step", "limit")

    def __init__(self, limit: RateLimit) -> None:
        self.limit: RateLimit = limit
        self._per = limit.per
        self._permits = limit.permits
        self._step = limit.per / limit.permits

    def new(self) -> list[float]:
        """Return the state of a full bucket: the moment at which it is full again."""
        return [-math.inf]

    def hit(self, state: list[float], now: float, cost: int = 1) -> RateDecision:
        """Ask for *cost* permits."""
        per, permits, step, full = self._per, self._permits, self._step, state[0]
        if full < now:  # noqa: PLR1730 - a third of the cost of max()
            full = now
        debt = full + cost * step - now
        wait = debt - per
        if wait <= _HAIR:
            if cost:
                state[0] = full + cost * step
            return _new_tuple(RateDecision, (True, permits, int((per - debt + _HAIR) / step), 0.0, debt))
        debt = full - now
        return RateDecision(False, permits, self._left(debt), math.inf if cost > permits else wait, debt)

    def _left(self, debt: float) -> int:
        return max(0, int((self.limit.per - debt + _HAIR) / self._step))

    def idle(self, state: list[float], now: float) -> bool:
        """Tell whether the bucket is full."""
        return state[0] <= now

    def dump(self, state: list[float]) -> list[float]:
        """Return the one number, or none for a new state."""
        return [] if state[0] == -math.inf else list(state)

    def load(self, numbers: list[float]) -> list[float]:
        """Return the state written down."""
        values = state_numbers(numbers)
        if len(values) > 1:
            raise broken_state(numbers)
        return values or self.new()


class SubBucketsState:
    """Permits used by number of slice, their sum, and the newest slice."""

    __slots__ = ("counts", "newest", "used")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}  # in order of time: a newer slice is added behind
        self.newest: int | None = None
        self.used: int = 0


class SubBuckets:
    """The sliding window in slices: bounded memory, and never more than the permits.

    A grant counts until its whole slice has left the period, so a permit comes back
    up to one slice late: refusals may come early, excess never.

    Args:
        limit: The limit.
        buckets: Slices of the period; more are more exact and larger.

    Raises:
        InvalidArgumentError: *buckets* is not a whole number >= 1.

    Example:
        >>> algorithm = SubBuckets(RateLimit(permits=2, per=60.0), buckets=6)
        >>> state = algorithm.new()
        >>> [algorithm.hit(state, now).allowed for now in (5.0, 30.0, 64.0, 70.0)]
        [True, True, False, True]
    """

    __slots__ = ("buckets", "limit", "width")

    def __init__(self, limit: RateLimit, buckets: int = 60) -> None:
        self.limit: RateLimit = limit
        self.buckets: int = whole("buckets", buckets)
        self.width: float = limit.per / self.buckets

    def new(self) -> SubBucketsState:
        """Return an empty state."""
        return SubBucketsState()

    def hit(self, state: SubBucketsState, now: float, cost: int = 1) -> RateDecision:
        """Ask for *cost* permits."""
        permits, index = self.limit.permits, int(now // self.width)
        if state.newest is None or index > state.newest:
            self._move(state, index)
        used = state.used + cost
        if used <= permits:
            if cost:
                newest = state.newest or 0
                state.counts[newest] = state.counts.get(newest, 0) + cost
                state.used = used
            return _new_tuple(RateDecision, (True, permits, permits - used, 0.0, self._reset(state, now)))
        wait = self._wait(state, now, used - permits)
        return RateDecision(False, permits, max(0, permits - state.used), wait, self._reset(state, now))

    def _move(self, state: SubBucketsState, index: int) -> None:
        """Go on to a new slice and drop those whose last moment is a period old."""
        state.newest = index
        for old in list(state.counts):
            if old >= index - self.buckets:
                break
            state.used -= state.counts.pop(old)

    def _leaves(self, index: int, now: float) -> float:
        """Return the seconds until the slice counts no more: its last moment plus the period."""
        first = index + 1 + self.buckets
        wait = max(0.0, first * self.width - now)
        # The product is rounded: at that very moment the division may still give the slice before.
        return wait if (now + wait) // self.width >= first else wait + _HAIR

    def _reset(self, state: SubBucketsState, now: float) -> float:
        return self._leaves(next(reversed(state.counts)), now) if state.counts else 0.0

    def _wait(self, state: SubBucketsState, now: float, short: int) -> float:
        for index, count in state.counts.items():
            short -= count
            if short <= 0:
                return self._leaves(index, now)
        return math.inf

    def idle(self, state: SubBucketsState, now: float) -> bool:
        """Tell whether every slice has left the period."""
        return not state.counts or next(reversed(state.counts)) < int(now // self.width) - self.buckets

    def dump(self, state: SubBucketsState) -> list[float]:
        """Return number and count of each slice in turn."""
        return [float(number) for pair in state.counts.items() for number in pair]

    def load(self, numbers: list[float]) -> SubBucketsState:
        """Return the state written down."""
        values = state_numbers(numbers)
        if len(values) % 2 or any(n != int(n) for n in values) or any(n < 1 for n in values[1::2]):
            raise broken_state(numbers)
        state = self.new()
        state.counts = dict(sorted(zip(map(int, values[::2]), map(int, values[1::2]), strict=True)))
        state.used = sum(state.counts.values())
        state.newest = max(state.counts, default=None)
        return state


class FixedWindow:
    """A counter per period of the clock: two numbers, and up to twice the permits at a boundary.

    Cheapest, and right where the period itself is what was sold ("1000 a day").

    Example:
        >>> algorithm = FixedWindow(RateLimit(permits=2, per=60.0))
        >>> state = algorithm.new()
        >>> [algorithm.hit(state, now).allowed for now in (58.0, 59.0, 59.5, 60.0)]
        [True, True, False, True]
    """

    __slots__ = ("limit",)

    def __init__(self, limit: RateLimit) -> None:
        self.limit: RateLimit = limit

    def new(self) -> list[float]:
        """Return an empty state: the number of the period, and permits used in it."""
        return [-math.inf, 0.0]

    def hit(self, state: list[float], now: float, cost: int = 1) -> RateDecision:
        """Ask for *cost* permits."""
        permits, per = self.limit.permits, self.limit.per
        window, known = now // per, state[0]
        used = 0
        if window <= known:
            window, used = known, int(state[1])
        reset = max(0.0, (window + 1.0) * per - now)
        if used + cost <= permits:
            if cost:
                state[0], state[1] = window, float(used + cost)
            left = permits - used - cost
            return _new_tuple(RateDecision, (True, permits, left, 0.0, reset if used + cost else 0.0))
        wait = math.inf if cost > permits else reset
        return RateDecision(False, permits, max(0, permits - used), wait, reset)

    def idle(self, state: list[float], now: float) -> bool:
        """Tell whether the period of the state is over."""
        return state[1] == 0.0 or now // self.limit.per > state[0]

    def dump(self, state: list[float]) -> list[float]:
        """Return the two numbers, or none for a new state."""
        return [] if state[1] == 0.0 else list(state)

    def load(self, numbers: list[float]) -> list[float]:
        """Return the state written down."""
        values = state_numbers(numbers)
        if not values:
            return self.new()
        if len(values) != 2 or values[0] != int(values[0]) or values[1] != int(values[1]) or values[1] < 1:
            raise broken_state(numbers)
        return values


_KINDS: Final[dict[str, type]] = {
    "fixed_window": FixedWindow,
    "gcra": GCRA,
    "sliding_window": SlidingWindow,
    "sub_buckets": SubBuckets,
}


def rate_algorithm(limit: RateLimit | str, kind: str = "sliding_window") -> RateAlgorithm[Any]:
    """Return the algorithm of that name for *limit*.

    Args:
        limit: The limit, or its text form.
        kind: ``"sliding_window"`` (exact), ``"gcra"``, ``"sub_buckets"`` or ``"fixed_window"``.

    Raises:
        InvalidArgumentError: The kind is unknown, or the text is not a limit.

    Example:
        >>> rate_algorithm("100/minute").limit.permits
        100
    """
    if kind not in _KINDS:
        msg = f"unknown rate-limit algorithm {kind!r} (known: {', '.join(_KINDS)})"
        raise InvalidArgumentError(msg)
    made: RateAlgorithm[Any] = _KINDS[kind](RateLimit(limit) if isinstance(limit, str) else limit)
    return made
