"""The request layer, the error handlers and the health routes for Flask.

Example:
    >>> from flask import Flask
    >>> app = Flask("docs")
    >>> pipeline = install_layer(app)
    >>> install_error_handlers(app)
    >>> app.test_client().get("/nowhere").json["error"]["code"]
    'NOT_FOUND'
    >>> uninstall(app)
"""

from shared.errors import ConfigurationError, MissingDependencyError

try:
    import flask as _flask  # noqa: F401 - looked for first, to say what to install
except ImportError as _exc:
    raise MissingDependencyError("flask", extra="flask") from _exc

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flask import Flask, has_request_context, request
from flask import Response as FlaskResponse

from shared.api._envelope import Success, success_bytes
from shared.api._exchange import EXCHANGE_KEY, RequestFinished
from shared.api._flask import FlaskHandlers, RuleLabels, template_of
from shared.api._flask_openapi import add_openapi, add_security_schemes, openapi_document
from shared.api._flask_routes import add_health_routes, add_jwks_route, add_metrics_route
from shared.api._idempotency_wsgi import WsgiIdempotency
from shared.api._installed import install_pipeline, installation
from shared.api._jobs import AccessSink, Job
from shared.api._listing import Listing
from shared.api._options import LayerOptions
from shared.api._page_request import PageRequest
from shared.api._pipeline import Pipeline
from shared.api._versions_wsgi import WsgiVersions
from shared.api.wsgi import WsgiLayer
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
    "enveloped",
    "install_error_handlers",
    "install_layer",
    "openapi_document",
    "operations",
    "page_request",
    "uninstall",
]

P = ParamSpec("P")
R = TypeVar("R")


class EnvelopeResponse(FlaskResponse):
    """Sends data in the envelope of a success.

    Args:
        data: The data, or a :class:`shared.api.Success`.
        status: HTTP status; with 204 and 304 nothing is sent.
        message: One line for people.
        meta: Facts beside the data.
        version: Version of the API; that of the request's layer when None.
        headers: More headers.

    Example:
        >>> EnvelopeResponse({"id": 7}, 201).json["data"]
        {'id': 7}
    """

    def __init__(
        self,
        data: Any = None,
        status: int = 200,
        *,
        message: str = str(SuccessMessage.OPERATION),
        meta: Any = None,
        version: str | None = None,
        headers: Any = None,
    ) -> None:
        body = b""
        if status >= 200 and status not in (204, 304):
            body = success_bytes(data, message, version=version or _version(), meta=meta)
        super().__init__(body, status, headers, mimetype="application/json")
        if isinstance(data, Success):
            for name, value in data.headers:
                self.headers.add(name, value)


def _version() -> str:
    exchange = request.environ.get(EXCHANGE_KEY) if has_request_context() else None
    return DEFAULT_API_VERSION if exchange is None else exchange.api_version


def enveloped(view: Callable[P, R]) -> Callable[P, Any]:
    """Send what *view* returns in the envelope of a success.

    The view may return data, ``(data, status)`` or ``(data, status, headers)``;
    data may be a :class:`shared.api.Success`. A response object stays untouched.

    Example:
        >>> app = Flask("docs")
        >>> @app.get("/answer")
        ... @enveloped
        ... def answer():
        ...     return 42
        >>> app.test_client().get("/answer").json["data"]
        42
    """

    @wraps(view)
    def send(*args: P.args, **kwargs: P.kwargs) -> Any:
        result: Any = view(*args, **kwargs)
        if isinstance(result, FlaskResponse) or callable(result):
            return result
        status, headers = 200, None
        if isinstance(result, tuple) and 2 <= len(result) <= 3 and isinstance(result[1], int):
            result, status, headers = (*result, None)[:3]
        return EnvelopeResponse(result, status, headers=headers)

    return send


def install_layer(
    app: Flask,
    options: LayerOptions | None = None,
    *,
    runtime: Runtime | None = None,
    access: AccessSink | None = None,
    jobs: Iterable[Job] = (),
    observers: Iterable[Callable[[RequestFinished], object]] = (),
) -> Pipeline:
    """Put the request layer around *app*, as its ``wsgi_app``.

    Idempotent; *app* stays a Flask object, and other wrappers may be put around
    ``wsgi_app`` before or after.

    Args:
        app: The application.
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
        >>> from flask import Flask
        >>> app = Flask("docs")
        >>> install_layer(app).options.api_version
        'v1'
    """
    return install_pipeline(
        app,
        options,
        partial(_put_layer_around, app),
        runtime=runtime,
        access=access,
        jobs=jobs,
        observers=observers,
    )


def _put_layer_around(app: Flask, pipeline: Pipeline) -> Callable[[], None]:
    layer = WsgiLayer(app.wsgi_app, pipeline, route_of=RuleLabels(app))
    setattr(app, "wsgi_app", layer)  # noqa: B010 - Flask's documented way, which its types refuse

    def undo() -> None:
        if app.wsgi_app is layer:
            setattr(app, "wsgi_app", layer.app)  # noqa: B010
        else:  # somebody wrapped us: become transparent instead
            layer.bypass = True

    return undo


