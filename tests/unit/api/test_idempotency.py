"""Idempotency keys on bare ASGI and WSGI applications: streams, failures, callers that leave."""

import asyncio

import pytest

from shared.api import Idempotency, LayerOptions, Pipeline
from shared.api._idempotency_asgi import AsgiIdempotency
from shared.api._idempotency_wsgi import WsgiIdempotency
from shared.api.asgi import AsgiLayer
from shared.api.wsgi import WsgiLayer
from shared.cache import MemoryReplays
from shared.errors import ConfigurationError
from tests.unit.api._drive import asgi, environ_for, wsgi

KEY = [("idempotency-key", "k-1")]


@pytest.fixture
def store():
    return MemoryReplays()


@pytest.fixture
def over_wsgi(store, runtime, lines):
    def made(app, **options):
        pipeline = Pipeline(LayerOptions(security_headers="off"), runtime=runtime, access=lines)
        return WsgiLayer(WsgiIdempotency(app, Idempotency(store, **options)), pipeline)

    return made


@pytest.fixture
def over_asgi(store, runtime, lines):
    def made(app, **options):
        pipeline = Pipeline(LayerOptions(security_headers="off"), runtime=runtime, access=lines)
        return AsgiLayer(AsgiIdempotency(app, Idempotency(store, **options)), pipeline)

    return made


class Closing(list):
    """A body that knows whether it was closed."""

    closed = 0

    def close(self):
        self.closed += 1


# --- WSGI -------------------------------------------------------------------------------


def test_a_body_is_closed_once_whether_it_is_kept_or_not(over_wsgi):
    bodies = []

    def app(_environ, start_response):
        start_response("200 OK", [])
        bodies.append(Closing([b"x" * 10] * 10))
        return bodies[-1]

    small = wsgi(over_wsgi(app), "POST", headers=KEY)
    large = wsgi(over_wsgi(app, max_answer_bytes=50), "POST", headers=[("idempotency-key", "k-2")])

    assert (len(small.body), len(large.body)) == (100, 100)
    assert [body.closed for body in bodies] == [1, 1]


def test_an_answer_by_the_old_write_is_kept(over_wsgi):
    done = []

    def app(_environ, start_response):
        done.append(1)
        write = start_response("201 Created", [("X-A", "b")])
        write(b"one ")
        return [b"two"]

    layer = over_wsgi(app)
    first, second = (wsgi(layer, "POST", headers=KEY) for _ in range(2))

    assert (first.body, second.body, second.header("x-a")) == (b"one two", b"one two", "b")
    assert len(done) == 1


def test_a_generator_that_begins_late_is_kept(over_wsgi):
    def app(_environ, start_response):
        start_response("202 Accepted", [])
        yield b"one"
        yield b"two"

    layer = over_wsgi(app)
    answers = [wsgi(layer, "POST", headers=KEY) for _ in range(2)]

    assert [(answer.status, answer.body) for answer in answers] == [(202, b"onetwo")] * 2


