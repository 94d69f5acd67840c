"""What people do to flags: every write is one revision, with who and why."""

import pytest

from shared.errors import ConflictError, FlagDocumentError, InvalidArgumentError, ResourceNotFoundError
from shared.feature_flags import (
    CodeFlagStore,
    Flag,
    FlagAdmin,
    FlagChanges,
    FlagDifference,
    Flags,
    LayeredFlagStore,
    MemoryFlagStore,
    Overlay,
    Prerequisite,
    Rule,
    Split,
)

ADA = {"actor": "ada", "reason": "try it"}


@pytest.fixture
def store():
    return MemoryFlagStore()


@pytest.fixture
def admin(store):
    return FlagAdmin(store, declared=[Flag("beta"), Flag("menu", owner="web")], make_salt=lambda: "salt-1")


def in_force(store, environment=None, **overrides):
    flags = Flags([Flag("beta"), Flag("menu")], environment=environment, overrides=overrides)
    flags.swap(store.load())
    return flags


# --- set -------------------------------------------------------------------------------------


def test_a_flag_nobody_knew_gets_a_salt_of_its_own(admin):
    admin.set("fresh", rollout=5, **ADA)

    assert admin.flag("fresh") == Flag("fresh", rollout=5, salt="salt-1")


def test_a_declared_flag_keeps_the_salt_that_follows_from_its_key(admin):
    admin.set("menu", rollout=5, **ADA)

    assert admin.flag("menu") == Flag("menu", owner="web", rollout=5)


def test_a_definition_given_whole_keeps_the_salt_in_use(admin):
    admin.set("fresh", rollout=5, **ADA)
    admin.set(Flag("fresh", rollout=50), **ADA)

    assert admin.flag("fresh").salt == "salt-1"


def test_nobody_is_drawn_again_by_any_verb(admin, store):
    """A unit that has the flag keeps it, whatever is changed besides the percentage."""
    users = [f"u-{number}" for number in range(1000)]
    admin.set("fresh", rollout=30, **ADA)

    def who():
        return {user for user in users if in_force(store).is_enabled("fresh", user)}

    first = who()
    admin.set("fresh", owner="web", **ADA)
    admin.kill("fresh", **ADA)
    admin.unkill("fresh", **ADA)
    admin.import_document({"flags": {"fresh": {"rollout": 30, "description": "new"}}}, **ADA)
    second = who()
    admin.rollout("fresh", 60, **ADA)

    assert second == first
    assert who() > first


def test_fields_that_are_not_given_stay(admin):
    admin.set("menu", rollout=5, **ADA)
    admin.set("menu", description="the new one", **ADA)

    assert admin.flag("menu") == Flag("menu", owner="web", rollout=5, description="the new one")


def test_a_field_that_does_not_exist_is_refused(admin, store):
    with pytest.raises((TypeError, FlagDocumentError)):
        admin.set("menu", colour="red", **ADA)

    assert store.revision() == 0


def test_a_write_on_what_was_not_looked_at_is_refused(admin):
    admin.set("menu", rollout=5, **ADA)

    with pytest.raises(ConflictError, match="at revision 1, not 0"):
        admin.set("menu", rollout=6, expected=0, **ADA)


def test_a_write_that_meets_another_is_decided_again(admin, store, monkeypatch):
    load = store.load

    def racing():
        document = load()
        monkeypatch.setattr(store, "load", load)
        store.apply(FlagChanges({"menu": Flag("menu", owner="other")}), actor="bob")
        return document

    monkeypatch.setattr(store, "load", racing)

    admin.set("menu", rollout=5, **ADA)

    assert admin.flag("menu") == Flag("menu", owner="other", rollout=5)


def test_a_flag_nobody_knows_cannot_be_rolled_out(admin):
    for verb in (
        lambda: admin.rollout("x", 5, **ADA),
        lambda: admin.kill("x", **ADA),
        lambda: admin.flag("x"),
    ):
        with pytest.raises(ResourceNotFoundError, match="nobody declared a flag 'x'"):
            verb()


@pytest.mark.parametrize("percent", [-1, 100.1, float("nan"), "many", None.__class__])
def test_a_percentage_is_0_to_100(admin, percent):
    with pytest.raises(FlagDocumentError):
        admin.rollout("menu", percent, **ADA)


