import gc
import threading

import pytest

from shared.context import request_context, with_context
from shared.logging import AccessLog, configure_logging, get_logger


@pytest.fixture
def log(memory):
    with configure_logging({}, sink=memory, format="json", debug_buffer=3):
        yield get_logger("l")


def events(memory):
    return [(event["level"], event["event"]) for event in memory.events]


def test_debug_lines_of_a_request_come_out_in_front_of_its_error(log, memory):
    with request_context():
        for number in range(5):
            log.debug("step %d", number)
        log.info("running")
        log.error("failed")
        log.debug("afterwards")

    assert events(memory) == [
        ("info", "running"),
        ("debug", "step 2"),
        ("debug", "step 3"),
        ("debug", "step 4"),
        ("error", "failed"),
    ]


def test_without_an_error_they_end_with_the_request(log, memory):
    with request_context():
        log.debug("quiet")
    gc.collect()
    with request_context():
        log.error("another request")

    assert events(memory) == [("error", "another request")]


def test_an_access_line_of_level_error_brings_them_out(log, memory):
    with request_context():
        log.debug("before")
        AccessLog().write({"status": 500}, level="error")

    assert [event["event"] for event in memory.events] == ["before", "request"]


def test_outside_of_a_request_nothing_is_kept(log, memory):
    log.debug("nowhere")
    log.error("it")

    assert events(memory) == [("error", "it")]


def test_lines_of_the_requests_threads_are_kept_too(log, memory):
    with request_context():
        thread = threading.Thread(target=with_context(lambda: log.debug("in the thread")))
        thread.start()
        thread.join()
        log.error("failed")

    assert events(memory)[0] == ("debug", "in the thread")


def test_kept_lines_are_masked_and_have_their_own_time(memory):
    times = iter(range(1, 100))
    with (
        configure_logging({}, sink=memory, format="json", debug_buffer=3, clock=lambda: float(next(times))),
        request_context(),
    ):
        get_logger().debug("first", password="x")
        get_logger().error("second")

    assert memory.events[0]["password"] == "***"
    assert memory.events[0]["timestamp"] < memory.events[1]["timestamp"]


def test_a_child_process_can_keep_lines_again(log):
    from shared.logging._state import STATE

    buffer = STATE.find()._buffer
    buffer._lock.acquire()
    buffer.after_fork()

    assert buffer._lock.acquire(blocking=False)
