"""The flagd reader: targeting, buckets, versions, shared rules, metadata."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import FlagDocumentError, InvalidArgumentError, SharedError
from shared.feature_flags import Flags
from shared.feature_flags.readers import flagd

SUITS = ("clubs", "diamonds", "hearts", "spades")


def flag(*, variants=None, default="off", state="ENABLED", **fields):
    variants = {"on": True, "off": False} if variants is None else variants
    return {"state": state, "variants": variants, "defaultVariant": default, **fields}


def named(*names, **fields):
    return flag(variants={name: name for name in names}, default=names[-1], **fields)


def load(flags=None, /, evaluators=None, metadata=None, **options):
    document = {"flags": flags or {}}
    if evaluators is not None:
        document["$evaluators"] = evaluators
    if metadata is not None:
        document["metadata"] = metadata
    return flagd.load(document, **options)


def result(rule, context=None, /, **options):
    """Return what a rule comes to, as the name of a variant."""
    names = {
        name: name
        for name in (
            "true",
            "false",
            "null",
            "1",
            "2",
            "3",
            "6",
            "a",
            "b",
            "c",
            "yes",
            "no",
            "x",
            "0.5",
            "NaN",
            "",
        )
    }
    reader = load({"f": flag(variants=names, default="null", targeting=rule)}, **options)
    detail = reader.detail("f", context)
    return detail.error_code or detail.variant


@pytest.mark.parametrize(
    ("name", "version", "suit"),
    [
        ("jack", 1, "spades"),
        ("queen", 1, "clubs"),
        ("ten", 1, "diamonds"),
        ("nine", 1, "hearts"),
        ("3", 1, "diamonds"),
        ("jack", 2, "hearts"),
        ("queen", 2, "spades"),
        ("ten", 2, "clubs"),
        ("nine", 2, "diamonds"),
        ("3", 2, "clubs"),
    ],
)
def test_a_unit_falls_where_the_providers_of_flagd_put_it(name, version, suit):
    rule = {
        "fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "user.name"}]}, *[[s, 25] for s in SUITS]]
    }
    reader = load({"fractional-flag": named(*SUITS, "wild", targeting=rule)}, fractional=version)

    assert reader.variant("fractional-flag", {"user": {"name": name}}) == suit


@pytest.mark.parametrize(
    ("name", "version", "suit"),
    [
        ("jack", 1, "hearts"),
        ("queen", 1, "spades"),
        ("nine", 1, "diamonds"),
        ("seven", 2, "hearts"),
        ("eight", 2, "diamonds"),
        ("nine", 2, "clubs"),
        ("two", 2, "spades"),
    ],
)
def test_flags_with_the_same_seed_give_a_unit_the_same_place(name, version, suit):
    rule = {"fractional": [{"cat": ["shared-seed", {"var": "user.name"}]}, *[[s, 25] for s in SUITS]]}
    reader = load(dict.fromkeys(("a", "b"), named(*SUITS, "wild", targeting=rule)), fractional=version)

    assert {reader.variant(key, {"user": {"name": name}}) for key in ("a", "b")} == {suit}


@pytest.mark.parametrize(
    ("unit", "variant"),
    [("ejOoVL", "lower"), ("bY9fO-", "lower"), ("SI7p-", "lower"), ("6LvT0", "upper"), ("ceQdGm", "upper")],
)
def test_the_edges_of_the_hash_fall_on_the_right_side(unit, variant):
    rule = {"fractional": [{"var": "targetingKey"}, ["lower", 50], ["upper", 50]]}
    reader = load({"f": named("lower", "upper", targeting=rule)}, fractional=2)

    assert reader.variant("f", {"targetingKey": unit}) == variant


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("unit", "variant"), [("jon@company.com", "heads"), ("jane@company.com", "tails")])
def test_without_a_unit_the_flag_and_the_targeting_key_are_hashed(unit, variant, version):
    rule = {"fractional": [["heads"], ["tails", 1]]}
    reader = load(
        {"fractional-flag-shorthand": named("heads", "tails", "draw", targeting=rule)}, fractional=version
    )

    assert reader.variant("fractional-flag-shorthand", {"targetingKey": unit}) == variant


# Computed once with the CBOR library and the murmur3 of the reference implementation.
@pytest.mark.parametrize(
    ("unit", "suit"),
    [
        ("jack", "diamonds"),
        ("queen", "spades"),
        (1, "spades"),
        (1.5, "clubs"),
        (-7, "clubs"),
        (True, "clubs"),
        ({"b": 1, "a": [None]}, "diamonds"),
        ("ü", "spades"),
        (2**70, "spades"),
        (1e300, "hearts"),
    ],
    ids=range(10),
)
def test_a_unit_of_any_type_is_hashed_as_cbor(unit, suit):
    rule = {"fractional": [{"var": "unit"}, *[[s, 25] for s in SUITS]]}

    assert load({"f": named(*SUITS, "wild", targeting=rule)}).variant("f", {"unit": unit}) == suit


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (0, -0.0), ({"a": 1, "b": 2}, {"b": 2.0, "a": 1})], ids=str
)
def test_values_with_the_same_json_are_the_same_unit(one, other):
    rule = {"fractional": [{"var": "unit"}, *[[str(n), 1] for n in range(1_000)]]}
    reader = load({"f": named(*map(str, range(1_000)), targeting=rule)})

    assert reader.variant("f", {"unit": one}) == reader.variant("f", {"unit": other})


@pytest.mark.parametrize("version", [1, 2, 3])
def test_weights_are_shares_of_the_units(version):
    rule = {"fractional": [{"var": "targetingKey"}, ["a", 1], ["b", 3]]}
    reader = load({"f": named("a", "b", targeting=rule)}, fractional=version)

    share = sum(reader.variant("f", {"targetingKey": f"u{n}"}) == "a" for n in range(4_000)) / 4_000

    assert 0.22 < share < 0.28


@pytest.mark.parametrize(
    "buckets",
    [
        [["a", 0], ["b", 0]],
        [["a", 1.5], ["b", 1]],
        [["a", True]],
        [["a", "1"]],
        [["a", 2_000_000_000], ["b", 2_000_000_000]],
        [["a", 1, 2]],
        [[]],
        ["a"],
        [[["a"], 1]],
        [],
    ],
    ids=range(10),
)
def test_what_is_no_distribution_serves_the_default(buckets):
    assert result({"fractional": [{"var": "targetingKey"}, *buckets]}, {"targetingKey": "u"}) == "null"


def test_a_weight_below_zero_is_zero():
    assert (
        result({"fractional": [{"var": "targetingKey"}, ["a", -50], ["b", 100]]}, {"targetingKey": "u"})
        == "b"
    )


@pytest.mark.parametrize("unit", [None, "", 5])
def test_without_a_unit_to_hash_the_default_is_served(unit):
    assert result({"fractional": [["a", 1]]}, {"targetingKey": unit}) == "null"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_missing_unit_serves_the_default(version):
    assert (
        result({"fractional": [{"var": "missing"}, ["a", 1]]}, {"targetingKey": "u"}, fractional=version)
        == "null"
    )


@pytest.mark.parametrize(("tier", "expected"), [("premium", "a"), ("basic", "b")])
def test_variants_and_weights_may_be_rules(tier, expected):
    premium = {"==": [{"var": "tier"}, "premium"]}
    rule = {
        "fractional": [
            {"var": "targetingKey"},
            ["a", {"if": [premium, 100, 0]}],
            [{"if": [premium, "x", "b"]}, {"if": [premium, 0, 1]}],
        ]
    }

    assert result(rule, {"targetingKey": "u", "tier": tier}) == expected


def test_a_distribution_may_be_a_condition():
    rule = {"if": [{"fractional": [[False, 0], [True, 100]]}, "yes", "no"]}

    assert result(rule, {"targetingKey": "u"}) == "yes"


def test_a_version_of_buckets_nobody_knows_is_refused():
    with pytest.raises(InvalidArgumentError, match="fractional must be 1, 2 or 3, got 4"):
        load(fractional=4)


@pytest.mark.parametrize(
    ("version", "operator", "wanted", "expected"),
    [
        ("2.0.0", "=", "2.0.0", "true"),
        ("2.0.0", "!=", "2.0.0", "false"),
        ("2.1.0", ">", "2.0.0", "true"),
        ("2.0.0-alpha", "<", "2.0.0", "true"),
        ("2.0.0", "<=", "2.0.0", "true"),
        ("1.0.0", ">=", "2.0.0", "false"),
        ("3.0.1", "~", "3.0.0", "true"),
        ("3.1.0", "~", "3.0.0", "false"),
        ("3.1.0", "^", "3.0.0", "true"),
        ("4.0.0", "^", "3.0.0", "false"),
        ("v1.0.0", "=", "V1.0.0", "true"),
        ("1.5.0", "^", "1", "true"),
        ("1.2", "=", "1.2.0", "true"),
        ("1.2-rc", "<", "1.2.0", "true"),
        ("1.0.0+other", "=", "1.0.0+build", "true"),
        (1, "=", "1.0.0", "true"),
        ("2.0.0.0", "=", "2.0.0", "null"),
        ("not-a-version", "=", "2.0.0", "null"),
        ("2.0.0", "===", "2.0.0", "null"),
        ("2.0.0", 5, "2.0.0", "null"),
        (None, "=", "2.0.0", "null"),
    ],
)
def test_versions_compare_as_versions(version, operator, wanted, expected):
    assert result({"sem_ver": [{"var": "version"}, operator, wanted]}, {"version": version}) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"starts_with": [{"var": "id"}, "abc"]}, "true"),
        ({"ends_with": [{"var": "id"}, "abc"]}, "false"),
        ({"starts_with": [{"var": "n"}, "abc"]}, "null"),
        ({"ends_with": ["abc"]}, "null"),
        ({"starts_with": []}, "null"),
        ({"sem_ver": ["1.0.0", "="]}, "null"),
    ],
    ids=str,
)
def test_text_operators_are_null_for_what_is_no_text(rule, expected):
    assert result(rule, {"id": "abcdef", "n": 123}) == expected


def test_the_key_of_the_flag_and_the_time_are_variables():
    rule = {
        "if": [
            {"and": [{"==": [{"var": "$flagd.flagKey"}, "f"]}, {">": [{"var": "$flagd.timestamp"}, 1_000]}]},
            "yes",
            "no",
        ]
    }

    assert [result(rule, clock=lambda now=now: now) for now in (1_000.9, 1_001.0)] == ["no", "yes"]


def test_special_variables_are_found_by_computed_names_and_within_lists():
    rule = {
        "if": [
            {"==": [{"var": {"cat": ["$flagd", ".flagKey"]}}, "f"]},
            {"if": [{"some": [[1], {"var": "$flagd.flagKey"}]}, "no", "yes"]},
        ]
    }

    assert result(rule) == "yes"
    assert result({"if": [{"==": [{"var": ["$flagd"]}, None]}, "no", "yes"]}) == "yes"


def test_rules_are_shared_by_name():
    evaluators = {"staff": {"==": [{"var": "team"}, "web"]}, "not_staff": {"!": [{"$ref": "staff"}]}}
    flags = {
        "a": flag(targeting={"if": [{"$ref": "staff"}, "on"]}),
        "b": flag(targeting={"if": [{"$ref": "not_staff"}, "on"]}),
    }
    reader = load(flags, evaluators)

    assert [reader.is_enabled(key, {"team": "web"}) for key in flags] == [True, False]


@pytest.mark.parametrize(
    ("rule", "evaluators", "fault"),
    [
        (
            {"if": [{"$ref": "absent"}, "on"]},
            {},
            "flags.f.targeting: $ref to 'absent', which is no evaluator",
        ),
        (
            {"$ref": "a"},
            {"a": {"!": [{"$ref": "b"}]}, "b": {"$ref": "a"}},
            "flags.f.targeting: $ref to 'a' refers to itself",
        ),
        ({"from_the_future": []}, {}, "flags.f.targeting: unknown operator 'from_the_future'"),
    ],
    ids=range(3),
)
def test_a_rule_that_cannot_be_compiled_breaks_its_flag_and_no_other(rule, evaluators, fault):
    reader = load({"f": flag(targeting=rule), "g": flag(default="on")}, evaluators)

    detail = reader.resolve("f", "fallback")
    assert (detail.value, detail.reason, detail.error_code) == ("fallback", "ERROR", "PARSE_ERROR")
    assert reader.faults == (fault,)
    assert reader.is_enabled("g")


def test_rules_that_grow_without_bound_are_refused():
    evaluators = {f"e{n}": {"and": [{"$ref": f"e{n + 1}"}] * 2} for n in range(40)} | {"e40": True}

    reader = load({"f": flag(targeting={"$ref": "e0"})}, evaluators)

    assert reader.detail("f").error_code == "PARSE_ERROR"


@pytest.mark.parametrize(
    "rule",
    [
        {"map": [{"var": "l"}, {"map": [{"var": "l"}, {"var": ""}]}]},
        {"reduce": [{"var": "l"}, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "xx"]},
        {"reduce": [{"var": "l"}, {"merge": [{"var": "accumulator"}, {"var": "accumulator"}]}, [1]]},
    ],
    ids=range(3),
)
def test_a_rule_that_takes_too_much_serves_the_default_of_the_caller(rule):
    inner = list(range(1_000))
    context = {"l": [{"l": inner} for _ in range(1_000)]}

    detail = load({"f": flag(targeting=rule)}).resolve("f", "fallback", context)

    assert (detail.value, detail.reason, detail.error_code) == ("fallback", "ERROR", "GENERAL")


# Expected: what JsonLogic's reference implementation answers.
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"var": "s"}, "a"),
        ({"var": ["missing", "b"]}, "b"),
        ({"var": "o.l.1"}, "b"),
        ({"var": "o.l.length"}, "2"),
        ({"var": "o.l.9"}, "null"),
        ({"var": "o.l.-1"}, "null"),
        ({"var": "n.x"}, "null"),
        ({"var": {"cat": ["o.l.", 0]}}, "a"),
        ({"if": [False, "a"]}, "null"),
        ({"if": [0, "a", "", "b", [], "c", "x"]}, "x"),
        ({"if": [{}, "a", "b"]}, "a"),
        ({"?:": ["0", "a", "b"]}, "a"),
        ({"==": [1, "1"]}, "true"),
        ({"==": [None, 0]}, "false"),
        ({"==": [None, None]}, "true"),
        ({"==": [True, "1"]}, "true"),
        ({"==": [["a"], "a"]}, "true"),
        ({"==": ["a", {"var": "o"}]}, "false"),
        ({"==": [[1], [1]]}, "false"),
        ({"==": ["", 0]}, "true"),
        ({"==": ["0x10", 16]}, "true"),
        ({"===": [1, 1.0]}, "true"),
        ({"===": [1, True]}, "false"),
        ({"!==": [1, "1"]}, "true"),
        ({"!=": [1, 2]}, "true"),
        ({"<": ["10", "9"]}, "true"),
        ({"<": ["10", 9]}, "false"),
        ({"<": [None, 1]}, "true"),
        ({"<": ["a", 1]}, "false"),
        ({"<": [1, 2, 3]}, "true"),
        ({"<=": [1, 1, 0]}, "false"),
        ({">": [2, 1]}, "true"),
        ({">=": [[2], "10"]}, "true"),
        ({"and": ["a", "", "b"]}, ""),
        ({"and": ["a", "b"]}, "b"),
        ({"or": [0, "a"]}, "a"),
        ({"or": []}, "null"),
        ({"!": [[]]}, "true"),
        ({"!!": ["0"]}, "true"),
        ({"!": []}, "true"),
        ({"in": ["b", "abc"]}, "true"),
        ({"in": [1, ["1", 1]]}, "true"),
        ({"in": ["1", ["a", "b"]]}, "false"),
        ({"in": [True, [1]]}, "false"),
        ({"in": ["a", None]}, "false"),
        ({"in": [{"var": "s"}, ["a", "b"]]}, "true"),
        ({"+": ["1", 2]}, "3"),
        ({"+": "2"}, "2"),
        ({"*": [2, 3]}, "6"),
        ({"-": [3, 1]}, "2"),
        ({"-": [-1]}, "1"),
        ({"/": [1, 2]}, "0.5"),
        ({"/": [0, 0]}, "NaN"),
        ({"%": [7, 4]}, "3"),
        ({"%": [7, 0]}, "NaN"),
        ({"min": [3, 1, 2]}, "1"),
        ({"max": [3, "x"]}, "NaN"),
        ({"cat": ["y", "es"]}, "yes"),
        ({"cat": ["a", None]}, "a"),
        ({"substr": ["xyes", 1]}, "yes"),
        ({"substr": ["nay", -1]}, "GENERAL"),
        ({"substr": ["xyesx", 1, -1]}, "yes"),
        ({"substr": ["xyesx", -4, 3]}, "yes"),
        ({"if": [{"==": [{"merge": [1, [2, 3]]}, "1,2,3"]}, "yes", "no"]}, "yes"),
        ({"if": [{"missing": ["s", "zz"]}, "yes", "no"]}, "yes"),
        ({"if": [{"missing": [["s"]]}, "yes", "no"]}, "no"),
        ({"if": [{"missing_some": [1, ["s", "zz"]]}, "yes", "no"]}, "no"),
        ({"if": [{"missing_some": [2, ["s", "zz"]]}, "yes", "no"]}, "yes"),
        ({"reduce": [[1, 2, 3], {"+": [{"var": "current"}, {"var": "accumulator"}]}, 0]}, "6"),
        ({"reduce": [None, 1, "a"]}, "a"),
        ({"all": [[1, 2], {">": [{"var": ""}, 0]}]}, "true"),
        ({"all": [[], True]}, "false"),
        ({"none": [[], True]}, "true"),
        ({"some": [{"var": "rows"}, {"==": [{"var": "q"}, 1]}]}, "true"),
        ({"if": [{"==": [{"map": [[1, 2], {"*": [{"var": ""}, 2]}]}, "2,4"]}, "yes", "no"]}, "yes"),
        ({"if": [{"==": [{"filter": [[1, 2], {">": [{"var": ""}, 1]}]}, "2"]}, "yes", "no"]}, "yes"),
        ({"log": "a"}, "a"),
        ({"var": ""}, "GENERAL"),
        ({"a": 1, "b": 2}, "GENERAL"),
    ],
    ids=str,
)
def test_a_rule_means_what_jsonlogic_says(rule, expected):
    assert result(rule, {"s": "a", "n": 1, "o": {"l": ["a", "b"]}, "rows": [{"q": 1}]}) == expected


@pytest.mark.parametrize(
    ("fields", "reason", "value"),
    [
        ({"default": "on"}, "STATIC", True),
        ({"default": None}, "DEFAULT", None),
        ({"default": ""}, "DEFAULT", None),
        ({"state": "DISABLED"}, "DISABLED", None),
        ({"targeting": {}}, "STATIC", False),
        ({"targeting": {"if": [True, None]}}, "DEFAULT", False),
        ({"targeting": {"if": [True, "on"]}}, "TARGETING_MATCH", True),
        ({"targeting": {"if": [True, "on"]}, "default": None}, "TARGETING_MATCH", True),
        ({"targeting": {"if": [False, "on"]}, "default": None}, "DEFAULT", None),
        ({"targeting": {"if": [True, "absent"]}}, "ERROR", None),
        ({"default": "absent"}, "ERROR", None),
        (
            {"variants": {"true": "t", "false": "f"}, "targeting": {"==": [1, 1]}, "default": False},
            "TARGETING_MATCH",
            "t",
        ),
    ],
    ids=range(12),
)
def test_a_detail_says_why(fields, reason, value):
    detail = load({"f": flag(**fields)}).detail("f", {})

    assert (detail.reason, detail.value) == (reason, value)


@pytest.mark.parametrize(
    ("value", "default", "fits"),
    [
        (True, False, True),
        (True, "x", False),
        (True, 1, False),
        (True, 0.1, False),
        ("hi", "x", True),
        ("hi", False, False),
        (10, 1, True),
        (10, 0.1, True),
        (10, False, False),
        (0.5, 1, False),
        (0.5, "x", False),
        ({}, {}, True),
        ({}, "x", False),
        ("hi", None, True),
        (0, 7, True),
        ("", "x", True),
    ],
    ids=str,
)
def test_a_value_of_another_type_than_the_default_is_not_served(value, default, fits):
    detail = load({"f": flag(variants={"v": value}, default="v")}).resolve("f", default)

    assert (detail.value, detail.error_code) == ((value, None) if fits else (default, "TYPE_MISMATCH"))


def test_an_unknown_flag_serves_the_default_of_the_caller():
    detail = load().resolve("f", "uh-oh")

    assert (detail.value, detail.error_code, load().detail("f")) == ("uh-oh", "FLAG_NOT_FOUND", None)


def test_metadata_of_a_flag_lies_over_that_of_the_set():
    reader = load({"f": flag(metadata={"b": 2})}, metadata={"a": 1, "b": 1})

    assert [dict(reader.metadata(key)) for key in ("f", "unknown")] == [{"a": 1, "b": 2}, {"a": 1, "b": 1}]


def test_an_object_that_is_served_is_a_copy():
    reader = load(
        {
            "f": flag(variants={"v": {"l": [1]}}, default="v"),
            "g": flag(variants={"v": [1]}, default="v", targeting={"if": [True, "v"]}),
        }
    )

    reader.detail("f").value["l"].append(2)
    reader.detail("g").value.append(2)

    assert (reader.detail("f").value, reader.detail("g").value) == ({"l": [1]}, [1])


def test_flags_may_be_a_list_of_flags_that_name_their_key():
    reader = flagd.load(json.dumps({"flags": [{"key": "f", **flag(default="on")}]}))

    assert reader.is_enabled("f")


def test_the_user_of_our_contexts_is_the_targeting_key():
    rule = {"if": [{"==": [{"var": "targetingKey"}, "ada"]}, "on", "off"]}
    reader = load({"f": flag(targeting=rule)})

    contexts = ({"user_id": "ada"}, {"targetingKey": "ada"}, {"targetingKey": "eve", "user_id": "ada"}, {})

    assert [reader.is_enabled("f", context) for context in contexts] == [True, True, False, False]


def test_a_reader_is_a_source_of_our_flags():
    flags = Flags(sources=(load({"size": flag(variants={"s": 10}, default="s")}),))

    assert flags.value("size", default=3) == 10


def test_every_fault_of_a_document_is_listed():
    document = {
        "flags": {
            "a": {"state": "MAYBE", "variants": {}, "defaultVariant": 3, "targeting": []},
            "b": {"state": "ENABLED", "variants": {"on": 1}, "metadata": {"": None}},
        },
        "$evaluators": [1],
        "metadata": 5,
    }

    with pytest.raises(FlagDocumentError) as refused:
        flagd.load(document)

    assert [fault.split(":")[0] for fault in refused.value.faults] == [
        "$evaluators",
        "metadata",
        "flags.a.state",
        "flags.a.variants",
        "flags.a.defaultVariant",
        "flags.a.targeting",
        "flags.b.metadata",
        "flags.b.metadata.",
    ]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_OPERATORS = st.sampled_from(
    [
        "if",
        "==",
        "===",
        "!",
        "and",
        "or",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "min",
        "cat",
        "substr",
        "in",
        "merge",
        "map",
        "filter",
        "reduce",
        "all",
        "some",
        "none",
        "missing",
        "missing_some",
        "var",
        "fractional",
        "sem_ver",
        "starts_with",
        "log",
        "nope",
        "$ref",
    ]
)
_RULES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.just({"var": "x"}),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_OPERATORS, st.lists(inner, max_size=4) | inner, min_size=1, max_size=1)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.dictionaries(_OPERATORS, _RULES, max_size=2),
    st.dictionaries(st.sampled_from(["x", "targetingKey", "y"]), _VALUES),
)
def test_no_rule_and_no_attribute_makes_an_evaluation_raise(rule, context):
    reader = load({"f": flag(targeting=rule)})

    assert reader.detail("f", context).key == "f"
    assert reader.is_enabled("f", context) in {True, False}


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "flags",
                        "state",
                        "variants",
                        "defaultVariant",
                        "targeting",
                        "metadata",
                        "$evaluators",
                        "if",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_any_document_loads_or_is_refused_in_our_words(document):
    try:
        reader = flagd.load(document)
    except SharedError:
        return

    for key in reader.keys():
        assert reader.detail(key, {"targetingKey": "1"}) is not None
