"""Asking flags."""

import threading

import pytest

from shared.context import request_context
from shared.errors import FlagDocumentError, FlagUnavailableError
from shared.feature_flags import (
    FEATURE_FLAGS,
    Flag,
    FlagChanges,
    FlagDocument,
    Flags,
    MemoryFlagStore,
    Prerequisite,
    Rule,
    is_feature_enabled,
)
from shared.runtime import Runtime, use


@pytest.mark.parametrize("key", list(FEATURE_FLAGS))
def test_every_flag_of_the_default_catalogue_is_known_and_off(key):
    with use(Runtime("catalogue")) as runtime:
        assert is_feature_enabled(key) is False
        runtime.close()


def test_a_flag_that_is_no_bool_is_never_enabled_by_its_truth():
    flags = Flags([Flag("mode", default="off")])

    assert flags.is_enabled("mode") is False
    assert flags.is_enabled("mode", default=True) is True


def test_a_swap_tells_which_keys_changed():
    flags = Flags({"beta": False, "other": False})

    changed = flags.swap(FlagDocument({"beta": Flag("beta", default=True)}, revision=1))

    assert changed == ("beta",)
    assert flags.is_enabled("beta") is True


# --- declaring ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [[Flag("x"), Flag("x", default=True)], ["x"], {"x": object()}, {"x y": True}],
    ids=["twice", "text", "object", "space"],
)
def test_declarations_that_do_not_fit_are_refused(flags):
    with pytest.raises(FlagDocumentError):
        Flags(flags)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FlagDocumentError, match=r"gone\.json"):
        Flags(tmp_path / "gone.json")


def test_defaults_lie_under_the_declared_flags():
    flags = Flags([Flag("beta", default=True)], defaults={"beta": False, "other": False})

    assert flags.all() == {"beta": True, "other": False}


def test_a_declaration_that_contradicts_itself_changes_nothing():
    flags = Flags([Flag("beta", default=True)])

    with pytest.raises(FlagDocumentError):
        flags.declare([Flag("x", prerequisites=[Prerequisite("nowhere")])])

    assert flags.all() == {"beta": True}


def test_replacing_the_declarations_forgets_the_old_ones():
    flags = Flags([Flag("beta")])

    flags.declare([Flag("gamma")], replace=True)

    assert list(flags.declared.flags) == list(flags.all()) == ["gamma"]


# --- the ways to ask ---------------------------------------------------------------------------------

SIZES = Flag("size", default=20, variants={"small": 5, "usual": 20, "large": 50}, rules=[
    Rule("large", when={"attr": "plan", "op": "eq", "value": "pro"})])  # fmt: skip


@pytest.mark.parametrize("in_scope", [False, True], ids=["bare", "scope"])
@pytest.mark.parametrize("plan", ["pro", "free"])
def test_all_ways_to_ask_agree(in_scope, plan):
    flags = Flags([SIZES])
    context = {"plan": plan}

    with flags.scope(context) if in_scope else flags.override():
        given = None if in_scope else context
        answers = {
            flags.value("size", given),
            flags.detail("size", given).value,
            flags.explain("size", given).detail.value,
            flags.all(given)["size"],
            SIZES.variants[flags.variant("size", given)],
        }

    assert answers == {50 if plan == "pro" else 20}


def test_all_leaves_out_required_flags_that_cannot_be_evaluated():
    class Down:
        shown = "nowhere"

        def revision(self):
            raise OSError

        def close(self):
            pass

    with Flags([Flag("guard", required=True), Flag("x")], store=Down(), threads=False) as flags:
        assert flags.all() == {"x": False}
        with pytest.raises(FlagUnavailableError):
            flags.is_enabled("guard")


def test_all_shows_what_a_block_forces():
    flags = Flags([Flag("x"), Flag("data", default={"a": []})])

    with flags.override(x=True):
        found = flags.all()
        found["data"]["a"].append(1)

        assert found["x"] is True
        assert flags.value("data") == {"a": []}


def test_a_hostile_principal_is_nobody():
    class Principal:
        @property
        def user_id(self):
            raise RuntimeError

    flags = Flags([Flag("x", rollout=100)])

    with request_context(principal=Principal()):
        assert flags.is_enabled("x") is False


async def test_a_coroutine_looks_at_the_store_without_blocking():
    store = MemoryFlagStore()
    with Flags([Flag("x")], store=store, threads=False) as flags:
        assert flags.is_enabled("x") is False
        store.apply(FlagChanges({"x": Flag("x", default=True)}), actor="ada")

        assert await flags.arefresh() is True
        assert flags.is_enabled("x") is True


def test_flags_that_change_from_many_threads_end_with_one_of_the_changes():
    flags = Flags({f"f{n}": False for n in range(8)})
    documents = [FlagDocument({f"f{n}": Flag(f"f{n}", default=True)}, revision=n + 1) for n in range(8)]
    threads = [threading.Thread(target=flags.swap, args=(document,)) for document in documents]
    threads += [threading.Thread(target=flags.declare, args=({f"d{n}": True},)) for n in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    found = flags.all()
    assert sum(found[f"f{n}"] for n in range(8)) == 1
    assert all(found[f"d{n}"] for n in range(8))
