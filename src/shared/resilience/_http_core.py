"""What both HTTP clients decide without I/O: headers, paths, times, and what an answer means."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

from shared.constants import ErrorCode, Header
from shared.context import TraceContext, current_context
from shared.errors import (
    BulkheadFullError,
    BusinessError,
    DeadlineExceededError,
    ExternalServiceError,
    InvalidArgumentError,
    RateLimitError,
    ServiceUnavailableError,
    SharedError,
    error_for_status,
)
from shared.resilience._deadline import Deadline
from shared.resilience._retry_after import parse_retry_after

__all__ = ["Call", "error_for_answer", "outbound_headers", "route_path", "span_of", "translate", "unsent"]

# Methods that may be repeated without asking. Source: RFC 9110, section 9.2.2.
IDEMPOTENT: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UPSTREAM_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z").match


@dataclass(slots=True)
class Call:
    """One request on its way, over all of its tries."""

    service: str
    method: str
    route: str
    path: str
    build: dict[str, Any]
    headers: dict[str, str]
    timeout: float
    check: bool = True
    propagate: bool = True
    repeatable: bool = True
    response: Any = field(default=None)
    clock: Callable[[], float] = time.monotonic

    def time_allowed(self) -> tuple[float, bool]:
        """Return the seconds this try may take, and whether the caller's deadline set them.

        Raises:
            DeadlineExceededError: No time is left.
        """
        deadline = Deadline.current(clock=self.clock)
        if deadline is None:
            return self.timeout, False
        deadline.check(f"the call to {self.service}")
        rest = deadline.remaining()
        return (rest, True) if rest < self.timeout else (self.timeout, False)

    def late(self, limit: float, *, by_deadline: bool) -> DeadlineExceededError:
        """Return the error of a try that took too long."""
        if by_deadline:
            text = f"no time is left for {self.service}: the deadline of the request has passed"
        else:
            text = f"{self.service} did not answer {self.method} within {limit:g} s"
        details = {"service": self.service}
        return DeadlineExceededError(text, details=details, retryable=not by_deadline)


def route_path(route: str, values: Mapping[str, object] | None) -> str:
    """Return *route* with its ``{placeholders}`` filled in, each as one path segment.

    Raises:
        InvalidArgumentError: The route leaves the service (``http://…``, ``//…``), a
            value is missing or superfluous, or it is empty or made of dots, which
            would address another path.

    Example:
        >>> route_path("/users/{id}/files/{name}", {"id": 7, "name": "a/b c"})
        '/users/7/files/a%2Fb%20c'
    """
    parts = urlsplit(route)
    if parts.scheme or parts.netloc or "\\" in route:
        msg = f"{route!r} is not a path: a client calls one service; make another client for another"
        raise InvalidArgumentError(msg)
    values = values or {}
    wanted = set(_PLACEHOLDER.findall(route))
    if wanted != set(values):
        msg = f"route {route!r} needs the values {sorted(wanted)}, got {sorted(values)}"
        raise InvalidArgumentError(msg)
    return _PLACEHOLDER.sub(lambda match: _segment(route, match[1], str(values[match[1]])), route)


def _segment(route: str, name: str, value: str) -> str:
    if not value or set(value) == {"."}:
        msg = f"the value of {name!r} in route {route!r} is empty or only dots: it would address another path"
        raise InvalidArgumentError(msg)
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as exc:  # half of a surrogate pair
        msg = f"the value of {name!r} in route {route!r} is not valid text"
        raise InvalidArgumentError(msg) from exc


def span_of(call: Call) -> TraceContext | None:
    """Return the ids of one try in the trace of the request; None where nothing is propagated."""
    context = current_context()
    if not call.propagate or context is None or context.trace is None:
        return None
    return context.trace.child()


def outbound_headers(call: Call, limit: float, span: TraceContext | None = None) -> dict[str, str]:
    """Return the headers of one try: the caller's own, who is asking, and how long we wait.

    The deadline sent is the seconds *this try* may take: when it is over nobody waits
    for the answer, so the service had better stop, too.
    """
    headers = dict(call.headers)
    if not call.propagate:
        return headers
    present = {name.lower() for name in headers}

    def add(name: str, value: str) -> None:
        if name.lower() not in present and value:
            headers[name] = value

    add(Header.DEADLINE, f"{limit:.3f}")
    context = current_context()
    if context is not None:
        add(Header.CORRELATION_ID, context.correlation_id)
    if span is not None:
        add(Header.TRACEPARENT, span.traceparent)
        add(Header.TRACESTATE, span.tracestate)
    return headers


# --- what went wrong ------------------------------------------------------------------------


def error_for_answer(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> SharedError | None:
    """Return the error an answer stands for, or None below 400.

    ======= ============================================ ==========================
    status  error                                        the breaker counts it
    ======= ============================================ ==========================
    401 403 ``ExternalServiceError``, not retryable      as a failure
    408 504 ``DeadlineExceededError``                    as a failure
    425 503 ``ServiceUnavailableError``, ``Retry-After`` as a failure
    429     ``RateLimitError``, ``Retry-After``          as a failure
    4xx     the error of our tree for the status         as an answer
    501 505 ``ExternalServiceError``, not retryable      as a failure
    5xx     ``ExternalServiceError``                     as a failure
    ======= ============================================ ==========================

    401 and 403 mean that *this service's* credentials were refused: handed on as they
    are, they would tell the end user to log in again.
    """
    if status < 400:
        return None
    text = f"{call.service} answered {status} to {call.method} {call.route}"
    details = _details(call, status, body)
    wait = parse_retry_after(headers.get("retry-after", ""))
    if status == 429:
        return RateLimitError(text, retry_after=wait, details=details)
    if status in {425, 503}:
        return ServiceUnavailableError(text, retry_after=wait, details=details)
    if status in {408, 504}:
        return DeadlineExceededError(text, details=details)
    if status >= 500 or status in {401, 403}:
        return ExternalServiceError(text, details=details, retryable=status not in {401, 403, 501, 505})
    error = error_for_status(status, text)
    if type(error) is BusinessError:
        error = BusinessError(text, code=ErrorCode.HTTP_ERROR, status=status)
    error.details.update(details)
    return error


def _details(call: Call, status: int, body: bytes) -> dict[str, Any]:
    """Return what is safe to show: never the body, only a well-formed error code in it."""
    details: dict[str, Any] = {"service": call.service, "status": status}
    if body[:1] == b"{" and len(body) <= 65_536:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return details
        error = document.get("error")
        code = error.get("code") if isinstance(error, dict) else document.get("code")
        if isinstance(code, str) and _UPSTREAM_CODE(code):
            details["upstream_code"] = code
    return details


def unsent(error: BaseException) -> bool:
    """Tell whether the request never reached the service, so that any method may be repeated."""
    return isinstance(error, SharedError) and error.details.get("sent") is False


def translate(call: Call, error: Exception, limit: float, *, by_deadline: bool) -> SharedError:
    """Return our error for one of httpx2; the text of the foreign one stays behind as the cause."""
    import httpx2

    details: dict[str, Any] = {"service": call.service}
    if isinstance(error, SharedError):
        return error
    if isinstance(error, httpx2.PoolTimeout):
        text = f"no free connection to {call.service}: raise the limit, or put a bulkhead in front"
        return BulkheadFullError(text, details={**details, "sent": False})
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)):
        if by_deadline and isinstance(error, httpx2.ConnectTimeout):
            return call.late(limit, by_deadline=True)
        text = f"{call.service} cannot be reached"
        return ServiceUnavailableError(text, details={**details, "sent": False})
    if isinstance(error, httpx2.TimeoutException):
        return call.late(limit, by_deadline=by_deadline)
    if isinstance(error, (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
        return InvalidArgumentError(f"the request to {call.service} is malformed: {type(error).__name__}")
    if isinstance(error, (httpx2.HTTPError, httpx2.StreamError)):
        text = f"the connection to {call.service} broke during {call.method} {call.route}"
        return ExternalServiceError(text, details=details)
    return InvalidArgumentError(f"the request to {call.service} cannot be built: {type(error).__name__}")
