"""What one ASGI connection knows about itself, and the HTTP side of it."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Protocol, TypeVar

from shared.api._errors import Reply
from shared.api._exchange import EXCHANGE_KEY, UNMATCHED, Exchange, Outcome
from shared.api._pipeline import Pipeline
from shared.api._plan import log_error
from shared.api._route_labels import expected_route, route_for, untold_route
from shared.context import RequestContext, is_valid_id, new_identity
from shared.errors import SharedError

__all__ = ["AsgiConnection", "AsgiHeaders", "HttpExchange"]

RawPair = tuple[bytes, bytes]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
J = TypeVar("J")
RouteOf = Callable[[Scope, int], str]
Fallback = Callable[[Scope, Receive, Send, Exception], Awaitable[bool]]

_BODYLESS: Final = frozenset({"1.0", "1.1"})
# ASGI extensions: the server sends the rest of a file by itself.
_WHOLE_FILES: Final = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
_NO_BODY: Final = frozenset({204, 304})
_WATCHED: Final = frozenset(
    {
        b"content-length",
        b"traceparent",
        b"transfer-encoding",
        b"x-correlation-id",
        b"x-request-deadline",
        b"x-request-id",
    }
)
_COMPLETED: Final = Outcome.COMPLETED
_SECURE: Final = frozenset({"https", "wss"})


class Layer(Protocol):
    """What an exchange asks of the layer that made it."""

    app: App
    pipeline: Pipeline
    route_of: RouteOf
    fallback: Fallback | None
    disconnects: tuple[type[Exception], ...]


class AsgiHeaders:
    """The headers of a starting answer; see :class:`shared.api.ResponseHeaders`."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.pairs = pairs

    def get(self, name: str) -> str | None:
        """Return the first value of *name*, or None."""
        key = name.lower().encode("latin-1")
        return next((value.decode("latin-1") for found, value in self.pairs if found.lower() == key), None)

    def set(self, name: str, value: str) -> None:
        """Replace every value of *name*."""
        key = name.lower().encode("latin-1")
        self.pairs[:] = [pair for pair in self.pairs if pair[0].lower() != key]
        self.append(name, value)

    def setdefault(self, name: str, value: str) -> None:
        """Add *name* unless the application has set it."""
        if self.get(name) is None:
            self.append(name, value)

    def append(self, name: str, value: str) -> None:
        """Add one more value of *name*."""
        self.pairs.append((name.lower().encode("latin-1"), value.encode("latin-1")))


