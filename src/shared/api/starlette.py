"""The request layer, the error handlers and the health routes for Starlette.

Example:
    >>> from starlette.applications import Starlette
    >>> app = Starlette()
    >>> pipeline = install_layer(app)
    >>> install_error_handlers(app)
    >>> uninstall(app)
"""

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocketDisconnect

from shared.api._envelope import success_bytes
from shared.api._errors import Reply, bad_body, from_http, is_bad_json
from shared.api._exchange import EXCHANGE_KEY, RequestFinished
from shared.api._handlers import ErrorHandlers
from shared.api._installed import installation
from shared.api._jobs import AccessSink, Job
from shared.api._options import LayerOptions
from shared.api._pipeline import Pipeline
from shared.api._routes import RouteIndex
from shared.api.asgi import AsgiLayer
from shared.constants import DEFAULT_API_VERSION, SuccessMessage
from shared.errors import SharedError
from shared.runtime import Runtime

if TYPE_CHECKING:
    from shared.monitoring import DetailPolicy, HealthRegistry

__all__ = [
    "EnvelopeResponse",
    "add_health_routes",
    "install_error_handlers",
    "install_layer",
    "uninstall",
]

A = TypeVar("A", bound=Starlette)
Handler = Callable[[Any, Any], Any]


class EnvelopeResponse(Response):
    """Sends data in the envelope of a success.

    Args:
        content: The data, or a :class:`shared.api.Success`.
        status_code: HTTP status; with 204 and 304 nothing is sent.
        message: One line for people.
        meta: Facts beside the data.
        version: Version of the API.
        **kwargs: As for Starlette's ``Response``: ``headers``, ``background``.

    Example:
        >>> EnvelopeResponse({"id": 7}).body[:31]
        b'{"success":true,"data":{"id":7}'
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        *,
        message: str = str(SuccessMessage.OPERATION),
        meta: Any = None,
        version: str = DEFAULT_API_VERSION,
        **kwargs: Any,
    ) -> None:
        self._parts = {"message": message, "meta": meta, "version": version}
        self._bodyless = status_code < 200 or status_code in (204, 304)
        super().__init__(content, status_code, **kwargs)

    def render(self, content: Any) -> bytes:
        """Return the envelope around *content*."""
        return b"" if self._bodyless else success_bytes(content, **self._parts)


def install_layer(
    app: Starlette,
    options: LayerOptions | None = None,
    *,
    runtime: Runtime | None = None,
    access: AccessSink | None = None,
    jobs: Iterable[Job] = (),
    observers: Iterable[Callable[[RequestFinished], object]] = (),
) -> Pipeline:
    """Put the request layer around *app*, outside of everything it has or gets.

    The layer takes the place of Starlette's ``ServerErrorMiddleware``; a handler
    registered for ``Exception`` or 500 is still asked first. Idempotent; *app*
    keeps its type.

    Args:
        app: A Starlette or FastAPI application, before or after its first request.
        options: What to do; the defaults when None.
        runtime: Made current during each request; the one in force when None.
        access: Where access lines go.
        jobs: Further jobs, in order.
        observers: Called after each exchange.

    Returns:
        The compiled plan.

    Raises:
        ConfigurationError: The layer is installed with other options.
    """
    record = installation(app)
    present: Pipeline | None = record.find("layer", options)
    if present is not None:
        return present
    pipeline = Pipeline(options, runtime=runtime, access=access, jobs=jobs, observers=observers)
    index = RouteIndex(app.router)
    build = app.build_middleware_stack

    def build_with_layer() -> Any:
        stack = build()
        fallback = None
        if type(stack) is ServerErrorMiddleware:
            handler = stack.handler
            if handler is not None and not getattr(handler, "of_shared", False):
                fallback = partial(_ask_handler, handler)
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

    record.add("layer", pipeline, undo)
    return pipeline


async def _ask_handler(handler: Handler, scope: Any, receive: Any, send: Any, exc: Exception) -> bool:
    """Let the application's own handler for unforeseen exceptions answer."""
    import inspect

    request = Request(scope, receive)
    if inspect.iscoroutinefunction(handler):
        response = await handler(request, exc)
    else:
        response = await run_in_threadpool(handler, request, exc)
    await response(scope, receive, send)
    return True


# --- errors -----------------------------------------------------------------------------


def install_error_handlers(
    app: Starlette, options: LayerOptions | None = None, *, runtime: Runtime | None = None
) -> None:
    """Answer every error of *app* in the service's form; see :class:`LayerOptions`.

    Handlers that the application registered itself stay, and those it registers
    later win. Idempotent.

    Args:
        app: The application.
        options: The form; those of an installed layer, else the defaults, when None.
        runtime: Whose :class:`~shared.errors.ErrorMap` translates foreign exceptions.

    Raises:
        ConfigurationError: The handlers are installed with other options.
    """
    install_handlers(app, starlette_handlers, options, runtime)


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
    handlers = StarletteHandlers.of(app, options, runtime)
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


class StarletteHandlers(ErrorHandlers):
    """Exception handlers in Starlette's form."""

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
        if exc.status_code == 400 and cause is not None and is_bad_json(cause, Request.json):
            return self.respond(request, bad_body(cause))
        return self.respond(request, from_http(exc.status_code, exc.detail, exc.headers))

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


# --- health -----------------------------------------------------------------------------


def add_health_routes(
    app: Starlette,
    registry: "HealthRegistry",
    *,
    health_path: str = "/health",
    ready_path: str = "/ready",
    live_path: str = "/live",
    details: "DetailPolicy" = "internal",
) -> None:
    """Answer the three probes; see :class:`shared.monitoring.HealthEndpoints`.

    Idempotent; a path that the application already serves keeps its own answer.

    Args:
        app: The application.
        registry: Whose checks and lifecycle decide.
        health_path: Path of the full report.
        ready_path: Path of the readiness probe.
        live_path: Path of the liveness probe.
        details: Who sees the parts: ``"always"``, ``"never"`` or ``"internal"`` callers.
    """
    record = installation(app)
    if record.find("health routes", None) is not None:
        return
    views = health_views(registry, details)
    paths = {"health": health_path, "ready": ready_path, "live": live_path}
    taken = {getattr(route, "path", None) for route in app.router.routes}
    routes = [
        Route(path, views[name], methods=["GET"], name=f"shared_{name}", include_in_schema=False)
        for name, path in paths.items()
        if path not in taken
    ]
    # In front: a catch-all route or a mount at "/" must not hide the probes.
    app.router.routes[:0] = routes

    def undo() -> None:
        app.router.routes[:] = [
            route for route in app.router.routes if not any(route is own for own in routes)
        ]

    record.add("health routes", routes, undo)


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


def _caller(request: Request) -> dict[str, Any]:
    headers, client = request.headers, request.scope.get("client")
    # Behind a proxy the peer is the proxy: an internal address that proves nothing.
    proxied = "x-forwarded-for" in headers or "forwarded" in headers
    return {"accept": headers.get("accept", ""), "client": client[0] if client and not proxied else None}


def uninstall(app: Starlette) -> None:
    """Take out of *app* everything this module put in, last first."""
    installation(app).remove_all()
