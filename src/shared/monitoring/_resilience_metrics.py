"""Circuit breakers, retries and bulkheads as metrics: read from snapshots, and told by events."""

import threading
from collections.abc import Iterable
from typing import Final, Protocol

from shared.monitoring._metrics import Metrics
from shared.runtime import after_fork_in_child


class _Breaker(Protocol):
    """What is read of a breaker; ``shared.resilience.BreakerSnapshot`` is one."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def failures(self) -> int: ...
    @property
    def rejections(self) -> int: ...
    @property
    def streak(self) -> int: ...


class _Policy(Protocol):
    """What is read of a policy; ``shared.resilience.PolicySnapshot`` is one."""

    @property
    def name(self) -> str: ...
    @property
    def budget(self) -> float | None: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class ResilienceMetrics:
    """State and calls of circuit breakers, tries of retries, places of bulkheads.

    What guards keep themselves is read when the metrics are collected
    (:meth:`read_breakers`, :meth:`read_policies`), so that a call through them costs
    nothing more. What happens once, such as a change of state, is told by events
    (``shared.resilience.record_events``).

    Example:
        >>> from shared.resilience import BreakerRegistry
        >>> metrics, breakers = Metrics(), BreakerRegistry()
        >>> resilience = ResilienceMetrics(metrics)
        >>> breakers.get("payments").force_open()
        >>> resilience.read_breakers(breakers.snapshots())
        >>> metrics.value("circuit_breaker_state", {"circuit_breaker_name": "payments"})
        2.0
    """

    STATES: Final = {"closed": 0.0, "half_open": 1.0, "open": 2.0, "forced_open": 2.0, "disabled": 0.0}

    def __init__(self, metrics: Metrics) -> None:
        name = "circuit_breaker_name"
        self._state = metrics.gauge(
            "circuit_breaker_state", "0 closed, 1 half open, 2 open; the worst worker's.", (name,), mode="max"
        )
        self._streak = metrics.gauge(
            "circuit_breaker_failure_streak", "Failures in a row; the worst worker's.", (name,), mode="max"
        )
        self._calls = metrics.counter("circuit_breaker_calls", "Calls, by outcome.", (name, "outcome"))
        self._transitions = metrics.counter("circuit_breaker_transitions", "Changes of state.", (name, "to"))
        self._retries = metrics.counter(
            "retry_attempts", "Tries after the first, by outcome.", ("name", "outcome")
        )
        self._budget = metrics.gauge(
            "retry_budget_tokens", "Tokens left for retries; the worst worker's.", ("name",), mode="min"
        )
        self._refused = metrics.counter("bulkhead_rejections", "Calls that found no place.", ("name",))
        self._places = metrics.gauge("bulkhead_calls", "Calls under way and waiting.", ("name", "state"))
        self._limit = metrics.gauge("bulkhead_limit", "Calls allowed at once, of all workers.", ("name",))
        self._events = metrics.counter(
            "resilience_events", "Timeouts, hedges and fallbacks of guarded calls.", ("name", "event")
        )
        self._http = metrics.histogram(
            "http_client_request_duration",
            "Duration of single tries of requests to other services.",
            (
                "peer_service",
                "http_request_method",
                "url_template",
                "http_response_status_code",
                "error_type",
            ),
            unit="seconds",
        )
        self._lock = threading.Lock()
        self._counted: dict[str, tuple[int, int]] = {}
        after_fork_in_child(self)

    # -- from snapshots ------------------------------------------------------------------

    def read_breakers(self, snapshots: Iterable[_Breaker]) -> None:
        """Set the states, and add the failures and refusals since the last time.

        Args:
            snapshots: Of every breaker; totals that went down begin anew.
        """
        with self._lock:
            for one in snapshots:
                self._state.labels(one.name).set(self.STATES.get(str(one.state).lower(), 2.0))
                self._streak.labels(one.name).set(one.streak)
                before = self._counted.get(one.name, (0, 0))
                now = self._counted[one.name] = (one.failures, one.rejections)
                for outcome, total, last in zip(("failure", "rejected"), now, before, strict=True):
                    grown = total - last if total >= last else total
                    # Also by 0: a series that is born with its first error is invisible to rate().
                    self._calls.labels(one.name, outcome).inc(grown)

    def read_policies(self, snapshots: Iterable[_Policy]) -> None:
        """Set the budgets of retries, and the places of bulkheads."""
        for one in snapshots:
            if one.budget is not None:
                self._budget.labels(one.name).set(one.budget)
            if one.limit is not None:
                self._limit.labels(one.name).set(one.limit)
                self._places.labels(one.name, "in_flight").set(one.in_flight)
                self._places.labels(one.name, "waiting").set(one.waiting)

    def after_fork(self) -> None:
        """Begin anew: what the parent counted before, the parent adds. Called in the child."""
        self._lock = threading.Lock()
        self._counted = {}

    # -- from events ---------------------------------------------------------------------

    def breaker_state(self, name: str, state: str) -> None:
        """Set the state and count the change.

        Args:
            name: Name of the breaker.
            state: ``closed``, ``half_open`` or ``open``, in any case.
        """
        word = str(state).lower()
        self._state.labels(name).set(self.STATES.get(word, 2.0))
        self._transitions.labels(name, word).inc()

    def breaker_call(self, name: str, outcome: str) -> None:
        """Count a call of a breaker that no snapshot shows: failure or rejected."""
        self._calls.labels(name, outcome).inc()

    def retried(self, name: str, outcome: str) -> None:
        """Count a try after the first: success, failure or exhausted."""
        self._retries.labels(name, outcome).inc()

    def bulkhead_refused(self, name: str) -> None:
        """Count a call that found no place."""
        self._refused.labels(name).inc()

    def happened(self, name: str, event: str) -> None:
        """Count what happened to a guarded call: ``timeout``, ``hedge`` or ``fallback``."""
        self._events.labels(name, event).inc()

    def http_call(
        self,
        name: str,
        method: str,
        route: str,
        *,
        status: int | None,
        seconds: float,
        error_type: str | None,
    ) -> None:
        """Count one try of a request to another service.

        Args:
            name: The service.
            method: ``GET`` and so on.
            route: The path as written in the code.
            status: The answer's status; None when there was none.
            seconds: How long it took.
            error_type: Class of the error it becomes, or None.
        """
        labels = (name, method, route, "" if status is None else str(status), error_type or "")
        self._http.labels(*labels).observe(seconds)
