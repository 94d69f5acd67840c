from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import request_context
from shared.logging import MemorySink, bind, configure_logging, get_logger

OURS = ["timestamp", "level", "event", "logger", "service", "trace_id", "span_id"]


@pytest.mark.parametrize("name", OURS)
def test_a_field_with_a_name_of_ours_moves_to_extra(handle, memory, name):
    log = get_logger("real")
    for _ in range(3):
        log.info("real", **{name: "fake"})

    for event in memory.events:
        assert event[f"extra.{name}"] == "fake"
        assert event.get(name) != "fake"


@pytest.mark.parametrize("name", ["correlation_id", "request_id", "trace_id", "span_id", "tenant"])
def test_an_id_of_the_request_is_not_overwritten(handle, memory, name):
    with request_context(correlation_id="c", request_id="r", tenant="t") as context:
        log = get_logger()
        for _ in range(3):
            log.info("it", **{name: "fake"})

    truth = {"correlation_id": "c", "request_id": "r", "tenant": "t"} | {
        "trace_id": context.trace.trace_id,
        "span_id": context.trace.span_id,
    }
    for event in memory.events:
        assert event[name] == truth[name]
        assert event[f"extra.{name}"] == "fake"


@pytest.mark.parametrize("name", ["correlation_id", "request_id", "tenant"])
def test_outside_of_a_request_its_ids_may_be_given(handle, memory, name):
    get_logger().info("it", **{name: "mine"})

    assert memory.events[0][name] == "mine"


@pytest.mark.parametrize("name", OURS)
def test_a_bound_field_with_a_name_of_ours_moves_to_extra(handle, memory, name):
    with request_context():
        bind(**{name: "fake"})
        get_logger("real").info("real")

    assert memory.events[0][f"extra.{name}"] == "fake"


def test_service_version_and_environment_are_on_the_line_when_known(memory):
    with configure_logging({}, sink=memory, format="json", service="s", version="1.2", environment="staging"):
        get_logger().info("it", service_version="fake")

    event = memory.events[0]
    assert (event["service"], event["service_version"], event["environment"]) == ("s", "1.2", "staging")
    assert event["extra.service_version"] == "fake"


def test_a_line_that_cannot_be_built_says_so(memory):
    def broken():
        if memory.lines or calls:
            calls.append(1)
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("no clock")
        return 1.0

    calls = []
    with configure_logging({}, sink=memory, format="json", clock=broken) as handle:
        get_logger("l").info("it", x=1)

        assert handle.stats()["unloggable"] == 1
    assert memory.events[0]["log_error"] == "RuntimeError"
    assert memory.events[0]["event"] == "it"


class Unusual(str):
    """A text that is none of the exact type."""

    __slots__ = ()


names = st.text(alphabet="abcdefgh_", min_size=1, max_size=6).map(lambda name: f"f_{name}")
values = (
    st.text(max_size=12)
    | st.integers(-(2**60), 2**60)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False)
    | st.text(max_size=4).map(Unusual)
    | st.lists(st.integers(), max_size=2)
)


@given(st.text(min_size=1, max_size=20), st.dictionaries(names, values, max_size=5), st.booleans())
def test_the_quick_way_and_the_careful_way_write_the_same_line(event, fields, in_request):
    """The first line is written the careful way, later ones mostly the quick way."""
    memory = MemorySink()
    with configure_logging({}, sink=memory, format="json", service="s", clock=lambda: 12.5):
        log = get_logger("same")
        if in_request:
            with request_context(correlation_id="é" if len(event) % 2 else "c"):
                for _ in range(3):
                    log.info(event, **fields)
        else:
            for _ in range(3):
                log.info(event, **fields)

    assert len(set(memory.lines)) == 1


def test_the_memory_of_known_texts_and_names_is_bounded(handle, memory):
    scrubber = handle._pipeline.scrubber
    log = get_logger()
    for number in range(20_000):
        log.info("it", text=f"value {number}", **{f"name{number % 5000}": 1})

    assert len(scrubber.texts) <= 8192
    assert len(scrubber.names) <= 2048


def test_the_memory_of_events_and_loggers_is_bounded(handle, memory):
    for number in range(3000):
        handle._pipeline.log(f"logger {number}", "info", 20, "it", {})
        get_logger("one").info(f"event {number}")
        get_logger("one").info(f"event {number}")

    assert len(handle._pipeline._writers) <= 1024
    assert len(memory.lines) == 9000


def test_an_id_of_hostile_content_stays_one_line(handle, memory):
    with request_context(correlation_id="a\r\nSet-Cookie: x\u2028" * 5000, request_id="\ud800"):
        log = get_logger()
        for _ in range(3):
            log.info("it")

    for raw in memory._lines:
        assert raw.count(b"\n") == 1
        assert len(raw) <= 16_384
        assert len(raw.decode().splitlines()) == 1


def test_context_variables_of_others_are_not_looked_at(handle, memory):
    class Untouchable:
        def __getattribute__(self, name):
            raise AssertionError("looked at")

    for number in range(200):
        ContextVar(f"structlog_{number}").set(Untouchable())
    get_logger().info("it")

    assert set(memory.events[0]) == {"timestamp", "level", "event", "service"}
