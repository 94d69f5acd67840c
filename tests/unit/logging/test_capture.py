import logging

import pytest

from shared.errors import ConfigurationError
from shared.logging import AccessLog, capture_logs, configure_logging, get_logger

early = get_logger("early").bind(a=1)


def test_loggers_made_and_bound_before_are_captured():
    with capture_logs() as events:
        early.info("one", b=2)

    assert events[0]["event"] == "one"
    assert (events[0]["a"], events[0]["b"], events[0]["logger"], events[0]["level"]) == (
        1,
        2,
        "early",
        "info",
    )
    assert events[0]["timestamp"].endswith("Z")


def test_captured_lines_are_not_written(handle, memory):
    early.info("before")
    with capture_logs() as events:
        early.info("during")
    early.info("after")

    assert [event["event"] for event in memory.events] == ["before", "after"]
    assert [event["event"] for event in events] == ["during"]


def test_lines_are_captured_as_they_would_be_written():
    with capture_logs() as events:
        early.error("it", password="x", exc_info=ValueError("no"))

    assert events[0]["password"] == "***"
    assert events[0]["exception"]["type"] == "ValueError"


def test_the_configured_level_stays_in_force(memory):
    with configure_logging({}, sink=memory, level="WARNING"), capture_logs() as events:
        early.info("no")
        early.warning("yes")

    assert [event["event"] for event in events] == ["yes"]


def test_a_level_may_be_asked_for(memory):
    with configure_logging({}, sink=memory, level="ERROR"):
        with capture_logs("DEBUG") as events:
            early.debug("yes")
            early.log(5, "no")
        early.warning("no")

    assert [event["event"] for event in events] == ["yes"]
    assert memory.lines == []


def test_of_nested_blocks_the_innermost_collects():
    with capture_logs() as outer:
        early.info("1")
        with capture_logs() as inner:
            early.info("2")
        early.info("3")

    assert [event["event"] for event in outer] == ["1", "3"]
    assert [event["event"] for event in inner] == ["2"]


def test_stdlib_and_access_lines_are_captured_while_logging_is_configured(handle, memory):
    access = AccessLog()
    with capture_logs() as events:
        logging.getLogger("std").warning("theirs")
        access.write({"status": 200})

    assert [event["event"] for event in events] == ["theirs", "request"]
    assert memory.lines == []


def test_a_block_that_fails_restores_too(handle, memory):
    with pytest.raises(ZeroDivisionError), capture_logs():
        raise ZeroDivisionError
    early.info("after")

    assert memory.events[0]["event"] == "after"


def test_a_line_that_cannot_be_built_is_captured_as_such(handle):
    with capture_logs() as events:
        early.info("it", exc_info=Odd())

    assert events[0]["event"] == "it"
    assert events[0]["log_error"] == "RuntimeError"


class Odd:
    def __bool__(self):
        raise RuntimeError("no truth")


def test_an_unknown_level_is_a_configuration_error():
    with pytest.raises(ConfigurationError), capture_logs("loud"):
        pass


def test_configuring_inside_the_block_keeps_capturing(memory):
    with capture_logs() as events, configure_logging({}, sink=memory):
        early.info("it")

    assert [event["event"] for event in events] == ["it"]
    assert memory.lines == []
