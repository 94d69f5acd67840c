"""Hostile bytes on real sockets: a clean answer or a closed connection, and the server goes on."""

import json

import pytest
from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from shared.api import LayerOptions
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from tests.integration.api._servers import Wire, request, uvicorn_server, wait_for, waitress_server


def starlette_app():
    async def echo(request):
        return JSONResponse({"size": len(await request.body())})

    return Starlette(routes=[Route("/echo", echo, methods=["GET", "POST"])])


def flask_app():
    app = Flask("hostile")

    @app.route("/echo", methods=["GET", "POST"])
    def echo():
        return {"size": len(flask_request.get_data())}

    return app


@pytest.fixture(params=["uvicorn", "waitress"])
def port(request, runtime, lines):
    options = LayerOptions(max_body_bytes=1_000, slow_seconds=3600)
    module, make, serve = {
        "uvicorn": (on_starlette, starlette_app, uvicorn_server),
        "waitress": (on_flask, flask_app, waitress_server),
    }[request.param]
    app = make()
    module.install_layer(app, options, runtime=runtime, access=lines)
    module.install_error_handlers(app)
    with serve(app) as number:
        yield number


def first_status(port, data):
    """Return the status of the first answer, or None when the server hung up without one."""
    with Wire(port) as wire:
        wire.send_if_possible(data)
        try:
            return wire.answer()[0]
        except EOFError:
            return None


def lives_on(port):
    with Wire(port) as wire:
        wire.send(request("GET", "/echo"))
        return wire.answer()[0] == 200


HOSTILE = {
    "two-lengths": request("POST", "/echo", "Content-Length: 3", "Content-Length: 5", body=b"abcde"),
    "length-and-chunks": request(
        "POST", "/echo", "Content-Length: 3", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "negative-length": request("POST", "/echo", "Content-Length: -1"),
    "huge-length": request("POST", "/echo", "Content-Length: " + "9" * 400),
    "chunk-size-of-no-number": request("POST", "/echo", "Transfer-Encoding: chunked", body=b"zz\r\nab\r\n"),
    "unknown-coding": request("POST", "/echo", "Transfer-Encoding: gzip, identity"),
    "two-hosts": request("GET", "/echo", "Host: evil.example"),
    "header-without-colon": request("GET", "/echo", "no colon here"),
    "control-in-header": b"GET /echo HTTP/1.1\r\nHost: a\r\nX-A: a\x00b\r\n\r\n",
    "bare-line-feed": b"GET /echo HTTP/1.1\nHost: a\nX: y\r\n\r\n",
    "long-path": request("GET", "/" + "a" * 60_000),
    "long-header": request("GET", "/echo", "X-A: " + "a" * 100_000),
    "many-headers": request("GET", "/echo", *(f"X-{n}: {n}" for n in range(2_000))),
    "null-in-path": request("GET", "/echo%00"),
    "broken-escape": request("GET", "/%zz%"),
    "not-utf8-path": request("GET", "/%ff%fe"),
    "raw-bytes-path": b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "upwards": request("GET", "/../../../etc/passwd"),
    "double-slash": request("GET", "//echo//"),
    "absolute": request("GET", "http://evil.example/echo"),
    "star": request("OPTIONS", "*"),
    "no-method": request("<script>", "/echo"),
    "unknown-version": b"GET /echo HTTP/9.9\r\nHost: a\r\n\r\n",
    "no-http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
    "hostile-ids": request("GET", "/echo", "X-Correlation-ID: " + "a" * 60_000, "traceparent: 00-x"),
    "hostile-conditions": request("GET", "/echo", "Accept: " + "application/json;q=," * 500),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bytes_end_in_an_answer_or_a_closed_connection(port, case):
    status = first_status(port, HOSTILE[case])

    assert status is None or 200 <= status < 500 or status in (501, 505), status
    assert lives_on(port)


def test_lines_of_hostile_requests_are_bounded(port, lines):
    first_status(port, request("GET", "/" + "a" * 5_000, "X-Correlation-ID: " + "b" * 500))

    wait_for(lambda: lines.written)
    assert len(json.dumps(lines.only)) < 1_000


def test_body_that_never_comes_is_504_within_the_time_limit(runtime, lines):
    app = starlette_app()
    options = LayerOptions(request_timeout=0.2, slow_seconds=3600)
    on_starlette.install_layer(app, options, runtime=runtime, access=lines)
    on_starlette.install_error_handlers(app)

    with uvicorn_server(app) as port, Wire(port) as wire:
        wire.send(request("POST", "/echo", "Content-Length: 100", body=b"x" * 10))  # and no more
        status, headers, body = wire.answer()

    assert (status, json.loads(body)["error"]["code"]) == (504, "DEADLINE_EXCEEDED")
    assert headers["x-correlation-id"]
