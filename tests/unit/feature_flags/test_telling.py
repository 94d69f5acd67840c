"""What flags tell: explanations, exposures, use, events of users, changes, warnings."""

import logging

import pytest

from shared.errors import FlagDocumentError, UnknownFlagError
from shared.feature_flags import (
    Detail,
    Flag,
    FlagDocument,
    FlagExposed,
    Flags,
    FlagsChanged,
    FlagTracked,
    Prerequisite,
    Rule,
    Schedule,
    Split,
)
from shared.feature_flags._exposure import Exposures
from shared.feature_flags._usage import Counters
from shared.monitoring import Metrics
from shared.runtime import Events


@pytest.fixture
def events():
    return Events()


AB = Flag("ab", default="a", variants={"a": "a", "b": "b"}, kind="experiment", rules=[Rule(id="test", split=Split({"a": 1, "b": 1}))])  # fmt: skip


# --- asking for what is not there, or is of another type ---------------------------------------------


@pytest.mark.parametrize("key", ["misspelt", "", "x" * 5000, 7, None, ("a",)], ids=["text", "empty", "long", "int", "none", "tuple"])  # fmt: skip
def test_an_unknown_flag_is_the_default_with_a_reason(key):
    flags = Flags([Flag("x")])

    assert flags.is_enabled(key) is False
    assert flags.is_enabled(key, default=True) is True
    assert flags.value(key, default=3) == 3
    assert flags.variant(key, default="v") == "v"
    assert flags.detail(key, default=3).error_code == "FLAG_NOT_FOUND"


def test_an_unknown_flag_is_logged_once(caplog):
    flags = Flags([Flag("x")])

    with caplog.at_level(logging.WARNING, "shared.feature_flags"):
        for _ in range(5):
            flags.is_enabled("misspelt")

    assert len(caplog.records) == 1


def test_strict_flags_raise_for_an_unknown_one():
    flags = Flags([Flag("x")], strict=True)

    for ask in (flags.is_enabled, flags.value, flags.variant, flags.detail):
        with pytest.raises(UnknownFlagError, match="misspelt"):
            ask("misspelt")


@pytest.mark.parametrize("default", ["off", 1, {"on": True}], ids=["text", "number", "json"])
def test_a_flag_that_is_no_bool_is_never_enabled(default):
    flags = Flags([Flag("mode", default=default)])

    assert flags.is_enabled("mode") is False
    assert flags.is_enabled("mode", default=True) is True


@pytest.mark.parametrize(
    ("stored", "default", "expected"),
    [(20, 5, 20), (20, 5.0, 20), (20, "large", "large"), (True, 1, 1), (1, True, True), ("a", 3, 3), (1.5, 1, 1), ([1], [], [1])],
    ids=str,
)  # fmt: skip
def test_a_value_of_another_type_than_the_default_is_the_default(stored, default, expected):
    flags = Flags([Flag("x", default=stored)])

    found = flags.value("x", default=default)

    assert found == expected
    fits = type(found) is type(stored) and found == stored
    assert flags.detail("x", default=default).error_code == (None if fits else "TYPE_MISMATCH")


def test_a_flag_of_another_type_in_the_store_leaves_the_one_of_the_code(caplog):
    flags = Flags([Flag("x", default=20)])

    flags.swap(FlagDocument({"x": Flag("x", default="many")}, revision=1))

    assert flags.value("x") == 20
    assert "another type" in caplog.text


def test_a_flag_the_code_requires_stays_required():
    flags = Flags([Flag("x", required=True)])

    flags.swap(FlagDocument({"x": Flag("x", default=True)}, revision=1))

    assert flags.flag("x").required is True


@pytest.mark.parametrize("context", ["u-1", 7, {"user_id": "u-1"}, object(), [1], 1.5, b"x"], ids=range(7))
def test_any_context_is_taken(context):
    assert Flags([AB]).value("ab", context) in ("a", "b")


# --- documents that are refused ----------------------------------------------------------------------


def test_a_document_that_contradicts_itself_leaves_the_old_one_in_force():
    flags = Flags([Flag("x", default=True)])
    circle = {
        "x": Flag("x", prerequisites=[Prerequisite("y")]),
        "y": Flag("y", prerequisites=[Prerequisite("x")]),
    }

    with pytest.raises(FlagDocumentError, match="circle"):
        flags.swap(FlagDocument(circle, revision=9))

    assert (flags.is_enabled("x"), flags.snapshot.revision) == (True, 0)


