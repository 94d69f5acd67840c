"""Websockets over real sockets: uvicorn with ``websockets``, and the client of the same library."""

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from shared.api import Job, LayerOptions
from shared.api import starlette as on_starlette
from shared.context import bind, current_context, get_correlation_id
from shared.errors import AuthorizationError, RateLimitError
from shared.monitoring import Lifecycle
from tests.integration.api._servers import Wire, request, uvicorn_server, wait_for

LIMIT = 1_000


async def echo(websocket):
    await websocket.accept()
    bind(user="alice")
    await websocket.send_json({"id": get_correlation_id(), "user": current_context().fields.get("user")})
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        return


async def closes(websocket):
    await websocket.accept()
    await websocket.close(code=4001, reason="enough")


async def raises(websocket):
    await websocket.accept()
    raise RuntimeError("hunter2")


async def forbids(websocket):
    await websocket.accept()
    raise AuthorizationError


async def refuses(_websocket):
    raise AuthorizationError


async def breaks_before(_websocket):
    raise RuntimeError("hunter2")


async def turns_away(websocket):
    await websocket.close(code=1008)


async def hold(websocket):
    await websocket.accept()
    await websocket.send_text("held")
    await websocket.receive_text()


async def plain(_request):
    return JSONResponse({"id": get_correlation_id()})


class Limited(Job):
    """Refuses what asks for it, before the application sees it."""

    def on_request(self, exchange):
        return RateLimitError(retry_after=7) if exchange.header("x-refuse") else None


SERVED = (echo, closes, raises, forbids, refuses, breaks_before, turns_away, hold)


@pytest.fixture
def lifecycle():
    return Lifecycle()


@pytest.fixture
def port(runtime, lines, lifecycle):
    app = Starlette(
        routes=[WebSocketRoute(f"/{view.__name__}", view) for view in SERVED] + [Route("/plain", plain)]
    )
    options = LayerOptions(max_body_bytes=LIMIT)
    pipeline = on_starlette.install_layer(app, options, runtime=runtime, access=lines, jobs=[Limited()])
    pipeline.in_flight = lifecycle
    on_starlette.install_error_handlers(app)
    with uvicorn_server(app, ws="websockets-sansio") as number:
        yield number


@pytest.fixture
def opened(port):
    def open_(path, **headers):
        return connect(
            f"ws://127.0.0.1:{port}/{path}",
            additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
            open_timeout=30,
            close_timeout=10,
            proxy=None,
        )

    return open_


@pytest.fixture
def line(lines):
    """Return the one access line, once it is there."""

    def found():
        wait_for(lambda: lines.written)
        return lines.only

    return found


def test_handshake_answers_with_the_ids_the_caller_sent(opened):
    with opened("echo", x_correlation_id="c-1") as socket:
        headers = socket.response.headers
        first = json.loads(socket.recv(timeout=10))

    assert headers["X-Correlation-ID"] == "c-1" == first["id"]
    assert len(headers["X-Request-ID"]) == 32


def test_context_of_a_connection_lasts_and_is_its_own(opened):
    with opened("echo") as one, opened("echo") as other:
        ids = {json.loads(socket.recv(timeout=10))["id"] for socket in (one, other)}

        one.send("hello")
        assert one.recv(timeout=10) == "hello"

    assert len(ids) == 2


def test_hostile_id_in_the_handshake_is_replaced(opened):
    with opened("echo", x_correlation_id="<script>") as socket:
        assert "<" not in socket.response.headers["X-Correlation-ID"]


def test_line_tells_route_bytes_and_code_after_an_orderly_close(opened, line):
    with opened("echo", x_correlation_id="c-2") as socket:
        socket.recv(timeout=10)
        socket.send("héllo")
        socket.recv(timeout=10)

    written = line()
    assert (written["protocol"], written["route"], written["status"]) == ("websocket", "/echo", 101)
    assert (written["bytes_received"], written["close_code"], written["level"]) == (6, 1000, "info")
    assert written["client"] == "127.0.0.1"


HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


