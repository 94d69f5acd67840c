"""The request object and the one context variable that holds it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final

from shared.context._trace import TraceContext, new_request_id

__all__ = [
    "RequestContext",
    "bind",
    "bound",
    "bound_fields",
    "current_context",
    "deadline_scope",
    "enter_context",
    "get_correlation_id",
    "get_deadline",
    "get_principal",
    "get_request_id",
    "get_tenant",
    "get_trace",
    "leave_context",
    "request_context",
    "set_principal",
    "set_tenant",
    "trace_scope",
    "unbind",
]


class RequestContext:
    """Everything known about one request (or job, or message).

    Attributes:
        correlation_id: Follows the work through every service it touches.
        request_id: Names this hop only.
        trace: W3C trace context of the active span.
        principal: Who acts, as the authenticators left it; None when unknown.
        tenant: For whom, or None.
        deadline: ``time.monotonic()`` second by which the work must end, or None.
        fields: Fields bound for the whole request; shared, mutable.
        overlay: Fields of this task only, or None.
        root: The request this is a task-local view of, or None for the request itself.
    """

    __slots__ = (
        "__weakref__",
        "correlation_id",
        "deadline",
        "fields",
        "overlay",
        "principal",
        "request_id",
        "root",
        "tenant",
        "trace",
    )

    def __init__(
        self,
        correlation_id: str,
        request_id: str,
        trace: TraceContext | None = None,
        *,
        principal: Any = None,
        tenant: str | None = None,
        deadline: float | None = None,
    ) -> None:
        self.correlation_id = correlation_id
        self.request_id = request_id
        self.trace = trace
        self.principal = principal
        self.tenant = tenant
        self.deadline = deadline
        self.fields: dict[str, Any] = {}
        self.overlay: dict[str, Any] | None = None
        self.root: RequestContext | None = None

    def view(self) -> "RequestContext":
        """Return a task-local view: own overlay, trace and deadline, the rest shared."""
        root = self.root or self
        twin = RequestContext(self.correlation_id, self.request_id, self.trace, deadline=self.deadline)
        twin.fields = self.fields
        twin.overlay = self.overlay
        twin.root = root
        return twin

    def __repr__(self) -> str:
        # Fields and principal may hold personal data; a repr lands in logs.
        return f"RequestContext(correlation_id={self.correlation_id!r}, request_id={self.request_id!r})"


_current: Final[ContextVar[RequestContext | None]] = ContextVar("shared_request", default=None)

current_context = _current.get
"""Return the :class:`RequestContext` in force, or None outside of one."""


def enter_context(context: RequestContext) -> Token[RequestContext | None]:
    """Make *context* current and return the token for :func:`leave_context`.

    For request layers; everybody else uses :func:`request_context`.
    """
    return _current.set(context)


def leave_context(token: Token[RequestContext | None]) -> None:
    """Restore what was current before.

    A token made in another task's context (a server may close a response from
    elsewhere) cannot be reset; then the variable is cleared instead, so that a
    reused thread never shows the last request to the next.
    """
    try:
        _current.reset(token)
    except ValueError:
        _current.set(None)


@contextmanager
def request_context(
    *,
    correlation_id: str | None = None,
    request_id: str | None = None,
    trace: TraceContext | None = None,
    principal: Any = None,
    tenant: str | None = None,
    deadline: float | None = None,
) -> Iterator[RequestContext]:
    """Run a block as one request: a job, a message, a scheduled task.

    Ids that are not given are made; the correlation id defaults to the trace id.

    Args:
        correlation_id: Id of the whole chain of work.
        request_id: Id of this piece.
        trace: Span to continue as; a new trace when absent.
        principal: Who acts.
        tenant: For whom.
        deadline: ``time.monotonic()`` second by which the work must end.

    Example:
        >>> with request_context(correlation_id="c-1") as ctx:
        ...     get_correlation_id()
        'c-1'
        >>> get_correlation_id() is None
        True
    """
    trace = trace or TraceContext.new()
    context = RequestContext(
        correlation_id or trace.trace_id,
        request_id or new_request_id(),
        trace,
        principal=principal,
        tenant=tenant,
        deadline=deadline,
    )
    token = _current.set(context)
    try:
        yield context
    finally:
        leave_context(token)


def _fresh() -> RequestContext:
    trace = TraceContext.new()
    return RequestContext(trace.trace_id, new_request_id(), trace)


def _ensure() -> RequestContext:
    """Return the current context, making one for code that runs outside of any."""
    context = _current.get()
    if context is None:
        context = _fresh()
        _current.set(context)
    return context


def _view() -> RequestContext:
    """Return a view to change inside a block; outside of a request it ends with the block."""
    return (_current.get() or _fresh()).view()


def bind(**fields: Any) -> None:
    """Add *fields* to every log line of the request, from here on, in every task and thread.

    Outside of a request the fields stay until the end of the current context:
    for the rest of a script, or of a task.
    """
    _ensure().fields.update(fields)


def unbind(*names: str) -> None:
    """Remove fields that :func:`bind` added; unknown names are ignored."""
    context = _current.get()
    if context is not None:
        for name in names:
            context.fields.pop(name, None)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add *fields* to the log lines of this block, in this task only.

    Parallel tasks of one request do not see each other's.
    """
    view = _view()
    view.overlay = {**view.overlay, **fields} if view.overlay else fields
    token = _current.set(view)
    try:
        yield
    finally:
        leave_context(token)


