"""Feature flags over HTTP: evaluation for browsers, and administration for operators.

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

from shared.api._flags_admin import FlagAction, FlagAdminEndpoint, admin_routes
from shared.api._flags_mount import FlagRoute, mount
from shared.api._flags_ofrep import CLIENT_TAG, OfrepEndpoint

__all__ = [
    "CLIENT_TAG",
    "FlagAction",
    "FlagAdminEndpoint",
    "OfrepEndpoint",
    "add_flag_admin_routes",
    "add_ofrep_routes",
]


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


def add_flag_admin_routes(app: Any, endpoint: FlagAdminEndpoint, *, prefix: str = "/admin") -> None:
    """Let operators look at and change flags over HTTP. Idempotent.

    | route | what it does |
    |---|---|
    | ``GET /admin/flags``, ``GET /admin/flags/{key}`` | every flag; one definition |
    | ``PUT /admin/flags/{key}`` | ``{"fields": {…}, "reason": "…", "expected": 7}`` |
    | ``POST /admin/flags/{key}/rollout`` | ``{"percent": 25, "reason": "…"}`` |
    | ``POST /admin/flags/{key}/kill``, ``…/unkill`` | ``{"reason": "…"}`` |
    | ``GET /admin/flags/{key}/history``, ``GET /admin/flag-history`` | ``?limit=100`` |
    | ``POST /admin/flag-rollback`` | ``{"revision": 3, "keys": null, "reason": "…"}`` |

    ``uninstall(app)`` of the framework's module takes the routes out again.

    Args:
        app: A FastAPI, Starlette or Flask application, before its first request. It must
            authenticate: without a principal every route answers 401.
        endpoint: What answers.
        prefix: Where.

    Raises:
        ConfigurationError: *app* is no such application, or *prefix* no path.

    Example:
        >>> from flask import Flask
        >>> from shared.feature_flags import FlagAdmin, Flags, MemoryFlagStore
        >>> app = Flask("docs")
        >>> add_flag_admin_routes(app, FlagAdminEndpoint(FlagAdmin(MemoryFlagStore()), Flags()))
        >>> app.test_client().get("/admin/flags").status_code
        401
    """
    mount(app, "flag admin routes", prefix, admin_routes(endpoint))