def test_a_rollout_may_be_for_one_environment(admin, store):
    admin.rollout("menu", 100, environment="staging", **ADA)

    assert in_force(store, "staging").is_enabled("menu", "u-1")
    assert not in_force(store, "production").is_enabled("menu", "u-1")


# --- kill ------------------------------------------------------------------------------------


def test_a_kill_switch_wins_over_rules_rollout_and_environments(admin, store):
    flag = Flag(
        "menu",
        rollout=100,
        rules=[Rule("on"), Rule(split=Split({"on": 1}))],
        environments={"production": Overlay(enabled=True, default_variant="on")},
    )
    admin.set(flag, **ADA)

    admin.kill("menu", **ADA)

    for environment in (None, "production", "staging"):
        detail = in_force(store, environment).detail("menu", "u-1")
        assert (detail.value, detail.reason) == (False, "DISABLED")


def test_an_override_of_the_process_wins_over_a_kill_switch(admin, store):
    admin.kill("menu", **ADA)

    detail = in_force(store, menu=True).detail("menu")

    assert (detail.value, detail.reason) == (True, "OVERRIDE")


def test_a_kill_switch_works_where_something_else_is_wrong(admin, store):
    """A prerequisite that this process does not know does not keep it from stopping a flag."""
    store.apply(FlagChanges({"menu": Flag("menu", prerequisites=[Prerequisite("elsewhere")])}), actor="bob")

    admin.kill("menu", **ADA)

    assert admin.flag("menu").enabled is False


def test_killing_twice_is_one_revision(admin):
    assert (admin.kill("menu", **ADA), admin.kill("menu", **ADA)) == (1, 1)


def test_a_flag_switched_on_again_is_as_it_was(admin):
    flag = Flag("menu", rollout=5, environments={"staging": Overlay(enabled=True, rollout=50.0)})
    admin.set(flag, **ADA)
    admin.kill("menu", **ADA)

    admin.unkill("menu", **ADA)

    assert admin.flag("menu").in_environment("staging").enabled
    assert admin.flag("menu") == flag


def test_a_flag_that_was_on_in_staging_alone_is_not_switched_on_everywhere(admin):
    flag = Flag("menu", enabled=False, environments={"staging": Overlay(enabled=True)})
    admin.set(flag, **ADA)
    admin.kill("menu", **ADA)

    admin.unkill("menu", **ADA)

    assert admin.flag("menu") == flag


def test_what_was_changed_while_it_was_off_stays(admin):
    admin.kill("menu", **ADA)
    admin.rollout("menu", 30, **ADA)

    admin.unkill("menu", **ADA)

    assert (admin.flag("menu").enabled, admin.flag("menu").rollout) == (True, 30.0)


# --- looking back ----------------------------------------------------------------------------


def test_a_difference_names_the_fields(admin):
    admin.rollout("menu", 5, **ADA)
    admin.rollout("menu", 10, **ADA)
    admin.kill("menu", **ADA)

    assert admin.diff(1, 2) == [FlagDifference("flag", "menu", {"rollout": (5.0, 10.0)})]
    assert admin.diff(2) == [FlagDifference("flag", "menu", {"enabled": (None, False)})]
    assert admin.diff(3, 3) == []


def test_a_difference_shows_what_came_and_went(admin):
    admin.set("menu", rollout=5, **ADA)

    assert admin.diff(0, 1)[0].fields == {"owner": (None, "web"), "rollout": (None, 5.0)}
    assert admin.diff(1, 0)[0].fields == {"owner": ("web", None), "rollout": (5.0, None)}


def test_a_rollback_is_a_new_revision_with_the_old_contents(admin, store):
    admin.rollout("menu", 5, **ADA)
    admin.set_segment("staff", {"attr": "staff", "op": "exists"}, **ADA)
    admin.rollout("menu", 100, **ADA)
    admin.set("extra", **ADA)

    revision = admin.rollback(2, actor="bob", reason="too fast")

    assert (revision, store.revision()) == (5, 5)
    assert store.at(5).model_copy(update={"revision": 2}) == store.at(2)
    assert len(store.history()) == 6
    assert store.history()[0].reason == "back to revision 2: too fast"


def test_a_rollback_of_one_flag_leaves_the_others(admin):
    admin.rollout("menu", 5, **ADA)
    admin.rollout("menu", 10, **ADA)
    admin.rollout("beta", 10, **ADA)

    admin.rollback(1, keys=["menu"], **ADA)

    assert (admin.flag("menu").rollout, admin.flag("beta").rollout) == (5.0, 10.0)