class AsgiConnection(Exchange):
    """An exchange over ASGI: the request's side, the same for HTTP and websockets."""

    __slots__ = (
        "_deadline",
        "_layer",
        "_length",
        "_muted",
        "_pipeline",
        "_receive",
        "_send",
        "has_deadline",
        "may_have_body",
        "scope",
    )

    # Does not call the base: one flat constructor is a tenth of the layer's cost less.
    def __init__(self, layer: Layer, scope: Scope, receive: Receive, send: Send) -> None:
        self._layer = layer
        self._pipeline = pipeline = layer.pipeline
        self._receive = receive
        self._send = send
        self.scope = scope
        self.method = scope.get("method", "WEBSOCKET")
        self.path = path = scope["path"]
        root = scope.get("root_path")
        if root and path.startswith(root):  # a proxy's prefix is no part of the service
            self.path = path[len(root) :] or "/"
        self.https = scope.get("scheme") in _SECURE
        self.api_version = pipeline.api_version
        self.first_byte = 0.0
        self.status = self.bytes_received = self.bytes_sent = 0
        self.outcome = _COMPLETED
        self.error = None
        self.finished = self.too_large = self._muted = False
        self.late = None
        self.started = pipeline.clock()
        correlation = request = parent = length = deadline = None
        has_body = False
        for name, value in scope["headers"]:
            if name in _WATCHED:
                if name == b"content-length":
                    length, has_body = value, True
                elif name == b"x-request-id":
                    request = value
                elif name == b"x-correlation-id":
                    correlation = value
                elif name == b"traceparent":
                    parent = value
                elif name == b"x-request-deadline":
                    deadline = value
                else:
                    has_body = True
        self._length = length
        self.has_deadline = deadline is not None or pipeline.request_timeout is not None
        self._deadline = deadline
        # HTTP/2 does not announce a body.
        self.may_have_body = has_body or scope.get("http_version", "1.1") not in _BODYLESS
        if parent is None and pipeline.traces:
            trace, request_id = new_identity()
            given = correlation or request
            if given is None or not is_valid_id(chain := given.decode("latin-1")):
                chain = trace[0]
            self.context = RequestContext(chain, request_id, trace)
        else:
            self._identify(correlation or request, parent)
        self.context.exchange = self

    def _identify(self, correlation: bytes | None, parent: bytes | None) -> None:
        # The one header of the three that may come in several lines.
        state = b",".join(value for name, value in self.scope["headers"] if name == b"tracestate")
        self.context = self._pipeline.identify(
            None if correlation is None else correlation.decode("latin-1"),
            None if parent is None else parent.decode("latin-1"),
            state.decode("latin-1"),
        )

    @property
    def route(self) -> str:
        """Template of the route, ``"unmatched"`` when there is none."""
        try:
            return self._layer.route_of(self.scope, self.status)
        except Exception:  # noqa: BLE001 - a router of a shape nobody has seen yet
            return untold_route()

    @property
    def client(self) -> str | None:
        """Address of the peer: the proxy's, when there is one."""
        client = self.scope.get("client")
        return client[0] if client else None

    def header(self, name: str) -> str | None:
        """Return a request header, the last one of several, or None."""
        wanted, found = name.lower().encode("latin-1", "replace"), None
        for key, value in self.scope["headers"]:
            if key == wanted:
                found = value
        return None if found is None else found.decode("latin-1")

    def header_list(self, name: str) -> str:
        """Return a request header that is a list: all of its lines, joined by commas."""
        wanted = name.lower().encode("latin-1", "replace")
        return b",".join(value for key, value in self.scope["headers"] if key == wanted).decode("latin-1")

    def find_route(self) -> str:
        """Return the template of the route that answers, or will answer, this request."""
        return expected_route(self._layer.route_of, self.scope, self.path)

    def job(self, kind: type[J]) -> J | None:
        """Return the layer's first job of this class, or None."""
        return self._pipeline.job(kind)

    def route_for(self, path: str) -> str:
        """Return the template of the route that would answer *path*, whatever the method."""
        return route_for(self._layer.route_of, path)

    def detach(self) -> None:
        """Let scope and context go."""
        self.scope.pop(EXCHANGE_KEY, None)
        self.context.exchange = None

    def abandon(self, outcome: Outcome) -> None:
        """Finish an exchange whose last byte will never be sent."""
        if not self.finished:
            self.ended = self._pipeline.clock()
            self.outcome = outcome
            self._pipeline.finish(self)


def _merged(given: Iterable[RawPair], ours: Iterable[RawPair]) -> list[RawPair]:
    """Return the application's headers and those of ours that it did not set."""
    given = list(given)
    present = {name for name, _ in given}
    return given + [pair for pair in ours if pair[0] not in present]


