"""The request object and the one context variable that holds it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final

from shared.context._trace import TraceContext, new_request_id

__all__ = [
    "RequestContext",
    "current_context",
    "ensure_context",
    "enter_context",
    "leave_context",
    "new_view",
    "request_context",
    "restore_context",
]


class RequestContext:
    """Everything known about one request (or job, or message).

    Args:
        correlation_id: As the attribute.
        request_id: As the attribute.
        trace: As the attribute.
        principal: As the attribute.
        tenant: As the attribute.
        deadline: As the attribute.

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
        exchange: What the request layer keeps while it serves the request; None before,
            after and outside of it.

    Example:
        >>> context = RequestContext("c-1", "r-1", tenant="acme")
        >>> context.tenant, context.view().tenant
        ('acme', 'acme')
    """

    __slots__ = (
        "__weakref__",
        "_principal",
        "_tenant",
        "correlation_id",
        "deadline",
        "exchange",
        "fields",
        "overlay",
        "request_id",
        "root",
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
        self.correlation_id: str = correlation_id
        self.request_id: str = request_id
        self.trace: TraceContext | None = trace
        self._principal = principal
        self._tenant = tenant
        self.deadline: float | None = deadline
        self.fields: dict[str, Any] = {}
        self.overlay: dict[str, Any] | None = None
        self.root: RequestContext | None = None
        self.exchange: Any = None

    def view(self) -> "RequestContext":
        """Return a task-local view: own overlay, trace and deadline, the rest shared.

        Example:
            >>> context = RequestContext("c-1", "r-1")
            >>> view = context.view()
            >>> view.fields["step"] = "pay"
            >>> context.fields, view.root is context
            ({'step': 'pay'}, True)
        """
        root = self.root or self
        twin = RequestContext(self.correlation_id, self.request_id, self.trace, deadline=self.deadline)
        twin.fields = self.fields
        twin.overlay = self.overlay
        twin.root = root
        return twin

    @property
    def principal(self) -> Any:
        """Who acts, for the whole request, also when set through a view."""
        return (self.root or self)._principal  # noqa: SLF001 - a view and its request are one

    @principal.setter
    def principal(self, principal: Any) -> None:
        (self.root or self)._principal = principal  # noqa: SLF001

    @property
    def tenant(self) -> str | None:
        """For whom, for the whole request, also when set through a view."""
        return (self.root or self)._tenant  # noqa: SLF001

    @tenant.setter
    def tenant(self, tenant: str | None) -> None:
        (self.root or self)._tenant = tenant  # noqa: SLF001

    def __repr__(self) -> str:
        # Fields and principal may hold personal data; a repr lands in logs.
        return f"RequestContext(correlation_id={self.correlation_id!r}, request_id={self.request_id!r})"


_current: Final[ContextVar[RequestContext | None]] = ContextVar("shared_request", default=None)

current_context: Final[Callable[[], RequestContext | None]] = _current.get
"""Return the :class:`RequestContext` in force, or None outside of one.

The variable's own method: the cheapest way to the context there is.

Example:
    >>> current_context() is None
    True
"""


def enter_context(context: RequestContext) -> Token[RequestContext | None]:
    """Make *context* current and return the token for :func:`leave_context`.

    For request layers; everybody else uses :func:`request_context`.

    Example:
        >>> context = RequestContext("c-1", "r-1")
        >>> token = enter_context(context)
        >>> current_context() is context
        True
        >>> leave_context(token, context)
    """
    return _current.set(context)


def leave_context(token: Token[RequestContext | None], context: RequestContext | None = None) -> None:
    """Restore what was current before.

    Args:
        token: What :func:`enter_context` returned.
        context: What was entered. When given, nothing is done where another request
            has become current meanwhile: a server may close a response late, from
            elsewhere, and must not end a stranger's request.

    A token made in another task's context cannot be reset; then the variable is
    cleared instead, so that a reused thread never shows the last request to the next.

    Example:
        >>> context = RequestContext("c-1", "r-1")
        >>> leave_context(enter_context(context), context)
        >>> current_context() is None
        True
    """
    if context is not None:
        now = _current.get()
        if now is None or (now.root or now) is not (context.root or context):
            return
    try:
        _current.reset(token)
    except ValueError:
        _current.set(None)


def restore_context(
    token: Token[RequestContext | None], ours: RequestContext, before: RequestContext | None
) -> None:
    """End a scope that made *ours* current in place of *before*.

    A generator may be closed in another context than it was started in. Then only
    *ours* itself is taken back: a stranger's request stays current.
    """
    try:
        _current.reset(token)
    except ValueError:
        if _current.get() is ours:
            _current.set(before)


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
        ...     ctx.correlation_id, current_context() is ctx
        ('c-1', True)
        >>> current_context() is None
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
    before, token = _current.get(), _current.set(context)
    try:
        yield context
    finally:
        restore_context(token, context, before)


def _fresh() -> RequestContext:
    trace = TraceContext.new()
    return RequestContext(trace.trace_id, new_request_id(), trace)


def ensure_context() -> RequestContext:
    """Return the current context, making one for code that runs outside of any."""
    context = _current.get()
    if context is None:
        context = _fresh()
        _current.set(context)
    return context


def new_view() -> RequestContext:
    """Return a view to change inside a block; outside of a request it ends with the block."""
    return (_current.get() or _fresh()).view()
