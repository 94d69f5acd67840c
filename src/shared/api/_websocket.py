"""The websocket side of the layer: identity, context, a line at the close, errors as close codes."""

from typing import Any, Final

from shared.api._asgi import AsgiConnection, Layer, Message, Receive, Scope, Send
from shared.api._errors import Reply
from shared.api._exchange import Outcome
from shared.errors import SharedError

__all__ = ["WebSocketExchange"]

_DENIAL: Final = "websocket.http.response"  # ASGI extension: refuse the handshake with a real answer
_ORDERLY: Final = frozenset({1000, 1001, 1005})  # RFC 6455, section 7.4.1
_POLICY_VIOLATION: Final = 1008
_INTERNAL_ERROR: Final = 1011


class WebSocketExchange(AsgiConnection):
    """A websocket from handshake to close.

    Attributes:
        close_code: Code the connection was closed with, or None while it is open.
    """

    __slots__ = ("close_code",)

    protocol = "websocket"
    unusual = True

    def __init__(self, layer: Layer, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(layer, scope, receive, send)
        self.close_code: int | None = None

    async def run(self) -> None:
        """Serve the connection; raises only what is not an ``Exception``."""
        try:
            refusal = None
            if self._pipeline.on_request_async:
                refusal = await self._pipeline.ask_jobs_async(self)
            if refusal is not None:
                await self._refuse(refusal)
            else:
                await self._layer.app(self.scope, self.receive, self.send)
        except Exception as exc:  # noqa: BLE001 - the outermost layer answers for everything
            await self._fail(exc)
        except BaseException as exc:
            self.error = exc
            self.abandon(Outcome.CANCELLED)
            raise
        else:
            self.abandon(self.outcome)

    async def receive(self) -> Message:
        """Count what arrives and remember how the client left."""
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self.bytes_received += _size(message)
        elif message["type"] == "websocket.disconnect" and self.close_code is None:
            self.close_code = message.get("code", 1005)
            if self.close_code not in _ORDERLY:
                self.outcome = Outcome.DISCONNECTED
        return message

    async def send(self, message: Message) -> None:
        """Pass messages on; the handshake's answer carries the ids."""
        kind = message["type"]
        if kind in ("websocket.accept", "websocket.http.response.start"):
            message = self._start(message)
        elif kind == "websocket.close":
            if self.close_code is None:
                self.close_code = message.get("code", 1000)
            self.status = self.status or 403
        elif kind == "websocket.send":
            self.bytes_sent += _size(message)
        try:
            await self._send(message)
        except OSError:
            self.outcome = Outcome.DISCONNECTED
            raise

    def _start(self, message: Message) -> Message:
        self.status = message.get("status", 101)
        self.first_byte = self._pipeline.clock()
        context = self.context
        headers = [
            *message.get("headers", ()),
            (b"x-correlation-id", context.correlation_id.encode()),
            (b"x-request-id", context.request_id.encode()),
        ]
        return {**message, "headers": headers}

    async def _fail(self, exc: Exception) -> None:
        if isinstance(exc, self._layer.disconnects) or self.outcome is Outcome.DISCONNECTED:
            self.abandon(self.outcome)
            return
        known = self._pipeline.renderer.translate(exc)
        if known is None or known.status >= 500:
            self._pipeline.report(self, exc, "unhandled error in a websocket")
            self.outcome = Outcome.FAILED
        try:
            await self._refuse(exc)
        except Exception:  # noqa: BLE001 - already closed, or the client is gone
            self.outcome = self.outcome if known is None else Outcome.DISCONNECTED
        self.abandon(self.outcome)
        if self._pipeline.options.reraise_errors and known is None:
            raise exc

    async def _refuse(self, answer: BaseException | Reply) -> None:
        """Close the connection, or refuse the handshake with a real answer where the server can."""
        if self.close_code is not None:
            return
        reply = self._pipeline.reply(self, answer)
        if self.status == 0 and _DENIAL in (self.scope.get("extensions") or {}):
            headers = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in reply.headers]
            start = {"type": _DENIAL + ".start", "status": reply.status, "headers": headers}
            await self.send(start)
            await self.send({"type": _DENIAL + ".body", "body": reply.body})
            return
        code = _INTERNAL_ERROR if reply.status >= 500 else _POLICY_VIOLATION
        reason = (
            str(answer.code)
            if isinstance(answer, SharedError)
            else "INTERNAL_ERROR"
            if code == _INTERNAL_ERROR
            else ""
        )
        # RFC 6455, section 5.5: a control frame carries at most 123 bytes of reason.
        await self.send({"type": "websocket.close", "code": code, "reason": reason[:123]})


def _size(message: Message) -> int:
    data: Any = message.get("bytes")
    if data is None:
        data = (message.get("text") or "").encode("utf-8", "surrogatepass")
    return len(data)
