import asyncio
import contextvars

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import (
    TraceContext,
    bound_fields,
    current_context,
    get_trace,
    outgoing_headers,
    request_context,
)
from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.monitoring import Span, SpanKind, Tracer, get_tracer, is_sampled
from shared.runtime import Runtime, use

INCOMING = TraceContext.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=x")


@pytest.fixture
def spans():
    return []


@pytest.fixture
def tracer(spans):
    return Tracer([spans.extend])


# -- the tree -----------------------------------------------------------------------


def test_a_span_without_a_parent_begins_a_trace(tracer, spans):
    with tracer.span("work"):
        pass

    assert spans[0].trace.parent_id == ""


def test_inner_spans_have_the_outer_one_as_parent(tracer, spans):
    with tracer.span("outer") as outer, tracer.span("inner") as inner:
        assert get_trace() == inner.trace

    assert [span.name for span in spans] == ["inner", "outer"]
    assert spans[0].trace.parent_id == outer.trace.span_id
    assert spans[0].trace.trace_id == spans[1].trace.trace_id


def test_the_request_is_the_parent_of_what_it_does(tracer, spans):
    with request_context(trace=INCOMING), tracer.span("work"):
        pass

    assert (spans[0].trace.trace_id, spans[0].trace.parent_id) == (INCOMING.trace_id, INCOMING.span_id)


def test_a_given_parent_wins_over_the_one_in_force(tracer, spans):
    with tracer.span("outer"), tracer.span("consume", kind="consumer", parent=INCOMING):
        pass

    assert spans[0].trace.parent_id == INCOMING.span_id
    assert spans[0].kind is SpanKind.CONSUMER


def test_after_the_block_the_outer_trace_is_in_force_again(tracer):
    with request_context(trace=INCOMING):
        with pytest.raises(ValueError), tracer.span("work"):
            raise ValueError
        assert get_trace() is INCOMING
    assert current_context() is None


def test_calls_to_other_services_name_the_span_as_parent(tracer):
    with request_context(correlation_id="c-1", trace=INCOMING), tracer.span("call", kind="client") as span:
        sent = outgoing_headers()

    assert sent["traceparent"] == span.headers()["traceparent"] == span.trace.traceparent
    assert sent["tracestate"] == span.headers()["tracestate"] == "vendor=x"
    assert sent["X-Correlation-ID"] == "c-1"


def test_fields_bound_inside_a_span_stay_with_the_request(tracer):
    from shared.context import bind

    with request_context():
        with tracer.span("work"):
            bind(order="o-1")
        assert bound_fields() == {"order": "o-1"}


async def test_parallel_tasks_have_their_own_spans(tracer, spans):
    async def work(name):
        async with tracer.span(name) as span:
            await asyncio.sleep(0.001)
            async with tracer.span(f"{name}-child"):
                await asyncio.sleep(0.001)
        return span.trace.span_id

    with request_context(trace=INCOMING):
        first, second = await asyncio.gather(work("a"), work("b"))

    parents = {span.name: span.trace.parent_id for span in spans}
    assert parents == {"a-child": first, "b-child": second, "a": INCOMING.span_id, "b": INCOMING.span_id}


def test_a_span_that_ends_in_another_context_harms_nobody(tracer, spans):
    span = tracer.span("work")
    contextvars.copy_context().run(span.__enter__)

    span.__exit__(None, None, None)

    assert [each.name for each in spans] == ["work"]
    assert current_context() is None


# -- what a span says ---------------------------------------------------------------------


def test_an_exception_is_named_and_its_text_masked(tracer, spans):
    with pytest.raises(ConnectionError), tracer.span("work"):
        raise ConnectionError("postgresql://app:s3cret-pw@db/x")

    assert spans[0].error == "ConnectionError"
    assert "s3cret-pw" not in spans[0].message


def test_leaving_the_process_is_no_error(tracer, spans):
    with pytest.raises(SystemExit), tracer.span("work"):
        raise SystemExit

    assert spans[0].error is None


def test_facts_and_moments_are_kept_and_bounded(tracer, spans):
    with tracer.span("work", attributes={"first": 1}) as span:
        for number in range(100):
            span.set(f"key{number}", number)
            span.event("tick", {"n": number})
        span.set("first", 2)
        span.set("long", "x")

    assert (len(spans[0].attributes), spans[0].attributes["first"]) == (64, 2)
    assert len(spans[0].events) == 32


