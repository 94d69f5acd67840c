"""The Unleash reader: strategies, constraints, segments, variants and dependencies."""

import itertools
import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import FlagDocumentError, SharedError
from shared.feature_flags import Flags
from shared.feature_flags.readers import unleash


def feature(name="f", *strategies, **fields):
    return {"name": name, "enabled": True, "strategies": list(strategies), **fields}


def strategy(name="default", /, *, constraints=(), segments=(), **parameters):
    return {
        "name": name,
        "parameters": parameters,
        "constraints": list(constraints),
        "segments": list(segments),
    }


def constraint(field, operator, *values, **fields):
    return {"contextName": field, "operator": operator, "values": list(values), **fields}


def load(*features, segments=(), **options):
    return unleash.load({"version": 2, "features": list(features), "segments": list(segments)}, **options)


def holds(a_constraint, context, **options):
    return load(feature("f", strategy(constraints=[a_constraint])), **options).is_enabled("f", context)


# Units and what the format's own clients answer for them.
@pytest.mark.parametrize(
    ("group", "percent", "unit", "expected"),
    [
        ("Feature.flexibleRollout.10", "10", "174", True),
        ("Feature.flexibleRollout.10", "10", "499", False),
        ("Feature.flexibleRollout.userId.55", "55", "25", True),
        ("Feature.flexible.rollout.custom.stickiness_50", "50", "402", False),
        ("Feature.flexible.rollout.custom.stickiness_50", "50", "388", True),
        ("Feature.flexible.rollout.custom.stickiness_50", "50", "39", True),
    ],
)
def test_a_rollout_puts_units_where_the_clients_of_unleash_do(group, percent, unit, expected):
    rollout = strategy("flexibleRollout", rollout=percent, stickiness="userId", groupId=group)

    assert load(feature("f", rollout)).is_enabled("f", {"userId": unit}) is expected


def test_the_group_of_a_rollout_is_the_name_of_the_flag_when_none_is_given():
    rollout = strategy("flexibleRollout", rollout="10", stickiness="default")

    reader = load(feature("Feature.flexibleRollout.10", rollout))

    assert reader.is_enabled("Feature.flexibleRollout.10", {"userId": "174"})


@pytest.mark.parametrize("unit", ["174", 174, 174.0])
def test_a_number_is_the_same_unit_as_its_text(unit):
    rollout = strategy("flexibleRollout", rollout="10", groupId="Feature.flexibleRollout.10")

    assert load(feature("f", rollout)).is_enabled("f", {"userId": unit})


def test_raising_a_percentage_removes_nobody():
    units = [{"userId": f"u{n}"} for n in range(2_000)]

    readers = [load(feature("f", strategy("flexibleRollout", rollout=str(n)))) for n in (0, 10, 50, 90, 100)]
    on = [{n for n, unit in enumerate(units) if reader.is_enabled("f", unit)} for reader in readers]

    assert all(less <= more for less, more in itertools.pairwise(on))
    assert (len(on[0]), len(on[-1])) == (0, 2_000)
    assert 850 < len(on[2]) < 1_150


def test_default_stickiness_is_the_user_then_the_session_then_chance():
    rollout = strategy("flexibleRollout", rollout="10", groupId="Feature.flexibleRollout.10")
    reader = load(feature("f", rollout), draw=lambda: 0.0173)

    answers = [reader.is_enabled("f", context) for context in ({"userId": "499"}, {"sessionId": "174"}, {})]

    assert answers == [False, True, True]


@pytest.mark.parametrize("sticks_to", ["userId", "sessionId", "plan"])
def test_a_rollout_is_off_when_the_field_it_sticks_to_is_absent(sticks_to):
    rollout = strategy("flexibleRollout", rollout="100", stickiness=sticks_to)

    assert not load(feature("f", rollout)).is_enabled("f", {sticks_to: ""})


@pytest.mark.parametrize(
    ("name", "field"), [("gradualRolloutUserId", "userId"), ("gradualRolloutSessionId", "sessionId")]
)
def test_an_old_rollout_needs_its_field(name, field):
    reader = load(feature("f", strategy(name, percentage="100", groupId="g")))

    assert (reader.is_enabled("f", {field: "1"}), reader.is_enabled("f", {})) == (True, False)


def test_a_random_rollout_follows_the_draw():
    draws = iter([0.49, 0.51])
    reader = load(feature("f", strategy("gradualRolloutRandom", percentage="50")), draw=lambda: next(draws))

    assert [reader.is_enabled("f"), reader.is_enabled("f")] == [True, False]


