"""From a document to a snapshot."""

import pytest

from shared.errors import FlagDocumentError, FlagUnavailableError
from shared.feature_flags import (
    Flag,
    FlagDocument,
    Overlay,
    Prerequisite,
    Rule,
    Schedule,
    Split,
    compile_flags,
)


def compiled(*flags, segments=None, **options):
    return compile_flags(FlagDocument({flag.key: flag for flag in flags}, segments), **options)


def chain(length):
    flags = [Flag("f0", default=True)]
    for n in range(1, length + 1):
        flags.append(Flag(f"f{n}", default=True, prerequisites=[Prerequisite(f"f{n - 1}")]))
    return flags


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


# --- reasons ----------------------------------------------------------------------------------------


def test_every_way_to_an_answer_has_its_reason():
    flags = [
        Flag("static"),
        Flag("killed", default=True, enabled=False),
        Flag("ruled", rules=[Rule("on", when={"attr": "plan", "op": "eq", "value": "pro"}, id="pro")]),
        Flag("split", rollout=100),
        Flag("needs", default=True, prerequisites=[Prerequisite("static")]),
        Flag("forced"),
    ]
    snapshot = compiled(*flags, overrides={"forced": True})

    def look(key, **context):
        found = snapshot.detail(key, context)
        return found.value, found.variant, found.reason, found.rule_id

    assert look("static") == (False, "off", "STATIC", None)
    assert look("killed") == (False, "off", "DISABLED", None)
    assert look("ruled", plan="pro") == (True, "on", "TARGETING_MATCH", "pro")
    assert look("ruled", plan="free") == (False, "off", "DEFAULT", None)
    assert look("split", user_id="u") == (True, "on", "SPLIT", "rollout")
    assert look("needs") == (False, "off", "PREREQUISITE_FAILED", None)
    assert look("forced") == (True, "on", "OVERRIDE", None)
    assert snapshot.detail("unknown", default=3).value == 3
    assert snapshot.detail("unknown").error_code == "FLAG_NOT_FOUND"


def test_the_first_rule_that_matches_decides():
    flag = Flag("x", default="a", variants={"a": "a", "b": "b", "c": "c"}, rules=[
        Rule("b", when={"attr": "n", "op": "ge", "value": 10}),
        Rule("c", when={"attr": "n", "op": "ge", "value": 5}),
    ])  # fmt: skip
    snapshot = compiled(flag)

    assert [snapshot.detail("x", {"n": n}).value for n in (12, 7, 1)] == ["b", "c", "a"]
    assert snapshot.detail("x", {"n": 7}).rule_id == "rule-2"


def test_a_split_that_gives_nothing_falls_through():
    rules = [Rule(split=Split(coverage=0)), Rule("on", id="rest")]

    assert compiled(Flag("x", rules=rules)).detail("x", {"user_id": "u"}).rule_id == "rest"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        (Flag("x", default="a", variants={"a": "a", "b": "b"}, rules=[Rule("b")]), "b"),
        (Flag("x", default=1, variants={"a": 1, "b": 2}, rules=[Rule("b")]), 2),
        (Flag("x", type="float", default=1, variants={"a": 1, "b": 2}, rules=[Rule("b")]), 2.0),
        (Flag("x", default=[], variants={"a": [], "b": {"k": [1]}}, rules=[Rule("b")]), {"k": [1]}),
    ],
    ids=["str", "int", "float", "json"],
)
def test_values_have_the_type_of_the_flag(flag, value):
    found = compiled(flag).detail("x").value

    assert found == value
    assert type(found) is type(value)


def test_a_caller_cannot_change_the_value_of_others():
    snapshot = compiled(Flag("x", default={"limits": [1, 2]}))

    snapshot.detail("x").value["limits"].append(99)

    assert snapshot.detail("x").value == {"limits": [1, 2]}


# --- environments, schedules, prerequisites ---------------------------------------------------------


def test_an_overlay_applies_in_its_environment_only():
    flag = Flag("x", environments={"development": Overlay(default_variant="on")})

    assert compiled(flag, environment="development").detail("x").value is True
    assert compiled(flag, environment="production").detail("x").value is False


