import asyncio
import json

import pytest

from shared.api import Job, LayerOptions, Pipeline, Reply
from shared.api.asgi import AsgiLayer
from shared.context import current_context, get_correlation_id
from shared.errors import AuthenticationError, ServiceUnavailableError
from shared.monitoring import Lifecycle
from shared.runtime import current
from tests.unit.api._drive import http_scope

DENIAL = {"extensions": {"websocket.http.response": {}}}


class Closed(Exception):
    pass


@pytest.fixture
def layer(runtime, lines):
    def made(app, jobs=(), **options):
        pipeline = Pipeline(LayerOptions(**options), runtime=runtime, access=lines, jobs=jobs)
        return AsgiLayer(app, pipeline, disconnects=(Closed,))

    return made


async def connect(app, incoming=(), headers=(), send=None, **more):
    """Run one connection; *incoming* is what the client sends after the handshake."""
    messages = [{"type": "websocket.connect"}, *incoming]
    sent = []

    async def receive():
        return messages.pop(0) if messages else {"type": "websocket.disconnect", "code": 1006}

    async def keep(message):
        sent.append(message)
        if send is not None:
            await send(message)

    scope = http_scope(path="/ws", headers=headers, **more) | {"type": "websocket", "scheme": "wss"}
    del scope["method"]
    await app(scope, receive, keep)
    return sent


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send(
            {"type": "websocket.send", "text": message.get("text") or "", "bytes": message.get("bytes")}
        )


TEXT = {"type": "websocket.receive", "text": "h\u00e9llo"}
BYTES = {"type": "websocket.receive", "bytes": b"abc"}


def bye(code):
    return {"type": "websocket.disconnect", "code": code}


async def test_line_is_written_at_the_close(layer, lines):
    await connect(layer(echo), [TEXT, BYTES, bye(1000)])

    line = lines.only
    assert (line["protocol"], line["method"], line["status"], line["level"]) == (
        "websocket",
        "WEBSOCKET",
        101,
        "info",
    )
    assert (line["bytes_received"], line["bytes_sent"], line["close_code"]) == (9, 9, 1000)
    assert "outcome" not in line


async def test_handshake_carries_the_ids(layer):
    sent = await connect(layer(echo), headers=[("X-Correlation-ID", "c-1")])

    headers = dict(sent[0]["headers"])
    assert headers[b"x-correlation-id"] == b"c-1"
    assert len(headers[b"x-request-id"]) == 32


async def test_context_and_runtime_are_there_and_end(layer, runtime):
    seen = []

    async def app(scope, receive, send):
        seen.append((get_correlation_id(), current()))

    await connect(layer(app), headers=[("X-Correlation-ID", "c-1")])

    assert seen == [("c-1", runtime)]
    assert current_context() is None


@pytest.mark.parametrize(
    ("code", "outcome"), [(1000, None), (1001, None), (1005, None), (1006, "disconnected")]
)
async def test_outcome_follows_how_the_client_left(layer, lines, code, outcome):
    await connect(layer(echo), [bye(code)])

    assert (lines.only.get("outcome"), lines.only["close_code"]) == (outcome, code)


async def test_exception_of_a_disconnect_is_no_failure(layer, lines, caplog):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        raise Closed

    sent = await connect(layer(app), [bye(1001)])

    assert [m["type"] for m in sent] == ["websocket.accept"]
    assert lines.only["level"] == "info"
    assert caplog.records == []


async def test_unforeseen_error_closes_with_1011_and_is_logged(layer, lines, caplog):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        raise RuntimeError("secret")

    sent = await connect(layer(app))

    assert sent[-1] == {"type": "websocket.close", "code": 1011, "reason": "INTERNAL_ERROR"}
    line = lines.only
    assert (line["level"], line["outcome"], line["error"], line["close_code"]) == (
        "error",
        "failed",
        "RuntimeError",
        1011,
    )
    assert "unhandled error in a websocket" in caplog.text


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (AuthenticationError(), 1008, "AUTHENTICATION_ERROR"),
        (ServiceUnavailableError(), 1011, "SERVICE_UNAVAILABLE"),
    ],
)
async def test_our_errors_close_with_their_code(layer, error, code, reason):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        raise error

    sent = await connect(layer(app))

    assert sent[-1] == {"type": "websocket.close", "code": code, "reason": reason}