def test_a_body_that_fails_before_it_was_kept_leaves_the_key_free(over_wsgi, store):
    def app(_environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        raise ValueError("hunter2")

    answer = wsgi(over_wsgi(app), "POST", headers=KEY)

    assert answer.status == 500
    assert len(store) == 0


def test_a_stream_that_fails_on_its_way_leaves_the_key_free(over_wsgi, store):
    def app(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield b"one"
        raise ValueError("hunter2")

    with pytest.raises(ValueError, match="hunter2"):
        wsgi(over_wsgi(app), "POST", headers=KEY)

    assert len(store) == 0


def test_a_client_that_leaves_a_stream_leaves_an_operation_that_was_carried_out(over_wsgi):
    def app(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield from [b"one", b"two"]

    layer = over_wsgi(app)
    result = layer(environ_for("POST", headers=KEY), lambda *_: lambda _data: None)
    next(iter(result))
    result.close()

    assert wsgi(layer, "POST", headers=KEY).status == 409


def test_an_application_without_an_answer_leaves_the_key_free(over_wsgi, store):
    answer = wsgi(over_wsgi(lambda _environ, _start: [b"x"]), "POST", headers=KEY)

    assert answer.status == 500
    assert len(store) == 0


def test_an_answer_that_replaces_another_is_the_one_kept(over_wsgi):
    def app(_environ, start_response):
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError:
            import sys

            start_response("422 Unprocessable Content", [], sys.exc_info())
        return [b"no"]

    layer = over_wsgi(app)

    assert [wsgi(layer, "POST", headers=KEY).status for _ in range(2)] == [422, 422]


@pytest.mark.parametrize("how", ["length", "terminated", "none"])
def test_the_application_reads_the_body_that_was_fingerprinted(over_wsgi, how):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    body = b"" if how == "none" else b"asked"
    more = {"wsgi.input_terminated": True} if how == "terminated" else {}
    answer = wsgi(over_wsgi(app), "POST", headers=KEY, body=body, **more)

    assert answer.body == body


def test_without_the_layer_it_says_what_is_missing():
    app = WsgiIdempotency(lambda _environ, _start: [], Idempotency())

    with pytest.raises(ConfigurationError, match="install_layer"):
        app(environ_for("POST"), lambda *_: None)


# --- ASGI -------------------------------------------------------------------------------


def answering(status=200, chunks=(b"ok",), headers=(), fail_after=None, done=None):
    async def app(_scope, receive, send):
        if done is not None:
            done.append((await receive())["body"])
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, chunk in enumerate(chunks):
            if fail_after == number:
                raise ValueError("hunter2")
            await send({"type": "http.response.body", "body": chunk, "more_body": number + 1 < len(chunks)})

    return app


def post(layer, times=1, **request):
    async def ask():
        return [await asgi(layer, "POST", headers=list(KEY), **request) for _ in range(times)]

    return asyncio.run(ask())


def test_chunks_are_put_together(over_asgi):
    done = []
    layer = over_asgi(answering(chunks=(b"a", b"b", b"c"), done=done))

    first, second = post(layer, 2, chunks=[b"x", b"y"])

    assert (first.body, second.body) == (b"abc", b"abc")
    assert done == [b"xy"]


def test_nothing_leaves_before_the_answer_is_kept(over_asgi, store, monkeypatch):
    sent_before = []
    real = store.finish

    def finish(*args, **options):
        sent_before.append(list(sent))
        return real(*args, **options)

    sent = []
    monkeypatch.setattr(store, "finish", finish)

    async def note(message):
        sent.append(message["type"])

    post(over_asgi(answering(chunks=(b"a", b"b"))), send=note)

    assert sent_before == [[]]
    assert sent == ["http.response.start", "http.response.body", "http.response.body"]


def test_an_answer_that_fails_on_its_way_leaves_the_key_free(over_asgi, store):
    (answer,) = post(over_asgi(answering(chunks=(b"a", b"b"), fail_after=1)))

    assert answer.status == 500
    assert len(store) == 0


def test_a_caller_that_leaves_before_it_has_asked_is_not_served(over_asgi, store):
    done = []

    (answer,) = post(over_asgi(answering(done=done)), chunks=[b"x", None], http_version="2")

    assert (answer.status, done, len(store)) == (0, [], 0)


def test_a_file_that_the_server_sends_is_not_kept(over_asgi):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/etc/hostname"})

    first, second = post(over_asgi(app), 2)

    assert [message["type"] for message in first.messages][1] == "http.response.pathsend"
    assert second.status == 409


def test_a_cancelled_request_gives_the_key_back(over_asgi, store):
    async def cancel():
        entered = asyncio.Event()

        async def app(_scope, _receive, _send):
            entered.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(asgi(over_asgi(app), "POST", headers=list(KEY)))
        await entered.wait()
        assert len(store) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel(), 30))

    assert len(store) == 0


def test_other_connections_pass(over_asgi):
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["type"])

    async def ask():
        await over_asgi(app)({"type": "lifespan"}, None, None)

    asyncio.run(ask())

    assert seen == ["lifespan"]


def test_without_the_layer_asgi_says_what_is_missing():
    app = AsgiIdempotency(answering(), Idempotency())

    with pytest.raises(ConfigurationError, match="install_layer"):
        asyncio.run(asgi(app, "POST"))


def test_the_store_that_was_made_is_closed(tmp_path):
    rules = Idempotency(f"sqlite:///{tmp_path}/keys.db")

    rules.close()
    asyncio.run(rules.aclose())

    assert rules.store._file is None
