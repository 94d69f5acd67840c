"""The request layer, the error handlers, OpenAPI and the health routes for FastAPI.

Example:
    >>> from fastapi import FastAPI
    >>> app = FastAPI(routes=[])
    >>> pipeline = install_layer(app)
    >>> install_error_handlers(app)
    >>> "ErrorEnvelope" in app.openapi()["components"]["schemas"]
    True
"""

from shared.errors import MissingDependencyError

try:
    import fastapi as _fastapi  # noqa: F401 - looked for first, to say what to install
except ImportError as _exc:
    raise MissingDependencyError("fastapi", extra="fastapi") from _exc

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exception_handlers import (
    http_exception_handler,
    request_validation_exception_handler,
    websocket_request_validation_exception_handler,
)
from fastapi.exceptions import (
    RequestValidationError,
    ResponseValidationError,
    WebSocketRequestValidationError,
)
from starlette.requests import Request
from starlette.responses import Response

from shared.api import _openapi
from shared.api._auth_openapi import with_security
from shared.api import _starlette as _shared
from shared.api import starlette as _starlette
from shared.api._declared import LISTING, declared_for, declared_routes, with_declared
from shared.api._envelope_route import EnvelopeRoute
from shared.api._exchange import RequestFinished
from shared.api._installed import installation
from shared.api._jobs import AccessSink, Job
from shared.api._listing import Listing
from shared.api._options import LayerOptions
from shared.api._page_request import PageRequest
from shared.api._pipeline import Pipeline
from shared.api._validation import describe_errors, validation_error
from shared.api.starlette import EnvelopeResponse, add_jwks_route, add_metrics_route, uninstall
from shared.errors import SharedError
from shared.runtime import Runtime

if TYPE_CHECKING:
    from shared.api._idempotency import Idempotency
    from shared.api._versions import Versions
    from shared.auth import Authenticators
    from shared.monitoring import DetailPolicy, HealthRegistry

__all__ = [
    "EnvelopeResponse",
    "EnvelopeRoute",
    "add_health_routes",
    "add_idempotency",
    "add_jwks_route",
    "add_metrics_route",
    "add_security_schemes",
    "add_versions",
    "install_error_handlers",
    "install_layer",
    "operations",
    "page_dependency",
    "uninstall",
]

_POLICY_VIOLATION = 1008


def install_layer(
    app: FastAPI,
    options: LayerOptions | None = None,
    *,
    runtime: Runtime | None = None,
    access: AccessSink | None = None,
    jobs: Iterable[Job] = (),
    observers: Iterable[Callable[[RequestFinished], object]] = (),
) -> Pipeline:
    """Put the request layer around *app*; as for Starlette.

    The application's own documentation pages get the policy ``docs``, wherever
    they are served. See :func:`shared.api.starlette.install_layer`.

    Example:
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> install_layer(app).options.api_version
        'v1'
    """
    record = installation(app)
    present: Pipeline | None = record.find("layer", None)
    pages = (app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url)
    options = options.with_docs(pages) if options is not None else None
    if present is None and options is None:
        options = LayerOptions().with_docs(pages)
    return _starlette.install_layer(
        app, options, runtime=runtime, access=access, jobs=jobs, observers=observers
    )


def install_error_handlers(
    app: FastAPI,
    options: LayerOptions | None = None,
    *,
    runtime: Runtime | None = None,
    openapi: bool = True,
) -> None:
    """Answer every error of *app* in the service's form, and document it.

    As :func:`shared.api.starlette.install_error_handlers`; a refused input never
    comes back to the caller.

    Args:
        app: The application.
        options: The form; those of an installed layer, else the defaults, when None.
        runtime: Whose :class:`~shared.errors.ErrorMap` translates foreign exceptions.
        openapi: Whether the OpenAPI document describes these errors instead of
            FastAPI's ``HTTPValidationError``.

    Example:
        >>> from fastapi import FastAPI
        >>> app = FastAPI()
        >>> install_error_handlers(app, LayerOptions(error_format="problem"))
    """
    _shared.install_handlers(app, _fastapi_handlers, options, runtime, replaced=_DEFAULTS)
    if openapi:
        _document(app)


