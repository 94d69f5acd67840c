"""Rate limits of one process, in memory."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.cache._limit_types import LimitTier
from shared.errors import InvalidArgumentError
from shared.resilience import CircuitBreaker, RateDecision
from shared.runtime import after_fork_in_child

__all__ = ["MemoryRateLimits", "steady_clock"]

_FEW: Final = 1000  # keys that are kept without asking whether they are idle


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
        max_keys: Keys kept at most, of each limit. Keys whose permits are all back are forgotten as
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
        # Only fixed windows care what time of day it is; the others take the cheaper clock.
        self._stopwatch = clock or time.monotonic
        self._lock = threading.Lock()
        self._tables: dict[str, _Table] = {}
        after_fork_in_child(self)

    def hit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """Ask every tier for permits; see :meth:`RateLimitStore.hit`."""
        if len(tiers) == 1:
            price = cost if isinstance(cost, int) else cost[0]
            return (self.bind(tiers[0])(key if isinstance(key, str) else key[0], price),)
        keys = (key,) * len(tiers) if isinstance(key, str) else key
        costs = (cost,) * len(tiers) if isinstance(cost, int) else cost
        tables = [self._table(tier) for tier in tiers]
        with self._lock:
            asked = []
            for table, of, price in zip(tables, keys, costs, strict=True):
                state = table.states.get(of)
                if state is None:
                    state = table.states[of] = table.algorithm.new()
                asked.append((table.algorithm, state, table.clock(), price))
            decisions = decide(asked)
            for table in tables:
                table.tidy(self._max_keys)
            return decisions

    def bind(self, tier: LimitTier) -> Callable[[str, int], RateDecision]:
        """Return ``ask(key, cost)`` for a single tier: what nearly every limiter has, for less.

        Example:
            >>> MemoryRateLimits().bind(LimitTier("5/second"))("user-1", 2).remaining
            3
        """
        table = self._table(tier)
        find, hit, clock = table.states.get, table.algorithm.hit, table.clock

        def ask(key: str, cost: int) -> RateDecision:
            with self._lock:
                state = find(key)
                if state is not None:
                    return hit(state, clock(), cost)  # type: ignore[no-any-return]
                state = table.states[key] = table.algorithm.new()
                decision: RateDecision = hit(state, clock(), cost)
                table.tidy(self._max_keys)
                return decision

        return ask

    def _table(self, tier: LimitTier) -> "_Table":
        table = self._tables.get(tier.prefix)
        if table is None:
            clock = self._clock if tier.kind == "fixed_window" else self._stopwatch
            table = self._tables.setdefault(tier.prefix, _Table(tier.algorithm, clock))
        return table

    async def ahit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """As :meth:`hit`; nothing waits, so nothing is awaited."""
        return self.hit(tiers, key, cost)

    def __len__(self) -> int:
        """Return how many keys are kept."""
        return sum(len(table.states) for table in list(self._tables.values()))

    def clear(self) -> None:
        """Forget everything: all permits are back."""
        with self._lock:
            for table in self._tables.values():
                table.states.clear()

    def close(self) -> None:
        """Do nothing: nothing is held open."""

    async def aclose(self) -> None:
        """Do nothing: nothing is held open."""

    def after_fork(self) -> None:
        """Take a new lock; the permits used so far stay used in the child, too."""
        self._lock = threading.Lock()


class _Table:
    """The keys of one limit, in the order in which they are looked at for being idle."""

    __slots__ = ("algorithm", "clock", "states")

    def __init__(self, algorithm: Any, clock: Callable[[], float]) -> None:
        self.algorithm = algorithm
        self.clock = clock
        self.states: OrderedDict[str, Any] = OrderedDict()

    def tidy(self, most: int) -> None:
        """Look at two keys, unless there are few: memory follows the keys in use."""
        states = self.states
        looks = 2 if len(states) > _FEW else 0
        while looks or len(states) > most:
            oldest, state = next(iter(states.items()))
            if len(states) > most or self.algorithm.idle(state, self.clock()):
                del states[oldest]
            else:
                states.move_to_end(oldest)
            looks = max(0, looks - 1)


def decide(asked: Sequence[tuple[Any, Any, float, int]]) -> tuple[RateDecision, ...]:
    """Ask each ``(algorithm, state, now, cost)``; the states change only when all of them grant."""
    refusals = [_refusal(*each) for each in asked]
    if any(refusals):
        return tuple(
            refused or algorithm.hit(state, now, 0)
            for refused, (algorithm, state, now, _) in zip(refusals, asked, strict=True)
        )
    return tuple(algorithm.hit(state, now, cost) for algorithm, state, now, cost in asked)


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
