"""The OpenAPI document of a Flask application."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, request

from shared.api._complete import Document
from shared.api._declared import DeclaredRoute
from shared.api._docs_page import docs_reply, document_reply
from shared.api._document import DocumentedRoute
from shared.api._flask import template_of
from shared.api._flask_routes import add_operations
from shared.api._installed import installation

if TYPE_CHECKING:
    from shared.auth import Authenticators

__all__ = ["add_openapi", "add_security_schemes", "openapi_document"]


def add_openapi(
    app: Flask,
    *,
    title: str | None = None,
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
        title: Of the API; the application's name when None.
        version: Of the document.
        description: More about it; Markdown.
        path: Where the document is.
        docs_path: Where the page is; None for no page.

    Raises:
        MissingDependencyError: apispec is not installed (``libs-shared[openapi]``).

    Example:
        >>> from flask import Flask
        >>> app = Flask("docs")
        >>> add_openapi(app, title="Docs")
        >>> app.test_client().get("/openapi.json").json["info"]
        {'title': 'Docs', 'version': '1.0'}
    """
    record = installation(app)
    if record.find("openapi", None) is not None:
        return
    info = {"title": title or app.name, "version": version, "description": description}
    document = Document(app, record, partial(_routes, app), info)
    document.make()  # a library that is missing is told now
    views = {"shared_openapi": (path, lambda: document_reply(document.read()))}
    if docs_path is not None:
        views["shared_docs"] = (docs_path, lambda: docs_reply(document.title, request.script_root + path))
    add_operations(app, "openapi", views, document)


def openapi_document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of *app*, which :func:`add_openapi` serves.

    Args:
        app: The application.

    Example:
        >>> from flask import Flask
        >>> app = Flask("docs")
        >>> add_openapi(app)
        >>> openapi_document(app)["openapi"]
        '3.1.0'
    """
    found: Document | None = installation(app).find("openapi", None)
    if found is None:
        found = Document(app, installation(app), partial(_routes, app), {"title": app.name, "version": "1.0"})
    return found.make()


def add_security_schemes(app: Flask, authenticators: "Authenticators") -> None:
    """Let the OpenAPI document name the ways to authenticate, and the routes that ask for them.

    Idempotent.

    Args:
        app: The application.
        authenticators: Whose schemes are described.

    Example:
        >>> from flask import Flask
        >>> from shared.auth import Authenticators, BearerAuthenticator, require_user
        >>> app = Flask("docs")
        >>> @app.get("/me")
        ... @require_user()
        ... def me(): ...
        >>> add_security_schemes(app, Authenticators([BearerAuthenticator(verify=lambda token: None)]))
        >>> openapi_document(app)["paths"]["/me"]["get"]["security"]
        [{'bearer': []}]
    """
    record = installation(app)
    if record.find("security schemes", None) is None:
        record.add("security schemes", authenticators, lambda: None)


def _routes(app: Flask) -> Iterator[DocumentedRoute]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if (
            view is None
            or rule.endpoint.startswith("shared_")
            or rule.endpoint.rpartition(".")[2] == "static"
        ):
            continue
        declared = DeclaredRoute(template_of(rule.rule), frozenset(rule.methods or ()), (view,))
        parameters = {name: _schema_of(rule._converters[name]) for name in sorted(rule.arguments)}  # noqa: SLF001
        yield DocumentedRoute(declared, rule.endpoint.replace(".", "_"), parameters)


def _schema_of(converter: Any) -> dict[str, Any]:
    """Return what a converter of werkzeug lets through."""
    kind = type(converter).__name__
    if kind in ("IntegerConverter", "FloatConverter"):
        schema: dict[str, Any] = {"type": "integer" if kind == "IntegerConverter" else "number"}
        if not converter.signed:
            schema["minimum"] = 0
        bounds = {"minimum": converter.min, "maximum": converter.max}
        return schema | {name: bound for name, bound in bounds.items() if bound is not None}
    if kind == "UUIDConverter":
        return {"type": "string", "format": "uuid"}
    if kind == "AnyConverter":
        return {"type": "string", "enum": sorted(converter.items)}
    return {"type": "string", "minLength": 1}
