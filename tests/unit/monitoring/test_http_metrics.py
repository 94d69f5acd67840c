from typing import Any, NamedTuple

import pytest

from shared.context import RequestContext, TraceContext
from shared.monitoring import HttpMetrics, Lifecycle, Metrics

DURATION = "http_server_request_duration_seconds_count"


class Finished(NamedTuple):
    method: str = "GET"
    route: str = "/orders/{id}"
    status: int = 200
    outcome: str = "completed"
    duration: float = 0.03
    protocol: str = "http"
    error: str | None = None
    context: Any = None


class Exchange(NamedTuple):
    context: Any


def labels(method="GET", route="/orders/{id}", status="200", error=""):
    return {
        "http_request_method": method,
        "http_route": route,
        "http_response_status_code": status,
        "error_type": error,
    }


@pytest.fixture
def metrics():
    return Metrics("test", multiprocess=False)


@pytest.fixture
def http(metrics):
    return HttpMetrics(metrics)


def test_a_request_is_counted_by_method_route_and_status(metrics, http):
    http.on_finish(Finished())

    assert metrics.value(DURATION, labels()) == 1
    assert metrics.value("http_server_request_duration_seconds_sum", labels()) == 0.03


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Finished(), ""),
        (Finished(status=404), ""),
        (Finished(status=500), "500"),
        (Finished(status=503), "503"),
        (Finished(status=499, outcome="disconnected"), "client_disconnect"),
        (Finished(status=200, outcome="disconnected"), "client_disconnect"),
        (Finished(status=200, outcome="cancelled"), "cancelled"),
        (Finished(status=200, outcome="failed"), "aborted"),
    ],
)
def test_the_error_type_tells_ours_from_the_clients(metrics, http, event, error):
    http.on_finish(event)

    assert metrics.value(DURATION, labels(status=str(event.status), error=error)) == 1


@pytest.mark.parametrize(
    ("sent", "counted"), [("get", "_OTHER"), ("BREW", "_OTHER"), ("PATCH", "PATCH"), ("QUERY", "QUERY")]
)
def test_methods_are_bounded(metrics, http, sent, counted):
    http.on_finish(Finished(method=sent))

    assert metrics.value(DURATION, labels(method=counted)) == 1


def test_ten_thousand_invented_methods_make_one_series(http):
    for number in range(10_000):
        http.on_finish(Finished(method=f"X{number}"))

    assert len(http._duration) == len(http._series) + 1 == 1


def test_ten_thousand_paths_that_somebody_hands_in_as_routes_stay_bounded():
    metrics = Metrics("test", multiprocess=False, max_series=50)
    http = HttpMetrics(metrics)
    for number in range(10_000):
        http.on_finish(Finished(route=f"/raw/{number}"))

    assert len(http._duration) <= 51
    assert len(http._series) <= 51
    assert metrics.value("shared_metrics_overflow_total", {"metric": http._duration.definition.name}) == 9_950


def test_an_exception_is_counted_by_its_class(metrics, http):
    http.on_finish(Finished(status=500, error="KeyError"))

    counted = {"http_request_method": "GET", "http_route": "/orders/{id}", "error_type": "KeyError"}
    assert metrics.value("http_server_request_exceptions_total", counted) == 1


def test_a_declared_route_has_its_error_series_at_zero(metrics, http):
    http.declare_route("get", "/orders/{id}")

    assert metrics.value(DURATION, labels()) == 0
    assert metrics.value(DURATION, labels(status="500", error="500")) == 0


def test_requests_under_way_are_counted_until_they_end(metrics):
    context, http = object(), HttpMetrics(metrics)
    http.on_request(Exchange(context))
    during = metrics.value("http_server_active_requests")
    http.on_finish(Finished(outcome="disconnected", status=499, context=context))

    assert (during, metrics.value("http_server_active_requests")) == (1, 0)


def test_what_the_layer_counts_already_is_not_counted_twice(metrics):
    lifecycle, context = Lifecycle(), object()
    http = HttpMetrics(metrics, lifecycle=lifecycle)
    lifecycle.enter("the layer's own key")
    http.on_request(Exchange(context))
    during = metrics.value("http_server_active_requests")
    http.on_finish(Finished(context=context))
    lifecycle.leave("the layer's own key")

    assert (during, metrics.value("http_server_active_requests")) == (1, 0)


def test_an_end_without_a_beginning_does_not_go_below_zero(metrics, http):
    http.on_finish(Finished(context=object()))

    assert metrics.value("http_server_active_requests") == 0


def test_websockets_are_kept_apart(metrics, http):
    http.on_finish(Finished(protocol="websocket", route="/ws", duration=120))

    assert metrics.value(DURATION, labels(route="/ws")) is None
    assert (
        metrics.value(
            "websocket_server_session_duration_seconds_count", {"http_route": "/ws", "error_type": ""}
        )
        == 1
    )


@pytest.mark.parametrize(
    ("sampled", "enabled", "expected"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_the_trace_of_a_sampled_request_is_its_exemplar(metrics, sampled, enabled, expected):
    context = RequestContext("c-1", "r-1", TraceContext.new(sampled=sampled))
    http = HttpMetrics(metrics, exemplars=enabled)
    http.on_finish(Finished(context=context))

    shown = metrics.expose("application/openmetrics-text").body.decode()

    assert (f'trace_id="{context.trace.trace_id}"' in shown) is expected


def test_the_event_of_the_request_layer_is_understood(metrics, http):
    from shared.api import Outcome, RequestFinished

    context = RequestContext("c-1", "r-1")
    event = RequestFinished("GET", "/x", 200, Outcome.DISCONNECTED, 0.1, 0.05, 0, 10, "http", None, context)
    http.on_finish(event)

    assert metrics.value(DURATION, labels(route="/x", error="client_disconnect")) == 1
