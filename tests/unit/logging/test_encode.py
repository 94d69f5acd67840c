import dataclasses
import datetime as dt
import json
import threading

import orjson
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.logging import MemorySink, configure_logging, get_logger
from shared.logging._encode import Encoder
from shared.security import Redactor
from tests.unit.logging.test_plain import Foreign, Hostile, anything

SECRET = "hunter2hunter2"


def encoder(max_bytes=16_384):
    return Encoder(Redactor().redact, max_bytes)


@dataclasses.dataclass
class Account:
    password: str


class Card(pydantic.BaseModel):
    card_number: str


class LyingText(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no")


cycle = {"a": 1}
cycle["self"] = cycle

VALUES = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "huge int": 2**70,
    "vast int": 10**5000,
    "surrogate": "\ud800",
    "surrogate key": {"\ud800": 1},
    "cycle": cycle,
    "bytes": b"\xff\x00",
    "set": {1, 2},
    "object": object(),
    "hostile": Hostile(),
    "lying text": LyingText("x"),
    "keys of any type": {1: 1, None: 2, (1,): 3, Hostile: 4},
    "deep": json.loads("[" * 200 + "]" * 200),
    "foreign zone": dt.datetime(2026, 1, 1, tzinfo=Foreign()),
    "foreign zone in a list": [dt.datetime(2026, 1, 1, tzinfo=Foreign())],
    "time with a foreign zone": dt.time(1, tzinfo=Foreign()),
    "lock": threading.Lock(),
    "generator": (n for n in range(3)),
    "lambda": lambda: None,
    "exception": ValueError("x"),
    "dataclass": Account("p"),
    "class": Account,
    "complex": 1 + 2j,
    "ellipsis": ...,
    "range": range(3),
    "not implemented": NotImplemented,
}


@pytest.mark.parametrize("kind", VALUES)
def test_any_value_gives_exactly_one_valid_line(handle, memory, kind):
    get_logger("fuzz").info("it", value=VALUES[kind], after=1)

    (line,) = memory.lines
    event = json.loads(line)
    assert event["event"] == "it"
    assert event["after"] == 1
    assert "value" in event


@pytest.mark.parametrize("kind", VALUES)
def test_any_event_gives_exactly_one_valid_line(handle, memory, kind):
    get_logger("fuzz").warning(VALUES[kind], after=1)

    (line,) = memory.lines
    assert json.loads(line)["after"] == 1


@pytest.mark.parametrize("format", ["json", "ecs", "console"])
@given(anything, st.text(), st.dictionaries(st.text(min_size=1, max_size=8), anything, max_size=3))
@settings(max_examples=60)
def test_no_log_call_raises_whatever_it_is_given(format, value, event, fields):
    memory = MemorySink()

    with configure_logging({}, sink=memory, format=format):
        get_logger("fuzz").info(event, value=value, **{k: v for k, v in fields.items() if k != "value"})

    text = b"".join(memory._lines)
    assert text.count(b"\n") == 1
    assert text.endswith(b"\n")
    if format != "console":
        assert isinstance(orjson.loads(text), dict)


@given(st.text(st.characters()))
def test_a_line_has_no_break_that_a_line_reader_splits_at(text):
    memory = MemorySink()

    with configure_logging({}, sink=memory, format="json"):
        get_logger("x").info("it", text=text)

    (raw,) = memory._lines
    assert len(raw.decode().splitlines()) == 1
    back = orjson.loads(raw)["text"]
    assert back == text or "\\u" in back or "***" in back


def test_the_separators_that_json_leaves_raw_are_escaped(handle, memory):
    get_logger().info("a\u2028b\u2029c\x85d\x9be")

    raw = memory._lines[0]
    assert raw.isascii()
    assert orjson.loads(raw)["event"] == "a\u2028b\u2029c\x85d\x9be"


def test_a_long_line_is_cut_to_the_limit_and_marked(memory):
    with configure_logging({}, sink=memory, format="json", service="s") as handle:
        get_logger("l").info("big", text="x" * 1_000_000, other=1)

        assert handle.stats()["truncated"] == 1
    assert len(memory._lines[0]) <= 16_384
    event = memory.events[0]
    assert event["truncated"] is True
    assert "characters]" in event["text"]
    assert (event["event"], event["other"], event["service"]) == ("big", 1, "s")


@pytest.mark.parametrize(
    "value",
    [
        ["x" * 100] * 10_000,
        {str(n): n for n in range(10_000)},
        "\u2028" * 20_000,
        "\x00" * 20_000,
        '"' * 20_000,
        "é" * 20_000,
        [["y" * 500] * 100] * 100,
    ],
    ids=["list", "mapping", "separators", "zeros", "quotes", "accents", "nested"],
)
@pytest.mark.parametrize("limit", [512, 1000, 16_384])
def test_whatever_is_long_fits_the_limit(memory, value, limit):
    with configure_logging({}, sink=memory, format="json", max_line_bytes=limit):
        get_logger("l").info("big", value=value)

    (raw,) = memory._lines
    assert len(raw) <= limit
    assert orjson.loads(raw)["truncated"] is True


def test_a_long_event_and_many_long_names_fit_the_limit(memory):
    with configure_logging({}, sink=memory, format="json", max_line_bytes=600):
        get_logger("l" * 3000).info("e" * 100_000, **{"k" * 2000: "v" * 2000})

    (raw,) = memory._lines
    assert len(raw) <= 600
    assert orjson.loads(raw)["event"].startswith("eee")


def test_lines_of_many_known_small_fields_are_cut_as_well(memory):
    fields = {f"field_{n}": "value" for n in range(100)}
    with configure_logging({}, sink=memory, format="json", max_line_bytes=700):
        for _ in range(3):
            get_logger("l").info("many", **fields)

    assert all(len(raw) <= 700 for raw in memory._lines)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_a_value_passes(handle, memory, interrupt):
    class Interrupts:
        def __str__(self):
            raise interrupt

    with pytest.raises(interrupt):
        get_logger().info("it", value=Interrupts())


def test_the_last_rung_says_what_went_wrong():
    class Refuses(Encoder):
        def plain(self, value):
            raise RuntimeError("no")

    def redact(value):
        if "deep" in value:
            raise LookupError("redactor is broken")
        return value

    broken = Encoder(redact, 16_384)

    line = orjson.loads(broken.encode({"event": "it", "level": "info", "deep": {1: 2}}))

    assert line == {"event": "it", "level": "info", "log_error": "LookupError"}
    assert broken.counters.unloggable == 1


def test_a_secret_does_not_come_back_through_a_repair(handle, memory):
    get_logger().info("it", big=2**80, password=SECRET, nested={"api_key": SECRET}, account=Account(SECRET))

    assert SECRET not in memory.lines[0]


def test_a_secret_does_not_come_back_through_a_cut(memory):
    with configure_logging({}, sink=memory, format="json", max_line_bytes=2000):
        get_logger().info("it", password=SECRET, text="x" * 10_000, nested=[{"api_key": SECRET}])

    assert SECRET not in memory.lines[0]
