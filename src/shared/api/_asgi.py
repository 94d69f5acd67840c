"""What one ASGI connection knows about itself, and the HTTP side of it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

from shared.api._errors import Reply
from shared.api._exchange import Exchange, Outcome
from shared.api._pipeline import Pipeline, log_error

__all__ = ["AsgiConnection", "AsgiHeaders", "HttpExchange"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
RouteOf = Callable[[Scope, int], str]
Fallback = Callable[[Scope, Receive, Send, Exception], Awaitable[bool]]

_BODYLESS: Final = frozenset({"1.0", "1.1"})
_NO_BODY: Final = frozenset({204, 304})
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

    __slots__ = ("_headers", "_layer", "_pipeline", "_receive", "_send", "scope")

    def __init__(self, layer: Layer, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(
            scope.get("method", "WEBSOCKET"), scope["path"], https=scope.get("scheme") in _SECURE
        )
        self._layer = layer
        self._pipeline = layer.pipeline
        self._receive = receive
        self._send = send
        self.scope = scope
        self._headers: dict[bytes, bytes] = dict(scope["headers"])

    @property
    def route(self) -> str:
        """Template of the route, ``"unmatched"`` when there is none."""
        return self._layer.route_of(self.scope, self.status)

    @property
    def client(self) -> str | None:
        """Address of the peer: the proxy's, when there is one."""
        client = self.scope.get("client")
        return client[0] if client else None

    def header(self, name: str) -> str | None:
        """Return a request header, the last one of several, or None."""
        value = self._headers.get(name.lower().encode("latin-1", "replace"))
        return None if value is None else value.decode("latin-1")

    def identify(self) -> None:
        """Read the ids of the caller and begin."""
        headers = self._headers
        correlation = headers.get(b"x-correlation-id") or headers.get(b"x-request-id")
        trace = headers.get(b"traceparent")
        if correlation is None and trace is None:
            self._pipeline.begin(self, None, None)
            return
        state = b",".join(value for name, value in self.scope["headers"] if name == b"tracestate")
        self._pipeline.begin(
            self,
            None if correlation is None else correlation.decode("latin-1"),
            None if trace is None else trace.decode("latin-1"),
            state.decode("latin-1"),
        )

    def abandon(self, outcome: Outcome) -> None:
        """Finish an exchange whose last byte will never be sent."""
        if not self.finished:
            self.ended = self._pipeline.clock()
            self.outcome = outcome
            self._pipeline.finish(self)


class HttpExchange(AsgiConnection):
    """An HTTP exchange: counts, completes and, when need be, replaces the answer."""

    __slots__ = ("_muted",)

    def __init__(self, layer: Layer, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(layer, scope, receive, send)
        self._muted = False

    # -- the request's side ----------------------------------------------------------

    def may_have_body(self) -> bool:
        """Tell whether a body can follow; HTTP/2 announces none."""
        headers = self._headers
        return (
            b"content-length" in headers
            or b"transfer-encoding" in headers
            or self.scope.get("http_version", "1.1") not in _BODYLESS
        )

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
            message = self._start(message)
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: the client is gone
            self.outcome = Outcome.DISCONNECTED
            raise
        if kind == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
            if not message.get("more_body"):
                self._complete()
        elif kind == "http.response.pathsend":
            self._complete()

    def _start(self, message: Message) -> Message:
        pipeline = self._pipeline
        self.status = message["status"]
        self.first_byte = pipeline.clock()
        pairs, names = pipeline.raw[self.https, self.path in pipeline.docs_paths]
        headers = list(message.get("headers", ()))
        for name, _ in headers:
            if name in names:
                self._merge(headers, pairs)
                break
        else:
            context = self.context
            headers += pairs
            headers.append((b"x-correlation-id", context.correlation_id.encode()))
            headers.append((b"x-request-id", context.request_id.encode()))
        if pipeline.options.server_timing:
            headers.append((b"server-timing", pipeline.server_timing(self).encode()))
        if pipeline.on_headers:
            wrapped = AsgiHeaders(headers)
            for change in pipeline.on_headers:
                change(self, self.status, wrapped)
        # A new message: applications and response objects reuse theirs.
        return {**message, "headers": headers}

    def _merge(self, headers: list[tuple[bytes, bytes]], pairs: tuple[tuple[bytes, bytes], ...]) -> None:
        present = {name for name, _ in headers}
        context = self.context
        ids = ((b"x-correlation-id", context.correlation_id), (b"x-request-id", context.request_id))
        headers += [pair for pair in pairs if pair[0] not in present]
        headers += [(name, value.encode()) for name, value in ids if name not in present]

    def _complete(self) -> None:
        if not self.finished:
            self.ended = self._pipeline.clock()
            if self.outcome is not Outcome.COMPLETED:  # a disconnect seen too late to matter
                self.outcome = Outcome.COMPLETED
            self._pipeline.finish(self)

    async def answer(self, answer: BaseException | Reply) -> None:
        """Send a complete answer made by the layer."""
        reply = self._pipeline.reply(self, answer)
        self.too_large = False
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        body = b"" if self.method == "HEAD" or reply.status in _NO_BODY else reply.body
        await self.send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

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
