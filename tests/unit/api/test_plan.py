import itertools
import logging
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import Exchange, Job, LayerOptions, Outcome, Pipeline, Reply
from shared.context import TraceContext, is_valid_id, request_context
from shared.errors import ConflictError, PayloadTooLargeError, ServiceUnavailableError
from shared.runtime import Runtime, use
from shared.security import HeaderPolicy

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def make(runtime, lines):
    def made(jobs=(), observers=(), **options):
        return Pipeline(
            LayerOptions(**options), runtime=runtime, access=lines, jobs=jobs, observers=observers
        )

    return made


def exchange_of(
    pipeline, *, path="/orders", status=200, seconds=0.01, outcome=Outcome.COMPLETED, correlation=None
):
    exchange = Exchange("GET", path, https=False, api_version="v1")
    exchange.context = pipeline.identify(correlation, None)
    exchange.status, exchange.outcome = status, outcome
    exchange.started, exchange.first_byte, exchange.ended = 100.0, 100.0, 100.0 + seconds
    return exchange


# --- identity -----------------------------------------------------------------------------


def test_identity_takes_over_a_valid_correlation_id(make):
    assert make().identify("order-7.b_c", None).correlation_id == "order-7.b_c"


@pytest.mark.parametrize(
    "hostile", ["", "a b", "a\r\nSet-Cookie: x", "x" * 129, "x" * 65536, "\u0661", "a;b", "../a%00"]
)
def test_identity_replaces_a_hostile_correlation_id(make, hostile):
    context = make().identify(hostile, None)

    assert is_valid_id(context.correlation_id)
    assert context.correlation_id == context.trace.trace_id


def test_identity_makes_a_fresh_request_id_each_time(make):
    pipeline = make()

    ids = {pipeline.identify("c-1", None).request_id for _ in range(100)}

    assert len(ids) == 100


def test_identity_continues_the_callers_trace(make):
    context = make().identify(None, PARENT, "vendor=1")

    parent = TraceContext.parse(PARENT)
    assert context.trace.trace_id == parent.trace_id == context.correlation_id
    assert context.trace.parent_id == parent.span_id
    assert context.trace.span_id != parent.span_id
    assert context.trace.tracestate == "vendor=1"


def test_identity_starts_a_trace_when_that_of_the_caller_is_broken(make):
    context = make().identify(None, "00-nonsense", "vendor=1")

    assert context.trace.parent_id == ""
    assert context.trace.tracestate == ""


def test_identity_needs_no_trace(make):
    context = make(trace=False).identify(None, PARENT)

    assert context.trace is None
    assert is_valid_id(context.correlation_id)


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_identity_is_always_valid(correlation, parent, state):
    pipeline = Pipeline(LayerOptions(access_log=False), runtime=Runtime())

    context = pipeline.identify(correlation, parent, state)

    assert is_valid_id(context.correlation_id)
    assert is_valid_id(context.request_id)


# --- body length ----------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["0", "1", "10"])
def test_length_up_to_the_limit_passes(make, declared):
    assert make(max_body_bytes=10).check_length(declared) is None


@pytest.mark.parametrize("declared", ["11", "9" * 18, "9" * 19, "9" * 5000])
def test_length_above_the_limit_is_413(make, declared):
    error = make(max_body_bytes=10).check_length(declared)

    assert isinstance(error, PayloadTooLargeError)
    assert str(error) == "the body is larger than the limit of 10 bytes"
    assert error.details == {"max_bytes": 10}


@pytest.mark.parametrize("declared", ["", "-1", "+1", "1 ", "1e3", "0x10", "1,1", "\u0661", "abc"])
def test_length_that_is_no_number_is_400(make, declared):
    assert make().check_length(declared).status == 400


def test_length_is_free_without_a_limit(make):
    assert make(max_body_bytes=None).check_length("9" * 5000) is None


# --- headers ----------------------------------------------------------------------------------


def test_security_headers_follow_scheme_and_kind_of_page(make):
    pipeline = make(security_headers="seed")

    for https in (False, True):
        assert pipeline.text[https][0] == HeaderPolicy.seed.headers(https=https)
        assert pipeline.text_docs[https][0] == HeaderPolicy.docs.headers(https=https)
        assert pipeline.raw[https][0] == HeaderPolicy.seed.raw_headers(https=https)
    assert "strict-transport-security" not in pipeline.text[False][1]
    assert "strict-transport-security" in pipeline.text[True][1]


def test_security_headers_can_be_off_everywhere(make):
    pipeline = make(security_headers="off")

    assert [plan[0] for plan in (*pipeline.text, *pipeline.text_docs)] == [()] * 4


def test_security_headers_can_be_a_policy_of_the_service(make):
    own = HeaderPolicy.api.with_headers({"X-Frame-Options": "SAMEORIGIN"})

    assert ("X-Frame-Options", "SAMEORIGIN") in make(security_headers=own).text[False][0]


