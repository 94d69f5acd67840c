"""Beside OpenTelemetry, whose API is real here and whose SDK is a small one of ours."""

import builtins
import itertools
import sys
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace as otel

from shared.context import RequestContext, TraceContext, get_trace, request_context
from shared.errors import MissingDependencyError
from shared.monitoring import FinishedSpan, OpenTelemetryBridge, RequestTracing, SpanKind, Tracer

_numbers = itertools.count(1)
INCOMING = TraceContext.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=x")


class RecordedSpan(otel.Span):
    """A span as an SDK makes it."""

    def __init__(self, provider, name, parent, kind):
        trace_id = parent.trace_id if parent.is_valid else next(_numbers) + (1 << 100)
        flags = otel.TraceFlags(1 if provider.sample else 0)
        self._context = otel.SpanContext(trace_id, next(_numbers), False, flags, parent.trace_state)
        self.provider, self.name, self.parent, self.kind = provider, name, parent, kind
        self.attributes, self.events, self.status, self.ended = {}, [], None, None

    def get_span_context(self):
        return self._context

    def is_recording(self):
        return self.ended is None and self.provider.sample

    def set_attribute(self, key, value):
        self.attributes[key] = value

    def set_attributes(self, attributes):
        self.attributes.update(attributes)

    def add_event(self, name, attributes=None, timestamp=None):
        self.events.append((name, attributes, timestamp))

    def update_name(self, name):
        self.name = name

    def set_status(self, status, description=None):
        self.status = status

    def record_exception(self, exception, attributes=None, timestamp=None, escaped=False):
        raise AssertionError("exceptions go through our masking")

    def end(self, end_time=None):
        self.ended = end_time
        self.provider.ended.append(self)


class Provider(otel.TracerProvider, otel.Tracer):
    def __init__(self, *, sample=True):
        self.ended, self.sample = [], sample

    def get_tracer(self, *args, **kwargs):
        return self

    def start_span(self, name, context=None, kind=otel.SpanKind.INTERNAL, **_options):
        parent = otel.get_current_span(context).get_span_context()
        return RecordedSpan(self, name, parent, kind)

    @contextmanager
    def start_as_current_span(self, name, context=None, kind=otel.SpanKind.INTERNAL, **_options):
        made = self.start_span(name, context, kind)
        token = otel_context.attach(otel.set_span_in_context(made))
        try:
            yield made
        finally:
            otel_context.detach(token)
            made.end()


class Exchange(NamedTuple):
    context: Any
    method: str = "GET"


class Finished(NamedTuple):
    context: Any
    method: str = "GET"
    route: str = "/orders"
    status: int = 200
    outcome: str = "completed"
    duration: float = 0.1
    protocol: str = "http"
    error: str | None = None


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def tracer(provider):
    return Tracer(bridge=OpenTelemetryBridge(provider))


def test_our_spans_become_theirs_with_one_set_of_ids(tracer, provider):
    with tracer.span("outer", attributes={"a": 1, "b": None}) as outer, tracer.span("inner", kind="client"):
        assert get_trace().span_id == f"{otel.get_current_span().get_span_context().span_id:016x}"

    inner, made = provider.ended
    assert (inner.name, made.name, inner.kind) == ("inner", "outer", otel.SpanKind.CLIENT)
    assert inner.parent.span_id == made.get_span_context().span_id == int(outer.trace.span_id, 16)
    assert made.attributes == {"a": 1}
    assert otel.get_current_span() is otel.INVALID_SPAN


def test_a_span_of_theirs_is_the_parent_of_ours(tracer, provider):
    theirs = provider.start_span("instrumented")
    token = otel_context.attach(otel.set_span_in_context(theirs))
    with tracer.span("ours"):
        pass
    otel_context.detach(token)

    assert provider.ended[0].parent == theirs.get_span_context()


def test_the_trace_of_the_request_goes_on_in_theirs(tracer, provider):
    with request_context(trace=INCOMING), tracer.span("work"):
        pass

    parent = provider.ended[0].parent
    assert (f"{parent.trace_id:032x}", f"{parent.span_id:016x}") == (INCOMING.trace_id, INCOMING.span_id)
    assert parent.is_remote
    assert parent.trace_state.to_header() == "vendor=x"


def test_an_error_is_told_masked_and_once(tracer, provider):
    with pytest.raises(ConnectionError), tracer.span("work") as span:
        span.event("tick", {"n": 1})
        raise ConnectionError("redis://:topsecret-1@cache")

    [made] = provider.ended
    assert made.attributes["error.type"] == "ConnectionError"
    assert made.status.status_code is otel.StatusCode.ERROR
    assert "topsecret-1" not in made.status.description
    assert made.events[0][:2] == ("tick", {"n": 1})


def test_without_a_provider_nothing_is_recorded_and_the_trace_stays():
    tracer = Tracer(bridge=OpenTelemetryBridge(otel.NoOpTracerProvider()))
    with tracer.span("alone") as span:
        assert span.trace.sampled is False
    with request_context(trace=INCOMING), tracer.span("work"):
        assert get_trace().trace_id == INCOMING.trace_id


