import io
import logging
import sys

import pytest

from shared.api import Job, LayerOptions, Pipeline, Reply
from shared.api.wsgi import WsgiLayer
from shared.context import TraceContext, current_context, get_correlation_id
from shared.errors import ConfigurationError, PayloadTooLargeError, RateLimitError
from shared.monitoring import Lifecycle
from shared.runtime import Runtime, current
from tests.unit.api._drive import environ_for, wsgi

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def ok(headers=(("Content-Length", "2"),), body=(b"ok",), status="200 OK", seen=None):
    def app(environ, start_response):
        if seen is not None:
            seen.append((environ, current_context(), current()))
        start_response(status, list(headers))
        return list(body)

    return app


def reads_all(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


@pytest.fixture
def layer(runtime, lines):
    def made(app, jobs=(), **options):
        return WsgiLayer(
            app,
            Pipeline(
                LayerOptions(**{"slow_seconds": 3600, **options}), runtime=runtime, access=lines, jobs=jobs
            ),
        )

    return made


# --- identity and context -------------------------------------------------------------------


def test_answer_carries_both_ids(layer):
    seen = []

    answer = wsgi(layer(ok(seen=seen)), headers=[("X-Correlation-ID", "c-1")])

    context = seen[0][1]
    assert answer.header("X-Correlation-ID") == "c-1" == context.correlation_id
    assert answer.header("X-Request-ID") == context.request_id


def test_trace_of_the_caller_is_continued(layer):
    seen = []

    wsgi(layer(ok(seen=seen)), headers=[("traceparent", TRACEPARENT), ("tracestate", "a=1")])

    trace = seen[0][1].trace
    assert (trace.parent_id, trace.tracestate) == (TraceContext.parse(TRACEPARENT).span_id, "a=1")


@pytest.mark.parametrize("hostile", ["a\r\nSet-Cookie: b=c", "x" * 65536, "\xff\xfe"])
def test_hostile_id_appears_neither_in_the_answer_nor_in_the_log(layer, lines, hostile):
    answer = wsgi(layer(ok()), headers=[("X-Correlation-ID", hostile)])

    assert hostile not in str(answer)
    assert hostile not in str(lines.written)


def test_context_and_runtime_end_with_the_request(layer, runtime):
    seen = []

    wsgi(layer(ok(seen=seen)))

    assert seen[0][2] is runtime
    assert current_context() is None
    assert current() is not runtime


def test_request_never_sees_the_one_before_it_on_the_same_thread(layer):
    seen = []

    def app(environ, start_response):
        context = current_context()
        seen.append((context.correlation_id, dict(context.fields), context.principal))
        context.principal = "alice"
        context.fields["user"] = "alice"
        return ok()(environ, start_response)

    served = layer(app)
    for name in ("a", "b"):
        wsgi(served, headers=[("X-Correlation-ID", name)])

    assert seen == [("a", {}, None), ("b", {}, None)]


def test_request_never_sees_one_whose_answer_was_never_closed(layer):
    seen = []

    def app(environ, start_response):
        seen.append(get_correlation_id())
        start_response("200 OK", [])

        def stream():
            yield b"a"
            yield b"b"

        return stream()

    served = layer(app)
    abandoned = served(environ_for(headers=[("X-Correlation-ID", "lost")]), lambda *_: None)
    next(iter(abandoned))
    wsgi(served, headers=[("X-Correlation-ID", "next")])

    assert seen == ["lost", "next"]
    abandoned.close()
    assert current_context() is None


def test_context_is_there_while_the_answer_streams_and_when_it_is_closed(layer):
    seen = []

    class Stream:
        def __iter__(self):
            for chunk in (b"a", b"b"):
                seen.append(get_correlation_id())
                yield chunk

        def close(self):
            seen.append(get_correlation_id())

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return Stream()

    answer = wsgi(layer(app), headers=[("X-Correlation-ID", "c-1")])

    assert (answer.body, seen) == (b"ab", ["c-1"] * 3)
    assert current_context() is None


def test_context_ends_with_the_last_byte_for_clients_that_never_close(layer, lines):
    result = layer(ok())(environ_for(), lambda *_: None)

    next(iter(result))

    assert current_context() is None
    assert len(lines.written) == 1
    result.close()
    assert len(lines.written) == 1


def test_nothing_keeps_the_environ_alive(layer):
    environ = environ_for()

    result = layer(ok())(environ, lambda *_: None)
    list(result)
    result.close()

    assert not any(key.startswith("shared") for key in environ)


# --- headers ------------------------------------------------------------------------------------


def test_security_headers_are_on_every_answer(layer):
    answer = wsgi(layer(ok()))

    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Strict-Transport-Security") is None


def test_strict_transport_security_is_sent_over_https_only(layer):
    answer = wsgi(layer(ok()), **{"wsgi.url_scheme": "https"})

    assert answer.header("Strict-Transport-Security").startswith("max-age=")


def test_documentation_pages_have_a_policy_of_their_own(layer):
    answer = wsgi(layer(ok()), path="/docs", SCRIPT_NAME="/api")

    assert "https://cdn.jsdelivr.net" in answer.header("Content-Security-Policy")


def test_header_that_the_handler_set_is_not_overwritten(layer):
    own = [("x-frame-options", "SAMEORIGIN"), ("X-Request-ID", "upstream"), ("Content-Length", "2")]

    answer = wsgi(layer(ok(own)))

    assert (answer.header("X-Frame-Options"), answer.header("X-Request-ID")) == ("SAMEORIGIN", "upstream")
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert max(answer.names().values()) == 1


def test_headers_of_the_application_are_not_changed(layer):
    own = [("Content-Length", "2")]

    def app(environ, start_response):
        start_response("200 OK", own)
        return [b"ok"]

    wsgi(layer(app))

    assert own == [("Content-Length", "2")]


def test_server_timing_is_sent_when_wanted(layer):
    assert wsgi(layer(ok(), server_timing=True)).header("Server-Timing").startswith("app;dur=")


# --- the answer ----------------------------------------------------------------------------------


def test_line_is_written_once_with_what_was_sent(layer, lines):
    wsgi(layer(ok(body=[b"o", b"k"])), "PUT", "/a")

    line = lines.only
    assert (line["method"], line["path"], line["status"], line["bytes_sent"]) == ("PUT", "/a", 200, 2)
    assert line["client"] == "192.0.2.7"
    assert "outcome" not in line


def test_path_in_the_line_is_unicode(layer, lines):
    wsgi(layer(ok()), path="/cr\u00eape".encode().decode("latin-1"))

    assert lines.only["path"] == "/cr\u00eape"


def test_answer_of_one_piece_keeps_its_length_for_the_server(layer):
    result = layer(ok())(environ_for(), lambda *_: None)

    assert len(result) == 1
    result.close()


def test_old_fashioned_write_is_counted(layer, lines):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"abc")
        return []

    answer = wsgi(layer(app))

    assert answer.body == b"abc"
    assert lines.only["bytes_sent"] == 3


