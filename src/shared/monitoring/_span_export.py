"""Send finished spans to a collector, in batches, from a thread."""

import http.client
import json
import logging
import ssl
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from shared.errors import ExternalServiceError, InvalidArgumentError
from shared.monitoring._span import FinishedSpan, SpanKind
from shared.runtime import after_fork_in_child

_log: Final = logging.getLogger("shared.monitoring")
# Source: OpenTelemetry protocol, trace.proto, Span.SpanKind and Status.StatusCode.
_KINDS: Final = {
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}
_STATUS_ERROR: Final = 2


class BatchExporter:
    """Collects spans and hands them on in batches, from a daemon thread.

    Args:
        send: Gets each batch; may block and raise. A batch it refuses is dropped.
        max_queue: Spans kept; more are dropped and counted, >= 1.
        max_batch: Spans per call, >= 1.
        interval: Seconds between calls while the queue is short, > 0.

    Raises:
        InvalidArgumentError: A number is out of range.

    Thread-safe; fork-safe: a child starts empty, with a thread of its own.

    Example:
        >>> from shared.monitoring import Tracer
        >>> sent = []
        >>> exporter = BatchExporter(sent.extend)
        >>> with Tracer([exporter]).span("work"):
        ...     pass
        >>> exporter.flush()
        >>> len(sent)
        1
        >>> exporter.close()
    """

    def __init__(
        self,
        send: Callable[[Sequence[FinishedSpan]], object],
        *,
        max_queue: int = 2048,
        max_batch: int = 512,
        interval: float = 5.0,
    ) -> None:
        if not (max_queue >= 1 and max_batch >= 1 and interval > 0):
            msg = (
                "max_queue >= 1, max_batch >= 1 and interval > 0 do not hold: "
                f"{max_queue!r}, {max_batch!r}, {interval!r}"
            )
            raise InvalidArgumentError(msg)
        self._send = send
        self._max_queue = max_queue
        self._max_batch = max_batch
        self._interval = interval
        self._queue: deque[FinishedSpan] = deque()
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._stop: threading.Event | None = None
        self._start_lock = threading.Lock()
        self.dropped: int = 0
        """Spans that were dropped: the queue was full, or sending failed."""
        after_fork_in_child(self)

    def __call__(self, spans: Sequence[FinishedSpan]) -> None:
        """Take finished spans; see :data:`SpanExporter`."""
        room = self._max_queue - len(self._queue)
        self._queue.extend(spans[:room] if room > 0 else ())
        self.dropped += max(0, len(spans) - max(0, room))
        if len(self._queue) >= self._max_batch:
            self._wake.set()
        if self._stop is None:
            self._start()

    def flush(self) -> None:
        """Hand over what is queued, now; never raises."""
        with self._sending:
            while self._queue:
                batch: list[FinishedSpan] = []
                while self._queue and len(batch) < self._max_batch:
                    batch.append(self._queue.popleft())
                try:
                    self._send(batch)
                except Exception:  # noqa: BLE001 - a collector that is down must not harm the service
                    self.dropped += len(batch)
                    _log.warning("%d spans could not be sent", len(batch), exc_info=True)
                    return  # the rest is tried at the next interval

    def close(self) -> None:
        """Hand over what is queued and end the thread."""
        if self._stop is not None:
            self._stop.set()
            self._wake.set()
        self.flush()

    def _start(self) -> None:
        with self._start_lock:
            if self._stop is not None:
                return
            self._stop = threading.Event()
            arguments = (weakref.ref(self), self._stop, self._wake, self._interval)
        threading.Thread(target=_run, args=arguments, name="shared-spans", daemon=True).start()

    def after_fork(self) -> None:
        """Leave what the parent queued to the parent; called in the child."""
        self._queue = deque()
        self._sending, self._start_lock = threading.Lock(), threading.Lock()
        self._wake = threading.Event()
        self._stop = None


def _run(
    reference: "weakref.ref[BatchExporter]", stop: threading.Event, wake: threading.Event, interval: float
) -> None:
    while not stop.is_set():
        wake.wait(interval)
        wake.clear()
        exporter = reference()
        if exporter is None or stop.is_set():
            return
        exporter.flush()
        del exporter  # the thread must not be what keeps it alive


