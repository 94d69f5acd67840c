"""Records of the standard library's logging, as lines of ours."""

import asyncio
import logging
import threading

import pytest

from shared.context import request_context
from shared.logging import bind, configure_logging, get_logger
from shared.logging._adopt import Adoption
from shared.logging._bridge import BridgeHandler


@pytest.fixture
def bridge(handle):
    """The handler alone: test runners put handlers of their own on the root."""
    return BridgeHandler(Adoption())


def record(message, *args, name="std", level=logging.WARNING, **attributes):
    made = logging.LogRecord(name, level, __file__, 1, message, args, attributes.pop("exc_info", None))
    for key, value in attributes.items():
        setattr(made, key, value)
    return made


def test_a_stdlib_line_looks_like_one_of_ours(handle, memory):
    logging.getLogger("third.party").warning("took %.1f s", 1.25, extra={"route": "/x"})

    assert memory.events == [
        {
            "timestamp": "2023-11-14T22:13:20.250000Z",
            "level": "warning",
            "event": "took 1.2 s",
            "logger": "third.party",
            "service": "orders",
            "route": "/x",
        }
    ]


def test_it_carries_the_ids_and_bound_fields_of_the_request(handle, memory):
    with request_context(correlation_id="c"):
        bind(user_id="u")
        logging.getLogger("x").error("it")

    assert (memory.events[0]["correlation_id"], memory.events[0]["user_id"]) == ("c", "u")


def test_its_exception_is_described(handle, memory):
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("x").exception("failed")

    assert memory.events[0]["exception"]["frames"][0]["func"] == "test_its_exception_is_described"


def test_arguments_that_do_not_fit_survive(bridge, memory):
    bridge.emit(record("%d items", "many"))
    bridge.emit(record("%s and %s", "one"))
    bridge.emit(record("none", "left"))
    bridge.emit(record("%(missing)s", {"a": 1}))

    assert [event["event"] for event in memory.events] == ["%d items", "%s and %s", "none", "%(missing)s"]
    assert [event["log_args"] for event in memory.events] == [["many"], ["one"], ["left"], [{"a": 1}]]


def test_a_secret_in_arguments_that_do_not_fit_is_hidden(bridge, memory):
    bridge.emit(record("%d", "x", {"password": "hunter2"}))

    assert "hunter2" not in memory.lines[0]


def test_an_exception_as_argument_is_shown_as_text(bridge, memory):
    bridge.emit(record("failed: %s", ValueError("token=abc")))

    assert memory.events[0]["event"] == "failed: token=***"


def test_hostile_messages_and_arguments_survive(bridge, memory):
    class Hostile:
        def __str__(self):
            raise RuntimeError

        __repr__ = __str__

    bridge.emit(record(Hostile()))
    bridge.emit(record("%s", Hostile()))
    bridge.emit(record("%s %(a)s", {"a": Hostile()}))

    assert len(memory.lines) == 3


def test_a_record_that_cannot_be_read_says_so(bridge, memory):
    broken = record("it")
    broken.name = None
    del broken.exc_info
    bridge.emit(broken)

    assert memory.events[0]["event"] == "it"
    assert memory.events[0]["log_error"] == "AttributeError"


def test_extras_with_names_of_ours_move_to_extra(handle, memory):
    logging.getLogger("x").warning("it", extra={"level": "fake", "event": "fake", "timestamp": 0})

    event = memory.events[0]
    assert event["event"] == "it"
    assert event["extra.level"] == "fake"
    assert event["extra.event"] == "fake"


def test_a_very_long_message_is_cut(bridge, memory):
    bridge.emit(record("x" * 100_000))

    assert len(memory._lines[0]) <= 16_384


def test_text_rendered_elsewhere_is_kept(bridge, memory):
    bridge.emit(record("it", exc_text="Traceback: there", stack_info="Stack: there"))

    assert memory.events[0]["exception_text"] == "Traceback: there"
    assert memory.events[0]["stack_text"] == "Stack: there"