def test_status_may_be_set_while_the_answer_is_iterated(layer, lines):
    def app(environ, start_response):
        start_response("201 Created", [])
        yield b"late"

    answer = wsgi(layer(app))

    assert (answer.status, answer.body) == (201, b"late")
    assert lines.only["status"] == 201


def test_file_is_left_to_the_server(layer, lines):
    class Wrapper:
        def __init__(self, file):
            self.file = file

        def __iter__(self):
            return iter([self.file.read()])

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    result = layer(app)(environ_for(**{"wsgi.file_wrapper": Wrapper}), lambda *_: None)

    assert type(result) is Wrapper
    assert len(lines.written) == 1
    assert current_context() is None


def test_client_that_leaves_mid_stream_is_no_failure(layer, lines, caplog):
    def app(environ, start_response):
        start_response("200 OK", [])

        def stream():
            yield b"a"
            yield b"b"

        return stream()

    result = layer(app)(environ_for(), lambda *_: None)
    next(iter(result))
    result.close()

    line = lines.only
    assert (line["status"], line["outcome"], line["level"]) == (200, "disconnected", "info")
    assert caplog.records == []


# --- the body limit --------------------------------------------------------------------------------


def test_declared_length_above_the_limit_never_reaches_the_application(layer, lines):
    seen = []

    answer = wsgi(layer(ok(seen=seen), max_body_bytes=10), "POST", body=b"0" * 11)

    assert (answer.status, seen) == (413, [])
    assert b"PAYLOAD_TOO_LARGE" in answer.body
    assert lines.only["status"] == 413


@pytest.mark.parametrize("declared", ["abc", "-1", "1 1"])
def test_declared_length_that_is_no_number_is_400(layer, declared):
    assert wsgi(layer(ok()), "POST", CONTENT_LENGTH=declared).status == 400


