"""The same layer does the same on the three frameworks."""

import asyncio
import logging

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.testclient import TestClient
from flask import Flask, Response, request, stream_with_context
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from shared.api import Job, LayerOptions
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.context import bind, bound_fields, current_context, get_correlation_id, get_request_id
from shared.errors import ConfigurationError, RateLimitError
from shared.runtime import Runtime, current
from tests.integration.api._apps import FRAMEWORKS, Service
from tests.unit.api._drive import Lines

# --- parity ----------------------------------------------------------------------------------


REQUESTS = [
    ("GET", "/items/1", None),
    ("GET", "/nowhere", None),
    ("DELETE", "/items", None),
    ("GET", "/raise/order", None),
    ("GET", "/raise/crash", None),
    ("GET", "/http/418", None),
    ("POST", "/items", b"{bad"),
    ("POST", "/items", b"x" * 1_100_000),
]


def test_frameworks_agree_on_bodies_headers_and_lines(runtime, monkeypatch):
    monkeypatch.setattr("shared.api._envelope.timestamp", lambda: "2025-01-01T00:00:00Z")
    answers, written = {}, {}
    for framework in FRAMEWORKS:
        lines = Lines()
        service = Service(framework, None, runtime, lines)
        answers[framework] = [
            service.call(
                method,
                path,
                headers={"x-correlation-id": "c-1", "content-type": "application/json"},
                body=body,
            )
            for method, path, body in REQUESTS
        ]
        written[framework] = lines.written

    for at in range(1, len(REQUESTS)):  # the first is the handler's own body, rendered by each framework
        bodies = {framework: answer[at].body for framework, answer in answers.items()}
        assert len(set(bodies.values())) == 1, bodies
    for at in range(len(REQUESTS)):
        names = {
            frozenset(answer[at].headers) - {"allow", "vary", "x-kept", "date"} for answer in answers.values()
        }
        assert len(names) == 1, names
        facts = {
            (line["method"], line["route"].replace(":int", ""), line["status"], line["level"], tuple(line))
            for line in (lines[at] for lines in written.values())
            if line["status"] != 405
        }
        assert len(facts) <= 1, facts


def test_ids_in_handler_answer_and_line_are_the_same(service, lines):
    reply = service.call("GET", "/items/7", headers={"x-correlation-id": "c-7"})

    assert reply.json["correlation_id"] == "c-7" == reply.headers["x-correlation-id"]
    assert len(reply.headers["x-request-id"]) == 32


def test_request_is_observed_once(framework, runtime, lines):
    seen = []
    make, module = FRAMEWORKS[framework]
    app = make()
    module.install_layer(app, runtime=runtime, access=lines, observers=[seen.append])

    client = app.test_client() if framework == "flask" else TestClient(app)
    client.get("/items/7")

    assert [(event.method, event.route, event.status) for event in seen] == [("GET", "/items/{item_id}", 200)]


class Limiter(Job):
    def on_request(self, exchange):
        if exchange.header("x-client") == "greedy":
            return RateLimitError(retry_after=7)
        return None

    def on_headers(self, exchange, status, headers):
        headers.setdefault("RateLimit-Policy", "ten")


@pytest.mark.parametrize(("client", "status"), [("modest", 200), ("greedy", 429)])
def test_job_works_on_every_framework(framework, runtime, lines, client, status):
    make, module = FRAMEWORKS[framework]
    app = make()
    module.install_layer(app, runtime=runtime, access=lines, jobs=[Limiter()])

    tester = app.test_client() if framework == "flask" else TestClient(app)
    answer = tester.get("/items/1", headers={"x-client": client})

    assert answer.status_code == status
    assert answer.headers["RateLimit-Policy"] == "ten"
    assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)


# --- installing ----------------------------------------------------------------------------------