async def test_error_before_the_handshake_refuses_it(layer, lines):
    async def app(scope, receive, send):
        raise AuthenticationError

    sent = await connect(layer(app))

    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "AUTHENTICATION_ERROR"}]
    assert lines.only["status"] == 403


async def test_error_before_the_handshake_is_a_real_answer_where_the_server_can(layer, lines):
    async def app(scope, receive, send):
        raise AuthenticationError

    sent = await connect(layer(app), headers=[("X-Correlation-ID", "c-1")], **DENIAL)

    start, body = sent
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    headers = dict(start["headers"])
    assert (headers[b"www-authenticate"], headers[b"x-correlation-id"]) == (b"Bearer", b"c-1")
    assert json.loads(body["body"])["error"]["code"] == "AUTHENTICATION_ERROR"
    assert lines.only["status"] == 401


class Refuse(Job):
    def __init__(self, answer):
        self.answer = answer

    def on_request(self, exchange):
        assert exchange.protocol == "websocket"
        return self.answer


@pytest.mark.parametrize(
    ("answer", "code"), [(AuthenticationError(), 1008), (Reply(503), 1011), (Reply(403), 1008)]
)
async def test_job_can_refuse_the_handshake(layer, answer, code):
    async def never(scope, receive, send):
        raise AssertionError

    sent = await connect(layer(never, jobs=[Refuse(answer)]))

    assert [m["code"] for m in sent] == [code]


async def test_job_that_has_no_objection_lets_it_pass(layer):
    sent = await connect(layer(echo, jobs=[Refuse(None)]), [bye(1000)])

    assert sent[0]["type"] == "websocket.accept"


async def test_failure_of_the_close_itself_ends_quietly(layer, lines):
    async def app(scope, receive, send):
        raise RuntimeError

    async def broken(message):
        raise RuntimeError("already closed")

    await connect(layer(app), send=broken)

    assert lines.only["outcome"] == "failed"


async def test_send_to_a_client_that_is_gone_is_a_disconnect(layer, lines, caplog):
    async def gone(message):
        raise OSError

    await connect(layer(echo), [TEXT], send=gone)

    assert lines.only["outcome"] == "disconnected"
    assert caplog.records == []


async def test_error_after_the_application_closed_closes_no_second_time(layer):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
        raise RuntimeError

    sent = await connect(layer(app))

    assert [m["type"] for m in sent] == ["websocket.accept", "websocket.close"]


async def test_what_is_no_exception_passes(layer, lines):
    async def app(scope, receive, send):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await connect(layer(app))

    assert lines.only["outcome"] == "cancelled"
    assert current_context() is None


async def test_exception_can_be_raised_again_for_test_clients(layer):
    async def app(scope, receive, send):
        raise RuntimeError("seen")

    with pytest.raises(RuntimeError, match="seen"):
        await connect(layer(app, reraise_errors=True))


async def test_long_connection_is_not_slow(runtime, lines):
    now = iter([0.0, 1.0, 5000.0])
    pipeline = Pipeline(runtime=runtime, access=lines, clock=lambda: next(now))

    await connect(AsgiLayer(echo, pipeline), [bye(1000)])

    assert lines.only["level"] == "info"


async def test_connection_is_in_flight_while_it_is_open(layer):
    lifecycle = Lifecycle()
    seen = []

    async def app(scope, receive, send):
        seen.append(lifecycle.in_flight)

    served = layer(app)
    served.pipeline.in_flight = lifecycle
    await connect(served)

    assert seen == [1]
    assert lifecycle.in_flight == 0
