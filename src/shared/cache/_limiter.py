"""One rate limit as its users see it: tiers, a store, and what happens without the store."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from shared.cache._limit_memory import MemoryRateLimits
from shared.cache._limit_store import rate_limit_store
from shared.cache._limit_types import LimitTier, RateLimitStore
from shared.errors import (
    InfrastructureError,
    InvalidArgumentError,
    RateLimitError,
    ServiceUnavailableError,
    SharedError,
)
from shared.resilience import RateDecision, RateLimit, parse_rate_limits

__all__ = ["OnStoreFailure", "RateLimiter", "RateVerdict"]

OnStoreFailure: TypeAlias = Literal["local", "open", "closed"]
Limits: TypeAlias = str | RateLimit | LimitTier | Iterable[str | RateLimit | LimitTier]
Key: TypeAlias = str | Sequence[str]
Cost: TypeAlias = int | Sequence[int]

# Past the named constructor, which costs as much as the decision itself.
_new_tuple: Final = tuple.__new__
_FAILURES: Final = ("local", "open", "closed")
#: How long somebody waits whom a store that is down keeps out: the breaker's pause.
_RETRY_CLOSED: Final = 1.0


class RateVerdict(NamedTuple):
    """What became of one request for permits.

    Attributes:
        allowed: Whether it may pass.
        tiers: The limits that were asked.
        decisions: One per tier, in their order; none when the store was down and
            nobody counted.
        mode: Who decided: ``"store"``; without it ``"local"`` memory, or the policy
            ``"open"`` or ``"closed"``.

    Example:
        >>> limiter = RateLimiter("search", "1/minute")
        >>> limiter.hit("user-1").allowed, limiter.hit("user-1").allowed
        (True, False)
    """

    allowed: bool
    tiers: tuple[LimitTier, ...]
    decisions: tuple[RateDecision, ...]
    mode: str = "store"

    @property
    def retry_after(self) -> float:
        """Seconds until the same request would pass, if nobody asks meanwhile; infinite for never."""
        if self.mode == "closed":
            return _RETRY_CLOSED
        return max((decision.retry_after for decision in self.decisions), default=0.0)

    @property
    def decisive(self) -> int | None:
        """Index of the tier that refuses longest, else of the one with the smallest share left."""
        if not self.decisions:
            return None
        refusing = [i for i, decision in enumerate(self.decisions) if not decision.allowed]
        if refusing:
            return max(refusing, key=lambda i: self.decisions[i].retry_after)
        return min(
            range(len(self.decisions)),
            key=lambda i: self.decisions[i].remaining / self.decisions[i].limit,
        )

    def explain(self) -> str:
        """Return why, in one sentence.

        Example:
            >>> RateLimiter("search", "5/minute").hit("user-1").explain()
            'allowed by the store: search has 4 of 5 per 60 s left'
        """
        index = self.decisive
        word = "allowed" if self.allowed else "refused"
        by = {"store": "by the store", "local": "in local memory, the store is down"}.get(
            self.mode, f"because the store is down and the policy is {self.mode!r}"
        )
        if index is None:
            return f"{word} {by}"
        tier, decision = self.tiers[index], self.decisions[index]
        per = f"{decision.limit} per {tier.limit.per:g} s"
        text = f"{word} {by}: {tier.name} has {decision.remaining} of {per} left"
        if self.allowed:
            return text
        wait = self.retry_after
        return f"{text}; never for this cost" if math.isinf(wait) else f"{text}; next in {wait:.3f} s"


class RateLimiter:
    """Admits so many calls per time and key, for any number of processes.

    Several limits are tiers of one decision: permits are taken only when every tier
    grants. One object serves threads and tasks.

    Args:
        name: Of the limit, shown to callers; part of every key in the store.
        limits: ``"100/minute"``, ``"10/second; 1000/hour"``, or limits and tiers.
        store: Where to count: a store, or its URL for :func:`rate_limit_store`. Memory
            of this limiter alone when None.
        algorithm: For limits that are not tiers; see :class:`LimitTier`.
        on_failure: What happens while the store is down: ``"local"`` counts in this
            process, with the limit shared among *instances*; ``"open"`` lets everybody
            pass; ``"closed"`` nobody.
        instances: Processes among which ``"local"`` shares the limit.

    A store that fails three times in a row is left alone for a second: its breaker says
    so once to the log and the metrics, and calls do not wait for it.

    Raises:
        InvalidArgumentError: A value is out of range, or two tiers are the same.
        ConfigurationError: The URL names no store.

    Example:
        >>> limiter = RateLimiter("login", "2/minute; 100/day", on_failure="closed")
        >>> [limiter.hit("user-1").allowed for _ in range(3)]
        [True, True, False]
        >>> limiter.hit("user-2").allowed
        True
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        store: RateLimitStore | str | None = None,
        algorithm: str = "sliding_window",
        on_failure: OnStoreFailure = "local",
        instances: int = 1,
    ) -> None:
        if on_failure not in _FAILURES:
            msg = f"on_failure is one of {', '.join(_FAILURES)}, got {on_failure!r}"
            raise InvalidArgumentError(msg)
        if instances < 1:
            msg = f"instances is 1 or more, got {instances!r}"
            raise InvalidArgumentError(msg)
        self.name = name
        self.tiers: tuple[LimitTier, ...] = _tiers(name, limits, algorithm)
        self.on_failure: OnStoreFailure = on_failure
        self.instances = instances
        self._owned = store is None or isinstance(store, str)
        self.store: RateLimitStore = (
            MemoryRateLimits()
            if store is None
            else rate_limit_store(store)
            if isinstance(store, str)
            else store
        )
        self._breaker = self.store.breaker
        # The short way for what nearly every limiter is that counts in memory.
        self._ask: Callable[[str, int], RateDecision] | None = None
        if len(self.tiers) == 1 and type(self.store) is MemoryRateLimits:
            self._ask = self.store.bind(self.tiers[0])
        self._local: MemoryRateLimits | None = None
        self._local_tiers: tuple[LimitTier, ...] = ()
        if self._breaker is not None and on_failure == "local":
            self._local = MemoryRateLimits()
            self._local_tiers = tuple(_share(tier, instances) for tier in self.tiers)

    # -- asking -----------------------------------------------------------------------

    def hit(self, key: Key, cost: Cost = 1) -> RateVerdict:
        """Ask for *cost* permits of *key*; returns in any case, whatever the store does.

        Args:
            key: Whose permits: one text, or one for each tier; always the same form.
            cost: Permits, for all tiers or for each; 0 looks without taking.

        Raises:
            InvalidArgumentError: There is not one key or cost for each tier, a key is
                no text, or a cost is not a whole number >= 0.
        """
        ask = self._ask
        if ask is not None and type(key) is str and type(cost) is int and cost >= 0:
            decision = ask(key, cost)
            return _new_tuple(RateVerdict, (decision[0], self.tiers, (decision,), "store"))
        self._check(key, cost)
        breaker = self._breaker
        if breaker is None:
            return _verdict(self.tiers, self.store.hit(self.tiers, key, cost), "store")
        try:
            decisions = breaker.call(self.store.hit, self.tiers, key, cost)
        except InfrastructureError:
            return self._without_store(key, cost)
        return _verdict(self.tiers, decisions, "store")

    async def ahit(self, key: Key, cost: Cost = 1) -> RateVerdict:
        """As :meth:`hit`, without blocking the event loop.

        Raises:
            InvalidArgumentError: As :meth:`hit`.
        """
        if self._ask is not None:
            return self.hit(key, cost)  # nothing waits
        self._check(key, cost)
        breaker = self._breaker
        if breaker is None:
            return _verdict(self.tiers, await self.store.ahit(self.tiers, key, cost), "store")
        try:
            decisions = await breaker.acall(self.store.ahit, self.tiers, key, cost)
        except InfrastructureError:
            return self._without_store(key, cost)
        return _verdict(self.tiers, decisions, "store")

    def check(self, key: Key, cost: Cost = 1) -> RateVerdict:
        """Take the permits, or raise.

        Raises:
            RateLimitError: They are used up; ``retry_after`` says for how long.
            ServiceUnavailableError: The store is down and the policy is ``"closed"``.
            InvalidArgumentError: As :meth:`hit`.

        Example:
            >>> limiter = RateLimiter("login", "1/minute")
            >>> limiter.check("user-1").allowed
            True
            >>> try:
            ...     limiter.check("user-1")
            ... except Exception as error:
            ...     error.status, error.details["policy"], error.details["retry_after"]
            (429, 'login', 60)
        """
        verdict = self.hit(key, cost)
        if not verdict.allowed:
            raise self.refusal(verdict)
        return verdict

    async def acheck(self, key: Key, cost: Cost = 1) -> RateVerdict:
        """As :meth:`check`, without blocking the event loop.

        Raises:
            RateLimitError: As :meth:`check`.
            ServiceUnavailableError: As :meth:`check`.
        """
        verdict = await self.ahit(key, cost)
        if not verdict.allowed:
            raise self.refusal(verdict)
        return verdict

    def refusal(self, verdict: RateVerdict) -> SharedError:
        """Return the error for a refused *verdict*; the wait is in whole seconds, rounded up.

        Example:
            >>> limiter = RateLimiter("login", "1/minute")
            >>> verdict = [limiter.hit("user-1") for _ in range(2)][1]
            >>> limiter.refusal(verdict).headers
            {'Retry-After': '60'}
        """
        index = verdict.decisive
        if verdict.mode == "closed" or index is None:
            return ServiceUnavailableError(
                f"the limit {self.name!r} cannot be checked now", retry_after=_RETRY_CLOSED
            )
        tier, wait = verdict.tiers[index], verdict.retry_after
        details: dict[str, Any] = {
            "limit": tier.limit.permits,
            "window": int(tier.limit.per) if tier.limit.per.is_integer() else tier.limit.per,
            "policy": tier.name,
        }
        if math.isinf(wait):
            msg = f"this request costs more than the limit of {tier.limit.permits} ever allows"
            return RateLimitError(msg, details=details, retryable=False)
        seconds = max(1, math.ceil(wait))
        details["retry_after"] = seconds
        msg = f"more than {tier.limit.permits} requests in {tier.limit.per:g} s: try again in {seconds} s"
        return RateLimitError(msg, details=details, retry_after=seconds)

    # -- telling ----------------------------------------------------------------------

    def explain(self) -> dict[str, Any]:
        """Return what the limiter does, in plain data.

        Returns:
            ``{"name", "store", "on_failure", "instances", "tiers": [{"name", "limit",
            "seconds", "algorithm", "worst_window"}]}``: the last is the most that any
            stretch of the period can admit.

        Example:
            >>> RateLimiter("api", "100/minute", algorithm="gcra").explain()["tiers"][0]["worst_window"]
            200
        """
        return {
            "name": self.name,
            "store": self.store.shown,
            "on_failure": "none can happen" if self._breaker is None else self.on_failure,
            "instances": self.instances,
            "tiers": [
                {
                    "name": tier.name,
                    "limit": tier.limit.permits,
                    "seconds": tier.limit.per,
                    "algorithm": tier.kind,
                    "worst_window": tier.limit.permits * (1 if tier.kind in _EXACT else 2),
                }
                for tier in self.tiers
            ],
        }

    def close(self) -> None:
        """Close the store, when this limiter made it."""
        if self._owned:
            self.store.close()

    async def aclose(self) -> None:
        """Close the store, when this limiter made it."""
        if self._owned:
            await self.store.aclose()

    def __repr__(self) -> str:
        limits = "; ".join(str(tier.limit) for tier in self.tiers)
        return f"<RateLimiter {self.name!r} {limits} in {self.store.shown}>"

    # -- inside -----------------------------------------------------------------------

    def _check(self, key: Any, cost: Any) -> None:
        if type(key) is str and type(cost) is int and cost >= 0:
            return  # what nearly every call is
        count = len(self.tiers)
        if not isinstance(key, str) and not _texts(key, count):
            msg = f"{self.name!r} needs one key, or one text for each of its {count} tiers"
            raise InvalidArgumentError(msg)
        costs = cost if isinstance(cost, (tuple, list)) and len(cost) == count else (cost,)
        if any(type(each) is not int or each < 0 for each in costs):
            msg = f"a cost is a whole number >= 0, or one for each of {count} tiers, got {cost!r}"
            raise InvalidArgumentError(msg)

    def _without_store(self, key: Key, cost: Cost) -> RateVerdict:
        local = self._local
        if local is None:
            return RateVerdict(self.on_failure == "open", self.tiers, (), self.on_failure)
        tiers = self._local_tiers
        costs = [cost] * len(tiers) if isinstance(cost, int) else cost
        # A share of the limit may be less than one request costs; it can still pass alone.
        price = [min(c, tier.limit.permits) for c, tier in zip(costs, tiers, strict=True)]
        return _verdict(tiers, local.hit(tiers, key, price), "local")


