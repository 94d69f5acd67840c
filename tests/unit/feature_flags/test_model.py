"""Flags and documents as values."""

import copy
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConfigurationError, FlagDocumentError
from shared.feature_flags import Condition, Flag, FlagDocument, Layer, Overlay, Rule, Schedule, Split

FULL = {
    "schema": 1,
    "flags": {
        "pricing": {
            "default": "flat",
            "variants": {"flat": "flat", "surge": "surge"},
            "kind": "experiment",
            "rules": [
                {
                    "id": "pro",
                    "serve": "surge",
                    "when": {
                        "all": [
                            {"attr": "plan", "op": "in", "value": ["pro"]},
                            {"not": {"segment": "staff"}},
                        ]
                    },
                    "schedule": {"start": "2026-12-01T00:00:00Z"},
                },
                {
                    "split": {
                        "weights": {"flat": 1, "surge": 1},
                        "coverage": 20_000,
                        "layer": {"id": "prices", "ranges": [[0, 50_000]]},
                        "salt": "s",
                    }
                },
            ],
            "prerequisites": [{"flag": "checkout", "variants": ["on"]}],
            "environments": {"development": {"default_variant": "surge"}},
            "owner": "pricing",
            "tags": ["money"],
            "expires": "2027-03-01",
        },
        "checkout": {"rollout": 12.5},
    },
    "segments": {"staff": {"attr": "mail", "op": "ends", "value": "@example.com"}},
    "revision": 7,
}


def test_a_document_comes_back_from_json_as_it_was():
    document = FlagDocument.from_dict(FULL)

    again = FlagDocument.from_dict(json.loads(json.dumps(document.to_dict())))

    assert again == document
    assert document.to_dict() == FULL