def test_user_with_id_knows_the_listed_and_nobody_else():
    reader = load(feature("f", strategy("userWithId", userIds="ada, 12,,bob ")))

    answers = [reader.is_enabled("f", {"userId": unit}) for unit in ("ada", 12, "bob", "", "eve", None)]

    assert answers == [True, True, True, False, False, False]


def test_remote_address_knows_addresses_and_networks_and_passes_over_nonsense():
    reader = load(feature("f", strategy("remoteAddress", IPs="10.0.0.0/8, nonsense, ::1, 192.168.0.7")))

    addresses = ("10.1.2.3", "192.168.0.7", "192.168.0.8", "::1", "nonsense", None)

    answers = [reader.is_enabled("f", {"remoteAddress": address}) for address in addresses]

    assert answers == [True, True, False, True, False, False]


def test_application_hostname_is_that_of_the_machine_in_any_case():
    document = feature("f", strategy("applicationHostname", hostNames="a, Web-1"))

    assert load(document, hostname="web-1").is_enabled("f")
    assert not load(document, hostname="web-2").is_enabled("f")


def test_an_unknown_strategy_is_for_nobody():
    assert not load(feature("f", strategy("fromTheFuture"))).is_enabled("f")


def test_a_disabled_strategy_is_for_nobody():
    assert not load(feature("f", strategy() | {"disabled": True})).is_enabled("f")


def test_one_of_several_strategies_is_enough():
    reader = load(feature("f", strategy("userWithId", userIds="ada"), strategy("userWithId", userIds="bob")))

    assert reader.is_enabled("f", {"userId": "bob"})


@pytest.mark.parametrize(
    ("operator", "values", "found", "expected"),
    [
        ("IN", ["a", "b"], "a", True),
        ("IN", ["a"], "A", False),
        ("IN", ["1"], 1, True),
        ("IN", ["true"], True, True),
        ("IN", [], "a", False),
        ("IN", ["a"], None, False),
        ("IN", ["a"], ["a"], False),
        ("NOT_IN", ["a"], "a", False),
        ("NOT_IN", ["a"], None, True),
        ("NOT_IN", [], "a", True),
        ("STR_STARTS_WITH", ["x", "ab"], "abc", True),
        ("STR_ENDS_WITH", ["bc"], "abc", True),
        ("STR_ENDS_WITH", ["BC"], "abc", False),
        ("STR_CONTAINS", ["b"], "abc", True),
        ("STR_CONTAINS", ["b"], None, False),
        ("IN_CIDR", ["10.0.0.0/8", "bad"], "10.2.3.4", True),
        ("IN_CIDR", ["bad"], "10.2.3.4", False),
        ("IN_CIDR", ["2001:db8::/32"], "2001:db8::1", True),
        ("IN_CIDR", ["10.0.0.0/8"], "nonsense", False),
        ("NOT_AN_OPERATOR", ["a"], "a", False),
    ],
)
def test_a_constraint_over_several_values(operator, values, found, expected):
    assert holds(constraint("x", operator, *values), {"x": found}) is expected


