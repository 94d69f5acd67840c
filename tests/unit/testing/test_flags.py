"""Flags in tests: what is forced ends with the test, and nothing that can be reached is called unreachable."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings

from shared.errors import FlagDocumentError, UnknownFlagError
from shared.feature_flags import (
    Condition,
    Flag,
    FlagDocument,
    Flags,
    Rule,
    Schedule,
    Split,
    is_feature_enabled,
)
from shared.runtime import Events
from shared.testing import assert_variants_reachable, flag_contexts


@pytest.fixture
def flags(shared_runtime):
    made = Flags([Flag("menu"), Flag("size", default=20), Flag("new-menu")], events=Events())
    with shared_runtime.override(Flags, made):
        yield made


def test_a_forced_value_holds_for_the_test(flags, flags_override):
    flags_override(menu=True)

    assert is_feature_enabled("menu") is True
    assert flags_override.flags is flags


def test_keys_that_are_no_names_can_be_forced(flags, flags_override):
    flags_override({"new-menu": True}, size=5)

    assert (flags.is_enabled("new-menu"), flags.value("size")) == (True, 5)


def test_the_last_one_wins_and_the_others_stay(flags, flags_override):
    flags_override(menu=True, size=5)
    flags_override(menu=False)

    assert (flags.is_enabled("menu"), flags.value("size")) == (False, 5)


def test_a_misspelt_flag_is_an_error(flags, flags_override):
    with pytest.raises(UnknownFlagError, match="'mneu'"):
        flags_override(mneu=True)


def test_a_value_of_another_type_is_an_error(flags, flags_override):
    with pytest.raises(FlagDocumentError):
        flags_override(menu="on")
    assert flags.is_enabled("menu") is False


def test_coroutines_see_what_is_forced(flags, flags_override):
    flags_override(menu=True)

    async def ask():
        return await asyncio.gather(*(asyncio.to_thread(flags.is_enabled, "menu") for _ in range(3)))

    assert asyncio.run(ask()) == [True, True, True]


def test_threads_of_others_see_nothing(flags, flags_override):
    flags_override(menu=True)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(flags.is_enabled, "menu").result(30) is False


def test_parallel_tests_do_not_see_each_other(flags):
    from shared.testing._flags import flag_overrides

    barrier = threading.Barrier(4, timeout=30)
    found = {}

    def work(number):
        from shared.runtime import Runtime, use

        runtime = Runtime(f"t{number}")
        with use(runtime), runtime.override(Flags, flags), flag_overrides() as override:
            override(size=number)
            barrier.wait()
            found[number] = flags.value("size")
            barrier.wait()
        runtime.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert found == {0: 0, 1: 1, 2: 2, 3: 3}
    assert flags.value("size") == 20


def test_nothing_is_left_after_a_test_that_fails(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import pytest
        from shared.feature_flags import is_feature_enabled

        def test_first_fails(shared_runtime, flags_override):
            flags_override(analytics_enabled=True)
            assert is_feature_enabled("analytics_enabled")
            raise RuntimeError("in the middle")

        async def ask():
            return is_feature_enabled("analytics_enabled")

        def test_second_sees_the_default(shared_runtime):
            import asyncio
            assert not is_feature_enabled("analytics_enabled")
            assert not asyncio.run(ask())

        @pytest.mark.parametrize("on", [True, False])
        def test_each_has_its_own(shared_runtime, flags_override, on):
            flags_override(chatbot_enabled=on)
            assert is_feature_enabled("chatbot_enabled") is on
        """
    )

    result = pytester.runpytest_inprocess("-p", "shared.testing.plugin")

    result.assert_outcomes(passed=3, failed=1)


# --- variants that can be reached ----------------------------------------------------------------


def made(*flags, segments=None, **options):
    document = FlagDocument({flag.key: flag for flag in flags}, segments or {})
    return Flags(document, events=Events(), **options)


def leaf(attr, op, value):
    return Condition(attr=attr, op=op, value=value)


