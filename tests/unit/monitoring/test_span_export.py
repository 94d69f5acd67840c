import http.server
import json
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import TraceContext
from shared.errors import ExternalServiceError, InvalidArgumentError
from shared.monitoring import BatchExporter, FinishedSpan, OtlpSender, SpanKind, Tracer
from tests.unit.monitoring.children import run_code

TRACE = TraceContext.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=x").child()


def span(name="work", **more):
    return FinishedSpan(name, SpanKind.CLIENT, TRACE, 1_700_000_000_000_000_000, 0.25, **more)


@contextmanager
def collector(status=200):
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# -- batches ---------------------------------------------------------------------------


def test_spans_are_sent_in_batches_by_a_thread():
    batches, full = [], threading.Event()

    def send(spans):
        batches.append(len(spans))
        full.set()

    exporter = BatchExporter(send, max_batch=10, interval=60)
    for _ in range(10):
        exporter([span()])
    sent = full.wait(5)
    exporter.close()

    assert sent
    assert batches == [10]


def test_what_does_not_fit_is_dropped_and_counted():
    exporter = BatchExporter(lambda _: None, max_queue=5, interval=60)
    exporter([span()] * 3)
    exporter([span()] * 4)
    exporter([span()])

    assert exporter.dropped == 3
    exporter.close()


def test_a_collector_that_is_down_costs_a_batch_and_nothing_else(caplog):
    sent, down = [], [True]

    def send(spans):
        if down:
            raise ExternalServiceError("down")
        sent.extend(spans)

    exporter = BatchExporter(send, interval=60)
    exporter([span()] * 2)
    exporter.flush()
    down.clear()
    exporter([span()] * 3)
    exporter.close()

    assert (exporter.dropped, len(sent)) == (2, 3)
    assert "2 spans could not be sent" in caplog.text


def test_closing_sends_what_is_left():
    sent = []
    exporter = BatchExporter(sent.extend, interval=60)
    exporter([span()])
    exporter.close()
    exporter.close()

    assert len(sent) == 1


def test_an_exporter_nobody_holds_ends_its_thread():
    before = set(threading.enumerate())
    exporter = BatchExporter(lambda _: None, interval=0.01)
    exporter([span()])
    [thread] = set(threading.enumerate()) - before
    del exporter
    thread.join(5)

    assert not thread.is_alive()


def test_a_forked_child_sends_its_own_spans_only():
    code, output, errors = run_code("""
        import os
        from shared.monitoring import BatchExporter, Tracer
        sent = []
        exporter = BatchExporter(sent.extend, interval=3600)
        tracer = Tracer([exporter])
        with tracer.span("parent"):
            pass
        pid = os.fork()
        if pid == 0:
            with tracer.span("child"):
                pass
            exporter.flush()
            os._exit(10 * len(sent) + (sent[0].name == "child"))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        exporter.close()
        print(code, [span.name for span in sent])
    """)

    assert (code, output) == (0, ["11", "['parent']"]), errors


@pytest.mark.parametrize("wrong", [{"max_queue": 0}, {"max_batch": 0}, {"interval": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="do not hold"):
        BatchExporter(lambda _: None, **wrong)


# -- OTLP --------------------------------------------------------------------------------


def test_a_span_arrives_at_a_collector_in_the_standard_form():
    with collector() as (url, received):
        sender = OtlpSender(url, service="orders", version="2.3.1", headers={"api-key": "k"})
        sender([span(attributes={"n": 3, "f": 0.5, "b": True, "t": "x", "l": [1, "a"], "none": None})])

    path, headers, document = received[0]
    [resource] = document["resourceSpans"]
    [scope] = resource["scopeSpans"]
    assert (path, headers["api-key"], headers["Content-Type"]) == ("/v1/traces", "k", "application/json")
    assert {"key": "service.name", "value": {"stringValue": "orders"}} in resource["resource"]["attributes"]
    assert scope["spans"] == [
        {
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "spanId": TRACE.span_id,
            "parentSpanId": "b7ad6b7169203331",
            "traceState": "vendor=x",
            "name": "work",
            "kind": 3,
            "startTimeUnixNano": "1700000000000000000",
            "endTimeUnixNano": "1700000000250000000",
            "flags": 1,
            "attributes": [
                {"key": "n", "value": {"intValue": "3"}},
                {"key": "f", "value": {"doubleValue": 0.5}},
                {"key": "b", "value": {"boolValue": True}},
                {"key": "t", "value": {"stringValue": "x"}},
                {"key": "l", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}}},
            ],
        }
    ]


def test_errors_and_moments_are_told():
    document = OtlpSender("http://h/v1/traces", service="x").document(
        [span(error="KeyError", message="no such order", events=((5, "tick", {"n": 1}),))]
    )

    [shown] = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert shown["status"] == {"code": 2, "message": "no such order"}
    assert {"key": "error.type", "value": {"stringValue": "KeyError"}} in shown["attributes"]
    assert shown["events"] == [
        {"timeUnixNano": "5", "name": "tick", "attributes": [{"key": "n", "value": {"intValue": "1"}}]}
    ]


def test_a_refusal_is_an_error_with_the_status():
    with collector(status=401) as (url, _), pytest.raises(ExternalServiceError, match="answered 401"):
        OtlpSender(url, service="x")([span()])


def test_nobody_there_is_an_error_without_the_headers_in_it():
    sender = OtlpSender(
        "http://127.0.0.1:1/v1/traces", service="x", headers={"api-key": "top-secret"}, timeout=1
    )

    with pytest.raises(ExternalServiceError, match="cannot be reached: ConnectionRefusedError") as caught:
        sender([span()])

    assert "top-secret" not in str(caught.value)


def test_the_whole_way_from_a_span_to_the_collector():
    with collector() as (url, received):
        exporter = BatchExporter(OtlpSender(url, service="orders"))
        tracer = Tracer([exporter])
        with tracer.span("outer"), tracer.span("inner"):
            pass
        exporter.close()

    names = [each["name"] for each in received[0][2]["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert names == ["inner", "outer"]


@pytest.mark.parametrize("url", ["", "ftp://h/", "http:///x", "https://user:pw@h/"])
def test_an_endpoint_that_is_none_is_refused_without_showing_it(url):
    with pytest.raises(InvalidArgumentError) as caught:
        OtlpSender(url, service="x")

    assert "pw" not in str(caught.value)


@given(
    st.dictionaries(
        st.text(max_size=10),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_any_facts_make_a_valid_document(facts):
    document = OtlpSender("http://h/v1/traces", service="x").document([span(attributes=facts)])

    json.loads(json.dumps(document, allow_nan=False))
