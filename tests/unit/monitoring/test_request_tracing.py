from typing import Any, NamedTuple

import pytest

from shared.context import RequestContext, TraceContext
from shared.monitoring import RequestTracing, SpanKind, Tracer

INCOMING = TraceContext.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class Exchange(NamedTuple):
    context: Any
    method: str = "GET"


class Finished(NamedTuple):
    context: Any
    method: str = "GET"
    route: str = "/orders/{id}"
    status: int = 200
    outcome: str = "completed"
    duration: float = 0.25
    protocol: str = "http"
    error: str | None = None


@pytest.fixture
def spans():
    return []


def serve(tracer, trace=None, **event):
    context = RequestContext("c-1", "r-1", trace or TraceContext.new())
    tracing = RequestTracing(tracer, clock=lambda: 2_000_000_000)
    tracing.on_request(Exchange(context))
    tracing.on_finish(Finished(context, **event))
    return context


def test_a_request_is_one_server_span_under_the_callers(spans):
    context = serve(Tracer([spans.extend]), INCOMING.child())

    [span] = spans
    assert (span.name, span.kind, span.trace) == ("GET /orders/{id}", SpanKind.SERVER, context.trace)
    assert span.trace.parent_id == INCOMING.span_id
    assert (span.start, span.duration) == (1_750_000_000, 0.25)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/orders/{id}",
        "http.response.status_code": 200,
        "correlation_id": "c-1",
    }


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"status": 404}, None),
        ({"status": 500}, "500"),
        ({"status": 500, "error": "KeyError"}, "KeyError"),
        ({"outcome": "disconnected", "status": 499}, "client_disconnect"),
        ({"outcome": "failed"}, "aborted"),
    ],
)
def test_the_error_of_the_span_is_that_of_the_request(spans, event, error):
    serve(Tracer([spans.extend]), **event)

    assert spans[0].error == error


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"route": "unmatched", "status": 404}, "GET"),
        ({"method": "BREW"}, "HTTP /orders/{id}"),
        ({"method": "x" * 5000, "route": "unmatched"}, "HTTP"),
    ],
)
def test_names_are_few_whatever_clients_send(spans, event, name):
    serve(Tracer([spans.extend]), **event)

    assert spans[0].name == name


def test_websockets_say_so(spans):
    serve(Tracer([spans.extend]), protocol="websocket")

    assert spans[0].attributes["network.protocol.name"] == "websocket"


def test_new_traces_are_sampled_and_the_rest_of_the_request_knows(spans):
    context = serve(Tracer([spans.extend], sample_rate=0.0))

    assert context.trace.sampled is False
    assert spans == []


def test_the_callers_decision_stands(spans):
    kept = serve(Tracer([spans.extend], sample_rate=0.0), INCOMING.child())
    dropped = serve(Tracer([spans.extend], sample_rate=1.0), INCOMING._replace(sampled=False).child())

    assert (kept.trace.sampled, dropped.trace.sampled, len(spans)) == (True, False, 1)


def test_a_request_without_a_trace_is_left_alone(spans):
    tracing, context = RequestTracing(Tracer([spans.extend])), RequestContext("c-1", "r-1")
    tracing.on_request(Exchange(context))
    tracing.on_finish(Finished(context))

    assert spans == []


def test_what_the_request_does_is_under_its_span(spans):
    from shared.context import enter_context, leave_context

    tracer = Tracer([spans.extend])
    context = RequestContext("c-1", "r-1", TraceContext.new())
    tracing = RequestTracing(tracer)
    tracing.on_request(Exchange(context))
    token = enter_context(context)
    with tracer.span("SELECT", kind="client"):
        pass
    leave_context(token)
    tracing.on_finish(Finished(context))

    assert [span.name for span in spans] == ["SELECT", "GET /orders/{id}"]
    assert spans[0].trace.parent_id == spans[1].trace.span_id