_EXACT: Final = frozenset({"sliding_window", "sub_buckets"})


def _verdict(tiers: tuple[LimitTier, ...], decisions: tuple[RateDecision, ...], mode: str) -> RateVerdict:
    for decision in decisions:
        if not decision.allowed:
            return RateVerdict(False, tiers, decisions, mode)
    return RateVerdict(True, tiers, decisions, mode)


def _tiers(name: str, limits: Limits, algorithm: str) -> tuple[LimitTier, ...]:
    if isinstance(limits, str):
        limits = parse_rate_limits(limits)
    elif isinstance(limits, (RateLimit, LimitTier)):
        limits = (limits,)
    given = tuple(limits)
    alone = len(given) == 1
    tiers = tuple(
        limit
        if isinstance(limit, LimitTier)
        else LimitTier(limit, name=name if alone else f"{name}-{_spelling(limit)}", algorithm=algorithm)
        for limit in given
    )
    if not tiers:
        msg = f"the limiter {name!r} needs at least one limit"
        raise InvalidArgumentError(msg)
    if len({tier.prefix for tier in tiers}) != len(tiers):
        msg = f"the limiter {name!r} has the same tier twice: give them names"
        raise InvalidArgumentError(msg)
    return tiers


def _texts(key: Any, count: int) -> bool:
    return isinstance(key, (tuple, list)) and len(key) == count and all(isinstance(k, str) for k in key)


def _store(given: RateLimitStore | str | None) -> RateLimitStore:
    if given is None:
        return MemoryRateLimits()
    return rate_limit_store(given) if isinstance(given, str) else given


def _spelling(limit: RateLimit | str) -> str:
    return str(RateLimit(limit) if isinstance(limit, str) else limit).replace("/", "-")


def _share(tier: LimitTier, instances: int) -> LimitTier:
    limit = tier.limit
    share = RateLimit(permits=max(1, limit.permits // instances), per=limit.per)
    return LimitTier(share, name=tier.name, algorithm=tier.kind)
