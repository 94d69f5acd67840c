"""How much may be spent in a period, by one user and by the service."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, Self

from shared.cache import LimitTier, RateLimiter, RateLimitStore, RateVerdict, rate_limit_store
from shared.errors import (
    ConfigurationError,
    InvalidArgumentError,
    RateLimitError,
    ServiceUnavailableError,
    SharedError,
)
from shared.integrations.openai._errors import AIFailure
from shared.integrations.openai._results import TokenUsage
from shared.resilience import RateLimit

__all__ = ["AIBudget", "AIBudgets"]

_TEXT: Final = re.compile(
    r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(tokens?|usd) ?/ ?(second|minute|hour|day|week)\Z",
    re.ASCII | re.IGNORECASE,
).match
_SECONDS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0, "week": 604_800.0}
_MICRO: Final = 1_000_000  # parts of a dollar in which money is counted
_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class AIBudget:
    """So many tokens, or US dollars, per period; periods follow the clock, a day is one in UTC.

    Args:
        amount: Tokens, or millionths of a US dollar.
        unit: ``"tokens"`` or ``"usd"``.
        per: Seconds.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> AIBudget.parse("200000 tokens/day")
        AIBudget(amount=200000, unit='tokens', per=86400.0)
        >>> AIBudget.parse("0.50 usd/hour").amount
        500000
    """

    amount: int
    unit: Literal["tokens", "usd"] = "tokens"
    per: float = 86_400.0

    def __post_init__(self) -> None:
        if self.amount < 1 or self.unit not in {"tokens", "usd"} or not 0 < self.per < math.inf:
            msg = f"a budget is at least 1 of tokens or usd per seconds above 0, got {self!r}"
            raise InvalidArgumentError(msg)

    @classmethod
    def parse(cls, text: "str | AIBudget") -> "AIBudget":
        """Return the budget written as ``"200000 tokens/day"`` or ``"2.50 usd/day"``.

        Raises:
            InvalidArgumentError: The text is not a budget.
        """
        if isinstance(text, AIBudget):
            return text
        match = _TEXT(str(text).strip())
        if match is None or ("." in match[1] and match[2].lower() != "usd"):
            msg = f"not a budget: {str(text)[:60]!r} (write '200000 tokens/day' or '2.50 usd/day')"
            raise InvalidArgumentError(msg)
        per = _SECONDS[match[3].lower()]
        if match[2].lower() == "usd":
            return cls(int(Decimal(match[1]) * _MICRO), "usd", per)
        return cls(int(match[1]), "tokens", per)

    def units(self, tokens: int, cost: float) -> int:
        """Return what a call takes from the budget, in its own units."""
        return tokens if self.unit == "tokens" else math.ceil(cost * _MICRO)


@dataclass(frozen=True, slots=True)
class _Meter:
    """One budget and where it is counted."""

    scope: Literal["user", "service"]
    budget: AIBudget
    limiter: RateLimiter

    def refusal(self, verdict: RateVerdict, need: int) -> SharedError | None:
        """Return the error when less than *need* is left."""
        if not verdict.decisions or verdict.decisions[0].remaining >= max(1, need):
            return None
        wait = verdict.decisions[0].reset_after or self.budget.per
        details = {"reason": str(AIFailure.BUDGET), "scope": self.scope, "unit": self.budget.unit}
        if need > self.budget.amount:
            wait = math.inf
        text = f"the {self.budget.unit} of this {self.scope} for AI are used up for now"
        if self.scope == "user":
            return RateLimitError(text, retry_after=wait, details=details, retryable=False)
        return ServiceUnavailableError(text, retry_after=wait, details=details, retryable=False)


class AIBudgets:
    """Counts what is spent, and refuses calls when a budget is used up.

    A call is refused before it is made when what is left is less than its prompt takes
    (by a rough count: four characters are a token). What it really took is known
    afterwards and then counted, so calls that run at the same time may together pass a
    budget by what they take; what is passed is never forgotten within the period.

    Args:
        user: Of each user, by ``user_id``; calls without one have none.
        service: Of all calls together.
        store: Where to count: a store of :mod:`shared.cache` or its URL, such as
            ``redis://…`` for a fleet; memory of this process when None.
        name: Of the supplier; budgets of one name and store count together.
        prefix: Before every key in Redis, when *store* is a URL.

    Raises:
        InvalidArgumentError: A budget is not one.
        ConfigurationError: The URL names no store.

    Example:
        >>> budgets = AIBudgets(user="100 tokens/day")
        >>> budgets.charge("u-1", TokenUsage(input_tokens=70), cost=0.0)
        >>> budgets.remaining("u-1"), budgets.remaining("u-2")
        ({'user': 30}, {'user': 100})
    """

    def __init__(
        self,
        *,
        user: AIBudget | str | None = None,
        service: AIBudget | str | None = None,
        store: RateLimitStore | str | None = None,
        name: str = "openai",
        prefix: str = "shared:",
    ) -> None:
        given: tuple[tuple[Literal["user", "service"], AIBudget | str | None], ...] = (
            ("user", user),
            ("service", service),
        )
        self._owned = None
        if (user or service) and (store is None or isinstance(store, str)):
            store = self._owned = rate_limit_store(store or "memory://", prefix=prefix, timeout=0.5)
        self._meters = [_meter(scope, text, store, name) for scope, text in given if text]
        self.needs_prices: bool = any(meter.budget.unit == "usd" for meter in self._meters)

    @property
    def is_empty(self) -> bool:
        """Whether there is no budget, so that everything may be spent."""
        return not self._meters

    def _of(self, user_id: str | None) -> Iterator[tuple[_Meter, str]]:
        for meter in self._meters:
            if meter.scope == "service":
                yield meter, "all"
            elif user_id is not None:
                # Whose they are is nothing a store needs to know, and any text may be an id.
                yield meter, hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def require_price(self, model: str, *, known: bool) -> None:
        """Refuse a model whose cost nobody knows, where money is counted.

        Raises:
            ConfigurationError: A budget is in usd and *model* has no price.
        """
        if self.needs_prices and not known:
            msg = f"a budget is in usd and model {model[:100]!r} has no price: add it to OPENAI_PRICES"
            raise ConfigurationError(msg)

    def check(self, user_id: str | None, tokens: int, cost: float = 0.0) -> None:
        """Refuse a call that takes at least *tokens* and *cost* when less is left.

        Raises:
            RateLimitError: The user's budget is used up.
            ServiceUnavailableError: The service's is.
        """
        for meter, key in self._of(user_id):
            error = meter.refusal(meter.limiter.hit(key, 0), meter.budget.units(tokens, cost))
            if error is not None:
                raise error

    async def acheck(self, user_id: str | None, tokens: int, cost: float = 0.0) -> None:
        """As :meth:`check`, without blocking the event loop."""
        for meter, key in self._of(user_id):
            error = meter.refusal(await meter.limiter.ahit(key, 0), meter.budget.units(tokens, cost))
            if error is not None:
                raise error

    def charge(self, user_id: str | None, usage: TokenUsage, cost: float) -> None:
        """Count what a call took; never raises, and never refuses."""
        for meter, key in self._of(user_id):
            units = meter.budget.units(usage.total, cost)
            for _ in range(_TRIES):
                verdict = meter.limiter.hit(key, units)
                units = _rest(verdict, units)
                if not units:
                    break

    async def acharge(self, user_id: str | None, usage: TokenUsage, cost: float) -> None:
        """As :meth:`charge`, without blocking the event loop."""
        for meter, key in self._of(user_id):
            units = meter.budget.units(usage.total, cost)
            for _ in range(_TRIES):
                verdict = await meter.limiter.ahit(key, units)
                units = _rest(verdict, units)
                if not units:
                    break

    def remaining(self, user_id: str | None = None) -> dict[str, int]:
        """Return what is left: ``{"user": units, "service": units}``, as far as there are budgets."""
        left = {meter.scope: meter.limiter.hit(key, 0) for meter, key in self._of(user_id)}
        return {str(scope): v.decisions[0].remaining for scope, v in left.items() if v.decisions}

    def close(self) -> None:
        """Close the store, when it was made here."""
        if self._owned is not None:
            self._owned.close()

    async def aclose(self) -> None:
        """Close the store, when it was made here, also what belongs to the event loop."""
        if self._owned is not None:
            await self._owned.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _meter(
    scope: Literal["user", "service"], text: AIBudget | str, store: RateLimitStore | str | None, name: str
) -> _Meter:
    budget = AIBudget.parse(text)
    limit = RateLimit(permits=budget.amount, per=budget.per)
    tier = LimitTier(limit, name=f"{name}:{scope}:{budget.unit}", algorithm="fixed_window")
    return _Meter(scope, budget, RateLimiter(f"{name} budget of the {scope}", tier, store=store))


def _rest(verdict: RateVerdict, units: int) -> int:
    """Return what to ask for next: a refused charge takes what is left, so that nothing remains."""
    if verdict.allowed or not verdict.decisions:
        return 0
    return min(units, verdict.decisions[0].remaining)
