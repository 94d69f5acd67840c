"""Turn what happened into log lines and numbers."""

import threading
from collections.abc import Callable, Container
from typing import Any, Final, Protocol

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
from shared.resilience._machine import BreakerState
from shared.runtime import Events, after_fork_in_child, current

__all__ = ["EventCounts", "ResilienceSink", "log_events", "record_events"]


class Logger(Protocol):
    """A structured logger: structlog's, or ours."""

    def debug(self, event: str, **fields: Any) -> Any:
        """Log for developers."""

    def info(self, event: str, **fields: Any) -> Any:
        """Log what is normal."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Log what somebody should look at."""


def log_events(logger: Logger, events: Events | None = None) -> Callable[[], None]:
    """Write one line per event of this room until the returned function is called.

    Errors appear by their class alone: their text may hold personal data. What an
    outage repeats for every call (refusals, tries) is for debugging; what happens
    once (an opening) or loses a call is a warning.

    Args:
        logger: Takes ``logger.warning(event, **fields)``.
        events: What to listen to; the current runtime's by default.

    Example:
        >>> class Printer:
        ...     def warning(self, event, **fields):
        ...         print(event, fields)
        >>> events = Events()
        >>> stop = log_events(Printer(), events)
        >>> events.emit(CallTimedOut("payments", seconds=2.0))
        call timed out {'dependency': 'payments', 'seconds': 2.0}
        >>> stop()
    """

    def write(event: ResilienceEvent) -> None:
        level, text, fields = _describe(event)
        getattr(logger, level)(text, dependency=event.name, **fields)

    source = current().events if events is None else events
    return source.subscribe(ResilienceEvent, write)


def _describe(event: ResilienceEvent) -> tuple[str, str, dict[str, Any]]:
    match event:
        case BreakerTransition():
            level = "warning" if event.new is BreakerState.OPEN else "info"
            told: dict[str, Any] = {"old": event.old.value, "new": event.new.value, "reason": event.reason}
            return level, f"circuit {event.new.value.lower().replace('_', '-')}", told
        case CallRejected():
            return "debug", "call rejected", {"retry_after": event.retry_after}
        case RetryScheduled():
            return "debug", "retry", {"attempt": event.attempt, "wait": event.wait, **_error(event.error)}
        case RetrySucceeded():
            return "debug", "retry succeeded", {"attempts": event.attempts}
        case RetriesExhausted():
            fields = {"attempts": event.attempts, "reason": event.reason, **_error(event.error)}
            return "warning", "retries exhausted", fields
        case CallTimedOut():
            return "warning", "call timed out", {"seconds": event.seconds}
        case BulkheadRejected():
            return "warning", "bulkhead full", {"limit": event.limit, "waiting": event.waiting}
        case HedgeStarted():
            return "debug", "hedge", {"number": event.number}
        case FallbackUsed():
            return "warning", "fallback used", _error(event.error)
        case HttpCall():
            call = {"method": event.method, "route": event.route, "status": event.status}
            return "debug", "http call", {**call, "seconds": event.seconds, "error_type": event.error_type}
    return "info", type(event).__name__, {}


def _error(error: BaseException | None) -> dict[str, Any]:
    return {"error_type": None if error is None else type(error).__name__}


_HAPPENED: Final = {CallTimedOut: "timeout", HedgeStarted: "hedge", FallbackUsed: "fallback"}


class ResilienceSink(Protocol):
    """Where :func:`record_events` puts its numbers; ``shared.monitoring.ResilienceMetrics`` is one.

    Example:
        >>> class Sink:
        ...     def breaker_state(self, name, state): print(name, state)
        ...     def breaker_call(self, name, outcome): print(name, outcome)
        ...     def retried(self, name, outcome): print(name, outcome)
        ...     def bulkhead_refused(self, name): print(name)
        ...     def happened(self, name, event): print(name, event)
        ...     def http_call(self, name, method, route, **facts): print(name, route)
        >>> sink: ResilienceSink = Sink()
    """

    def breaker_state(self, name: str, state: str) -> object:
        """Set the state of a breaker: ``closed``, ``half_open`` or ``open``."""

    def breaker_call(self, name: str, outcome: str) -> object:
        """Count a call: ``rejected``."""

    def retried(self, name: str, outcome: str) -> object:
        """Count a try after the first: ``success``, ``failure`` or ``exhausted``."""

    def bulkhead_refused(self, name: str) -> object:
        """Count a call that found no place."""

    def happened(self, name: str, event: str) -> object:
        """Count what happened to a call: ``timeout``, ``hedge`` or ``fallback``."""

    def http_call(
        self,
        name: str,
        method: str,
        route: str,
        *,
        status: int | None,
        seconds: float,
        error_type: str | None,
    ) -> object:
        """Count one try of a request to another service."""


