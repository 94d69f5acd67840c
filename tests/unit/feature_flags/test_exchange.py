"""Imports: what our own form says is what the foreign document says, and the rest is told."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import SharedError
from shared.feature_flags import FlagDocument, Flags
from shared.feature_flags.exchange import import_flagd, import_growthbook, import_unleash
from shared.feature_flags.readers import flagd, growthbook, unleash


def values(document, context):
    flags = Flags(document)
    return {key: flags.value(key, context) for key in document.flags}


def strategy(name="default", constraints=(), **parameters):
    return {"name": name, "parameters": parameters, "constraints": list(constraints)}


def constraint(field, operator, *listed, **fields):
    return {"contextName": field, "operator": operator, "values": list(listed), **fields}


UNLEASH = [
    strategy(),
    strategy("userWithId", userIds="ada, bob"),
    strategy("remoteAddress", IPs="10.0.0.0/8, 192.168.0.7"),
    *[
        strategy(
            constraints=[constraint("plan", operator, "pro", "x", inverted=inverted, caseInsensitive=fold)]
        )
        for operator in ("IN", "NOT_IN", "STR_STARTS_WITH", "STR_ENDS_WITH", "STR_CONTAINS")
        for inverted in (False, True)
        for fold in (False, True)
    ],
    *[
        strategy(constraints=[constraint("age", f"NUM_{order}", value="18")])
        for order in ("EQ", "GT", "GTE", "LT", "LTE")
    ],
    *[
        strategy(constraints=[constraint("version", f"SEMVER_{order}", value="1.2.3")])
        for order in ("EQ", "GT", "LT", "GTE", "LTE")
    ],
    strategy(constraints=[constraint("since", "DATE_AFTER", value="2026-01-01T00:00:00Z")]),
    strategy(constraints=[constraint("remoteAddress", "IN_CIDR", "10.0.0.0/8")]),
    strategy(constraints=[constraint("plan", "REGEX", value="^p.o$", inverted=True)]),
    strategy("flexibleRollout", rollout="100", stickiness="userId"),
    strategy("flexibleRollout", rollout="0"),
    strategy() | {"segments": [1]},
    strategy() | {"disabled": True},
]
CONTEXTS = [
    {},
    {"user_id": "ada", "plan": "pro", "age": 18, "version": "1.2.3", "since": "2026-02-01T00:00:00Z"},
    {"user_id": "eve", "plan": "PRO", "age": 17, "version": "1.3.0-rc.1", "remote_address": "10.1.1.1"},
    {
        "user_id": "x",
        "plan": "a pro",
        "age": 30,
        "version": "0.1.0",
        "remote_address": "192.168.0.7",
        "country": "no",
    },
    {"user_id": "y", "plan": "profit", "version": "nonsense", "since": "2025-02-01T00:00:00Z"},
]


@pytest.mark.parametrize("number", range(len(UNLEASH)))
def test_a_strategy_of_unleash_is_on_for_the_same_people(number):
    document = {
        "features": [{"name": "f", "enabled": True, "strategies": [UNLEASH[number]]}],
        "segments": [{"id": 1, "constraints": [constraint("country", "IN", "no")]}],
    }
    reader = unleash.load(document)

    imported = import_unleash(document)

    assert "f" in imported.document.flags, imported.notes
    for context in CONTEXTS:
        assert values(imported.document, context)["f"] is reader.is_enabled("f", context), context


def test_features_of_unleash_keep_switches_dependencies_and_variants():
    listed = [
        {
            "name": "wide",
            "weight": 1000,
            "payload": {"type": "number", "value": "3"},
            "overrides": [{"contextName": "userId", "values": ["ada"]}],
        },
        {
            "name": "slim",
            "weight": 0,
            "payload": {"type": "string", "value": "s"},
            "overrides": [{"contextName": "userId", "values": ["bob"]}],
        },
    ]
    document = {
        "features": [
            {"name": "off", "enabled": False, "strategies": [strategy()]},
            {"name": "on", "enabled": True, "strategies": []},
            {
                "name": "menu",
                "enabled": True,
                "strategies": [],
                "variants": listed,
                "description": "the menu",
            },
            {"name": "needs_on", "enabled": True, "strategies": [], "dependencies": [{"feature": "on"}]},
            {
                "name": "needs_off",
                "enabled": True,
                "strategies": [],
                "dependencies": [{"feature": "off", "enabled": False}],
            },
            {
                "name": "needs_wide",
                "enabled": True,
                "strategies": [],
                "dependencies": [{"feature": "menu", "variants": ["wide"]}],
            },
        ]
    }

    imported = import_unleash(document)

    seen = {unit: values(imported.document, {"user_id": unit}) for unit in ("ada", "bob")}
    assert seen["ada"] == {
        "off": False,
        "on": True,
        "menu": True,
        "menu.variant": 3.0,
        "needs_on": True,
        "needs_off": True,
        "needs_wide": True,
    }
    assert (seen["bob"]["menu.variant"], seen["bob"]["needs_wide"]) == ("s", False)
    assert imported.document.flags["menu"].description == "the menu"
    assert imported.notes == ("menu.variant: units are divided anew: shares stay, who is in them changes",)


def test_a_time_of_now_becomes_a_schedule():
    between = [
        constraint("currentTime", "DATE_AFTER", value="2026-01-01T00:00:00Z"),
        constraint("currentTime", "DATE_BEFORE", value="2026-02-01T00:00:00Z"),
    ]

    imported = import_unleash(
        {"features": [{"name": "f", "enabled": True, "strategies": [strategy(constraints=between)]}]}
    )

    schedule = imported.document.flags["f"].rules[0].schedule
    assert (schedule.start.isoformat(), schedule.end.isoformat()) == (
        "2026-01-01T00:00:00+00:00",
        "2026-02-01T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("feature", "note"),
    [
        (
            {"strategies": [strategy("gradualRolloutRandom", percentage="50")]},
            "f: left out: the strategy 'gradualRolloutRandom'",
        ),
        (
            {"strategies": [strategy("applicationHostname", hostNames="a")]},
            "f: left out: the strategy 'applicationHostname'",
        ),
        (
            {"strategies": [strategy("flexibleRollout", rollout="50", stickiness="random")]},
            "f: left out: a rollout that sticks to nothing",
        ),
        (
            {"strategies": [strategy() | {"variants": [{"name": "v", "weight": 1}]}]},
            "f: left out: variants that belong to a strategy",
        ),
        (
            {"strategies": [strategy(constraints=[constraint("x", "FUTURE")])]},
            "f: left out: the constraint 'FUTURE'",
        ),
        ({"strategies": [strategy("userWithId", userIds="")]}, "f: left out: an empty list of userIds"),
        (
            {"strategies": [], "dependencies": [{"feature": "absent"}]},
            "f: left out: its prerequisite 'absent' is not there",
        ),
        (
            {"strategies": [], "dependencies": [{"feature": "f", "variants": ["v"]}]},
            "f: left out: a dependency on variants of 'f', which has none",
        ),
    ],
    ids=range(8),
)
def test_what_unleash_says_and_we_cannot_is_left_out_and_told(feature, note):
    imported = import_unleash({"features": [{"name": "f", "enabled": True, **feature}]})

    assert (imported.document.flags, imported.notes) == ({}, (note,))


def test_a_strategy_nobody_knows_is_told():
    imported = import_unleash(
        {"features": [{"name": "f", "enabled": True, "strategies": [strategy("future"), strategy()]}]}
    )

    assert values(imported.document, {}) == {"f": True}
    assert imported.notes == ("f: the strategy 'future' is for nobody, as in Unleash",)


def test_shares_stay_when_units_are_divided_anew():
    rollout = strategy("flexibleRollout", rollout="25", stickiness="userId", groupId="other")

    imported = import_unleash({"features": [{"name": "f", "enabled": True, "strategies": [rollout]}]})

    flags = Flags(imported.document)
    on = sum(flags.is_enabled("f", {"user_id": f"u{n}"}) for n in range(4_000))
    assert 850 < on < 1_150
    assert imported.notes == ("f: units are divided anew: shares stay, who is in them changes",)


PLAN = {"var": "plan"}
FLAGD = [
    {"if": [{"==": [PLAN, "pro"]}, "on"]},
    {"if": [{"==": ["pro", PLAN]}, "on", "off"]},
    {"if": [{"!=": [PLAN, "pro"]}, "on", None]},
    {"if": [{"===": [PLAN, "pro"]}, "on", {"if": [{"in": [PLAN, ["PRO", "x"]]}, "on", "off"]}]},
    {"if": [{"in": ["ro", PLAN]}, {"if": [{"!": [{"==": [PLAN, "pro"]}]}, "on", "off"]}, "off"]},
    {
        "if": [
            {
                "and": [
                    {">": [{"var": "age"}, 17]},
                    {"or": [{"<=": [{"var": "age"}, 18]}, {"<": [100, {"var": "age"}]}]},
                ]
            },
            "on",
            "off",
        ]
    },
    {"if": [{"starts_with": [PLAN, "pro"]}, "on", {"ends_with": [PLAN, "ro"]}, "off", "on"]},
    {"if": [{"sem_ver": [{"var": "version"}, ">=", "1.2.3"]}, "on", "off"]},
    {"if": [{"$ref": "pro"}, "on", "off"]},
    {"if": [{"==": [PLAN, None]}, "on", "off"]},
    {"if": [{"!=": [PLAN, None]}, "on", "off"]},
    {"if": [{"==": [{"var": "targetingKey"}, "ada"]}, "on", "off"]},
    {"if": [True, "on", "off"]},
    {"if": [{"==": [PLAN, "pro"]}, {"fractional": [["on", 1]]}, "off"]},
]


@pytest.mark.parametrize("number", range(len(FLAGD)))
def test_a_targeting_of_flagd_serves_the_same(number):
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": FLAGD[number],
    }
    document = {"flags": {"f": flag}, "$evaluators": {"pro": {"==": [PLAN, "pro"]}}}
    reader = flagd.load(document)

    imported = import_flagd(document)

    assert "f" in imported.document.flags, imported.notes
    for context in CONTEXTS:
        if "age" in json.dumps(FLAGD[number]) and "age" not in context:
            continue  # without a value JavaScript compares 0
        assert values(imported.document, context)["f"] is reader.value("f", False, context), context


def test_a_targeting_that_is_a_condition_serves_true_and_false():
    flag = {
        "state": "ENABLED",
        "variants": {"true": "t", "false": "f"},
        "defaultVariant": "false",
        "targeting": {"==": [PLAN, "pro"]},
    }

    imported = import_flagd({"flags": {"f": flag}})

    assert [values(imported.document, {"plan": plan})["f"] for plan in ("pro", "x")] == ["t", "f"]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ({"var": "email"}, {"unit": "email"}),
        ({"cat": [{"var": "$flagd.flagKey"}, {"var": "targetingKey"}]}, {"unit": "user_id"}),
        ({"cat": ["seed", {"var": "email"}]}, {"unit": "email", "salt": "seed"}),
    ],
    ids=range(3),
)
def test_a_fractional_becomes_a_split(first, expected):
    flag = {
        "state": "ENABLED",
        "variants": {"a": 1, "b": 2.5},
        "defaultVariant": "a",
        "targeting": {"fractional": [first, ["a", 25], ["b", 75]]},
    }

    imported = import_flagd({"flags": {"f": flag}})

    split = imported.document.flags["f"].rules[0].split
    assert (split.weights, imported.document.flags["f"].type) == ({"a": 25, "b": 75}, "float")
    assert {name: getattr(split, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"defaultVariant": None}, "no default variant: the caller's default is served"),
        ({"targeting": {"if": [{"map": [[], 1]}, "on"]}}, "the operator 'map'"),
        ({"targeting": {"if": ["text", "on"]}}, "a value as a condition"),
        (
            {"targeting": {"if": [{"==": [{"var": "a"}, {"var": "b"}]}, "on"]}},
            "condition: value: a JSON value",
        ),
        (
            {"targeting": {"if": [{"==": [{"var": ["a", 1]}, 1]}, "on"]}},
            "an expression where an attribute was expected",
        ),
        ({"targeting": {"if": [{"in": [{"var": "a"}, {"var": "b"}]}, "on"]}}, "'in' of two attributes"),
        (
            {"targeting": {"fractional": [{"cat": ["a", "b", "c"]}, ["on", 1]]}},
            "a unit of several attributes",
        ),
        (
            {"targeting": {"fractional": [{"cat": [5, {"var": "x"}]}, ["on", 1]]}},
            "a unit of several attributes",
        ),
        (
            {"targeting": {"fractional": [["on", {"var": "x"}]]}},
            "a distribution with expressions, or with a variant twice",
        ),
        ({"targeting": {"if": [{"$ref": "absent"}, "on"]}}, "$ref to 'absent', which is no evaluator"),
        ({"targeting": {"if": [True, "absent"]}}, "variant 'absent' does not exist"),
    ],
    ids=range(11),
)
def test_what_flagd_says_and_we_cannot_is_left_out_and_told(fields, note):
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"} | fields

    imported = import_flagd({"flags": {"f": flag}})

    assert imported.document.flags == {}
    assert imported.notes[0].startswith("f: left out: ")
    assert note.removeprefix("condition: value: a JSON value") in imported.notes[0]


def test_a_disabled_flag_of_flagd_is_told():
    imported = import_flagd(
        {
            "flags": {
                "f": {"state": "DISABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
            }
        }
    )

    assert values(imported.document, {}) == {"f": True}
    assert imported.notes == (
        "f: while it is disabled it yields its default variant, not the caller's default",
    )


GROWTHBOOK = [
    {"plan": "pro"},
    {"plan": {"$ne": "pro"}},
    {"plan": {"$in": ["pro", "PRO"]}},
    {"plan": {"$nin": ["pro"]}},
    {"plan": {"$in": []}},
    {"plan": {"$exists": True}},
    {"plan": {"$exists": False}},
    {"plan": None},
    {"plan": {"$not": {"$eq": "pro"}}},
    {"plan": {"$inGroup": "plans"}},
    {"plan": {"$notInGroup": "plans"}},
    {"plan": {"$regex": "^pro"}},
    {"plan": {"$notRegex": "^pro"}},
    {"age": {"$gte": 18, "$lt": 30}},
    {"age": {"$gt": 18}},
    {"$or": [{"plan": "pro"}, {"age": {"$lte": 17}}]},
    {"$or": []},
    {"$nor": [{"plan": "pro"}]},
    {"$and": [{"plan": "pro"}, {"$not": {"age": 3}}]},
    {"version": {"$vgt": "1.2.3"}},
    {"id": "ada"},
    {},
]


@pytest.mark.parametrize("number", range(len(GROWTHBOOK)))
def test_a_condition_of_growthbook_holds_for_the_same(number):
    document = {
        "features": {"f": {"defaultValue": "d", "rules": [{"condition": GROWTHBOOK[number], "force": "n"}]}},
        "savedGroups": {"plans": ["pro", "x"]},
    }
    reader = growthbook.load(document)

    imported = import_growthbook(document)

    assert "f" in imported.document.flags, imported.notes
    for context in CONTEXTS[:4]:
        assert values(imported.document, context)["f"] == reader.value("f", "", context), context


def test_experiments_of_growthbook_become_splits():
    rule = {
        "key": "exp",
        "variations": ["a", "b", "a"],
        "weights": [0.25, 0.5, 0.25],
        "coverage": 0.5,
        "hashAttribute": "company",
        "meta": [{"key": "first"}, {"key": "second"}],
        "namespace": ["ns", 0, 0.5],
        "bucketVersion": 1,
        "fallbackAttribute": "id",
    }

    imported = import_growthbook({"features": {"f": {"defaultValue": "d", "rules": [rule]}}})

    flag = imported.document.flags["f"]
    split = flag.rules[0].split
    assert flag.variants == {"default": "d", "first": "a", "second": "b"}
    assert (split.weights, split.coverage, split.unit, split.fallback_unit, split.salt, split.sticky) == (
        {"first": 50_000, "second": 50_000},
        50_000,
        "company",
        "user_id",
        "exp",
        True,
    )
    assert split.layer.ranges == ((0, 50_000),)


def test_a_gate_of_growthbook_becomes_a_prerequisite():
    gate = {"parentConditions": [{"id": "parent", "condition": {"value": True}, "gate": True}]}
    document = {
        "features": {
            "parent": {"defaultValue": True},
            "f": {"defaultValue": 1, "rules": [gate, {"force": 2, "coverage": 1}]},
        }
    }

    imported = import_growthbook(document)

    assert values(imported.document, {"user_id": "u"}) == {"parent": True, "f": 2}
    assert imported.document.flags["f"].prerequisites[0].flag == "parent"


@pytest.mark.parametrize(
    ("rule", "note"),
    [
        ({"filters": [{"ranges": []}], "force": 1}, "'filters' in rule 0"),
        (
            {"parentConditions": [{"id": "x", "condition": {"value": 1}, "gate": True}]},
            "a prerequisite in rule 0 that is no gate on a feature being true",
        ),
        ({"variations": [1, 2], "meta": [{"passthrough": True}]}, "a holdout"),
        ({"condition": {"x": {"$elemMatch": {}}}, "force": 1}, "the operator '$elemMatch'"),
        ({"condition": {"$savedGroup": {}}, "force": 1}, "the operator '$savedGroup'"),
        ({"condition": {"x": {"$inGroup": "absent"}}, "force": 1}, "the group 'absent', which is no list"),
        ({"condition": 5, "force": 1}, "a malformed condition"),
    ],
    ids=range(7),
)
def test_what_growthbook_says_and_we_cannot_is_left_out_and_told(rule, note):
    imported = import_growthbook({"features": {"f": {"defaultValue": 0, "rules": [rule]}}})

    assert (imported.document.flags, imported.notes) == ({}, (f"f: left out: {note}",))


def test_rules_of_growthbook_that_serve_nobody_are_passed_over():
    imported = import_growthbook(
        {"features": {"f": {"defaultValue": 0, "rules": [{"variations": [1]}, {"coverage": 1}]}}}
    )

    assert imported.document.flags["f"].rules == ()


def test_prerequisites_in_a_circle_import_nothing():
    features = [
        {"name": key, "enabled": True, "dependencies": [{"feature": parent}]}
        for key, parent in (("a", "b"), ("b", "a"))
    ]

    imported = import_unleash({"features": features})

    assert imported.document == FlagDocument()
    assert imported.notes[-1].startswith("nothing is imported: ")


def test_what_is_imported_survives_the_way_through_a_file():
    document, _ = import_unleash(
        {
            "features": [
                {"name": f"f{n}", "enabled": True, "strategies": [one]} for n, one in enumerate(UNLEASH)
            ],
            "segments": [{"id": 1, "constraints": []}],
        }
    )

    again = FlagDocument.from_dict(json.loads(json.dumps(document.to_dict())))

    assert again == document


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "strategies",
                    "constraints",
                    "operator",
                    "values",
                    "value",
                    "variants",
                    "weight",
                    "if",
                    "==",
                    "var",
                    "fractional",
                    "rules",
                    "condition",
                    "force",
                    "variations",
                    "$in",
                    "x",
                    "targeting",
                    "state",
                    "defaultVariant",
                    "parentConditions",
                    "id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(_JSON, _JSON)
@pytest.mark.parametrize("format", ["unleash", "flagd", "growthbook"])
def test_any_document_is_imported_or_refused_in_our_words(format, one, other):
    make, document = {
        "unleash": (
            import_unleash,
            {
                "features": [
                    {
                        "name": "f",
                        "enabled": True,
                        "strategies": [{"name": "default", "constraints": [one]}],
                        "variants": other,
                    }
                ]
            },
        ),
        "flagd": (
            import_flagd,
            {
                "flags": {
                    "f": {
                        "state": "ENABLED",
                        "variants": {"on": one},
                        "defaultVariant": "on",
                        "targeting": {"if": [other, "on"]},
                    }
                }
            },
        ),
        "growthbook": (
            import_growthbook,
            {"features": {"f": {"defaultValue": one, "rules": [{"condition": other, "force": one}, other]}}},
        ),
    }[format]

    try:
        imported = make(document)
    except SharedError:
        return

    assert values(imported.document, {"user_id": "1"}).keys() == imported.document.flags.keys()