@contextmanager
def trace_scope(trace: TraceContext) -> Iterator[TraceContext]:
    """Make *trace* the active span inside the block, in this task only."""
    view = _view()
    view.trace = trace
    token = _current.set(view)
    try:
        yield trace
    finally:
        leave_context(token)


@contextmanager
def deadline_scope(seconds: float, *, now: float | None = None) -> Iterator[float]:
    """Allow the block *seconds*; an earlier deadline already in force stays.

    Args:
        seconds: Time allowed from now, >= 0.
        now: ``time.monotonic()`` reading to count from.

    Yields:
        The ``time.monotonic()`` second in force.
    """
    limit = (time.monotonic() if now is None else now) + seconds
    view = _view()
    view.deadline = limit if view.deadline is None else min(limit, view.deadline)
    token = _current.set(view)
    try:
        yield view.deadline
    finally:
        leave_context(token)


def bound_fields() -> dict[str, Any]:
    """Return a copy of the fields in force, request-wide and task-local."""
    context = _current.get()
    if context is None:
        return {}
    return {**context.fields, **(context.overlay or {})}


def get_correlation_id() -> str | None:
    """Return the id of the whole chain of work, or None outside of a request."""
    context = _current.get()
    return None if context is None else context.correlation_id


def get_request_id() -> str | None:
    """Return the id of this hop, or None outside of a request."""
    context = _current.get()
    return None if context is None else context.request_id


def get_trace() -> TraceContext | None:
    """Return the active span's trace context, or None."""
    context = _current.get()
    return None if context is None else context.trace


def get_deadline() -> float | None:
    """Return the ``time.monotonic()`` second by which the work must end, or None."""
    context = _current.get()
    return None if context is None else context.deadline


def get_principal() -> Any:
    """Return who acts, or None."""
    context = _current.get()
    return None if context is None else (context.root or context).principal


def set_principal(principal: Any) -> None:
    """Set who acts, for the whole request."""
    context = _ensure()
    (context.root or context).principal = principal


def get_tenant() -> str | None:
    """Return for whom the work is done, or None."""
    context = _current.get()
    return None if context is None else (context.root or context).tenant


def set_tenant(tenant: str | None) -> None:
    """Set for whom the work is done, for the whole request."""
    context = _ensure()
    (context.root or context).tenant = tenant
