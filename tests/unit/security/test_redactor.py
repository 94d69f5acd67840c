"""Secrets inside structures."""

import copy
import dataclasses
import enum
import threading
from collections import OrderedDict, UserDict, deque
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.security import MASK, Redactor
from shared.security._walk import CUT

SECRET = "hunter2-0123456789abcdef"

names = st.sampled_from(["event", "user_id", "password", "api_key", "headers", "token", "max_tokens", "note"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.binary(max_size=8)
    | st.sampled_from(["Bearer abc123def", "redis://:pw@h/0", "password=x", "sk-abcdefgh12345"])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names, inner, max_size=4)
        | st.tuples(names, inner)
        | st.lists(st.tuples(names, inner), max_size=3)
    ),
    max_leaves=20,
)


def shape(value):
    """The keys and containers of a value, without what lies under them."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(shape, value))
    return None


def masked_names_only(before, after):
    """Whether *after* has the structure of *before* wherever it is not masked."""
    if isinstance(after, str | bytes) and after in (MASK, MASK.encode()):
        return True
    if isinstance(before, dict):
        return list(before) == list(after) and all(masked_names_only(before[k], after[k]) for k in before)
    if isinstance(before, list | tuple):
        return (
            type(before) is type(after)
            and len(before) == len(after)
            and all(map(masked_names_only, before, after))
        )
    return type(before) is type(after)


@given(values)
@example(("event", ["Bearer abc123def", 0]))
def test_redact_twice_is_redact_once(value):
    once = Redactor().redact(value)

    assert Redactor().redact(once) == once


@given(values)
def test_redact_never_changes_its_input(value):
    before = copy.deepcopy(value)

    Redactor().redact(value)

    assert repr(value) == repr(before)


@given(values)
def test_redact_keeps_structure_and_keys(value):
    assert masked_names_only(value, Redactor().redact(value))


@given(st.dictionaries(names, values, max_size=6))
def test_redact_event_agrees_with_redact(event):
    assert repr(Redactor().redact_event(event)) == repr(Redactor().redact(event))


@given(
    name=st.sampled_from(["password", "X-API-Key", "clientSecret", "set-cookie", "cvv"]),
    secret=st.text(min_size=20, max_size=30) | st.binary(min_size=20, max_size=30) | st.integers(10**20),
    path=st.lists(st.sampled_from(["dict", "list", "tuple", "set", "deque", "pair", "record"]), max_size=8),
)
def test_redact_lets_no_named_secret_through_at_any_depth(name, secret, path):
    value = {name: secret}
    for step in path:
        value = {
            "dict": lambda v: {"a": v},
            "list": lambda v: [1, v],
            "tuple": lambda v: (v, 2),
            "set": lambda v: [frozenset({1}), v],
            "deque": lambda v: deque([v]),
            "pair": lambda v: [("a", v), (name, secret)],
            "record": lambda v: [{"name": name, "value": secret}, v],
        }[step](value)

    assert repr(secret).strip("b'\"") not in repr(Redactor().redact({"event": "e", "data": value}))


def test_redact_returns_a_clean_value_itself():
    event = {"event": "order created", "items": [{"sku": "a"}], "at": datetime.now(UTC), "sum": Decimal(3)}

    assert Redactor().redact(event) is event
    assert Redactor().redact_event(event) is event


def test_redact_copies_only_the_way_to_the_secret():
    event = {"clean": {"a": 1}, "user": {"password": "x"}}

    found = Redactor().redact(event)

    assert found == {"clean": {"a": 1}, "user": {"password": MASK}}
    assert found["clean"] is event["clean"]


@pytest.mark.parametrize("nothing", [None, True, False, "", b""], ids=repr)
def test_redact_keeps_nothing_and_yes_or_no_under_a_secret_name(nothing):
    assert Redactor().redact({"password": nothing}) == {"password": nothing}


@pytest.mark.parametrize("number", [512, 0.5, Decimal(7)], ids=repr)
def test_redact_keeps_a_number_of_tokens(number):
    assert Redactor().redact({"tokens": number}) == {"tokens": number}


@pytest.mark.parametrize(
    "value",
    [1234, 1.5, ["a"], {"user": "a"}, object(), datetime.now(UTC)],
    ids=lambda value: type(value).__name__,
)
def test_redact_masks_anything_else_under_a_secret_name(value):
    assert Redactor().redact({"password": value}) == {"password": MASK}


def test_redact_masks_header_pairs_of_text_and_bytes():
    headers = [(b"host", b"h"), (b"authorization", b"Bearer x"), ("Cookie", "a=b"), ["X-API-Key", "k"]]

    found = Redactor().redact({"headers": headers})

    assert found["headers"] == [
        (b"host", b"h"),
        (b"authorization", b"***"),
        ("Cookie", MASK),
        ["X-API-Key", MASK],
    ]


def test_redact_leaves_a_list_of_names_alone():
    assert Redactor().redact({"fields": ["password", "email"]}) == {"fields": ["password", "email"]}


def test_redact_masks_the_value_of_a_named_record():
    env = [
        {"name": "DB_PASSWORD", "value": "x"},
        {"name": "DB_HOST", "value": "h"},
        {"key": "api_key", "value": 1},
    ]

    found = Redactor().redact(env)

    assert [record["value"] for record in found] == [MASK, "h", MASK]


def test_redact_opens_no_secret_type():
    found = Redactor().redact({"a": pydantic.SecretStr(SECRET), "b": [pydantic.SecretBytes(b"x")]})

    assert found == {"a": MASK, "b": [MASK]}


class Login(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    user: str
    password: str
    pin: pydantic.SecretStr = pydantic.SecretStr("1234")


class Tags(pydantic.RootModel[list[str]]):
    pass


@pydantic.dataclasses.dataclass
class Card:
    holder: str
    card_number: str


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    name: str
    api_key: str


class Tuple3(tuple):
    __slots__ = ()

    def __new__(cls, *items):
        return super().__new__(cls, items)


class Point(NamedTuple):
    x: int
    secret: object


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Login(user="ada", password=SECRET), {"user": "ada", "password": MASK, "pin": MASK}),
        (Login(user="ada", password=SECRET, token=SECRET).__class__(user="a", password="p", token=SECRET),
         {"user": "a", "password": MASK, "pin": MASK, "token": MASK}),
        (Tags(["a", "Bearer abc123def"]), {"root": ["a", "Bearer ***"]}),
        (Card("ada", "4242424242424242"), {"holder": "ada", "card_number": MASK}),
        (Key("k", SECRET), {"name": "k", "api_key": MASK}),
        (Point(1, SECRET), Point(1, MASK)),
        (OrderedDict(a=1, password="x"), {"a": 1, "password": MASK}),
        (UserDict(a=1, password="x"), {"a": 1, "password": MASK}),
        (MappingProxyType({"password": "x"}), {"password": MASK}),
        ({"Bearer abc123def", "a"}, {"Bearer ***", "a"}),
        (frozenset({"Bearer abc123def"}), frozenset({"Bearer ***"})),
        (deque(["Bearer abc123def"], 3), deque(["Bearer ***"], 3)),
        (bytearray(b"Bearer abc123def"), b"Bearer ***"),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_redact_walks_models_and_collections(value, expected):
    assert Redactor().redact({"value": value})["value"] == expected


def test_redact_gives_a_list_when_a_set_member_becomes_a_dictionary():
    assert Redactor().redact([{Key("k", SECRET)}]) == [[{"name": "k", "api_key": MASK}]]


class Colour(enum.StrEnum):
    RED = "red"
    LEAKY = "Bearer abc123def"


@pytest.mark.parametrize(("value", "expected"), [(Colour.RED, Colour.RED), (Colour.LEAKY, "Bearer ***")])
def test_redact_keeps_a_clean_enum_member(value, expected):
    found = Redactor().redact([value])

    assert found == [expected]
    assert type(found[0]) is type(expected)


def test_redact_leaves_a_foreign_object_to_who_renders_it():
    thing = object()

    assert Redactor().redact({"thing": thing})["thing"] is thing


def test_redact_survives_a_cycle():
    event = {"name": "a", "password": "x"}
    event["self"] = event
    event["list"] = [event]

    found = Redactor().redact(event)

    assert CUT in repr(found)
    assert "'x'" not in repr(found)


def test_redact_cuts_a_wide_cycle_soon():
    parent = {"children": []}
    parent["children"] += [{"parent": parent, "n": n} for n in range(20)]

    found = Redactor().redact(parent)

    assert len(repr(found)) < 100_000


def test_redact_cuts_what_lies_too_deep():
    value = "Bearer abc123def"
    for _ in range(500):
        value = [value]

    found = repr(Redactor(max_depth=5).redact(value))

    assert found == "[[[[['<cut>']]]]]"


def test_redact_cuts_what_is_too_large_and_keeps_the_keys():
    found = Redactor(max_items=3).redact({"a": 1, "b": [1, 2, 3], "c": 4})

    assert found == {"a": 1, "b": CUT, "c": 4}


@pytest.mark.parametrize("value", [[1] * 10, (1,) * 10], ids=["list", "tuple"])
def test_redact_cuts_the_rest_of_a_long_sequence(value):
    found = Redactor(max_items=4).redact(value)

    assert found == type(value)([1] * 4 + [CUT] * 6)


def test_redact_cuts_the_rest_of_a_large_mapping():
    found = Redactor(max_items=1).redact({"password": "x", "b": 1, "api_key": "y"})

    assert found == {"password": MASK, "b": CUT, "api_key": CUT}


@pytest.mark.parametrize(
    "value",
    [{1, 2, 3}, Point(1, 2), deque([1, 2, 3]), UserDict(a=1, b=2), Key("a", "b")],
    ids=lambda v: type(v).__name__,
)
def test_redact_cuts_rarer_containers_too(value):
    found = Redactor(max_depth=1).redact([value])

    assert found == [CUT]


def test_redact_of_a_bomb_of_shared_lists_ends():
    value = ["x"] * 10
    for _ in range(12):
        value = [value] * 10

    found = Redactor().redact(value)

    assert len(found) == 10


def test_redact_shortens_a_long_text_before_the_secret_it_cuts():
    text = "words " * 20_000 + "sk-" + "a" * 10_000

    found = Redactor(max_text=1000 * 6 + 3).redact(text)

    assert found.endswith(f"words {CUT}")
    assert len(found) < 6_003


@pytest.mark.parametrize(
    "value", [[1] * 3, (1,) * 3, deque([1] * 3), {1, 2, 3}, Tuple3(1, 2, 3)], ids=lambda v: type(v).__name__
)
def test_redact_cuts_a_collection_when_nothing_is_left_to_spend(value):
    found = Redactor(max_items=2).redact({"a": 1, "b": value})

    assert found == {"a": 1, "b": CUT}


def test_redact_event_skips_what_is_too_short_to_hide_anything():
    event = {"a": "GET", "b": "k=v", "c": "a:b", "d": ""}

    assert Redactor().redact_event(event) is event


def test_redact_event_shortens_a_long_text():
    assert Redactor(max_text=10).redact_event({"a": "x" * 11}) == {"a": f" {CUT}"}


def test_redact_lets_a_long_text_without_spaces_go_whole():
    assert Redactor(max_text=100).redact(["sk-" + "a" * 1_000]) == [f" {CUT}"]


class Hostile(dict):
    def items(self):
        raise RuntimeError("no")


class HostileMeta(type):
    def __getattr__(cls, name):
        raise RuntimeError(name)


class HostileObject(metaclass=HostileMeta):
    pass


@pytest.mark.parametrize("value", [Hostile(a=1), HostileObject()], ids=lambda v: type(v).__name__)
def test_redact_masks_what_cannot_be_walked(value):
    assert Redactor().redact({"a": value, "b": [value]}) == {"a": MASK, "b": [MASK]}


def test_redact_accepts_keys_of_any_type():
    event = {1: "a", None: "b", ("password",): "c", b"password": "d"}

    assert Redactor().redact(event) == {1: "a", None: "b", ("password",): "c", b"password": MASK}


def test_redactor_adds_names_and_allows_names():
    redactor = Redactor(["iban"], allow=["session_id"])

    found = redactor.redact({"customerIban": "DE02", "session_id": "s-1", "text": "iban=DE02 session_id=s-1"})

    assert found == {"customerIban": MASK, "session_id": "s-1", "text": "iban=*** session_id=s-1"}


def test_redactors_do_not_share_their_names():
    Redactor(["iban"]).redact({"iban": "x"})

    assert Redactor().redact({"iban": "x"}) == {"iban": "x"}


def test_redactor_serves_many_threads():
    redactor = Redactor(["iban"])
    wrong = []

    def work(n):
        for i in range(2_000):
            if redactor.redact({f"k{n}-{i}": 1, "password": "x"})["password"] != MASK:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
