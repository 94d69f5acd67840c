"""One request, three frameworks: the same envelopes, headers, lines and metrics."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi import Request as FastAPIRequest
from fastapi.testclient import TestClient
from flask import Flask, Response, send_file
from flask import request as flask_request
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import FileResponse, StreamingResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route

from shared.api import CorsPolicy, LayerOptions, Success, check_preconditions, entity_tag, load_model
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.api.fastapi import EnvelopeRoute
from shared.context import bind
from shared.errors import AuthorizationError, OrderNotFoundError, RateLimitError
from shared.monitoring import HealthRegistry, HttpMetrics, Lifecycle, Metrics
from shared.runtime import Runtime
from tests.unit.api._drive import Lines

TAG = entity_tag("item", 7)
FILE = Path(__file__)
CHUNKS = [b"one ", b"two ", b"three"]


class Item(BaseModel):
    name: str
    qty: int = 1


RAISED = {
    "order": lambda: OrderNotFoundError(resource_id="o-1"),
    "forbidden": AuthorizationError,
    "busy": lambda: RateLimitError(retry_after=2),
    "crash": lambda: RuntimeError("hunter2"),
    "slow": lambda: TimeoutError("hunter2"),
}


def items():
    bind(listed=2)
    return Success([{"id": 1}, {"id": 2}], message="Two items", meta={"total": 2})


def starlette_app():
    respond = on_starlette.EnvelopeResponse

    async def search(_request):
        return respond(items())

    async def read(request):
        check_preconditions(request.headers, TAG)
        return respond({"id": request.path_params["item_id"]}, headers={"ETag": TAG})

    async def create(request):
        return respond(load_model(Item, await request.body()), 201)

    async def remove(_request):
        return StarletteResponse(status_code=204)

    async def stream(_request):
        return StreamingResponse(iter(CHUNKS), media_type="text/plain")

    async def file(_request):
        return FileResponse(FILE, media_type="application/octet-stream")

    async def fail(request):
        error = RAISED[request.path_params["what"]]()
        raise error

    return Starlette(
        routes=[
            Route("/items", search),
            Route("/items", create, methods=["POST"]),
            Route("/items/{item_id:int}", read),
            Route("/items/{item_id:int}", remove, methods=["DELETE"]),
            Route("/stream", stream),
            Route("/file", file),
            Route("/raise/{what}", fail),
        ]
    )


def fastapi_app():
    router = APIRouter(route_class=EnvelopeRoute)

    @router.api_route("/items", methods=["GET", "HEAD"])
    async def search():
        return items()

    @router.api_route("/items/{item_id}", methods=["GET", "HEAD"])
    async def read(item_id: int, request: FastAPIRequest):
        check_preconditions(request.headers, TAG, method=request.method)
        return on_fastapi.EnvelopeResponse({"id": item_id}, headers={"ETag": TAG})

    @router.post("/items", status_code=201)
    async def create(request: FastAPIRequest) -> Item:
        return load_model(Item, await request.body())

    @router.delete("/items/{item_id}", status_code=204)
    async def remove(item_id: int):
        pass

    @router.api_route("/stream", methods=["GET", "HEAD"])
    async def stream():
        return StreamingResponse(iter(CHUNKS), media_type="text/plain")

    @router.api_route("/file", methods=["GET", "HEAD"])
    async def file():
        return FileResponse(FILE, media_type="application/octet-stream")

    @router.get("/raise/{what}")
    async def fail(what: str):
        error = RAISED[what]()
        raise error

    app = FastAPI()
    app.include_router(router)
    return app


def flask_app():
    app = Flask("parity")

    @app.get("/items")
    @on_flask.enveloped
    def search():
        return items()

    @app.get("/items/<int:item_id>")
    @on_flask.enveloped
    def read(item_id):
        check_preconditions(flask_request.headers, TAG, method=flask_request.method)
        return {"id": item_id}, 200, {"ETag": TAG}

    @app.post("/items")
    @on_flask.enveloped
    def create():
        return load_model(Item, flask_request.get_data()), 201

    @app.delete("/items/<int:item_id>")
    def remove(item_id):
        return "", 204

    @app.get("/stream")
    def stream():
        return Response(iter(CHUNKS), mimetype="text/plain")

    @app.get("/file")
    def file():
        return send_file(FILE, mimetype="application/octet-stream", etag=False, conditional=False)

    @app.get("/raise/<what>")
    def fail(what):
        error = RAISED[what]()
        raise error

    return app


MADE = {
    "starlette": (starlette_app, on_starlette),
    "fastapi": (fastapi_app, on_fastapi),
    "flask": (flask_app, on_flask),
}
ENVELOPE = LayerOptions(
    max_body_bytes=200,
    slow_seconds=3600,  # on a loaded machine anything may take a second
    cors=CorsPolicy(origins=("https://app.example.com",)),
)
PROBLEM = replace(ENVELOPE, error_format="problem", problem_base_url="https://e.example/")

# What a framework adds by its own, or what differs from one request to the next.
_VARIES = {"content-length", "date", "last-modified", "x-request-id", "accept-ranges", "allow"}
_OF_FILES = {"cache-control", "content-disposition", "etag"}
_VARIES_IN_LINE = ("duration_ms", "ttfb_ms", "client", "bytes_sent")
_TIME = re.compile(rb'"timestamp":"[^"]+"|"uptime":[0-9.]+')


class Seen:
    """What can be seen of one request from outside and inside."""

    def __init__(self, framework, options, method, path, headers, body):
        make, face = MADE[framework]
        runtime, lines, metrics = Runtime("parity"), Lines(), Metrics()
        app = make()
        http = HttpMetrics(metrics, lifecycle=Lifecycle())
        face.install_layer(app, options, runtime=runtime, access=lines, observers=[http.on_finish])
        face.install_error_handlers(app)
        face.add_health_routes(app, HealthRegistry(), details="never")
        headers = {"X-Correlation-ID": "c-1"} | headers
        if framework == "flask":
            answer = app.test_client().open(path, method=method, headers=headers, data=body)
            self.status, sent, self.body = answer.status_code, answer.headers, answer.data
            answer.close()
        else:
            answer = TestClient(app, follow_redirects=False).request(
                method, path, headers=headers, content=body
            )
            self.status, sent, self.body = answer.status_code, answer.headers, answer.content
        pairs = [(name.lower(), value) for name, value in sent.items()]
        assert len({name for name, _ in pairs}) == len(pairs), "a header is sent twice"
        left_out = _VARIES | (_OF_FILES if path == "/file" else set())
        left_out |= {"content-type"} if self.status in (204, 304) else set()
        self.headers = {name: value.lower() for name, value in pairs if name not in left_out}
        self.lines = [
            {name: value for name, value in line.items() if name not in _VARIES_IN_LINE}
            for line in lines.written
        ]
        self.bytes_sent = [line["bytes_sent"] for line in lines.written]
        self.series = sorted(
            line.rpartition(" ")[0]
            for line in metrics.expose("").body.decode().splitlines()
            if line.startswith("http_") and "_bucket" not in line
        )
        runtime.close()

    @property
    def content(self):
        return _TIME.sub(b"now", self.body)


CASES = {
    "list": ("GET", "/items", {}, None),
    "one": ("GET", "/items/7", {}, None),
    "head": ("HEAD", "/items/7", {}, None),
    "head-of-list": ("HEAD", "/items", {}, None),
    "create": ("POST", "/items", {"Content-Type": "application/json"}, b'{"name": "a"}'),
    "delete": ("DELETE", "/items/7", {}, None),
    "not-modified": ("GET", "/items/7", {"If-None-Match": TAG}, None),
    "stream": ("GET", "/stream", {}, None),
    "file": ("GET", "/file", {}, None),
    "cors": ("GET", "/items", {"Origin": "https://app.example.com"}, None),
    "preflight": (
        "OPTIONS",
        "/items",
        {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"},
        None,
    ),
    "unknown-path": ("GET", "/nowhere", {}, None),
    "wrong-method": ("PUT", "/raise/order", {}, None),
    "bad-json": ("POST", "/items", {"Content-Type": "application/json"}, b"{"),
    "invalid": ("POST", "/items", {"Content-Type": "application/json"}, b'{"qty": "secret"}'),
    "too-large": ("POST", "/items", {"Content-Type": "application/json"}, b"x" * 201),
    "too-late": ("GET", "/items", {"X-Request-Deadline": "0"}, None),
    "problem": ("GET", "/raise/order", {"Accept": "application/problem+json"}, None),
    "live": ("GET", "/live", {}, None),
    **{f"raise-{name}": ("GET", f"/raise/{name}", {}, None) for name in RAISED},
}


@pytest.fixture(params=[ENVELOPE, PROBLEM], ids=["envelope", "problem"])
def seen(request):
    def of(case):
        return {framework: Seen(framework, request.param, *CASES[case]) for framework in MADE}

    return of


@pytest.mark.parametrize("case", CASES)
def test_frameworks_answer_alike(seen, case):
    found = seen(case)

    assert len({one.status for one in found.values()}) == 1, {name: one.status for name, one in found.items()}
    assert len({one.content for one in found.values()}) == 1
    first = found["starlette"].headers
    for name, one in found.items():
        assert one.headers == first, name


@pytest.mark.parametrize("case", CASES)
def test_frameworks_log_and_count_alike(seen, case):
    found = seen(case)

    first = found["starlette"]
    assert len(first.lines) == (0 if case == "live" else 1)
    for name, one in found.items():
        assert (one.lines, one.bytes_sent) == (first.lines, first.bytes_sent), name
        assert one.series == first.series, name


def test_what_is_compared_is_what_is_meant(seen):
    found = seen("create")["starlette"]

    assert found.status == 201
    assert json.loads(found.body)["data"] == {"name": "a", "qty": 1}
    assert found.lines[0]["route"] == "/items"
    assert any('http_route="/items"' in line for line in found.series)
