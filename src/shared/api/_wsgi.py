"""What one WSGI request knows about itself: input, answer, and the iterable in between."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import Token
from typing import Any, Final, Protocol, TypeVar

from shared.api._errors import Reply
from shared.api._exchange import EXCHANGE_KEY, UNMATCHED, Exchange, Outcome
from shared.api._pipeline import Pipeline
from shared.api._plan import log_error
from shared.api._route_labels import expected_route, route_for, untold_route
from shared.context import RequestContext, enter_context, is_valid_id, leave_context, new_identity
from shared.errors import SharedError
from shared.runtime import Runtime, enter_runtime, leave_runtime

__all__ = ["BoundedInput", "WsgiExchange", "WsgiHeaders"]

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
Tokens = tuple[Token[Runtime | None], Token[RequestContext | None]]
J = TypeVar("J")
RouteOf = Callable[[Environ, int], str]

_NO_BODY: Final = frozenset({204, 304})
_COMPLETED: Final = Outcome.COMPLETED
_UNKNOWN: Final = sys.maxsize


class Layer(Protocol):
    """What an exchange asks of the layer that made it."""

    pipeline: Pipeline
    route_of: RouteOf


class WsgiHeaders:
    """The headers of a starting answer; see :class:`shared.api.ResponseHeaders`."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs

    def get(self, name: str) -> str | None:
        """Return the first value of *name*, or None."""
        key = name.lower()
        return next((value for found, value in self.pairs if found.lower() == key), None)

    def set(self, name: str, value: str) -> None:
        """Replace every value of *name*."""
        key = name.lower()
        self.pairs[:] = [pair for pair in self.pairs if pair[0].lower() != key]
        self.pairs.append((name, value))

    def setdefault(self, name: str, value: str) -> None:
        """Add *name* unless the application has set it."""
        if self.get(name) is None:
            self.pairs.append((name, value))

    def append(self, name: str, value: str) -> None:
        """Add one more value of *name*."""
        self.pairs.append((name, value))