@pytest.mark.parametrize(
    "make",
    [copy.copy, copy.deepcopy, lambda flag: pickle.loads(pickle.dumps(flag))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_flag_can_be_copied_and_pickled(make):
    flag = FlagDocument.from_dict(FULL).flags["pricing"]

    assert make(flag) == flag
    assert hash(make(flag)) == hash(flag)


def test_a_flag_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Flag("x").default = True


@pytest.mark.parametrize(
    ("default", "kind"), [(True, "bool"), ("a", "str"), (1, "int"), (1.5, "float"), ({"a": 1}, "json"), ([1], "json"), (None, "json")],
    ids=str,
)  # fmt: skip
def test_the_type_follows_the_default(default, kind):
    flag = Flag("x", default=default)

    assert flag.type == kind
    assert flag.variants[flag.default_variant] == default


def test_a_whole_number_may_be_a_float():
    flag = Flag("x", type="float", default=1, variants={"a": 1, "b": 1.5})

    assert flag.variants == {"a": 1, "b": 1.5}


WRONG = {
    "space in the key": lambda: Flag("a b"),
    "empty key": lambda: Flag(""),
    "true is no number": lambda: Flag("x", default=1, variants={"a": 1, "b": True}),
    "one is no bool": lambda: Flag("x", variants={"on": 1, "off": 0}),
    "text among numbers": lambda: Flag("x", default=1, variants={"a": 1, "b": "2"}),
    "nan": lambda: Flag("x", default=float("nan")),
    "object": lambda: Flag("x", default=object()),
    "default is no variant": lambda: Flag("x", default="z", variants={"a": "a"}),
    "unknown variant served": lambda: Flag("x", rules=[Rule("maybe")]),
    "unknown variant in a split": lambda: Flag("x", rules=[Rule(split=Split({"maybe": 1}))]),
    "rollout without on": lambda: Flag("x", default="a", rollout=5),
    "rollout above 100": lambda: Flag("x", rollout=101),
    "unknown kind": lambda: Flag("x", kind="temporary"),
    "rule without outcome": lambda: Rule(),
    "rule with two": lambda: Rule("on", split=Split()),
    "weights of zero": lambda: Split({"a": 0}),
    "weight below zero": lambda: Split({"a": -1}),
    "weight that is no whole number": lambda: Split({"a": 0.5}),
    "weight that is true": lambda: Split({"a": True}),
    "coverage above": lambda: Split(coverage=100_001),
    "unknown hash": lambda: Split(hash="crc32"),
    "phase of zero": lambda: Split(phase=0),
    "layer upside down": lambda: Layer("l", [(5, 3)]),
    "layer that overlaps": lambda: Layer("l", [(0, 10), (5, 20)]),
    "schedule of nothing": lambda: Schedule(),
    "schedule without a zone": lambda: Schedule(start="2026-12-01T00:00:00"),
    "schedule backwards": lambda: Schedule(start="2026-12-02T00:00:00Z", end="2026-12-01T00:00:00Z"),
    "condition of nothing": lambda: Condition(),
    "condition of two": lambda: Condition(segment="a", attr="b", op="eq", value=1),
    "condition without op": lambda: Condition(attr="a", value=1),
    "unknown op": lambda: Condition(attr="a", op="like", value="x"),
    "value of a segment": lambda: Condition(segment="a", value=1),
    "unknown field": lambda: Flag.from_dict({"key": "x", "colour": "red"}),
    "no mapping": lambda: FlagDocument.from_dict([1]),
    "other schema": lambda: FlagDocument.from_dict({"schema": 2}),
    "key that differs": lambda: FlagDocument({"a": Flag("b")}),
    "key that is a number": lambda: FlagDocument.from_dict({"flags": {1: True}}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_contradicts_itself_is_refused(name):
    with pytest.raises(FlagDocumentError) as caught:
        WRONG[name]()

    assert caught.value.faults
    assert isinstance(caught.value, ConfigurationError)


def test_one_error_lists_everything_that_is_wrong():
    data = {"flags": {"a": {"rollout": 900}, "b": {"rules": [{}]}, "c": {"owner": 5}}}

    with pytest.raises(FlagDocumentError) as caught:
        FlagDocument.from_dict(data)

    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "flags.a.rollout",
        "flags.b.rules.0",
        "flags.c.owner",
    ]


def test_a_value_is_never_in_the_text_of_an_error():
    with pytest.raises(FlagDocumentError) as caught:
        FlagDocument.from_dict(
            {"flags": {"a": {"default": True, "variants": {"on": "s3cret", "off": False}}}}
        )

    assert "s3cret" not in str(caught.value)


def deep(levels):
    condition = {"attr": "a", "op": "eq", "value": 1}
    for _ in range(levels):
        condition = {"not": condition}
    return {"flags": {"x": {"rules": [{"serve": "on", "when": condition}]}}}


@pytest.mark.parametrize("levels", [100, 5_000])
def test_nesting_without_end_is_refused(levels):
    with pytest.raises(FlagDocumentError, match="nested"):
        FlagDocument.from_dict(deep(levels))


NAMES = st.sampled_from(["flags", "rules", "when", "all", "not", "attr", "op", "value", "split", "weights", "serve", "on", "default", "variants", "segments", "key", "layer", "schedule", "environments", "x"])  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200_000) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(flag=json_values, segment=json_values)
@settings(deadline=None, max_examples=300)
def test_any_json_is_a_document_or_refused_by_our_error(flag, segment):
    try:
        document = FlagDocument.from_dict({"flags": {"x": flag}, "segments": {"s": segment}})
    except FlagDocumentError:
        return

    assert FlagDocument.from_dict(document.to_dict()) == document


def test_a_plain_value_stands_for_a_flag_with_this_default():
    document = FlagDocument.from_dict({"flags": {"beta": True, "size": 20}})

    assert document.flags["size"] == Flag("size", default=20)


def test_what_follows_from_a_field_follows_anew_when_it_changes():
    flag = Flag("x", default=False, owner="web")

    changed = flag.evolve(default=True, owner=None)

    assert (changed.default_variant, changed.owner) == ("on", None)
    assert changed == Flag("x", default=True)


def test_a_change_that_does_not_fit_is_refused():
    with pytest.raises(FlagDocumentError):
        Flag("x").evolve(rules=[Rule("maybe")])


def test_an_overlay_replaces_whole_fields():
    flag = Flag("x", rules=[Rule("on")], environments={"production": Overlay(rules=[], enabled=True)})

    assert flag.in_environment("production").rules == ()
    assert flag.in_environment("staging").rules == flag.rules
    assert flag.in_environment(None) is flag


def test_the_json_schema_is_there():
    schema = FlagDocument.model_json_schema()

    assert {"Flag", "Rule", "Split", "Condition"} <= set(schema["$defs"])
