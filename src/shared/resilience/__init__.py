"""Keep a call alive when the thing it calls is not."""

from shared.resilience._backoff import Backoff
from shared.resilience._breaker import CircuitBreaker
from shared.resilience._budget import Budget, RetryBudget
from shared.resilience._config import BreakerConfig
from shared.resilience._events import (
    BreakerTransition,
    BulkheadRejected,
    CallRejected,
    CallTimedOut,
    FallbackUsed,
    HedgeStarted,
    ResilienceEvent,
    RetriesExhausted,
    RetryScheduled,
)
from shared.resilience._machine import CLOSED, HALF_OPEN, OPEN, BreakerMode, BreakerState
from shared.resilience._retry import RetryPolicy, retry
from shared.resilience._retry_after import parse_retry_after
from shared.resilience._snapshot import BreakerSnapshot

__all__ = [
    "CLOSED",
    "HALF_OPEN",
    "OPEN",
    "Backoff",
    "BreakerConfig",
    "BreakerMode",
    "BreakerSnapshot",
    "BreakerState",
    "BreakerTransition",
    "Budget",
    "BulkheadRejected",
    "CallRejected",
    "CallTimedOut",
    "CircuitBreaker",
    "FallbackUsed",
    "HedgeStarted",
    "ResilienceEvent",
    "RetriesExhausted",
    "RetryBudget",
    "RetryPolicy",
    "RetryScheduled",
    "parse_retry_after",
    "retry",
]