class OtlpSender:
    """Sends spans to a collector by OTLP over HTTP, as JSON; needs no further library.

    Args:
        endpoint: Such as ``http://127.0.0.1:4318/v1/traces``.
        service: Becomes ``service.name``.
        version: Becomes ``service.version``.
        headers: Sent along, such as an API key.
        timeout: Seconds per attempt to connect, send and read, > 0.

    Raises:
        InvalidArgumentError: *endpoint* is no http(s) URL.

    Source: OpenTelemetry Protocol 1.x, OTLP/HTTP, JSON encoding.

    Example:
        >>> sender = OtlpSender("http://127.0.0.1:4318/v1/traces", service="orders")
        >>> from shared.monitoring import Tracer
        >>> tracer = Tracer([BatchExporter(sender)])
    """

    def __init__(
        self,
        endpoint: str,
        *,
        service: str,
        version: str = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in {"http", "https"} or not url.hostname or url.username is not None:
            msg = "the OTLP endpoint is no URL like http://HOST:4318/v1/traces without credentials in it"
            raise InvalidArgumentError(msg)
        self._url = url
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._timeout = timeout
        facts = {"service.name": service, "telemetry.sdk.language": "python", "telemetry.sdk.name": "shared"}
        if version:
            facts["service.version"] = version
        self._resource = {"attributes": _attributes(facts)}

    def __call__(self, spans: Sequence[FinishedSpan]) -> None:
        """Send one batch.

        Raises:
            ExternalServiceError: The collector cannot be reached or refuses.
        """
        body = json.dumps(self.document(spans), separators=(",", ":")).encode()
        host = self._url.netloc
        try:
            status = self._post(body)
        except (OSError, http.client.HTTPException) as exc:
            msg = f"the trace collector at {host} cannot be reached: {type(exc).__name__}"
            raise ExternalServiceError(msg, cause=exc) from exc
        if status >= 300:
            msg = f"the trace collector at {host} answered {status}"
            raise ExternalServiceError(msg)

    def document(self, spans: Sequence[FinishedSpan]) -> dict[str, Any]:
        """Return the request's JSON document."""
        scope = {"scope": {"name": "shared"}, "spans": [_span(span) for span in spans]}
        return {"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]}

    def _post(self, body: bytes) -> int:
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._url.netloc, timeout=self._timeout, context=context)
        else:
            connection = http.client.HTTPConnection(self._url.netloc, timeout=self._timeout)
        try:
            connection.request("POST", self._url.path or "/", body=body, headers=self._headers)
            response = connection.getresponse()
            response.read(65_536)
            return response.status
        finally:
            connection.close()


def _span(span: FinishedSpan) -> dict[str, Any]:
    trace = span.trace
    document: dict[str, Any] = {
        "traceId": trace.trace_id,
        "spanId": trace.span_id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        # 64-bit integers are text in the JSON form of protocol buffers.
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.start + round(span.duration * 1e9)),
        "attributes": _attributes(span.attributes),
        "flags": 1 if trace.sampled else 0,
    }
    if trace.parent_id:
        document["parentSpanId"] = trace.parent_id
    if trace.tracestate:
        document["traceState"] = trace.tracestate
    if span.events:
        document["events"] = [
            {"timeUnixNano": str(at), "name": name, "attributes": _attributes(facts)}
            for at, name, facts in span.events
        ]
    if span.error is not None:
        document["status"] = {"code": _STATUS_ERROR, "message": span.message}
        document["attributes"] += _attributes({"error.type": span.error})
    return document


def _attributes(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in facts.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if -(1 << 63) <= value < 1 << 63 else {"stringValue": str(value)}
    if isinstance(value, float):
        finite = value == value and abs(value) != float("inf")  # noqa: PLR0124 - NaN has no JSON
        return {"doubleValue": value} if finite else {"stringValue": str(value)}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_value(item) for item in value if item is not None]}}
    return {"stringValue": str(value)}
