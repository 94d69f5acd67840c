"""The request layer for any WSGI application; no framework needed."""

from collections.abc import Iterable
from typing import Any

from shared.api._exchange import EXCHANGE_KEY, Outcome
from shared.api._pipeline import Pipeline
from shared.api._plan import asynchronous_only
from shared.api._wsgi import (
    App,
    Environ,
    RouteOf,
    SizedBody,
    StartResponse,
    WsgiExchange,
    no_route,
)
from shared.errors import ConfigurationError
from shared.runtime import enter_runtime, leave_runtime

__all__ = ["WsgiLayer"]


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

    Raises:
        ConfigurationError: A job can only decide asynchronously.

    Example:
        >>> def application(environ, start_response):
        ...     start_response("204 No Content", [])
        ...     return []
        >>> layer = WsgiLayer(application)
    """

    def __init__(
        self, app: App, pipeline: Pipeline | None = None, *, route_of: RouteOf | None = None
    ) -> None:
        self.app = app
        self.pipeline: Pipeline = pipeline or Pipeline()
        if names := asynchronous_only(self.pipeline.jobs):
            msg = f"WSGI cannot await {', '.join(names)}: give it on_request beside on_request_async"
            raise ConfigurationError(msg)
        self.route_of: RouteOf = route_of or no_route
        self.bypass = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; see PEP 3333."""
        if self.bypass:
            return self.app(environ, start_response)
        if EXCHANGE_KEY in environ:
            return self._inside(environ, start_response)
        environ[EXCHANGE_KEY] = exchange = WsgiExchange(self, environ, start_response)
        pipeline = self.pipeline
        if pipeline.in_flight is not None:
            pipeline.in_flight.enter(exchange)
        try:
            try:
                refusal: Any = None
                if (
                    environ.get("CONTENT_LENGTH")
                    or "HTTP_TRANSFER_ENCODING" in environ
                    or "wsgi.input_terminated" in environ  # HTTP/2 announces no length
                ):
                    refusal = exchange.bound_input()
                if refusal is None and (
                    pipeline.request_timeout is not None or "HTTP_X_REQUEST_DEADLINE" in environ
                ):
                    refusal = exchange.begin_deadline()
                if pipeline.on_request and refusal is None:
                    refusal = pipeline.ask_jobs(exchange)
                if refusal is None:
                    body = self.app(environ, exchange.start)
                else:
                    body = exchange.answer(refusal)
            except Exception as exc:  # noqa: BLE001 - the outermost layer answers for everything
                body = exchange.fail(exc)
        except BaseException as exc:
            exchange.error = exc
            exchange.finish(Outcome.FAILED if isinstance(exc, Exception) else Outcome.CANCELLED)
            raise
        exchange.body = body
        if isinstance(body, (list, tuple)):
            return SizedBody(exchange, len(body))
        file_wrapper = environ.get("wsgi.file_wrapper")
        if file_wrapper is not None and isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
            # The server sends such a file by itself, without looking at the chunks.
            exchange.finish()
            return body
        return exchange

    def _inside(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve below another layer, which does everything but know our runtime."""
        token = enter_runtime(self.pipeline.runtime)
        try:
            return self.app(environ, start_response)
        finally:
            leave_runtime(token)