def add_idempotency(app: Flask, idempotency: "Idempotency") -> None:
    """Carry unsafe requests with an ``Idempotency-Key`` out once; see :class:`shared.api.Idempotency`.

    Stands between the request layer, which it needs, and the application. Idempotent.

    Args:
        app: The application.
        idempotency: What decides; closing it is up to you.

    Raises:
        ConfigurationError: The layer is not installed, or was wrapped since.

    Example:
        >>> from flask import Flask
        >>> from shared.api import Idempotency
        >>> app = Flask("docs")
        >>> pipeline = install_layer(app)
        >>> add_idempotency(app, Idempotency("memory://"))
    """
    record = installation(app)
    if record.find("idempotency", None) is not None:
        return
    layer: Any = app.wsgi_app
    if not isinstance(layer, WsgiLayer):
        raise ConfigurationError(
            "idempotency keys need the request layer: call install_layer(app) just before"
        )
    inner = layer.app
    layer.app = WsgiIdempotency(inner, idempotency)

    def undo() -> None:
        layer.app = inner

    record.add("idempotency", idempotency, undo)


def add_versions(app: Flask, versions: "Versions") -> None:
    """Let *app* speak several versions; see :class:`shared.api.Versions`.

    Stands next to the application, inside of idempotency keys. Idempotent.

    Args:
        app: The application.
        versions: What decides.

    Raises:
        ConfigurationError: The layer is not installed, or was wrapped since.

    Example:
        >>> from flask import Flask
        >>> from shared.api import Versions
        >>> app = Flask("docs")
        >>> pipeline = install_layer(app)
        >>> add_versions(app, Versions(["v1", "v2"]))
    """
    record = installation(app)
    if record.find("versions", None) is not None:
        return
    outer: Any = app.wsgi_app
    if not isinstance(outer, WsgiLayer):
        raise ConfigurationError("versions need the request layer: call install_layer(app) just before")
    while isinstance(outer.app, WsgiIdempotency):  # a key belongs to the request as it was sent
        outer = outer.app
    inner = outer.app
    outer.app = WsgiVersions(inner, versions)

    def undo() -> None:
        outer.app = inner

    record.add("versions", versions, undo)


def install_error_handlers(
    app: Flask, options: LayerOptions | None = None, *, runtime: Runtime | None = None
) -> None:
    """Answer every error of *app* in the service's form; see :class:`LayerOptions`.

    Handlers for more special classes or for status codes win, whenever they are
    registered. Unforeseen exceptions still send Flask's ``got_request_exception``.
    Idempotent.

    Args:
        app: The application.
        options: The form; those of an installed layer, else the defaults, when None.
        runtime: Whose :class:`~shared.errors.ErrorMap` translates foreign exceptions.

    Raises:
        ConfigurationError: The handlers are installed with other options.

    Example:
        >>> from flask import Flask
        >>> app = Flask("docs")
        >>> install_error_handlers(app, LayerOptions(error_format="problem"))
    """
    record = installation(app)
    if record.find("error handlers", options) is not None:
        return
    handlers = FlaskHandlers(app, options, runtime)
    table = app.error_handler_spec[None][None]
    before = table.get(Exception)
    if before is None:
        table[Exception] = handlers.answer

    def undo() -> None:
        if table.get(Exception) == handlers.answer:
            del table[Exception]

    record.add("error handlers", handlers, undo)


def page_request(listing: Listing) -> PageRequest:
    """Return what the request at hand asks of *listing*.

    Raises:
        ValidationError: A parameter is not declared or does not fit.
        BadRequestError: The cursor is not one of ours, or no longer.

    Example:
        >>> from shared.api import Listing
        >>> with Flask("docs").test_request_context("/films?page=2"):
        ...     page_request(Listing(style="page")).number
        2
    """
    return listing.read(request.query_string)


def operations(app: Flask) -> tuple[tuple[str, str], ...]:
    """Return method and template of every rule *app* has now.

    Example:
        >>> from flask import Flask
        >>> app = Flask("docs")
        >>> app.add_url_rule("/orders/<int:id>", "order", lambda id: id, methods=["GET"])
        >>> [each for each in operations(app) if "orders" in each[1]]
        [('GET', '/orders/{id}'), ('HEAD', '/orders/{id}'), ('OPTIONS', '/orders/{id}')]
    """
    found = {
        (method, template_of(rule.rule)) for rule in app.url_map.iter_rules() for method in rule.methods or ()
    }
    return tuple(sorted(found))


def uninstall(app: Flask) -> None:
    """Take out of *app* everything this module put in, last first.

    Example:
        >>> from flask import Flask
        >>> app = Flask("docs")
        >>> pipeline = install_layer(app)
        >>> uninstall(app)
    """
    installation(app).remove_all()