READS = {
    "read": lambda stream: stream.read(),
    "read(n)": lambda stream: [stream.read(4) for _ in range(10)],
    "readline": lambda stream: [stream.readline() for _ in range(10)],
    "readline(n)": lambda stream: [stream.readline(4) for _ in range(10)],
    "readlines": lambda stream: stream.readlines(),
    "iteration": list,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_streamed_body_above_the_limit_is_413_however_it_is_read(layer, read):
    def app(environ, start_response):
        read(environ["wsgi.input"])
        return ok()(environ, start_response)

    body = b"0123\n" * 5
    answer = wsgi(
        layer(app, max_body_bytes=10),
        "POST",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(body)},
    )

    assert answer.status == 413


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_body_up_to_the_limit_is_read_whole(layer, read):
    got = []

    def app(environ, start_response):
        got.append(read(environ["wsgi.input"]))
        return ok()(environ, start_response)

    answer = wsgi(layer(app, max_body_bytes=10), "POST", body=b"0123\n5678\n")

    assert answer.status == 200
    assert got[0] == read(io.BytesIO(b"0123\n5678\n"))


def test_stream_keeps_its_other_methods(layer):
    def app(environ, start_response):
        assert environ["wsgi.input"].seekable()
        return ok()(environ, start_response)

    assert wsgi(layer(app), "POST", body=b"x").status == 200


def test_application_that_turns_the_limit_into_another_answer_is_overruled(layer, lines):
    def stubborn(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except PayloadTooLargeError:
            pass
        return ok(status="400 Bad Request")(environ, start_response)

    answer = wsgi(
        layer(stubborn, max_body_bytes=1),
        "POST",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(b"00")},
    )

    assert answer.status == 413
    assert lines.only["status"] == 413


def test_request_without_a_body_keeps_the_servers_stream(layer):
    seen = []
    stream = io.BytesIO()

    wsgi(layer(ok(seen=seen)), **{"wsgi.input": stream})

    assert seen[0][0]["wsgi.input"] is stream


def test_no_limit_reads_everything(layer):
    assert len(wsgi(layer(reads_all, max_body_bytes=None), "POST", body=b"0" * 2_000_000).body) == 2_000_000


# --- exceptions ---------------------------------------------------------------------------------------


def test_exception_before_the_answer_becomes_a_500(layer, lines, caplog):
    def app(environ, start_response):
        raise RuntimeError("secret")

    answer = wsgi(layer(app))

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert answer.header("X-Correlation-ID").encode() in answer.body
    assert (lines.only["level"], lines.only["error"]) == ("error", "RuntimeError")
    assert caplog.records[0].exc_info[1].args == ("secret",)


def test_exception_after_start_response_replaces_the_answer_that_was_not_sent(layer, lines):
    def app(environ, start_response):
        start_response("200 OK", [("X-Half", "yes")])
        raise RuntimeError

    answer = wsgi(layer(app))

    assert answer.status == 500
    assert answer.header("X-Half") is None
    assert lines.only["status"] == 500


def test_exception_before_the_first_chunk_replaces_the_answer(layer):
    def app(environ, start_response):
        start_response("200 OK", [])

        def stream():
            raise RuntimeError
            yield b""

        return stream()

    answer = wsgi(layer(app))

    assert answer.status == 500
    assert b"INTERNAL_ERROR" in answer.body


def test_exception_after_the_first_chunk_reaches_the_server(layer, lines, caplog):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"half"
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        wsgi(layer(app))

    line = lines.only
    assert (line["outcome"], line["level"], line["bytes_sent"]) == ("failed", "error", 4)
    assert "after the answer had begun" in caplog.text
    assert current_context() is None


def test_exception_of_close_is_logged_and_goes_no_further(layer, lines, caplog):
    class Stream(list):
        def __iter__(self):
            return iter([b"ok"])

        def close(self):
            raise RuntimeError("close")

    class Body:
        def __iter__(self):
            return iter([b"ok"])

        def close(self):
            raise RuntimeError("close")

    def app(environ, start_response):
        start_response("200 OK", [])
        return Body()

    answer = wsgi(layer(app))

    assert answer.body == b"ok"
    assert "closing the answer failed" in caplog.text


def test_exception_can_be_raised_again_for_test_clients(layer, lines):
    def app(environ, start_response):
        raise RuntimeError("seen")

    with pytest.raises(RuntimeError, match="seen"):
        wsgi(layer(app, reraise_errors=True))

    assert len(lines.written) == 1
    assert current_context() is None


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_passes(layer, lines, stop):
    def app(environ, start_response):
        raise stop

    with pytest.raises(stop):
        wsgi(layer(app))

    assert (lines.only["outcome"], lines.only["status"]) == ("cancelled", 499)
    assert current_context() is None


def test_error_to_a_head_request_has_no_body(layer):
    def app(environ, start_response):
        raise RuntimeError

    answer = wsgi(layer(app), "HEAD")

    assert (answer.status, answer.body) == (500, b"")
    assert int(answer.header("Content-Length")) > 0


