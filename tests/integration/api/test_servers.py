"""What only shows with real sockets: uvicorn and waitress on loopback."""

import asyncio
import json
import threading
from functools import partial

import pytest
from flask import Flask, Response
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from shared.api import LayerOptions
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.context import bind, current_context, get_correlation_id
from tests.integration.api._servers import Wire, request, uvicorn_server, wait_for, waitress_server

LIMIT = 10_000


def starlette_app(state):
    async def echo(request):
        return JSONResponse({"size": len(await request.body()), "id": get_correlation_id()})

    async def ignore(_request):
        return JSONResponse({})

    async def endless(_request):
        async def chunks():
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.001)
            finally:
                state["stream_ended"] = True

        return StreamingResponse(chunks())

    async def breaks(_request):
        async def chunks():
            yield b"first"
            raise RuntimeError("hunter2")

        return StreamingResponse(chunks())

    async def crash(_request):
        raise RuntimeError("hunter2")

    return Starlette(
        routes=[
            Route("/echo", echo, methods=["GET", "POST"]),
            Route("/ignore", ignore, methods=["POST"]),
            Route("/endless", endless),
            Route("/breaks", breaks),
            Route("/crash", crash),
        ]
    )


def flask_app(state):
    app = Flask("wire")

    @app.route("/echo", methods=["GET", "POST"])
    def echo():
        state.setdefault("before", []).append(dict(current_context().fields))
        bind(user="alice")
        return {"size": len(flask_request.get_data()), "id": get_correlation_id()}

    @app.post("/ignore")
    def ignore():
        return {}

    @app.get("/endless")
    def endless():
        def chunks():
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                state["stream_ended"] = True

        return Response(chunks())

    @app.get("/breaks")
    def breaks():
        def chunks():
            yield b"first"
            raise RuntimeError("hunter2")

        return Response(chunks())

    @app.get("/crash")
    def crash():
        raise RuntimeError("hunter2")

    return app


@pytest.fixture(params=["uvicorn", "waitress"])
def server(request):
    return request.param


only = partial(pytest.mark.parametrize, "server", indirect=True)


@pytest.fixture
def state():
    return {}


@pytest.fixture
def port(server, state, runtime, lines):
    # On a loaded machine anything may take a second: nothing here is slow.
    options = LayerOptions(max_body_bytes=LIMIT, slow_seconds=3600)
    module, make, serve = {
        "uvicorn": (on_starlette, starlette_app, uvicorn_server),
        "waitress": (on_flask, flask_app, waitress_server),
    }[server]
    app = make(state)
    module.install_layer(app, options, runtime=runtime, access=lines)
    module.install_error_handlers(app)
    with serve(app) as number:
        yield number


@pytest.fixture
def wire(port):
    with Wire(port) as connection:
        yield connection


def code_of(body):
    return json.loads(body)["error"]["code"]


def test_requests_on_one_connection_have_ids_of_their_own(wire):
    seen = []
    for n in range(3):
        wire.send(request("GET", "/echo", f"X-Correlation-ID: c-{n}"))
        status, headers, body = wire.answer()
        seen.append((status, json.loads(body)["id"], headers["x-correlation-id"], headers["x-request-id"]))

    assert [row[:3] for row in seen] == [(200, f"c-{n}", f"c-{n}") for n in range(3)]
    assert len({row[3] for row in seen}) == 3


def test_hostile_id_over_the_wire_is_replaced(wire):
    wire.send(request("GET", "/echo", "X-Correlation-ID: " + "x" * 5000))

    _, headers, _ = wire.answer()

    assert len(headers["x-correlation-id"]) == 32


def test_body_above_the_declared_limit_is_413_and_the_connection_does_not_hang(wire, lines):
    body = b"x" * (LIMIT + 1)
    wire.send(request("POST", "/echo", f"Content-Length: {len(body)}", body=body))

    status, headers, answer = wire.answer()

    assert (status, code_of(answer)) == (413, "PAYLOAD_TOO_LARGE")
    assert headers["x-request-id"]
    wait_for(lambda: lines.written)
    assert lines.only["status"] == 413
    # The connection is either good for another request or closed: it never hangs.
    again = wire.send_if_possible(request("GET", "/echo", "Connection: close"))
    rest = wire.rest()
    assert rest == b"" or (again and rest.startswith(b"HTTP/1.1 200 "))


def test_client_that_asks_before_sending_a_large_body_is_refused_without_it(server, port):
    with Wire(port) as wire:
        wire.send(request("POST", "/echo", f"Content-Length: {LIMIT * 1000}", "Expect: 100-continue"))
        if server == "waitress":
            # waitress says 100 by itself before the application sees the request.
            assert wire.answer()[0] == 100
            wire.send(b"x" * LIMIT * 1000)

        status, _, answer = wire.answer()

    assert (status, code_of(answer)) == (413, "PAYLOAD_TOO_LARGE")