def test_a_schedule_follows_the_clock_it_is_given():
    clock = Clock()
    times = Schedule(start="2026-12-01T00:00:00Z", end="2026-12-02T00:00:00Z")
    snapshot = compiled(Flag("x", rules=[Rule("on", schedule=times)]), clock=clock)
    begin, end = times.start.timestamp(), times.end.timestamp()
    seen = []

    for clock.now in (begin - 1, begin, end - 1, end):
        seen.append(snapshot.detail("x").value)

    assert seen == [False, True, True, False]


def test_a_prerequisite_is_asked_with_the_same_context():
    beta = Flag("beta", rules=[Rule("on", when={"attr": "plan", "op": "eq", "value": "pro"})])
    flag = Flag("x", default=True, prerequisites=[Prerequisite("beta")])
    snapshot = compiled(flag, beta)

    assert snapshot.detail("x", {"plan": "pro"}).value is True
    assert snapshot.detail("x", {"plan": "free"}).reason == "PREREQUISITE_FAILED"


def test_an_override_of_a_prerequisite_counts_for_those_that_need_it():
    flags = [Flag("beta"), Flag("x", default=True, prerequisites=[Prerequisite("beta")])]

    assert compiled(*flags, overrides={"beta": True}).detail("x").value is True


def test_ten_levels_of_prerequisites_are_allowed_and_eleven_are_not():
    assert compiled(*chain(10)).detail("f10").value is True

    with pytest.raises(FlagDocumentError, match="10 levels"):
        compiled(*chain(11))


def test_thousands_of_levels_are_refused_and_not_a_hang():
    with pytest.raises(FlagDocumentError, match="10 levels"):
        compiled(*reversed(chain(3000)))


def test_a_killed_prerequisite_turns_off_those_that_need_it():
    flags = [
        Flag("beta", default=True, enabled=False),
        Flag("x", default=True, prerequisites=[Prerequisite("beta")]),
    ]

    assert compiled(*flags).detail("x").value is False


# --- what is refused --------------------------------------------------------------------------------


def test_a_document_is_refused_with_everything_that_is_wrong():
    flags = [
        Flag("a", prerequisites=[Prerequisite("b")]),
        Flag("b", prerequisites=[Prerequisite("a")]),
        Flag("c", prerequisites=[Prerequisite("nowhere")]),
        Flag("d", prerequisites=[Prerequisite("e", ["maybe"])]),
        Flag("e", rules=[Rule("on", when={"segment": "gone"})]),
        Flag("f", rules=[Rule("on", when={"attr": "a", "op": "regex", "value": "("})]),
        Flag("g", rules=[Rule("on", id="same"), Rule("off", id="same")]),
        Flag("h", environments={"production": Overlay(default_variant="maybe")}),
        Flag("i", rules=[Rule(split=Split(coverage=5)), Rule(split=Split())]),
    ]
    segments = {"s": {"segment": "t"}, "t": {"not": {"segment": "s"}}}

    with pytest.raises(FlagDocumentError) as caught:
        compiled(*flags, segments=segments, environment="production", overrides={"z": True, "c": "yes"})

    text = str(caught.value)
    for part in ("circle: a -> b -> a", "circle: s -> t -> s", "'nowhere'", "no variant 'maybe'", "'gone'", "a regex",
                 "two rules have the id 'same'", "flags.h.environments.production", "salt of its own",
                 "override of 'z'", "override of 'c'"):  # fmt: skip
        assert part in text, part


def test_two_splits_with_a_salt_each_are_two_draws():
    rules = [Rule(split=Split(coverage=50_000)), Rule(split=Split(coverage=50_000, salt="second"))]
    snapshot = compiled(Flag("x", rules=rules))

    share = sum(snapshot.detail("x", f"u-{n}").value for n in range(4000)) / 4000

    assert 0.71 < share < 0.79


