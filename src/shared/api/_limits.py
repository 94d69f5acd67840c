"""Rate limits as a job of the layer: who asks, what is refused, what the caller is told."""

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from shared.api._errors import Reply
from shared.api._exchange import Exchange
from shared.api._jobs import Job, ResponseHeaders
from shared.api._limit_keys import ClientAddress, LimitKeys
from shared.api._limit_policy import LimitPolicy, parse_policies
from shared.cache import (
    LimitTier,
    MemoryRateLimits,
    OnStoreFailure,
    RateLimiter,
    RateLimitStore,
    RateVerdict,
    rate_limit_store,
)
from shared.constants import Header
from shared.errors import ConfigurationError, SharedError
from shared.runtime import current

__all__ = ["RateLimits", "RequestLimited"]

HeaderStyle = Literal["ietf", "both", "off"]

_STATE: Final = "shared.rate_limits"
_PROBES: Final = ("/health", "/live", "/metrics", "/ready")


@dataclass(frozen=True, slots=True)
class RequestLimited:
    """Event: a request was refused.

    Attributes:
        policy: Name of the limit that refused longest; of the first when the store was down.
        mode: As :attr:`shared.cache.RateVerdict.mode`.
        route: Template of the route.

    Example:
        >>> RequestLimited("default", "store", "/orders").policy
        'default'
    """

    policy: str
    mode: str
    route: str


class _Plan(NamedTuple):
    """Policies that are asked together, ready to ask."""

    policies: tuple[LimitPolicy, ...]
    limiter: RateLimiter
    together: bool  # one key for all of them
    cost: int | None  # the same for every request, or None


