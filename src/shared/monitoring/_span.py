"""One span: a piece of work in a trace."""

import time
from collections.abc import Mapping
from contextvars import Token
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from shared.context import (
    RequestContext,
    TraceContext,
    current_context,
    enter_context,
    leave_context,
    new_request_id,
)

_MAX_ATTRIBUTES: Final = 64
_MAX_EVENTS: Final = 32
_MAX_TEXT: Final = 1000  # characters of an attribute


class SpanKind(StrEnum):
    """What a span is in the conversation of services. Source: OpenTelemetry, SpanKind.

    Example:
        >>> SpanKind("client") is SpanKind.CLIENT
        True
    """

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class FinishedSpan(NamedTuple):
    """A span that has ended, as exporters get it.

    Attributes:
        name: What was done; of few different values.
        kind: See :class:`SpanKind`.
        trace: Ids, the parent's among them.
        start: Unix time in nanoseconds.
        duration: Seconds.
        attributes: Facts; text, numbers, booleans and lists of these.
        error: Class of the exception that ended it, or None.
        message: What the exception said, masked; empty when there was none.
        events: Moments within it: Unix nanoseconds, name, facts.

    Example:
        >>> span = FinishedSpan("work", SpanKind.INTERNAL, TraceContext.new(), 0, 0.5)
        >>> span.error is None
        True
    """

    name: str
    kind: SpanKind
    trace: TraceContext
    start: int
    duration: float
    attributes: Mapping[str, Any] = {}
    error: str | None = None
    message: str = ""
    events: tuple[tuple[int, str, Mapping[str, Any]], ...] = ()


class SpanOwner(Protocol):
    """A tracer, as far as its spans know it."""

    @property
    def is_active(self) -> bool:
        """Whether anybody wants spans."""

    def begin(self, span: "Span", parent: TraceContext | None) -> tuple[TraceContext, Any]:
        """Return the span's ids, and the bridge's own object for it."""

    def end(self, finished: FinishedSpan, bridged: Any) -> None:
        """Take the end of a span."""


class Span:
    """A span under way; made by :meth:`Tracer.span`, for ``with`` and ``async with``.

    Inside the block it is the trace context in force: log lines carry its ids, and
    calls to other services name it as their parent. When the trace is not sampled
    nothing is kept and the parent stays in force.

    Example:
        >>> from shared.monitoring import Tracer
        >>> spans = []
        >>> tracer = Tracer([spans.extend])
        >>> with tracer.span("price", attributes={"items": 3}) as span:
        ...     span.set("total", 12.5)
        >>> spans[0].name, dict(spans[0].attributes)
        ('price', {'items': 3, 'total': 12.5})
    """

    __slots__ = (
        "_attributes",
        "_began",
        "_bridged",
        "_events",
        "_kind",
        "_parent",
        "_start",
        "_token",
        "_tracer",
        "is_recording",
        "name",
        "trace",
    )

    def __init__(
        self,
        tracer: SpanOwner,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any] | None,
        parent: TraceContext | None,
    ) -> None:
        self._tracer = tracer
        self.name: str = name
        self._kind = kind
        self._parent = parent
        self._attributes: dict[str, Any] = dict(attributes) if attributes else {}
        self._events: list[tuple[int, str, Mapping[str, Any]]] | None = None
        self._token: Token[RequestContext | None] | None = None
        self._bridged: Any = None
        self.trace: TraceContext | None = None
        self.is_recording: bool = False

    # -- facts -----------------------------------------------------------------------

    def set(self, key: str, value: Any) -> None:
        """Add a fact; at most 64 are kept, and 1000 characters of each."""
        if self.is_recording and (len(self._attributes) < _MAX_ATTRIBUTES or key in self._attributes):
            self._attributes[key] = value

    def event(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Note a moment within the span; at most 32 are kept."""
        if self.is_recording:
            if self._events is None:
                self._events = []
            if len(self._events) < _MAX_EVENTS:
                self._events.append((time.time_ns(), name, dict(attributes or {})))

    def headers(self) -> dict[str, str]:
        """Return the headers that name this span as the parent to another service."""
        trace = self.trace
        if trace is None:
            return {}
        found = {"traceparent": trace.traceparent}
        if trace.tracestate:
            found["tracestate"] = trace.tracestate
        return found

    # -- begin and end -----------------------------------------------------------------

    def __enter__(self) -> Self:
        context = current_context()
        parent = self._parent or (None if context is None else context.trace)
        trace, self._bridged = self._tracer.begin(self, parent)
        self.trace = trace
        self.is_recording = trace.sampled and self._tracer.is_active
        if context is None or trace is not context.trace:
            view = RequestContext(trace.trace_id, new_request_id()) if context is None else context.view()
            view.trace = trace
            self._token = enter_context(view)
        self._start = time.time_ns()
        self._began = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            leave_context(self._token)
            self._token = None
        if self._bridged is not None or self.is_recording:
            self._tracer.end(self._finished(error), self._bridged)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _finished(self, error: BaseException | None) -> FinishedSpan:
        failed = error is not None and isinstance(error, Exception)
        return FinishedSpan(
            self.name,
            self._kind,
            self.trace or TraceContext.new(),
            self._start,
            time.perf_counter() - self._began,
            {key: plain(value) for key, value in self._attributes.items()},
            type(error).__name__ if failed else None,
            masked_text(error) if failed else "",
            tuple(self._events or ()),
        )

    @property
    def kind(self) -> SpanKind:
        """What it is in the conversation of services."""
        return self._kind

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The facts so far."""
        return self._attributes


def plain(value: Any) -> Any:
    """Return *value* as an exporter can write it: text is cut and masked, the rest becomes text."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value[:_MAX_ATTRIBUTES]]
    return masked_text(value)


def masked_text(value: object) -> str:
    """Return *value* as text without secrets, cut to 1000 characters."""
    from shared.security import mask_text

    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - a hostile __str__ must not fail the work
        text = f"<{type(value).__name__}>"
    return mask_text(text[: 2 * _MAX_TEXT])[:_MAX_TEXT]
