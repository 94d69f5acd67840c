"""The GrowthBook reader: conditions, rollouts, experiments, prerequisites and sticky buckets."""

import itertools
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import FlagDocumentError, InvalidArgumentError, SharedError
from shared.feature_flags import FlagExposed, Flags
from shared.feature_flags.readers import growthbook
from shared.feature_flags.readers._fnv import bucket_function
from shared.feature_flags.readers._growthbook_conditions import Conditions
from shared.feature_flags.readers._growthbook_experiments import ranges_of
from shared.runtime import Events

# Conditions and features of every kind, with what the SDK 4.0.0 for Python answers for them.
CASES = json.loads(Path(__file__).with_name("growthbook_cases.json").read_text("utf-8"))


def load(features=None, /, groups=None, **options):
    return growthbook.load({"features": features or {}, "savedGroups": groups or {}}, **options)


def rules(*given, default=False):
    return {"f": {"defaultValue": default, "rules": list(given)}}


def holds(condition, attributes, groups=None):
    return Conditions(groups or {}, {}).test(condition)(attributes)


@pytest.mark.parametrize("number", range(len(CASES["conditions"])))
def test_a_condition_holds_where_the_sdk_says_so(number):
    condition, attributes, expected = CASES["conditions"][number]

    assert holds(condition, attributes, CASES["groups"]) is expected


@pytest.mark.parametrize("number", range(len(CASES["features"])))
def test_a_feature_is_what_the_sdk_says(number):
    case = CASES["features"][number]

    found = load(case["features"], groups=CASES["groups"]).feature("f0", case["attributes"])

    experiment = found.result and [found.result.key, found.result.bucket]
    assert [found.value, found.source, experiment] == [case["value"], case["source"], case["experiment"]]


@pytest.mark.parametrize(
    ("seed", "value", "version", "place"),
    [
        ("", "a", 1, 0.22),
        ("", "b", 1, 0.077),
        ("b", "a", 1, 0.946),
        ("ef", "d", 1, 0.652),
        ("asdf", "8952klfjas09ujk", 1, 0.549),
        ("", "123", 1, 0.011),
        ("seed", "a", 2, 0.0505),
        ("seed", "b", 2, 0.2696),
        ("foo", "ab", 2, 0.2575),
        ("foo", "def", 2, 0.2019),
        ("89123klj", "8952klfjas09ujkasdf", 2, 0.124),
        ("90850943850283058242805", "123", 2, 0.7516),
    ],
)
def test_a_unit_falls_where_the_hash_of_growthbook_puts_it(seed, value, version, place):
    assert bucket_function(seed, version)(value) == place


def test_a_hash_of_a_version_nobody_knows_places_nobody():
    assert bucket_function("seed", 99) is None


# JavaScript hashes UTF-16 code units: computed with charCodeAt.
@pytest.mark.parametrize(
    ("value", "place"), [("\U0001f600", 0.4346), ("ü", 0.6166), ("\ud800", 0.475)], ids=range(3)
)
def test_text_outside_of_ascii_is_hashed_by_utf16_units(value, place):
    assert bucket_function("seed", 2)(value) == place


@pytest.mark.parametrize(
    ("count", "coverage", "weights", "expected"),
    [
        (2, 1, None, [(0, 0.5), (0.5, 1)]),
        (2, 0.5, None, [(0, 0.25), (0.5, 0.75)]),
        (2, 0.1, [0.4, 0.6], [(0, 0.04), (0.4, 0.46)]),
        (2, -0.2, None, [(0, 0), (0.5, 0.5)]),
        (2, 2, None, [(0, 0.5), (0.5, 1)]),
        (2, 1, [0.5], [(0, 0.5), (0.5, 1)]),
        (2, 1, [0.5, 0.2], [(0, 0.5), (0.5, 1)]),
        (2, 1, [1.2, -0.2], [(0, 0.5), (0.5, 1)]),
        (2, 1, [0.5, True], [(0, 0.5), (0.5, 1)]),
        (2, 1, [0.5, float("nan")], [(0, 0.5), (0.5, 1)]),
        (2, None, "half", [(0, 0.5), (0.5, 1)]),
    ],
    ids=range(11),
)
def test_ranges_are_anchored_and_bad_weights_are_equal_ones(count, coverage, weights, expected):
    found = ranges_of(count, coverage, weights)

    assert [(round(low, 9), round(high, 9)) for low, high in found] == expected