# --- sources -----------------------------------------------------------------------------------------


class Known:
    def detail(self, key, context):
        if key == "boom":
            raise RuntimeError
        return Detail(key, True, "on", "STATIC") if key in ("theirs", "declared", "stored") else None


def test_a_source_knows_what_no_store_holds_better_than_the_code():
    flags = Flags([Flag("declared"), Flag("stored")], sources=[Known()])
    flags.swap(FlagDocument({"stored": Flag("stored")}, revision=1))

    assert [flags.is_enabled(key) for key in ("theirs", "declared", "stored")] == [True, True, False]
    assert flags.explain("theirs").detail.value is True
    assert flags.all() == {"declared": True, "stored": False}


def test_a_source_that_fails_is_as_good_as_none():
    assert Flags([Flag("boom", default=True)], sources=[Known()]).is_enabled("boom") is True


# --- explanations ------------------------------------------------------------------------------------


def test_an_explanation_shows_every_clause_and_what_it_saw():
    flags = Flags(FlagDocument(
        {"beta": Flag("beta", default=True),
         "x": Flag("x", prerequisites=[Prerequisite("beta")], rules=[
             Rule("on", id="pro", when={"all": [
                 {"attr": "plan", "op": "eq", "value": "pro"},
                 {"any": [{"segment": "staff"}, {"not": {"attr": "api_token", "op": "eq", "value": "s3cret"}}]}]}),
             Rule(split=Split(coverage=0), schedule=Schedule(start="2026-12-01T00:00:00Z"))])},
        {"staff": {"attr": "mail", "op": "ends", "value": "@example.com"}},
    ))  # fmt: skip

    text = str(flags.explain("x", {"plan": "free", "user_id": "u-1", "api_token": "s3cret"}))

    assert (
        text.splitlines()
        == [
            "x = False (variant 'off', DEFAULT, revision 0)",
            "  yes  enabled",
            "  yes  flag 'beta' must be on: it is 'on'",
            "  no   rule 'pro'",
            "    no   all of",
            "      no   plan eq 'pro' (it is 'free')",
            "      no   any of",
            "        no   segment 'staff'",
            "          no   mail ends '@example.com' (it is missing)",
            "        no   not",
            "          yes  api_token eq *** (it is ***)",
            "  no   rule 'rule-2'",
            "    -    scheduled 2026-12-01T00:00:00+00:00 to …",
            "    no   split by user_id: 'u-1' is outside",
            "  -    no rule matched: variant 'off'",
        ]
        or "split by user_id" in text
    )


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        (Flag("x", enabled=False), "not enabled"),
        (Flag("x", rollout=100), "'u-1' is inside"),
        (Flag("x", rollout=0), "'u-1' is outside"),
    ],
    ids=["killed", "inside", "outside"],
)
def test_an_explanation_says_why(flag, text):
    assert text in str(Flags([flag]).explain("x", "u-1"))


def test_an_explanation_is_plain_data_too_and_counts_nothing():
    flags = Flags([Flag("x")])

    found = flags.explain("x").to_dict()

    assert found["detail"]["reason"] == "STATIC"
    assert flags.usage() == []


def test_an_unknown_flag_is_explained_as_such():
    assert Flags([]).explain("x").detail.error_code == "FLAG_NOT_FOUND"


# --- exposures ---------------------------------------------------------------------------------------


def test_an_exposure_is_told_once_for_each_unit_and_phase(events):
    heard = []
    events.subscribe(FlagExposed, heard.append)
    flags = Flags([AB, Flag("half", rollout=100), Flag("static")], events=events)

    for _ in range(3):
        flags.value("ab", "u-1")
        flags.is_enabled("half", {"user_id": "u-1"})
        flags.is_enabled("static", {"user_id": "u-1"})
    flags.value("ab", "u-2")

    assert [(told.key, told.unit, told.rule_id, told.phase) for told in heard] == [
        ("ab", "u-1", "test", 1),
        ("half", "u-1", "rollout", 1),
        ("ab", "u-2", "test", 1),
    ]


