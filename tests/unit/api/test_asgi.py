import asyncio
import logging

import pytest

from shared.api import Job, LayerOptions, Pipeline, Reply
from shared.api.asgi import AsgiLayer
from shared.context import TraceContext, bind, current_context, get_correlation_id, get_trace
from shared.errors import PayloadTooLargeError, RateLimitError
from shared.monitoring import Lifecycle
from shared.runtime import current
from tests.unit.api._drive import asgi, http_scope

LENGTH = (b"content-length", b"2")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def ok(headers=(LENGTH,), body=b"ok", status=200, seen=None):
    async def app(scope, receive, send):
        if seen is not None:
            seen.append((scope, receive, current_context(), current()))
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})

    return app


async def reads_all(scope, receive, send):
    body = b""
    more = True
    while more:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def layer(runtime, lines):
    def made(app, jobs=(), fallback=None, disconnects=(), observers=(), **options):
        pipeline = Pipeline(
            LayerOptions(**{"slow_seconds": 3600, **options}),
            runtime=runtime,
            access=lines,
            jobs=jobs,
            observers=observers,
        )
        return AsgiLayer(app, pipeline, fallback=fallback, disconnects=disconnects)

    return made


# --- identity and context ----------------------------------------------------------------------


async def test_answer_carries_both_ids(layer):
    seen = []

    answer = await asgi(layer(ok(seen=seen)), headers=[("X-Correlation-ID", "c-1")])

    context = seen[0][2]
    assert answer.header("x-correlation-id") == "c-1" == context.correlation_id
    assert answer.header("x-request-id") == context.request_id


@pytest.mark.parametrize(
    ("headers", "correlation"),
    [
        ([("X-Request-ID", "r-1")], "r-1"),
        ([("X-Correlation-ID", "c-1"), ("X-Request-ID", "r-1")], "c-1"),
        ([("X-Correlation-ID", ""), ("X-Request-ID", "r-1")], "r-1"),
        ([("traceparent", TRACEPARENT)], "0af7651916cd43dd8448eb211c80319c"),
    ],
)
async def test_correlation_id_comes_from_the_first_header_that_has_one(layer, headers, correlation):
    answer = await asgi(layer(ok()), headers=headers)

    assert answer.header("x-correlation-id") == correlation
    assert answer.header("x-request-id") != correlation


@pytest.mark.parametrize("hostile", ["a\r\nset-cookie: b=c", "x" * 65536, "\xff\xfe", "a b"])
async def test_hostile_id_appears_neither_in_the_answer_nor_in_the_log(layer, lines, hostile):
    answer = await asgi(layer(ok()), headers=[("X-Correlation-ID", hostile)])

    assert hostile not in str(answer)
    assert hostile not in str(lines.written)
    assert len(answer.header("x-correlation-id")) == 32