@pytest.mark.parametrize(
    ("condition", "attributes", "expected"),
    [
        ({"$not": {"x": {"$bogus": 1}}}, {"x": 1}, False),
        ({"$nor": [{"x": {"$bogus": 1}}]}, {"x": 1}, False),
        ({"$or": [{"x": {"$bogus": 1}}, {"x": 1}]}, {"x": 1}, True),
        ({"$not": {"$and": 5}}, {}, False),
        ({"x": {"$elemMatch": 5}}, {"x": [1]}, False),
        ({"x": {"$regex": "(a+)+$"}}, {"x": "a" * 5_000 + "!"}, False),
        ({"x": {"$regex": "("}}, {"x": "("}, False),
        ({"x": {"$notRegex": "("}}, {"x": "("}, True),
        ({"x": 1}, {"x": True}, False),
        ({"x": True}, {"x": 1}, False),
        ({"x": {"$in": [1]}}, {"x": True}, False),
        ({"x": {"$in": [1]}}, {"x": 1.0}, True),
        ({"x": {"$gt": "b"}}, {"x": "\uff5e"}, True),
        ({"x": {"$lt": "\uff5e"}}, {"x": "\U0001f600"}, True),
        ({"x": {"$gt": 1}}, {"x": float("nan")}, False),
        ({"x": {"a": 1, "b": 2}}, {"x": {"b": 2, "a": 1}}, False),
        ({"x": {"a": 1, "b": 2}}, {"x": {"a": 1.0, "b": 2}}, True),
        ({"x": [None]}, {"x": [float("inf")]}, True),
        ({"x": {"$vgt": "1.2.9"}}, {"x": "1.2.10"}, True),
        ({"x": {"$vlt": "1.2.3"}}, {"x": "v1.2.3-rc.1+build"}, True),
        ({"x.y": 1}, {"x": None}, False),
        ({"$savedGroups": ["g"]}, {}, False),
        ({"x": {"$inGroup": "g"}}, {"x": 1}, False),
        (5, {}, False),
    ],
    ids=range(24),
)
def test_the_edges_of_conditions(condition, attributes, expected):
    assert holds(condition, attributes) is expected


# Expected: what the SDK 1.8 for JavaScript answers.
@pytest.mark.parametrize(
    ("condition", "found", "strict", "coerced"),
    [
        ({"x": "5"}, 5, False, True),
        ({"x": "null"}, None, False, True),
        ({"x": "a,b"}, ["a", "b"], False, True),
        ({"x": 5}, "5", False, True),
        ({"x": 0}, None, False, True),
        ({"x": True}, "yes", False, True),
        ({"x": True}, 0, False, False),
        ({"x": False}, None, False, False),
        ({"x": None}, None, True, True),
        ({"x": {}}, {}, True, True),
        ({"x": {}}, 1, True, False),
        ({"x": {"$gt": 4}}, "5", False, True),
        ({"x": {"$gt": 4}}, "five", False, False),
        ({"x": {"$gte": 5}}, "5", False, True),
        ({"x": {"$lt": 1}}, None, False, True),
        ({"x": {"$lte": "b"}}, "b", True, True),
        ({"x": {"$lt": "\uff5e"}}, "\U0001f600", True, True),
        ({"x": {"$gt": "a"}}, float("nan"), False, False),
        ({"x": {"$veq": "0"}}, None, False, True),
        ({"x": {"$vne": "0"}}, None, True, False),
        ({"x": {"$vlt": "1.2.3"}}, ["a"], False, True),
        ({"x": {"$vlte": "1.2.3"}}, "1.2.3", True, True),
        ({"x": {"$vgt": "1.2"}}, "1.10", True, True),
        ({"x": {"$vgte": "1.2"}}, 1, False, False),
        ({"x": {"$regex": "^5$"}}, 5, False, True),
        ({"x": {"$regexi": "TRUE"}}, True, False, True),
        ({"x": {"$regex": "("}}, 5, False, False),
        ({"x": {"$alli": ["A"]}}, ["a"], True, True),
        ({"x": {"$eq": "5"}}, 5, False, False),
        ({"$not": {"x": {"$bogus": 1}}}, 1, False, True),
    ],
    ids=range(30),
)
def test_values_of_different_types_are_compared_when_it_is_asked_for(condition, found, strict, coerced):
    attributes = {"x": found}

    assert holds(condition, attributes) is strict
    assert Conditions({}, {}, coerce=True).test(condition)(attributes) is coerced


