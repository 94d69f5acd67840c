"""Versions between the layer and an ASGI application."""

import json
from typing import Any, Final

from shared.api._asgi import App, Message, Receive, Scope, Send
from shared.api._exchange import EXCHANGE_KEY
from shared.api._json import dumps
from shared.api._version_use import begin, is_json, too_large, use_version
from shared.api._versions import Spoken, Versions, downgraded, upgraded
from shared.errors import ConfigurationError

__all__ = ["AsgiVersions"]

_LENGTH: Final = b"content-length"


class AsgiVersions:
    """Stands around an application, inside of the layer.

    Args:
        app: The application.
        versions: What decides.
    """

    def __init__(self, app: App, versions: Versions) -> None:
        self.app = app
        self._versions = versions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = scope.get(EXCHANGE_KEY)
        if exchange is None:
            raise ConfigurationError("versions need the request layer: call install_layer(app)")
        spoken = begin(self._versions, exchange)
        if spoken.path != exchange.path:
            _redirect(scope, exchange.path, spoken.path)
        use_version(self._versions, exchange, spoken)
        if spoken.upgrades:
            receive = await _upgrade(spoken, scope, receive)
        if spoken.downgrades:
            send = _Downgrading(spoken, self._versions.max_bytes, send)
        await self.app(scope, receive, send)


def _redirect(scope: Scope, old: str, new: str) -> None:
    """Let the router see the path of the code that answers."""
    whole: str = scope["path"]
    before = whole[: len(whole) - len(old)] if whole.endswith(old) else ""  # what a proxy left in front
    scope["path"] = before + new
    scope["raw_path"] = scope["path"].encode()


async def _upgrade(spoken: Spoken, scope: Scope, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body as the code expects it."""
    headers = list(scope["headers"])
    kind = next((value for name, value in headers if name == b"content-type"), b"")
    if not is_json(kind.decode("latin-1")):
        return receive
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return _giving([message], receive)
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = b"".join(chunks)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # the application refuses it, in its own words
        pass
    else:
        body = dumps(upgraded(spoken, document))
        kept = [(name, value) for name, value in headers if name not in (_LENGTH, b"transfer-encoding")]
        scope["headers"] = [*kept, (_LENGTH, str(len(body)).encode())]
    return _giving([{"type": "http.request", "body": body, "more_body": False}], receive)


def _giving(messages: list[Message], receive: Receive) -> Receive:
    async def give() -> Message:
        return messages.pop(0) if messages else await receive()

    return give


class _Downgrading:
    """Holds a JSON answer until it is complete, and sends it as the caller's version has it."""

    def __init__(self, spoken: Spoken, max_bytes: int, send: Send) -> None:
        self._spoken, self._max_bytes, self._send = spoken, max_bytes, send
        self._start: Any = None
        self._chunks: list[bytes] = []
        self._size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
            if message["status"] < 300 and is_json(kind.decode("latin-1")):
                self._start = message
                return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._chunks.append(message.get("body", b""))
        self._size += len(self._chunks[-1])
        if self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        if not message.get("more_body", False):
            await self._let_go()

    async def _let_go(self) -> None:
        start, body = self._start, b"".join(self._chunks)
        self._start = None
        if body:
            body = dumps(downgraded(self._spoken, json.loads(body)))
        headers = [(name, value) for name, value in start.get("headers", ()) if name.lower() != _LENGTH]
        headers.append((_LENGTH, str(len(body)).encode()))
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