class RateLimits(Job):
    """Limits requests, and tells callers where they stand.

    One job of the request layer for the limits of the whole application and for those
    of single routes (:func:`rate_limit`), which need it to be there. All limits given
    here are one decision; a refused request takes nothing from any of them.

    Args:
        limits: Policies, or lines such as ``"10/second by client; 1000/hour by principal"``.
            They are asked before the application sees the request, so a principal is
            known only when an earlier job made it known.
        store: Where to count: a store or its URL; memory of this process when None.
        trusted_proxies: Networks whose ``X-Forwarded-For`` is believed.
        api_key_header: Header that carries API keys.
        headers: ``"ietf"`` for ``RateLimit`` and ``RateLimit-Policy``, ``"both"`` for
            ``X-RateLimit-*`` beside them, ``"off"`` for none. ``Retry-After`` is always sent.
        exempt_paths: Paths that are never limited by *limits*.
        on_failure: What happens while the store is down; see :class:`shared.cache.RateLimiter`.
        instances: Processes among which ``"local"`` shares the limits.

    Close it when done, unless the store was given.

    Raises:
        ConfigurationError: A value makes no sense.

    Example:
        >>> from shared.api import Pipeline
        >>> job = RateLimits("100/minute by client")
        >>> pipeline = Pipeline(access=None, jobs=[job])
        >>> [limit["limit"] for limit in job.explain()["limits"]]
        [100]
    """

    def __init__(
        self,
        limits: str | LimitPolicy | Iterable[str | LimitPolicy] = (),
        *,
        store: RateLimitStore | str | None = None,
        trusted_proxies: Iterable[str] = (),
        api_key_header: str = Header.API_KEY,
        headers: HeaderStyle = "ietf",
        exempt_paths: Iterable[str] = _PROBES,
        on_failure: OnStoreFailure = "local",
        instances: int = 1,
    ) -> None:
        if headers not in ("ietf", "both", "off"):
            msg = f"headers is one of ietf, both, off, got {headers!r}"
            raise ConfigurationError(msg)
        self._owned = store is None or isinstance(store, str)
        self.store: RateLimitStore = (
            MemoryRateLimits()
            if store is None
            else rate_limit_store(store)
            if isinstance(store, str)
            else store
        )
        self.keys: LimitKeys = LimitKeys(ClientAddress(trusted_proxies), api_key_header)
        self._headers = headers
        self._exempt = frozenset(exempt_paths)
        self._on_failure: OnStoreFailure = on_failure
        self._instances = instances
        self._plans: weakref.WeakKeyDictionary[Any, _Plan] = weakref.WeakKeyDictionary()
        policies = parse_policies(limits)
        self._plan: _Plan | None = self.plan(policies, None) if policies else None
        # Rules of routes find the job by themselves; without limits of the layer it is not asked.
        self.idle: bool = not policies
        self.waits: bool = bool(policies) and type(self.store) is not MemoryRateLimits

    @property
    def limits_all(self) -> bool:
        """Whether there are limits of the whole application, beside those of routes."""
        return self._plan is not None

    # -- the layer's questions --------------------------------------------------------

    def on_request(self, exchange: Exchange) -> Reply | SharedError | None:
        """Ask the limits of the whole application."""
        plan = self._plan
        if plan is None or exchange.path in self._exempt:
            return None
        return self.ask(plan, exchange)

    async def on_request_async(self, exchange: Exchange) -> Reply | SharedError | None:
        """Ask the limits of the whole application, awaiting the store."""
        plan = self._plan
        if plan is None or exchange.path in self._exempt:
            return None
        if self.waits:
            return await self.aask(plan, exchange)
        return self.ask(plan, exchange)

    def _show(self, exchange: Exchange, _status: int, headers: ResponseHeaders) -> None:
        """Tell the caller where it stands."""
        _tell(exchange.peek(_STATE), headers, legacy=self._headers == "both")

    # -- decisions --------------------------------------------------------------------

    def plan(self, policies: tuple[LimitPolicy, ...], on_failure: OnStoreFailure | None) -> _Plan:
        """Return how *policies* are asked together."""
        limiter = RateLimiter(
            policies[0].name,
            [policy.tier for policy in policies],
            store=self.store,
            on_failure=on_failure or self._on_failure,
            instances=self._instances,
        )
        together = len({policy.parts for policy in policies}) == 1
        prices = {policy.cost for policy in policies}
        fixed = prices.pop() if len(prices) == 1 else None
        return _Plan(policies, limiter, together, fixed if isinstance(fixed, int) else None)

    def plan_of(self, rule: Any) -> _Plan:
        """Return the plan of a route's rule, made at its first request."""
        plan = self._plans.get(rule)
        if plan is None:
            plan = self._plans.setdefault(rule, self.plan(rule.policies, rule.on_failure))
        return plan

    def ask(self, plan: _Plan, exchange: Exchange) -> SharedError | None:
        """Take the permits of a request; returns the refusal, or None."""
        question = self._question(plan, exchange)
        if question is None:
            return None
        key, cost, skipped = question
        return self._settle(plan, exchange, plan.limiter.hit(key, cost), skipped)

    async def aask(self, plan: _Plan, exchange: Exchange) -> SharedError | None:
        """As :meth:`ask`, without blocking the event loop."""
        question = self._question(plan, exchange)
        if question is None:
            return None
        key, cost, skipped = question
        return self._settle(plan, exchange, await plan.limiter.ahit(key, cost), skipped)

    def _question(
        self, plan: _Plan, exchange: Exchange
    ) -> tuple[str | Sequence[str], int | Sequence[int], tuple[int, ...]] | None:
        of, policies = self.keys.of, plan.policies
        if plan.together:
            key = of(exchange, policies[0].parts)
            if key is None:
                return None
            if plan.cost is not None:
                return key, plan.cost, ()
            return key, [_price(policy, exchange) for policy in policies], ()
        keys = [of(exchange, policy.parts) for policy in policies]
        skipped = tuple(index for index, key in enumerate(keys) if key is None)
        if len(skipped) == len(keys):
            return None
        # A limit that does not apply is asked for nothing, which it always grants: so the
        # others are asked in the same form, in the same place of a cluster, every time.
        costs = [
            0 if key is None else _price(policy, exchange) for policy, key in zip(policies, keys, strict=True)
        ]
        return [key or "-" for key in keys], costs, skipped

    def _settle(
        self, plan: _Plan, exchange: Exchange, verdict: RateVerdict, skipped: tuple[int, ...]
    ) -> SharedError | None:
        if skipped and verdict.decisions:
            kept = [index for index in range(len(verdict.tiers)) if index not in skipped]
            verdict = verdict._replace(
                tiers=tuple(verdict.tiers[index] for index in kept),
                decisions=tuple(verdict.decisions[index] for index in kept),
            )
        told = exchange.state.setdefault(_STATE, [])
        if not told and self._headers != "off":
            exchange.before_headers(self._show)
        told.append(verdict)
        if verdict.allowed:
            return None
        events = current().events
        if events.has_listeners(RequestLimited):
            name = verdict.tiers[verdict.decisive or 0].name
            events.emit(RequestLimited(name, verdict.mode, exchange.find_route()))
        return plan.limiter.refusal(verdict)

    # -- telling ----------------------------------------------------------------------

    def explain(self) -> dict[str, Any]:
        """Return what is limited, in plain data.

        Returns:
            ``{"store", "on_failure", "instances", "headers", "exempt_paths", "limits":
            [{"name", "limit", "seconds", "algorithm", "worst_window", "by", "where"}]}``;
            the limits of a route appear after its first request.
        """
        plans = [("application", self._plan)] if self._plan else []
        plans += [(rule.where, plan) for rule, plan in list(self._plans.items())]
        limits = []
        for where, plan in plans:
            told = plan.limiter.explain()
            for tier, policy in zip(told["tiers"], plan.policies, strict=True):
                by = [
                    part if isinstance(part, str) else getattr(part, "__name__", "own")
                    for part in policy.parts
                ]
                limits.append(tier | {"by": by, "where": where})
        return {
            "store": self.store.shown,
            "on_failure": self._on_failure,
            "instances": self._instances,
            "headers": self._headers,
            "exempt_paths": sorted(self._exempt),
            "limits": limits,
        }

    def close(self) -> None:
        """Close the store, when this job made it."""
        if self._owned:
            self.store.close()

    async def aclose(self) -> None:
        """Close the store, when this job made it."""
        if self._owned:
            await self.store.aclose()


