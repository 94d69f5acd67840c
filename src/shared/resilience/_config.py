"""How one circuit breaker behaves, checked once and shared by all that behave alike."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from shared.errors import (
    BulkheadFullError,
    BusinessError,
    CircuitOpenError,
    DeadlineExceededError,
    InvalidArgumentError,
    RateLimitError,
    UnsupportedCallableError,
)
from shared.resilience._checks import at_least, error_classes, seconds, share, whole
from shared.resilience._windows import ConsecutiveWindow, CountWindow, Rates, TimeWindow, Window

__all__ = ["BreakerConfig", "BreakerOptions", "Verdict", "breaker_config"]

# Refusals of our own guards and misuse of them: the dependency was not even called.
_OURS: Final = (CircuitOpenError, BulkheadFullError, UnsupportedCallableError)

Verdict = bool | None
"""True: the dependency failed. False: it answered. None: the call says nothing about it."""


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When a circuit breaker opens, how it tests recovery, and what counts.

    Args:
        failure_threshold: Failures in a row that open; None leaves it to the rates.
        recovery_timeout: Seconds to stay open before the first probe.
        success_threshold: Good probes needed to close.
        half_open_max_calls: Probes allowed at the same time.
        failure_rate: Share of failed calls in the window that opens, such as 0.5.
        window_calls: Size of the window in calls, unless *window_seconds* is given.
        window_seconds: Size of the window in seconds.
        minimum_calls: Calls in the window before a share opens the breaker.
        slow_call_seconds: A call that takes this long or longer counts as slow.
        slow_call_rate: Share of slow calls in the window that opens.
        half_open_timeout: Seconds after which probes that never came back are given
            up and the breaker re-opens; None waits for ever.
        recovery_multiplier: Each failed probing makes the open time this much longer.
        max_recovery_timeout: Upper bound of the grown open time, in seconds.
        recovery_jitter: Spreads the open time by up to this share, both ways, so
            that a fleet does not probe at one moment.
        record: Exception classes that are failures, or a predicate. Not recorded
            means: the dependency answered, a success. By default every ``Exception``
            but our :class:`~shared.errors.BusinessError` (a 404 is an answer), of
            which :class:`~shared.errors.RateLimitError` is a failure all the same.
        ignore: Exception classes, or a predicate, for calls that say nothing about
            the dependency; they count neither way.
        failure_result: Predicate for results that are failures.

    A cancelled call, a refusal of a breaker or bulkhead beneath, and an expired
    deadline of the caller count neither way, whatever *record* says.

    Raises:
        InvalidArgumentError: A value is out of range, or nothing would ever open.

    Example:
        >>> BreakerConfig(failure_rate=0.5, window_seconds=30.0).minimum_calls
        20
    """

    failure_threshold: int | None = 5
    recovery_timeout: float = 30.0
    success_threshold: int = 1
    half_open_max_calls: int = 1
    failure_rate: float | None = None
    window_calls: int = 100
    window_seconds: float | None = None
    minimum_calls: int = 20
    slow_call_seconds: float | None = None
    slow_call_rate: float = 1.0
    half_open_timeout: float | None = 60.0
    recovery_multiplier: float = 1.0
    max_recovery_timeout: float = 300.0
    recovery_jitter: float = 0.0
    record: Any = None
    ignore: Any = ()
    failure_result: Callable[[Any], bool] | None = None
    rates: Rates | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        for name in ("success_threshold", "half_open_max_calls", "window_calls", "minimum_calls"):
            whole(name, getattr(self, name))
        at_least("recovery_timeout", self.recovery_timeout, 0.0)
        at_least("recovery_multiplier", self.recovery_multiplier, 1.0)
        at_least("max_recovery_timeout", self.max_recovery_timeout, 0.0)
        if at_least("recovery_jitter", self.recovery_jitter, 0.0) > 1.0:
            msg = f"recovery_jitter must be within [0, 1], got {self.recovery_jitter!r}"
            raise InvalidArgumentError(msg)
        share("slow_call_rate", self.slow_call_rate)
        for name in ("window_seconds", "slow_call_seconds", "half_open_timeout"):
            if getattr(self, name) is not None:
                seconds(name, getattr(self, name))
        if self.failure_threshold is not None:
            whole("failure_threshold", self.failure_threshold)
        if self.failure_rate is not None:
            share("failure_rate", self.failure_rate)
        for name in ("record", "ignore"):
            rule = getattr(self, name)
            if rule is not None and not _is_predicate(rule):
                object.__setattr__(self, name, error_classes(name, rule))
        self._set_rates()

    def _set_rates(self) -> None:
        slow_rate = None if self.slow_call_seconds is None else self.slow_call_rate
        if self.failure_rate is None and slow_rate is None:
            if self.failure_threshold is None:
                raise InvalidArgumentError(
                    "nothing would ever open this breaker: "
                    "give failure_threshold, failure_rate or slow_call_seconds"
                )
            return
        if self.window_seconds is None and self.minimum_calls > self.window_calls:
            msg = (
                f"minimum_calls ({self.minimum_calls}) does not fit into window_calls ({self.window_calls}): "
                "the rate would never be looked at"
            )
            raise InvalidArgumentError(msg)
        rates = Rates(self.failure_threshold, self.failure_rate, slow_rate, self.minimum_calls)
        object.__setattr__(self, "rates", rates)

    def new_window(self) -> Window:
        """Return the empty memory of a closed period."""
        if self.rates is None:
            return ConsecutiveWindow(self.failure_threshold or 1)
        if self.window_seconds is not None:
            return TimeWindow(self.window_seconds, self.rates)
        return CountWindow(self.window_calls, self.rates)

    def open_seconds(self, reopened: int, rng: Callable[[], float]) -> float:
        """Return how long to stay open after *reopened* failed probings in a row."""
        try:
            grown = self.recovery_timeout * self.recovery_multiplier**reopened
        except OverflowError:  # beyond a float; the cap below ends it
            grown = math.inf if self.recovery_timeout else 0.0
        # A first open time above the cap is what was asked for; the cap ends the growth.
        wait = min(grown, max(self.max_recovery_timeout, self.recovery_timeout))
        if self.recovery_jitter:
            wait *= 1.0 + self.recovery_jitter * (2.0 * rng() - 1.0)
        return wait

    def judge(self, error: BaseException) -> Verdict:
        """Say what *error* tells about the dependency; see :data:`Verdict`."""
        if not isinstance(error, Exception) or isinstance(error, _OURS):
            return None
        if isinstance(error, DeadlineExceededError) and not error.retryable:
            return None  # the caller's own time was up; the dependency may be fine
        if _applies(self.ignore, error):
            return None
        if self.record is None:
            return not isinstance(error, BusinessError) or isinstance(error, RateLimitError)
        return _applies(self.record, error)


class BreakerOptions(TypedDict, total=False):
    """The fields of :class:`BreakerConfig` that a breaker takes beside its named parameters."""

    failure_rate: float | None
    window_calls: int
    window_seconds: float | None
    minimum_calls: int
    slow_call_seconds: float | None
    slow_call_rate: float
    half_open_timeout: float | None
    recovery_multiplier: float
    max_recovery_timeout: float
    recovery_jitter: float
    record: Any
    ignore: Any
    failure_result: Callable[[Any], bool] | None


def breaker_config(**options: Any) -> BreakerConfig:
    """Return the configuration of *options*, refusing a name that is not one."""
    try:
        return BreakerConfig(**options)
    except TypeError as exc:
        known = [name for name in BreakerConfig.__dataclass_fields__ if name != "rates"]
        unknown = ", ".join(sorted(set(options) - set(known)))
        if not unknown:
            raise
        msg = f"unknown breaker option {unknown} (known: {', '.join(known)})"
        raise InvalidArgumentError(msg) from exc


def _is_predicate(rule: object) -> bool:
    return callable(rule) and not isinstance(rule, type)


def _applies(rule: Any, error: Exception) -> bool:
    if isinstance(rule, tuple):
        return isinstance(error, rule)
    return bool(rule(error))
