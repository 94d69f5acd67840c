"""Make spans, decide which are kept, hand them to exporters."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

from shared.context import TraceContext
from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.monitoring._span import FinishedSpan, Span, SpanKind

if TYPE_CHECKING:
    from shared.monitoring._otel import OpenTelemetryBridge

P = ParamSpec("P")
R = TypeVar("R")

SpanExporter: TypeAlias = "Callable[[Sequence[FinishedSpan]], object]"
"""Takes finished spans; must be quick: put :class:`BatchExporter` in front of one that talks to a server."""

_log: Final = logging.getLogger("shared.monitoring")
_RANDOM_DIGITS: Final = 14  # of the trace id's end: the 56 bits that are random
_RANDOM_RANGE: Final = 1 << 56


def is_sampled(trace_id: str, rate: float) -> bool:
    """Decide by the trace id alone, so that every service decides the same for one trace.

    A trace that is kept at one rate is kept at every higher one. Source: W3C Trace
    Context Level 2, section 3.2.2.3.1.1 (random trace id), and OpenTelemetry's
    consistent probability sampling.

    Args:
        trace_id: 32 hex digits.
        rate: Part of the traces to keep, 0 to 1.

    Example:
        >>> is_sampled("0af7651916cd43dd8448eb211c80319c", 0.5)
        False
        >>> is_sampled("0af7651916cd43dd84ffeb211c80319c", 0.5)
        True
    """
    if rate >= 1.0:
        return True
    return int(trace_id[-_RANDOM_DIGITS:], 16) >= (1.0 - rate) * _RANDOM_RANGE


class Tracer:
    """Makes spans and hands the finished ones to exporters.

    The caller's decision whether a trace is kept is followed; at the root of a trace
    *sample_rate* decides. Without exporter and bridge a span costs next to nothing
    and changes nothing.

    Args:
        exporters: Called with finished spans, in the thread that ends them. What they
            raise is logged.
        sample_rate: Part of new traces to keep, 0 to 1.
        bridge: Makes every span one of OpenTelemetry's, whose exporters then get it;
            see :class:`OpenTelemetryBridge`.

    Raises:
        InvalidArgumentError: *sample_rate* is not between 0 and 1.

    Thread-safe and task-safe.

    Example:
        >>> spans = []
        >>> tracer = Tracer([spans.extend])
        >>> with tracer.span("outer") as outer, tracer.span("inner"):
        ...     pass
        >>> [span.name for span in spans], spans[0].trace.parent_id == outer.trace.span_id
        (['inner', 'outer'], True)
    """

    def __init__(
        self,
        exporters: Iterable[SpanExporter] = (),
        *,
        sample_rate: float = 1.0,
        bridge: "OpenTelemetryBridge | None" = None,
    ) -> None:
        if not 0 <= sample_rate <= 1:
            msg = f"sample_rate is between 0 and 1, got {sample_rate!r}"
            raise InvalidArgumentError(msg)
        self.sample_rate = sample_rate
        self.bridge = bridge
        self._exporters: tuple[SpanExporter, ...] = tuple(exporters)
        self.is_active: bool = bool(self._exporters) or bridge is not None

    def add_exporter(self, exporter: SpanExporter) -> Callable[[], None]:
        """Hand finished spans to *exporter* too; return a function that ends that."""
        self._exporters = (*self._exporters, exporter)
        self.is_active = True

        def remove() -> None:
            self._exporters = tuple(each for each in self._exporters if each is not exporter)
            self.is_active = bool(self._exporters) or self.bridge is not None

        return remove

    def span(
        self,
        name: str,
        *,
        kind: SpanKind | str = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        parent: TraceContext | None = None,
    ) -> Span:
        """Return a span for a ``with`` block.

        Args:
            name: What is done; of few different values, never an id.
            kind: ``client`` for a call to another service or a database, ``consumer``
                and ``producer`` for messages and jobs, else ``internal``.
            attributes: Facts known from the start.
            parent: What it is part of; the trace in force when None.

        Raises:
            InvalidArgumentError: *kind* is unknown.
        """
        try:
            known = SpanKind(kind)
        except ValueError:
            msg = f"span kind {kind!r} is unknown: one of {', '.join(SpanKind)}"
            raise InvalidArgumentError(msg) from None
        return Span(self, name, known, attributes, parent)

    def begin(self, span: Span, parent: TraceContext | None) -> tuple[TraceContext, Any]:
        """Return the ids of *span*, and the bridge's own object for it; for :class:`Span`."""
        if self.bridge is not None:
            return self.bridge.start(span, parent)
        if parent is not None:
            return (parent.child() if parent.sampled and self.is_active else parent), None
        trace = TraceContext.new()
        return (trace if self.samples(trace.trace_id) else trace._replace(sampled=False)), None

    def end(self, finished: FinishedSpan, bridged: Any) -> None:
        """Take the end of a span; for :class:`Span`."""
        if self.bridge is not None and bridged is not None:
            self.bridge.finish(bridged, finished)
        else:
            self.emit(finished)

    def samples(self, trace_id: str) -> bool:
        """Tell whether a trace that begins here is kept."""
        return is_sampled(trace_id, self.sample_rate)

    def emit(self, *finished: FinishedSpan) -> None:
        """Hand finished spans to the exporters; never raises."""
        for exporter in self._exporters:
            try:
                exporter(finished)
            except Exception:  # noqa: BLE001 - tracing must not harm the work
                _log.warning("a span exporter failed", exc_info=True)

    def traced(
        self, name: str | None = None, *, kind: SpanKind | str = SpanKind.INTERNAL
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function or coroutine function: every call is a span.

        Args:
            name: Name of the span; the function's qualified name when None.
            kind: As for :meth:`span`.

        Raises:
            UnsupportedCallableError: A generator: its body runs in its consumer's
                context, where a span would leak.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            decorated: Callable[P, R] = _traced(self, function, name, kind)
            return decorated

        return decorate


def _traced(tracer: Tracer, function: Any, name: str | None, kind: SpanKind | str) -> Any:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        msg = f"{function.__qualname__!r} is a generator: open a span inside of it instead"
        raise UnsupportedCallableError(msg)
    label = name or str(getattr(function, "__qualname__", type(function).__name__))
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def arun(*args: Any, **kwargs: Any) -> Any:
            with tracer.span(label, kind=kind):
                return await function(*args, **kwargs)

        return arun

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with tracer.span(label, kind=kind):
            return function(*args, **kwargs)

    return run