def test_the_rollout_of_a_flag_draws_for_itself_after_its_rules():
    snapshot = compiled(Flag("x", rules=[Rule(split=Split(coverage=50_000))], rollout=50))

    share = sum(snapshot.detail("x", f"u-{n}").value for n in range(4000)) / 4000

    assert 0.71 < share < 0.79


# --- required, and states ---------------------------------------------------------------------------


def test_a_required_flag_raises_while_the_store_was_never_reached():
    flags = [Flag("guard", default=True, required=True), Flag("plain", default=True)]
    snapshot = compiled(*flags, state="defaults")

    with pytest.raises(FlagUnavailableError, match="guard"):
        snapshot.detail("guard")
    assert snapshot.detail("plain").value is True


def test_a_flag_that_needs_an_unavailable_one_is_an_error_and_raises_nothing():
    flags = [Flag("guard", required=True), Flag("plain", prerequisites=[Prerequisite("guard")])]

    assert compiled(*flags, state="defaults").detail("plain").reason == "ERROR"


class Failing(dict):
    def get(self, *_):
        raise RuntimeError("no")


def test_a_context_that_fails_gives_the_default_with_an_error():
    flag = Flag("x", rules=[Rule("on", when={"attr": "a", "op": "eq", "value": "b"})])

    found = compiled(flag).detail("x", Failing())

    assert (found.value, found.reason, found.error_code) == (False, "ERROR", "GENERAL")


def test_a_required_flag_raises_where_its_evaluation_fails():
    flag = Flag("x", required=True, rules=[Rule("on", when={"attr": "a", "op": "eq", "value": "b"})])

    with pytest.raises(FlagUnavailableError, match="RuntimeError"):
        compiled(flag).detail("x", Failing())


def test_what_is_stale_says_so_and_an_override_stays_one():
    snapshot = compiled(Flag("x", default=True), Flag("y"), overrides={"y": True}, state="stale")

    assert (snapshot.detail("x").value, snapshot.detail("x").reason) == (True, "STALE")
    assert snapshot.detail("y").reason == "OVERRIDE"


# --- sticky -----------------------------------------------------------------------------------------


class Memory:
    def __init__(self):
        self.kept = {}

    def get(self, *name):
        return self.kept.get(name)

    def put(self, key, rule_id, phase, unit, variant):
        self.kept[key, rule_id, phase, unit] = variant


class Broken:
    def get(self, *_):
        raise OSError

    def put(self, *_):
        raise OSError


def sticky(weights, phase=1):
    return Flag("x", default="a", variants={"a": "a", "b": "b"}, rules=[Rule(id="ab", split=Split(weights, sticky=True, phase=phase))])  # fmt: skip


def test_a_sticky_unit_keeps_what_it_got_when_weights_change():
    memory = Memory()
    units = [f"u-{n}" for n in range(50)]
    first = compiled(sticky({"a": 1, "b": 1}), assignments=memory)
    before = [first.detail("x", unit).value for unit in units]

    after = compiled(sticky({"a": 0, "b": 1}), assignments=memory)

    assert [after.detail("x", unit).value for unit in units] == before
    assert {after.detail("x", f"new-{n}").value for n in range(20)} == {"b"}


def test_another_phase_draws_anew():
    memory = Memory()
    first = compiled(sticky({"a": 1}), assignments=memory)
    assert first.detail("x", "u-1").value == "a"

    assert compiled(sticky({"b": 1}, phase=2), assignments=memory).detail("x", "u-1").value == "b"


def test_a_variant_that_is_gone_is_not_kept():
    memory = Memory()
    compiled(sticky({"a": 1}), assignments=memory).detail("x", "u-1")

    assert compiled(sticky({"b": 1}), assignments=memory).detail("x", "u-1").value == "b"


def test_a_store_of_assignments_that_fails_is_as_good_as_none():
    plain, broken = (
        compiled(sticky({"a": 1, "b": 1})),
        compiled(sticky({"a": 1, "b": 1}), assignments=Broken()),
    )

    for n in range(20):
        assert broken.detail("x", f"u-{n}").value == plain.detail("x", f"u-{n}").value
