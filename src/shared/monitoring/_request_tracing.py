"""The server span of every request, and the decision whether its trace is kept."""

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from shared.monitoring._http_metrics import FinishedRequest, bounded_method
from shared.monitoring._span import FinishedSpan, SpanKind
from shared.monitoring._tracer import Tracer

_ERRORS: Final = {"disconnected": "client_disconnect", "cancelled": "cancelled", "failed": "aborted"}


class _HasContext(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def context(self) -> Any: ...


class RequestTracing:
    """A job of the request layer: samples new traces and records a span per request.

    The layer has made the trace context already; here the root of a new trace is
    sampled by the tracer's rate, and the span is written when the request ends, from
    what is known then. Where OpenTelemetry records the request itself, its ids are
    taken over and no second span is made.

    Args:
        tracer: Where spans go.
        clock: Unix time in nanoseconds.

    Example:
        >>> from collections import namedtuple
        >>> from shared.context import RequestContext, TraceContext
        >>> Finished = namedtuple("Finished", "method route status outcome duration protocol error context")
        >>> context = RequestContext("c-1", "r-1", TraceContext.new())
        >>> spans = []
        >>> tracing = RequestTracing(Tracer([spans.extend]))
        >>> tracing.on_finish(Finished("GET", "/orders", 200, "completed", 0.02, "http", None, context))
        >>> spans[0].name, spans[0].attributes["http.response.status_code"]
        ('GET /orders', 200)
    """

    def __init__(self, tracer: Tracer, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._tracer = tracer
        self._clock = clock
        # Handles of OpenTelemetry's spans, by the context of the request under way.
        self._open: dict[int, Any] = {}

    def on_request(self, exchange: _HasContext) -> None:
        """Decide whether the trace is kept; objects to nothing."""
        context = exchange.context
        trace = context.trace
        bridge = self._tracer.bridge
        if bridge is not None:
            adopted = bridge.adopt()
            if adopted is not None:
                context.trace = adopted
            elif trace is not None:
                parent = (
                    None if not trace.parent_id else trace._replace(span_id=trace.parent_id, parent_id="")
                )
                context.trace, handle = bridge.open(exchange.method, SpanKind.SERVER, parent)
                if handle is not None:
                    self._open[id(context)] = handle
        elif trace is not None and not trace.parent_id and not self._tracer.samples(trace.trace_id):
            context.trace = trace._replace(sampled=False)

    def on_finish(self, event: FinishedRequest) -> None:
        """Record the request's span."""
        tracer, context = self._tracer, event.context
        bridge = tracer.bridge
        if bridge is not None:
            # Nothing is open when OpenTelemetry records the request itself.
            handle = self._open.pop(id(context), None)
            if handle is not None:
                bridge.finish(handle, self._span(event, context.trace))
            return
        trace = context.trace
        if trace is not None and trace.sampled and tracer.is_active:
            tracer.emit(self._span(event, trace))

    def _span(self, event: FinishedRequest, trace: Any) -> FinishedSpan:
        method, route, status = bounded_method(event.method), event.route, event.status
        facts: dict[str, Any] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "correlation_id": event.context.correlation_id,
        }
        # Source: OpenTelemetry, HTTP span name: "{method} {route}", "HTTP" for unknown methods.
        word = "HTTP" if method == "_OTHER" else method
        if event.protocol != "http":
            facts["network.protocol.name"] = event.protocol
        error = event.error or (str(status) if status >= 500 else _ERRORS.get(event.outcome))
        duration = event.duration
        return FinishedSpan(
            word if route == "unmatched" else f"{word} {route}",
            SpanKind.SERVER,
            trace,
            self._clock() - round(duration * 1e9),
            duration,
            facts,
            error,
        )