_DEFAULTS: tuple[Any, ...] = (
    http_exception_handler,
    request_validation_exception_handler,
    websocket_request_validation_exception_handler,
)


def _fastapi_handlers(handlers: _shared.StarletteHandlers) -> dict[Any, Any]:
    async def invalid_request(request: Any, exc: RequestValidationError) -> Response:
        return handlers.respond(request, validation_error(exc))

    async def invalid_response(request: Any, exc: ResponseValidationError) -> Response:
        # FastAPI's own text quotes the response; this one goes to log and, in development, client.
        error = SharedError(
            "the response does not fit its declared model", details={"errors": describe_errors(exc.errors())}
        )
        return handlers.respond(request, error)

    async def invalid_websocket(websocket: Any, _exc: WebSocketRequestValidationError) -> None:
        # FastAPI's default sends the whole report, input included, as the reason.
        await websocket.close(code=_POLICY_VIOLATION, reason="VALIDATION_ERROR")

    return {
        **_shared.starlette_handlers(handlers),
        RequestValidationError: invalid_request,
        ResponseValidationError: invalid_response,
        WebSocketRequestValidationError: invalid_websocket,
    }


def _document(app: FastAPI) -> None:
    record = installation(app)
    if record.find("openapi", None) is not None:
        return
    original = app.openapi
    seen: list[Any] = [None, None]  # FastAPI's document, ours

    def openapi() -> dict[str, Any]:
        document = original()
        if seen[0] is not document:
            declared = with_declared(document, declared_routes(app), **declared_for(record))
            seen[:] = document, _openapi.with_errors(declared)
        return seen[1]  # type: ignore[no-any-return]

    app.openapi = openapi  # type: ignore[method-assign]
    record.add("openapi", openapi, lambda: app.__dict__.pop("openapi", None) and None)


def page_dependency(listing: Listing) -> Callable[[Request], Awaitable[PageRequest]]:
    """Return a dependency that reads the query of a request by the rules of *listing*.

    The OpenAPI document shows the parameters, where :func:`install_error_handlers` completes it.

    Args:
        listing: The rules.

    Example:
        >>> from typing import Annotated
        >>> from fastapi import Depends, FastAPI
        >>> from shared.api import Listing, PageRequest
        >>> films, app = Listing({"year": int}, style="page"), FastAPI()
        >>> install_error_handlers(app)
        >>> @app.get("/films")
        ... async def list_films(page: Annotated[PageRequest, Depends(page_dependency(films))]): ...
        >>> [each["name"] for each in app.openapi()["paths"]["/films"]["get"]["parameters"]]
        ['page', 'size', 'year']
    """

    async def read_page(request: Request) -> PageRequest:
        return listing.read(request.url.query)

    setattr(read_page, LISTING, listing)
    return read_page


def operations(app: FastAPI) -> tuple[tuple[str, str], ...]:
    """Return method and template of every route *app* has now, mounts and routers included.

    Example:
        >>> from fastapi import APIRouter, FastAPI
        >>> app, router = FastAPI(), APIRouter(prefix="/v1")
        >>> @router.get("/orders/{id}")
        ... async def order(id: int): ...
        >>> app.include_router(router)
        >>> [each for each in operations(app) if "orders" in each[1]]
        [('GET', '/v1/orders/{id}')]
    """
    return _starlette.operations(app)


def add_idempotency(app: FastAPI, idempotency: "Idempotency") -> None:
    """Carry unsafe requests with an ``Idempotency-Key`` out once, and document the header.

    As :func:`shared.api.starlette.add_idempotency`.

    Args:
        app: The application, before its first request.
        idempotency: What decides; closing it is up to you.

    Raises:
        ConfigurationError: The layer is not installed.

    Example:
        >>> from fastapi import FastAPI
        >>> from shared.api import Idempotency
        >>> app = FastAPI()
        >>> pipeline = install_layer(app)
        >>> add_idempotency(app, Idempotency("memory://"))
    """
    _starlette.add_idempotency(app, idempotency)
    record = installation(app)
    if record.find("idempotency schema", None) is not None:
        return
    before = app.openapi
    seen: list[Any] = [None, None]  # the document before, ours

    def openapi() -> dict[str, Any]:
        document = before()
        if seen[0] is not document:
            ours = _openapi.with_idempotency(document, idempotency.methods, idempotency.required)
            seen[:] = document, ours
        return seen[1]  # type: ignore[no-any-return]

    app.openapi = openapi  # type: ignore[method-assign]

    def undo() -> None:
        app.openapi = before  # type: ignore[method-assign]

    record.add("idempotency schema", openapi, undo)