def test_a_rollback_that_breaks_a_prerequisite_is_refused(admin, store):
    admin.set("other", **ADA)
    admin.set("base", **ADA)
    admin.set("other", prerequisites=[Prerequisite("base")], **ADA)

    with pytest.raises(FlagDocumentError, match="base"):
        admin.rollback(1, keys=["base"], **ADA)

    assert store.revision() == 3


def test_a_rollback_to_a_revision_that_never_was_is_refused(admin):
    with pytest.raises(ResourceNotFoundError):
        admin.rollback(7, **ADA)


def test_a_flag_that_another_needs_is_not_removed(admin):
    admin.set("base", **ADA)
    admin.set("other", prerequisites=[Prerequisite("base")], **ADA)

    with pytest.raises(FlagDocumentError, match="base"):
        admin.remove("base", **ADA)


def test_a_removed_flag_shows_what_was_declared(admin):
    admin.rollout("menu", 5, **ADA)

    admin.remove("menu", **ADA)

    assert admin.flag("menu") == Flag("menu", owner="web")
    with pytest.raises(ResourceNotFoundError):
        admin.remove("menu", **ADA)


def test_a_prerequisite_that_is_declared_in_code_is_there(admin):
    assert admin.set("other", prerequisites=[Prerequisite("beta")], **ADA) == 1


def test_a_prerequisite_that_nobody_knows_is_refused(admin):
    with pytest.raises(FlagDocumentError, match="nowhere"):
        admin.set("other", prerequisites=[Prerequisite("nowhere")], **ADA)


# --- documents -------------------------------------------------------------------------------


def test_a_document_goes_out_and_comes_back(admin, store):
    admin.set("fresh", rollout=5, **ADA)
    admin.set_segment("staff", {"attr": "staff", "op": "exists"}, **ADA)
    exported = admin.export_document().to_dict()
    other = FlagAdmin(MemoryFlagStore())

    other.import_document(exported, **ADA)

    assert other.export_document().flags == store.load().flags
    assert other.export_document().segments == store.load().segments


def test_an_import_adds_or_replaces(admin):
    admin.set("fresh", **ADA)
    document = {"flags": {"menu": {"rollout": 5}}}

    admin.import_document(document, **ADA)
    both = set(admin.export_document().flags)
    admin.import_document(document, replace=True, **ADA)

    assert (both, set(admin.export_document().flags)) == ({"fresh", "menu"}, {"menu"})


@pytest.mark.parametrize(
    "wrong", [[], {"flags": 1}, {"flags": {"a": {"typo": 1}}}, {"schema": 9}, None], ids=str
)
def test_an_import_that_is_no_document_is_refused(admin, store, wrong):
    with pytest.raises(FlagDocumentError):
        admin.import_document(wrong, **ADA)

    assert store.revision() == 0


def test_nobody_changes_flags_without_a_name(admin):
    with pytest.raises(InvalidArgumentError, match="actor"):
        admin.kill("menu", actor="")


# --- layers ----------------------------------------------------------------------------------


def test_a_write_to_layers_goes_to_the_first_writable():
    top, code = MemoryFlagStore(), CodeFlagStore([Flag("menu", owner="code")])
    admin = FlagAdmin(LayeredFlagStore([top, code]))

    admin.rollout("menu", 5, **ADA)

    assert top.load().flags["menu"] == Flag("menu", owner="code", rollout=5)
    assert [change.key for change in admin.history()] == ["menu"]


def test_removing_from_the_top_shows_the_layer_below():
    code = CodeFlagStore([Flag("menu", owner="code")])
    admin = FlagAdmin(LayeredFlagStore([MemoryFlagStore(), code]))
    admin.rollout("menu", 5, **ADA)

    admin.remove("menu", **ADA)

    assert admin.export_document().flags["menu"] == Flag("menu", owner="code")


def test_removing_from_the_top_what_only_the_top_has_is_refused_while_it_is_needed():
    below = CodeFlagStore([Flag("menu")])
    admin = FlagAdmin(LayeredFlagStore([MemoryFlagStore(), below]))
    admin.set("base", **ADA)
    admin.set("other", prerequisites=[Prerequisite("base"), Prerequisite("menu")], **ADA)

    with pytest.raises(FlagDocumentError, match="base"):
        admin.remove("base", **ADA)
