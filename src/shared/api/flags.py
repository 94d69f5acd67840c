"""Feature flags over HTTP: evaluation for browsers.

The same for FastAPI, Starlette and Flask.

Example:
    >>> from flask import Flask
    >>> from shared.feature_flags import Flag, Flags
    >>> app = Flask("docs")
    >>> add_ofrep_routes(app, OfrepEndpoint(Flags([Flag("new_menu", tags=["client"])])))
    >>> app.test_client().post("/ofrep/v1/evaluate/flags", json={"context": {}}).json["flags"][0]["value"]
    False
"""

from typing import Any

from shared.api._flags_mount import FlagRoute, mount
from shared.api._flags_ofrep import CLIENT_TAG, OfrepEndpoint

__all__ = ["CLIENT_TAG", "OfrepEndpoint", "add_ofrep_routes"]


def add_ofrep_routes(app: Any, endpoint: OfrepEndpoint | None = None, *, prefix: str = "/ofrep/v1") -> None:
    """Let OpenFeature clients evaluate flags: ``POST /ofrep/v1/evaluate/flags`` and ``…/flags/{key}``.

    Browsers on another origin need ``CORS_ORIGINS``; see the how-to. Idempotent;
    ``uninstall(app)`` of the framework's module takes the routes out again.

    Args:
        app: A FastAPI, Starlette or Flask application, before its first request.
        endpoint: What answers; one with the current runtime's flags when None, which
            answers flags with the tag ``client``.
        prefix: Where; clients are configured with what stands before ``/ofrep/v1``.

    Raises:
        ConfigurationError: *app* is no such application, or *prefix* no path.

    Example:
        >>> from starlette.applications import Starlette
        >>> app = Starlette()
        >>> add_ofrep_routes(app)
    """
    found = endpoint if endpoint is not None else OfrepEndpoint()
    routes = [
        FlagRoute(
            "POST",
            "/evaluate/flags",
            "shared_ofrep_bulk",
            lambda call: found.evaluate_all(call.body, if_none_match=call.headers.get("If-None-Match")),
            max_body=found.max_body,
        ),
        FlagRoute(
            "POST",
            "/evaluate/flags/{key}",
            "shared_ofrep_single",
            lambda call: found.evaluate(call.parameters["key"], call.body),
            max_body=found.max_body,
        ),
    ]
    mount(app, "OFREP routes", prefix, routes)
