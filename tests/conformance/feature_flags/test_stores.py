"""Every rule about stores of flags, against every store."""

import asyncio
import threading
import time

import pytest

from shared.errors import ConflictError, FlagDocumentError, InvalidArgumentError, ResourceNotFoundError
from shared.feature_flags import Condition, Flag, FlagChanges, Prerequisite, Rule, Split


def put(store, *flags, actor="ada", reason="", expected=None):
    changes = FlagChanges({flag.key: flag for flag in flags})
    return store.apply(changes, expected=expected, actor=actor, reason=reason)


def test_a_new_store_holds_nothing_at_revision_0(store):
    document = store.load()

    assert (store.revision(), document.revision, document.flags, document.segments) == (0, 0, {}, {})


def test_a_write_is_a_revision_and_is_read_back(store):
    flag = Flag("new_menu", owner="web", rollout=12.5, tags=("a", "b"))

    revision = put(store, flag)

    document = store.load()
    assert (revision, store.revision(), document.revision) == (1, 1, 1)
    assert document.flags["new_menu"] == flag


@pytest.mark.parametrize(
    "flag",
    [
        pytest.param(
            Flag("f", default="blue", variants={"b": "blue", "r": "röt \u2028 \U0001f680"}), id="text"
        ),
        pytest.param(Flag("f", default=2**60, variants={"a": 2**60, "b": -1}), id="whole-number"),
        pytest.param(Flag("f", default=0.1, variants={"a": 0.1, "b": 1e-9}), id="number"),
        pytest.param(
            Flag("f", default={"a": []}, variants={"x": {"a": []}, "y": {"b": {}, "c": [1, "2", False]}}),
            id="json",
        ),
        pytest.param(
            Flag("f", rules=[Rule("on", when={"any": [{"attr": "a", "op": "in", "value": ["x"]}]})]),
            id="rule",
        ),
        pytest.param(
            Flag("f", environments={"production": {"rollout": 1}}, expires="2027-01-31"), id="overlay"
        ),
        pytest.param(Flag("Gruß-\U0001f680.x"), id="key"),
    ],
)
def test_a_definition_comes_back_as_it_was(store, flag):
    put(store, flag)

    assert store.load().flags[flag.key] == flag


def test_the_order_of_variants_and_weights_is_kept(store):
    names = ["zeta", "on", "b", "aaa", "off", "longest_of_them"]
    variants = {name: name for name in names}
    rule = Rule(split=Split(dict.fromkeys(names, 1)))
    put(store, Flag("f", default="zeta", variants=variants, rules=[rule]))

    flag = store.load().flags["f"]

    assert list(flag.variants) == names
    assert list(flag.rules[0].split.weights) == names


def test_segments_are_kept_beside_flags(store):
    staff = Condition(attr="email", op="ends", value="@example.org")
    store.apply(FlagChanges(segments={"staff": staff}), actor="ada")

    assert store.load().segments == {"staff": staff}


def test_none_removes(store):
    staff = Condition(attr="email", op="ends", value="@example.org")
    store.apply(FlagChanges({"f": Flag("f")}, {"staff": staff}), actor="ada")

    store.apply(FlagChanges({"f": None}, {"staff": None}), actor="ada")

    assert (store.load().flags, store.load().segments, store.revision()) == ({}, {}, 2)


def test_what_changes_nothing_is_no_revision(store):
    put(store, Flag("f"))

    assert put(store, Flag("f")) == 1
    assert store.apply(FlagChanges({"other": None}), actor="ada") == 1
    assert store.revision() == 1


def test_a_write_at_the_expected_revision_goes_through(store):
    put(store, Flag("f"))

    assert put(store, Flag("g"), expected=1) == 2


def test_a_write_at_another_revision_is_refused_and_changes_nothing(store):
    put(store, Flag("f"))

    with pytest.raises(ConflictError, match="at revision 1, not 0"):
        put(store, Flag("g"), expected=0)

    assert (store.revision(), list(store.load().flags)) == (1, ["f"])


def test_a_document_that_could_not_be_put_in_force_is_refused_whole(store):
    a = Flag("a", prerequisites=[Prerequisite("b")])
    b = Flag("b", prerequisites=[Prerequisite("a")])

    with pytest.raises(FlagDocumentError, match="circle"):
        put(store, a, b, Flag("good"))

    assert (store.revision(), store.load().flags, store.history()) == (0, {}, [])


def test_a_prerequisite_may_be_declared_elsewhere(store):
    assert put(store, Flag("a", prerequisites=[Prerequisite("in_code")])) == 1


def test_a_segment_that_is_used_cannot_go(store):
    flag = Flag("f", rules=[Rule("on", when={"segment": "staff"})])
    segment = Condition(attr="a", op="exists")
    store.apply(FlagChanges({"f": flag}, {"staff": segment}), actor="ada")

    with pytest.raises(FlagDocumentError, match="staff"):
        store.apply(FlagChanges(segments={"staff": None}), actor="ada")


def test_the_history_tells_who_why_and_what_the_newest_first(store):
    put(store, Flag("f"), actor="ada", reason="begin")
    put(store, Flag("f", rollout=5), actor="bob", reason="a few")
    put(store, Flag("g"), actor="cy")

    found = [(c.revision, c.key, c.actor, c.reason) for c in store.history()]

    assert found == [(3, "g", "cy", ""), (2, "f", "bob", "a few"), (1, "f", "ada", "begin")]