def test_a_reader_compares_values_of_different_types_when_it_is_asked_for():
    features = rules({"condition": {"age": {"$gt": 17}}, "force": True})

    assert [load(features, coerce=coerce).is_enabled("f", {"age": "18"}) for coerce in (False, True)] == [
        False,
        True,
    ]


def test_groups_that_refer_to_each_other_without_end_do_not_hold():
    groups = {
        f"g{n}": {"type": "condition", "condition": {"$and": [{"$savedGroup": {"id": f"g{n + 1}"}}] * 2}}
        for n in range(40)
    } | {"g40": {"type": "condition", "condition": {}}}

    assert holds({"$savedGroup": {"id": "g0"}}, {}, groups) is False
    assert holds({"$savedGroup": {"id": "g39"}}, {}, groups) is True


@pytest.mark.parametrize(
    ("value", "on"),
    [
        (True, True),
        (0, False),
        (1, True),
        ("", False),
        ("off", True),
        ([], True),
        ({}, True),
        (None, False),
        (float("nan"), False),
    ],
    ids=range(9),
)
def test_a_feature_is_on_when_javascript_says_so(value, on):
    reader = load({"f": {"defaultValue": value}})

    assert (reader.is_enabled("f"), reader.feature("f").on) == (on, on)


def test_a_rollout_takes_nobody_out_when_it_grows():
    units = [{"id": f"u{n}"} for n in range(2_000)]

    readers = [
        load(rules({"force": True, "coverage": share, "hashVersion": 2}))
        for share in (0, 0.1, 0.5, 0.5001, 1)
    ]
    on = [{n for n, unit in enumerate(units) if reader.is_enabled("f", unit)} for reader in readers]

    assert all(less <= more for less, more in itertools.pairwise(on))
    assert (len(on[0]), len(on[-1])) == (0, 2_000)


def test_a_force_of_null_is_a_value():
    found = load(rules({"force": None}, default="x")).feature("f")

    assert (found.value, found.source) == (None, "force")


@pytest.mark.parametrize("unit", [None, "", 0, True, [], {}, float("nan"), 10**400], ids=range(8))
def test_what_identifies_nobody_is_in_no_rollout_and_no_experiment(unit):
    reader = load(rules({"force": True, "coverage": 1}, {"variations": [1, 2]}))

    assert reader.feature("f", {"id": unit}).source == "defaultValue"


def test_the_user_of_our_contexts_is_the_id():
    reader = load(rules({"variations": ["a", "b"]}))

    assert reader.feature("f", {"user_id": "u1"}).result == reader.feature("f", {"id": "u1"}).result
    assert reader.feature("f", {"user_id": "u1"}).source == "experiment"


