import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.monitoring import (
    SLO,
    BurnRateAlert,
    DegradationAlert,
    Finding,
    Metrics,
    Severity,
    ThresholdAlert,
    availability,
)
from shared.monitoring._alert import AlertState

HTTP = ("http_request_method", "http_route", "http_response_status_code", "error_type")
ON, OFF = Finding(active=True), Finding(active=False)


class Service:
    """A service whose requests are made up."""

    def __init__(self):
        self.metrics = Metrics("test", multiprocess=False)
        self.duration = self.metrics.histogram("http_server_request_duration", "Help.", HTTP, unit="seconds")
        self.now = 1_000_000.0

    def serve(self, good=0, bad=0, seconds=0.1):
        for status, count in (("200", good), ("500", bad)):
            series = self.duration.labels("GET", "/a", status, "")
            for _ in range(count):
                series.observe(seconds)

    def run(self, alert, minutes, **traffic):
        found = None
        for _ in range(minutes):
            self.serve(**traffic)
            self.now += 60
            found = alert.look(self.metrics.collect(), self.now)
        return found


@pytest.fixture
def service():
    return Service()


# -- burning budgets -----------------------------------------------------------------


def test_a_fast_burn_pages(service):
    alert = BurnRateAlert(SLO("orders", objective=99.9))
    service.run(alert, 30, good=20)

    found = service.run(alert, 10, good=15, bad=5)

    assert (found.active, found.severity) == (True, Severity.PAGE)
    assert found.details["long_window"] == "1h"
    assert "the budget burns" in found.summary


def test_a_slow_burn_is_a_ticket(service):
    alert = BurnRateAlert(SLO("orders", objective=99, min_events=10), "ticket")
    service.run(alert, 60 * 26, good=24)

    found = service.run(alert, 60 * 26, good=24, bad=1)  # four per cent: four times the budget

    assert (found.active, found.severity) == (True, Severity.TICKET)
    assert found.details["long_window"] == "1d"


def test_a_burn_that_is_over_is_quiet_though_the_long_window_remembers(service):
    alert = BurnRateAlert(SLO("orders", objective=99.9))
    service.run(alert, 30, good=20)
    service.run(alert, 5, good=10, bad=10)

    assert not service.run(alert, 31, good=20).active


def test_a_promise_has_windows_that_page_and_windows_for_tickets():
    with pytest.raises(InvalidArgumentError, match="page or ticket"):
        BurnRateAlert(SLO("orders"), "info")


def test_errors_within_the_budget_are_quiet(service):
    alert = BurnRateAlert(SLO("orders", objective=90))

    assert not service.run(alert, 120, good=95, bad=5).active


def test_one_failure_of_two_requests_is_no_outage(service):
    alert = BurnRateAlert(SLO("orders", objective=99.9, min_events=50))
    service.run(alert, 10, good=0)

    assert not service.run(alert, 1, good=1, bad=1).active


def test_a_restart_of_the_service_is_no_burn(service):
    alert = BurnRateAlert(SLO("orders", objective=99.9))
    service.run(alert, 10, good=10, bad=10)
    fresh = Service()
    fresh.now = service.now

    assert not fresh.run(alert, 5, good=20).active


def test_no_traffic_is_quiet(service):
    assert not service.run(BurnRateAlert(SLO("orders")), 100).active


# -- thresholds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "value", "active"),
    [
        ({"above": 10}, 11, True),
        ({"above": 10}, 10, False),
        ({"above": 0}, 1, True),
        ({"below": 10}, 9, True),
        ({"below": 0}, -1, True),
        ({"below": 10}, 10, False),
        ({"above": 10}, None, False),
    ],
)
def test_a_number_beyond_its_limit_is_active(limits, value, active):
    assert ThresholdAlert("queue", lambda: value, **limits).look([], 0.0).active is active


def test_the_summary_has_the_number_and_the_limit():
    found = ThresholdAlert("queue", lambda: 120.5, above=100, unit="jobs").look([], 0.0)

    assert found.summary == "queue is 120.5 jobs, above 100 jobs"
    assert found.details == {"value": 120.5, "limit": 100}