async def test_tracestate_of_several_headers_is_joined(layer):
    traces = []

    async def app(scope, receive, send):
        traces.append(get_trace())
        await ok()(scope, receive, send)

    await asgi(
        layer(app), headers=[("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("tracestate", "b=2")]
    )

    assert traces[0].parent_id == TraceContext.parse(TRACEPARENT).span_id
    assert traces[0].tracestate == "a=1,b=2"


async def test_context_and_runtime_are_those_of_the_layer_and_end_with_it(layer, runtime):
    seen = []

    await asgi(layer(ok(seen=seen)))

    _, _, context, found = seen[0]
    assert found is runtime
    assert context is not None
    assert current_context() is None
    assert current() is not runtime


async def test_fields_bound_in_the_application_are_there_when_the_line_is_written(runtime):
    class Sink:
        def write(self, fields, *, level):
            self.bound = dict(current_context().fields)

    async def app(scope, receive, send):
        bind(order="o-1")
        await ok()(scope, receive, send)

    sink = Sink()
    await asgi(AsgiLayer(app, Pipeline(runtime=runtime, access=sink)))

    assert sink.bound == {"order": "o-1"}


async def test_two_concurrent_requests_do_not_see_each_other(layer):
    gate = asyncio.Event()
    seen = {}

    async def app(scope, receive, send):
        before = get_correlation_id()
        if len(seen) == 0:
            seen[scope["path"]] = before
            await gate.wait()
        else:
            seen[scope["path"]] = before
            gate.set()
        assert get_correlation_id() == before
        await ok()(scope, receive, send)

    served = layer(app)
    await asyncio.gather(
        asgi(served, path="/a", headers=[("X-Correlation-ID", "c-a")]),
        asgi(served, path="/b", headers=[("X-Correlation-ID", "c-b")]),
    )

    assert seen == {"/a": "c-a", "/b": "c-b"}


async def test_nothing_keeps_the_scope_alive(layer):
    scope = http_scope()

    await layer(ok())(scope, None, _swallow)

    assert not any(key.startswith("shared") for key in scope)


async def _swallow(_message):
    pass


# --- headers --------------------------------------------------------------------------------------


async def test_security_headers_are_on_every_answer(layer):
    answer = await asgi(layer(ok()))

    assert answer.header("x-content-type-options") == "nosniff"
    assert "default-src 'none'" in answer.header("content-security-policy")
    assert answer.header("strict-transport-security") is None


async def test_strict_transport_security_is_sent_over_https_only(layer):
    answer = await asgi(layer(ok()), scheme="https")

    assert answer.header("strict-transport-security").startswith("max-age=")


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/redoc"])
async def test_documentation_pages_have_a_policy_of_their_own(layer, path):
    answer = await asgi(layer(ok()), path=path)

    assert "https://cdn.jsdelivr.net" in answer.header("content-security-policy")


async def test_documentation_pages_are_found_below_a_root_path(layer):
    answer = await asgi(layer(ok()), path="/api/docs", root_path="/api")

    assert "https://cdn.jsdelivr.net" in answer.header("content-security-policy")


async def test_header_that_the_handler_set_is_not_overwritten(layer):
    own = [(b"x-frame-options", b"SAMEORIGIN"), (b"x-request-id", b"upstream")]

    answer = await asgi(layer(ok(own)))

    assert answer.header("x-frame-options") == "SAMEORIGIN"
    assert answer.header("x-request-id") == "upstream"
    assert answer.header("x-content-type-options") == "nosniff"
    assert max(answer.names().values()) == 1


async def test_answer_objects_that_are_used_again_are_not_changed(layer):
    start = {"type": "http.response.start", "status": 200, "headers": [LENGTH]}
    body = {"type": "http.response.body", "body": b"ok"}

    async def app(scope, receive, send):
        await send(start)
        await send(body)

    served = layer(app)
    first, second = await asgi(served), await asgi(served)

    assert len(first.headers) == len(second.headers)
    assert start == {"type": "http.response.start", "status": 200, "headers": [LENGTH]}


async def test_headers_may_be_any_iterable_or_absent(layer):
    async def app(scope, receive, send):
        message = {"type": "http.response.start", "status": 200}
        if scope["path"] == "/tuple":
            message["headers"] = (LENGTH,)
        await send(message)
        await send({"type": "http.response.body", "body": b"ok"})

    for path in ("/tuple", "/none"):
        assert (await asgi(layer(app), path=path)).header("x-request-id")


async def test_other_keys_of_the_start_are_kept(layer):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b""})
        await send({"type": "http.response.trailers", "headers": []})

    answer = await asgi(layer(app))

    assert answer.messages[0]["trailers"] is True
    assert answer.messages[-1]["type"] == "http.response.trailers"


async def test_server_timing_is_sent_when_wanted(layer):
    assert (await asgi(layer(ok()))).header("server-timing") is None
    assert (await asgi(layer(ok(), server_timing=True))).header("server-timing").startswith("app;dur=")


# --- the body limit ---------------------------------------------------------------------------------


async def test_body_up_to_the_limit_reaches_the_application(layer, lines):
    answer = await asgi(layer(reads_all, max_body_bytes=10), "POST", body=b"0123456789")

    assert answer.body == b"0123456789"


async def test_declared_length_above_the_limit_never_reaches_the_application(layer, lines):
    seen = []

    answer = await asgi(layer(ok(seen=seen), max_body_bytes=10), "POST", body=b"0" * 11)

    assert (answer.status, seen) == (413, [])
    assert b"PAYLOAD_TOO_LARGE" in answer.body
    assert lines.only["status"] == 413


