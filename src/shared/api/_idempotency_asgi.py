"""Idempotency keys between the layer and an ASGI application."""

from typing import Any, Final

from shared.api._asgi import App, Message, Receive, Scope, Send
from shared.api._exchange import EXCHANGE_KEY, Exchange
from shared.api._idempotency import AT_HAND, REPLAYED, Idempotency, IdempotentRequest
from shared.cache import ReplayClaim, StoredAnswer
from shared.constants import Header
from shared.errors import ConfigurationError

__all__ = ["AsgiIdempotency"]

_STREAM: Final = b"text/event-stream"


class AsgiIdempotency:
    """Stands around an application, inside of the layer.

    Args:
        app: The application.
        idempotency: What decides.
    """

    def __init__(self, app: App, idempotency: Idempotency) -> None:
        self.app = app
        self._idempotency = idempotency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        rules = self._idempotency
        if scope["type"] != "http" or scope["method"] not in rules.methods:
            await self.app(scope, receive, send)
            return
        exchange = scope.get(EXCHANGE_KEY)
        if exchange is None:
            raise ConfigurationError("idempotency keys need the request layer: call install_layer(app)")
        key = rules.key_of(exchange)
        body = b""
        if key is not None:
            read = await _read(receive)
            if read is None:
                return  # the client left before it had asked
            body, receive = read, _again(read, receive)
        query = scope.get("query_string", b"").decode("latin-1")
        request = rules.request(exchange, key, query, exchange.header(Header.CONTENT_TYPE) or "", body)
        send = _Marking(exchange, send)
        try:
            claim = await rules.abegin(request)
            if claim is None:
                await self.app(scope, receive, send)
            elif claim.answer is not None:
                await _replay(rules, claim.answer, send)
            else:
                await self._carry_out(scope, receive, _Keeper(rules, request, claim, send))
        finally:
            AT_HAND.forget()

    async def _carry_out(self, scope: Scope, receive: Receive, keeper: "_Keeper") -> None:
        try:
            await self.app(scope, receive, keeper)
        finally:
            await keeper.end()


class _Marking:
    """Marks an answer whose work was done before, as a handler found out."""

    __slots__ = ("_exchange", "_send")

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._exchange.peek("shared.replayed"):
            headers = [*message.get("headers", ()), (REPLAYED.lower().encode(), b"true")]
            message = {**message, "headers": headers}
        await self._send(message)


class _Keeper:
    """Keeps what an application sends, then lets it go: the answer is safe before the client has it."""

    def __init__(
        self, rules: Idempotency, request: IdempotentRequest, claim: ReplayClaim, send: Send
    ) -> None:
        self._rules, self._request, self._claim, self._send = rules, request, claim, send
        self._held: list[Message] = []
        self._size = 0
        self._keeping = True
        self._status = 0
        self.settled = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
            if not self._rules.keeps(self._status):
                self._keeping = False
                self.settled = True
                await self._rules.aabandon(self._request, self._claim)
            elif any(k.lower() == b"content-type" and v.startswith(_STREAM) for k, v in message["headers"]):
                self._keeping = False
        elif kind != "http.response.body":  # a file that the server sends by itself
            self._keeping = False
        self._size += len(message.get("body", b""))
        if self._keeping and self._size > self._rules.max_answer_bytes:
            self._keeping = False
        ends = kind != "http.response.start" and not message.get("more_body", False)
        self._held.append(message)
        if ends and not self.settled:
            self.settled = True
            await self._rules.afinish(self._request, self._claim, self._answer() if self._keeping else None)
        if ends or not self._keeping:
            held, self._held = self._held, []
            for each in held:
                await self._send(each)

    async def end(self) -> None:
        """Give the key back when no answer came to its end."""
        if not self.settled:
            await self._rules.aabandon(self._request, self._claim)

    def _answer(self) -> StoredAnswer:
        start = self._held[0]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        body = b"".join(each.get("body", b"") for each in self._held[1:])
        return self._rules.answer(self._status, headers, body)


async def _replay(rules: Idempotency, answer: StoredAnswer, send: Send) -> None:
    reply = rules.replay(answer)
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body, bounded by the layer; None when the client left."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body once more, and then what comes after."""
    pending: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def once_more() -> Message:
        return pending.pop() if pending else await receive()

    return once_more
