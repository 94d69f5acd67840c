"""What happened, as frozen objects for :class:`shared.runtime.Events`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from shared.context import TraceContext
from shared.resilience._machine import BreakerState
from shared.runtime import Events, current

__all__ = [
    "BreakerTransition",
    "BulkheadRejected",
    "CallRejected",
    "CallTimedOut",
    "FallbackUsed",
    "HedgeStarted",
    "HttpCall",
    "ResilienceEvent",
    "RetriesExhausted",
    "RetryScheduled",
    "RetrySucceeded",
    "emit",
    "private_events",
    "wants_events",
]


@dataclass(frozen=True, slots=True)
class ResilienceEvent:
    """The parent of the room's events; subscribe to it to hear all of them.

    Attributes:
        name: The dependency (or function) it is about.

    Example:
        >>> from shared.runtime import Events
        >>> heard = []
        >>> events = Events()
        >>> _ = events.subscribe(ResilienceEvent, heard.append)
        >>> events.emit(CallTimedOut("payments", seconds=2.0))
        >>> heard
        [CallTimedOut(name='payments', seconds=2.0)]
    """

    name: str


@dataclass(frozen=True, slots=True)
class BreakerTransition(ResilienceEvent):
    """A circuit breaker changed its state.

    Attributes:
        old: State left.
        new: State entered.
        reason: Why, for people: ``"5 failures in a row"``.
        generation: Number of the state entered, growing by one with each change.

    Example:
        >>> from shared.resilience import CircuitBreaker
        >>> seen = []
        >>> CircuitBreaker("mail", listeners=[seen.append]).force_open()
        >>> seen[0].old.value, seen[0].new.value, seen[0].reason
        ('CLOSED', 'OPEN', 'forced open')
    """

    old: BreakerState
    new: BreakerState
    reason: str
    generation: int


@dataclass(frozen=True, slots=True)
class CallRejected(ResilienceEvent):
    """A circuit breaker refused a call.

    Attributes:
        retry_after: Seconds until a call may pass.

    Example:
        >>> CallRejected("payments", retry_after=12.5).retry_after
        12.5
    """

    retry_after: float


@dataclass(frozen=True, slots=True)
class RetryScheduled(ResilienceEvent):
    """A call failed and will be tried again.

    Attributes:
        attempt: Tries made so far.
        wait: Seconds until the next.
        error: What went wrong, or None when the result was refused.

    Example:
        >>> RetryScheduled("fetch", attempt=1, wait=0.5, error=None).wait
        0.5
    """

    attempt: int
    wait: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class RetrySucceeded(ResilienceEvent):
    """A call that had failed has answered.

    Attributes:
        attempts: Tries made, at least 2.

    Example:
        >>> RetrySucceeded("fetch", attempts=2).attempts
        2
    """

    attempts: int


@dataclass(frozen=True, slots=True)
class RetriesExhausted(ResilienceEvent):
    """A call failed for good.

    Attributes:
        attempts: Tries made.
        reason: Why it ended: ``"attempts"``, ``"budget"``, ``"deadline"``,
            ``"retry_after"`` or ``"stop"``.
        error: The last error, or None when the result was refused.

    Example:
        >>> RetriesExhausted("fetch", attempts=3, reason="attempts", error=None).attempts
        3
    """

    attempts: int
    reason: str
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class CallTimedOut(ResilienceEvent):
    """A call was cut off after its time.

    Attributes:
        seconds: The time it was allowed.

    Example:
        >>> CallTimedOut("payments", seconds=2.0).seconds
        2.0
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class BulkheadRejected(ResilienceEvent):
    """A bulkhead had neither a free place nor room in its queue.

    Attributes:
        limit: Calls allowed at once.
        waiting: Calls in the queue.

    Example:
        >>> BulkheadRejected("reports", limit=4, waiting=8).limit
        4
    """

    limit: int
    waiting: int


@dataclass(frozen=True, slots=True)
class HedgeStarted(ResilienceEvent):
    """A second copy of a slow call was sent.

    Attributes:
        number: 1 for the first extra copy.

    Example:
        >>> HedgeStarted("search", number=1).number
        1
    """

    number: int


@dataclass(frozen=True, slots=True)
class FallbackUsed(ResilienceEvent):
    """A call failed and its fallback answered.

    Attributes:
        error: What the call ended with.

    Example:
        >>> FallbackUsed("prices", error=TimeoutError()).error
        TimeoutError()
    """

    error: BaseException


@dataclass(frozen=True, slots=True)
class HttpCall(ResilienceEvent):
    """One try of an HTTP request to another service has ended.

    Attributes:
        method: ``"GET"`` and so on.
        route: The path as written in the code, without values: safe as a label.
        status: The answer's status, or None when there was none.
        seconds: How long it took.
        error_type: Class of the error it becomes, or None.
        trace: Its ids in the trace of the request, as they were sent along; None without one.

    Example:
        >>> HttpCall("payments", "GET", "/charges/{id}", status=200, seconds=0.05, error_type=None).status
        200
    """

    method: str
    route: str
    status: int | None
    seconds: float
    error_type: str | None
    trace: TraceContext | None = None


def emit(events: Events | None, event: ResilienceEvent) -> None:
    """Hand *event* to *events*, or to the current runtime's; never under a lock."""
    (current().events if events is None else events).emit(event)


def wants_events(events: Events | None, event_type: type[ResilienceEvent]) -> bool:
    """Tell whether an event that happens often is worth making."""
    return (current().events if events is None else events).has_listeners(event_type)


def private_events(
    event_type: type[ResilienceEvent], listeners: Iterable[Callable[[Any], object]]
) -> Events | None:
    """Return an emitter for the *listeners* of one object, or None when there are none."""
    own = None
    for listener in listeners:
        own = own or Events()
        own.subscribe(event_type, listener)
    return own