@pytest.mark.parametrize("wrong", [{}, {"above": 1, "below": 0}, {"above": 1, "wait": -1}])
def test_an_alert_with_no_or_two_limits_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        ThresholdAlert("queue", lambda: 1, **wrong)


# -- degradation ------------------------------------------------------------------------------


def degradation(**options):
    return DegradationAlert("slower", recent=600, baseline=7200, min_events=50, **options)


def test_a_service_that_became_slower_is_noticed(service):
    alert = degradation()
    service.run(alert, 120, good=10, seconds=0.04)

    found = service.run(alert, 15, good=10, seconds=0.4)

    assert found.active
    assert found.details["value"] > 3 * found.details["usual"]
    assert "p95 of http_server_request_duration_seconds" in found.summary


def test_a_service_that_was_always_slow_is_quiet(service):
    assert not service.run(degradation(), 140, good=10, seconds=2.0).active


def test_what_is_still_fast_is_never_too_slow(service):
    alert = degradation(at_least=0.2)
    service.run(alert, 120, good=10, seconds=0.004)

    assert not service.run(alert, 15, good=10, seconds=0.08).active


def test_too_few_observations_are_quiet(service):
    alert = degradation()
    service.run(alert, 5, good=1, seconds=0.01)

    assert not service.run(alert, 5, good=1, seconds=9).active


def test_a_restart_is_no_degradation(service):
    alert = degradation()
    service.run(alert, 130, good=10, seconds=0.01)
    fresh = Service()
    fresh.now = service.now

    assert not fresh.run(alert, 3, good=10, seconds=9).active


def test_a_metric_that_is_not_there_is_quiet():
    assert not DegradationAlert("slower", "absent_seconds").look([], 0.0).active


def test_the_percentile_beyond_all_buckets_is_the_last_bound(service):
    alert = degradation()
    service.run(alert, 120, good=10, seconds=0.01)

    assert service.run(alert, 15, good=10, seconds=500).details["value"] == 10.0


def test_memory_of_a_degradation_is_bounded(service):
    alert = degradation()
    service.run(alert, 400, good=1)

    assert len(alert._points) <= (600 + 7200) / 60 + 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"percentile": 1},
        {"factor": 1},
        {"recent": 0},
        {"recent": 100, "baseline": 50},
        {"min_events": 0},
        {"wait": -1},
    ],
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="do not hold"):
        DegradationAlert("slower", **wrong)


# -- from findings to news ------------------------------------------------------------------------


def news(state, *findings, step=10.0):
    return [state.step(finding, step * index) for index, finding in enumerate(findings)]


def test_an_alert_fires_once_and_is_over_once():
    assert news(AlertState(0, 0), ON, ON, OFF, OFF) == ["firing", None, "resolved", None]


def test_it_waits_until_it_lasts():
    assert news(AlertState(25, 0), ON, ON, ON, ON) == [None, None, None, "firing"]


def test_a_break_starts_the_wait_anew():
    assert news(AlertState(15, 0), ON, OFF, ON, ON, ON) == [None, None, None, None, "firing"]


def test_after_it_is_over_it_keeps_quiet_for_a_while():
    state = AlertState(0, 35)

    assert news(state, ON, OFF, ON, ON, ON, ON) == ["firing", "resolved", None, None, None, "firing"]


def test_a_ticket_that_becomes_a_page_is_news():
    ticket, page = (Finding(active=True, severity=severity) for severity in (Severity.TICKET, Severity.PAGE))

    assert news(AlertState(0, 0), ticket, ticket, page, page, ticket) == [
        "firing",
        None,
        "firing",
        None,
        None,
    ]


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 50), st.floats(0, 50))
def test_firing_and_resolved_take_turns(actives, wait, cooldown):
    state = AlertState(wait, cooldown)
    told = [word for word in news(state, *(Finding(active) for active in actives)) if word]

    assert told == (["firing", "resolved"] * len(told))[: len(told)]


def test_the_availability_default_is_the_indicator_of_a_promise():
    assert SLO("x").sli == availability()
