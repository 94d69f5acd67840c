"""Events as log lines and as numbers."""

import threading

import pytest

from shared.errors import AuthenticationError
from shared.resilience import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    BreakerTransition,
    BulkheadRejected,
    CallRejected,
    CallTimedOut,
    EventCounts,
    FallbackUsed,
    HedgeStarted,
    HttpCall,
    ResilienceEvent,
    RetriesExhausted,
    RetryPolicy,
    RetryScheduled,
    RetrySucceeded,
    log_events,
    record_events,
)
from shared.resilience.testing import FakeClock, FlakyDependency
from shared.runtime import Events, Runtime, use

SECRET = AuthenticationError("user jane@example.org sent token abc")
EVENTS = [
    (BreakerTransition("p", CLOSED, OPEN, "5 failures in a row", 1), "warning", "circuit open"),
    (BreakerTransition("p", OPEN, HALF_OPEN, "time to probe", 2), "info", "circuit half-open"),
    (CallRejected("p", 1.0), "debug", "call rejected"),
    (RetryScheduled("p", 1, 0.5, SECRET), "debug", "retry"),
    (RetrySucceeded("p", 2), "debug", "retry succeeded"),
    (RetriesExhausted("p", 3, "attempts", SECRET), "warning", "retries exhausted"),
    (RetriesExhausted("p", 3, "attempts", None), "warning", "retries exhausted"),
    (CallTimedOut("p", 2.0), "warning", "call timed out"),
    (BulkheadRejected("p", 4, 8), "warning", "bulkhead full"),
    (HedgeStarted("p", 1), "debug", "hedge"),
    (FallbackUsed("p", SECRET), "warning", "fallback used"),
    (HttpCall("p", "GET", "/x/{id}", 200, 0.1, None), "debug", "http call"),
    (ResilienceEvent("p"), "info", "ResilienceEvent"),
]


class Lines:
    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda event, **fields: self.lines.append((level, event, fields))


@pytest.mark.parametrize(("event", "level", "text"), EVENTS, ids=lambda value: type(value).__name__)
def test_every_event_is_one_line_without_the_text_of_errors(event, level, text):
    events, lines = Events(), Lines()
    log_events(lines, events)

    events.emit(event)

    [(got_level, got_text, fields)] = lines.lines
    assert (got_level, got_text, fields["dependency"]) == (level, text, "p")
    assert "jane" not in str(lines.lines)


class Sink:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *args, **facts: self.calls.append((name, *args, *facts.values()))


def test_numbers_come_from_what_is_not_the_happy_path():
    events, sink = Events(), Sink()
    stop = record_events(sink, events)
    for event in (
        BreakerTransition("p", OPEN, HALF_OPEN, "time to probe", 2),
        CallRejected("p", 1.0),
        RetryScheduled("p", 1, 0.5, None),
        RetryScheduled("p", 2, 0.5, None),
        RetrySucceeded("p", 3),
        RetriesExhausted("p", 1, "budget", None),
        RetriesExhausted("p", 3, "attempts", None),
        BulkheadRejected("p", 4, 8),
        CallTimedOut("p", 2.0),
        HedgeStarted("p", 1),
        FallbackUsed("p", OSError()),
        HttpCall("p", "GET", "/x/{id}", 200, 0.1, None),
    ):
        events.emit(event)
    stop()
    events.emit(CallRejected("p", 1.0))

    assert sink.calls == [
        ("breaker_state", "p", "half_open"),
        ("breaker_call", "p", "rejected"),
        ("retried", "p", "failure"),
        ("retried", "p", "success"),
        ("retried", "p", "exhausted"),
        ("bulkhead_refused", "p"),
        ("happened", "p", "timeout"),
        ("happened", "p", "hedge"),
        ("happened", "p", "fallback"),
        ("http_call", "p", "GET", "/x/{id}", 200, 0.1, None),
    ]


def test_a_call_that_recovers_and_one_that_does_not_are_told():
    events, sink = Events(), Sink()
    record_events(sink, events)
    policy = RetryPolicy(2, name="p", events=events, clock=FakeClock())

    policy.call(FlakyDependency("refused, ok"))
    with pytest.raises(ConnectionRefusedError):
        policy.call(FlakyDependency("refused"))

    assert sink.calls == [("retried", "p", "success"), ("retried", "p", "exhausted")]


def test_logging_ends_when_told():
    events, lines = Events(), Lines()
    stop = log_events(lines, events)

    stop()
    events.emit(CallTimedOut("p", 2.0))

    assert lines.lines == []


def test_without_a_source_the_current_runtimes_events_are_taken():
    runtime, lines = Runtime("test"), Lines()

    with use(runtime):
        log_events(lines)
        counts = EventCounts()
        runtime.events.emit(CallTimedOut("p", 2.0))
    runtime.close()

    assert len(lines.lines) == 1
    assert counts.read() == {("CallTimedOut", "p"): 1}


def test_counts_are_by_kind_and_name_and_lose_nothing_among_threads():
    events = Events()
    counts = EventCounts(events)

    def work():
        for _ in range(500):
            events.emit(CallTimedOut("a", 1.0))
            events.emit(HedgeStarted("b", 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.close()
    events.emit(CallTimedOut("a", 1.0))

    assert counts.read() == {("CallTimedOut", "a"): 2000, ("HedgeStarted", "b"): 2000}


def test_names_beyond_the_bound_are_counted_together():
    events = Events()
    counts = EventCounts(events, most=2)

    for number in range(10):
        events.emit(CallTimedOut(f"name-{number}", 1.0))

    assert counts.read() == {
        ("CallTimedOut", "name-0"): 1,
        ("CallTimedOut", "name-1"): 1,
        ("CallTimedOut", "other"): 8,
    }


def test_refusals_that_are_read_from_snapshots_are_not_counted_twice():
    class Sink:
        def __init__(self):
            self.calls = []

        def breaker_call(self, name, outcome):
            self.calls.append((name, outcome))

    events, sink = Events(), Sink()
    record_events(sink, events, read_elsewhere={"payments"})

    events.emit(CallRejected("payments", 1.0))
    events.emit(CallRejected("maps", 1.0))

    assert sink.calls == [("maps", "rejected")]