# --- the access line -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        ({}, "info"),
        ({"status": 304}, "info"),
        ({"status": 404}, "warning"),
        ({"status": 500}, "error"),
        ({"status": 503}, "error"),
        ({"seconds": 1.0}, "warning"),
        ({"seconds": 1.0, "status": 500}, "error"),
        ({"outcome": Outcome.FAILED}, "error"),
        ({"outcome": Outcome.DISCONNECTED}, "info"),
        ({"outcome": Outcome.DISCONNECTED, "status": 0}, "info"),
        ({"outcome": Outcome.CANCELLED, "status": 0}, "info"),
        ({"path": "/health"}, None),
        ({"path": "/health", "status": 404}, None),
        ({"path": "/health", "status": 503}, "error"),
        ({"path": "/health", "seconds": 2.0}, "warning"),
    ],
    ids=str,
)
def test_line_has_the_level_of_what_happened(make, lines, facts, level):
    pipeline = make()

    pipeline.finish(exchange_of(pipeline, **facts))

    assert [line["level"] for line in lines.written] == ([] if level is None else [level])


def test_line_says_what_happened(make, lines):
    pipeline = make()
    exchange = exchange_of(pipeline, seconds=0.25)
    exchange.bytes_sent = 17

    pipeline.finish(exchange)

    assert lines.only == {
        "level": "info",
        "method": "GET",
        "path": "/orders",
        "route": "unmatched",
        "status": 200,
        "duration_ms": 250.0,
        "ttfb_ms": 0.0,
        "bytes_sent": 17,
        "client": None,
    }


def test_line_names_outcome_and_error_when_there_are(make, lines):
    pipeline = make()
    exchange = exchange_of(pipeline, status=0, outcome=Outcome.DISCONNECTED)
    exchange.first_byte, exchange.error = 0.0, KeyError("secret")

    pipeline.finish(exchange)

    line = lines.only
    assert (line["status"], line["outcome"], line["error"], line["ttfb_ms"]) == (
        499,
        "disconnected",
        "KeyError",
        None,
    )


def test_line_holds_no_more_than_512_characters_of_the_path(make, lines):
    pipeline = make()

    pipeline.finish(exchange_of(pipeline, path="/" + "x" * 100_000))

    assert len(lines.only["path"]) == 512


def test_sampling_keeps_its_share_and_every_failure(make, lines):
    pipeline = make(access_sample=0.25)

    for n in range(2000):
        pipeline.finish(exchange_of(pipeline, correlation=f"c-{n}"))
    kept = len(lines.written)
    for n in range(50):
        pipeline.finish(exchange_of(pipeline, status=404, correlation=f"c-{n}"))
        pipeline.finish(exchange_of(pipeline, seconds=5.0, correlation=f"c-{n}"))

    assert 400 < kept < 600
    assert len(lines.written) == kept + 100


def test_sampling_chooses_the_same_requests_in_every_service(make, lines):
    pipelines = [make(access_sample=0.5), make(access_sample=0.5)]

    for pipeline in pipelines:
        for n in range(100):
            pipeline.finish(exchange_of(pipeline, path=f"/{n}", correlation=f"c-{n}"))

    paths = [line["path"] for line in lines.written]
    half = len(paths) // 2
    assert paths[:half] == paths[half:]
    assert paths[:half] == [f"/{n}" for n in range(100) if zlib.crc32(f"c-{n}".encode()) < 2**31]


def test_sampling_of_nothing_keeps_only_failures(make, lines):
    pipeline = make(access_sample=0.0)

    for status in (200, 404):
        pipeline.finish(exchange_of(pipeline, status=status))

    assert lines.only["status"] == 404


def test_log_that_fails_does_not_harm_the_request(runtime, caplog):
    class Broken:
        def write(self, fields, *, level):
            raise OSError("disk full")

    pipeline = Pipeline(runtime=runtime, access=Broken())

    with caplog.at_level(logging.ERROR, "shared.api"):
        pipeline.finish(exchange_of(pipeline))

    assert "the access log failed" in caplog.text


def test_log_can_be_off(make, lines):
    pipeline = make(access_log=False)

    pipeline.finish(exchange_of(pipeline, status=500))

    assert lines.written == []


def test_log_of_the_runtime_is_used_when_none_is_given(runtime):
    from shared.logging import AccessLog, capture_logs

    pipeline = Pipeline(runtime=runtime)

    with capture_logs() as events, request_context(correlation_id="c-1"):
        pipeline.finish(exchange_of(pipeline))

    assert runtime.find(AccessLog) is not None
    assert [(event["event"], event["route"], event["status"]) for event in events] == [
        ("request", "unmatched", 200)
    ]


# --- observers -------------------------------------------------------------------------------


