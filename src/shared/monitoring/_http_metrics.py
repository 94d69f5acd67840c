"""Rate, errors and duration of HTTP requests, by route."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from shared.monitoring._lifecycle import Lifecycle
from shared.monitoring._metric_definition import DURATION_BUCKETS
from shared.monitoring._metric_series import HistogramSeries
from shared.monitoring._metrics import Metrics

# Source: OpenTelemetry semantic conventions, http.request.method: what is not
# known becomes _OTHER, because a client may send any word.
_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_SESSION_BUCKETS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)  # seconds
_OUTCOMES: Final = {"disconnected": "client_disconnect", "cancelled": "cancelled", "failed": "aborted"}


class _HasContext(Protocol):
    """The one attribute of the request that is looked at when it begins."""

    @property
    def context(self) -> Any: ...


class FinishedRequest(Protocol):
    """What the metrics read of a finished request; ``shared.api.RequestFinished`` has it.

    ``route`` is the template, never the path; ``outcome`` is ``completed``,
    ``disconnected``, ``failed`` or ``cancelled``; ``duration`` is seconds to the last
    byte; ``error`` names the exception that nobody foresaw, or is None.

    Example:
        >>> from collections import namedtuple
        >>> Finished = namedtuple("Finished", "method route status outcome duration protocol error context")
        >>> metrics = Metrics()
        >>> http = HttpMetrics(metrics)
        >>> http.on_finish(Finished("GET", "/orders/{id}", 200, "completed", 0.03, "http", None, None))
        >>> labels = {"http_request_method": "GET", "http_route": "/orders/{id}"}
        >>> labels |= {"http_response_status_code": "200", "error_type": ""}
        >>> metrics.value("http_server_request_duration_seconds_count", labels)
        1.0
    """

    @property
    def method(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def outcome(self) -> str: ...
    @property
    def duration(self) -> float: ...
    @property
    def protocol(self) -> str: ...
    @property
    def error(self) -> str | None: ...
    @property
    def context(self) -> Any: ...


class HttpMetrics:
    """Counts requests under the names of OpenTelemetry's HTTP server conventions.

    ``http_server_request_duration_seconds`` by ``http_request_method``, ``http_route``,
    ``http_response_status_code`` and ``error_type``; the last is empty when all went
    well, the status of a 5xx, ``client_disconnect``, ``cancelled`` or ``aborted`` (cut
    off after it began). ``http_server_request_exceptions_total`` names the exceptions,
    ``http_server_active_requests`` counts what is under way,
    ``websocket_server_session_duration_seconds`` is kept apart because sessions last.

    Args:
        metrics: Where the metrics are declared.
        lifecycle: Where requests under way are counted already, by the request layer;
            without one this counts them itself, from :meth:`on_request` on.
        buckets: Bounds of the duration, in seconds.
        exemplars: Whether the trace id of sampled requests is kept as an exemplar.

    Hand :meth:`on_finish` to the request layer as an observer.

    Example:
        >>> metrics = Metrics()
        >>> http = HttpMetrics(metrics)
        >>> http.declare_route("GET", "/orders/{id}")
        >>> metrics.value("http_server_request_duration_seconds_count", {
        ...     "http_request_method": "GET", "http_route": "/orders/{id}",
        ...     "http_response_status_code": "500", "error_type": "500"})
        0.0
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        lifecycle: Lifecycle | None = None,
        buckets: Iterable[float] = DURATION_BUCKETS,
        exemplars: bool = True,
    ) -> None:
        self._counts = lifecycle is None
        self._lifecycle = lifecycle or Lifecycle()
        self._exemplars = exemplars
        self._duration = metrics.histogram(
            "http_server_request_duration",
            "Duration of HTTP server requests, to the last byte of the answer.",
            ("http_request_method", "http_route", "http_response_status_code", "error_type"),
            unit="seconds",
            buckets=buckets,
        )
        self._errors = metrics.counter(
            "http_server_request_exceptions",
            "Exceptions that nobody foresaw, by class.",
            ("http_request_method", "http_route", "error_type"),
        )
        self._sessions = metrics.histogram(
            "websocket_server_session_duration",
            "Duration of websocket sessions.",
            ("http_route", "error_type"),
            unit="seconds",
            buckets=_SESSION_BUCKETS,
        )
        active = metrics.gauge("http_server_active_requests", "Requests under way.")
        active.set_function(lambda: float(self._lifecycle.in_flight))
        # Memo of the series by what the event holds, so that no text is made per
        # request. Every part is bounded: methods by the set above, routes by the
        # application, the series by the metric's limit.
        self._series: dict[tuple[str, str, int, str], HistogramSeries] = {}

    def declare_route(self, method: str, route: str) -> None:
        """Create the series of a route at 0.

        A series that is born with its first error is invisible to ``rate()``, and
        an error ratio without any error series has no result at all.
        """
        name = method.upper() if method.upper() in _METHODS else "_OTHER"
        self._duration.labels(name, route, "200", "")
        self._duration.labels(name, route, "500", "500")

    def on_request(self, exchange: _HasContext) -> None:
        """Count the request as under way, unless the layer does; objects to nothing."""
        if self._counts:
            self._lifecycle.enter(exchange.context)

    def on_finish(self, event: FinishedRequest) -> None:
        """Count the finished request."""
        context = event.context
        if self._counts:
            self._lifecycle.leave(context)
        if event.protocol != "http":
            self._sessions.labels(event.route, self._error_type(0, event.outcome)).observe(event.duration)
            return
        method = event.method
        key = (method, event.route, event.status, event.outcome)
        try:
            series = self._series[key]
        except KeyError:
            series = self._resolve(key)
        series.observe(event.duration, self._exemplar(context) if self._exemplars else None)
        if event.error is not None:
            self._errors.labels(bounded_method(method), event.route, event.error).inc()

    def _resolve(self, key: tuple[str, str, int, str]) -> HistogramSeries:
        method, route, status, outcome = key
        labels = (bounded_method(method), route, str(status), self._error_type(status, outcome))
        series = self._duration.labels(*labels)
        # An overflow series is looked up anew each time: that is what counts the overflow.
        if method in _METHODS and self._duration.has(labels):
            self._series[key] = series
        return series

    @staticmethod
    def _error_type(status: int, outcome: str) -> str:
        if status >= 500:
            return str(status)
        return _OUTCOMES.get(outcome, "")

    @staticmethod
    def _exemplar(context: Any) -> Mapping[str, str] | None:
        trace = getattr(context, "trace", None)
        return {"trace_id": trace.trace_id} if trace is not None and trace.sampled else None


def bounded_method(method: str) -> str:
    """Return *method*, or ``_OTHER`` when it is none of the known ones."""
    return method if method in _METHODS else "_OTHER"
