"""The request layer for any WSGI application; no framework needed.

Example:
    >>> from shared.api import Pipeline
    >>> def application(environ, start_response):
    ...     start_response("204 No Content", [])
    ...     return []
    >>> layer = WsgiLayer(application, Pipeline())
"""

from collections.abc import Iterable
from typing import Any

from shared.api._exchange import EXCHANGE_KEY, Outcome
from shared.api._pipeline import Pipeline
from shared.api._wsgi import (
    App,
    Body,
    Environ,
    RouteOf,
    SizedBody,
    StartResponse,
    WsgiExchange,
    WsgiHeaders,
    no_route,
)

__all__ = ["WsgiExchange", "WsgiHeaders", "WsgiLayer"]


class WsgiLayer:
    """The one layer around a WSGI application.

    Ids, trace and context, the runtime, security headers, body limit, errors,
    access log and further jobs. Context and log end when the server closes the
    answer's iterable, so a streamed answer keeps both to its last byte and the
    thread is clean for the next request.

    Args:
        app: The application.
        pipeline: The compiled plan; a default one when None.
        route_of: Returns the template of the route from environ and status; without
            it every request counts as ``"unmatched"``.
    """

    def __init__(
        self, app: App, pipeline: Pipeline | None = None, *, route_of: RouteOf | None = None
    ) -> None:
        self.app = app
        self.pipeline = pipeline or Pipeline()
        self.route_of: RouteOf = route_of or no_route
        self.bypass = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; see PEP 3333."""
        if self.bypass or EXCHANGE_KEY in environ:  # below another layer, which does everything
            return self.app(environ, start_response)
        exchange = WsgiExchange(self, environ, start_response)
        exchange.enter()
        environ[EXCHANGE_KEY] = exchange
        try:
            body = self._respond(exchange)
        except BaseException as exc:
            exchange.error = exc
            exchange.finish(Outcome.FAILED if isinstance(exc, Exception) else Outcome.CANCELLED)
            raise
        file_wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
            # The server sends such a file by itself, without looking at the chunks.
            exchange.finish()
            return body
        return SizedBody(exchange, body) if isinstance(body, (list, tuple)) else Body(exchange, body)

    def _respond(self, exchange: WsgiExchange) -> Iterable[bytes]:
        pipeline = self.pipeline
        try:
            refusal: Any = exchange.bound_input()
            if refusal is None and pipeline.on_request:
                refusal = pipeline.ask_jobs(exchange)
            if refusal is not None:
                return exchange.answer(refusal)
            return self.app(exchange.environ, exchange.start)
        except Exception as exc:  # noqa: BLE001 - the outermost layer answers for everything
            return exchange.fail(exc)
