"""Join requests, SQL statements and calls to other services to the tracer."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shared.api import Job
from shared.context import current_context
from shared.monitoring import (
    BatchExporter,
    FinishedSpan,
    OpenTelemetryBridge,
    OtlpSender,
    RequestTracing,
    SpanKind,
    Tracer,
    get_tracer,
)
from shared.resilience import HttpCall
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.service._service import Service

__all__ = ["TRACING", "add_tracing"]

TRACING: Final = "W3C trace context continued; spans of requests, SQL and calls for whoever takes them"


class _TracingJob(RequestTracing, Job):
    """The tracing of monitoring as a job of the request layer."""


def add_tracing(service: "Service") -> None:
    """Record spans, where somebody takes them, and let OpenTelemetry have them where it is configured."""
    if not service.wants("tracing", TRACING):
        return
    tracer = service.keep(Tracer, get_tracer())
    # Before all jobs: what they do is part of the trace.
    service.jobs.insert(0, _TracingJob(tracer))
    _export(service, tracer)
    service.on_start(lambda: _bridge(tracer))
    spans = _EventSpans(tracer)
    events = service.runtime.events
    service.on_dismantle(events.subscribe(HttpCall, spans.http_call))
    _trace_sql(service, spans)
    service.note(Part("tracing", TRACING, settings=service.show("TRACE_SAMPLE_RATE", "OTLP_TRACES_ENDPOINT")))


def _export(service: "Service", tracer: Tracer) -> None:
    """Send spans to the collector of the settings; begun and ended with each run."""
    monitoring, app = service.settings.monitoring, service.settings.app
    endpoint, secret = monitoring.OTLP_TRACES_ENDPOINT, monitoring.OTLP_HEADERS
    if endpoint is None:
        return
    sender = OtlpSender(
        str(endpoint),
        service=app.SERVICE_NAME,
        version=app.SERVICE_VERSION,
        headers=_headers("" if secret is None else secret.get_secret_value()),
    )

    def begin() -> Any:
        exporter = BatchExporter(sender)
        remove = tracer.add_exporter(exporter)

        def end() -> None:
            remove()
            exporter.close()

        return end

    service.on_start(begin)


def _headers(text: str) -> Mapping[str, str]:
    """Read ``name=value,name=value``. Source: OpenTelemetry, OTEL_EXPORTER_OTLP_HEADERS."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def _bridge(tracer: Tracer) -> None:
    """Hand spans to OpenTelemetry when the process has configured its SDK: one tree, no span twice."""
    if tracer.bridge is None and (bridge := OpenTelemetryBridge.if_configured()) is not None:
        tracer.bridge = bridge
        tracer.is_active = True


class _EventSpans:
    """Makes spans of what has ended: the event tells how long it took."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def http_call(self, event: HttpCall) -> None:
        """Record a call to another service, under the ids that were sent along."""
        if event.trace is not None and event.trace.sampled and self._tracer.is_active:
            error = event.error_type or (
                None if event.status is None or event.status < 500 else str(event.status)
            )
            facts = {
                "http.request.method": event.method,
                "url.template": event.route,
                "peer.service": event.name,
                "http.response.status_code": event.status,
            }
            self._emit(f"{event.method} {event.route}", event.trace, event.seconds, facts, error)

    def query(self, event: Any) -> None:
        """Record a SQL statement by its verb; the text may be told where the span goes, so it is left out."""
        context = current_context()
        trace = None if context is None else context.trace
        if trace is not None and trace.sampled and self._tracer.is_active:
            facts = {
                "db.system.name": event.system,
                "db.operation.name": event.operation,
                "db.namespace": event.database,
            }
            self._emit(event.operation, trace.child(), event.seconds, facts, event.error_type or None)

    def _emit(self, name: str, trace: Any, seconds: float, facts: dict[str, Any], error: str | None) -> None:
        start = time.time_ns() - round(seconds * 1e9)
        span = FinishedSpan(name, SpanKind.CLIENT, trace, start, seconds, facts, error)
        bridge = self._tracer.bridge
        if bridge is None:
            self._tracer.emit(span)
        else:
            bridge.record(span)


def _trace_sql(service: "Service", spans: _EventSpans) -> None:
    if service.is_set("DATABASE_URL"):
        from shared.database import QueryFinished

        service.on_dismantle(service.runtime.events.subscribe(QueryFinished, spans.query))