class HttpExchange(AsgiConnection):
    """An HTTP exchange: counts, completes and, when need be, replaces the answer."""

    __slots__ = ()

    # -- the request's side ----------------------------------------------------------

    def refuse_body(self) -> SharedError | None:
        """Return the error for the declared length of the body, or None."""
        declared = self._length
        return None if declared is None else self._pipeline.check_length(declared.decode("latin-1"))

    def begin_deadline(self) -> SharedError | None:
        """Put the deadline into the context; return the error when it has passed already."""
        header = self._deadline
        return self._pipeline.set_deadline(self.context, None if header is None else header.decode("latin-1"))

    async def receive(self) -> Message:
        """Pass the body on while it stays below the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.bytes_received += len(message.get("body", b""))
            limit = self._pipeline.limit
            if limit is not None and self.bytes_received > limit:
                self.too_large = True
                raise self._pipeline.too_large()
        elif not self.finished:
            self.outcome = Outcome.DISCONNECTED
        return message

    # -- the answer's side -------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Pass the answer on with the layer's headers, and finish at its last byte."""
        if self._muted:
            return
        kind = message["type"]
        if kind == "http.response.start":
            if self.too_large:
                # Whatever the application made of the refused body, the answer is 413.
                await self.answer(self._pipeline.too_large())
                self._muted = True
                return
            pipeline = self._pipeline
            self.first_byte = pipeline.clock()
            self.status = message["status"]
            pairs, names = (pipeline.raw_docs if self.path in pipeline.docs_paths else pipeline.raw)[
                self.https
            ]
            given = message.get("headers", ())
            context = self.context
            ids = (
                (b"x-correlation-id", context.correlation_id.encode()),
                (b"x-request-id", context.request_id.encode()),
            )
            for name, _ in given:
                if name in names:
                    headers = _merged(given, (*pairs, *ids))
                    break
            else:
                headers = [*given, *pairs, *ids]
            if pipeline.decorates or self.late is not None:
                self._decorate(headers)
            # A new message: applications and response objects reuse theirs.
            message = {**message, "headers": headers}
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: the client is gone
            self.outcome = Outcome.DISCONNECTED
            raise
        if kind == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
        elif kind not in _WHOLE_FILES:
            return
        if not (self.finished or message.get("more_body")):
            if self.method == "HEAD":  # the server keeps the body to itself
                self.bytes_sent = 0
            self.ended = self._pipeline.clock()
            self.outcome = _COMPLETED  # a disconnect seen before came too late to matter
            self._pipeline.finish(self)

    def _decorate(self, headers: list[tuple[bytes, bytes]]) -> None:
        pipeline = self._pipeline
        if pipeline.options.server_timing:
            headers.append((b"server-timing", pipeline.server_timing(self).encode()))
        wrapped = AsgiHeaders(headers)
        for change in pipeline.on_headers:
            change(self, self.status, wrapped)
        for late in self.late or ():
            late(self, self.status, wrapped)

    async def answer(self, answer: BaseException | Reply) -> None:
        """Send a complete answer made by the layer."""
        reply = self._pipeline.reply(self, answer)
        self.too_large = False
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        body = b"" if self.method == "HEAD" or reply.status in _NO_BODY else reply.body
        await self.send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def time_out(self) -> None:
        """Answer that time is up."""
        error = self._pipeline.too_late()
        log_error(self, error, error)
        await self._answer_or_leave(error)

    # -- endings ---------------------------------------------------------------------------

    async def settle(self) -> None:
        """Deal with an application that returned without finishing its answer."""
        if self.status:
            # Frameworks stop a stream this way when the client has left.
            self.abandon(Outcome.DISCONNECTED)
        elif self.outcome is Outcome.DISCONNECTED:
            self.abandon(Outcome.DISCONNECTED)
        elif self.too_large:
            await self.answer(self._pipeline.too_large())
        else:
            error = RuntimeError("the application returned without an answer")
            self._pipeline.report(self, error, "no answer")
            await self.answer(error)

    async def fail(self, exc: Exception) -> None:
        """Deal with an exception that the application let out.

        Raises it again when the answer has begun: then only the server can tell
        the client, by cutting the connection.
        """
        pipeline = self._pipeline
        if self.finished:
            pipeline.report(self, exc, "a background task failed after the answer was sent")
        elif self.outcome is Outcome.DISCONNECTED or isinstance(exc, self._layer.disconnects):
            self.abandon(Outcome.DISCONNECTED)
            return
        elif self.status:
            pipeline.report(self, exc, "unhandled error after the answer had begun")
            self.abandon(Outcome.FAILED)
            raise exc  # the server must cut the connection: the answer is incomplete
        elif self.too_large:
            await self._answer_or_leave(pipeline.too_large())
            return
        else:
            await self._answer_failure(exc)
        if pipeline.options.reraise_errors:
            raise exc

    async def _answer_failure(self, exc: Exception) -> None:
        known = self._pipeline.renderer.translate(exc)
        if known is None:
            self._pipeline.report(self, exc, "unhandled error")
            fallback = self._layer.fallback
            if fallback is not None and await fallback(self.scope, self._receive, self.send, exc):
                return
        else:
            log_error(self, exc, known)
        await self._answer_or_leave(exc)

    async def _answer_or_leave(self, exc: Exception) -> None:
        try:
            await self.answer(exc)
        except OSError:
            self.abandon(Outcome.DISCONNECTED)


def no_route(_scope: Scope, _status: int) -> str:
    """Return the label of applications without a router."""
    return UNMATCHED