def test_facts_of_any_type_become_plain(tracer, spans):
    class Hostile:
        def __str__(self):
            raise RuntimeError

    with tracer.span("work", attributes={"a": [1, {"k": 1}], "b": Hostile(), "c": "x" * 5000, "d": None}):
        pass

    facts = spans[0].attributes
    assert facts["a"] == [1, "{'k': 1}"]
    assert facts["b"] == "<Hostile>"
    assert (len(facts["c"]), facts["d"]) == (1000, None)


def test_duration_and_start_are_real_time(tracer, spans):
    import time

    before = time.time_ns()
    with tracer.span("work"):
        time.sleep(0.01)

    assert before <= spans[0].start <= time.time_ns()
    assert 0.009 < spans[0].duration < 5


# -- which are kept ------------------------------------------------------------------------


def test_without_an_exporter_nothing_changes():
    tracer = Tracer()
    with request_context(trace=INCOMING):
        with tracer.span("work") as span:
            inside = get_trace()

    assert inside is INCOMING
    assert not span.is_recording


def test_the_callers_decision_is_followed(spans):
    tracer = Tracer([spans.extend], sample_rate=1.0)
    with request_context(trace=INCOMING._replace(sampled=False)), tracer.span("work") as span:
        span.set("a", 1)
        span.event("b")

    assert spans == []
    assert span.headers()["traceparent"].endswith("-00")


def test_at_rate_zero_no_new_trace_is_kept_and_its_parts_know(spans):
    tracer = Tracer([spans.extend], sample_rate=0.0)
    with tracer.span("outer"), tracer.span("inner"):
        assert get_trace().sampled is False

    assert spans == []


@given(st.integers(0, 2**128 - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_trace_kept_at_one_rate_is_kept_at_every_higher(number, first, second):
    trace_id = f"{number:032x}"
    low, high = sorted((first, second))

    assert not is_sampled(trace_id, low) or is_sampled(trace_id, high)
    assert is_sampled(trace_id, 1.0)


def test_about_as_many_traces_are_kept_as_the_rate_says():
    kept = sum(is_sampled(TraceContext.new().trace_id, 0.25) for _ in range(4000))

    assert 800 < kept < 1200


# -- exporters ---------------------------------------------------------------------------------


def test_an_exporter_that_fails_harms_neither_work_nor_the_others(spans, caplog):
    def broken(_spans):
        raise RuntimeError("no disk")

    tracer = Tracer([broken, spans.extend])
    with tracer.span("work"):
        pass

    assert len(spans) == 1
    assert "a span exporter failed" in caplog.text


def test_an_exporter_can_come_and_go(spans):
    tracer = Tracer()
    remove = tracer.add_exporter(spans.extend)
    with tracer.span("seen"):
        pass
    remove()
    with tracer.span("unseen"):
        pass

    assert [span.name for span in spans] == ["seen"]
    assert not tracer.is_active


# -- the decorator ------------------------------------------------------------------------------


async def test_functions_and_coroutines_can_be_traced(tracer, spans):
    @tracer.traced()
    def add(a, b):
        return a + b

    @tracer.traced("fetch", kind="client")
    async def fetch():
        return get_trace().span_id

    assert add(1, b=2) == 3
    assert await fetch() == spans[1].trace.span_id
    assert [span.name.rpartition(".")[2] for span in spans] == ["add", "fetch"]
    assert spans[1].kind is SpanKind.CLIENT


def test_a_generator_is_refused(tracer):
    def count():
        yield 1

    with pytest.raises(UnsupportedCallableError, match="is a generator"):
        tracer.traced()(count)


def test_an_unknown_kind_is_refused(tracer):
    with pytest.raises(InvalidArgumentError, match="'worker' is unknown"):
        tracer.span("x", kind="worker")


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(InvalidArgumentError, match="sample_rate"):
        Tracer(sample_rate=rate)


def test_the_runtimes_tracer_follows_the_settings():
    from shared.config import override_settings

    with use(Runtime("test")) as runtime, override_settings(TRACE_SAMPLE_RATE=0.25):
        rate = get_tracer().sample_rate
        runtime.close()

    assert rate == 0.25


def test_a_span_knows_nothing_before_it_begins(tracer):
    span = tracer.span("work")

    assert isinstance(span, Span)
    assert (span.trace, span.headers(), dict(span.attributes)) == (None, {}, {})