def add_versions(app: FastAPI, versions: "Versions") -> None:
    """Let *app* speak several versions; see :class:`shared.api.Versions`.

    As :func:`shared.api.starlette.add_versions`; the OpenAPI document marks what goes away.

    Args:
        app: The application, before its first request.
        versions: What decides.

    Raises:
        ConfigurationError: The layer is not installed.

    Example:
        >>> from fastapi import FastAPI
        >>> from shared.api import Versions
        >>> app = FastAPI()
        >>> pipeline = install_layer(app)
        >>> add_versions(app, Versions(["v1", "v2"]))
    """
    _starlette.add_versions(app, versions)


def add_health_routes(
    app: FastAPI,
    registry: "HealthRegistry",
    *,
    health_path: str = "/health",
    ready_path: str = "/ready",
    live_path: str = "/live",
    details: "DetailPolicy" = "internal",
    include_in_schema: bool = False,
) -> None:
    """Answer the three probes; see :func:`shared.api.starlette.add_health_routes`.

    Args:
        app: The application.
        registry: Whose checks and lifecycle decide.
        health_path: Path of the full report.
        ready_path: Path of the readiness probe.
        live_path: Path of the liveness probe.
        details: Who sees the parts: ``"always"``, ``"never"`` or ``"internal"`` callers.
        include_in_schema: Whether the OpenAPI document lists them.

    Example:
        >>> from fastapi import FastAPI
        >>> from shared.monitoring import HealthRegistry
        >>> app = FastAPI()
        >>> add_health_routes(app, HealthRegistry(), details="never")
    """
    paths = (health_path, ready_path, live_path)
    _starlette.add_health_routes(
        app, registry, health_path=health_path, ready_path=ready_path, live_path=live_path, details=details
    )
    record = installation(app)
    if not include_in_schema or record.find("health schema", None) is not None:
        return
    original = app.openapi

    def openapi() -> dict[str, Any]:
        return _openapi.with_health(original(), paths)

    app.openapi = openapi  # type: ignore[method-assign]

    def undo() -> None:
        app.openapi = original  # type: ignore[method-assign]

    record.add("health schema", openapi, undo)


def add_security_schemes(app: FastAPI, authenticators: "Authenticators") -> None:
    """Let the OpenAPI document name the ways to authenticate, and the routes that ask for them.

    A route is protected when its function, or a dependency, has a rule such as
    ``require_roles("admin")``. Idempotent.

    Args:
        app: The application.
        authenticators: Whose schemes are described.

    Example:
        >>> from fastapi import Depends, FastAPI
        >>> from shared.auth import Authenticators, BearerAuthenticator, require_user
        >>> app = FastAPI()
        >>> @app.get("/me")
        ... def me(who=Depends(require_user())): ...
        >>> add_security_schemes(app, Authenticators([BearerAuthenticator(verify=lambda token: None)]))
        >>> app.openapi()["paths"]["/me"]["get"]["security"]
        [{'bearer': []}]
    """
    record = installation(app)
    if record.find("security schemes", None) is not None:
        return
    original = app.openapi
    seen: list[Any] = [None, None]  # the document below, ours

    def openapi() -> dict[str, Any]:
        document = original()
        if seen[0] is not document:
            seen[:] = document, with_security(document, declared_routes(app), authenticators.schemes())
        return seen[1]  # type: ignore[no-any-return]

    app.openapi = openapi  # type: ignore[method-assign]

    def undo() -> None:
        if app.__dict__.get("openapi") is openapi:
            app.openapi = original  # type: ignore[method-assign]

    record.add("security schemes", openapi, undo)
