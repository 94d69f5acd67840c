import gc
import logging
import sys
import threading
import warnings

import pytest
import structlog

from shared import runtime
from shared.config import override_settings
from shared.errors import ConfigurationError
from shared.logging import (
    AccessLog,
    FileSink,
    MemorySink,
    ThreadSink,
    capture_logs,
    configure_logging,
    get_logger,
    log_stats,
)
from shared.logging._state import STATE


def world():
    """Everything that configuring may touch."""
    root = logging.getLogger()
    return {
        "root": (list(root.handlers), root.level, root.filters[:]),
        "factory": logging.getLogRecordFactory(),
        "hooks": (sys.excepthook, threading.excepthook, warnings.showwarning),
        "structlog": (structlog.is_configured(), structlog.get_config()),
        "live": list(STATE.slots),
        "only": STATE.only,
    }


def test_close_restores_exactly_what_was_before(memory):
    before = world()

    handle = configure_logging({}, sink=memory, format="json", level="DEBUG", levels={"a.b": "ERROR"})
    logging.getLogger("a.b").error("x")
    during = world()
    handle.close()
    handle.close()

    assert during != before
    assert world() == before


def test_structlogs_own_configuration_comes_back(memory):
    def processor(logger, name, event):
        return event

    structlog.configure(processors=[processor], cache_logger_on_first_use=True)
    try:
        before = structlog.get_config()
        configure_logging({}, sink=memory).close()

        assert structlog.get_config() == before
        assert structlog.is_configured()
    finally:
        structlog.reset_defaults()


def test_structlog_configured_by_somebody_meanwhile_stays(memory):
    handle = configure_logging({}, sink=memory)
    chain = [structlog.processors.JSONRenderer()]
    structlog.configure(processors=chain)
    try:
        handle.close()

        assert structlog.get_config()["processors"] is chain
    finally:
        structlog.reset_defaults()


def test_calling_twice_doubles_no_line(memory):
    with configure_logging({}, sink=memory, format="json"), configure_logging({}, sink=memory, format="json"):
        get_logger().warning("own")
        logging.getLogger("x").warning("std")

    assert len(memory.lines) == 2


def test_the_last_call_is_in_force_until_it_is_closed():
    first, second = MemorySink(), MemorySink()
    outer = configure_logging({}, sink=first, format="json")
    inner = configure_logging({}, sink=second, format="json")
    get_logger().info("to the second")
    inner.close()
    get_logger().info("to the first")
    outer.close()

    assert [len(first.lines), len(second.lines)] == [1, 1]


def test_handles_may_be_closed_in_any_order(memory):
    before = world()
    first, second = MemorySink(), MemorySink()
    outer = configure_logging({}, sink=first, format="json")
    inner = configure_logging({}, sink=second, format="json")
    outer.close()
    get_logger().info("still the second")
    inner.close()

    assert [len(first.lines), len(second.lines)] == [0, 1]
    assert world() == before


def test_two_applications_in_one_process_keep_apart():
    one, two = runtime.Runtime("one"), runtime.Runtime("two")
    first, second = MemorySink(), MemorySink()
    log, access = get_logger("shared.module"), AccessLog()
    handles = [
        configure_logging({}, service="one", sink=first, format="json", level="WARNING", runtime=one),
        configure_logging({}, service="two", sink=second, format="json", level="DEBUG", runtime=two),
    ]

    for each in (one, two):
        with runtime.use(each):
            log.debug("debug")
            log.warning("warning")
            logging.getLogger("std").info("std info")
            logging.getLogger("std").error("std error")
            structlog.get_logger().info("structlog info")
            access.write({"status": 200})

    for handle in handles:
        handle.close()
    assert [event["event"] for event in first.events] == ["warning", "std error"]
    assert [event["event"] for event in second.events] == [
        "debug",
        "warning",
        "std info",
        "std error",
        "structlog info",
        "request",
    ]
    assert {event["service"] for event in first.events} == {"one"}
    assert {event["service"] for event in second.events} == {"two"}


def test_a_line_outside_of_both_goes_to_the_one_configured_first():
    one, two = runtime.Runtime("one"), runtime.Runtime("two")
    first, second = MemorySink(), MemorySink()
    with (
        configure_logging({}, sink=first, format="json", runtime=one),
        configure_logging({}, sink=second, format="json", runtime=two),
    ):
        get_logger().info("own")
        logging.getLogger("x").warning("std")

    assert [len(first.lines), len(second.lines)] == [2, 0]


def test_after_one_of_two_is_closed_the_other_takes_all():
    one, two = runtime.Runtime("one"), runtime.Runtime("two")
    first, second = MemorySink(), MemorySink()
    handle = configure_logging({}, sink=first, format="json", runtime=one)
    with configure_logging({}, sink=second, format="json", runtime=two):
        handle.close()
        with runtime.use(one):
            get_logger().info("it")

    assert [len(first.lines), len(second.lines)] == [0, 1]


def test_capture_and_levels_work_with_two_applications():
    one, two = runtime.Runtime("one"), runtime.Runtime("two")
    with (
        configure_logging({}, sink=MemorySink(), level="ERROR", runtime=one),
        configure_logging({}, sink=MemorySink(), level="INFO", runtime=two),
    ):
        with runtime.use(one), capture_logs() as events:
            get_logger().info("no")
        with runtime.use(one), capture_logs("DEBUG") as more:
            get_logger().debug("yes")

    assert events == []
    assert [event["event"] for event in more] == ["yes"]


