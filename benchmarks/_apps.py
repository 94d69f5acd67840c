"""The same small service on each framework: bare, with our layer, with what its peers add."""

import contextlib
import logging
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._tools import log_file

# Twenty routes, the one that is asked for in the middle: routers search in order.
ROUTES = tuple(f"/things{number}/{{item_id}}" for number in range(20))
PATH = "/things10/42"
ANSWER = {"id": 42, "name": "a thing", "price": 9.5, "tags": ["a", "b"]}


# --- bare ----------------------------------------------------------------------------


def starlette(middleware: tuple[Any, ...] = ()) -> Any:
    """Return the service on Starlette."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def endpoint() -> Any:
        async def thing(request: Any) -> Any:
            return JSONResponse({**ANSWER, "id": int(request.path_params["item_id"])})

        return thing

    return Starlette(routes=[Route(path, endpoint()) for path in ROUTES], middleware=list(middleware))


def fastapi(middleware: tuple[Any, ...] = ()) -> Any:
    """Return the service on FastAPI: an included router, a typed path parameter, a dict."""
    from fastapi import APIRouter, FastAPI

    def endpoint() -> Any:
        async def thing(item_id: int) -> dict[str, Any]:
            return {**ANSWER, "id": item_id}

        return thing

    router = APIRouter()
    for path in ROUTES:
        router.add_api_route(path, endpoint(), response_model=None)
    app = FastAPI(middleware=list(middleware))
    app.include_router(router)
    return app


def flask() -> Any:
    """Return the service on Flask."""
    from flask import Flask

    app = Flask("bench")

    def thing(item_id: int) -> dict[str, Any]:
        return {**ANSWER, "id": item_id}

    for number, path in enumerate(ROUTES):
        app.add_url_rule(path.replace("{item_id}", "<int:item_id>"), f"thing{number}", thing)
    return app


# --- ours ----------------------------------------------------------------------------


@contextlib.contextmanager
def with_ours(app: Any) -> Iterator[tuple[Any, Path]]:
    """Install everything into *app*; yield it and the file of its log."""
    with log_file() as path:
        os.environ.update(ENVIRONMENT="testing", LOG_FORMAT="json", LOG_LEVEL="INFO", LOG_SINK=str(path))
        from shared.service import install, uninstall

        app = install(app, service="bench")
        try:
            yield app, path
        finally:
            uninstall(app)


# --- peers ---------------------------------------------------------------------------


def _recipe(path: Path) -> Any:
    from benchmarks.bench_log import processor_formatter_logger

    return processor_formatter_logger(path.open("a", encoding="utf-8", buffering=1))


def _access_log_class(log: Any) -> Any:
    """Return the access-log middleware of the usual structlog recipe."""
    import structlog
    from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 - the peers' usual choice

    class AccessLog(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            from asgi_correlation_id import correlation_id

            structlog.contextvars.clear_contextvars()
            structlog.contextvars.bind_contextvars(request_id=correlation_id.get())
            started = time.perf_counter_ns()
            response = await call_next(request)
            log.info(
                "request",
                method=request.method,
                path=request.url.path,
                status=response.status_code,
                client=request.client.host,
                duration_ms=(time.perf_counter_ns() - started) / 1e6,
            )
            return response

    return AccessLog


def peer_middleware(path: Path) -> tuple[Any, ...]:
    """Return asgi-correlation-id and a structlog access log, the outermost first."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from starlette.middleware import Middleware

    ids = Middleware(CorrelationIdMiddleware, header_name="X-Request-ID", validator=None)
    return ids, Middleware(_access_log_class(_recipe(path)))


def instrumented(app: Any) -> Any:
    """Add prometheus-fastapi-instrumentator to *app* with its defaults."""
    from prometheus_fastapi_instrumentator import Instrumentator

    Instrumentator().instrument(app)
    return app


def base_http_middleware() -> tuple[Any, ...]:
    """Return one ``BaseHTTPMiddleware`` that does nothing."""
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 - the peers' usual choice

    class Nothing(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            return await call_next(request)

    return (Middleware(Nothing),)


def flask_hooks(app: Any, path: Path) -> Any:
    """Add the same to Flask by its hooks: an id, a structlog access log, Prometheus metrics."""
    import flask as flask_module
    import prometheus_client
    import structlog

    log = _recipe(path)
    registry = prometheus_client.CollectorRegistry()
    labels = ("method", "route", "status")
    seconds = prometheus_client.Histogram("http_seconds", "Duration", labels, registry=registry)
    total = prometheus_client.Counter("http_requests", "Requests", labels, registry=registry)

    @app.before_request
    def begin() -> None:
        flask_module.g.started = time.perf_counter_ns()
        flask_module.g.request_id = flask_module.request.headers.get("X-Request-ID") or uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=flask_module.g.request_id)

    @app.after_request
    def end(response: Any) -> Any:
        request = flask_module.request
        took = (time.perf_counter_ns() - flask_module.g.started) / 1e9
        route = request.url_rule.rule if request.url_rule else "unmatched"
        values = (request.method, route, str(response.status_code))
        seconds.labels(*values).observe(took)
        total.labels(*values).inc()
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            client=request.remote_addr,
            duration_ms=took * 1000,
        )
        response.headers["X-Request-ID"] = flask_module.g.request_id
        return response

    return app


def quiet_servers() -> None:
    """Keep the servers' own lines out of the measurement, for every row alike."""
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
