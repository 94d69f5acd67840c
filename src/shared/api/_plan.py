"""The request layer without any I/O: what to refuse, what to send along, what to log.

An adapter reads a few strings from its protocol, asks :meth:`Plan.identify`, hands
the headers of :attr:`Plan.raw` or :attr:`Plan.text` to the answer and calls
:meth:`Plan.finish` at the last byte. Everything that can be decided at start-up is
decided in the constructor.
"""

import logging
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from shared.api._built_in import built_in_jobs
from shared.api._errors import ErrorRenderer, Reply, safe_text
from shared.api._exchange import Exchange, Outcome, RequestFinished
from shared.api._jobs import AccessSink, InFlight, Job, ResponseHeaders
from shared.api._options import LayerOptions
from shared.context import RequestContext, TraceContext, is_valid_id, new_identity
from shared.errors import BadRequestError, DeadlineExceededError, ErrorMap, PayloadTooLargeError, SharedError
from shared.runtime import Runtime, current

__all__ = ["Observer", "Plan", "asynchronous_only", "log_error"]

_log: Final = logging.getLogger("shared.api")
_MAX_PATH: Final = 512  # characters of a path in a log line
_MAX_LENGTH_DIGITS: Final = 18
_CLIENT_CLOSED: Final = 499  # not in any RFC; the number nginx made common

# Members of an enumeration cost a lookup each; these are read for every request.
_COMPLETED: Final = Outcome.COMPLETED
_FAILED: Final = Outcome.FAILED

Observer = Callable[[RequestFinished], object]
J = TypeVar("J")
RawHeaders = tuple[tuple[tuple[bytes, bytes], ...], frozenset[bytes]]
TextHeaders = tuple[tuple[tuple[str, str], ...], frozenset[str]]