def test_installing_twice_is_installing_once(framework, runtime, lines):
    make, module = FRAMEWORKS[framework]
    app = make()

    first = module.install_layer(app, LayerOptions(), runtime=runtime, access=lines)
    module.install_error_handlers(app)
    second = module.install_layer(app, LayerOptions(), runtime=runtime, access=lines)
    third = module.install_layer(app)
    module.install_error_handlers(app)

    assert first is second is third
    client = app.test_client() if framework == "flask" else TestClient(app)
    answer = client.get("/items/1")
    assert (
        len(
            answer.headers.get_all("X-Request-ID")
            if framework == "flask"
            else answer.headers.get_list("x-request-id")
        )
        == 1
    )
    assert len(lines.written) == 1


def test_installing_with_other_options_is_refused(framework, runtime, lines):
    make, module = FRAMEWORKS[framework]
    app = make()
    module.install_layer(app, LayerOptions(), runtime=runtime, access=lines)
    module.install_error_handlers(app)

    with pytest.raises(ConfigurationError, match="uninstall"):
        module.install_layer(app, LayerOptions(max_body_bytes=1), runtime=runtime)
    with pytest.raises(ConfigurationError, match="uninstall"):
        module.install_error_handlers(app, LayerOptions(error_format="problem"))


def test_application_keeps_its_type(service):
    assert type(service.app) in (FastAPI, Starlette, Flask)


def test_uninstalling_leaves_no_trace(framework, runtime, lines):
    make, module = FRAMEWORKS[framework]
    app, plain = make(), make()

    def ask(target, path):
        if framework == "flask":
            return target.test_client().get(path)
        return TestClient(target, raise_server_exceptions=False, follow_redirects=False).get(path)

    paths = ("/nowhere", "/away", "/http/418")
    before = [(a.status_code, a.text) for a in (ask(plain, path) for path in paths)]
    module.install_layer(app, runtime=runtime, access=lines)
    module.install_error_handlers(app)
    ask(app, "/nowhere")
    module.uninstall(app)
    module.uninstall(app)

    answers = [ask(app, path) for path in paths]
    assert [(a.status_code, a.text) for a in answers] == before
    assert not any("x-request-id" in {name.lower() for name in dict(a.headers)} for a in answers)
    assert len(lines.written) == 1


def test_layer_can_be_installed_again_after_uninstalling(framework, runtime, lines):
    make, module = FRAMEWORKS[framework]
    app = make()
    module.install_layer(app, runtime=runtime, access=lines)
    module.uninstall(app)

    module.install_layer(app, LayerOptions(security_headers="seed"), runtime=runtime, access=lines)

    client = app.test_client() if framework == "flask" else TestClient(app)
    assert client.get("/items/1").headers["X-XSS-Protection"] == "1; mode=block"


def test_flask_layer_that_others_have_wrapped_becomes_transparent(runtime, lines):
    app = Flask("wrapped")
    on_flask.install_layer(app, runtime=runtime, access=lines)
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start: inner(environ, start)

    on_flask.uninstall(app)

    assert "X-Request-ID" not in app.test_client().get("/").headers
    assert lines.written == []


def test_two_applications_in_one_process_do_not_mix(framework):
    make, module = FRAMEWORKS[framework]
    runtimes, sinks, apps = [], [], []
    for n in (1, 2):
        runtime, lines, app = Runtime(f"app-{n}"), Lines(), make()
        options = LayerOptions(
            api_version=f"v{n}",
            error_format=["envelope", "problem"][n - 1],
            security_headers=["api", "seed"][n - 1],
        )
        module.install_layer(app, options, runtime=runtime, access=lines)
        module.install_error_handlers(app)
        runtimes.append(runtime)
        sinks.append(lines)
        apps.append(app)

    def ask(app):
        return app.test_client().get("/nowhere") if framework == "flask" else TestClient(app).get("/nowhere")

    one, two = ask(apps[0]), ask(apps[1])

    assert (one.headers["content-type"], two.headers["content-type"]) == (
        "application/json",
        "application/problem+json",
    )
    assert (one.headers["X-XSS-Protection"], two.headers["X-XSS-Protection"]) == ("0", "1; mode=block")
    assert [len(sink.written) for sink in sinks] == [1, 1]
    assert "v1" in one.text
    for runtime in runtimes:
        runtime.close()