def record_events(
    sink: ResilienceSink,
    events: Events | None = None,
    *,
    read_elsewhere: Container[str] = (),
) -> Callable[[], None]:
    """Feed *sink* from the events of this room until the returned function is called.

    Only what is not the happy path makes events, so good calls cost nothing here.

    Args:
        sink: Takes the numbers, such as ``shared.monitoring.ResilienceMetrics(metrics)``.
        events: What to listen to; the current runtime's by default.
        read_elsewhere: Names of breakers whose refusals are read from snapshots, such as
            a :class:`BreakerRegistry`: they are not counted twice.

    Example:
        >>> class Sink:
        ...     def bulkhead_refused(self, name):
        ...         print("no place for", name)
        >>> events = Events()
        >>> stop = record_events(Sink(), events)
        >>> events.emit(BulkheadRejected("reports", limit=4, waiting=8))
        no place for reports
        >>> stop()
    """

    def record(event: ResilienceEvent) -> None:
        match event:
            case BreakerTransition():
                sink.breaker_state(event.name, event.new.value.lower())
            case CallRejected() if event.name not in read_elsewhere:
                sink.breaker_call(event.name, "rejected")
            case RetryScheduled() if event.attempt > 1:
                sink.retried(event.name, "failure")
            case RetrySucceeded():
                sink.retried(event.name, "success")
            case RetriesExhausted() if event.attempts > 1:
                sink.retried(event.name, "exhausted")
            case BulkheadRejected():
                sink.bulkhead_refused(event.name)
            case CallTimedOut() | HedgeStarted() | FallbackUsed():
                sink.happened(event.name, _HAPPENED[type(event)])
            case HttpCall():
                sink.http_call(
                    event.name,
                    event.method,
                    event.route,
                    status=event.status,
                    seconds=event.seconds,
                    error_type=event.error_type,
                )

    source = current().events if events is None else events
    return source.subscribe(ResilienceEvent, record)


class EventCounts:
    """How often each kind of event has happened, by dependency: what a metrics collector reads.

    Nothing is counted on the happy path, since it makes no events. Thread-safe. At most
    *most* names are told apart; the rest counts as ``"other"``.

    Args:
        events: What to listen to; the current runtime's by default.
        most: Different names.

    Example:
        >>> events = Events()
        >>> counts = EventCounts(events)
        >>> events.emit(CallTimedOut("payments", seconds=2.0))
        >>> counts.read()
        {('CallTimedOut', 'payments'): 1}
        >>> counts.close()
    """

    OTHER: Final = "other"

    def __init__(self, events: Events | None = None, *, most: int = 1000) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._names: set[str] = set()
        self._most = most
        self._lock = threading.Lock()
        source = current().events if events is None else events
        self._stop = source.subscribe(ResilienceEvent, self._count)
        after_fork_in_child(self)

    def _count(self, event: ResilienceEvent) -> None:
        with self._lock:
            name = event.name
            if name not in self._names:
                if len(self._names) < self._most:
                    self._names.add(name)
                else:
                    name = self.OTHER
            key = (type(event).__name__, name)
            self._counts[key] = self._counts.get(key, 0) + 1

    def read(self) -> dict[tuple[str, str], int]:
        """Return a copy: ``{(kind of event, dependency): count}``."""
        with self._lock:
            return dict(self._counts)

    def after_fork(self) -> None:
        """Re-arm in a forked child, which counts from 0: its numbers are added to the parent's."""
        self._lock = threading.Lock()
        self._counts = {}

    def close(self) -> None:
        """Stop listening; what was counted stays."""
        self._stop()