def test_observer_learns_the_facts(make):
    seen = []
    pipeline = make(observers=[seen.append])
    exchange = exchange_of(pipeline, status=500, seconds=0.5)
    exchange.bytes_received, exchange.bytes_sent, exchange.error = 3, 4, ValueError("secret")

    pipeline.finish(exchange)

    (event,) = seen
    assert event[:10] == ("GET", "unmatched", 500, "completed", 0.5, 0.0, 3, 4, "http", "ValueError")
    assert event.context is exchange.context


def test_observer_can_come_and_go(make):
    seen = []
    pipeline = make()

    stop = pipeline.observe(seen.append)
    pipeline.finish(exchange_of(pipeline))
    stop()
    stop()
    pipeline.finish(exchange_of(pipeline))

    assert len(seen) == 1


def test_observer_that_fails_does_not_silence_the_others(make, caplog):
    seen = []

    def broken(_event):
        raise RuntimeError("no")

    pipeline = make(observers=[broken, seen.append])

    with caplog.at_level(logging.ERROR, "shared.api"):
        pipeline.finish(exchange_of(pipeline))

    assert len(seen) == 1
    assert "an observer of finished requests failed" in caplog.text


# --- jobs -------------------------------------------------------------------------------------


class Refuse(Job):
    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def on_request(self, exchange):
        self.asked += 1
        return self.answer


class Awaits(Job):
    async def on_request_async(self, exchange):
        return ConflictError("awaited")


def test_unused_hooks_are_not_compiled(make):
    pipeline = make(jobs=[Job(), Job()])

    assert (pipeline.on_request, pipeline.on_request_async, pipeline.on_headers, pipeline.decorates) == (
        (),
        (),
        (),
        False,
    )
    assert pipeline._observers == ()


def test_first_objection_decides(make):
    passes, refuses, never = Refuse(None), Refuse(Reply(204)), Refuse(Reply(500))
    pipeline = make(jobs=[passes, refuses, never])

    assert pipeline.ask_jobs(exchange_of(pipeline)) == Reply(204)
    assert (passes.asked, refuses.asked, never.asked) == (1, 1, 0)


def test_no_objection_lets_the_request_pass(make):
    pipeline = make(jobs=[Refuse(None)])

    assert pipeline.ask_jobs(exchange_of(pipeline)) is None


async def test_asynchronous_decision_is_awaited_and_the_others_are_called(make):
    plain = Refuse(None)
    pipeline = make(jobs=[plain, Awaits()])

    answer = await pipeline.ask_jobs_async(exchange_of(pipeline))

    assert str(answer) == "awaited"
    assert plain.asked == 1


async def test_no_asynchronous_objection_lets_the_request_pass(make):
    pipeline = make(jobs=[Refuse(None)])

    assert await pipeline.ask_jobs_async(exchange_of(pipeline)) is None


def test_plan_uses_the_runtime_in_force_when_none_is_given(runtime):
    with use(runtime):
        assert Pipeline(LayerOptions(access_log=False)).runtime is runtime


def test_reply_renders_errors_and_leaves_answers(make):
    class Asked(Exchange):
        def header(self, name):
            return {"accept": "application/problem+json"}.get(name)

    pipeline = make()
    exchange = Asked("GET", "/orders", https=False, api_version="v1")
    exchange.context = pipeline.identify("c-1", None)

    assert pipeline.reply(exchange, Reply(204)) == Reply(204)
    reply = pipeline.reply(exchange, ServiceUnavailableError(retry_after=2))
    assert ("Retry-After", "2") in reply.headers
    assert b'"correlation_id":"c-1"' in reply.body


def test_exchange_keeps_what_jobs_put_into_its_state():
    exchange = Exchange("GET", "/", https=False, api_version="v1")

    exchange.state["a"] = 1

    assert exchange.state == {"a": 1}
    with pytest.raises(NotImplementedError):
        exchange.header("accept")
    assert exchange.client is None


def test_clock_of_the_plan_can_be_another(runtime):
    ticks = itertools.count()

    assert Pipeline(LayerOptions(access_log=False), runtime=runtime, clock=lambda: next(ticks)).clock() == 0


class Both(Job):
    def on_request(self, exchange):
        return None

    async def on_request_async(self, exchange):
        return None


@pytest.mark.parametrize("waits", [True, False])
def test_job_that_has_nothing_to_await_is_asked_the_quick_way(runtime, waits):
    job = Both()
    job.waits = waits

    assert Pipeline(LayerOptions(access_log=False), runtime=runtime, jobs=[job]).awaits is waits


def test_job_that_can_only_be_awaited_is_awaited_whatever_it_says(runtime):
    class Only(Job):
        waits = False

        async def on_request_async(self, exchange):
            return None

    assert Pipeline(LayerOptions(access_log=False), runtime=runtime, jobs=[Only()]).awaits is True
