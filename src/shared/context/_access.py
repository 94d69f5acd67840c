"""What any code may add to the request at hand, and read from it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.context._request import current_context, ensure_context, enter_context, new_view, restore_context
from shared.context._trace import TraceContext

__all__ = [
    "bind",
    "bound",
    "bound_fields",
    "deadline_scope",
    "get_correlation_id",
    "get_deadline",
    "get_principal",
    "get_request_id",
    "get_tenant",
    "get_trace",
    "set_principal",
    "set_tenant",
    "trace_scope",
    "unbind",
]


def bind(**fields: Any) -> None:
    """Add *fields* to every log line of the request, from here on, in every task and thread.

    Outside of a request the fields stay until the end of the current context:
    for the rest of a script, or of a task.

    Example:
        >>> from shared.context import request_context
        >>> with request_context():
        ...     bind(order_id="o-7")
        ...     bound_fields()
        {'order_id': 'o-7'}
    """
    ensure_context().fields.update(fields)


def unbind(*names: str) -> None:
    """Remove fields that :func:`bind` added; unknown names are ignored.

    Example:
        >>> from shared.context import request_context
        >>> with request_context():
        ...     bind(order_id="o-7", step="pay")
        ...     unbind("step", "unknown")
        ...     bound_fields()
        {'order_id': 'o-7'}
    """
    context = current_context()
    if context is not None:
        for name in names:
            context.fields.pop(name, None)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add *fields* to the log lines of this block, in this task only.

    Parallel tasks of one request do not see each other's.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(), bound(step="pay"):
        ...     bound_fields()
        {'step': 'pay'}
    """
    view = new_view()
    view.overlay = {**view.overlay, **fields} if view.overlay else fields
    before, token = current_context(), enter_context(view)
    try:
        yield
    finally:
        restore_context(token, view, before)


@contextmanager
def trace_scope(trace: TraceContext) -> Iterator[TraceContext]:
    """Make *trace* the active span inside the block, in this task only.

    Example:
        >>> from shared.context import request_context
        >>> with request_context() as ctx, trace_scope(ctx.trace.child()) as span:
        ...     get_trace() is span, span.parent_id == ctx.trace.span_id
        (True, True)
    """
    view = new_view()
    view.trace = trace
    before, token = current_context(), enter_context(view)
    try:
        yield trace
    finally:
        restore_context(token, view, before)


@contextmanager
def deadline_scope(seconds: float, *, now: float | None = None) -> Iterator[float]:
    """Allow the block *seconds*; an earlier deadline already in force stays.

    Args:
        seconds: Time allowed from now, >= 0.
        now: ``time.monotonic()`` reading to count from.

    Yields:
        The ``time.monotonic()`` second in force.

    Example:
        >>> with deadline_scope(5.0, now=100.0), deadline_scope(60.0, now=100.0) as until:
        ...     until
        105.0
    """
    limit = (time.monotonic() if now is None else now) + seconds
    view = new_view()
    view.deadline = limit if view.deadline is None else min(limit, view.deadline)
    before, token = current_context(), enter_context(view)
    try:
        yield view.deadline
    finally:
        restore_context(token, view, before)


def bound_fields() -> dict[str, Any]:
    """Return a copy of the fields in force, request-wide and task-local.

    Example:
        >>> bound_fields()
        {}
    """
    context = current_context()
    if context is None:
        return {}
    return {**context.fields, **(context.overlay or {})}


def get_correlation_id() -> str | None:
    """Return the id of the whole chain of work, or None outside of a request.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(correlation_id="c-1"):
        ...     get_correlation_id()
        'c-1'
    """
    context = current_context()
    return None if context is None else context.correlation_id


def get_request_id() -> str | None:
    """Return the id of this hop, or None outside of a request.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(request_id="r-1"):
        ...     get_request_id()
        'r-1'
    """
    context = current_context()
    return None if context is None else context.request_id


def get_trace() -> TraceContext | None:
    """Return the active span's trace context, or None.

    Example:
        >>> from shared.context import request_context
        >>> with request_context() as ctx:
        ...     get_trace() is ctx.trace
        True
    """
    context = current_context()
    return None if context is None else context.trace


def get_deadline() -> float | None:
    """Return the ``time.monotonic()`` second by which the work must end, or None.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(deadline=105.0):
        ...     get_deadline()
        105.0
    """
    context = current_context()
    return None if context is None else context.deadline


def get_principal() -> Any:
    """Return who acts, or None.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(principal="u-1"):
        ...     get_principal()
        'u-1'
    """
    context = current_context()
    return None if context is None else context.principal


def set_principal(principal: Any) -> None:
    """Set who acts, for the whole request.

    Example:
        >>> from shared.context import request_context
        >>> with request_context() as ctx, bound(step="login"):
        ...     set_principal("u-1")
        ...     ctx.principal
        'u-1'
    """
    ensure_context().principal = principal


def get_tenant() -> str | None:
    """Return for whom the work is done, or None.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(tenant="acme"):
        ...     get_tenant()
        'acme'
    """
    context = current_context()
    return None if context is None else context.tenant


def set_tenant(tenant: str | None) -> None:
    """Set for whom the work is done, for the whole request.

    Example:
        >>> from shared.context import request_context
        >>> with request_context():
        ...     set_tenant("acme")
        ...     get_tenant()
        'acme'
    """
    ensure_context().tenant = tenant
