"""Breakers, retries and bulkheads as metrics."""

from collections import namedtuple

import pytest

from shared.monitoring import Metrics, ResilienceMetrics

Breaker = namedtuple("Breaker", "name state failures rejections streak")
Policy = namedtuple("Policy", "name budget limit in_flight waiting")


@pytest.fixture
def metrics():
    return Metrics(multiprocess=False)


def calls(metrics, outcome, name="payments"):
    return metrics.value("circuit_breaker_calls_total", {"circuit_breaker_name": name, "outcome": outcome})


@pytest.mark.parametrize(("state", "number"), [("CLOSED", 0.0), ("HALF_OPEN", 1.0), ("OPEN", 2.0)])
def test_a_snapshot_shows_the_state_as_a_number(metrics, state, number):
    ResilienceMetrics(metrics).read_breakers([Breaker("payments", state, 0, 0, 0)])

    assert metrics.value("circuit_breaker_state", {"circuit_breaker_name": "payments"}) == number


def test_an_idle_breaker_has_its_error_series_at_zero(metrics):
    ResilienceMetrics(metrics).read_breakers([Breaker("payments", "CLOSED", 0, 0, 0)])

    assert (calls(metrics, "failure"), calls(metrics, "rejected")) == (0.0, 0.0)


def test_totals_are_added_once_however_often_they_are_read(metrics):
    resilience = ResilienceMetrics(metrics)
    for _ in range(3):
        resilience.read_breakers([Breaker("payments", "OPEN", 5, 7, 5)])
    resilience.read_breakers([Breaker("payments", "OPEN", 6, 9, 6)])

    assert (calls(metrics, "failure"), calls(metrics, "rejected")) == (6.0, 9.0)
    assert metrics.value("circuit_breaker_failure_streak", {"circuit_breaker_name": "payments"}) == 6.0


def test_totals_that_began_anew_are_added_whole(metrics):
    resilience = ResilienceMetrics(metrics)
    resilience.read_breakers([Breaker("payments", "OPEN", 5, 7, 5)])
    resilience.read_breakers([Breaker("payments", "CLOSED", 2, 0, 2)])

    assert (calls(metrics, "failure"), calls(metrics, "rejected")) == (7.0, 7.0)


def test_a_forked_child_adds_only_what_it_counts_itself(metrics):
    resilience = ResilienceMetrics(metrics)
    resilience.read_breakers([Breaker("payments", "OPEN", 5, 7, 5)])

    resilience.after_fork()
    resilience.read_breakers([Breaker("payments", "OPEN", 1, 0, 6)])

    assert (calls(metrics, "failure"), calls(metrics, "rejected")) == (6.0, 7.0)


def test_budgets_and_places_are_shown(metrics):
    ResilienceMetrics(metrics).read_policies([Policy("reports", 7.5, 4, 3, 2)])

    assert metrics.value("retry_budget_tokens", {"name": "reports"}) == 7.5
    assert metrics.value("bulkhead_limit", {"name": "reports"}) == 4
    assert metrics.value("bulkhead_calls", {"name": "reports", "state": "in_flight"}) == 3
    assert metrics.value("bulkhead_calls", {"name": "reports", "state": "waiting"}) == 2


def test_a_policy_without_budget_and_bulkhead_has_no_series(metrics):
    ResilienceMetrics(metrics).read_policies([Policy("reports", None, None, 0, 0)])

    assert metrics.value("retry_budget_tokens", {"name": "reports"}) is None
    assert metrics.value("bulkhead_limit", {"name": "reports"}) is None


def test_timeouts_hedges_and_fallbacks_are_counted(metrics):
    resilience = ResilienceMetrics(metrics)
    for event in ("timeout", "hedge", "fallback", "timeout"):
        resilience.happened("search", event)

    counted = {
        event: metrics.value("resilience_events_total", {"name": "search", "event": event})
        for event in ("timeout", "hedge", "fallback")
    }
    assert counted == {"timeout": 2, "hedge": 1, "fallback": 1}


@pytest.mark.parametrize(
    ("status", "error", "labels"),
    [(200, None, ("200", "")), (None, "DeadlineExceededError", ("", "DeadlineExceededError"))],
)
def test_requests_to_other_services_are_timed_by_route(metrics, status, error, labels):
    ResilienceMetrics(metrics).http_call(
        "payments", "GET", "/charges/{id}", status=status, seconds=0.2, error_type=error
    )

    found = metrics.value(
        "http_client_request_duration_seconds_sum",
        {
            "peer_service": "payments",
            "http_request_method": "GET",
            "url_template": "/charges/{id}",
            "http_response_status_code": labels[0],
            "error_type": labels[1],
        },
    )
    assert found == 0.2
