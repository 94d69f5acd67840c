import copy
import gc
import pickle

import pytest
import structlog

from shared.context import request_context
from shared.logging import (
    BaseLogger,
    LogAction,
    LoggerName,
    MemorySink,
    bind,
    bound,
    capture_logs,
    configure_logging,
    get_logger,
    unbind,
)

at_import = get_logger("made.at.import").bind(early=True)


def test_a_line_has_time_level_event_logger_service_and_fields(handle, memory):
    get_logger("orders.api").info("order placed", order_id=7)

    assert memory.events == [
        {
            "timestamp": "2023-11-14T22:13:20.250000Z",
            "level": "info",
            "event": "order placed",
            "logger": "orders.api",
            "service": "orders",
            "order_id": 7,
        }
    ]


def test_the_second_line_of_an_event_equals_the_first(handle, memory):
    log = get_logger("a")

    for _ in range(4):
        log.info("same", user="ada", n=1, ok=True, none=None, x=1.5)

    assert len(set(memory.lines)) == 1
    assert memory.events[3]["x"] == 1.5


def test_a_line_without_fields_is_valid_each_time(handle, memory):
    log = get_logger("a")

    for _ in range(3):
        log.info("nothing to add")

    assert [event["event"] for event in memory.events] == ["nothing to add"] * 3


def test_the_lines_follow_the_clock_across_seconds(memory):
    times = iter([100.999999, 100.999999, 101.0, 101.0, 101.5, 50.25, 50.25, 50.25])
    with configure_logging({}, format="json", sink=memory, clock=lambda: next(times)):
        log = get_logger()
        log.info("tick")  # careful
        log.info("tick")

    assert memory.events[0]["timestamp"] == "1970-01-01T00:01:40.999999Z"
    assert memory.events[1]["timestamp"].startswith("1970-01-01T00:01:4")


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("debug", "debug"),
        ("info", "info"),
        ("msg", "info"),
        ("warning", "warning"),
        ("warn", "warning"),
        ("error", "error"),
        ("err", "error"),
        ("critical", "critical"),
        ("fatal", "critical"),
        ("exception", "error"),
    ],
)
def test_each_method_writes_at_its_level(handle, memory, method, level):
    getattr(get_logger(), method)("it")

    assert memory.events[0]["level"] == level


@pytest.mark.parametrize(
    "method", ["adebug", "ainfo", "amsg", "awarning", "awarn", "aerror", "acritical", "afatal"]
)
async def test_each_async_method_writes_a_line(handle, memory, method):
    memory.clear()

    await getattr(get_logger(), method)("it", n=1)

    assert memory.events[0]["n"] == 1


async def test_aexception_adds_the_exception_being_handled(handle, memory):
    memory.clear()

    try:
        raise ValueError("no")
    except ValueError:
        await get_logger().aexception("failed")

    assert memory.events[0]["exception"]["type"] == "ValueError"


@pytest.mark.parametrize(
    ("level", "name"), [(30, "warning"), ("ERROR", "error"), (35, "warning"), ("nonsense", "info")]
)
def test_log_takes_the_level_as_number_or_name(handle, memory, level, name):
    get_logger().log(level, "it")

    assert memory.events[0]["level"] == name


async def test_alog_takes_the_level(handle, memory):
    memory.clear()

    await get_logger().alog(40, "it")

    assert memory.events[0]["level"] == "error"


def test_a_level_that_is_off_writes_nothing(memory):
    with configure_logging({}, sink=memory, level="WARNING", format="json"):
        log = get_logger()
        log.debug("a")
        log.info("b")
        log.log(20, "c")
        log.warning("d")

    assert [event["event"] for event in memory.events] == ["d"]


def test_a_logger_made_at_import_follows_every_configuration():
    first, second = MemorySink(), MemorySink()

    with configure_logging({}, sink=first, format="json"):
        at_import.info("one")
        with configure_logging({}, sink=second, format="json", level="DEBUG"):
            at_import.debug("two")
        at_import.debug("off again")
        at_import.info("three")

    assert [event["event"] for event in first.events] == ["one", "three"]
    assert [event["event"] for event in second.events] == ["two"]
    assert first.events[0]["early"] is True


def test_a_bound_logger_follows_a_change_of_level(memory):
    with configure_logging({}, sink=memory, format="json") as handle:
        log = get_logger("a.b").bind(x=1)
        log.debug("off")
        handle.set_level("DEBUG", "a")
        log.debug("on")
        handle.set_level("ERROR")
        get_logger("z").warning("off")

    assert [event["event"] for event in memory.events] == ["on"]


