import pytest

from shared.context import request_context
from shared.logging import AccessLog, bind, configure_logging


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