def test_error_of_the_caller_is_not_logged_as_ours(layer, caplog):
    def app(environ, start_response):
        raise RateLimitError(retry_after=3)

    with caplog.at_level(logging.INFO, "shared.api"):
        answer = wsgi(layer(app))

    assert (answer.status, answer.header("Retry-After"), caplog.records) == (429, "3", [])


def test_server_is_told_the_exception_when_it_is_too_late_for_another_answer(layer):
    sent = []

    def start_response(status, headers, exc_info=None):
        sent.append((status, exc_info))
        return sent.append

    def app(environ, start_response):
        start_response("200 OK", [])
        raise RuntimeError("late")

    result = layer(app)(environ_for(), start_response)
    list(result)
    result.close()

    assert [status for status, _ in sent] == ["200 OK", "500 Internal Server Error"]
    assert sent[1][1][0] is RuntimeError
    assert sys.exc_info() == (None, None, None)


# --- nesting and jobs ----------------------------------------------------------------------------------


def test_layer_below_another_is_transparent(layer, lines):
    inner_runtime = Runtime("inner")
    seen = []
    inner = WsgiLayer(
        ok(seen=seen), Pipeline(LayerOptions(security_headers="seed"), runtime=inner_runtime, access=lines)
    )

    answer = wsgi(layer(inner))

    assert max(answer.names().values()) == 1
    assert seen[0][2] is inner_runtime
    assert len(lines.written) == 1
    inner_runtime.close()


class Everything(Job):
    def __init__(self, answer=None):
        self.answer = answer
        self.events = []

    def on_request(self, exchange):
        self.events.append(
            (
                "request",
                exchange.method,
                exchange.header("X-A"),
                exchange.header("Content-Type"),
                exchange.client,
            )
        )
        return self.answer

    def on_headers(self, exchange, status, headers):
        self.events.append(("headers", status, headers.get("content-length")))
        headers.set("content-length", "2")
        headers.setdefault("X-Job", "one")
        headers.setdefault("x-job", "two")
        headers.append("Vary", "Origin")

    def on_finish(self, event):
        self.events.append(("finish", event.status, event.route))


def test_job_sees_request_headers_and_end(layer):
    job = Everything()

    answer = wsgi(layer(ok(), jobs=[job]), headers=[("X-A", "1"), ("Content-Type", "text/plain")])

    assert job.events == [
        ("request", "GET", "1", "text/plain", "192.0.2.7"),
        ("headers", 200, "2"),
        ("finish", 200, "unmatched"),
    ]
    assert (answer.header("X-Job"), answer.header("Vary")) == ("one", "Origin")


@pytest.mark.parametrize(
    ("refusal", "status"), [(RateLimitError(retry_after=5), 429), (Reply(204, (("X-Pre", "flight"),)), 204)]
)
def test_job_can_answer_in_place_of_the_application(layer, lines, refusal, status):
    seen = []

    answer = wsgi(layer(ok(seen=seen), jobs=[Everything(refusal)]))

    assert (answer.status, seen) == (status, [])
    assert answer.header("X-Job") == "one"
    assert lines.only["status"] == status


def test_reply_may_have_a_status_without_a_name(layer):
    assert wsgi(layer(ok(), jobs=[Everything(Reply(599))])).status == 599


def test_job_that_must_be_awaited_is_refused_at_start(layer):
    class Awaits(Job):
        async def on_request_async(self, exchange):
            return None

    with pytest.raises(ConfigurationError, match="WSGI cannot await Awaits: give it on_request"):
        layer(ok(), jobs=[Awaits()])


def test_job_that_can_be_awaited_or_not_is_asked(layer):
    class Both(Everything):
        async def on_request_async(self, exchange):
            raise AssertionError

    assert wsgi(layer(ok(), jobs=[Both(Reply(204))])).status == 204


def test_router_that_cannot_tell_its_route_does_not_harm_the_answer(runtime, lines, caplog):
    def confused(environ, status):
        raise LookupError

    answer = wsgi(WsgiLayer(ok(), Pipeline(runtime=runtime, access=lines), route_of=confused))

    assert answer.body == b"ok"
    assert lines.only["route"] == "unmatched"
    assert "could not be told" in caplog.text


def test_request_is_in_flight_until_its_last_byte(layer):
    lifecycle = Lifecycle()
    seen = []

    def app(environ, start_response):
        start_response("200 OK", [])
        seen.append(lifecycle.in_flight)
        yield b"a"
        seen.append(lifecycle.in_flight)

    served = layer(app)
    served.pipeline.in_flight = lifecycle
    wsgi(served)

    assert seen == [1, 1]
    assert lifecycle.in_flight == 0
