"""Our spans as OpenTelemetry's, and its spans as ours: never both."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from shared.context import TraceContext
from shared.errors import MissingDependencyError
from shared.monitoring._span import FinishedSpan, Span, SpanKind

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider


class OpenTelemetryBridge:
    """Hands every span of a :class:`Tracer` to OpenTelemetry, under one set of ids.

    With it our spans and those of OpenTelemetry's instrumentations are one tree: a
    span made here is current for them, and one of theirs is the parent of ours. Where
    they record the request already (FastAPI's native telemetry, an instrumentor), no
    second server span is made.

    Args:
        provider: Whose tracers are used; OpenTelemetry's global one when None.

    Raises:
        MissingDependencyError: OpenTelemetry is not installed.

    Example:
        >>> from shared.monitoring import Tracer
        >>> tracer = Tracer(bridge=OpenTelemetryBridge())
        >>> with tracer.span("work") as span:
        ...     pass
    """

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        try:
            from opentelemetry import context, trace
        except ImportError as exc:
            raise MissingDependencyError("opentelemetry", extra="otel") from exc
        self._context: Final = context
        self._trace: Final = trace
        self._tracer = (provider or trace.get_tracer_provider()).get_tracer("shared")
        self._kinds = {kind: trace.SpanKind[kind.name] for kind in SpanKind}

    @classmethod
    def if_configured(cls) -> "OpenTelemetryBridge | None":
        """Return a bridge when the process has set a provider of OpenTelemetry, else None."""
        trace = sys.modules.get("opentelemetry.trace")
        if trace is None:
            return None
        # What stands in until one is set.
        idle = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
        provider = trace.get_tracer_provider()
        return None if isinstance(provider, idle) else cls(provider)

    # -- ours as theirs ------------------------------------------------------------------

    def start(self, span: Span, parent: TraceContext | None) -> tuple[TraceContext, Any]:
        """Start a span of OpenTelemetry and make it current; return its ids and a handle."""
        return self.open(span.name, span.kind, parent)

    def open(self, name: str, kind: SpanKind, parent: TraceContext | None) -> tuple[TraceContext, Any]:
        """Start one by name; see :meth:`start`."""
        context = self._parent_context(parent)
        made = self._tracer.start_span(name, context=context, kind=self._kinds[kind])
        current = made.get_span_context()
        if not current.is_valid:  # no provider is configured: nothing to record, nothing to carry
            kept = parent if parent is not None else TraceContext.new(sampled=False)
            return kept, None
        token = self._context.attach(self._trace.set_span_in_context(made, context))
        return self._ours(current, parent), (made, token)

    def record(self, finished: FinishedSpan) -> None:
        """Hand over a span that has ended, under its parent; OpenTelemetry gives it ids of its own."""
        trace = finished.trace
        parent = trace._replace(span_id=trace.parent_id, parent_id="") if trace.parent_id else None
        made = self._tracer.start_span(
            finished.name,
            context=self._parent_context(parent),
            kind=self._kinds[finished.kind],
            start_time=finished.start,
        )
        self._describe(made, finished)
        made.end(finished.start + round(finished.duration * 1e9))

    def finish(self, handle: Any, finished: FinishedSpan) -> None:
        """End the span behind *handle* with what was found out."""
        made, token = handle
        made.update_name(finished.name)
        self._describe(made, finished)
        made.end(finished.start + round(finished.duration * 1e9))
        # The end may run in another context than the beginning, as when a server
        # closes a response from elsewhere.
        with suppress(ValueError):
            self._context.detach(token)

    def _describe(self, made: Any, finished: FinishedSpan) -> None:
        for key, value in finished.attributes.items():
            if value is not None:
                made.set_attribute(key, value)
        for at, name, facts in finished.events:
            made.add_event(name, dict(facts), timestamp=at)
        if finished.error is not None:
            made.set_attribute("error.type", finished.error)
            made.set_status(self._trace.Status(self._trace.StatusCode.ERROR, finished.message or None))

    # -- theirs as ours --------------------------------------------------------------------

    def adopt(self) -> TraceContext | None:
        """Return the ids of OpenTelemetry's current span when it is recorded, else None."""
        current = self._trace.get_current_span()
        found = current.get_span_context()
        if not (found.is_valid and not found.is_remote and current.is_recording()):
            return None
        return self._ours(found, None)

    def _parent_context(self, parent: TraceContext | None) -> Any:
        """Return the context in which a child of *parent* is made."""
        current = self._trace.get_current_span().get_span_context()
        if parent is None or (current.is_valid and f"{current.span_id:016x}" == parent.span_id):
            return None  # the current one, with everything else OpenTelemetry keeps in it
        remote = self._trace.SpanContext(
            int(parent.trace_id, 16),
            int(parent.span_id, 16),
            is_remote=True,
            trace_flags=self._trace.TraceFlags(1 if parent.sampled else 0),
            trace_state=self._trace.TraceState.from_header([parent.tracestate] if parent.tracestate else []),
        )
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(remote))

    @staticmethod
    def _ours(theirs: Any, parent: TraceContext | None) -> TraceContext:
        return TraceContext(
            f"{theirs.trace_id:032x}",
            f"{theirs.span_id:016x}",
            bool(theirs.trace_flags.sampled),
            parent.span_id if parent is not None else "",
            theirs.trace_state.to_header(),
        )