def test_units_outside_of_the_namespace_take_no_part():
    rule = {"variations": ["a", "b"], "namespace": ["menu", 0, 0.5]}
    other = rule | {"namespace": ["menu", 0.5, 1]}
    first, second = load(rules(rule)), load(rules(other))

    taking_part = [
        [reader.feature("f", {"id": f"u{n}"}).source == "experiment" for n in range(400)]
        for reader in (first, second)
    ]

    assert all(one != two for one, two in zip(*taking_part, strict=True))


def test_a_holdout_goes_on_with_the_rules_after_it():
    holdout = {
        "key": "holdout",
        "variations": ["control", "rest"],
        "ranges": [[0, 0.1], [0.1, 1]],
        "meta": [{"key": "held"}, {"key": "rest", "passthrough": True}],
    }
    reader = load(rules(holdout, {"force": "new"}))

    values = [reader.feature("f", {"id": f"u{n}"}).value for n in range(1_000)]

    assert set(values) == {"control", "new"}
    assert 50 < values.count("control") < 150


def test_a_forced_variation_is_served_to_everybody_and_told_as_an_override():
    reader = load(rules({"key": "e", "variations": ["a", "b"]}), forced_variations={"e": 1})

    detail = reader.detail("f", {"id": "u1"})

    assert (detail.value, detail.variant, detail.reason) == ("b", "1", "OVERRIDE")


def test_a_forced_variation_that_is_not_there_forces_nothing():
    assert (
        load(rules({"key": "e", "variations": ["a", "b"]}), forced_variations={"e": 7})
        .feature("f", {"id": "1"})
        .source
        == "defaultValue"
    )


def test_nobody_takes_part_in_qa_mode():
    assert (
        load(rules({"variations": ["a", "b"]}), qa_mode=True).feature("f", {"id": "u1"}).source
        == "defaultValue"
    )


def test_a_prerequisite_gates_the_feature_or_skips_the_rule():
    parent = {"id": "parent", "condition": {"value": True}}
    features = {
        "parent": {"defaultValue": False, "rules": [{"condition": {"plan": "pro"}, "force": True}]},
        "gated": {"defaultValue": "d", "rules": [{"parentConditions": [parent | {"gate": True}]}]},
        "skipped": {"defaultValue": "d", "rules": [{"parentConditions": [parent], "force": "n"}]},
    }
    reader = load(features)

    seen = [
        [
            (found.value, found.source)
            for key in ("gated", "skipped")
            if (found := reader.feature(key, context))
        ]
        for context in ({}, {"plan": "pro"})
    ]

    assert seen == [[(None, "prerequisite"), ("d", "defaultValue")], [("d", "defaultValue"), ("n", "force")]]
    assert reader.resolve("gated", "mine").value == "mine"
    assert reader.detail("gated").reason == "PREREQUISITE_FAILED"


@pytest.mark.parametrize(
    "parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}], ids=range(3)
)
def test_prerequisites_in_a_circle_are_an_error(parents):
    reader = load(
        {
            key: {"defaultValue": 1, "rules": [{"parentConditions": [{"id": parent}]}]}
            for key, parent in parents.items()
        }
    )

    assert reader.feature("a").source == "cyclicPrerequisite"
    assert (reader.detail("a").reason, reader.detail("a").value) == ("ERROR", None)


def test_prerequisites_that_multiply_end():
    features = {
        f"f{n}": {"defaultValue": 1, "rules": [{"parentConditions": [{"id": f"f{n + 1}"}] * 3}]}
        for n in range(45)
    }

    detail = load(features).resolve("f0", "mine")

    assert (detail.value, detail.reason) == ("mine", "ERROR")


def test_an_experiment_of_the_code_runs_with_what_the_document_knows():
    experiment = {"key": "e", "variations": ["a", "b"], "condition": {"team": {"$inGroup": "g"}}}
    reader = load(groups={"g": ["web"]})

    results = [
        reader.run(experiment, context)
        for context in ({"id": "1", "team": "web"}, {"id": "1"}, {"team": "web"})
    ]

    assert [result.in_experiment for result in results] == [True, False, False]


