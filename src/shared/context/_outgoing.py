"""The ids to send along with a call to another service."""

from shared.constants import Header
from shared.context._request import current_context

__all__ = ["outgoing_headers"]


def outgoing_headers() -> dict[str, str]:
    """Return the headers that carry this request's identity to the next service.

    Returns:
        ``X-Correlation-ID``, ``traceparent`` and ``tracestate`` as far as they are
        known; empty outside of a request. Source: W3C Trace Context Level 2.

    Example:
        >>> from shared.context import TraceContext, request_context
        >>> trace = TraceContext.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        >>> with request_context(correlation_id="c-1", trace=trace):
        ...     outgoing_headers()["X-Correlation-ID"], outgoing_headers()["traceparent"][-3:]
        ('c-1', '-01')
    """
    context = current_context()
    if context is None:
        return {}
    headers = {str(Header.CORRELATION_ID): context.correlation_id}
    trace = context.trace
    if trace is not None:
        headers[str(Header.TRACEPARENT)] = trace.traceparent
        if trace.tracestate:
            headers[str(Header.TRACESTATE)] = trace.tracestate
    return headers