@pytest.mark.parametrize("declared", ["abc", "-1", ""])
async def test_declared_length_that_is_no_number_is_400(layer, declared):
    answer = await asgi(layer(ok()), "POST", headers=[("content-length", declared)])

    assert answer.status == 400


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([("transfer-encoding", "chunked")], "1.1"),
        ([("content-length", "3")], "1.1"),
        ([], "2"),
        ([], "3"),
    ],
    ids=["chunked", "lying length", "HTTP/2", "HTTP/3"],
)
async def test_streamed_body_above_the_limit_is_413(layer, lines, headers, version):
    answer = await asgi(
        layer(reads_all, max_body_bytes=10),
        "POST",
        headers=headers,
        chunks=[b"0" * 6] * 3,
        http_version=version,
    )

    assert answer.status == 413
    assert answer.header("content-type") == "application/json"
    assert (lines.only["status"], lines.only["level"]) == (413, "warning")


async def test_application_that_turns_the_limit_into_another_answer_is_overruled(layer, lines):
    async def stubborn(scope, receive, send):
        try:
            while True:
                await receive()
        except PayloadTooLargeError:
            await ok(status=400)(scope, receive, send)

    answer = await asgi(
        layer(stubborn, max_body_bytes=10),
        "POST",
        headers=[("transfer-encoding", "chunked")],
        chunks=[b"0" * 20],
    )

    assert answer.status == 413
    assert [m["type"] for m in answer.messages].count("http.response.start") == 1
    assert lines.only["status"] == 413


async def test_application_that_swallows_the_limit_and_says_nothing_is_overruled(layer):
    async def silent(scope, receive, send):
        try:
            await receive()
        except PayloadTooLargeError:
            return

    answer = await asgi(
        layer(silent, max_body_bytes=1), "POST", headers=[("transfer-encoding", "chunked")], chunks=[b"00"]
    )

    assert answer.status == 413


async def test_limit_that_is_passed_after_the_answer_began_cuts_it_off(layer, lines):
    async def echo(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            message = await receive()
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})

    with pytest.raises(PayloadTooLargeError):
        await asgi(
            layer(echo, max_body_bytes=10),
            "POST",
            headers=[("transfer-encoding", "chunked")],
            chunks=[b"0" * 6] * 3,
        )

    assert lines.only["outcome"] == "failed"


async def test_request_without_a_body_keeps_the_servers_receive(layer):
    seen = []
    scope = http_scope()

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    await layer(ok(seen=seen))(scope, receive, _swallow)

    assert seen[0][1] is receive


async def test_no_limit_reads_everything(layer):
    answer = await asgi(layer(reads_all, max_body_bytes=None), "POST", body=b"0" * 2_000_000)

    assert len(answer.body) == 2_000_000


# --- exceptions ----------------------------------------------------------------------------------------


async def test_exception_before_the_answer_becomes_a_500(layer, lines, caplog):
    async def app(scope, receive, send):
        raise RuntimeError("secret")

    answer = await asgi(layer(app))

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert answer.header("x-correlation-id").encode() in answer.body
    assert (lines.only["level"], lines.only["error"]) == ("error", "RuntimeError")
    assert caplog.records[0].exc_info[1].args == ("secret",)


async def test_exception_after_the_answer_began_reaches_the_server_and_starts_no_second_answer(
    layer, lines, caplog
):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("broken")

    async def keep(message):
        sent.append(message["type"])

    with pytest.raises(RuntimeError, match="broken"):
        await asgi(layer(app), send=keep)

    assert sent == ["http.response.start", "http.response.body"]
    line = lines.only
    assert (line["status"], line["outcome"], line["level"], line["bytes_sent"]) == (200, "failed", "error", 4)
    assert "after the answer had begun" in caplog.text


async def test_exception_after_the_answer_is_logged_with_the_ids_and_goes_no_further(layer, lines, caplog):
    at_failure = []

    class Note(logging.Handler):
        def emit(self, record):
            at_failure.append(get_correlation_id())

    async def app(scope, receive, send):
        await ok()(scope, receive, send)
        raise RuntimeError("background")

    note = Note()
    logging.getLogger("shared.api").addHandler(note)
    try:
        answer = await asgi(layer(app), headers=[("X-Correlation-ID", "c-1")])
    finally:
        logging.getLogger("shared.api").removeHandler(note)

    assert answer.body == b"ok"
    assert lines.only["status"] == 200
    assert "a background task failed" in caplog.text
    assert at_failure == ["c-1"]


