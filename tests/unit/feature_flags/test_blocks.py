"""Scopes and overrides: what holds in a block, a task, a thread, a fork."""

import asyncio
import contextvars
import os
import threading
import warnings

import pytest

from shared.context import request_context, set_principal
from shared.errors import ConfigurationError, FlagDocumentError, UnknownFlagError
from shared.feature_flags import (
    Flag,
    FlagChanges,
    FlagDocument,
    Flags,
    MemoryFlagStore,
    Prerequisite,
    Rule,
    Schedule,
    is_feature_enabled,
    override,
)
from shared.runtime import Runtime, use


def revision(number, **values):
    return FlagDocument({key: Flag(key, default=value) for key, value in values.items()}, revision=number)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


# --- scopes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", [None, {"user_id": "u-1"}], ids=["nobody", "somebody"])
def test_a_flag_never_changes_inside_a_scope(context):
    flags = Flags([Flag("x"), Flag("y", rollout=100)])

    with flags.scope(context):
        before = flags.is_enabled("x"), flags.value("x"), flags.is_enabled("y", "u-1"), flags.all()
        flags.swap(FlagDocument({"x": Flag("x", default=True), "y": Flag("y", enabled=False)}, revision=1))
        after = flags.is_enabled("x"), flags.value("x"), flags.is_enabled("y", "u-1"), flags.all()

    assert before == after
    assert flags.is_enabled("x") is True
    assert flags.is_enabled("y", "u-1") is False


def test_a_scope_within_a_scope_stays_with_the_outer_one():
    flags = Flags([Flag("x")])

    with flags.scope({"a": 1}):
        flags.swap(revision(1, x=True))
        with flags.scope({"b": 2}):
            assert flags.is_enabled("x") is False


def test_a_schedule_that_begins_inside_a_scope_waits():
    clock = Clock()
    begin = Schedule(start="2026-12-01T00:00:00Z")
    flags = Flags([Flag("x", rules=[Rule("on", schedule=begin)])], clock=clock)
    clock.now = begin.start.timestamp() - 1

    with flags.scope():
        before = flags.is_enabled("x", {"user_id": "u"})
        clock.now += 2
        after = flags.is_enabled("x", {"user_id": "u"})

    assert (before, after) == (False, False)
    assert flags.is_enabled("x", {"user_id": "u"}) is True


def test_the_context_of_a_scope_lies_under_that_of_a_call():
    flags = Flags([Flag("x", rules=[Rule("on", when={"all": [
        {"attr": "plan", "op": "eq", "value": "pro"}, {"attr": "country", "op": "eq", "value": "DE"}]})])])  # fmt: skip

    with flags.scope({"plan": "pro", "country": "FR"}):
        assert flags.is_enabled("x") is False
        assert flags.is_enabled("x", {"country": "DE"}) is True
    assert flags.is_enabled("x", {"country": "DE"}) is False


class User:
    user_id = "u-1"
    tenant = None
    roles = frozenset({"admin"})


def test_the_principal_of_the_request_is_the_context_where_none_is_given():
    flags = Flags([Flag("x", rules=[Rule("on", when={"attr": "roles", "op": "contains", "value": "admin"})])])

    with request_context(), flags.scope():
        assert flags.is_enabled("x") is False
        set_principal(User())
        assert flags.is_enabled("x") is True
        assert flags.is_enabled("x") is True


def test_the_tenant_of_the_request_is_an_attribute():
    flags = Flags([Flag("x", rules=[Rule("on", when={"attr": "tenant", "op": "eq", "value": "acme"})])])

    with request_context(tenant="acme", principal="u-1"):
        assert flags.is_enabled("x") is True


async def test_tasks_of_a_scope_see_its_flags():
    flags = Flags([Flag("x")])

    async with flags.scope():
        flags.swap(revision(1, x=True))
        inside = await asyncio.gather(*(asyncio.to_thread(flags.is_enabled, "x") for _ in range(3)))

    assert inside == [False, False, False]


def test_two_sets_of_flags_do_not_share_blocks():
    one, other = Flags([Flag("x")]), Flags([Flag("x")])

    with one.override(x=True), other.scope():
        assert one.is_enabled("x") is True
        assert other.is_enabled("x") is False


# --- requests ---------------------------------------------------------------------------------------


def test_what_an_earlier_request_left_on_the_thread_is_ignored():
    flags = Flags([Flag("x")])
    flags.begin_request()
    flags.swap(revision(1, x=True))
    assert flags.is_enabled("x") is False

    with flags.request_scope():
        assert flags.is_enabled("x") is True

    flags.end_request()
    flags.end_request()
    assert flags.is_enabled("x") is True


def test_an_override_around_a_request_holds_in_it():
    flags = Flags([Flag("x")])

    with flags.override(x=True), flags.request_scope():
        assert flags.is_enabled("x") is True


# --- overrides --------------------------------------------------------------------------------------


def test_an_override_wins_over_a_killed_flag_and_ends_with_the_block():
    flags = Flags([Flag("x", enabled=False)])

    with flags.override(x=True):
        inside = (
            flags.is_enabled("x"),
            flags.detail("x").reason,
            flags.all()["x"],
            flags.explain("x").detail.value,
        )

    assert inside == (True, "OVERRIDE", True, True)
    assert flags.is_enabled("x") is False


