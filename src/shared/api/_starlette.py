"""What the Starlette and FastAPI installers share."""

import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from shared.api._errors import Reply, bad_body, from_http, is_bad_json
from shared.api._exchange import EXCHANGE_KEY
from shared.api._handlers import ErrorHandlers, may_see_health
from shared.api._installed import installation
from shared.api._options import LayerOptions
from shared.api._pipeline import Pipeline
from shared.api._routes import RouteIndex
from shared.api.asgi import AsgiLayer
from shared.errors import SharedError
from shared.runtime import Runtime

if TYPE_CHECKING:
    from shared.api._jwks import JwksEndpoint
    from shared.monitoring import DetailPolicy, HealthRegistry, Metrics

__all__ = [
    "StarletteHandlers",
    "ask_handler",
    "health_views",
    "install_handlers",
    "metrics_view",
    "put_layer_around",
    "starlette_handlers",
    "to_response",
]

Handler = Callable[[Any, Any], Any]


async def ask_handler(handler: Handler, scope: Any, receive: Any, send: Any, exc: Exception) -> bool:
    """Let the application's own handler for unforeseen exceptions answer."""
    request = Request(scope, receive)
    if inspect.iscoroutinefunction(handler):
        response = await handler(request, exc)
    else:
        response = await run_in_threadpool(handler, request, exc)
    await response(scope, receive, send)
    return True


def install_handlers(
    app: Starlette,
    table: Callable[["StarletteHandlers"], dict[Any, Handler]],
    options: LayerOptions | None,
    runtime: Runtime | None,
    replaced: tuple[Handler, ...] = (),
) -> None:
    """Register the handlers of *table*, sparing those the application registered itself."""
    record = installation(app)
    if record.find("error handlers", options) is not None:
        return
    handlers = StarletteHandlers(app, options, runtime)
    before = dict(app.exception_handlers)
    ours = {key: handler for key, handler in table(handlers).items() if before.get(key) in (None, *replaced)}
    app.exception_handlers.update(ours)
    app.middleware_stack = None

    def undo() -> None:
        for key, handler in ours.items():
            if app.exception_handlers.get(key) is handler:
                del app.exception_handlers[key]
                if key in before:
                    app.exception_handlers[key] = before[key]
        app.middleware_stack = None

    record.add("error handlers", handlers, undo)


def put_layer_around(app: Starlette, pipeline: Pipeline) -> Callable[[], None]:
    """Put the layer in the place of ``ServerErrorMiddleware``; return the undoing."""
    index = RouteIndex(app.router)
    build = app.build_middleware_stack

    def build_with_layer() -> Any:
        stack = build()
        fallback = None
        if type(stack) is ServerErrorMiddleware:
            handler = stack.handler
            if handler is not None and not getattr(handler, "of_shared", False):
                fallback = partial(ask_handler, handler)
            stack = stack.app
        return AsgiLayer(
            stack,
            pipeline,
            route_of=index,
            fallback=fallback,
            disconnects=(ClientDisconnect, WebSocketDisconnect),
        )

    app.build_middleware_stack = build_with_layer  # type: ignore[method-assign]
    app.middleware_stack = None

    def undo() -> None:
        app.__dict__.pop("build_middleware_stack", None)
        app.middleware_stack = None

    return undo


