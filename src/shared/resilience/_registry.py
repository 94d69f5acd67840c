"""The guards of a service by the name of what they guard."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from shared.errors import ConflictError, InvalidArgumentError
from shared.resilience._backoff import BackoffKind, Jitter
from shared.resilience._breaker import CircuitBreaker
from shared.resilience._budget import RetryBudget
from shared.resilience._config import BreakerConfig, breaker_config
from shared.resilience._machine import BreakerMode, BreakerState
from shared.resilience._policy import Policy
from shared.resilience._random import draw
from shared.resilience._retry import RetryPolicy
from shared.resilience._snapshot import BreakerSnapshot, PolicySnapshot
from shared.runtime import Events, Runtime, after_fork_in_child, current

if TYPE_CHECKING:
    from shared.config import ResilienceSettings

__all__ = ["PRESETS", "BreakerRegistry", "PolicyRegistry", "get_breakers", "get_policies"]

PRESETS: Final[Mapping[str, int]] = MappingProxyType({"payments": 5, "email": 3, "storage": 5, "shipping": 3})
"""Failures in a row that open the breaker of these dependencies, unless set otherwise."""

_MOST: Final = 1000
"""Names come from code; so many mean that a value (a user, an order) has become one."""


class BreakerRegistry:
    """One circuit breaker per dependency, made when first asked for.

    Args:
        thresholds: Failures in a row that open, by name.
        clock: Gives monotonic seconds to every breaker.
        rng: Gives numbers in ``[0, 1)`` to every breaker.
        events: Where their events go; the current runtime's by default.
        **defaults: Options of :class:`BreakerConfig` for every breaker.

    Raises:
        InvalidArgumentError: An option is unknown or out of range.

    Example:
        >>> breakers = BreakerRegistry(recovery_timeout=10.0)
        >>> breakers.get("email").config.failure_threshold, breakers.get("maps").config.failure_threshold
        (3, 5)
        >>> breakers.get("email") is breakers.get("email")
        True
    """

    def __init__(
        self,
        thresholds: Mapping[str, int] = PRESETS,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = draw,
        events: Events | None = None,
        **defaults: Any,
    ) -> None:
        breaker_config(**defaults)
        self._thresholds = dict(thresholds)
        self._defaults = defaults
        self._tools: dict[str, Any] = {"clock": clock, "rng": rng, "events": events}
        self._breakers: dict[str, CircuitBreaker] = {}
        self._lock = threading.Lock()
        after_fork_in_child(self)

    @classmethod
    def from_settings(cls, settings: "ResilienceSettings", **options: Any) -> Self:
        """Return a registry with the thresholds and times of ``settings.resilience``."""
        return cls(
            settings.BREAKER_THRESHOLDS,
            **{
                "failure_threshold": settings.BREAKER_FAILURE_THRESHOLD,
                "recovery_timeout": settings.BREAKER_RECOVERY_TIMEOUT,
                "success_threshold": settings.BREAKER_SUCCESS_THRESHOLD,
                "half_open_max_calls": settings.BREAKER_HALF_OPEN_MAX_CALLS,
                **options,
            },
        )

    def get(self, name: str) -> CircuitBreaker:
        """Return the breaker of *name*.

        Raises:
            InvalidArgumentError: *name* is empty, or there are 1000 breakers already.
        """
        try:
            return self._breakers[name]
        except KeyError:
            return self._make(name, self._config(name), replace=False)

    def configure(self, name: str, **options: Any) -> CircuitBreaker:
        """Make the breaker of *name* with *options* of its own, before its first use.

        Raises:
            ConflictError: The breaker exists: whoever holds it would keep the old one.
            InvalidArgumentError: An option is unknown or out of range.
        """
        return self._make(name, self._config(name, **options), replace=True)

    def _config(self, name: str, **options: Any) -> BreakerConfig:
        own = {"failure_threshold": self._thresholds[name]} if name in self._thresholds else {}
        return breaker_config(**{**self._defaults, **own, **options})

    def _make(self, name: str, config: BreakerConfig, *, replace: bool) -> CircuitBreaker:
        with self._lock:
            if name in self._breakers:
                if not replace:
                    return self._breakers[name]
                msg = f"the breaker of {name!r} is in use already: configure it before its first call"
                raise ConflictError(msg)
            if len(self._breakers) >= _MOST:
                msg = (
                    f"no breaker for {name!r}: there are {_MOST} already; "
                    "a name is a dependency, never a user or an order"
                )
                raise InvalidArgumentError(msg)
            breaker = self._breakers[name] = CircuitBreaker(name, config=config, **self._tools)
            return breaker

    def __iter__(self) -> Iterator[CircuitBreaker]:
        """Iterate over the breakers made so far."""
        return iter(list(self._breakers.values()))

    def __len__(self) -> int:
        return len(self._breakers)

    def __contains__(self, name: object) -> bool:
        return name in self._breakers

    def snapshots(self) -> tuple[BreakerSnapshot, ...]:
        """Return what every breaker knows now, by name: for a metrics collector at scrape time."""
        return tuple(breaker.snapshot() for breaker in sorted(self, key=lambda one: one.name))

    def health(self, critical: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a health check's answer: an open breaker degrades, and does not stop, the service.

        A breaker that was forced open by hand counts as open; one in ``METRICS_ONLY``
        never counts, since it refuses nothing.

        Args:
            critical: Names without which the service is of no use.

        Returns:
            A mapping ``{"status": "healthy" | "degraded" | "unhealthy", "breakers":
            {name: "CLOSED" | "OPEN" | "HALF_OPEN"}}``.
        """
        states = {one.name: one.state for one in self.snapshots() if one.mode is not BreakerMode.METRICS_ONLY}
        broken = {name for name, state in states.items() if state is BreakerState.OPEN}
        status = "unhealthy" if broken & set(critical) else "degraded" if broken else "healthy"
        return {"status": status, "breakers": {name: state.value for name, state in states.items()}}

    def reset(self) -> None:
        """Close every breaker and forget what was counted."""
        for breaker in self:
            breaker.reset()

    def after_fork(self) -> None:
        """Re-arm in a forked child; the breakers are kept and re-arm themselves."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<BreakerRegistry {[repr(breaker) for breaker in self]}>"


class PolicyRegistry:
    """The standard policy of each dependency: retries with a budget, around its breaker.

    Args:
        breakers: Where the breakers come from.
        max_attempts: Calls in total.
        delay: Base of the waits, in seconds.
        max_delay: Longest wait, in seconds.
        backoff: How the waits grow; see :class:`Backoff`.
        jitter: How much of them is drawn at random.
        events: Where events go; the current runtime's by default.

    Example:
        >>> policies = PolicyRegistry(BreakerRegistry())
        >>> policies.get("payments").explain()
        ['retry: 3 tries', 'breaker: CLOSED']
    """

    def __init__(
        self,
        breakers: BreakerRegistry,
        *,
        max_attempts: int = 3,
        delay: float = 1.0,
        max_delay: float = 30.0,
        backoff: BackoffKind = "exponential",
        jitter: Jitter = "full",
        events: Events | None = None,
    ) -> None:
        self.breakers = breakers
        self._retry: dict[str, Any] = {
            "max_attempts": max_attempts,
            "delay": delay,
            "max_delay": max_delay,
            "backoff": backoff,
            "jitter": jitter,
            "events": events,
        }
        RetryPolicy(**self._retry)
        self._events = events
        self._policies: dict[str, Policy] = {}
        self._lock = threading.Lock()
        after_fork_in_child(self)

    @classmethod
    def from_settings(cls, settings: "ResilienceSettings", breakers: BreakerRegistry) -> Self:
        """Return a registry with the tries and waits of ``settings.resilience``."""
        return cls(
            breakers,
            max_attempts=settings.RETRY_MAX_ATTEMPTS,
            delay=settings.RETRY_DELAY,
            max_delay=settings.RETRY_MAX_DELAY,
            backoff=settings.RETRY_BACKOFF,
            jitter=settings.RETRY_JITTER,
        )

    def get(self, name: str) -> Policy:
        """Return the policy of *name*; its budget and breaker are shared by all who use the name."""
        policy = self._policies.get(name)
        if policy is not None:
            return policy
        breaker = self.breakers.get(name)
        with self._lock:
            if name not in self._policies:
                retry = RetryPolicy(budget=RetryBudget(), name=name, **self._retry)
                self._policies[name] = Policy(name, retry=retry, breaker=breaker, events=self._events)
            return self._policies[name]

    def set(self, policy: Policy) -> None:
        """Make *policy* that of its name, before its first use.

        Raises:
            ConflictError: The name has a policy: whoever holds it would keep the old one.
        """
        with self._lock:
            if policy.name in self._policies:
                msg = f"{policy.name!r} has a policy already: set it before its first call"
                raise ConflictError(msg)
            self._policies[policy.name] = policy

    def __iter__(self) -> Iterator[Policy]:
        """Iterate over the policies made so far."""
        return iter(list(self._policies.values()))

    def snapshots(self) -> tuple[PolicySnapshot, ...]:
        """Return what every policy's budget and bulkhead know now, by name: for a metrics collector."""
        return tuple(policy.snapshot() for policy in sorted(self, key=lambda one: one.name))

    def after_fork(self) -> None:
        """Re-arm in a forked child."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<PolicyRegistry {sorted(self._policies)}>"


def get_breakers() -> BreakerRegistry:
    """Return the current runtime's breakers, made from its settings on first use.

    Example:
        >>> get_breakers().get("shipping").config.failure_threshold
        3
    """
    return current().get(BreakerRegistry, _breakers)


def get_policies() -> PolicyRegistry:
    """Return the current runtime's policies, made from its settings on first use.

    Example:
        >>> get_policies().get("shipping").retry.max_attempts
        3
    """
    return current().get(PolicyRegistry, _policies)


def _breakers(_: Runtime) -> BreakerRegistry:
    from shared.config import get_settings

    return BreakerRegistry.from_settings(get_settings().resilience)


def _policies(_: Runtime) -> PolicyRegistry:
    from shared.config import get_settings

    return PolicyRegistry.from_settings(get_settings().resilience, get_breakers())
