"""The headers that carry a request's identity to the next service."""

from shared.context import (
    RequestContext,
    TraceContext,
    enter_context,
    leave_context,
    outgoing_headers,
    request_context,
)


def test_outside_of_a_request_nothing_is_sent():
    token = enter_context(None)

    found = outgoing_headers()

    leave_context(token)
    assert found == {}


def test_correlation_id_and_trace_are_sent():
    trace = TraceContext("a" * 32, "b" * 16, tracestate="foo=1")

    with request_context(correlation_id="c-1", trace=trace):
        assert outgoing_headers() == {
            "X-Correlation-ID": "c-1",
            "traceparent": trace.traceparent,
            "tracestate": "foo=1",
        }


def test_an_empty_tracestate_is_not_sent():
    with request_context(correlation_id="c-1"):
        assert set(outgoing_headers()) == {"X-Correlation-ID", "traceparent"}


def test_a_request_without_a_trace_sends_its_id_alone():
    context = RequestContext("c-1", "r-1")
    token = enter_context(context)

    found = outgoing_headers()

    leave_context(token, context)
    assert found == {"X-Correlation-ID": "c-1"}
