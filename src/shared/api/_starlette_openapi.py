"""The OpenAPI document of a Starlette application."""

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from shared.api._complete import Document
from shared.api._declared import DeclaredRoute
from shared.api._docs_page import docs_reply, document_reply
from shared.api._document import DocumentedRoute
from shared.api._installed import installation
from shared.api._routes import RouteIndex
from shared.api._starlette import to_response
from shared.api._starlette_routes import add_operations, remove_operations

if TYPE_CHECKING:
    from shared.auth import Authenticators

__all__ = ["add_openapi", "add_security_schemes", "openapi_document"]

_PARAMETERS: Final = re.compile(r"\{([^{}:]+)").findall


def add_openapi(
    app: Starlette,
    *,
    title: str = "API",
    version: str = "1.0",
    description: str = "",
    path: str = "/openapi.json",
    docs_path: str | None = "/docs",
) -> None:
    """Serve the OpenAPI document of *app*, and a page that shows it.

    The routes are described by their rules, by what :func:`shared.api.documented` says of
    the views, and by what is installed: errors, limits, lists, versions, keys, security.
    Idempotent. The page loads Swagger UI from a CDN, which the policy of documentation
    pages lets in.

    Args:
        app: The application, before its first request.
        title: Of the API.
        version: Of the document.
        description: More about it; Markdown.
        path: Where the document is.
        docs_path: Where the page is; None for no page.

    Raises:
        MissingDependencyError: apispec is not installed (``libs-shared[openapi]``).

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> add_openapi(app, title="Docs")
        >>> openapi_document(app)["info"]
        {'title': 'Docs', 'version': '1.0'}
    """
    record = installation(app)
    if record.find("openapi", None) is not None:
        return
    info = {"title": title, "version": version, "description": description}
    document = Document(app, record, partial(_routes, app), info)
    document.make()  # a library that is missing is told now

    def serve(_request: Request) -> Response:
        return to_response(document_reply(document.read()))

    def show(request: Request) -> Response:
        return to_response(docs_reply(title, request.scope.get("root_path", "") + path))

    views: dict[str, tuple[str, Any]] = {path: ("shared_openapi", serve)}
    if docs_path is not None:
        views[docs_path] = ("shared_docs", show)
    routes = add_operations(app, views)
    record.add("openapi", document, partial(remove_operations, app, routes))


def openapi_document(app: Starlette) -> dict[str, Any]:
    """Return the OpenAPI document of *app*, which :func:`add_openapi` serves.

    Args:
        app: The application.

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> add_openapi(app)
        >>> openapi_document(app)["openapi"]
        '3.1.0'
    """
    found: Document | None = installation(app).find("openapi", None)
    if found is None:
        found = Document(app, installation(app), partial(_routes, app), {"title": "API", "version": "1.0"})
    return found.make()


def add_security_schemes(app: Starlette, authenticators: "Authenticators") -> None:
    """Let the OpenAPI document name the ways to authenticate, and the routes that ask for them.

    Idempotent.

    Args:
        app: The application.
        authenticators: Whose schemes are described.

    Example:
        >>> from starlette.applications import Starlette
        >>> from shared.auth import Authenticators, BearerAuthenticator, require_user
        >>> app = Starlette()
        >>> @require_user()
        ... def me(request): ...
        >>> app.add_route("/me", me)
        >>> add_security_schemes(app, Authenticators([BearerAuthenticator(verify=lambda token: None)]))
        >>> openapi_document(app)["paths"]["/me"]["get"]["security"]
        [{'bearer': []}]
    """
    record = installation(app)
    if record.find("security schemes", None) is None:
        record.add("security schemes", authenticators, lambda: None)


def _routes(app: Starlette) -> Iterator[DocumentedRoute]:
    for path, route, endpoint in RouteIndex(app.router).leaves():
        name = str(getattr(route, "name", None) or getattr(endpoint, "__name__", "route"))
        methods = frozenset(getattr(route, "methods", None) or ())
        if not methods or name.startswith("shared_") or not getattr(route, "include_in_schema", True):
            continue
        converters = getattr(route, "param_convertors", {})
        parameters = {key: _schema_of(converters.get(key)) for key in _PARAMETERS(path)}
        yield DocumentedRoute(DeclaredRoute(path, methods, (endpoint,)), name, parameters)


def _schema_of(convertor: Any) -> dict[str, Any]:
    """Return what a convertor of Starlette lets through."""
    kind = type(convertor).__name__
    if kind == "IntegerConvertor":
        return {"type": "integer", "minimum": 0}
    if kind == "FloatConvertor":
        return {"type": "number", "minimum": 0}
    if kind == "UUIDConvertor":
        return {"type": "string", "format": "uuid"}
    return {"type": "string", "minLength": 1}