class StarletteHandlers(ErrorHandlers):
    """Exception handlers in Starlette's form."""

    def __init__(self, app: Starlette, options: LayerOptions | None, runtime: Runtime | None) -> None:
        super().__init__(app, options, runtime)
        self._router = app.router

    def respond(self, request: Any, exc: BaseException) -> Response:
        """Return the answer for *exc* as a Starlette response."""
        scope = request.scope
        reply = self.reply(
            exc,
            exchange=scope.get(EXCHANGE_KEY),
            accept=request.headers.get("accept"),
            path=scope["path"],
        )
        return to_response(reply)

    async def http(self, request: Request, exc: HTTPException) -> Response:
        """Answer Starlette's and FastAPI's own HTTP exceptions."""
        if exc.status_code < 400:  # a redirect or 304 raised as an exception has no error body
            return Response(status_code=exc.status_code, headers=exc.headers)
        cause = exc.__cause__
        error: SharedError
        if exc.status_code == 400 and cause is not None and is_bad_json(cause, Request.json):
            error = bad_body(cause)
        else:
            error = from_http(exc.status_code, exc.detail, self._headers(request, exc))
        if request.scope["type"] == "websocket":
            raise error from exc  # the layer closes the connection
        return self.respond(request, error)

    def _headers(self, request: Request, exc: HTTPException) -> Any:
        """Return the headers of *exc*; ``Allow`` with the methods of all routes, not of the first alone."""
        if exc.status_code != 405:
            return exc.headers
        methods = RouteIndex(self._router).methods_for(get_route_path(request.scope))
        return {**(exc.headers or {}), **({"Allow": ", ".join(methods)} if methods else {})}

    async def shared(self, request: Any, exc: SharedError) -> Response | None:
        """Answer our own errors."""
        if request.scope["type"] == "websocket":
            raise exc  # the layer closes the connection
        return self.respond(request, exc)

    async def bad_json(self, request: Any, exc: Exception) -> Response:
        """Answer 400 when the request's body was unreadable; anything else is the service's own failure."""
        if request.scope["type"] == "websocket" or not is_bad_json(exc, Request.json):
            raise exc
        return self.respond(request, bad_body(exc))

    async def unforeseen(self, request: Request, exc: Exception) -> Response:
        """Answer everything else, where no layer does."""
        return self.respond(request, exc)


StarletteHandlers.unforeseen.of_shared = True  # type: ignore[attr-defined]


def starlette_handlers(handlers: StarletteHandlers) -> dict[Any, Handler]:
    return {
        HTTPException: handlers.http,
        SharedError: handlers.shared,
        json.JSONDecodeError: handlers.bad_json,
        UnicodeDecodeError: handlers.bad_json,
        RecursionError: handlers.bad_json,
        Exception: handlers.unforeseen,
    }


def to_response(reply: Reply) -> Response:
    """Return *reply* as a Starlette response."""
    return Response(reply.body, reply.status, headers=dict(reply.headers))


def health_views(registry: "HealthRegistry", details: "DetailPolicy") -> dict[str, Any]:
    """Return the three endpoints as Starlette views."""
    from shared.monitoring import HealthEndpoints

    endpoints = HealthEndpoints(registry, details=details)

    async def health(request: Request) -> Response:
        return to_response(Reply(*await endpoints.ahealth(**_caller(request))))

    async def ready(request: Request) -> Response:
        return to_response(Reply(*await endpoints.aready(**_caller(request))))

    async def live(_request: Request) -> Response:
        return to_response(Reply(*endpoints.live()))

    return {"health": health, "ready": ready, "live": live}


def metrics_view(metrics: "Metrics") -> Any:
    """Return the metrics as a Starlette view."""

    async def view(request: Request) -> Response:
        # In a thread: it may read the files of other workers.
        answer = await run_in_threadpool(metrics.expose, request.headers.get("accept", ""))
        return to_response(Reply(*answer))

    return view


def jwks_view(endpoint: "JwksEndpoint") -> Any:
    """Return the public keys as a Starlette view."""

    async def view(request: Request) -> Response:
        # In a thread: it may look at the file of keys.
        answer = await run_in_threadpool(endpoint.answer, request.headers.get("if-none-match"))
        return to_response(Reply(*answer))

    return view


def _caller(request: Request) -> dict[str, Any]:
    headers, client = request.headers, request.scope.get("client")
    # Behind a proxy the peer is the proxy: an internal address that proves nothing.
    proxied = "x-forwarded-for" in headers or "forwarded" in headers
    return {
        "accept": headers.get("accept", ""),
        "client": client[0] if client and not proxied else None,
        "authorised": may_see_health(),
    }
