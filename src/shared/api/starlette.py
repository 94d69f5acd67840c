"""The request layer, the error handlers and the health routes for Starlette.

Example:
    >>> from starlette.applications import Starlette
    >>> app = Starlette()
    >>> pipeline = install_layer(app)
    >>> install_error_handlers(app)
    >>> uninstall(app)
"""

from shared.errors import ConfigurationError, MissingDependencyError

try:
    import starlette as _starlette  # noqa: F401 - looked for first, to say what to install
except ImportError as _exc:
    raise MissingDependencyError("starlette", extra="fastapi") from _exc

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from shared.api._envelope import Success, data_bytes, splice
from shared.api._exchange import EXCHANGE_KEY, RequestFinished
from shared.api._idempotency_asgi import AsgiIdempotency
from shared.api._installed import install_pipeline, installation
from shared.api._jobs import AccessSink, Job
from shared.api._listing import Listing
from shared.api._options import LayerOptions
from shared.api._page_request import PageRequest
from shared.api._pipeline import Pipeline
from shared.api._routes import RouteIndex
from shared.api._starlette import (
    install_handlers,
    put_layer_around,
    starlette_handlers,
)
from shared.api._starlette_openapi import add_openapi, add_security_schemes, openapi_document
from shared.api._starlette_routes import add_health_routes, add_jwks_route, add_metrics_route
from shared.api._versions_asgi import AsgiVersions
from shared.constants import DEFAULT_API_VERSION, SuccessMessage
from shared.runtime import Runtime

if TYPE_CHECKING:
    from shared.api._idempotency import Idempotency
    from shared.api._versions import Versions

__all__ = [
    "EnvelopeResponse",
    "add_health_routes",
    "add_idempotency",
    "add_jwks_route",
    "add_metrics_route",
    "add_openapi",
    "add_security_schemes",
    "add_versions",
    "install_error_handlers",
    "install_layer",
    "openapi_document",
    "operations",
    "page_request",
    "uninstall",
]


class EnvelopeResponse(Response):
    """Sends data in the envelope of a success.

    Args:
        content: The data, or a :class:`shared.api.Success`.
        status_code: HTTP status; with 204 and 304 nothing is sent.
        message: One line for people.
        meta: Facts beside the data.
        version: Version of the API; that of the request's layer when None.
        **kwargs: As for Starlette's ``Response``: ``headers``, ``background``.

    Example:
        >>> EnvelopeResponse({"id": 7}).body[:31]
        b'{"success":true,"data":{"id":7}'
    """

    media_type = "application/json"
    body: Any  # bytes; Starlette's own declaration differs by version

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        *,
        message: str = str(SuccessMessage.OPERATION),
        meta: Any = None,
        version: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._success = content if isinstance(content, Success) else Success(content, message, meta)
        self._version = version
        self._bodyless = status_code < 200 or status_code in (204, 304)
        super().__init__(self._success.data, status_code, **kwargs)
        for name, value in self._success.headers:
            self.headers.append(name, value)

    def render(self, content: Any) -> bytes:
        """Return the envelope around *content*."""
        if self._bodyless:
            return b""
        self._data = data_bytes(content)
        return self._enclosed(self._version or DEFAULT_API_VERSION)

    def _enclosed(self, version: str) -> bytes:
        return splice(self._data, self._success.message, version, self._success.meta)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it; only now the version of the request's layer is known."""
        exchange = scope.get(EXCHANGE_KEY)
        if self._version is None and exchange is not None and not self._bodyless:
            self._version = exchange.api_version
            if self._version != DEFAULT_API_VERSION:
                self.body = self._enclosed(self._version)
                self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


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

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> install_layer(app).options.api_version
        'v1'
    """
    return install_pipeline(
        app,
        options,
        partial(put_layer_around, app),
        runtime=runtime,
        access=access,
        jobs=jobs,
        observers=observers,
    )


def add_idempotency(app: Starlette, idempotency: "Idempotency") -> None:
    """Carry unsafe requests with an ``Idempotency-Key`` out once; see :class:`shared.api.Idempotency`.

    Stands inside of every middleware, so that one that authenticates comes first, and
    needs the request layer. Idempotent.

    Args:
        app: A Starlette or FastAPI application, before its first request.
        idempotency: What decides; closing it is up to you.

    Raises:
        ConfigurationError: The layer is not installed.

    Example:
        >>> from starlette.applications import Starlette
        >>> from shared.api import Idempotency
        >>> app = Starlette()
        >>> pipeline = install_layer(app)
        >>> add_idempotency(app, Idempotency("memory://"))
    """
    record = installation(app)
    if record.find("idempotency", None) is None:
        # Outside of the versions: a key belongs to the request as it was sent.
        middleware = Middleware(AsgiIdempotency, idempotency=idempotency)
        _add_middleware(app, "idempotency", idempotency, middleware)


def add_versions(app: Starlette, versions: "Versions") -> None:
    """Let *app* speak several versions; see :class:`shared.api.Versions`.

    Stands next to the routes, inside of every middleware, and needs the request layer.
    Idempotent.

    Args:
        app: A Starlette or FastAPI application, before its first request.
        versions: What decides.

    Raises:
        ConfigurationError: The layer is not installed.

    Example:
        >>> from starlette.applications import Starlette
        >>> from shared.api import Versions
        >>> app = Starlette()
        >>> pipeline = install_layer(app)
        >>> add_versions(app, Versions(["v1", "v2"]))
    """
    record = installation(app)
    if record.find("versions", None) is None:
        _add_middleware(app, "versions", versions, Middleware(AsgiVersions, versions=versions))


def _add_middleware(app: Starlette, part: str, value: Any, middleware: Middleware) -> None:
    """Put *middleware* next to the routes."""
    record = installation(app)
    if record.find("layer", None) is None:
        msg = f"{part} need the request layer: call install_layer(app) first"
        raise ConfigurationError(msg)
    app.user_middleware.append(middleware)
    app.middleware_stack = None

    def undo() -> None:
        if middleware in app.user_middleware:
            app.user_middleware.remove(middleware)
        app.middleware_stack = None

    record.add(part, value, undo)


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

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> install_error_handlers(app, LayerOptions(error_format="problem"))
    """
    install_handlers(app, starlette_handlers, options, runtime)


def page_request(request: Request, listing: Listing) -> PageRequest:
    """Return what *request* asks of *listing*.

    Raises:
        ValidationError: A parameter is not declared or does not fit.
        BadRequestError: The cursor is not one of ours, or no longer.

    Example:
        >>> from shared.api import Listing
        >>> scope = {"type": "http", "path": "/films", "query_string": b"page=2", "headers": []}
        >>> page_request(Request(scope), Listing(style="page")).number
        2
    """
    return listing.read(request.scope.get("query_string", b""))


def operations(app: Starlette) -> tuple[tuple[str, str], ...]:
    """Return method and template of every route *app* has now, mounts and routers included.

    Example:
        >>> from starlette.routing import Mount, Route
        >>> orders = Route("/{id}", lambda request: None, methods=["GET"])
        >>> operations(Starlette(routes=[Mount("/orders", routes=[orders])]))
        (('GET', '/orders/{id}'), ('HEAD', '/orders/{id}'))
    """
    return RouteIndex(app.router).operations()


def uninstall(app: Starlette) -> None:
    """Take out of *app* everything this module put in, last first.

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> pipeline = install_layer(app)
        >>> uninstall(app)
    """
    installation(app).remove_all()
