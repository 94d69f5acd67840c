"""Keep a call alive when the thing it calls is not.

Retries, circuit breakers, timeouts, bulkheads, fallbacks and hedges, alone or joined
under the name of a dependency by :func:`guard`; rate-limit algorithms; and the HTTP
client for calling another service.
"""

from shared.resilience._backoff import Backoff
from shared.resilience._breaker import CircuitBreaker
from shared.resilience._budget import Budget, RetryBudget
from shared.resilience._bulkhead import Bulkhead, bulkhead
from shared.resilience._config import BreakerConfig
from shared.resilience._deadline import Deadline, time_left
from shared.resilience._events import (
    BreakerTransition,
    BulkheadRejected,
    CallRejected,
    CallTimedOut,
    FallbackUsed,
    HedgeStarted,
    HttpCall,
    ResilienceEvent,
    RetriesExhausted,
    RetryScheduled,
    RetrySucceeded,
)
from shared.resilience._fallback import Fallback, fallback
from shared.resilience._guard import Guard, guard
from shared.resilience._hedge import Hedge, hedge
from shared.resilience._http import ServiceClient
from shared.resilience._http_async import AsyncServiceClient
from shared.resilience._limits import AIMDLimit, ConcurrencyLimit, FixedLimit, GradientLimit
from shared.resilience._machine import CLOSED, HALF_OPEN, OPEN, BreakerMode, BreakerState
from shared.resilience._observe import EventCounts, ResilienceSink, log_events, record_events
from shared.resilience._policy import Policy
from shared.resilience._rate_algorithms import (
    GCRA,
    FixedWindow,
    RateAlgorithm,
    SlidingWindow,
    SubBuckets,
    rate_algorithm,
)
from shared.resilience._rate_limit import RateDecision, RateLimit, parse_rate_limits
from shared.resilience._registry import BreakerRegistry, PolicyRegistry, get_breakers, get_policies
from shared.resilience._retry import RetryPolicy, retry
from shared.resilience._retry_after import parse_retry_after
from shared.resilience._snapshot import BreakerSnapshot, PolicySnapshot
from shared.resilience._timeout import Timeout, timeout

__all__ = [
    "CLOSED",
    "GCRA",
    "HALF_OPEN",
    "OPEN",
    "AIMDLimit",
    "AsyncServiceClient",
    "Backoff",
    "BreakerConfig",
    "BreakerMode",
    "BreakerRegistry",
    "BreakerSnapshot",
    "BreakerState",
    "BreakerTransition",
    "Budget",
    "Bulkhead",
    "BulkheadRejected",
    "CallRejected",
    "CallTimedOut",
    "CircuitBreaker",
    "ConcurrencyLimit",
    "Deadline",
    "EventCounts",
    "Fallback",
    "FallbackUsed",
    "FixedLimit",
    "FixedWindow",
    "GradientLimit",
    "Guard",
    "Hedge",
    "HedgeStarted",
    "HttpCall",
    "Policy",
    "PolicyRegistry",
    "PolicySnapshot",
    "RateAlgorithm",
    "RateDecision",
    "RateLimit",
    "ResilienceEvent",
    "ResilienceSink",
    "RetriesExhausted",
    "RetryBudget",
    "RetryPolicy",
    "RetryScheduled",
    "RetrySucceeded",
    "ServiceClient",
    "SlidingWindow",
    "SubBuckets",
    "Timeout",
    "bulkhead",
    "fallback",
    "get_breakers",
    "get_policies",
    "guard",
    "hedge",
    "log_events",
    "parse_rate_limits",
    "parse_retry_after",
    "rate_algorithm",
    "record_events",
    "retry",
    "time_left",
    "timeout",
]
