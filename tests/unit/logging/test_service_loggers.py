import pytest

from shared.logging import (
    BaseLogger,
    LogAction,
    LoggerName,
    ServiceLogger,
    configure_logging,
    get_agent_logger,
    get_api_logger,
    get_shared_logger,
    get_web_logger,
)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (get_api_logger, "api"),
        (get_agent_logger, "agent"),
        (get_web_logger, "web"),
        (get_shared_logger, "shared"),
    ],
)
def test_each_service_has_its_logger(handle, memory, make, name):
    make().info("API request processed", user_id="123", endpoint="/users")

    event = memory.events[0]
    assert (event["logger"], event["user_id"], event["endpoint"]) == (name, "123", "/users")


def test_the_documented_api_call_works_by_position(handle, memory):
    get_api_logger().log_api_call("/users", "GET", 200, 150, "user-123")

    event = memory.events[0]
    assert event["event"] == "api_call"
    assert event["level"] == "info"
    assert {key: event[key] for key in ("endpoint", "method", "status", "duration_ms", "user_id")} == {
        "endpoint": "/users",
        "method": "GET",
        "status": 200,
        "duration_ms": 150,
        "user_id": "user-123",
    }


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (200, "info"),
        (302, "info"),
        (404, "warning"),
        (499, "warning"),
        (500, "error"),
        ("503", "error"),
        ("?", "info"),
        (None, "info"),
    ],
)
def test_the_level_of_an_api_call_follows_its_status(handle, memory, status, level):
    get_api_logger().log_api_call("/", "GET", status)

    assert memory.events[0]["level"] == level


def test_the_documented_task_execution_works_by_position(handle, memory):
    get_agent_logger().log_task_execution("process_data", "success", 500, "user-123")

    event = memory.events[0]
    assert event["event"] == "task_execution"
    assert (event["task"], event["status"], event["duration_ms"], event["user_id"]) == (
        "process_data",
        "success",
        500,
        "user-123",
    )


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("success", "info"),
        ("Completed", "info"),
        ("retrying", "warning"),
        ("cancelled", "warning"),
        ("failed", "error"),
        ("timeout", "error"),
        ("critical", "critical"),
        ("", "info"),
        (7, "info"),
    ],
)
def test_the_level_of_a_task_follows_its_outcome(handle, memory, status, level):
    get_agent_logger().log_task_execution("t", status)

    assert memory.events[0]["level"] == level


def test_an_agent_interaction_is_logged(handle, memory):
    get_agent_logger().log_agent_interaction(
        "a-1", "message", "success", 12.5, "u-1", model="m", prompt_tokens=7
    )

    event = memory.events[0]
    assert event["event"] == "agent_interaction"
    assert (
        event["agent_id"],
        event["interaction"],
        event["user_id"],
        event["model"],
        event["prompt_tokens"],
    ) == ("a-1", "message", "u-1", "m", 7)


@pytest.mark.parametrize(
    ("severity", "level"), [("info", "info"), ("critical", "critical"), ("WARN", "warning"), ("odd", "info")]
)
def test_a_security_event_has_the_level_of_its_severity(handle, memory, severity, level):
    get_api_logger().log_security_event(
        "login", "u-1", severity=severity, success=False, ip_address="203.0.113.9"
    )

    event = memory.events[0]
    assert event["level"] == level
    assert (event["event_type"], event["success"], event["ip_address"]) == ("login", False, "203.0.113.9")


@pytest.mark.parametrize(
    ("kwargs", "level"),
    [
        ({}, "info"),
        ({"duration_ms": 999.0}, "info"),
        ({"duration_ms": 1000.0}, "warning"),
        ({"duration_ms": 50, "slow_ms": 10}, "warning"),
        ({"error": "locked"}, "error"),
    ],
)
def test_a_database_operation_is_judged_by_error_and_time(handle, memory, kwargs, level):
    get_shared_logger().log_database_operation("select", "users", rows=3, **kwargs)

    event = memory.events[0]
    assert event["level"] == level
    assert event.get("slow", False) is (level == "warning")


def test_a_database_error_comes_with_its_frames(handle, memory):
    get_shared_logger().log_database_operation("insert", "users", error=ValueError("no"))

    assert memory.events[0]["exception"]["type"] == "ValueError"


def test_what_is_none_is_left_out(handle, memory):
    get_api_logger().log_api_call("/", "GET", 200)

    assert "user_id" not in memory.events[0]
    assert "duration_ms" not in memory.events[0]


def test_further_fields_are_added_and_do_not_replace_ours(handle, memory):
    get_api_logger().log_api_call("/", "GET", 200, region="eu")
    get_api_logger()._outcome(20, "e", {"task": "real"}, {"task": "fake"})

    assert memory.events[0]["region"] == "eu"
    assert memory.events[1]["task"] == "real"
    assert memory.events[1]["extra.task"] == "fake"


def test_a_level_that_is_off_builds_nothing(memory):
    with configure_logging({}, sink=memory, format="json", levels={"api": "ERROR"}):
        get_api_logger().log_api_call("/", "GET", 200)
        get_agent_logger().log_task_execution("t", "success")

    assert [event["logger"] for event in memory.events] == ["agent"]


def test_bind_keeps_the_methods(handle, memory):
    log = get_api_logger().bind(region="eu")
    log.log_api_call("/", "GET", 200)

    assert type(log) is ServiceLogger
    assert memory.events[0]["region"] == "eu"


def test_a_base_logger_takes_any_name_and_any_level(handle, memory):
    BaseLogger("custom").error(action="anything", message="said", user_id=1)
    BaseLogger(LoggerName.ORDER).bind(a=1).warning("with an event", action=LogAction.ORDER_FAILED)

    assert (memory.events[0]["logger"], memory.events[0]["event"], memory.events[0]["level"]) == (
        "custom",
        "said",
        "error",
    )
    assert (memory.events[1]["logger"], memory.events[1]["action"]) == ("order", "order_failed")


def test_the_documented_import_paths_are_the_same_objects():
    from shared import logging, logging_config

    for name in logging_config.__all__:
        assert getattr(logging_config, name) is getattr(logging, name)