class Plan:
    """What the adapters ask: identity, refusals, headers and the end of an exchange.

    Arguments as for :class:`shared.api.Pipeline`, which is what users see of it.
    """

    options: LayerOptions
    runtime: Runtime
    limit: int | None
    renderer: ErrorRenderer
    in_flight: InFlight | None
    jobs: tuple[Job, ...]
    on_request: tuple[Callable[[Exchange], Reply | SharedError | None], ...]
    on_request_async: tuple[tuple[Callable[[Exchange], Any], bool], ...]
    on_headers: tuple[Callable[[Exchange, int, ResponseHeaders], None], ...]
    request_timeout: float | None
    traces: bool
    awaits: bool
    decorates: bool
    api_version: str
    docs_paths: frozenset[str]

    def __init__(
        self,
        options: LayerOptions | None = None,
        *,
        runtime: Runtime | None = None,
        access: AccessSink | None = None,
        jobs: Iterable[Job] = (),
        observers: Iterable[Observer] = (),
        in_flight: InFlight | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.options = options = options or LayerOptions()
        self.runtime = runtime = runtime or current()
        self.clock = clock
        self.limit = options.max_body_bytes
        self.renderer = ErrorRenderer.from_options(options, runtime.get(ErrorMap, lambda _: ErrorMap()))
        self.in_flight = in_flight
        self.jobs = (*built_in_jobs(options), *jobs)
        asked = tuple(job for job in self.jobs if not getattr(job, "idle", False))
        self.request_timeout = options.request_timeout
        self.on_request = tuple(job.on_request for job in asked if _overrides(job, "on_request"))
        self.on_request_async = tuple(
            (job.on_request_async, True) if _awaits(job) else (job.on_request, False)
            for job in asked
            if _overrides(job, "on_request_async") or _overrides(job, "on_request")
        )
        self.traces = options.trace
        self.api_version = options.api_version
        self.awaits = any(waits for _, waits in self.on_request_async)
        self.on_headers = tuple(job.on_headers for job in asked if _overrides(job, "on_headers"))
        self.decorates = bool(self.on_headers) or options.server_timing
        self._observers: tuple[Observer, ...] = (
            *(job.on_finish for job in asked if _overrides(job, "on_finish")),
            *observers,
        )
        # Each a pair: [0] over http, [1] over https.
        self.raw: list[RawHeaders] = []
        self.raw_docs: list[RawHeaders] = []
        self.text: list[TextHeaders] = []
        self.text_docs: list[TextHeaders] = []
        self._compile_headers()
        self._access = (access or _default_access(runtime)) if options.access_log else None
        # A quicker way for the usual line, where the sink has one.
        self._write_request = getattr(self._access, "write_request", None)
        self._quiet = options.quiet_paths
        self._slow = options.slow_seconds
        self._plain = options.access_sample >= 1.0  # nothing to decide for an ordinary success
        self._sample = None if options.access_sample >= 1.0 else int(options.access_sample * 2**32)
        self.docs_paths = frozenset(options.docs_paths) | {path + "/" for path in options.docs_paths}

    def _compile_headers(self) -> None:
        from shared.security import HeaderPolicy

        chosen = self.options.security_headers
        main = HeaderPolicy.preset(chosen) if isinstance(chosen, str) else chosen
        # Without a policy of its own, a documentation page keeps having none.
        docs = HeaderPolicy.docs if main.headers(https=True) else main
        ids = frozenset({"x-correlation-id", "x-request-id"})
        for https in (False, True):
            for policy, text, raw in ((main, self.text, self.raw), (docs, self.text_docs, self.raw_docs)):
                pairs = policy.headers(https=https)
                names = ids.union(name.lower() for name, _ in pairs)
                text.append((pairs, names))
                raw.append((policy.raw_headers(https=https), frozenset(name.encode() for name in names)))

    def job(self, kind: type[J]) -> J | None:
        """Return the first job of this class, or None."""
        return next((job for job in self.jobs if isinstance(job, kind)), None)

    # -- the beginning -------------------------------------------------------------

    def identify(
        self, correlation: str | None, traceparent: str | None, tracestate: str = ""
    ) -> RequestContext:
        """Return the context of a request.

        Args:
            correlation: Id the caller sent, unchecked; a hostile one is replaced
                and appears nowhere.
            traceparent: Header of that name, or None.
            tracestate: Header of that name.
        """
        trace: TraceContext | None
        trace, request_id = new_identity()
        if not self.traces:
            trace = None
        elif traceparent is not None:
            parent = TraceContext.parse(traceparent, tracestate)
            trace = trace if parent is None else parent.child()
        if correlation is None or not is_valid_id(correlation):
            correlation = request_id if trace is None else trace.trace_id
        return RequestContext(correlation, request_id, trace)

    def set_deadline(self, context: RequestContext, header: str | None) -> SharedError | None:
        """Put the moment by which the answer must begin into *context*.

        Args:
            context: Of the request.
            header: Value of ``X-Request-Deadline``: seconds left, unchecked. What is no
                number is as good as none.

        Returns:
            The error for a deadline that has passed already, or None.
        """
        from shared.resilience import Deadline

        limit = self.request_timeout
        asked = None if header is None else Deadline.from_header(header)
        if asked is None:
            if limit is None:
                return None
            asked = Deadline.after(limit)
        elif limit is not None:
            asked = min(asked, Deadline.after(limit), key=lambda deadline: deadline.at)
        context.deadline = asked.at
        return self.too_late() if asked.expired else None

    def too_late(self) -> DeadlineExceededError:
        """Return the error for an answer that could not be begun in time."""
        return DeadlineExceededError("the time allowed for the request has passed", retryable=False)

    def check_length(self, declared: str) -> SharedError | None:
        """Return the error for a declared body length that cannot be served, or None.

        Args:
            declared: Value of ``Content-Length``, unchecked.
        """
        if not (declared.isascii() and declared.isdigit()):
            return BadRequestError("Content-Length is not a number of bytes")
        if self.limit is not None and (len(declared) > _MAX_LENGTH_DIGITS or int(declared) > self.limit):
            return self.too_large()
        return None

    def too_large(self) -> PayloadTooLargeError:
        """Return the error for a body above the limit."""
        return PayloadTooLargeError(
            f"the body is larger than the limit of {self.limit} bytes", details={"max_bytes": self.limit}
        )

    def reply(self, exchange: Exchange, answer: BaseException | Reply) -> Reply:
        """Return the complete answer for *answer*: itself, or the error in the form the caller reads."""
        if isinstance(answer, Reply):
            return answer
        return self.renderer.render(
            answer,
            accept=exchange.header("accept"),
            correlation_id=exchange.context.correlation_id,
            path=exchange.path,
            version=exchange.api_version,
        )

    def ask_jobs(self, exchange: Exchange) -> Reply | SharedError | None:
        """Return the first objection of the jobs, or None."""
        for decide in self.on_request:
            answer = decide(exchange)
            if answer is not None:
                return answer
        return None

    async def ask_jobs_async(self, exchange: Exchange) -> Reply | SharedError | None:
        """Return the first objection of the jobs, awaiting those that can be awaited, or None."""
        for decide, waits in self.on_request_async:
            answer: Any = decide(exchange)
            if waits:
                answer = await answer
            if answer is not None:
                return answer  # type: ignore[no-any-return]
        return None

    # -- the answer ----------------------------------------------------------------

    def server_timing(self, exchange: Exchange) -> str:
        """Return the value of ``Server-Timing``: milliseconds to the first byte."""
        return f"app;dur={(exchange.first_byte - exchange.started) * 1000:.2f}"

    # -- the end ---------------------------------------------------------------------

    def finish(self, exchange: Exchange) -> None:
        """Write the access line and tell the observers; never raises.

        Called once per exchange, while its context is still current, so that the
        line carries it.
        """
        exchange.finished = True
        status = exchange.status
        if not status:  # the client left, or the server gave up, before the answer began
            exchange.status = status = _CLIENT_CLOSED
        observers = self._observers
        route = exchange.route if observers or self._access is not None else ""
        if self._access is not None:
            seconds = exchange.ended - exchange.started
            if self._plain and status < 400 and seconds < self._slow and exchange.outcome is _COMPLETED:
                level = None if exchange.path in self._quiet else "info"
            else:
                level = self._level(exchange, status, seconds)
            if level is not None:
                self._write_line(exchange, level, route, seconds)
        if observers:
            event = exchange.finished_event(route)
            for observer in observers:
                try:
                    observer(event)
                except Exception:  # noqa: BLE001 - an observer must not harm the request
                    _log.exception("an observer of finished requests failed")

    def _write_line(self, exchange: Exchange, level: str, route: str, seconds: float) -> None:
        path, first_byte = exchange.path, exchange.first_byte
        if len(path) > _MAX_PATH:
            path = path[:_MAX_PATH]
        # Microseconds, cut: rounding costs twice as much.
        duration = int(seconds * 1e6) / 1e3
        ttfb = int((first_byte - exchange.started) * 1e6) / 1e3 if first_byte else None
        usual = exchange.outcome is _COMPLETED and exchange.error is None and not exchange.unusual
        try:
            if usual and self._write_request is not None:
                self._write_request(
                    level,
                    exchange.method,
                    path,
                    route,
                    exchange.status,
                    duration,
                    ttfb,
                    exchange.bytes_sent,
                    exchange.client,
                )
                return
            fields: dict[str, object] = {
                "method": exchange.method,
                "path": path,
                "route": route,
                "status": exchange.status,
                "duration_ms": duration,
                "ttfb_ms": ttfb,
                "bytes_sent": exchange.bytes_sent,
                "client": exchange.client,
            }
            if not usual:
                _add_unusual(fields, exchange)
            if self._access is not None:
                self._access.write(fields, level=level)
        except Exception:  # noqa: BLE001 - the answer is out; a log must not spoil it
            _log.exception("the access log failed")

    def _level(self, exchange: Exchange, status: int, seconds: float) -> str | None:
        """Return the level of the access line, or None for no line."""
        if status >= 500 or exchange.outcome is _FAILED:
            return "error"
        if seconds >= self._slow and exchange.protocol == "http":
            return "warning"
        if exchange.path in self._quiet:
            return None
        if status < 400:
            sample = self._sample
            if sample is not None and zlib.crc32(exchange.context.correlation_id.encode()) >= sample:
                return None
            return "info"
        return "warning" if exchange.outcome is _COMPLETED else "info"

    def report(self, exchange: Exchange, exc: BaseException, what: str) -> None:
        """Log an exception that nobody foresaw, with its traceback and the request's ids."""
        exchange.error = exc
        _log.error("%s", what, exc_info=exc, extra={"method": exchange.method, "route": exchange.route})


def _add_unusual(fields: dict[str, object], exchange: Exchange) -> None:
    if exchange.outcome is not _COMPLETED:
        fields["outcome"] = str(exchange.outcome)
    if exchange.error is not None:
        fields["error"] = type(exchange.error).__name__
    if exchange.protocol != "http":
        fields["protocol"] = exchange.protocol
        fields["bytes_received"] = exchange.bytes_received
        fields["close_code"] = getattr(exchange, "close_code", None)


def log_error(exchange: Exchange | None, exc: BaseException, known: SharedError | None) -> None:
    """Log an exception that becomes an answer, when the service has to answer for it.

    The caller's errors (4xx) are in the access log; foreseen outages (501 and up)
    give a line; everything else a line with the traceback.
    """
    status = 500 if known is None else known.status
    if status < 500:
        return
    if exchange is not None:
        exchange.error = exc
    if status == 500:
        _log.error("unhandled error", exc_info=exc)
    else:
        _log.warning("%s: %s", type(exc).__name__, safe_text(exc))


def asynchronous_only(jobs: Iterable[Job]) -> list[str]:
    """Return the names of the jobs that can only decide in an event loop."""
    return [
        type(job).__name__
        for job in jobs
        if _overrides(job, "on_request_async") and not _overrides(job, "on_request")
    ]


def _awaits(job: Job) -> bool:
    """Tell whether *job* has to be asked in an event loop."""
    quick = getattr(job, "waits", True) is False and _overrides(job, "on_request")
    return _overrides(job, "on_request_async") and not quick


def _overrides(job: Job, name: str) -> bool:
    return getattr(type(job), name, None) is not getattr(Job, name)


def _default_access(runtime: Runtime) -> AccessSink:
    from shared.logging import AccessLog

    return runtime.get(AccessLog, lambda _: AccessLog())