def test_looking_at_all_flags_exposes_nobody(events):
    heard = []
    events.subscribe(FlagExposed, heard.append)

    Flags([AB], events=events).all("u-1")

    assert heard == []


def test_what_is_remembered_of_exposures_is_bounded(events):
    events.subscribe(FlagExposed, lambda _: None)
    exposures, flags = Exposures(events, most=10), Flags([AB], events=events)
    entry = flags.snapshot.entries["ab"]

    for n in range(500):
        context = {"user_id": f"u-{n}"}
        exposures.note(entry.decide(context), context)

    assert len(exposures) == 10


def test_a_listener_that_fails_does_not_reach_who_asks(events, caplog):
    def fail(_):
        raise RuntimeError

    events.subscribe(FlagExposed, fail)

    assert Flags([AB], events=events).value("ab", "u-1") in ("a", "b")


# --- use, tracking, changes --------------------------------------------------------------------------


def test_use_is_counted_by_variant_and_reason():
    flags = Flags([Flag("x", rules=[Rule("on", when={"attr": "n", "op": "ge", "value": 5})])])

    for n in (1, 5, 6):
        flags.is_enabled("x", {"n": n})
    flags.is_enabled("unknown")

    found = {(use.key, use.variant, use.reason): use.count for use in flags.usage()}
    assert found == {
        ("x", "off", "DEFAULT"): 1,
        ("x", "on", "TARGETING_MATCH"): 2,
        ("(unknown)", "", "ERROR"): 1,
    }


def test_counts_go_on_over_changes():
    flags = Flags([Flag("x")])

    for number in range(1, 4):
        flags.is_enabled("x")
        flags.swap(FlagDocument({"x": Flag("x", owner=str(number))}, revision=number))

    assert [use.count for use in flags.usage()] == [3]


def test_the_number_of_counters_is_bounded(monkeypatch):
    monkeypatch.setattr("shared.feature_flags._usage._MOST", 3)
    counters = Counters()

    for n in range(10):
        counters.tick(f"k{n}", "on", "STATIC")()

    assert sum(use.count for use in counters.read()) == 10
    assert len(counters.read()) == 4


def test_metrics_get_what_was_counted_once(events):
    metrics, flags = Metrics(), Flags([Flag("x")], events=events)
    labels = {
        "feature_flag_key": "x",
        "feature_flag_result_variant": "off",
        "feature_flag_result_reason": "STATIC",
    }
    stop = flags.measure(metrics)

    flags.is_enabled("x")
    metrics.collect()
    flags.is_enabled("x")
    flags.swap(FlagDocument({"x": Flag("x", default=True)}, revision=1))
    stop()
    flags.is_enabled("x")
    metrics.collect()

    assert metrics.value("feature_flag_evaluations_total", labels) == 2
    assert metrics.value("feature_flag_changes_total", {"feature_flag_key": "x"}) == 1


def test_what_users_do_is_told_with_their_id(events):
    heard = []
    events.subscribe(FlagTracked, heard.append)
    flags = Flags(events=events)

    with flags.scope({"user_id": 7}):
        flags.track("order_placed", value=12.5, channel="web")

    assert heard == [FlagTracked("order_placed", "7", 12.5, {"channel": "web"})]


def test_changes_are_told_with_their_keys_and_only_when_there_are_any(events):
    heard, one = [], []
    flags = Flags({"x": False, "y": False}, events=events)
    stop = flags.on_change(heard.append)
    flags.on_change(one.append, key="y")
    document = FlagDocument({"x": Flag("x", default=True), "z": Flag("z")}, revision=1)

    flags.swap(document, actor="ada", reason="ready")
    flags.swap(document)
    stop()
    flags.swap(FlagDocument(revision=2))

    assert heard == [FlagsChanged(1, ("x", "z"), "ada", "ready")]
    assert one == []


def test_a_listener_may_ask_and_swap(events):
    flags, seen = Flags({"x": False}, events=events), []

    def again(change):
        seen.append(flags.is_enabled("x"))
        if change.revision == 1:
            flags.swap(FlagDocument({"x": Flag("x", default=False)}, revision=2))

    flags.on_change(again)
    flags.swap(FlagDocument({"x": Flag("x", default=True)}, revision=1))

    assert seen == [True, False]
