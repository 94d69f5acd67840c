"""Rate limits of one process, in memory."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from shared.cache._limit_types import LimitTier
from shared.errors import InvalidArgumentError
from shared.resilience import CircuitBreaker, RateDecision
from shared.runtime import after_fork_in_child

__all__ = ["MemoryRateLimits", "steady_clock"]


def steady_clock() -> Callable[[], float]:
    """Return a clock that shows the time of day now and never runs backwards.

    Periods such as a day so begin at midnight UTC, and a corrected system clock
    shortens or stretches none of them.

    Example:
        >>> now = steady_clock()
        >>> now() <= now()
        True
    """
    offset, monotonic = time.time() - time.monotonic(), time.monotonic
    return lambda: monotonic() + offset


class MemoryRateLimits:
    """The store for one process; several workers have one each and admit as many times more.

    Args:
        max_keys: Keys kept at most. Keys whose permits are all back are forgotten as
            others come; above the bound the longest unseen is forgotten in any case.
        clock: Seconds since the epoch that never run backwards.

    Thread-safe, works in any number of event loops, and a forked child starts with a
    copy. Nothing in it can fail.

    Raises:
        InvalidArgumentError: *max_keys* is below 1.

    Example:
        >>> store = MemoryRateLimits()
        >>> tiers = (LimitTier("2/second", name="burst"), LimitTier("3/minute", name="steady"))
        >>> [all(d.allowed for d in store.hit(tiers, "user-1")) for _ in range(3)]
        [True, True, False]
    """

    breaker: CircuitBreaker | None = None
    shown: str = "memory"

    def __init__(self, *, max_keys: int = 100_000, clock: Callable[[], float] | None = None) -> None:
        if max_keys < 1:
            msg = f"max_keys is 1 or more, got {max_keys!r}"
            raise InvalidArgumentError(msg)
        self._max_keys = max_keys
        self._clock = clock or steady_clock()
        self._lock = threading.Lock()
        # In the order in which the keys are looked at for being idle.
        self._states: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
        after_fork_in_child(self)

    def hit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """Ask every tier for permits; see :meth:`RateLimitStore.hit`."""
        if len(tiers) == 1:
            tier = tiers[0]
            full = tier.prefix + (key if isinstance(key, str) else key[0])
            price = cost if isinstance(cost, int) else cost[0]
            with self._lock:
                now = self._clock()
                entry = self._states.get(full)
                if entry is not None:
                    return (entry[0].hit(entry[1], now, price),)
                decision: RateDecision = tier.algorithm.hit(self._new(full, tier.algorithm), now, price)
                self._tidy(now)
                return (decision,)
        keys = (key,) * len(tiers) if isinstance(key, str) else key
        costs = (cost,) * len(tiers) if isinstance(cost, int) else cost
        with self._lock:
            now = self._clock()
            asked = []
            for tier, of, price in zip(tiers, keys, costs, strict=True):
                full = tier.prefix + of
                entry = self._states.get(full)
                state = self._new(full, tier.algorithm) if entry is None else entry[1]
                asked.append((tier.algorithm, state, price))
            decisions = decide(asked, now)
            self._tidy(now)
            return decisions

    async def ahit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """As :meth:`hit`; nothing waits, so nothing is awaited."""
        return self.hit(tiers, key, cost)

    def _new(self, full: str, algorithm: Any) -> Any:
        state = algorithm.new()
        self._states[full] = (algorithm, state)
        return state

    def _tidy(self, now: float) -> None:
        """Look at two keys, at more when there are too many: memory follows the keys in use."""
        states = self._states
        looks = 2
        while states and (looks or len(states) > self._max_keys):
            oldest, (algorithm, state) = next(iter(states.items()))
            if len(states) > self._max_keys or algorithm.idle(state, now):
                del states[oldest]
            else:
                states.move_to_end(oldest)
            looks = max(0, looks - 1)

    def __len__(self) -> int:
        """Return how many keys are kept."""
        return len(self._states)

    def clear(self) -> None:
        """Forget everything: all permits are back."""
        with self._lock:
            self._states.clear()

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    async def aclose(self) -> None:
        """Do nothing: nothing is held open."""

    def after_fork(self) -> None:
        """Take a new lock; the permits used so far stay used in the child, too."""
        self._lock = threading.Lock()


def decide(asked: Sequence[tuple[Any, Any, int]], now: float) -> tuple[RateDecision, ...]:
    """Ask each ``(algorithm, state, cost)``; the states change only when all of them grant."""
    refusals = [_refusal(algorithm, state, now, cost) for algorithm, state, cost in asked]
    if any(refusals):
        return tuple(
            refused or algorithm.hit(state, now, 0)
            for refused, (algorithm, state, _) in zip(refusals, asked, strict=True)
        )
    return tuple(algorithm.hit(state, now, cost) for algorithm, state, cost in asked)


def _refusal(algorithm: Any, state: Any, now: float, cost: int) -> RateDecision | None:
    """Return the refusal there would be, or None, and leave the state as it is."""
    if isinstance(state, list):
        # Two numbers at most. The same sum that is done again when all grant: where times
        # are added up, a comparison of whole permits may differ in the last digit.
        before = state.copy()
        answer: RateDecision = algorithm.hit(state, now, cost)
        state[:] = before
    elif cost <= algorithm.hit(state, now, 0).remaining:
        return None
    else:
        answer = algorithm.hit(state, now, cost)  # refused for certain, which changes nothing
    return None if answer.allowed else answer
