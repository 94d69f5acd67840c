import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import request_context
from shared.logging import AccessLog, MemorySink, bind, capture_logs, configure_logging


def test_an_access_line_has_ids_service_bound_fields_and_what_is_given(handle, memory):
    fields = {"method": "GET", "path": "/x", "status": 200, "duration_ms": 1.25}
    with request_context(correlation_id="c"):
        bind(user_id="u")
        for _ in range(3):
            AccessLog().write(fields, level="info")

    assert len(set(memory.lines)) == 1
    event = memory.events[0]
    assert (event["event"], event["logger"], event["service"]) == ("request", "shared.access", "orders")
    assert (event["correlation_id"], event["user_id"], event["method"]) == ("c", "u", "GET")
    assert fields == {"method": "GET", "path": "/x", "status": 200, "duration_ms": 1.25}


@pytest.mark.parametrize(
    ("level", "expected"), [("info", "info"), ("WARNING", "warning"), ("error", "error"), ("odd", "info")]
)
def test_the_level_is_given_by_name(handle, memory, level, expected):
    AccessLog().write({"status": 200}, level=level)

    assert memory.events[0]["level"] == expected


def test_event_and_logger_can_be_chosen(handle, memory):
    AccessLog("job", logger="jobs.access").write({"job": "x"})

    assert (memory.events[0]["event"], memory.events[0]["logger"]) == ("job", "jobs.access")


def test_the_level_of_the_access_logger_can_be_raised(memory):
    access = AccessLog()
    with configure_logging({}, sink=memory, format="json", levels={"shared.access": "WARNING"}):
        access.write({"status": 200}, level="info")
        access.write({"status": 500}, level="error")

    assert [event["status"] for event in memory.events] == [500]


def test_a_hostile_value_does_not_raise(handle, memory):
    class Hostile:
        def __repr__(self):
            raise RuntimeError

    AccessLog().write({"path": "/\ud800", "odd": Hostile(), "timestamp": 1})

    assert memory.events[0]["extra.timestamp"] == 1


def written(memory, access, fields, level="info"):
    """Write *fields* three times the quick way and once by name; return both kinds of lines."""
    for _ in range(3):
        access.write_request(level, *fields.values())
    quick = list(memory.lines)
    memory.clear()
    access.write(fields, level=level)
    return quick, memory.lines


REQUEST = {
    "method": "GET",
    "path": "/orders/7",
    "route": "/orders/{id}",
    "status": 200,
    "duration_ms": 1.25,
    "ttfb_ms": 1.0,
    "bytes_sent": 10,
    "client": "10.0.0.1",
}
TEXTS = st.text(max_size=20) | st.sampled_from(["/a?token=abc", "/x", "Bearer abcdefghijklmnop", "10.0.0.1"])


@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "method": TEXTS,
            "path": TEXTS,
            "route": TEXTS,
            "status": st.integers(0, 2**70),
            "duration_ms": st.floats(allow_nan=False, allow_infinity=False),
            "ttfb_ms": st.none() | st.floats(0, 1000),
            "bytes_sent": st.integers(0, 2**60),
            "client": st.none() | TEXTS,
        },
    ),
    correlation=st.sampled_from(["c", 'c"\\', "c\n", "ä", "\ud800"]),
    level=st.sampled_from(["info", "warning", "error"]),
    bound=st.sampled_from([{}, {"user_id": "u"}, {"path": "mine"}]),
)
def test_a_request_is_the_same_line_the_quick_way(changes, correlation, level, bound):
    memory = MemorySink()
    with (
        configure_logging({}, service="orders", sink=memory, format="json", clock=lambda: 1_700_000_000.5),
        request_context() as context,
    ):
        context.correlation_id = correlation
        context.fields.update(bound)
        quick, usual = written(memory, AccessLog(), REQUEST | changes, level)

    assert set(quick) == set(usual)


@pytest.mark.parametrize("name", ["client", "path"])
def test_a_name_to_redact_holds_the_quick_way(memory, name):
    with (
        configure_logging({"LOG_REDACT_NAMES": [name]}, sink=memory, format="json"),
        request_context(),
    ):
        quick, _ = written(memory, AccessLog(), REQUEST)

    assert all(REQUEST[name] not in line for line in quick)


def test_the_tenant_is_told_the_quick_way(handle, memory):
    with request_context(tenant="acme"):
        quick, _ = written(memory, AccessLog(), REQUEST)

    assert all('"tenant":"acme"' in line for line in quick)


def test_a_new_configuration_counts_the_quick_way(memory):
    access, other = AccessLog(), MemorySink()
    with configure_logging({}, sink=memory, format="json"), request_context():
        written(memory, access, REQUEST)
    with configure_logging({}, sink=other, format="json", levels={"shared.access": "WARNING"}):
        access.write_request("info", *REQUEST.values())
        access.write_request("error", *(REQUEST | {"status": 500}).values())

    assert [event["status"] for event in other.events] == [500]


def test_a_capture_takes_the_lines_of_the_quick_way(handle, memory):
    access = AccessLog()
    with request_context():
        written(memory, access, REQUEST)
        memory.clear()
        with capture_logs() as events:
            access.write_request("info", *REQUEST.values())

    assert (events[0]["path"], memory.lines) == ("/orders/7", [])
