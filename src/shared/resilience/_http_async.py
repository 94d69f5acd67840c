"""The HTTP client for calling another service, asynchronous."""

import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shared.errors import SharedError
from shared.resilience._http_base import HttpBase
from shared.resilience._http_core import Call, outbound_headers, span_of, translate
from shared.resilience._timeout import Timeout

if TYPE_CHECKING:
    import httpx2

__all__ = ["AsyncServiceClient"]


class AsyncServiceClient(HttpBase):
    """The asynchronous twin of :class:`ServiceClient`: same arguments, same behaviour, awaited.

    Example:
        >>> import asyncio, httpx2
        >>> async def main():
        ...     transport = httpx2.MockTransport(lambda request: httpx2.Response(200, text="pong"))
        ...     async with AsyncServiceClient("http://payments", transport=transport) as payments:
        ...         return (await payments.get("/ping")).text
        >>> asyncio.run(main())
        'pong'
    """

    async def request(
        self, method: str, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a request and return the complete answer; see :meth:`ServiceClient.request`."""
        call = self._call(method, route, path, options)
        try:
            answer: httpx2.Response = await self._guarded(self._attempt, repeatable=call.repeatable)(call)
        except SharedError:
            if call.check or call.response is None:
                raise
            answer = call.response
        return answer

    async def _attempt(self, call: Call) -> Any:
        call.response = None
        limit, by_deadline = call.time_allowed()
        span = span_of(call)
        headers = outbound_headers(call, limit, span)
        started, error = self.clock(), None
        try:
            with Timeout(limit, name=call.service, clock=self.clock, events=self.events):
                return await self._exchange(call, headers, limit)
        except Exception as exc:
            error = translate(call, exc, limit, by_deadline=by_deadline)
            if error is exc:
                raise
            raise error from exc
        finally:
            self._told(call, started, error, span)
            del error

    async def _exchange(self, call: Call, headers: dict[str, str], limit: float) -> Any:
        client = self._open(self._httpx2.AsyncClient)
        response = await client.send(self._request(call, client, limit, headers), stream=True)
        body: list[bytes] = []
        size = 0
        try:
            async for chunk in response.aiter_bytes():
                size = self._grow(body, size, chunk, call)
        finally:
            await response.aclose()
        return self._finish(call, response, b"".join(body))

    async def get(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a GET; see :meth:`ServiceClient.request`."""
        return await self.request("GET", route, path=path, **options)

    async def head(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a HEAD; see :meth:`ServiceClient.request`."""
        return await self.request("HEAD", route, path=path, **options)

    async def post(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a POST; see :meth:`ServiceClient.request`."""
        return await self.request("POST", route, path=path, **options)

    async def put(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a PUT; see :meth:`ServiceClient.request`."""
        return await self.request("PUT", route, path=path, **options)

    async def patch(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a PATCH; see :meth:`ServiceClient.request`."""
        return await self.request("PATCH", route, path=path, **options)

    async def delete(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a DELETE; see :meth:`ServiceClient.request`."""
        return await self.request("DELETE", route, path=path, **options)

    def close(self) -> None:
        """Warn: the connections belong to an event loop and are closed by :meth:`aclose`."""
        if self._made is not None:
            warnings.warn(
                f"{self!r} can only be closed by await client.aclose()", ResourceWarning, stacklevel=2
            )

    async def aclose(self) -> None:
        """Close the connections; calling it again does nothing."""
        with self._lock:
            made, self._made, self._closed = self._made, None, True
        if made is not None:
            await made.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