@pytest.mark.parametrize(
    ("operator", "value", "found", "expected"),
    [
        ("NUM_EQ", "12.0", "12", True),
        ("NUM_EQ", "12", 12.0, True),
        ("NUM_EQ", "12", True, False),
        ("NUM_GT", "12", "13", True),
        ("NUM_GTE", "12", "12", True),
        ("NUM_LT", "12", "-1e3", True),
        ("NUM_LTE", "12", "12.5", False),
        ("NUM_EQ", "12", "twelve", False),
        ("NUM_EQ", "twelve", "twelve", False),
        ("NUM_GT", "1", "1_000", False),
        ("NUM_GT", "1", "inf", False),
        ("NUM_GT", "1", 10**400, False),
        ("SEMVER_EQ", "1.2.3", "1.2.3+build", True),
        ("SEMVER_EQ", "v1.2.3", "v1.2.3", False),
        ("SEMVER_GT", "1.2.3-rc", "1.2.3", True),
        ("SEMVER_GT", "1.2.3-alpha.2", "1.2.3-alpha.10", True),
        ("SEMVER_GT", "1.2.3-alpha.2", "1.2.3-alpha.beta", True),
        ("SEMVER_LT", "1.2.3", "1.10.0", False),
        ("SEMVER_LTE", "1.2.3", "1.2", False),
        ("SEMVER_GTE", "1.2.3", "01.2.3", False),
        ("REGEX", "^a+$", "aaa", True),
        ("REGEX", "(", "aaa", False),
        ("REGEX", "^a+$", None, False),
        ("DATE_AFTER", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+02:00", False),
        ("DATE_BEFORE", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+02:00", True),
        ("DATE_AFTER", "2026-01-01T00:00:00Z", "2026-06-01", True),
        ("DATE_AFTER", "2026-01-01T00:00:00Z", datetime(2026, 6, 1), True),
        ("DATE_AFTER", "2026-01-01T00:00:00Z", "no date", False),
        ("DATE_AFTER", "no date", "2026-01-01", False),
        ("DATE_AFTER", "2026-01-01T00:00:00Z", None, False),
    ],
    ids=str,
)
def test_a_constraint_with_one_value(operator, value, found, expected):
    assert holds(constraint("x", operator, value=value), {"properties": {"x": found}}) is expected


@pytest.mark.parametrize("operator", ["IN", "STR_STARTS_WITH", "STR_ENDS_WITH", "STR_CONTAINS"])
def test_a_constraint_ignores_case_when_it_says_so(operator):
    assert holds(constraint("x", operator, "ABC", caseInsensitive=True), {"x": "abc"})


def test_an_inverted_constraint_holds_where_the_plain_one_does_not():
    inverted = constraint("x", "STR_CONTAINS", "b", inverted=True)

    assert [holds(inverted, {"x": text}) for text in ("abc", "xyz", None)] == [False, True, True]


def test_an_inverted_constraint_with_an_operator_nobody_knows_never_holds():
    assert not holds(constraint("x", "FROM_THE_FUTURE", "b", inverted=True), {"x": "a"})


def test_a_date_is_compared_with_the_clock_when_the_context_has_no_time():
    after = constraint("currentTime", "DATE_AFTER", value="2026-01-01T00:00:00Z")

    assert holds(after, {}, clock=lambda: datetime(2026, 2, 1, tzinfo=UTC))
    assert not holds(after, {}, clock=lambda: datetime(2025, 2, 1, tzinfo=UTC))


def test_segments_and_constraints_must_all_hold():
    segment = {"id": 1, "constraints": [constraint("plan", "IN", "pro")]}
    document = feature("f", strategy(constraints=[constraint("country", "IN", "no")], segments=[1]))
    reader = load(document, segments=[segment])

    contexts = ({"plan": "pro", "country": "no"}, {"plan": "pro"}, {"country": "no"})

    assert [reader.is_enabled("f", context) for context in contexts] == [True, False, False]


def test_a_segment_that_is_not_there_holds_for_nobody():
    assert not load(feature("f", strategy(segments=[404]))).is_enabled("f")


def variants(*names, **fields):
    return [
        {"name": name, "weight": 250, "payload": {"type": "string", "value": name}} | fields for name in names
    ]


@pytest.mark.parametrize(
    ("unit", "name"), [("616", "blue"), ("503", "red"), ("438", "green"), ("44", "yellow")]
)
def test_variants_are_those_the_clients_of_unleash_serve(unit, name):
    key = "Feature.flexible.rollout.custom.stickiness_100"
    reader = load(
        feature(
            key, strategy(), variants=variants("blue", "red", "green", "yellow", stickiness="plan", weight=25)
        )
    )

    found = reader.get_variant(key, {"plan": unit})

    assert found.to_dict() == {
        "name": name,
        "payload": {"type": "string", "value": name},
        "enabled": True,
        "feature_enabled": True,
    }


def test_an_override_wins_over_the_hash():
    listed = variants("a", "b")
    listed[1]["overrides"] = [{"contextName": "userId", "values": ["132", 61]}]
    reader = load(feature("f", strategy(), variants=listed))

    assert {reader.variant("f", {"userId": unit}) for unit in ("132", 61)} == {"b"}


def test_the_variant_says_nothing_about_who_is_in_the_rollout():
    document = feature("f", strategy("flexibleRollout", rollout="20"), variants=variants("a", "b"))
    reader = load(document)

    met = Counter(
        reader.variant("f", {"userId": f"u{n}"})
        for n in range(5_000)
        if reader.is_enabled("f", {"userId": f"u{n}"})
    )

    assert 0.4 < met["a"] / met.total() < 0.6


def test_variants_of_the_strategy_win_over_those_of_the_flag():
    own = strategy() | {"variants": variants("own")}

    assert load(feature("f", own, variants=variants("usual"))).variant("f") == "own"


def test_variants_of_a_strategy_stick_to_what_the_strategy_sticks_to():
    own = strategy("flexibleRollout", rollout="100", stickiness="plan") | {"variants": variants("a", "b")}
    reader = load(feature("f", own))

    assert {reader.variant("f", {"plan": "x", "userId": str(n)}) for n in range(50)} == {
        reader.variant("f", {"plan": "x"})
    }


def test_a_variant_without_weight_is_never_served():
    listed = variants("never", "always")
    listed[0]["weight"] = 0

    assert load(feature("f", strategy(), variants=listed)).variant("f") == "always"


@pytest.mark.parametrize(
    ("fields", "feature_enabled"),
    [({}, True), ({"variants": []}, True), ({"enabled": False}, False)],
    ids=range(3),
)
def test_without_variants_the_disabled_one_is_served(fields, feature_enabled):
    found = load(feature("f", strategy(), **fields)).get_variant("f")

    assert found.to_dict() == {"name": "disabled", "enabled": False, "feature_enabled": feature_enabled}


def test_the_payload_of_a_variant_is_read_by_its_type():
    payloads = [("number", "1.5"), ("json", '{"a": [1]}'), ("json", "{"), ("csv", "a,b"), ("string", "x")]

    values = [
        unleash.UnleashVariant(
            "v", enabled=True, feature_enabled=True, payload={"type": kind, "value": value}
        ).value
        for kind, value in payloads
    ]

    assert values == [1.5, {"a": [1]}, None, "a,b", "x"]


@pytest.mark.parametrize(
    ("dependency", "expected"),
    [
        ({"feature": "on"}, True),
        ({"feature": "on", "enabled": False}, False),
        ({"feature": "off"}, False),
        ({"feature": "off", "enabled": False}, True),
        ({"feature": "absent"}, False),
        ({"feature": "absent", "enabled": False}, False),
        ({"feature": "child"}, False),
        ({"feature": "f"}, False),
        ({"feature": "varied", "variants": ["red"]}, True),
        ({"feature": "varied", "variants": ["blue"]}, False),
        ({"feature": "varied", "variants": []}, True),
        ({"feature": "on", "variants": ["disabled"]}, True),
        ({"feature": "off", "variants": ["disabled"]}, False),
    ],
    ids=str,
)
def test_a_dependency_is_one_level_deep(dependency, expected):
    reader = load(
        feature("on", strategy()),
        feature("off", enabled=False),
        feature("varied", strategy(), variants=variants("red")),
        feature("child", strategy(), dependencies=[{"feature": "on"}]),
        feature("f", strategy(), dependencies=[dependency]),
    )

    assert reader.is_enabled("f") is expected
    assert reader.detail("f").reason == ("STATIC" if expected else "PREREQUISITE_FAILED")


@pytest.mark.parametrize(
    ("fields", "context", "reason", "variant"),
    [
        ({"enabled": False}, {}, "DISABLED", "off"),
        ({"strategies": []}, {}, "STATIC", "on"),
        ({"strategies": [strategy("userWithId", userIds="ada")]}, {"userId": "ada"}, "TARGETING_MATCH", "on"),
        ({"strategies": [strategy("userWithId", userIds="ada")]}, {}, "DEFAULT", "off"),
        ({"strategies": [strategy("flexibleRollout", rollout="99")]}, {"userId": "1"}, "SPLIT", "on"),
        ({"variants": variants("a", "b")}, {"userId": "1"}, "SPLIT", "a"),
    ],
    ids=range(6),
)
def test_a_detail_says_why(fields, context, reason, variant):
    detail = load({**feature("f", strategy()), **fields}).detail("f", context)

    assert (detail.reason, detail.variant) == (reason, variant)


def test_an_unknown_flag_is_off_and_has_no_detail():
    reader = load()

    assert (reader.is_enabled("f"), reader.detail("f"), reader.variant("f")) == (False, None, None)
    assert reader.get_variant("f").to_dict() == {
        "name": "disabled",
        "enabled": False,
        "feature_enabled": False,
    }


def test_names_of_our_contexts_serve_where_those_of_unleash_are_absent():
    reader = load(feature("f", strategy("userWithId", userIds="ada")))

    assert reader.is_enabled("f", {"user_id": "ada"})
    assert not reader.is_enabled("f", {"user_id": "ada", "userId": "eve"})


def test_the_events_of_the_delta_endpoint_are_applied_in_order():
    segment = {"id": 1, "constraints": [constraint("appName", "IN", "web")]}
    events = [
        {"type": "hydration", "features": [feature("gone", strategy())], "segments": [segment]},
        {"type": "feature-updated", "feature": feature("kept", strategy(segments=[1]))},
        {"type": "feature-updated", "feature": feature("removed", strategy())},
        {"type": "feature-removed", "featureName": "removed"},
        {"type": "segment-updated", "segment": {"id": 2, "constraints": []}},
        {"type": "segment-removed", "segmentId": 2},
        {"type": "from-the-future"},
    ]

    reader = unleash.load(json.dumps({"events": events}).encode())

    assert reader.keys() == ("gone", "kept")
    assert reader.is_enabled("kept", {"appName": "web"})


def test_every_fault_of_a_document_is_listed():
    document = {
        "features": [
            {"name": "", "strategies": [{"parameters": 3, "constraints": ["x"], "segments": 1}]},
            {"name": "b", "variants": [{"name": "v", "weight": -1}], "dependencies": [{}]},
            "nothing",
        ],
        "segments": [{"constraints": None}],
    }

    with pytest.raises(FlagDocumentError) as refused:
        unleash.load(document)

    places = [fault.split(":")[0] for fault in refused.value.faults]
    assert places == [
        "features[2]",
        "features[0].name",
        "features[0].strategies[0].name",
        "features[0].strategies[0].parameters",
        "features[0].strategies[0].constraints[0]",
        "features[0].strategies[0].segments",
        "features[1].variants[0].weight",
        "features[1].dependencies[0].feature",
        "segments[0].id",
    ]


def test_a_change_made_to_the_document_afterwards_changes_nothing():
    document = {"features": [feature("f", strategy("userWithId", userIds="ada"))]}
    reader = unleash.load(document)

    document["features"][0]["strategies"][0]["parameters"]["userIds"] = "eve"

    assert reader.is_enabled("f", {"userId": "ada"})


def test_a_reader_is_a_source_of_our_flags():
    flags = Flags(sources=(load(feature("f", strategy("userWithId", userIds="ada"))),))

    assert flags.is_enabled("f", {"user_id": "ada"})
    assert not flags.is_enabled("f", {"user_id": "eve"})


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=4)
    | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_EVERYTHING = load(
    *[
        feature(f"c{n}", strategy(constraints=[constraint("x", operator, "a", "1", value=value)]))
        for n, (operator, value) in enumerate(
            [
                ("IN", ""),
                ("NOT_IN", ""),
                ("STR_CONTAINS", ""),
                ("NUM_GT", "1"),
                ("SEMVER_GT", "1.0.0"),
                ("REGEX", "(a+)+$"),
                ("DATE_AFTER", "2026-01-01T00:00:00Z"),
                ("IN_CIDR", ""),
            ]
        )
    ],
    feature(
        "rollout",
        strategy("flexibleRollout", rollout="50", stickiness="x"),
        variants=variants("a", "b", stickiness="x"),
    ),
    feature("address", strategy("remoteAddress", IPs="10.0.0.0/8")),
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["x", "userId", "remoteAddress", "properties", "currentTime"]), _VALUES)
)
def test_no_attribute_makes_an_evaluation_raise(context):
    for key in _EVERYTHING.keys():
        assert _EVERYTHING.is_enabled(key, context) in {True, False}
        assert _EVERYTHING.detail(key, context) is not None
        assert _EVERYTHING.get_variant(key, context) is not None


class Hostile:
    def get(self, _name, _default=None):
        raise OSError("disk")


def test_a_context_that_breaks_gives_off_with_an_error():
    reader = load(feature("f", strategy("userWithId", userIds="ada")))

    detail = reader.detail("f", Hostile())

    assert (reader.is_enabled("f", Hostile()), detail.value, detail.reason, detail.error_code) == (
        False,
        False,
        "ERROR",
        "GENERAL",
    )
    assert reader.get_variant("f", Hostile()).enabled is False


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "strategies",
                    "variants",
                    "weight",
                    "constraints",
                    "values",
                    "segments",
                    "parameters",
                    "dependencies",
                    "feature",
                    "id",
                    "type",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={"features": _JSON, "segments": _JSON, "events": _JSON}))
def test_any_document_loads_or_is_refused_in_our_words(document):
    try:
        reader = unleash.load(document)
    except SharedError:
        return

    for key in reader.keys():
        assert reader.detail(key, {"userId": "1"}) is not None


@given(st.one_of(st.text(max_size=30), st.binary(max_size=30), st.integers(), st.none()))
def test_what_is_no_document_is_refused_in_our_words(source):
    with pytest.raises(FlagDocumentError):
        unleash.load(source)