CONDITIONS = {
    "eq": leaf("plan", "eq", "pro"),
    "number": leaf("age", "eq", 18),
    "true": leaf("beta", "eq", True),
    "ne": leaf("plan", "ne", "free"),
    "in": leaf("plan", "in", ["pro", "team"]),
    "not in": leaf("plan", "not_in", ["free"]),
    "lt": leaf("age", "lt", 18),
    "ge": leaf("age", "ge", 18),
    "between": leaf("age", "between", [18, 30]),
    "starts": leaf("email", "starts", "ada@"),
    "ends": leaf("email", "ends", "@example.com"),
    "contains": leaf("name", "contains", "da"),
    "semver above": leaf("version", "semver_gt", "2.1.0"),
    "semver below": leaf("version", "semver_lt", "2.1.0"),
    "cidr": leaf("ip", "cidr", "10.0.0.0/8"),
    "before": leaf("born", "before", "2000-01-01T00:00:00+00:00"),
    "after": leaf("born", "after", "2000-01-01T00:00:00+00:00"),
    "exists": leaf("device", "exists", True),
    "dotted": leaf("user.plan", "eq", "pro"),
    "all": Condition(all=[leaf("plan", "eq", "pro"), leaf("age", "ge", 18)]),
    "any": Condition(any=[leaf("plan", "eq", "pro"), leaf("age", "ge", 18)]),
    "not": Condition(not_=leaf("plan", "eq", "pro")),
    "not all": Condition(not_=Condition(all=[leaf("plan", "exists", True)])),
    "segment": Condition(segment="adults"),
    "nested": Condition(
        all=[Condition(any=[leaf("a", "eq", 1), leaf("b", "eq", 2)]), Condition(segment="adults")]
    ),
}


@pytest.mark.parametrize("when", CONDITIONS.values(), ids=CONDITIONS)
def test_a_variant_behind_a_condition_is_reached(when):
    flags = made(Flag("f", rules=[Rule("on", when=when)]), segments={"adults": leaf("age", "ge", 18)})

    assert_variants_reachable(flags, "f", variants=["on"])


def test_every_part_of_a_split_is_reached():
    variants = {"a": "a", "b": "b", "c": "c"}
    split = Split({"a": 98, "b": 1, "c": 1}, unit="device")

    assert_variants_reachable(made(Flag("f", default="a", variants=variants, rules=[Rule(split=split)])), "f")


UNREACHABLE = {
    "no rule": Flag("f"),
    "a rule before": Flag("f", rules=[Rule("off"), Rule("on")]),
    "no weight": Flag("f", rules=[Rule(split=Split({"on": 0, "off": 1}))]),
    "contradiction": Flag(
        "f", rules=[Rule("on", when=Condition(all=[leaf("a", "eq", 1), leaf("a", "eq", 2)]))]
    ),
    "switched off": Flag("f", rules=[Rule("on")], enabled=False),
    "over": Flag("f", rules=[Rule("on", schedule=Schedule(end="2020-01-01T00:00:00+00:00"))]),
}


@pytest.mark.parametrize("flag", UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_variant_that_nobody_gets_is_told(flag):
    with pytest.raises(AssertionError, match=r"flag 'f': nobody gets 'on'; reached: off"):
        assert_variants_reachable(made(flag), "f", variants=["on"], units=50)


def test_the_off_variant_of_an_enabled_flag_need_not_be_reached():
    flag = Flag(
        "f",
        default="a",
        variants={"a": "a", "b": "b", "off": "none"},
        rules=[Rule("b", when=leaf("x", "eq", 1))],
    )

    assert_variants_reachable(made(flag), "f")


def test_given_contexts_are_tried():
    flag = Flag("f", rules=[Rule("on", when=leaf("code", "regex", "^x{3}-[0-9]+$"))])

    assert_variants_reachable(made(flag), "f", variants=["on"], contexts=[{"code": "xxx-1"}])


def test_an_override_is_seen():
    assert_variants_reachable(made(Flag("f"), overrides={"f": True}), "f", variants=["on"])


def test_an_unknown_flag_is_told():
    with pytest.raises(AssertionError, match=r"there is no flag 'g' \(known: f\)"):
        assert_variants_reachable(made(Flag("f")), "g")


# --- contexts ------------------------------------------------------------------------------------

RULED = made(
    Flag(
        "f",
        rules=[Rule("on", when=when) for when in CONDITIONS.values()] + [Rule(split=Split(unit="device"))],
    ),
    segments={"adults": leaf("age", "ge", 18)},
)


@settings(deadline=None, max_examples=150)
@given(context=flag_contexts(RULED))
def test_no_context_breaks_an_evaluation(context):
    found = RULED.detail("f", context)

    assert found.value in (True, False)
    assert found.error_code is None


def test_contexts_reach_rules_and_everybody_else():
    flags = made(Flag("f", rules=[Rule("on", when=leaf("plan", "eq", "pro"))]))
    found = set()

    @settings(deadline=None, max_examples=200, database=None, derandomize=True)
    @given(context=flag_contexts(flags))
    def collect(context):
        found.add(flags.is_enabled("f", context))

    collect()

    assert found == {True, False}


@settings(deadline=None, max_examples=30)
@given(context=flag_contexts(units=["u-1", 2]))
def test_units_can_be_given(context):
    assert context.get("user_id", 2) in ("u-1", 2)
