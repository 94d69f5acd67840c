"""The network: one try of one request, sent by the SDK and read here within time and size."""

import asyncio
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from shared.errors import InvalidStateError, SharedError
from shared.integrations.openai._core import ClientCore
from shared.integrations.openai._errors import late, translate
from shared.integrations.openai._results import malformed
from shared.integrations.openai._sdk import load_sdk, load_sdk_async, make_client, send_options
from shared.runtime import after_fork_in_child

__all__ = ["AsyncTransport", "Read", "Transport"]

Read = Callable[[bytes, str, str], Any]
"""Makes a value of the body, the model's name and the request's id; raises our errors."""


class _Body:
    """Collects an answer, refusing what is too large."""

    __slots__ = ("_limit", "_model", "_parts", "_size")

    def __init__(self, model: str, limit: int) -> None:
        self._model = model
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Take in a piece, also counted once unpacked."""
        self._size += len(chunk)
        if self._size > self._limit:
            raise malformed(self._model, f"more than {self._limit} bytes")
        self._parts.append(chunk)

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._parts)


class _TransportBase:
    """What both transports know."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._closed = False
        after_fork_in_child(self)

    def after_fork(self) -> None:
        """Take a new lock; the parent may have held the old one."""
        self._lock = threading.Lock()

    def _call(self, sdk: Any, path: str, body: Any, limit: float) -> Any:
        """Begin a request: a response, or an awaitable of one."""
        import httpx2

        openai = load_sdk()
        how: dict[str, Any] = {
            "cast_to": httpx2.Response,
            "options": send_options(self._core.options, limit),
            "stream": True,  # so that the body is read here, within the limits
            "stream_cls": openai.Stream,
        }
        return sdk.get(path, **how) if body is None else sdk.post(path, body=body, **how)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            msg = f"the client of {self._core.options.shown} is closed"
            raise InvalidStateError(msg)

    def _ours(self, error: Exception, model: str, limit: float, timeout: float) -> SharedError:
        return translate(error, model, limit, by_deadline=limit < timeout)


def _request_id(response: Any) -> str:
    value: str = response.headers.get("x-request-id", "")
    return value[:200]


class Transport(_TransportBase):
    """For threads: one SDK client, made by the first call."""

    _sdk: Any = None

    def fetch(self, path: str, body: Any, model: str, timeout: float, read: Read) -> Any:
        """Send one try, read all of its answer, and return what *read* makes of it."""
        began = self._core.clock()
        response, limit = self.send(path, body, model, timeout)
        whole = _Body(model, self._core.options.max_response_bytes)
        try:
            for chunk in response.iter_bytes():
                whole.add(chunk)
                # The limit of the HTTP library is for each read; a dripping answer never meets it.
                self._in_time(began, model, limit, timeout)
        except Exception as exc:
            ours = self._ours(exc, model, limit, timeout)
            if ours is exc:
                raise
            raise ours from exc
        finally:
            response.close()
        return read(whole.whole(), model, _request_id(response))

    def send(self, path: str, body: Any, model: str, timeout: float) -> tuple[Any, float]:
        """Send one try; return the response, of which the headers are there, and its limit in seconds."""
        limit, _ = self._core.time_allowed(model, timeout)
        sdk = self._client()
        with self._core.guards.account:
            try:
                response = self._call(sdk, path, body, limit)
            except Exception as exc:
                ours = self._ours(exc, model, limit, timeout)
                if ours is exc:
                    raise
                raise ours from exc
        return response, limit

    def _in_time(self, began: float, model: str, limit: float, timeout: float) -> None:
        if self._core.clock() - began > limit:
            raise late(model, limit, by_deadline=limit < timeout)

    def _client(self) -> Any:
        if self._sdk is None or self._closed:
            with self._lock:
                self._refuse_when_closed()
                if self._sdk is None:
                    self._sdk = make_client(self._core.options, asynchronous=False)
        return self._sdk

    def after_fork(self) -> None:
        """Forget the connections in a forked child: they belong to the parent."""
        super().after_fork()
        self._sdk = None

    def close(self) -> None:
        """Close the connections; calling it again does nothing."""
        with self._lock:
            sdk, self._sdk, self._closed = self._sdk, None, True
        if sdk is not None:
            sdk.close()


class AsyncTransport(_TransportBase):
    """For coroutines: one SDK client per event loop, whose connections it holds."""

    def __init__(self, core: ClientCore) -> None:
        super().__init__(core)
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    async def fetch(self, path: str, body: Any, model: str, timeout: float, read: Read) -> Any:  # noqa: ASYNC109
        """Send one try, read all of its answer, and return what *read* makes of it."""
        began = self._core.clock()
        response, limit = await self.send(path, body, model, timeout)
        whole = _Body(model, self._core.options.max_response_bytes)
        try:
            async with asyncio.timeout(max(0.0, limit - (self._core.clock() - began))):
                async for chunk in response.aiter_bytes():
                    whole.add(chunk)
        except Exception as exc:
            ours = self._ours(exc, model, limit, timeout)
            if ours is exc:
                raise
            raise ours from exc
        finally:
            await response.aclose()
        return read(whole.whole(), model, _request_id(response))

    async def send(self, path: str, body: Any, model: str, timeout: float) -> tuple[Any, float]:  # noqa: ASYNC109
        """As :meth:`Transport.send`."""
        sdk = await self._client()
        limit, _ = self._core.time_allowed(model, timeout)
        with self._core.guards.account:
            try:
                async with asyncio.timeout(limit):
                    response = await self._call(sdk, path, body, limit)
            except Exception as exc:
                ours = self._ours(exc, model, limit, timeout)
                if ours is exc:
                    raise
                raise ours from exc
        return response, limit

    async def _client(self) -> Any:
        self._refuse_when_closed()
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            await load_sdk_async()
            with self._lock:
                client = self._clients.get(loop)
                if client is None:
                    client = self._clients[loop] = make_client(self._core.options, asynchronous=True)
        return client

    def after_fork(self) -> None:
        """Forget the connections in a forked child: they belong to the parent."""
        super().after_fork()
        self._clients = weakref.WeakKeyDictionary()

    def close(self) -> None:
        """Warn: the connections belong to an event loop and are closed by :meth:`aclose`."""
        if any(not loop.is_closed() for loop in self._clients):
            warnings.warn(
                f"the client of {self._core.options.shown} can only be closed by await client.aclose()",
                ResourceWarning,
                stacklevel=3,
            )

    async def aclose(self) -> None:
        """Close the connections of this event loop; calling it again does nothing."""
        self._closed = True
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()