def test_the_history_has_the_values_before_and_after(store):
    put(store, Flag("f", default="a", variants={"one": "a"}))
    put(store, Flag("f", default="b", variants={"one": "b"}))
    store.apply(FlagChanges({"f": None}), actor="ada")

    newest, middle, oldest = store.history("f")

    assert (oldest.before, oldest.after["variants"]) == (None, {"one": "a"})
    assert (middle.before["variants"], middle.after["variants"]) == ({"one": "a"}, {"one": "b"})
    assert (newest.before["variants"], newest.after, newest.is_removal) == ({"one": "b"}, None, True)


def test_the_history_of_one_flag_is_its_own_and_bounded(store):
    for percent in (1, 2, 3):
        put(store, Flag("f", rollout=percent))
        put(store, Flag("g", rollout=percent))

    found = store.history("f", limit=2)

    assert [(c.key, c.after["rollout"]) for c in found] == [("f", 3.0), ("f", 2.0)]


def test_moments_of_the_history_are_the_store_s_and_do_not_go_back(store):
    before = store.now()
    put(store, Flag("f"))
    put(store, Flag("g"))
    after = store.now()

    newest, oldest = store.history()

    assert before - 0.001 <= oldest.at <= newest.at <= after + 0.001


def test_every_revision_can_be_read_again(store):
    staff = Condition(attr="a", op="exists")
    put(store, Flag("f", rollout=1))
    store.apply(FlagChanges({"f": Flag("f", rollout=2), "g": Flag("g")}, {"staff": staff}), actor="ada")
    store.apply(FlagChanges({"g": None}, {"staff": None}), actor="ada")

    first, second, third = (store.at(revision) for revision in (1, 2, 3))

    assert (first.flags, first.revision) == ({"f": Flag("f", rollout=1)}, 1)
    assert (set(second.flags), second.segments) == ({"f", "g"}, {"staff": staff})
    assert (third.flags, third.segments) == ({"f": Flag("f", rollout=2)}, {})
    assert store.at(0).flags == {}


def test_a_revision_that_never_was_is_not_found(store):
    put(store, Flag("f"))

    with pytest.raises(ResourceNotFoundError, match="no revision 2"):
        store.at(2)


@pytest.mark.parametrize("revision", [-1, True, "1", 1.0])
def test_a_revision_is_a_number_from_0(store, revision):
    with pytest.raises(InvalidArgumentError):
        store.at(revision)


@pytest.mark.parametrize("limit", [0, -1, 10_001, True, None])
def test_a_limit_is_bounded(store, limit):
    with pytest.raises(InvalidArgumentError):
        store.history(limit=limit)


@pytest.mark.parametrize(
    ("actor", "reason"),
    [
        ("", ""),
        (None, ""),
        ("a" * 201, ""),
        ("a\nb", ""),
        ("ada", "x" * 2001),
        ("ada", "\x00"),
        ("ada", None),
    ],
    ids=["none", "null", "long", "line", "long-reason", "nul-reason", "null-reason"],
)
def test_nobody_writes_without_a_name(store, actor, reason):
    with pytest.raises(InvalidArgumentError):
        store.apply(FlagChanges({"f": Flag("f")}), actor=actor, reason=reason)

    assert store.revision() == 0


def test_a_flag_under_a_foreign_key_is_refused(store):
    with pytest.raises(FlagDocumentError):
        store.apply(FlagChanges({"f": Flag("g")}), actor="ada")


def test_asynchronous_code_does_the_same(store):
    async def main():
        revision = await store.aapply(FlagChanges({"f": Flag("f")}), actor="ada", expected=0)
        return (
            revision,
            await store.arevision(),
            list((await store.aload()).flags),
            [change.key for change in await store.ahistory("f")],
            list((await store.aat(1)).flags),
        )

    assert asyncio.run(main()) == (1, 1, ["f"], ["f"], ["f"])


def test_two_places_at_once_lose_no_write(make_store):
    """Each of 4 writers adds 5 flags, without an expected revision; a store in memory is shared."""
    first = make_store()
    alone = make_store.kind in ("memory", "layered")
    failures = []

    def write(number):
        store = first if alone else make_store()
        try:
            for turn in range(5):
                put(store, Flag(f"f-{number}-{turn}"))
        except Exception as exc:  # noqa: BLE001 - told by the assertion
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert len(first.load().flags) == 20
    assert first.revision() == 20
    assert sorted(change.revision for change in first.history()) == list(range(1, 21))


def test_of_two_writers_that_expect_one_revision_one_wins(make_shared):
    stores = [make_shared() for _ in range(4)]
    put(stores[0], Flag("f"))
    outcomes = []
    together = threading.Barrier(4)

    def write(number):
        together.wait(30)
        try:
            outcomes.append(put(stores[number], Flag("f", rollout=number + 1), expected=1))
        except ConflictError:
            outcomes.append("refused")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(map(str, outcomes)) == ["2", "refused", "refused", "refused"]
    assert stores[0].revision() == 2


def test_another_process_sees_the_write(make_shared):
    writer, reader = make_shared(), make_shared()
    assert reader.revision() == 0

    put(writer, Flag("f", rollout=5))

    assert (reader.revision(), reader.load().flags["f"].rollout) == (1, 5.0)


def test_a_write_elsewhere_gives_a_hint(make_shared):
    writer, reader = make_shared(), make_shared()
    reader.revision()
    reader.wait_hint(0.1)  # begins to listen
    reader.revision()
    heard = threading.Event()

    def listen():
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if reader.wait_hint(1.0) and reader.revision() == 1:
                heard.set()
                return

    thread = threading.Thread(target=listen)
    thread.start()
    put(writer, Flag("f"))
    thread.join(40)

    assert heard.is_set()


def test_closing_twice_is_safe(store):
    store.wait_hint(0.01)
    store.close()
    store.close()