async def test_exception_can_be_raised_again_for_test_clients(layer):
    async def app(scope, receive, send):
        raise RuntimeError("seen")

    sent = []

    async def keep(message):
        sent.append(message)

    with pytest.raises(RuntimeError, match="seen"):
        await asgi(layer(app, reraise_errors=True), send=keep)

    assert sent[0]["status"] == 500


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
async def test_what_is_no_exception_passes(layer, lines, stop):
    async def app(scope, receive, send):
        raise stop

    with pytest.raises(stop):
        await asgi(layer(app))

    assert (lines.only["outcome"], lines.only["status"]) == ("cancelled", 499)
    assert current_context() is None


async def test_application_that_answers_nothing_becomes_a_500(layer, lines):
    async def app(scope, receive, send):
        pass

    answer = await asgi(layer(app))

    assert answer.status == 500
    assert lines.only["level"] == "error"


async def test_error_to_a_head_request_has_no_body(layer):
    async def app(scope, receive, send):
        raise RuntimeError

    answer = await asgi(layer(app), "HEAD")

    assert (answer.status, answer.body) == (500, b"")
    assert int(answer.header("content-length")) > 0


async def test_fallback_may_answer_what_nobody_foresaw(layer):
    async def fallback(scope, receive, send, exc):
        await ok(status=520, body=type(exc).__name__.encode())(scope, receive, send)
        return True

    async def app(scope, receive, send):
        raise KeyError("secret")

    answer = await asgi(layer(app, fallback=fallback))

    assert (answer.status, answer.body) == (520, b"KeyError")
    assert answer.header("x-request-id")


async def test_fallback_that_declines_leaves_the_answer_to_the_layer(layer):
    async def fallback(scope, receive, send, exc):
        return False

    async def app(scope, receive, send):
        raise KeyError("secret")

    assert (await asgi(layer(app, fallback=fallback))).status == 500


# --- disconnects ---------------------------------------------------------------------------------------


class Gone(Exception):
    pass


async def test_client_that_leaves_before_the_answer_is_a_499(layer, lines):
    async def app(scope, receive, send):
        message = await receive()
        assert message["type"] == "http.disconnect"
        raise Gone

    await asgi(layer(app, disconnects=(Gone,)), "POST", headers=[("content-length", "5")], chunks=[None])

    line = lines.only
    assert (line["status"], line["outcome"], line["level"]) == (499, "disconnected", "info")
    assert "error" not in line


async def test_client_that_leaves_and_is_noticed_by_receive_alone_is_a_499(layer, lines):
    async def app(scope, receive, send):
        await receive()

    await asgi(layer(app), "POST", headers=[("content-length", "5")], chunks=[None])

    assert (lines.only["status"], lines.only["outcome"]) == (499, "disconnected")


async def test_client_that_leaves_mid_stream_is_no_failure(layer, lines, caplog):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    await asgi(layer(app))

    line = lines.only
    assert (line["status"], line["outcome"], line["level"]) == (200, "disconnected", "info")
    assert caplog.records == []


async def test_send_that_fails_is_a_disconnect(layer, lines, caplog):
    async def gone(message):
        raise OSError("connection lost")

    await asgi(layer(ok()), send=gone)

    assert lines.only["outcome"] == "disconnected"
    assert caplog.records == []


async def test_send_that_fails_for_the_error_answer_is_a_disconnect(layer, lines):
    async def gone(message):
        raise OSError("connection lost")

    async def app(scope, receive, send):
        raise RuntimeError

    await asgi(layer(app), send=gone)

    assert lines.only["outcome"] == "disconnected"


async def test_disconnect_after_the_last_byte_does_not_matter(layer, lines):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await receive()
        await receive()
        await send({"type": "http.response.body", "body": b"ok"})

    await asgi(layer(app), "POST", headers=[("content-length", "0")], chunks=[b""])

    assert "outcome" not in lines.only


# --- streaming ---------------------------------------------------------------------------------------------


async def test_duration_runs_to_the_last_byte_and_not_to_the_end_of_the_background(runtime, lines):
    now = [10.0]

    async def app(scope, receive, send):
        now[0] = 11.0
        await send({"type": "http.response.start", "status": 200, "headers": []})
        now[0] = 12.0
        await send({"type": "http.response.body", "body": b"a" * 5, "more_body": True})
        now[0] = 13.0
        await send({"type": "http.response.body", "body": b"b" * 5})
        assert len(lines.written) == 1
        now[0] = 99.0

    pipeline = Pipeline(LayerOptions(slow_seconds=60), runtime=runtime, access=lines, clock=lambda: now[0])
    await asgi(AsgiLayer(app, pipeline))

    line = lines.only
    assert (line["ttfb_ms"], line["duration_ms"], line["bytes_sent"]) == (1000.0, 3000.0, 10)