def test_logging_goes_on_when_its_runtime_is_closed(memory):
    """The last lines of a service and its server come after that."""
    before = world()
    own = runtime.Runtime("own")
    handle = configure_logging({}, sink=memory, format="json", runtime=own)

    own.close()
    with runtime.use(own):
        get_logger().info("stopped")
    handle.close()

    assert memory.events[0]["event"] == "stopped"
    assert world() == before


def test_a_restarted_runtime_still_has_its_own_pipeline(memory):
    other = MemorySink()
    own = runtime.Runtime("own")
    with (
        configure_logging({}, sink=other, format="json"),
        configure_logging({}, sink=memory, format="json", runtime=own),
    ):
        own.close()
        own.reopen()
        with runtime.use(own):
            get_logger().info("it")
        own.close()

    assert [len(memory.lines), len(other.lines)] == [1, 0]


def test_logging_ends_with_a_runtime_that_is_dropped(memory):
    before = world()
    own = runtime.Runtime("own")
    configure_logging({}, sink=memory, runtime=own)

    own.close()
    del own
    gc.collect()

    assert world() == before


def test_a_handle_keeps_its_logging_alive(memory):
    with configure_logging({}, sink=memory, format="json", runtime=runtime.Runtime("own")):
        gc.collect()
        get_logger().info("it")

    assert memory.events[0]["event"] == "it"


def test_the_settings_in_force_are_used_when_none_are_given(memory):
    with override_settings(LOG_LEVEL="ERROR", LOG_FORMAT="ecs", SERVICE_NAME="from-settings"):
        with configure_logging(sink=memory):
            get_logger().info("no")
            get_logger().error("yes")

    assert memory.events[0]["service.name"] == "from-settings"


@pytest.mark.parametrize("value", ["stdot", "/no/such/folder/x.log"])
def test_a_sink_that_cannot_be_opened_leaves_everything_as_it_was(value):
    before = world()

    with pytest.raises(ConfigurationError):
        configure_logging({}, sink=value)

    assert world() == before


def test_a_file_made_here_is_closed_here(tmp_path):
    handle = configure_logging({}, sink=tmp_path / "x.log", format="json")
    assert isinstance(handle.sink, FileSink)
    get_logger().info("it")
    (tmp_path / "x.log").rename(tmp_path / "x.1")

    assert handle.reopen()
    get_logger().info("again")
    assert handle.flush()
    handle.close()

    assert handle.sink._closed
    assert (tmp_path / "x.log").read_text().count("\n") == 1


def test_a_sink_that_was_given_stays_open(tmp_path):
    sink = FileSink(tmp_path / "x.log")
    configure_logging({}, sink=sink).close()

    assert not sink._closed
    sink.close()


def test_a_thread_in_front_of_a_file_reports_what_it_dropped(tmp_path):
    handle = configure_logging({}, service="s", sink=f"thread:{tmp_path / 'x.log'}", format="json")
    assert isinstance(handle.sink, ThreadSink)
    handle.sink._untold = 3
    get_logger().info("it")
    assert handle.flush()
    assert handle.reopen()
    handle.close()

    first = (tmp_path / "x.log").read_text().splitlines()[0]
    assert '"event":"log lines dropped"' in first
    assert '"dropped":3' in first
    assert '"service":"s"' in first


def test_reopen_without_a_file_says_so(handle):
    assert handle.reopen() is False


def test_the_counters_are_public(handle):
    get_logger().info("it", big=2**80)

    assert log_stats() == handle.stats()
    assert handle.stats()["repaired"] == 1


def test_unconfigured_loggers_follow_the_settings_and_leave_stdlib_alone(capfd, monkeypatch):
    before = list(logging.getLogger().handlers)
    with override_settings(LOG_FORMAT="json", LOG_LEVEL="WARNING", SERVICE_NAME="svc"):
        STATE._fallback = None
        STATE.refresh()
        get_logger("script").info("no")
        get_logger("script").warning("yes")

    out = capfd.readouterr().out
    STATE._fallback = None
    STATE.refresh()
    assert out.count("\n") == 1
    assert '"service":"svc"' in out
    assert logging.getLogger().handlers == before


def test_unconfigured_loggers_work_with_wrong_settings(capfd, monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("JWT_EXPIRE_MINUTES", "many")
    STATE._fallback = None
    STATE.refresh()

    get_logger("script").info("it")

    out = capfd.readouterr().out
    STATE._fallback = None
    STATE.refresh()
    assert '"event":"it"' in out


def test_wrong_settings_are_an_error_of_configure_logging(monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "loud")
    before = world()

    with pytest.raises(ConfigurationError, match="LOG_LEVEL"):
        configure_logging()

    assert world() == before


def test_threads_may_log_while_logging_is_configured_anew():
    memory = MemorySink()
    stop = threading.Event()
    failures = []

    def work():
        log = get_logger("threads")
        while not stop.is_set():
            try:
                log.bind(x=1).info("it", n=1)
                logging.getLogger("threads.std").info("it")
            except Exception as exc:
                failures.append(exc)

    with configure_logging({}, sink=memory, format="json"):
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(50):
            configure_logging({}, sink=memory, format="json").close()
            with capture_logs():
                pass
        stop.set()
        for thread in threads:
            thread.join()

    assert failures == []
    assert len(memory.events) == len(memory.lines)


def test_a_child_process_can_configure_again(memory):
    STATE._lock.acquire()
    STATE.after_fork()

    assert STATE._lock.acquire(blocking=False)
    STATE._lock.release()
