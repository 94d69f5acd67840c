import pytest

from shared.context import request_context
from shared.logging import AccessLog, configure_logging, get_logger


@pytest.fixture
def ecs(memory):
    with configure_logging({}, sink=memory, format="ecs", service="s", version="1", environment="staging"):
        yield get_logger("l")


def test_a_line_has_the_names_of_the_elastic_common_schema(ecs, memory):
    with request_context(correlation_id="c", request_id="r", tenant="t") as context:
        ecs.info("it", user_id="u", own=1)

    event = memory.events[0]
    assert event.pop("@timestamp").endswith("Z")
    assert event == {
        "log.level": "info",
        "message": "it",
        "log.logger": "l",
        "service.name": "s",
        "service.version": "1",
        "service.environment": "staging",
        "labels.correlation_id": "c",
        "http.request.id": "r",
        "trace.id": context.trace.trace_id,
        "span.id": context.trace.span_id,
        "organization.id": "t",
        "user.id": "u",
        "own": 1,
        "ecs.version": "8.17.0",
    }


def test_an_access_line_has_them_too(ecs, memory):
    AccessLog().write({"method": "GET", "path": "/x", "status": 200, "duration_ms": 1.5})

    event = memory.events[0]
    assert event["http.request.method"] == "GET"
    assert event["url.path"] == "/x"
    assert event["http.response.status_code"] == 200
    assert event["event.duration"] == 1_500_000


def test_an_exception_has_them_too(ecs, memory):
    ecs.error("it", exc_info=ValueError("no"))

    event = memory.events[0]
    assert (event["error.type"], event["error.message"]) == ("ValueError", "no")
    assert event["error.stack_trace"].startswith("ValueError: no")


@pytest.mark.parametrize("name", ["user", "host", "message", "error", "url"])
def test_a_field_where_the_schema_has_an_object_moves_to_extra(ecs, memory, name):
    ecs.info("it", **{name: "plain"})

    assert memory.events[0][f"extra.{name}"] == "plain"


def test_a_field_with_the_schemas_own_name_does_not_replace_ours(ecs, memory):
    ecs.info("it", **{"log.level": "fake", "ecs.version": "0"})

    assert memory.events[0]["log.level"] == "info"
    assert memory.events[0]["extra.log.level"] == "fake"
    assert memory.events[0]["ecs.version"] == "8.17.0"


def test_a_name_used_up_before_does_not_replace_it(ecs, memory):
    ecs.info("it", **{"user.id": "first", "user_id": "second"})

    assert memory.events[0]["user.id"] == "first"
    assert memory.events[0]["extra.user_id"] == "second"
