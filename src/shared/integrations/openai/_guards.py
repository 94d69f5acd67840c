"""Who decides whether a call is made, and made again."""

from typing import Any, Final

from shared.errors import ConflictError
from shared.integrations.openai._errors import AIFailure, counts_against, reason_of
from shared.resilience import (
    BreakerRegistry,
    CircuitBreaker,
    Policy,
    RetryBudget,
    RetryPolicy,
    get_breakers,
)

__all__ = ["Guards"]

_MOST: Final = 64  # models with a breaker of their own: a name may come from outside
_OTHER: Final = "other"


class Guards:
    """One policy per model, and one breaker for the account behind all of them.

    The policy is the only owner of retries. A model that fails opens its own breaker, so
    that fallback models still answer; an account with nothing left opens its own,
    at once, since no model would answer and asking again helps nobody.
    """

    def __init__(
        self,
        *,
        name: str = "openai",
        max_attempts: int = 3,
        retry: RetryPolicy | None = None,
        breakers: BreakerRegistry | None = None,
    ) -> None:
        self.retry: RetryPolicy = retry or RetryPolicy(
            max_attempts, delay=0.5, max_delay=30.0, budget=RetryBudget(), name=name
        )
        self.name = name
        self._breakers = breakers
        self._account: CircuitBreaker | None = None
        self._policies: dict[str, Policy] = {}

    @property
    def account(self) -> CircuitBreaker:
        """The breaker of the account; it opens for ``insufficient_quota`` alone."""
        if self._account is None:
            self._account = self._breaker(self.name, failure_threshold=1, record=_is_quota)
        return self._account

    def of(self, model: str) -> Policy:
        """Return the policy of *model*."""
        policy = self._policies.get(model)
        if policy is not None:
            return policy
        key = model if len(self._policies) < _MOST else _OTHER
        name = f"{self.name}:{key}"
        made = Policy(name, retry=self.retry, breaker=self._breaker(name, record=counts_against))
        return self._policies.setdefault(key, made)  # of two at once, one stays

    def _breaker(self, name: str, **options: Any) -> CircuitBreaker:
        breakers = self._breakers if self._breakers is not None else get_breakers()
        try:
            return breakers.configure(name, **options)
        except ConflictError:  # the other client of this runtime was here first
            return breakers.get(name)


def _is_quota(error: Exception) -> bool:
    return reason_of(error) == AIFailure.QUOTA