def test_error_handlers_work_without_the_layer(framework):
    make, module = FRAMEWORKS[framework]
    app = make()
    module.install_error_handlers(app)

    client = app.test_client() if framework == "flask" else TestClient(app, raise_server_exceptions=False)

    for path, status, code in (("/nowhere", 404, "NOT_FOUND"), ("/raise/crash", 500, "INTERNAL_ERROR")):
        answer = client.get(path)
        body = answer.json if framework == "flask" else answer.json()
        assert (answer.status_code, body["error"]["code"]) == (status, code)


def test_error_handlers_follow_a_layer_that_is_installed_later(framework, runtime, lines):
    make, module = FRAMEWORKS[framework]
    app = make()
    module.install_error_handlers(app)
    module.install_layer(app, LayerOptions(error_format="problem"), runtime=runtime, access=lines)

    client = app.test_client() if framework == "flask" else TestClient(app)

    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_layer_works_without_the_error_handlers(framework, runtime, lines):
    make, module = FRAMEWORKS[framework]
    app = make()
    module.install_layer(app, runtime=runtime, access=lines)

    client = app.test_client() if framework == "flask" else TestClient(app)
    answer = client.get("/raise/crash")

    assert answer.status_code == 500
    assert answer.headers["x-request-id"]


# --- handlers of the application ---------------------------------------------------------------------


class Own(Exception):
    pass


@pytest.mark.parametrize("when", ["before", "after"])
def test_handlers_of_a_starlette_application_win(runtime, lines, when):
    async def broken(_request):
        raise Own

    async def crash(_request):
        raise RuntimeError

    async def own(_request, _exc):
        return PlainTextResponse("own", 418)

    def own_500(_request, _exc):
        return PlainTextResponse("own 500", 500)

    def own_404(_request, _exc):
        return PlainTextResponse("own 404", 404)

    app = Starlette(routes=[Route("/own", broken), Route("/crash", crash)])

    def handlers():
        app.add_exception_handler(Own, own)
        app.add_exception_handler(Exception, own_500)
        app.add_exception_handler(404, own_404)

    if when == "before":
        handlers()
    on_starlette.install_layer(app, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)
    if when == "after":
        handlers()
    client = TestClient(app)

    answers = [client.get(path) for path in ("/own", "/crash", "/nowhere")]

    assert [(a.status_code, a.text) for a in answers] == [(418, "own"), (500, "own 500"), (404, "own 404")]
    assert all("x-request-id" in a.headers for a in answers)


def test_asynchronous_handler_for_everything_is_asked(runtime, lines):
    async def crash(_request):
        raise RuntimeError

    async def own_500(_request, _exc):
        return PlainTextResponse("own 500", 500)

    app = Starlette(routes=[Route("/crash", crash)], exception_handlers={500: own_500})
    on_starlette.install_layer(app, runtime=runtime, access=lines)

    assert TestClient(app).get("/crash").text == "own 500"


@pytest.mark.parametrize("when", ["before", "after"])
def test_handlers_of_a_flask_application_win(runtime, lines, when):
    app = Flask("own")

    @app.get("/own")
    def broken():
        raise Own

    def handlers():
        app.register_error_handler(Own, lambda exc: ("own", 418))
        app.register_error_handler(404, lambda exc: ("own 404", 404))

    if when == "before":
        handlers()
    on_flask.install_layer(app, runtime=runtime, access=lines)
    on_flask.install_error_handlers(app)
    if when == "after":
        handlers()
    client = app.test_client()

    answers = [client.get(path) for path in ("/own", "/nowhere")]

    assert [(a.status_code, a.text) for a in answers] == [(418, "own"), (404, "own 404")]


def test_flask_handler_for_everything_that_was_there_stays(runtime):
    app = Flask("own")
    app.register_error_handler(Exception, lambda exc: ("own", 500))
    on_flask.install_error_handlers(app)

    assert app.test_client().get("/nowhere").text == "own"
    on_flask.uninstall(app)
    assert app.test_client().get("/nowhere").text == "own"


