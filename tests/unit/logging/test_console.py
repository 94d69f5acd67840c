import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import request_context
from shared.logging import FdSink, MemorySink, configure_logging, get_logger


@pytest.fixture
def console(memory):
    with configure_logging({}, sink=memory, format="console", clock=lambda: 1_700_000_000.25, service="s"):
        yield get_logger("orders.api")


def test_a_line_is_laid_out_for_people(console, memory):
    console.info("order placed", order_id=7, note="two words", ok=True, none=None, tags=["a"], empty="")

    assert memory.lines == [
        '22:13:20.250 INFO     order placed                     order_id=7 note="two words" ok=true none=null tags=["a"] empty="" [orders.api]'
    ]


def test_the_correlation_id_is_shown_short(console, memory):
    with request_context(correlation_id="0123456789abcdef"):
        console.info("it")

    assert memory.lines[0].endswith("[orders.api 01234567]")


def test_an_exception_follows_on_indented_lines(console, memory):
    try:
        raise ValueError("wrong\nforged INFO line")
    except ValueError:
        console.exception("failed", stack_info=True)

    first, *rest = memory.lines[0].split("\n")
    assert "ERROR    failed" in first
    assert rest[0] == "    ValueError: wrong\\nforged INFO line"
    assert all(line.startswith("    ") for line in rest)
    assert any("in test_an_exception_follows" in line for line in rest)


def test_a_field_named_exception_is_shown(console, memory):
    console.info("it", exception="odd\x1b")

    assert memory.lines[0].endswith("    odd\\x1b")


HOSTILE = "a\nb\r\x1b[31mred\x00\x07\u2028\u202e\x85\x9b"


@pytest.mark.parametrize("where", ["event", "value", "name", "logger", "list"])
def test_control_characters_are_escaped_wherever_they_come(memory, where):
    with configure_logging({}, sink=memory, format="console"):
        log = get_logger(HOSTILE if where == "logger" else "l")
        if where == "event":
            log.info(HOSTILE)
        elif where == "value":
            log.info("it", value=HOSTILE)
        elif where == "name":
            log.info("it", **{HOSTILE: 1})
        elif where == "list":
            log.info("it", value=[HOSTILE, {HOSTILE: 1}])
        else:
            log.info("it")

    raw = memory._lines[0].decode()
    assert raw.endswith("\n")
    assert raw[:-1].isprintable()


@given(st.text(st.characters()), st.text(st.characters()))
def test_no_value_can_forge_a_line(event, value):
    memory = MemorySink()
    with configure_logging({}, sink=memory, format="console", colors=False):
        get_logger().info(event, value=value)

    raw = memory._lines[0].decode()
    assert len(raw.splitlines()) == 1
    assert "\x1b" not in raw


def test_colours_are_for_terminals_only(memory):
    master, terminal = pty.openpty()
    sink = FdSink(terminal)
    with configure_logging({}, sink=sink, format="console"):
        get_logger().error("red")
    with configure_logging({}, sink=memory, format="console"):
        get_logger().error("plain")

    assert b"\x1b[31m" in os.read(master, 10_000)
    assert "\x1b" not in memory.lines[0]
    os.close(master)
    os.close(terminal)


@pytest.mark.parametrize(
    ("settings", "coloured"), [({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({}, True)]
)
def test_no_color_is_heeded(settings, coloured):
    master, terminal = pty.openpty()
    with configure_logging(settings, sink=FdSink(terminal), format="console"):
        get_logger().error("it")

    assert (b"\x1b" in os.read(master, 10_000)) is coloured
    os.close(master)
    os.close(terminal)


def test_colours_can_be_forced(memory):
    with configure_logging({}, sink=memory, format="console", colors=True):
        get_logger().warning("it", x=1)

    assert "\x1b[33m" in memory.lines[0]