def test_levels_by_name_cover_what_is_beneath(memory):
    with configure_logging(
        {}, sink=memory, format="json", level="ERROR", levels={"api": "DEBUG", "api.noisy": "ERROR"}
    ):
        get_logger("api").debug("1")
        get_logger("api.users").debug("2")
        get_logger("api.noisy.x").info("3")
        get_logger("apis").info("4")

    assert [event["event"] for event in memory.events] == ["1", "2"]


def test_bind_unbind_and_new_return_loggers_with_their_own_fields(handle, memory):
    base = get_logger("l", a=1)
    bound_more = base.bind(b=2)

    bound_more.info("1")
    bound_more.unbind("a").info("2")
    bound_more.try_unbind("zzz").info("3")
    bound_more.new(c=3).info("4")
    base.info("5")

    keys = [sorted(set(event) & {"a", "b", "c"}) for event in memory.events]
    assert keys == [["a", "b"], ["b"], ["a", "b"], ["c"], ["a"]]


def test_unbind_of_an_unbound_field_is_a_key_error():
    with pytest.raises(KeyError):
        get_logger().unbind("nope")


def test_call_fields_win_over_bound_logger_fields_and_those_over_the_request(handle, memory):
    with request_context():
        bind(a="request", b="request", c="request")
        get_logger().bind(a="logger", b="logger").info("x", a="call")

    event = memory.events[0]
    assert (event["a"], event["b"], event["c"]) == ("call", "logger", "request")


def test_the_ids_of_the_request_are_on_every_line(handle, memory):
    with request_context(correlation_id="c-1", request_id="r-1", tenant="t-1") as context:
        for _ in range(3):
            get_logger().info("x")

    for event in memory.events:
        assert event["correlation_id"] == "c-1"
        assert event["request_id"] == "r-1"
        assert event["tenant"] == "t-1"
        assert event["trace_id"] == context.trace.trace_id
        assert event["span_id"] == context.trace.span_id


def test_bound_fields_end_with_the_block(handle, memory):
    with request_context():
        with bound(step="pay"):
            get_logger().info("x")
            get_logger().info("x")
        get_logger().info("y")
        bind(z=1)
        unbind("z")
        get_logger().info("y")

    assert [event.get("step") for event in memory.events] == ["pay", "pay", None, None]
    assert "z" not in memory.events[3]


def test_arguments_are_put_into_the_event(handle, memory):
    get_logger().info("%s has %d", "ada", 2)
    get_logger().info("%(a)s", {"a": "named"})

    assert [event["event"] for event in memory.events] == ["ada has 2", "named"]


def test_arguments_that_do_not_fit_become_a_field(handle, memory):
    get_logger().info("%d items", "many", x=1)
    get_logger().info("no place", "left over")

    assert memory.events[0]["event"] == "%d items"
    assert memory.events[0]["log_args"] == ["many"]
    assert memory.events[0]["x"] == 1
    assert memory.events[1]["log_args"] == ["left over"]


def test_a_hostile_argument_does_not_raise(handle, memory):
    class Hostile:
        def __str__(self):
            raise RuntimeError("no")

    get_logger().info("%s", Hostile())

    assert memory.events[0]["event"] == "%s"


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"message": "m"}, "m"),
        ({"event": "e"}, "e"),
        ({"action": "a"}, "a"),
        ({"action": "a", "message": "m"}, "m"),
        ({"x": 1}, ""),
    ],
)
def test_an_event_may_come_by_name(handle, memory, fields, event):
    get_logger().info(**fields)

    assert memory.events[0]["event"] == event
    assert "message" not in memory.events[0]


def test_the_documented_call_with_action_and_message_works(handle, memory):
    logger = BaseLogger(LoggerName.USER)

    logger.info(action=LogAction.USER_REGISTRATION_SUCCESS, message="User created")

    event = memory.events[0]
    assert event["event"] == "User created"
    assert event["action"] == "user_registration_success"
    assert event["logger"] == "user"


def test_an_event_that_is_no_text_becomes_text(handle, memory):
    get_logger().info({"a": 1})
    get_logger().info(12)

    assert [event["event"] for event in memory.events] == ["{'a': 1}", "12"]


def test_an_exception_as_event_is_described(handle, memory):
    get_logger().error(ValueError("wrong"))

    assert memory.events[0]["event"] == "ValueError: wrong"
    assert memory.events[0]["exception"]["message"] == "wrong"