def test_unforeseen_exception_sends_the_signal_of_flask(runtime, lines):
    from flask import got_request_exception

    app = Flask("signals")

    @app.get("/crash")
    def crash():
        raise Own

    on_flask.install_layer(app, runtime=runtime, access=lines)
    on_flask.install_error_handlers(app)
    seen = []

    def note(sender, exception, **_):
        seen.append(exception)

    with got_request_exception.connected_to(note, app):
        app.test_client().get("/crash")

    assert [type(exc) for exc in seen] == [Own]


def test_response_that_a_flask_view_aborts_with_is_left_alone(runtime, lines):
    from flask import abort

    app = Flask("abort")

    @app.get("/")
    def view():
        abort(Response("made by hand", 403))

    on_flask.install_error_handlers(app)

    assert app.test_client().get("/").text == "made by hand"


# --- context ----------------------------------------------------------------------------------------------


class BoundSink(Lines):
    def write(self, fields, *, level):
        super().write({**fields, **bound_fields()}, level=level)


def test_fields_bound_anywhere_reach_the_line(runtime):
    app = FastAPI()

    def sync_dependency():
        bind(sync_dependency=1)

    async def async_dependency():
        bind(async_dependency=2)

    def yields():
        bind(yielding=3)
        yield
        bind(too_late=5)

    @app.get("/", dependencies=[Depends(sync_dependency), Depends(async_dependency), Depends(yields)])
    def endpoint():
        bind(endpoint=4)
        return {}

    sink = BoundSink()
    on_fastapi.install_layer(app, runtime=runtime, access=sink)

    TestClient(app).get("/")

    line = sink.only
    assert [line.get(name) for name in ("sync_dependency", "async_dependency", "yielding", "endpoint")] == [
        1,
        2,
        3,
        4,
    ]


def test_buffering_middleware_of_the_application_does_not_lose_the_context(runtime):
    from starlette.middleware import base

    class Buffering(base.BaseHTTPMiddleware):  # noqa: TID251 - applications have them, whatever we say
        async def dispatch(self, request, call_next):
            bind(middleware=get_correlation_id())
            return await call_next(request)

    async def view(_request):
        bind(view=get_correlation_id())
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", view)], middleware=[Middleware(Buffering)])
    sink = BoundSink()
    on_starlette.install_layer(app, runtime=runtime, access=sink)

    answer = TestClient(app).get("/", headers={"x-correlation-id": "c-1"})

    assert answer.text == "ok"
    assert (sink.only["middleware"], sink.only["view"], sink.only["route"]) == ("c-1", "c-1", "/")


def test_background_tasks_run_in_the_context_and_their_errors_are_logged_with_the_ids(runtime, lines, caplog):
    seen = []

    class Note(logging.Handler):
        def emit(self, record):
            seen.append(("log", get_correlation_id(), record.getMessage()))

    app = FastAPI()

    def later():
        seen.append(("task", get_correlation_id(), current() is runtime))
        raise RuntimeError("later")

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks):
        tasks.add_task(later)
        return {}

    on_fastapi.install_layer(app, runtime=runtime, access=lines)
    note = Note()
    logging.getLogger("shared.api").addHandler(note)
    try:
        answer = TestClient(app).get("/", headers={"x-correlation-id": "c-1"})
    finally:
        logging.getLogger("shared.api").removeHandler(note)

    assert answer.status_code == 200
    assert seen == [
        ("task", "c-1", True),
        ("log", "c-1", "a background task failed after the answer was sent"),
    ]
    assert lines.only["status"] == 200


def test_callbacks_at_the_close_of_a_flask_answer_run_in_the_context(runtime, lines):
    app = Flask("close")
    seen = []

    @app.get("/")
    def view():
        response = Response("ok")
        response.call_on_close(lambda: seen.append((get_correlation_id(), current() is runtime)))
        return response

    on_flask.install_layer(app, runtime=runtime, access=lines)

    with app.test_client().get("/", headers={"x-correlation-id": "c-1"}) as answer:
        assert answer.text == "ok"

    assert seen == [("c-1", True)]
    assert current_context() is None