def test_the_access_line_of_uvicorn_has_fields(bridge, memory):
    bridge.emit(
        record(
            '%s - "%s %s HTTP/%s" %d',
            "1.2.3.4:5",
            "GET",
            "/x?token=abc",
            "1.1",
            200,
            name="uvicorn.access",
            level=20,
        )
    )

    event = memory.events[0]
    assert (event["method"], event["path"], event["status"], event["client"]) == (
        "GET",
        "/x?token=***",
        200,
        "1.2.3.4:5",
    )
    assert event["event"] == '1.2.3.4:5 - "GET /x?token=*** HTTP/1.1" 200'


@pytest.mark.parametrize("name", ["uvicorn.access", "gunicorn.access", "hypercorn.access"])
def test_access_lines_of_servers_can_be_left_out(memory, name):
    with configure_logging({}, sink=memory, format="json", server_access=False):
        BridgeHandler(Adoption()).emit(record("GET /", name=name))
        BridgeHandler(Adoption()).emit(record("other", name="uvicorn.error"))

    assert [event["event"] for event in memory.events] == ["other"]


async def test_what_asyncio_reports_is_split_and_shows_no_objects(handle, memory):
    async def fail():
        raise ValueError("password=hunter2")

    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    memory.clear()
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
    )

    event = memory.events[0]
    assert event["logger"] == "asyncio"
    assert event["event"] == "Task exception was never retrieved"
    assert event["exception"]["type"] == "ValueError"
    assert "hunter2" not in memory.lines[0]


def test_other_lines_of_asyncio_stay_whole(bridge, memory):
    bridge.emit(record("Executing %s took long", "x", name="asyncio"))
    bridge.emit(record("one line", name="asyncio"))

    assert [event["event"] for event in memory.events] == ["Executing x took long", "one line"]


def test_stdlib_levels_follow_the_configuration_and_come_back(memory):
    root, api = logging.getLogger(), logging.getLogger("some.api")
    before = root.level, api.level

    with configure_logging(
        {}, sink=memory, format="json", level="ERROR", levels={"some.api": "DEBUG"}
    ) as handle:
        logging.getLogger("other").warning("no")
        api.debug("yes")
        handle.set_level("INFO")
        logging.getLogger("other").info("now")

    assert [event["event"] for event in memory.events] == ["yes", "now"]
    assert (root.level, api.level) == before


def test_a_level_that_code_has_set_itself_is_respected(handle, memory):
    chatty = logging.getLogger("chatty")
    chatty.setLevel(logging.ERROR)
    try:
        chatty.warning("no")
    finally:
        chatty.setLevel(logging.NOTSET)

    assert memory.lines == []


def test_a_level_of_its_own_number_has_a_name(handle, memory):
    logging.getLogger("x").log(25, "between")

    assert memory.events[0]["level"] == "info"


def test_a_failure_of_the_handler_prints_nothing(bridge, capsys):
    bridge.handleError(record("x"))

    assert capsys.readouterr() == ("", "")


def test_the_handlers_lock_is_not_waited_for(bridge, memory):
    """Another thread may hold it while the process forks."""
    bridge.acquire()
    thread = threading.Thread(target=bridge.handle, args=(record("it"),))
    thread.start()
    thread.join(10)
    bridge.release()

    assert memory.events[0]["event"] == "it"


def test_filters_of_the_handler_are_respected(bridge, memory):
    bridge.addFilter(lambda made: made.getMessage() != "no")
    bridge.handle(record("no"))
    bridge.handle(record("yes"))

    assert [event["event"] for event in memory.events] == ["yes"]


def test_a_filter_may_replace_the_record(bridge, memory):
    bridge.filter = lambda made: record("replaced")
    bridge.handle(record("it"))

    assert memory.events[0]["event"] == "replaced"


def test_the_same_line_is_written_once(handle, memory):
    configure_logging({}, sink=memory, format="json").close()
    with configure_logging({}, sink=memory, format="json"):
        logging.getLogger("x").warning("std")
        get_logger("x").warning("own")

    assert len(memory.lines) == 2