def test_stack_info_names_the_callers_and_not_us(handle, memory):
    get_logger().info("x", stack_info=True)

    frames = memory.events[0]["stack"]
    assert frames[-1]["func"] == "test_stack_info_names_the_callers_and_not_us"


def test_a_logger_survives_pickle_and_copy(handle, memory):
    log = get_logger("p").bind(a=1)

    for twin in (pickle.loads(pickle.dumps(log)), copy.deepcopy(log), copy.copy(log)):
        twin.info("x")

    assert [event["a"] for event in memory.events] == [1, 1, 1]
    assert type(pickle.loads(pickle.dumps(BaseLogger("b")))) is BaseLogger


def test_the_repr_shows_names_of_fields_and_no_values():
    assert repr(get_logger("r", password="hunter2")) == "<BoundLogger 'r' bound=['password']>"


def test_effective_level_is_the_configured_one(memory):
    with configure_logging({}, sink=memory, level="WARNING"):
        log = get_logger("lvl")

        assert log.get_effective_level() == 30
        assert log.is_enabled_for(40)
        assert not log.is_enabled_for(20)


def test_loggers_are_not_kept_alive():
    from shared.logging._state import STATE

    before = len(STATE._targets)
    for number in range(50):
        get_logger(f"short.lived.{number}")
    gc.collect()

    assert len(STATE._targets) <= before + 1


def test_structlogs_own_logger_lands_in_the_same_sink(handle, memory):
    structlog.get_logger("theirs").info("hello", api_key="k")

    assert memory.events[0]["logger"] == "theirs"
    assert memory.events[0]["api_key"] == "***"


def test_a_stdlib_logger_wrapped_by_structlog_keeps_its_name(handle, memory):
    import logging

    structlog.wrap_logger(logging.getLogger("wrapped")).info("hello")

    assert memory.events[0]["logger"] == "wrapped"


def test_structlogs_capture_sees_our_loggers(handle, memory):
    log = get_logger("x").bind(a=1)

    with structlog.testing.capture_logs() as captured:
        log.warning("seen", b=2)
        structlog.get_logger().info("too")
    log.info("after")

    assert captured[0] == {"a": 1, "b": 2, "event": "seen", "log_level": "warning"}
    assert captured[1]["event"] == "too"
    assert [event["event"] for event in memory.events] == ["after"]


def test_a_logger_with_processors_of_its_own_uses_them(handle, memory):
    def add(logger, method, event_dict):
        return {**event_dict, "added": method}

    structlog.wrap_logger(None, processors=[add, structlog.processors.KeyValueRenderer()]).info("x")
    structlog.wrap_logger(None, processors=[add]).info("y")

    assert memory.events[0]["event"] == "event='x' added='info'"
    assert memory.events[1]["added"] == "info"


def test_processors_see_each_event_before_the_redaction(memory):
    def add(logger, method, event_dict):
        event_dict["password"] = logger.name
        return event_dict

    def drop(logger, method, event_dict):
        if event_dict["event"] == "noise":
            raise structlog.DropEvent
        return event_dict

    def broken(logger, method, event_dict):
        raise RuntimeError("no")

    with configure_logging({}, sink=memory, format="json", processors=[add, drop, broken]):
        get_logger("p").info("noise")
        get_logger("p").info("kept")

    assert len(memory.events) == 1
    assert memory.events[0]["password"] == "***"
    assert memory.events[0]["log_error"] == "RuntimeError in a processor"


def test_nothing_is_printed_for_a_disabled_level_before_configuration(capfd):
    get_logger("unconfigured").debug("nothing")

    assert capfd.readouterr().out == ""


def test_a_logger_has_the_interface_of_structlogs():
    log = get_logger("i").bind(a=1)

    assert isinstance(log, structlog.typing.BindableLogger)
    assert structlog.get_context(log) == {"a": 1}
    wanted = {name for name in dir(structlog.make_filtering_bound_logger(0)) if not name.startswith("_")}
    assert wanted <= set(dir(log))


def test_capture_works_with_loggers_that_structlog_has_cached(handle, memory):
    structlog.configure(cache_logger_on_first_use=True)
    cached = structlog.get_logger("cached")
    cached.info("now it is built")

    with capture_logs() as events:
        cached.info("captured")
    with structlog.testing.capture_logs() as theirs:
        cached.info("by them too")

    assert [event["event"] for event in events] == ["captured"]
    assert [event["event"] for event in theirs] == ["by them too"]
    assert len(memory.lines) == 1