@pytest.mark.parametrize(
    ("fields", "in_experiment", "value"),
    [
        ({"active": False}, False, "a"),
        ({"status": "draft"}, False, "a"),
        ({"status": "stopped"}, False, "a"),
        ({"force": 1}, True, "b"),
        ({"hashVersion": 99}, False, "a"),
        ({"coverage": 0}, False, "a"),
        ({"variations": ["only"]}, False, "only"),
        ({"variations": []}, False, None),
        ({"filters": [{"seed": "s", "ranges": [[0, 0]]}]}, False, "a"),
        ({"parentConditions": [{"id": "absent", "condition": {"value": True}}]}, False, "a"),
    ],
    ids=range(10),
)
def test_who_takes_no_part_is_served_the_first_variation(fields, in_experiment, value):
    result = load().run({"key": "e", "variations": ["a", "b"]} | fields, {"id": "u1"})

    assert (result.in_experiment, result.value) == (in_experiment, value)


STICKY = {"key": "e", "variations": ["a", "b"], "meta": [{"key": "ka"}, {"key": "kb"}], "bucketVersion": 1}


def test_a_unit_keeps_its_variation_when_the_weights_change():
    store = growthbook.MemoryStickyBuckets()
    unit = {"id": "u1"}
    before = load(rules(STICKY), sticky=store).feature("f", unit)

    moved = [1, 0] if before.result.variation_id else [0, 1]
    after = load(rules(STICKY | {"weights": moved}), sticky=store).feature("f", unit)

    assert (after.value, after.result.sticky_bucket_used) == (before.value, True)
    assert dict(store.assignments("id", "u1")) == {"e__1": before.result.key}


def test_a_unit_keeps_its_variation_when_it_no_longer_fits_the_condition():
    store = growthbook.MemoryStickyBuckets()
    reader = load(rules(STICKY | {"condition": {}}), sticky=store)
    reader.feature("f", {"id": "u1"})

    narrowed = {**STICKY, "filters": [{"seed": "s", "ranges": [[0, 0]]}]}

    assert load({}, sticky=store).run(narrowed, {"id": "u1"}).in_experiment


def test_a_unit_keeps_its_variation_when_it_logs_in():
    store = growthbook.MemoryStickyBuckets()
    rule = STICKY | {"hashAttribute": "id", "fallbackAttribute": "device"}
    reader = load(rules(rule), sticky=store)
    results = {}
    for device in map(str, range(40)):
        anonymous = reader.feature("f", {"device": device}).value
        results[device] = (anonymous, reader.feature("f", {"device": device, "id": f"u{device}"}).value)

    assert all(before == after for before, after in results.values())


def test_the_own_assignment_wins_over_that_of_the_fallback():
    store = growthbook.MemoryStickyBuckets()
    store.save("id", "u1", {"e__1": "ka"})
    store.save("device", "d1", {"e__1": "kb"})
    rule = STICKY | {"fallbackAttribute": "device"}

    assert load(rules(rule), sticky=store).feature("f", {"id": "u1", "device": "d1"}).value == "a"
    assert dict(store.assignments("device", "d1")) == {"e__1": "kb"}


def test_a_blocked_version_takes_the_unit_out():
    store = growthbook.MemoryStickyBuckets()
    store.save("id", "u1", {"e__0": "ka"})
    rule = STICKY | {"minBucketVersion": 1}

    reader = load(rules(rule), sticky=store)

    assert [reader.feature("f", {"id": unit}).source for unit in ("u1", "u2")] == [
        "defaultValue",
        "experiment",
    ]


@pytest.mark.parametrize(
    ("fields", "options"), [({"disableStickyBucketing": True}, {}), ({}, {"sticky": None})], ids=range(2)
)
def test_sticky_buckets_are_off_when_the_rule_or_the_service_says_so(fields, options):
    store = growthbook.MemoryStickyBuckets()

    load(rules(STICKY | fields), **({"sticky": store} | options)).feature("f", {"id": "u1"})

    assert len(store) == 0