def test_flask_stream_keeps_context_to_its_last_byte(runtime, lines):
    app = Flask("stream")

    @app.get("/")
    def view():
        def chunks():
            for n in range(3):
                yield f"{n}:{get_correlation_id()}:{request.path} "

        return Response(stream_with_context(chunks()))

    on_flask.install_layer(app, runtime=runtime, access=lines)

    with app.test_client().get("/", headers={"x-correlation-id": "c-1"}) as answer:
        assert answer.text == "0:c-1:/ 1:c-1:/ 2:c-1:/ "

    assert lines.only["bytes_sent"] == 24
    assert current_context() is None


# --- answers that stay untouched ------------------------------------------------------------------------------


def test_streams_files_and_empty_answers_pass_through(runtime, lines, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("file")

    async def chunks():
        for n in range(3):
            yield f"data: {n}\n\n"
            await asyncio.sleep(0)

    async def stream(_request):
        return StreamingResponse(chunks(), media_type="text/event-stream")

    async def send_file(_request):
        return FileResponse(file)

    async def empty(_request):
        return PlainTextResponse(status_code=204)

    async def unchanged(_request):
        return PlainTextResponse(status_code=304)

    app = Starlette(
        routes=[
            Route("/stream", stream),
            Route("/file", send_file),
            Route("/empty", empty),
            Route("/unchanged", unchanged),
        ]
    )
    on_starlette.install_layer(app, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)
    client = TestClient(app)

    assert client.get("/stream").text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert client.get("/stream").headers["content-type"].startswith("text/event-stream")
    assert client.get("/file").text == "file"
    assert client.get("/file", headers={"range": "bytes=0-1"}).status_code == 206
    assert client.head("/file").headers["content-length"] == "4"
    assert [client.get(path).status_code for path in ("/empty", "/unchanged")] == [204, 304]
    assert [client.get(path).content for path in ("/empty", "/unchanged")] == [b"", b""]


def test_background_task_does_not_delay_the_line(runtime, lines):
    at_task = []

    async def view(_request):
        return JSONResponse({}, background=BackgroundTask(lambda: at_task.append(len(lines.written))))

    app = Starlette(routes=[Route("/", view)])
    on_starlette.install_layer(app, runtime=runtime, access=lines)

    TestClient(app).get("/")

    assert at_task == [1]


# --- websockets -----------------------------------------------------------------------------------------------------


def test_websocket_has_ids_and_context_and_closes_with_1011_on_failure(runtime, lines):
    async def chat(websocket):
        await websocket.accept()
        await websocket.send_text(f"{get_correlation_id()} {get_request_id()}")
        raise RuntimeError("secret")

    app = Starlette(routes=[WebSocketRoute("/chat", chat)])
    on_starlette.install_layer(app, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)

    with TestClient(app).websocket_connect("/chat", headers={"x-correlation-id": "c-1"}) as socket:
        text = socket.receive_text()
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()

    assert text.startswith("c-1 ")
    assert (closed.value.code, closed.value.reason) == (1011, "INTERNAL_ERROR")
    assert lines.only["close_code"] == 1011


def test_websocket_whose_client_leaves_is_no_failure(runtime, lines, caplog):
    async def chat(websocket):
        await websocket.accept()
        while True:
            await websocket.receive_text()

    app = Starlette(routes=[WebSocketRoute("/chat", chat)])
    on_starlette.install_layer(app, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)

    with TestClient(app).websocket_connect("/chat") as socket:
        socket.send_text("hi")

    assert (lines.only["level"], lines.only["status"]) == ("info", 101)
    assert [r for r in caplog.records if r.name == "shared.api"] == []


def test_websocket_of_fastapi_never_tells_the_input(runtime, lines):
    app = FastAPI()

    @app.websocket("/ws/{n}")
    async def ws(websocket, n: int):
        await websocket.accept()

    on_fastapi.install_layer(app, runtime=runtime, access=lines)
    on_fastapi.install_error_handlers(app)

    with pytest.raises(WebSocketDisconnect) as closed, TestClient(app).websocket_connect("/ws/hunter2"):
        pass

    assert closed.value.code == 1008
    assert "hunter2" not in closed.value.reason


def test_our_error_in_a_websocket_closes_with_its_code(runtime, lines):
    async def chat(websocket):
        await websocket.accept()
        raise RateLimitError

    async def deep(websocket):
        import json

        await websocket.accept()
        json.loads("{")

    app = Starlette(routes=[WebSocketRoute("/chat", chat), WebSocketRoute("/deep", deep)])
    on_starlette.install_layer(app, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)

    codes = []
    for path in ("/chat", "/deep"):
        with TestClient(app).websocket_connect(path) as socket, pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        codes.append((closed.value.code, closed.value.reason))

    assert codes == [(1008, "RATE_LIMIT_EXCEEDED"), (1011, "INTERNAL_ERROR")]


def test_http_exception_in_a_websocket_closes_it(runtime, lines):
    from starlette.exceptions import HTTPException

    async def chat(websocket):
        await websocket.accept()
        raise HTTPException(403)

    app = Starlette(routes=[WebSocketRoute("/chat", chat)])
    on_starlette.install_layer(app, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)

    with TestClient(app).websocket_connect("/chat") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()

    assert (closed.value.code, closed.value.reason) == (1008, "AUTHORIZATION_ERROR")


def test_lifespan_runs_inside_the_runtime(runtime, lines):
    from contextlib import asynccontextmanager

    seen = []

    @asynccontextmanager
    async def lifespan(_app):
        seen.append(current())
        yield
        seen.append(current())

    app = Starlette(lifespan=lifespan)
    on_starlette.install_layer(app, runtime=runtime, access=lines)

    with TestClient(app):
        pass

    assert seen == [runtime, runtime]


# --- errors raised by the framework around the body ---------------------------------------------------------------------


def test_starlette_handler_that_parses_bad_json_of_its_own_is_a_500(runtime, lines):
    async def upstream(_request):
        import json

        json.loads("{bad")

    app = Starlette(routes=[Route("/", upstream)])
    on_starlette.install_layer(app, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)

    assert TestClient(app).get("/").status_code == 500


def test_flask_view_that_parses_bad_json_of_its_own_is_a_500(runtime, lines):
    app = Flask("own")

    @app.get("/")
    def upstream():
        import json

        return json.loads("{bad")

    on_flask.install_layer(app, runtime=runtime, access=lines)
    on_flask.install_error_handlers(app)

    assert app.test_client().get("/").status_code == 500


def test_flask_request_with_the_wrong_content_type_is_415(runtime, lines):
    app = Flask("type")

    @app.post("/")
    def view():
        return request.get_json()

    on_flask.install_error_handlers(app)

    answer = app.test_client().post("/", data="x", content_type="text/plain")

    assert (answer.status_code, answer.json["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_response_that_does_not_fit_its_model_is_a_500_that_tells_nothing(runtime, lines, caplog):
    app = FastAPI()

    @app.get("/")
    async def view() -> int:
        return "hunter2"

    on_fastapi.install_layer(app, runtime=runtime, access=lines)
    on_fastapi.install_error_handlers(app)

    answer = TestClient(app).get("/")

    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "hunter2" not in caplog.text


def test_redirect_raised_as_an_exception_is_left_alone(runtime, lines):
    from starlette.exceptions import HTTPException

    async def view(_request):
        raise HTTPException(307, headers={"location": "/else"})

    app = Starlette(routes=[Route("/", view)])
    on_starlette.install_error_handlers(app)

    answer = TestClient(app, follow_redirects=False).get("/")

    assert (answer.status_code, answer.headers["location"], answer.content) == (307, "/else", b"")
