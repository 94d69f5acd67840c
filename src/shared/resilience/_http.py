"""The HTTP client for calling another service."""

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shared.errors import SharedError
from shared.resilience._http_base import HttpBase
from shared.resilience._http_core import Call, outbound_headers, span_of, translate

if TYPE_CHECKING:
    import httpx2

__all__ = ["ServiceClient"]


class ServiceClient(HttpBase):
    """Calls another service over HTTP, the way a service should.

    Each request carries the correlation id, the trace and the seconds it may take; runs
    under the policy of the service (retries, circuit breaker, …); is cut off at its
    timeout or the deadline, whichever is nearer; and ends in an answer below 400 or in
    one of our errors. Retried are the idempotent methods, requests with an idempotency
    key, and whatever never reached the service; ``Retry-After`` is honoured. Errors,
    events and logs name the service, the method and the route, never the values in it,
    the query, a header or the body.

    One client per service, kept for the life of the process (it holds a connection
    pool); thread-safe; a context manager. Needs the extra ``http``.

    Args:
        base_url: Where the service is, such as ``"http://payments:8000/api"``.
        name: The dependency, for the policy, errors and events; the host by default.
        policy: A :class:`Policy` or :func:`guard`; ``guard(name)`` by default.
        timeout: Seconds for one try as a whole.
        connect_timeout: Seconds for making a connection.
        headers: Sent with each request.
        propagate: Whether ids and deadline are sent along; False for suppliers outside
            of the house, whom they do not concern.
        max_response_bytes: Largest answer, unpacked.
        max_connections: Size of the connection pool.
        verify: True, or an ``ssl.SSLContext``.
        auth: An ``httpx2.Auth`` that signs requests.
        transport: An httpx2 transport in place of the network.
        trust_env: Whether proxies are taken from the environment.
        clock: Gives monotonic seconds.
        events: Where events go; the current runtime's by default.

    Raises:
        MissingDependencyError: httpx2 is not installed.
        InvalidArgumentError: A value is out of range.

    Example:
        >>> import httpx2
        >>> def charges(request):
        ...     return httpx2.Response(200, json={"path": request.url.path})
        >>> with ServiceClient("http://payments", transport=httpx2.MockTransport(charges)) as payments:
        ...     payments.get("/charges/{id}", path={"id": "ch 1"}).json()
        {'path': '/charges/ch 1'}
    """

    def request(
        self, method: str, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a request and return the complete answer.

        Args:
            method: ``"GET"`` and so on.
            route: Path below the base URL, with ``{placeholders}``.
            path: Their values, quoted as one segment each.
            **options: ``params``, ``json``, ``data``, ``content``, ``files``, ``cookies`` as in
                httpx2; ``headers``; ``timeout`` in seconds; ``idempotency_key``, which allows
                retries of any method; ``check=False`` to get answers from 400 on, too.

        Raises:
            InvalidArgumentError: The request cannot be built.
            InvalidStateError: The client is closed.
            SharedError: What the answer, or its absence, stands for.
        """
        call = self._call(method, route, path, options)
        try:
            answer: httpx2.Response = self._guarded(self._attempt, repeatable=call.repeatable)(call)
        except SharedError:
            if call.check or call.response is None:
                raise
            answer = call.response
        return answer

    def _attempt(self, call: Call) -> Any:
        call.response = None
        limit, by_deadline = call.time_allowed()
        span = span_of(call)
        headers = outbound_headers(call, limit, span)
        started, error = self.clock(), None
        try:
            return self._exchange(call, headers, limit, started, by_deadline=by_deadline)
        except Exception as exc:
            error = translate(call, exc, limit, by_deadline=by_deadline)
            if error is exc:
                raise
            raise error from exc
        finally:
            self._told(call, started, error, span)
            del error

    def _exchange(
        self, call: Call, headers: dict[str, str], limit: float, started: float, *, by_deadline: bool
    ) -> Any:
        client = self._open(self._httpx2.Client)
        response = client.send(self._request(call, client, limit, headers), stream=True)
        body: list[bytes] = []
        size = 0
        try:
            for chunk in response.iter_bytes():
                size = self._grow(body, size, chunk, call)
                # The limit of httpx2 is for each read; a dripping answer never meets it.
                if self.clock() - started > limit:
                    raise call.late(limit, by_deadline=by_deadline)
        finally:
            response.close()
        return self._finish(call, response, b"".join(body))

    def get(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a GET; see :meth:`request`."""
        return self.request("GET", route, path=path, **options)

    def head(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a HEAD; see :meth:`request`."""
        return self.request("HEAD", route, path=path, **options)

    def post(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a POST; see :meth:`request`."""
        return self.request("POST", route, path=path, **options)

    def put(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a PUT; see :meth:`request`."""
        return self.request("PUT", route, path=path, **options)

    def patch(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a PATCH; see :meth:`request`."""
        return self.request("PATCH", route, path=path, **options)

    def delete(
        self, route: str, *, path: Mapping[str, object] | None = None, **options: Any
    ) -> "httpx2.Response":
        """Send a DELETE; see :meth:`request`."""
        return self.request("DELETE", route, path=path, **options)

    def close(self) -> None:
        """Close the connections; calling it again does nothing."""
        with self._lock:
            made, self._made, self._closed = self._made, None, True
        if made is not None:
            made.close()

    async def aclose(self) -> None:
        """As :meth:`close`, for a runtime that closes asynchronously."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