def _price(policy: LimitPolicy, exchange: Exchange) -> int:
    return policy.cost if isinstance(policy.cost, int) else policy.cost(exchange)


def _tell(verdicts: Sequence[RateVerdict], headers: ResponseHeaders, *, legacy: bool) -> None:
    policy = [_policy_field(verdict.tiers) for verdict in verdicts if verdict.decisions]
    if not policy:
        return
    state = [
        f'"{tier.name}";r={d.remaining};t={_seconds(d.reset_after if d.allowed else d.retry_after)}'
        for verdict in verdicts
        for tier, d in zip(verdict.tiers, verdict.decisions, strict=False)
    ]
    headers.append("RateLimit-Policy", ", ".join(policy))
    headers.append("RateLimit", ", ".join(state))
    if legacy:
        last = verdicts[-1]
        index = last.decisive
        if index is not None:
            decision = last.decisions[index]
            wait = decision.reset_after if decision.allowed else decision.retry_after
            headers.append("X-RateLimit-Limit", str(decision.limit))
            headers.append("X-RateLimit-Remaining", str(decision.remaining))
            headers.append("X-RateLimit-Reset", str(_seconds(wait)))


@lru_cache(maxsize=1024)
def _policy_field(tiers: tuple[LimitTier, ...]) -> str:
    """Return the value of ``RateLimit-Policy``: quota and window in seconds of each limit."""
    return ", ".join(f'"{tier.name}";q={tier.limit.permits};w={math.ceil(tier.limit.per)}' for tier in tiers)


def _seconds(wait: float) -> int:
    """Return whole seconds, rounded up; what never comes back is told as the longest time there is."""
    return math.ceil(wait) if math.isfinite(wait) else 2**31 - 1