def test_an_unknown_variation_in_the_store_is_hashed_again():
    store = growthbook.MemoryStickyBuckets()
    store.save("id", "u1", {"e__1": "gone"})

    assert load(rules(STICKY), sticky=store).feature("f", {"id": "u1"}).result.sticky_bucket_used is False


def test_sticky_buckets_forget_the_least_recent():
    store = growthbook.MemoryStickyBuckets(most=2)
    for unit in ("a", "b"):
        store.save("id", unit, {"e__0": "0"})

    store.assignments("id", "a")
    store.save("id", "c", {"e__0": "0"})

    assert [bool(store.assignments("id", unit)) for unit in ("a", "b", "c")] == [True, False, True]


def test_sticky_buckets_for_nobody_are_refused():
    with pytest.raises(InvalidArgumentError, match="most must be > 0, got 0"):
        growthbook.MemoryStickyBuckets(most=0)


class BrokenStore:
    def assignments(self, attribute, value):
        raise OSError("disk")

    def save(self, attribute, value, assignments):
        raise OSError("disk")


def test_a_store_that_breaks_gives_an_error_and_no_exception():
    detail = load(rules(STICKY), sticky=BrokenStore()).resolve("f", "mine", {"id": "u1"})

    assert (detail.value, detail.reason, detail.error_code) == ("mine", "ERROR", "GENERAL")


def test_an_exposure_is_told_once_per_unit_and_variation():
    events, told = Events(), []
    events.subscribe(FlagExposed, told.append)
    reader = load(
        rules({"key": "e", "phase": "2", "variations": ["a", "b"], "meta": [{"key": "ka"}, {"key": "kb"}]}),
        events=events,
    )

    for unit in ("u1", "u1", "u2"):
        reader.is_enabled("f", {"id": unit})
    reader.run({"key": "inline", "variations": [1, 2]}, {"id": "u1"})

    assert [(found.key, found.unit, found.rule_id, found.phase) for found in told] == [
        ("f", "u1", "e", 2),
        ("f", "u2", "e", 2),
        ("inline", "u1", "inline", 0),
    ]
    assert {found.variant for found in told[:2]} <= {"ka", "kb"}


def test_who_is_forced_or_not_in_the_experiment_is_not_told():
    events, told = Events(), []
    events.subscribe(FlagExposed, told.append)

    load(rules({"key": "e", "variations": [1, 2]}), forced_variations={"e": 1}, events=events).is_enabled(
        "f", {"id": "u1"}
    )
    load(rules({"key": "e", "variations": [1, 2], "coverage": 0}), events=events).is_enabled(
        "f", {"id": "u1"}
    )

    assert told == []


@pytest.mark.parametrize(
    ("feature", "context", "reason", "variant"),
    [
        ({"defaultValue": 1}, {}, "STATIC", None),
        ({"defaultValue": 1, "rules": [{"condition": {"x": 1}, "force": 2}]}, {}, "DEFAULT", None),
        (
            {"defaultValue": 1, "rules": [{"condition": {"x": 1}, "force": 2}]},
            {"x": 1},
            "TARGETING_MATCH",
            None,
        ),
        (
            {"defaultValue": 1, "rules": [{"variations": [2, 3], "weights": [1, 0]}]},
            {"id": "u"},
            "SPLIT",
            "0",
        ),
    ],
    ids=range(4),
)
def test_a_detail_says_why(feature, context, reason, variant):
    detail = load({"f": feature}).detail("f", context)

    assert (detail.reason, detail.variant) == (reason, variant)


def test_a_value_that_is_an_object_is_a_copy():
    reader = load({"f": {"defaultValue": {"l": [1]}}, "g": {"defaultValue": 0, "rules": [{"force": [1]}]}})

    reader.detail("f").value["l"].append(2)
    reader.detail("g").value.append(2)

    assert (reader.detail("f").value, reader.detail("g").value) == ({"l": [1]}, [1])