def test_client_that_asks_before_sending_a_small_body_is_told_to_go_on(wire):
    wire.send(request("POST", "/echo", "Content-Length: 5", "Expect: 100-continue"))
    assert wire.answer()[0] == 100
    wire.send(b"12345")

    status, _, answer = wire.answer()

    assert (status, json.loads(answer)["size"]) == (200, 5)


def chunked(total, size=1000):
    body = b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for _ in range(total // size))
    return body + b"0\r\n\r\n"


def test_chunked_body_up_to_the_limit_is_read(wire):
    wire.send(request("POST", "/echo", "Transfer-Encoding: chunked", body=chunked(LIMIT)))

    status, _, answer = wire.answer()

    assert (status, json.loads(answer)["size"]) == (200, LIMIT)


def test_chunked_body_above_the_limit_is_413(wire, lines):
    wire.send_if_possible(request("POST", "/echo", "Transfer-Encoding: chunked", body=chunked(LIMIT * 3)))

    status, _, answer = wire.answer()

    assert (status, code_of(answer)) == (413, "PAYLOAD_TOO_LARGE")
    wait_for(lambda: lines.written)
    assert lines.only["status"] == 413


def test_length_that_is_no_number_never_reaches_the_handler(wire, lines):
    wire.send(request("POST", "/echo", "Content-Length: abc", body=b"x"))

    assert wire.answer()[0] == 400


@only(["uvicorn"])  # waitress reads the whole body before the application sees the request
def test_client_that_leaves_in_the_middle_of_its_body_is_no_failure(port, lines, caplog):
    with Wire(port) as wire:
        wire.send(request("POST", "/echo", "Content-Length: 1000", body=b"x" * 10))

    wait_for(lambda: lines.written)
    assert (lines.only["status"], lines.only["outcome"], lines.only["level"]) == (499, "disconnected", "info")
    assert [r for r in caplog.records if r.levelname == "ERROR"] == []


def test_client_that_leaves_mid_stream_is_no_failure(port, lines, state):
    with Wire(port) as wire:
        wire.send(request("GET", "/endless"))
        wire.until(b"\r\n\r\n")
        wire.exactly(5000)

    wait_for(lambda: lines.written)
    line = lines.only
    assert (line["status"], line["outcome"], line["level"], line["route"]) == (
        200,
        "disconnected",
        "info",
        "/endless",
    )
    assert line["bytes_sent"] >= 5000
    wait_for(lambda: state.get("stream_ended"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_in_the_middle_of_a_stream_cuts_the_connection(wire, lines):
    wire.send(request("GET", "/breaks"))
    head = wire.until(b"\r\n\r\n")

    with pytest.raises(EOFError):
        wire.until(b"0\r\n\r\n")

    assert b" 200 " in head
    wait_for(lambda: lines.written)
    assert (lines.only["outcome"], lines.only["level"]) == ("failed", "error")


def test_500_over_the_wire_is_the_envelope_and_the_connection_lives_on(wire):
    wire.send(request("GET", "/crash"))
    status, headers, answer = wire.answer()
    assert (status, code_of(answer)) == (500, "INTERNAL_ERROR")
    assert headers["x-content-type-options"] == "nosniff"

    wire.send(request("GET", "/echo"))
    assert wire.answer()[0] == 200


def test_head_answers_have_no_body(wire):
    for path, status in (("/echo", 200), ("/crash", 500), ("/nowhere", 404)):
        wire.send(request("HEAD", path))
        head = wire.until(b"\r\n\r\n")
        assert f" {status} ".encode() in head
    wire.send(request("GET", "/echo"))

    assert wire.answer()[0] == 200


@only(["waitress"])  # uvicorn makes a task per request
def test_next_request_on_the_same_thread_sees_nothing_of_the_last(port, state):
    for _ in range(3):
        with Wire(port) as wire:
            wire.send(request("GET", "/echo", "Connection: close"))
            wire.answer()

    assert state["before"] == [{}, {}, {}]


def test_many_clients_at_once_each_get_their_own_id(port):
    seen, failed = {}, []

    def ask(n):
        try:
            with Wire(port) as wire:
                for _ in range(5):
                    wire.send(request("GET", "/echo", f"X-Correlation-ID: c-{n}"))
                    _, headers, body = wire.answer()
                    seen.setdefault(n, set()).add((headers["x-correlation-id"], json.loads(body)["id"]))
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert failed == []
    assert seen == {n: {(f"c-{n}", f"c-{n}")} for n in range(10)}