def test_an_override_ends_also_after_an_exception():
    flags = Flags([Flag("x")])

    with pytest.raises(RuntimeError), flags.override(x=True):
        raise RuntimeError

    assert flags.is_enabled("x") is False


def test_overrides_lie_over_each_other():
    flags = Flags({"x": False, "size": 20})

    with flags.override(x=True, size=5), flags.override({"x": False}):
        assert (flags.is_enabled("x"), flags.value("size")) == (False, 5)


def test_an_override_counts_for_flags_that_need_it():
    flags = Flags([Flag("beta"), Flag("x", default=True, prerequisites=[Prerequisite("beta")])])

    with flags.override(beta=True):
        assert flags.is_enabled("x") is True
    assert flags.is_enabled("x") is False


async def test_an_override_decorates_functions_of_both_kinds():
    flags = Flags([Flag("x")])

    @flags.override(x=True)
    def plain():
        return flags.is_enabled("x")

    @flags.override(x=True)
    async def awaited():
        await asyncio.sleep(0)
        return flags.is_enabled("x")

    assert plain() is True
    assert await asyncio.gather(awaited(), awaited()) == [True, True]
    assert flags.is_enabled("x") is False


def test_a_thread_and_another_task_do_not_see_an_override():
    flags, seen = Flags([Flag("x")]), []
    thread = threading.Thread(target=lambda: seen.append(flags.is_enabled("x")))

    with flags.override(x=True):
        thread.start()
        thread.join()

    assert seen == [False]


def test_a_misspelt_override_is_an_error():
    with pytest.raises(UnknownFlagError, match="new_menue"):
        Flags([Flag("new_menu")]).override(new_menue=True)


def test_an_override_of_another_type_is_an_error():
    with pytest.raises(FlagDocumentError, match="int"):
        Flags({"size": 20}).override(size="large")


def test_production_refuses_overrides_unless_asked():
    flags = Flags([Flag("x")], environment="production")

    with pytest.raises(ConfigurationError, match="production"):
        flags.override(x=True)
    with flags.override(x=True, allow_in_production=True):
        assert flags.is_enabled("x") is True


def test_a_generator_closed_elsewhere_leaves_no_override_behind():
    flags = Flags([Flag("x")])

    def generate():
        with flags.override(x=True):
            yield flags.is_enabled("x")

    def run():
        generator = generate()
        assert next(generator) is True
        return generator

    generator = contextvars.copy_context().run(run)
    generator.close()

    assert flags.is_enabled("x") is False


def test_the_functions_of_the_room_see_the_overrides_of_the_runtime():
    with use(Runtime("blocks")) as runtime:
        with override(analytics_enabled=True):
            assert is_feature_enabled("analytics_enabled") is True
        assert is_feature_enabled("analytics_enabled") is False
        runtime.close()


# --- threads and forks ------------------------------------------------------------------------------


def test_eight_threads_get_no_wrong_answer_during_reloads():
    """Both flags change together; inside a scope nobody may see one old and one new."""
    flags = Flags([Flag("a"), Flag("b", rules=[Rule("off", when={"attr": "x", "op": "eq", "value": "y"})])])
    documents = [
        FlagDocument(
            {
                "a": Flag("a", default=on),
                "b": Flag("b", default=on, rules=[Rule("on" if on else "off", when={"attr": "x", "op": "eq", "value": "y"})]),
            },
            revision=number,
        )
        for number, on in enumerate([True, False] * 2, 1)
    ]  # fmt: skip
    wrong, asked, stop = [], [], threading.Event()
    started = threading.Barrier(9)

    def ask():
        started.wait(30)
        count = 0
        while not stop.is_set() or count < 200:
            with flags.scope():
                seen = {flags.is_enabled("a"), flags.is_enabled("b", {"x": "y"}), flags.value("b")}
            if len(seen) != 1:
                wrong.append(seen)
            for key in ("a", "b"):
                if flags.detail(key, {"x": "y"}).reason == "ERROR":
                    wrong.append(key)
            count += 1
        asked.append(count)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    started.wait(30)
    for number in range(120):
        flags.swap(documents[number % 4])
    stop.set()
    for thread in threads:
        thread.join(60)

    assert wrong == []
    assert len(asked) == 8
    counted = sum(use.count for use in flags.usage())
    assert counted == sum(asked) * 5


def test_counting_loses_nothing_between_threads():
    flags = Flags([Flag("a")])

    def ask():
        for _ in range(5000):
            flags.is_enabled("a")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert flags.usage()[0].count == 20_000


def test_a_forked_child_evaluates_and_hears_of_changes():
    store = MemoryFlagStore()
    with Flags([Flag("x")], store=store, refresh_seconds=0.05) as flags:
        assert flags.is_enabled("x") is False
        read, write = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are threads: that is the point
            child = os.fork()
        if child == 0:
            answer = b"?"
            try:
                before = flags.is_enabled("x")
                store.apply(FlagChanges({"x": Flag("x", default=True)}), actor="child")
                flags.refresh()
                answer = b"1" if (before, flags.is_enabled("x")) == (False, True) else b"0"
            finally:
                os.write(write, answer)
                os._exit(0)
        os.close(write)
        answer = os.read(read, 1)
        os.close(read)
        os.waitpid(child, 0)

    assert answer == b"1"