@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend"])
async def test_file_sent_by_the_server_ends_the_answer(layer, lines, kind):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": f"http.response.{kind}", "path": "/tmp/x"})

    await asgi(layer(app))

    assert "outcome" not in lines.only


# --- other scopes ----------------------------------------------------------------------------------------------


async def test_lifespan_runs_inside_the_runtime(layer, runtime, lines):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["type"], current()))

    await layer(app)({"type": "lifespan"}, None, None)

    assert seen == [("lifespan", runtime)]
    assert lines.written == []


async def test_unknown_scope_passes_untouched(layer):
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    scope = {"type": "mqtt"}
    await layer(app)(scope, 1, 2)

    assert seen == [({"type": "mqtt"}, 1, 2)]
    assert seen[0][0] is scope


async def test_layer_below_another_only_brings_its_runtime(layer, runtime, lines):
    from shared.runtime import Runtime

    inner_runtime = Runtime("inner")
    seen = []
    inner = AsgiLayer(
        ok(seen=seen), Pipeline(LayerOptions(security_headers="seed"), runtime=inner_runtime, access=lines)
    )

    answer = await asgi(layer(inner))

    assert max(answer.names().values()) == 1
    assert seen[0][3] is inner_runtime
    assert len(lines.written) == 1
    inner_runtime.close()


# --- jobs -------------------------------------------------------------------------------------------------------


class Everything(Job):
    def __init__(self, answer=None):
        self.answer = answer
        self.events = []

    async def on_request_async(self, exchange):
        self.events.append(
            ("request", exchange.method, exchange.path, exchange.header("X-A"), exchange.client)
        )
        exchange.state["seen"] = True
        if isinstance(self.answer, type):
            raise self.answer
        return self.answer

    def on_headers(self, exchange, status, headers):
        self.events.append(("headers", status, exchange.state.get("seen"), headers.get("content-length")))
        headers.set("Content-Length", "2")
        headers.setdefault("X-Job", "one")
        headers.setdefault("x-job", "two")
        headers.append("Vary", "Origin")

    def on_finish(self, event):
        self.events.append(("finish", event.status, event.route))


async def test_job_sees_request_headers_and_end(layer):
    job = Everything()

    answer = await asgi(layer(ok(), jobs=[job]), path="/a", headers=[("x-a", "1")])

    assert job.events == [
        ("request", "GET", "/a", "1", "192.0.2.7"),
        ("headers", 200, True, "2"),
        ("finish", 200, "unmatched"),
    ]
    assert (answer.header("x-job"), answer.header("vary"), answer.header("content-length")) == (
        "one",
        "Origin",
        "2",
    )


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (RateLimitError(retry_after=5), 429),
        (Reply(204, (("X-Pre", "flight"),)), 204),
        (RateLimitError, 429),
        (KeyError, 500),
    ],
)
async def test_job_can_answer_in_place_of_the_application(layer, lines, refusal, status):
    seen = []
    job = Everything(refusal)

    answer = await asgi(layer(ok(seen=seen), jobs=[job]))

    assert (answer.status, seen) == (status, [])
    assert answer.header("x-job") == "one"
    assert answer.header("x-request-id")
    assert lines.only["status"] == status
    assert job.events[-1][:2] == ("finish", status)


async def test_router_that_cannot_tell_its_route_does_not_harm_the_answer(runtime, lines, caplog):
    def confused(scope, status):
        raise LookupError

    answer = await asgi(AsgiLayer(ok(), Pipeline(runtime=runtime, access=lines), route_of=confused))

    assert answer.body == b"ok"
    assert lines.only["route"] == "unmatched"
    assert "could not be told" in caplog.text


async def test_request_is_in_flight_from_its_first_to_its_last_moment(layer):
    lifecycle = Lifecycle()
    seen = []

    async def app(scope, receive, send):
        seen.append(lifecycle.in_flight)
        await ok()(scope, receive, send)
        seen.append(lifecycle.in_flight)
        raise RuntimeError("background")

    served = layer(app)
    served.pipeline.in_flight = lifecycle
    await asgi(served)

    assert seen == [1, 1]
    assert lifecycle.in_flight == 0
