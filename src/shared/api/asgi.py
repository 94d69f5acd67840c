"""The request layer for any ASGI application; no framework needed."""

from typing import Any

from shared.api._asgi import App, Fallback, HttpExchange, Receive, RouteOf, Scope, Send, no_route
from shared.api._exchange import EXCHANGE_KEY, Outcome
from shared.api._pipeline import Pipeline
from shared.api._time_limit import TimeLimit
from shared.api._websocket import WebSocketExchange
from shared.context import enter_context, leave_context
from shared.runtime import enter_runtime, leave_runtime

__all__ = ["AsgiLayer"]


class AsgiLayer:
    """The one layer around an ASGI application.

    Ids, trace and context, the runtime, security headers, body limit, errors,
    access log and further jobs, in one pass. ``lifespan`` runs inside the runtime;
    unknown scope types pass untouched.

    Args:
        app: The application.
        pipeline: The compiled plan; a default one when None.
        route_of: Returns the template of the route from the scope and the status;
            without it every request counts as ``"unmatched"``.
        fallback: Asked to answer an exception that nobody foresaw; returns whether it did.
        disconnects: Exceptions that mean that the client has left.

    Example:
        >>> async def application(scope, receive, send):
        ...     await send({"type": "http.response.start", "status": 204, "headers": []})
        ...     await send({"type": "http.response.body"})
        >>> layer = AsgiLayer(application)
    """

    def __init__(
        self,
        app: App,
        pipeline: Pipeline | None = None,
        *,
        route_of: RouteOf | None = None,
        fallback: Fallback | None = None,
        disconnects: tuple[type[Exception], ...] = (),
    ) -> None:
        self.app = app
        self.pipeline: Pipeline = pipeline or Pipeline()
        self.route_of: RouteOf = route_of or no_route
        self.fallback = fallback
        self.disconnects = disconnects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see the ASGI specification, version 3."""
        if scope["type"] != "http" or EXCHANGE_KEY in scope:
            await self._other(scope, receive, send)
            return
        pipeline = self.pipeline
        scope[EXCHANGE_KEY] = exchange = HttpExchange(self, scope, receive, send)
        runtime_token = enter_runtime(pipeline.runtime)
        context_token = enter_context(exchange.context)
        in_flight = pipeline.in_flight
        if in_flight is not None:
            in_flight.enter(exchange)
        limit: TimeLimit | None = None
        send = exchange.send
        try:
            refusal: Any = None
            if exchange.may_have_body:
                refusal, receive = exchange.refuse_body(), exchange.receive
            if exchange.has_deadline and refusal is None:
                refusal = exchange.begin_deadline()
                if refusal is None and pipeline.request_timeout is not None:
                    limit = TimeLimit(exchange)
                    send = limit.send
            if pipeline.on_request_async and refusal is None:
                if pipeline.awaits:
                    refusal = await pipeline.ask_jobs_async(exchange)
                else:
                    refusal = pipeline.ask_jobs(exchange)
            if refusal is None:
                await self.app(scope, receive, send)
                if not (exchange.finished or (limit is not None and limit.expired)):
                    await exchange.settle()
            elif limit is None or not limit.expired:
                await exchange.answer(refusal)
        except Exception as exc:  # noqa: BLE001 - the outermost layer answers for everything
            if limit is None or not limit.expired:
                await exchange.fail(exc)
        except BaseException as exc:
            if limit is None or not limit.is_ours(exc):
                exchange.error = exc
                exchange.abandon(Outcome.CANCELLED)
                raise
        finally:
            if limit is not None:
                await limit.stop()
            # Without this the two would keep each other until the garbage collector comes.
            exchange.detach()
            if in_flight is not None:
                in_flight.leave(exchange)
            leave_context(context_token)
            leave_runtime(runtime_token)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is not an HTTP request, or is one of another layer's."""
        kind = scope["type"]
        if kind == "websocket" and EXCHANGE_KEY not in scope:
            await self._websocket(scope, receive, send)
        elif kind in ("http", "websocket", "lifespan"):
            # Below another layer, which does everything but know our runtime.
            token = enter_runtime(self.pipeline.runtime)
            try:
                await self.app(scope, receive, send)
            finally:
                leave_runtime(token)
        else:
            await self.app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = WebSocketExchange(self, scope, receive, send)
        scope[EXCHANGE_KEY] = exchange
        runtime_token = enter_runtime(self.pipeline.runtime)
        context_token = enter_context(exchange.context)
        in_flight = self.pipeline.in_flight
        if in_flight is not None:
            in_flight.enter(exchange)
        try:
            await exchange.run()
        finally:
            # Without this the two would keep each other until the garbage collector comes.
            exchange.detach()
            if in_flight is not None:
                in_flight.leave(exchange)
            leave_context(context_token)
            leave_runtime(runtime_token)