def test_what_they_do_not_sample_we_do_not_either():
    provider = Provider(sample=False)
    tracer = Tracer(bridge=OpenTelemetryBridge(provider))
    with tracer.span("work") as span:
        span.set("a", 1)

    assert span.trace.sampled is False
    assert len(provider.ended) == 1


# -- requests ----------------------------------------------------------------------------


def test_beside_native_telemetry_there_is_one_server_span(tracer, provider):
    native = provider.start_span("GET /orders", kind=otel.SpanKind.SERVER)
    token = otel_context.attach(otel.set_span_in_context(native))
    context, tracing = RequestContext("c-1", "r-1", TraceContext.new()), RequestTracing(tracer)
    tracing.on_request(Exchange(context))
    tracing.on_finish(Finished(context))
    otel_context.detach(token)
    native.end()

    assert provider.ended == [native]
    assert int(context.trace.trace_id, 16) == native.get_span_context().trace_id


def test_without_native_telemetry_the_server_span_is_ours_in_theirs(tracer, provider):
    context, tracing = RequestContext("c-1", "r-1", INCOMING.child()), RequestTracing(tracer)
    tracing.on_request(Exchange(context))
    inside = otel.get_current_span().get_span_context()
    tracing.on_finish(Finished(context, status=503))

    [made] = provider.ended
    assert (made.name, made.kind) == ("GET /orders", otel.SpanKind.SERVER)
    assert (made.parent.span_id, made.get_span_context()) == (int(INCOMING.span_id, 16), inside)
    assert made.attributes["error.type"] == "503"
    assert int(context.trace.span_id, 16) == inside.span_id
    assert otel.get_current_span() is otel.INVALID_SPAN


def test_a_request_beside_no_provider_keeps_its_ids():
    tracer = Tracer(bridge=OpenTelemetryBridge(otel.NoOpTracerProvider()))
    trace = INCOMING.child()
    context, tracing = RequestContext("c-1", "r-1", trace), RequestTracing(tracer)
    tracing.on_request(Exchange(context))
    tracing.on_finish(Finished(context))

    assert context.trace.trace_id == INCOMING.trace_id


def test_fastapis_own_telemetry_and_ours_make_one_server_span(provider, tracer, monkeypatch):
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    app = FastAPI(
        telemetry={"tracer_provider": provider, "metrics": False, "logs": False, "auto_configure": False}
    )
    seen = []

    class Layer:
        """What the request layer does, in short."""

        def __init__(self, inner):
            self.inner, self.tracing = inner, RequestTracing(tracer)

        async def __call__(self, scope, receive, send):
            if scope["type"] != "http":
                await self.inner(scope, receive, send)
                return
            context = RequestContext("c-1", "r-1", TraceContext.new())
            self.tracing.on_request(Exchange(context))
            await self.inner(scope, receive, send)
            self.tracing.on_finish(Finished(context))
            seen.append(context.trace.trace_id)

    app.add_middleware(Layer)

    @app.get("/orders")
    async def orders():
        with tracer.span("SELECT", kind="client"):
            return []

    with TestClient(app) as client:
        assert client.get("/orders").status_code == 200

    servers = [span for span in provider.ended if span.kind is otel.SpanKind.SERVER]
    assert [span.name for span in servers] == ["GET /orders"]
    assert {f"{span.get_span_context().trace_id:032x}" for span in provider.ended} == {seen[-1]}
    assert "SELECT" in {span.name for span in provider.ended}


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[otel\]"):
        OpenTelemetryBridge()


def test_a_span_that_has_ended_is_handed_over_under_its_parent(tracer, provider):
    finished = FinishedSpan(
        "SELECT", SpanKind.CLIENT, INCOMING.child(), 1000, 0.5, {"db.system.name": "sqlite"}, "TimeoutError"
    )

    tracer.bridge.record(finished)

    [made] = provider.ended
    assert f"{made.parent.span_id:016x}" == INCOMING.span_id
    assert made.attributes == {"db.system.name": "sqlite", "error.type": "TimeoutError"}
    assert made.ended == 1000 + 500_000_000


def test_a_span_without_a_parent_begins_a_trace_of_theirs(tracer, provider):
    tracer.bridge.record(FinishedSpan("SELECT", SpanKind.CLIENT, TraceContext.new(), 1000, 0.5))

    assert not provider.ended[0].parent.is_valid


def test_a_provider_the_process_has_set_is_bridged(monkeypatch, provider):
    before = OpenTelemetryBridge.if_configured()
    monkeypatch.setattr(otel, "_TRACER_PROVIDER", provider)

    bridge = OpenTelemetryBridge.if_configured()
    with Tracer(bridge=bridge).span("work"):
        pass

    assert before is None
    assert [each.name for each in provider.ended] == ["work"]


def test_where_opentelemetry_is_not_loaded_there_is_nothing_to_bridge(monkeypatch):
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")

    assert OpenTelemetryBridge.if_configured() is None
