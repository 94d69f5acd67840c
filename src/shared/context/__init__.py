"""What is known about the request at hand, from any depth of the code.

One context variable holds one request object: correlation id, request id, W3C
trace context, principal, tenant, deadline and the fields bound for logging.
The object is shared by everything that works for the request, so a field bound
in a synchronous dependency (which a framework runs in a thread with a *copy* of
the context) still reaches the access log; :func:`bound` adds fields for one
task only. Standard library only.

Example:
    >>> with request_context(correlation_id="c-1"):
    ...     bind(order_id="o-7")
    ...     with bound(step="pay"):
    ...         bound_fields()
    {'order_id': 'o-7', 'step': 'pay'}
"""

from shared.context._access import (
    bind,
    bound,
    bound_fields,
    deadline_scope,
    get_correlation_id,
    get_deadline,
    get_principal,
    get_request_id,
    get_tenant,
    get_trace,
    set_principal,
    set_tenant,
    trace_scope,
    unbind,
)
from shared.context._outgoing import outgoing_headers
from shared.context._propagation import ContextThreadPoolExecutor, with_context
from shared.context._request import (
    RequestContext,
    current_context,
    enter_context,
    leave_context,
    request_context,
)
from shared.context._trace import TraceContext, is_valid_id, new_identity, new_request_id

__all__ = [
    "ContextThreadPoolExecutor",
    "RequestContext",
    "TraceContext",
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
    "is_valid_id",
    "leave_context",
    "new_identity",
    "new_request_id",
    "outgoing_headers",
    "request_context",
    "set_principal",
    "set_tenant",
    "trace_scope",
    "unbind",
    "with_context",
]
