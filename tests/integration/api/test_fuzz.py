"""Whatever comes in, the layer never raises and always answers well-formed."""

import asyncio
import json
import logging

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.api import ErrorEnvelope, LayerOptions, Pipeline, Problem
from shared.api.asgi import AsgiLayer
from shared.api.wsgi import WsgiLayer
from shared.context import current_context, is_valid_id
from shared.errors import SharedError
from shared.runtime import Runtime
from tests.integration.api._apps import FRAMEWORKS
from tests.unit.api._drive import Answer, answer_of, environ_for, http_scope

NAMES = st.sampled_from(
    [
        b"x-correlation-id",
        b"x-request-id",
        b"traceparent",
        b"tracestate",
        b"content-length",
        b"content-type",
        b"transfer-encoding",
        b"accept",
        b"host",
        b"cookie",
        b"authorization",
        b"expect",
    ]
) | st.binary(max_size=20)
VALUES = st.binary(max_size=60) | st.sampled_from(
    [
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"application/json",
        b"application/problem+json",
        b"*/*;q=0.1",
        b"chunked",
        b"5",
        b"-1",
        b"99999999999999999999",
        b"x" * 5000,
        b"a\r\nset-cookie: b=c",
    ]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW", "\u00e9"]) | st.text(
    min_size=1, max_size=8
)
PATHS = st.sampled_from(
    [
        "/",
        "/items/1",
        "/items",
        "/raise/crash",
        "/raise/order",
        "/http/418",
        "/docs",
        "/openapi.json",
        "/health",
    ]
) | st.text(max_size=40).map(lambda text: "/" + text)
BODIES = st.lists(
    st.binary(max_size=200)
    | st.sampled_from([b'{"name": "a"}', b"{", b"[" * 3000, b"\xff\xfe", b"x" * 2000]),
    max_size=3,
)


@pytest.fixture(scope="module", params=["raw", "fastapi", "starlette"])
def asgi_app(request):
    runtime = Runtime("fuzz")
    options = LayerOptions(max_body_bytes=1000, access_log=False)
    if request.param == "raw":
        yield AsgiLayer(raw, Pipeline(options, runtime=runtime))
    else:
        make, module = FRAMEWORKS[request.param]
        app = make()
        module.install_layer(app, options, runtime=runtime)
        module.install_error_handlers(app)
        yield app
    runtime.close()


async def raw(scope, receive, send):
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def check(answer):
    assert 200 <= answer.status <= 599
    assert is_valid_id(answer.header("x-correlation-id"))
    assert is_valid_id(answer.header("x-request-id"))
    for name, value in answer.headers:
        assert "\r" not in name + value
        assert "\n" not in name + value
    if answer.status >= 400 and answer.body:
        kind = answer.header("content-type")
        model = Problem if kind == "application/problem+json" else ErrorEnvelope
        model.model_validate(json.loads(answer.body))
        assert answer.header("content-length") == str(len(answer.body))


FUZZ = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("shared.api").disabled = True
    yield
    logging.getLogger("shared.api").disabled = False


@FUZZ
@given(
    METHODS,
    PATHS,
    HEADERS,
    BODIES,
    st.sampled_from(["1.0", "1.1", "2", "3", ""]),
    st.sampled_from(["", "/api", "/\u00e9"]),
)
def test_any_http_request_is_answered(asgi_app, method, path, headers, body, version, root):
    sent = []
    pieces = list(body)

    async def receive():
        if not pieces:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    async def send(message):
        sent.append(message)

    async def serve():
        scope = http_scope(method, path, http_version=version, root_path=root) | {"headers": headers}
        await asgi_app(scope, receive, send)
        assert current_context() is None

    asyncio.run(serve())

    assert [m["type"] for m in sent].count("http.response.start") == 1
    assert not sent[-1].get("more_body")
    check(answer_of(sent))


@pytest.fixture(scope="module", params=["raw", "flask"])
def wsgi_app(request):
    runtime = Runtime("fuzz")
    options = LayerOptions(max_body_bytes=1000, access_log=False)
    if request.param == "raw":
        yield WsgiLayer(raw_wsgi, Pipeline(options, runtime=runtime))
    else:
        make, module = FRAMEWORKS["flask"]
        app = make()
        module.install_layer(app, options, runtime=runtime)
        module.install_error_handlers(app)
        yield app
    runtime.close()


def raw_wsgi(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"ok"]


@FUZZ
@given(METHODS, PATHS, HEADERS, st.binary(max_size=2000), st.sampled_from(["", "/api"]))
def test_any_wsgi_request_is_answered(wsgi_app, method, path, headers, body, script):
    environ = environ_for(method, path.encode().decode("latin-1"), body=body, SCRIPT_NAME=script)
    for name, value in headers:
        key = name.decode("latin-1").upper().replace("-", "_")
        environ["CONTENT_" + key[8:] if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = (
            value.decode("latin-1")
        )
    started = []
    result = wsgi_app(environ, lambda status, sent, exc_info=None: started.append((status, sent)))
    chunks = list(result)
    result.close()

    status, sent = started[-1]
    assert current_context() is None
    check(Answer(int(status[:3]), sent, b"".join(chunks), []))


@FUZZ
@given(HEADERS, st.lists(st.sampled_from(["text", "bytes", "leave", "crash", "ours"]), max_size=5))
def test_any_websocket_ends(headers, script):
    sent = []
    steps = list(script)

    async def receive():
        if not steps:
            return {"type": "websocket.disconnect", "code": 1006}
        step = steps.pop(0)
        if step == "leave":
            return {"type": "websocket.disconnect", "code": 1001}
        return {"type": "websocket.receive", "text": step, "bytes": b"x" if step == "bytes" else None}

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message["text"] == "crash":
                raise RuntimeError
            if message["text"] == "ours":
                raise SharedError

    async def send(message):
        sent.append(message)

    async def serve():
        runtime = Runtime("fuzz")
        layer = AsgiLayer(app, Pipeline(LayerOptions(access_log=False), runtime=runtime))
        await layer(http_scope(path="/ws") | {"type": "websocket", "headers": headers}, receive, send)
        assert current_context() is None
        runtime.close()

    asyncio.run(serve())

    kinds = [m["type"] for m in sent]
    assert kinds in (["websocket.accept"], ["websocket.accept", "websocket.close"])


@pytest.fixture(scope="module")
def json_client():
    make, module = FRAMEWORKS["fastapi"]
    app = make()
    module.install_error_handlers(app)
    return TestClient(app)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["name", "qty"]), inner),
)


@FUZZ
@given(JSON_VALUES)
def test_any_json_is_an_item_or_a_422(json_client, data):
    answer = json_client.post("/items", json=data)

    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        errors = answer.json()["error"]["details"]["errors"]
        assert all(set(error) == {"field", "message", "type"} for error in errors)