def test_rules_nobody_knows_are_passed_over():
    bandit = {"contextualVariations": [1, 2], "contextualBanditRef": "b"}

    assert load(rules(bandit, {"force": "next"})).feature("f", {"id": "u"}).value == "next"


def test_an_unknown_feature_has_no_detail():
    assert (load().detail("f"), load().is_enabled("f"), load().feature("f").source) == (
        None,
        False,
        "unknownFeature",
    )


def test_a_reader_is_a_source_of_our_flags():
    flags = Flags(sources=(load(rules({"force": True, "condition": {"plan": "pro"}})),))

    assert flags.is_enabled("f", {"plan": "pro"})
    assert not flags.is_enabled("f", {"plan": "free"})


def test_eight_threads_get_the_answers_of_their_own_contexts():
    reader = load(rules({"force": True, "condition": {"n": {"$lt": 4}}}))
    wrong = []

    def ask(n):
        wrong.extend(n for _ in range(2_000) if reader.is_enabled("f", {"n": n}) is not (n < 4))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert wrong == []


def test_an_encrypted_document_is_refused_with_the_way_out():
    with pytest.raises(FlagDocumentError, match="decrypt it"):
        growthbook.load({"encryptedFeatures": "abc"})


def test_every_fault_of_a_document_is_listed():
    rule = {
        "variations": 5,
        "coverage": "half",
        "range": [1],
        "ranges": [[0, "x"]],
        "filters": [{}],
        "namespace": ["n"],
        "parentConditions": [{"id": 5}],
        "hashAttribute": 3,
        "bucketVersion": -1,
        "meta": ["x"],
    }

    with pytest.raises(FlagDocumentError) as refused:
        growthbook.load({"features": {"f": {"rules": [rule]}, "g": 5}, "savedGroups": [] or [1]})

    assert [fault.split(":")[0].removeprefix("features.f.rules[0].") for fault in refused.value.faults] == [
        "variations",
        "meta[0]",
        "hashAttribute",
        "coverage",
        "bucketVersion",
        "range",
        "ranges[0]",
        "filters[0].ranges",
        "namespace",
        "parentConditions[0].id",
        "features.g",
        "savedGroups",
    ]


def test_an_experiment_of_the_code_that_is_none_is_refused():
    with pytest.raises(FlagDocumentError, match="variations"):
        load().run({"key": "e"})


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just(object())
    | st.frozensets(st.integers(), max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    [
        "x",
        "x.y",
        "$or",
        "$and",
        "$not",
        "$nor",
        "$eq",
        "$gt",
        "$vlt",
        "$in",
        "$nin",
        "$all",
        "$elemMatch",
        "$size",
        "$regex",
        "$exists",
        "$type",
        "$inGroup",
        "$savedGroup",
        "$bogus",
        "id",
    ]
)
_CONDITIONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None)
@given(_CONDITIONS, st.dictionaries(st.sampled_from(["x", "id", "user_id"]), _VALUES))
def test_no_condition_and_no_attribute_makes_an_evaluation_raise(condition, context):
    reader = load(
        rules({"condition": condition, "variations": [1, 2]}, {"force": 1, "coverage": 0.5}),
        groups={"g": ["x"]},
    )

    assert reader.is_enabled("f", context) in {True, False}
    assert reader.feature("f", context) is not None


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "features",
                        "rules",
                        "force",
                        "coverage",
                        "variations",
                        "weights",
                        "condition",
                        "filters",
                        "ranges",
                        "namespace",
                        "parentConditions",
                        "id",
                        "meta",
                        "hashVersion",
                        "savedGroups",
                        "seed",
                        "phase",
                        "key",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
    ).map(lambda inner: {"features": {"f": inner, "g": {"rules": [inner]}}})
)
def test_any_document_loads_or_is_refused_in_our_words(document):
    try:
        reader = growthbook.load(document)
    except SharedError:
        return

    for key in reader.keys():
        assert reader.detail(key, {"id": "1"}) is not None