def test_client_that_vanishes_ends_the_connection_without_an_error(port, line, lifecycle):
    with Wire(port) as wire:
        wire.send(request("GET", "/hold", *HANDSHAKE))
        wire.until(b"held")  # and gone, without a closing handshake

    written = line()
    # uvicorn says 1005, as for a close without a code: the two cannot be told apart.
    assert (written["level"], written["close_code"], "error" in written) == ("info", 1005, False)
    wait_for(lambda: lifecycle.in_flight == 0)


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("closes", 4001, "enough"),
        ("raises", 1011, "INTERNAL_ERROR"),
        ("forbids", 1008, "AUTHORIZATION_ERROR"),
    ],
)
def test_close_code_reaches_client_and_line(opened, line, path, code, reason):
    with opened(path) as socket, pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=10)

    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
    assert line()["close_code"] == code


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("refuses", {}, 403, "AUTHORIZATION_ERROR"),
        ("breaks_before", {}, 500, "INTERNAL_ERROR"),
        ("echo", {"x_refuse": "1"}, 429, "RATE_LIMIT_EXCEEDED"),
    ],
    ids=["handler", "crash", "job"],
)
def test_refused_handshake_is_a_complete_answer(opened, line, path, headers, status, code):
    with pytest.raises(InvalidStatus) as caught:
        opened(path, x_correlation_id="c-3", **headers)

    answer = caught.value.response
    assert (answer.status_code, json.loads(answer.body)["error"]["code"]) == (status, code)
    assert answer.headers["X-Correlation-ID"] == "c-3"
    assert b"hunter2" not in answer.body
    assert line()["status"] == status


def test_refused_handshake_tells_when_to_come_back(opened):
    with pytest.raises(InvalidStatus) as caught:
        opened("echo", x_refuse="1")

    assert caught.value.response.headers["Retry-After"] == "7"


@pytest.mark.parametrize("path", ["turns_away", "nowhere"])
def test_handshake_that_the_application_closes_is_403(opened, line, path):
    with pytest.raises(InvalidStatus) as caught:
        opened(path)

    assert (caught.value.response.status_code, line()["status"]) == (403, 403)


def test_messages_are_not_bodies_and_may_be_larger_than_the_limit(opened):
    with opened("echo") as socket:
        socket.recv(timeout=10)
        socket.send("x" * (5 * LIMIT))

        assert len(socket.recv(timeout=10)) == 5 * LIMIT


def test_connection_is_in_flight_until_it_closes(opened, lifecycle):
    with opened("hold") as socket:
        socket.recv(timeout=10)
        assert lifecycle.in_flight == 1

    wait_for(lambda: lifecycle.in_flight == 0)


def test_requests_beside_a_connection_keep_ids_of_their_own(port, opened):
    with opened("echo", x_correlation_id="c-4") as socket, Wire(port) as wire:
        socket.recv(timeout=10)
        wire.send(request("GET", "/plain"))
        _, headers, body = wire.answer()

    assert json.loads(body)["id"] == headers["x-correlation-id"] != "c-4"


def test_server_needs_no_other_library_than_websockets(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wsproto", None)
    app = Starlette(routes=[WebSocketRoute("/echo", echo)])
    on_starlette.install_layer(app, LayerOptions(access_log=False))

    with (
        uvicorn_server(app, ws="auto") as port,
        connect(f"ws://127.0.0.1:{port}/echo", open_timeout=30, proxy=None) as socket,
    ):
        assert json.loads(socket.recv(timeout=10))["user"] == "alice"


def test_many_connections_at_once_are_told_apart(port, lines):
    async def one(number):
        from websockets.asyncio.client import connect as aconnect

        headers = {"X-Correlation-ID": f"c-{number}"}
        url = f"ws://127.0.0.1:{port}/echo"
        async with aconnect(url, additional_headers=headers, open_timeout=30, proxy=None) as socket:
            return json.loads(await socket.recv())["id"]

    async def all_of_them():
        return await asyncio.gather(*(one(number) for number in range(20)))

    assert asyncio.run(all_of_them()) == [f"c-{number}" for number in range(20)]
    wait_for(lambda: len(lines.written) == 20)