class WsgiExchange(Exchange):
    """An HTTP exchange over WSGI."""

    __slots__ = (
        "_iterator",
        "_layer",
        "_pipeline",
        "_route",
        "_start_response",
        "_tokens",
        "_write",
        "begun",
        "body",
        "environ",
        "expected",
    )

    _write: Callable[[bytes], object]

    # Does not call the base: one flat constructor is a tenth of the layer's cost less.
    def __init__(self, layer: Layer, environ: Environ, start_response: StartResponse) -> None:
        self._layer = layer
        self._pipeline = pipeline = layer.pipeline
        self._start_response = start_response
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.path = path = environ.get("PATH_INFO") or "/"
        if not path.isascii():  # PEP 3333 carries bytes as latin-1 text
            self.path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        self.https = environ.get("wsgi.url_scheme") == "https"
        self.api_version = pipeline.api_version
        self.first_byte = 0.0
        self.status = self.bytes_received = self.bytes_sent = 0
        self.outcome = _COMPLETED
        self.error = None
        self.finished = self.too_large = False
        self.late = None
        self.begun = False  # whether a chunk of the body has gone to the server
        self.expected = _UNKNOWN
        self._route = UNMATCHED
        self.body: Iterable[bytes] = ()
        self._iterator: Iterator[bytes] | None = None
        self.started = pipeline.clock()
        get = environ.get
        correlation = get("HTTP_X_CORRELATION_ID") or get("HTTP_X_REQUEST_ID")
        parent = get("HTTP_TRACEPARENT")
        if parent is None and pipeline.traces:
            trace, request_id = new_identity()
            if correlation is None or not is_valid_id(correlation):
                correlation = trace[0]
            self.context = RequestContext(correlation, request_id, trace)
        else:
            self.context = pipeline.identify(correlation, parent, get("HTTP_TRACESTATE", ""))
        self.context.exchange = self
        self._tokens: Tokens | None = (enter_runtime(pipeline.runtime), enter_context(self.context))

    @property
    def route(self) -> str:
        """Template of the route, ``"unmatched"`` when there is none."""
        return self._route

    @property
    def client(self) -> str | None:
        """Address of the peer: the proxy's, when there is one."""
        client: str | None = self.environ.get("REMOTE_ADDR")
        return client

    def header(self, name: str) -> str | None:
        """Return a request header, or None."""
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        value: str | None = self.environ.get(key)
        return value

    def find_route(self) -> str:
        """Return the template of the route that answers, or will answer, this request."""
        return expected_route(self._layer.route_of, self.environ, self.environ)

    def job(self, kind: type[J]) -> J | None:
        """Return the layer's first job of this class, or None."""
        return self._pipeline.job(kind)

    def route_for(self, path: str) -> str:
        """Return the template of the route that would answer *path*, whatever the method."""
        return route_for(self._layer.route_of, self.environ, path)

    # -- in and out of the context -------------------------------------------------

    def resume(self) -> None:
        """Make runtime and context current, unless they are."""
        if self._tokens is None:
            self._tokens = (enter_runtime(self._pipeline.runtime), enter_context(self.context))

    def finish(self, outcome: Outcome = _COMPLETED) -> None:
        """Write the line and leave the context; every request ends here."""
        if not self.finished:
            self.ended = self._pipeline.clock()
            self.outcome = outcome
            if self.method == "HEAD":  # the server keeps the body to itself
                self.bytes_sent = 0
            self._pipeline.finish(self)
        if self._tokens is not None:
            (runtime, context), self._tokens = self._tokens, None
            # Without this the two would keep each other until the garbage collector comes.
            self.environ.pop(EXCHANGE_KEY, None)
            self.context.exchange = None
            if self._pipeline.in_flight is not None:
                self._pipeline.in_flight.leave(self)
            leave_context(context)
            leave_runtime(runtime)

    # -- the iterable handed to the server --------------------------------------------

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # Ends the exchange with the last byte: known by Content-Length, by exhaustion,
        # or at the latest by close(), which a test client may never call.
        try:
            if self._iterator is None:
                self._iterator = iter(self.body)
            chunk = next(self._iterator)
        except StopIteration:
            if self._tokens is not None:
                self.finish()
            raise
        except Exception as exc:  # noqa: BLE001 - the outermost layer answers for everything
            self._iterator = iter(self.fail(exc))
            chunk = next(self._iterator)
        self.begun = True
        self.bytes_sent += len(chunk)
        if self.bytes_sent >= self.expected and self._tokens is not None:
            self.finish()
        return chunk

    def close(self) -> None:
        """Close the application's iterable, inside the context, and end the exchange."""
        close = getattr(self.body, "close", None)
        try:
            if close is not None:
                self.resume()
                close()
        except Exception as exc:  # noqa: BLE001 - the answer is out; nobody else would tell
            self.report(exc, "closing the answer failed")
        finally:
            if self._tokens is not None or not self.finished:
                self.finish(Outcome.DISCONNECTED if self.error is None else Outcome.FAILED)

    # -- the request's side --------------------------------------------------------

    def bound_input(self) -> SharedError | None:
        """Put the limit around the body; returns the error for a declared length that is refused, or None."""
        environ = self.environ
        declared = environ.get("CONTENT_LENGTH")
        if declared:
            refusal = self._pipeline.check_length(declared)
            if refusal is not None:
                return refusal
        if self._pipeline.limit is not None and "wsgi.input" in environ:
            environ["wsgi.input"] = BoundedInput(environ["wsgi.input"], self)
        return None

    def begin_deadline(self) -> SharedError | None:
        """Put the deadline into the context; return the error when it has passed already."""
        return self._pipeline.set_deadline(self.context, self.environ.get("HTTP_X_REQUEST_DEADLINE"))

    def count(self, chunk: bytes) -> bytes:
        """Count what was read of the body; raises above the limit."""
        self.bytes_received += len(chunk)
        limit = self._pipeline.limit
        if limit is not None and self.bytes_received > limit:
            self.too_large = True
            raise self._pipeline.too_large()
        return chunk

    # -- the answer's side -----------------------------------------------------------

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Stand in for the server's ``start_response``."""
        if self.too_large and exc_info is None:
            # Whatever the application made of the refused body, the answer is 413.
            raise self._pipeline.too_large()
        pipeline = self._pipeline
        self.status = int(status[:3])
        self.first_byte = pipeline.clock()
        # Now, and not at the end: Flask clears the request out of the environ before.
        try:
            self._route = self._layer.route_of(self.environ, self.status)
        except Exception:  # noqa: BLE001 - a router of a shape nobody has seen yet
            self._route = untold_route()
        plans = pipeline.text_docs if self.path in pipeline.docs_paths else pipeline.text
        pairs, names = plans[self.https]
        context = self.context
        ids = (("X-Correlation-ID", context.correlation_id), ("X-Request-ID", context.request_id))
        self.expected = _UNKNOWN
        clash = False
        for name, value in headers:
            key = name.lower()
            if key in names:
                clash = True
            elif key == "content-length" and value.isdigit():
                self.expected = int(value)
        if clash:
            present = {name.lower() for name, _ in headers}
            headers = [*headers, *(pair for pair in (*pairs, *ids) if pair[0].lower() not in present)]
        else:
            headers = [*headers, *pairs, *ids]
        if pipeline.decorates or self.late is not None:
            if pipeline.options.server_timing:
                headers.append(("Server-Timing", pipeline.server_timing(self)))
            wrapped = WsgiHeaders(headers)
            for change in pipeline.on_headers:
                change(self, self.status, wrapped)
            for late in self.late or ():
                late(self, self.status, wrapped)
        if exc_info is None:
            self._write = self._start_response(status, headers)
        else:
            self._write = self._start_response(status, headers, exc_info)
        return self.write

    def write(self, data: bytes) -> object:
        """Stand in for the server's old-fashioned ``write``."""
        self.begun = True
        self.bytes_sent += len(data)
        return self._write(data)

    def answer(self, answer: BaseException | Reply, *, replace: bool = False) -> Iterable[bytes]:
        """Start a complete answer made by the layer and return its body.

        Args:
            answer: What to say.
            replace: Whether the application may have begun an answer that was not sent yet.
        """
        reply = self._pipeline.reply(self, answer)
        self.too_large = False
        status = f"{reply.status} {_phrase(reply.status)}"
        exc_info = sys.exc_info() if replace and self.status else None
        self.start(status, list(reply.headers), exc_info)
        body = b"" if self.method == "HEAD" or reply.status in _NO_BODY else reply.body
        return (body,)

    def report(self, exc: BaseException, what: str) -> None:
        """Log an exception that nobody foresaw."""
        self._pipeline.report(self, exc, what)

    def fail(self, exc: Exception) -> Iterable[bytes]:
        """Return the answer for an exception that the application let out.

        Raises it again when the answer has begun: then only the server can tell
        the client, by cutting the connection.
        """
        pipeline = self._pipeline
        if self.begun:
            pipeline.report(self, exc, "unhandled error after the answer had begun")
            raise exc
        if self.too_large:
            return self.answer(pipeline.too_large(), replace=True)
        known = pipeline.renderer.translate(exc)
        if known is None:
            pipeline.report(self, exc, "unhandled error")
            if pipeline.options.reraise_errors:
                raise exc
        else:
            log_error(self, exc, known)
        return self.answer(exc, replace=True)


class SizedBody:
    """A body with a known number of chunks, from which servers derive ``Content-Length``."""

    __slots__ = ("_exchange", "_length")

    def __init__(self, exchange: WsgiExchange, length: int) -> None:
        self._exchange = exchange
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return self._exchange

    def close(self) -> None:
        """End the exchange."""
        self._exchange.close()


class BoundedInput:
    """``wsgi.input`` that raises once more than the limit has been read."""

    def __init__(self, inner: Any, exchange: WsgiExchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def read(self, *size: int) -> bytes:
        """Read like the stream beneath, counted."""
        return self._exchange.count(self._inner.read(*size))

    def readline(self, *size: int) -> bytes:
        """Read a line like the stream beneath, counted."""
        return self._exchange.count(self._inner.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """Read lines like the stream beneath, counted."""
        return [self._exchange.count(line) for line in self._inner.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._inner:
            yield self._exchange.count(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def no_route(_environ: Environ, _status: int) -> str:
    """Return the label of applications without a router."""
    return UNMATCHED
