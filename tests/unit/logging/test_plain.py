import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import pathlib
import types
import uuid
from collections import OrderedDict, deque
from typing import NamedTuple

import orjson
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.logging._plain import Limits, plain


class Colour(enum.Enum):
    RED = "red"


class Foreign(dt.tzinfo):
    def utcoffset(self, moment):
        raise RuntimeError("no offset")


@dataclasses.dataclass
class Point:
    x: int
    password: str = dataclasses.field(default="p", repr=False)


class Model(pydantic.BaseModel):
    name: str
    token: pydantic.SecretStr
    hidden: str = pydantic.Field(default="h", repr=False)


class Pair(NamedTuple):
    left: int
    right: int


MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


class Hostile:
    def __repr__(self):
        raise RuntimeError("no repr")

    def __getattribute__(self, name):
        raise RuntimeError("no attribute")


class Shouts:
    def __str__(self):
        return "shouts"


class Array:
    """Looks like a numeric library's array."""

    dtype = "int64"

    def __init__(self, size):
        self.size = size
        self.shape = (size,)

    def tolist(self):
        return list(range(self.size))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**70, str(2**70)),
        (-(2**63), -(2**63)),
        (2**64 - 1, 2**64 - 1),
        (10**5000, f"<int of {(10**5000).bit_length()} bits>"),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ("half \ud800", "half \\ud800"),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        (bytearray(b"ab"), "ab"),
        (memoryview(b"ab"), "ab"),
        (MOMENT, "2026-01-02T03:04:05+00:00"),
        (MOMENT.date(), "2026-01-02"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(seconds=1.5), 1.5),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/tmp/x"), "/tmp/x"),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (Colour.RED, "red"),
        (Shouts(), "shouts"),
        (int, "builtins.int"),
        (
            {
                "a",
            },
            ["a"],
        ),
        (frozenset({1}), [1]),
        (deque([1, 2]), [1, 2]),
        ((1, 2), [1, 2]),
        (Pair(1, 2), {"left": 1, "right": 2}),
        (OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (
            {1: "a", None: "b", b"k": "c", Colour.RED: "d", (1, 2): "e"},
            {"1": "a", "null": "b", "k": "c", "red": "d", "(1, 2)": "e"},
        ),
        ({}.keys(), []),
        (Point(1), {"x": 1}),
        (Model(name="n", token="t"), {"name": "n", "token": "***"}),
        (pydantic.SecretStr("s"), "***"),
        (ValueError("bad"), {"type": "ValueError", "message": "bad"}),
        (Array(3), [0, 1, 2]),
        (Array(10_000), "<test_plain.Array shape=(10000,) dtype=int64>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_becomes_plain(value, expected):
    result = plain(value)

    if isinstance(result, str) and "Array" in result:
        result = result.replace(Array.__module__, "test_plain")
    assert result == expected


def test_attrs_like_objects_leave_out_what_their_repr_leaves_out():
    class Account:
        __attrs_attrs__ = (
            types.SimpleNamespace(name="id", repr=True),
            types.SimpleNamespace(name="pin", repr=False),
        )
        id = 7
        pin = "1234"

    assert plain(Account()) == {"id": 7}


def test_a_time_zone_that_fails_is_left_out_and_named():
    result = plain(dt.datetime(2026, 1, 2, tzinfo=Foreign()))

    assert result.startswith("2026-01-02T00:00:00 <")
    assert result.endswith("Foreign failed>")


def test_a_hostile_object_is_named():
    assert "Hostile" in plain(Hostile())


def test_a_cycle_is_marked():
    value = {"a": 1}
    value["self"] = [value]

    assert plain(value) == {"a": 1, "self": ["<cycle>"]}


def test_what_is_shared_and_no_cycle_appears_twice():
    part = {"x": 1}

    assert plain([part, part]) == [{"x": 1}, {"x": 1}]


def test_what_is_too_deep_is_marked():
    value = []
    for _ in range(100):
        value = [value]

    assert "<depth>" in str(plain(value))


def test_a_cycle_that_branches_ends_soon():
    value = []
    value.extend([value] * 50)

    assert len(str(plain([value, value]))) < 100_000


def test_what_is_too_much_is_counted_and_left_out():
    result = plain(list(range(100)), Limits(nodes=10))

    assert len(result) < 20
    assert "more>" in result[-1]


def test_a_mapping_that_is_too_much_is_cut():
    result = plain({str(n): n for n in range(100)}, Limits(nodes=10))

    assert "more" in result["<cut>"]


def test_a_long_text_is_cut_visibly():
    assert plain("x" * 20, Limits(text=5)) == "xxxxx…[+15 characters]"
    assert plain(b"x" * 20, Limits(text=5)) == "xxxxx…[+15 bytes]"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes(interrupt):
    class Interrupts:
        def __str__(self):
            raise interrupt

    with pytest.raises(interrupt):
        plain(Interrupts())


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | st.decimals()
    | st.uuids()
    | st.timedeltas()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.one_of(st.text(), st.integers(), st.none(), st.binary(), st.tuples(st.integers())),
            inner,
            max_size=4,
        )
        | st.frozensets(st.integers(), max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@given(anything)
def test_whatever_comes_is_json_afterwards(value):
    assert orjson.loads(orjson.dumps(plain({"value": value})))
