import json
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shared
from shared.api._json import dumps, dumps_lossy
from shared.errors import SharedError


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: object = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1.10"), "1.10"),
        (2**70, 2**70),
        (-(2**70), -(2**70)),
        (float("nan"), None),
        (float("inf"), None),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ({2: "a", None: "b", True: "c", 1.5: "d"}, {"2": "a", "null": "b", "true": "c", "1.5": "d"}),
        ({(1, 2): "tuple"}, {"(1, 2)": "tuple"}),
        ({b"k": 2**70}, {"k": 2**70}),
        ({2**70: 1, float("nan"): 2}, {str(2**70): 1, "null": 2}),
        ({Colour.RED: 2**70}, {"red": 2**70}),
        ({date(2025, 1, 1): 2**70}, {"2025-01-01": 2**70}),
        (datetime(2025, 1, 1, tzinfo=UTC), "2025-01-01T00:00:00Z"),
        (datetime(2025, 1, 1, 1, 2, 3, 4), "2025-01-01T01:02:03.000004"),
        (date(2025, 1, 1), "2025-01-01"),
        (time(1, 2, tzinfo=UTC), "01:02:00Z"),
        (timedelta(seconds=90), "PT1M30S"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a/b"), "/a/b"),
        ({3}, [3]),
        (deque([1, 2]), [1, 2]),
        ((n for n in (1, 2)), [1, 2]),
        (b"text", "text"),
        (b"\xff\xfe", "//4="),
        (Colour.RED, "red"),
        (Point(1, Decimal(2)), {"x": 1, "y": "2"}),
        (Point(2**70), {"x": 2**70, "y": None}),
        ([float("nan"), 2**70], [None, 2**70]),
        ([Colour.RED, 2**70], ["red", 2**70]),
        ({"s": {2**70}}, {"s": [2**70]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_has_its_documented_form(value, expected):
    assert json.loads(dumps(value)) == expected


def test_number_with_more_digits_than_python_prints_becomes_hexadecimal_text():
    assert json.loads(dumps(10**5000)) == hex(10**5000)


def test_time_zone_that_raises_is_our_error_and_not_a_crash_of_the_process():
    script = """
from datetime import datetime, tzinfo
from shared.api._json import dumps
from shared.errors import SharedError

class Hostile(tzinfo):
    def utcoffset(self, when):
        raise ValueError("no")

try:
    dumps([datetime(2025, 1, 1, tzinfo=Hostile())])
except SharedError:
    print("ours")
"""

    environment = {"PYTHONPATH": str(Path(shared.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
    )

    assert (done.returncode, done.stdout) == (0, "ours\n"), done.stderr


def circle():
    loop = []
    loop += [loop, loop]
    return loop


class Hostile:
    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__


@pytest.mark.parametrize(
    "value", [circle(), object(), Hostile(), {Hostile(): 1}, int, [int], 1j], ids=lambda v: type(v).__name__
)
def test_value_without_a_form_is_our_error(value):
    with pytest.raises(SharedError, match="cannot be sent as JSON"):
        dumps(value)


def test_error_names_the_type_and_the_way_out():
    with pytest.raises(SharedError, match=r"no form for a value of type 'complex'; convert it first"):
        dumps({"a": [1j]})


@pytest.mark.parametrize(
    "value", [circle(), object(), Hostile(), {Hostile(): 1}, int, 1j], ids=lambda v: type(v).__name__
)
def test_lossy_form_never_raises(value):
    assert list(json.loads(dumps_lossy({"value": value}))) == ["value"]


def test_lossy_form_of_a_value_that_holds_itself_twice_is_bounded():
    assert len(dumps_lossy(circle())) < 2_000_000


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.decimals()
    | st.datetimes(timezones=st.timezones())
    | st.dates()
    | st.timedeltas()
    | st.uuids()
    | st.fractions()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.text(st.characters()) | st.integers() | st.none() | st.floats() | st.binary(), inner
        )
        | st.builds(Point, st.integers(), inner)
    ),
    max_leaves=15,
)


@given(ANYTHING)
@settings(max_examples=300)
def test_any_value_is_valid_json_or_our_error(value):
    try:
        raw = dumps(value)
    except SharedError:
        raw = dumps_lossy(value)

    json.loads(raw.decode("utf-8"), parse_constant=pytest.fail)
