"""Flags in a file: changed by hand, by programs, by both, and by programs that die halfway."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConfigurationError, FlagDocumentError, ServiceUnavailableError, SharedError
from shared.feature_flags import FileFlagStore, Flag, FlagChanges, FlagDocument, LastKnownGood
from shared.feature_flags._file_formats import dumper_of, parse_file
from shared.feature_flags._forms import form_of


def put(store, *flags, actor="ada", expected=None):
    return store.apply(FlagChanges({flag.key: flag for flag in flags}), actor=actor, expected=expected)


def wrote(path, text):
    path.write_text(text)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flags.yaml"


# --- by hand ---------------------------------------------------------------------------------


def test_a_file_written_by_hand_is_revision_1(path):
    wrote(path, "flags:\n  beta: true\n  menu:\n    rollout: 25\n")
    store = FileFlagStore(path)

    assert store.revision() == 1
    assert {key: flag.default for key, flag in store.load().flags.items()} == {"beta": True, "menu": False}


def test_reading_writes_nothing(path, tmp_path):
    wrote(path, "flags: {beta: true}\n")
    store = FileFlagStore(path)
    store.load(), store.history(), store.at(1)

    assert [found.name for found in tmp_path.iterdir()] == ["flags.yaml"]


def test_a_change_by_hand_is_a_revision(path):
    wrote(path, "flags: {beta: true}\n")
    store = FileFlagStore(path)
    store.load()

    wrote(path, "flags: {beta: false}\n")

    assert (store.revision(), store.load().flags["beta"].default) == (2, False)


def test_a_change_of_the_same_length_in_the_same_moment_is_seen(path):
    """File systems tick in milliseconds, and two writes may leave one time and one size."""
    wrote(path, "flags: {beta: 1}\n")
    moment = path.stat().st_mtime_ns
    store = FileFlagStore(path)
    store.load()

    with path.open("r+") as file:
        file.write("flags: {beta: 2}\n")
    os.utime(path, ns=(moment, moment))

    assert store.load().flags["beta"].default == 2


def test_a_change_by_hand_is_in_the_history_once_somebody_writes(path):
    wrote(path, "flags: {beta: true}\n")
    store = FileFlagStore(path)
    put(store, Flag("menu"))
    wrote(path, "flags: {beta: true, menu: {}, hand: 1}\n")
    put(store, Flag("menu", rollout=5))

    found = [(change.revision, change.actor, change.key) for change in FileFlagStore(path).history()]

    assert found == [
        (4, "ada", "menu"),
        (3, "system:file", "hand"),
        (2, "ada", "menu"),
        (1, "system:file", "beta"),
    ]


def test_a_file_put_back_by_hand_is_a_new_revision(path):
    store = FileFlagStore(path)
    put(store, Flag("beta", rollout=1))
    before = path.read_text()
    put(store, Flag("beta", rollout=2))

    wrote(path, before)

    assert (store.revision(), store.load().flags["beta"].rollout) == (3, 1.0)
    assert FileFlagStore(path).revision() == 3


def test_two_readers_and_a_writer_agree_whatever_was_done_by_hand(path):
    wrote(path, "flags: {beta: 1}\n")
    early = FileFlagStore(path)
    early.revision()
    for number in (2, 3, 4):
        wrote(path, f"flags: {{beta: {number}}}\n")
        early.revision()
    late = FileFlagStore(path)
    seen = late.revision()

    put(late, Flag("menu"))

    assert seen < late.revision()
    assert early.revision() > 4
    assert set(early.load().flags) == {"beta", "menu"}


def test_a_file_that_is_gone_holds_nothing_and_comes_back(path):
    wrote(path, "flags: {beta: true}\n")
    store = FileFlagStore(path)
    store.load()
    raw = path.read_text()

    path.unlink()
    gone = (store.revision(), store.load().flags)
    wrote(path, raw)

    assert gone == (0, {})
    assert store.revision() == 1


def test_a_write_after_the_file_was_gone_goes_on_counting(path):
    store = FileFlagStore(path)
    put(store, Flag("beta"))
    put(store, Flag("menu"))
    path.unlink()

    revision = put(store, Flag("new"))

    assert (revision, set(store.load().flags)) == (4, {"new"})
    assert [(c.revision, c.key) for c in store.history()] == [
        (4, "new"),
        (3, "beta"),
        (3, "menu"),
        (2, "menu"),
        (1, "beta"),
    ]


def test_the_permissions_of_the_file_stay(path):
    wrote(path, "flags: {beta: true}\n").chmod(0o640)

    put(FileFlagStore(path), Flag("menu"))

    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(path, tmp_path):
    real = wrote(tmp_path / "real.yaml", "flags: {beta: true}\n")
    path.symlink_to(real)

    put(FileFlagStore(path), Flag("menu"))

    assert path.is_symlink()
    assert "menu" in real.read_text()


# --- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["flags: [", "- a\n- b\n", "flags: 7\n", "flags:\n  a: {typo: 1}\n", "schema: 2\n", "flags: {1: true}\n",
     "a: &x [*x]\n", "flags: {a: 1, a: 2}\n", "flags: !!python/object:os.system {}\n", "other: {}\n", "\x00"],
)  # fmt: skip
def test_a_file_that_is_no_document_is_refused_with_its_name(path, text):
    store = FileFlagStore(wrote(path, text))

    with pytest.raises(FlagDocumentError, match=r"flags\.yaml"):
        store.load()


def test_a_damaged_file_is_not_written_over(path):
    wrote(path, "flags: [")

    with pytest.raises(FlagDocumentError):
        put(FileFlagStore(path), Flag("beta"))

    assert path.read_text() == "flags: ["


def test_aliases_that_stand_for_a_billion_values_are_refused(path):
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]

    with pytest.raises(FlagDocumentError, match="too many"):
        FileFlagStore(wrote(path, "\n".join(lines))).load()


@pytest.mark.parametrize("name", ["flags.txt", "flags", "flags.ini"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(ConfigurationError, match="its name ends in"):
        FileFlagStore(tmp_path / name)


def test_a_directory_is_no_file(tmp_path):
    (tmp_path / "flags.json").mkdir()

    with pytest.raises(ConfigurationError, match="no regular file"):
        FileFlagStore(tmp_path / "flags.json").revision()


def test_a_file_that_cannot_be_read_is_unavailable(path, monkeypatch):
    wrote(path, "flags: {}\n")
    store = FileFlagStore(path)

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "no")

    monkeypatch.setattr(type(path), "open", refuse)

    with pytest.raises(ServiceUnavailableError, match="PermissionError"):
        store.revision()


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    store = FileFlagStore(tmp_path / "missing" / "flags.json")

    with pytest.raises(ConfigurationError, match="cannot be written to: FileNotFoundError"):
        put(store, Flag("beta"))


def test_toml_has_no_null(tmp_path):
    store = FileFlagStore(tmp_path / "flags.toml")

    with pytest.raises(ConfigurationError, match="TOML has no null"):
        put(store, Flag("a", default={"x": 1}, variants={"v": {"x": 1}, "n": {"x": None}}))

    assert store.revision() == 0


def test_yaml_words_that_name_variants_are_texts(path):
    wrote(path, "flags:\n  beta:\n    rules: [{serve: on}]\n    variants: {on: true, off: false}\n")

    flag = FileFlagStore(path).load().flags["beta"]

    assert (flag.variants, flag.rules[0].serve) == ({"on": True, "off": False}, "on")


def test_dates_of_yaml_and_toml_are_read(tmp_path):
    wrote(tmp_path / "f.yaml", "flags: {a: {expires: 2026-12-01}}\n")
    wrote(tmp_path / "f.toml", "[flags.a]\nexpires = 2026-12-01\n")

    for name in ("f.yaml", "f.toml"):
        assert str(FileFlagStore(tmp_path / name).load().flags["a"].expires) == "2026-12-01"


@pytest.mark.parametrize("ending", ["json", "yaml", "toml"])
@given(
    raw=st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    )
)
@settings(deadline=None, max_examples=150)
def test_whatever_a_file_holds_only_our_errors_come_out(tmp_path_factory, ending, raw):
    from pathlib import PurePath

    try:
        parse_file(PurePath(f"flags.{ending}"), raw)
    except SharedError:
        pass


values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8) | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = st.text(
    st.characters(exclude_characters="\x7f", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("ending", ["json", "yaml", "toml"])
@given(
    st.dictionaries(
        keys,
        st.dictionaries(keys, values.map(lambda value: {"v": value}), min_size=1, max_size=3),
        max_size=3,
    )
)
@settings(deadline=None, max_examples=100)
def test_what_is_written_is_read_back_in_every_form(ending, flags):
    from pathlib import PurePath

    document = FlagDocument(
        {key: Flag(key, default=next(iter(kinds.values())), variants=kinds) for key, kinds in flags.items()}
    )
    path = PurePath(f"flags.{ending}")

    again = parse_file(path, dumper_of(path)(form_of(document)).encode())

    assert form_of(again) == form_of(document)


# --- programs that die -----------------------------------------------------------------------

WRITER = """
import sys
from shared.feature_flags import FileFlagStore, Flag, FlagChanges
store = FileFlagStore(sys.argv[1])
print("ready", flush=True)
for number in range(100_000):
    flags = {key: Flag(key, default=number, variants={"v": number}) for key in ("a", "b")}
    print(store.apply(FlagChanges(flags), actor="writer"), flush=True)
"""


def test_a_writer_killed_in_the_middle_leaves_a_whole_revision(tmp_path):
    """Killed at ten moments: the document, its number and its history always fit each other."""
    path = tmp_path / "flags.json"
    last = 0
    for turn in range(10):
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        with process, process.stdout as out:
            assert out.readline() == "ready\n"
            seen = [int(out.readline()) for _ in range(1 + turn)]
            time.sleep(0.001 * turn)
            process.send_signal(signal.SIGKILL)
        store = FileFlagStore(path)

        document = store.load()

        assert document.flags["a"].default == document.flags["b"].default
        assert document.revision >= seen[-1] > last
        assert store.at(document.revision).flags == document.flags
        assert {change.revision for change in store.history(limit=2)} == {document.revision}
        last = put(
            store,
            Flag("a", default=-turn - 1, variants={"v": -turn - 1}),
            Flag("b", default=-turn - 1, variants={"v": -turn - 1}),
        )
        assert last == document.revision + 1
    numbers = [change.revision for change in store.history("a", limit=10_000)]
    assert numbers == sorted(set(numbers), reverse=True)


def halfway(path, step):
    """Write *path* as a writer that died at *step* leaves it."""
    store = FileFlagStore(path)
    put(store, Flag("beta", rollout=1))
    old = path.read_text()
    put(store, Flag("beta", rollout=2))
    log = path.with_name("flags.json.history.jsonl")
    lines = log.read_text().splitlines(keepends=True)
    if step == "before the rename":
        path.write_text(old)
        log.write_text("".join(lines[:-1]))
    elif step == "after the rename":
        log.write_text("".join(lines[:-1]))
    elif step == "within the note":
        path.write_text(old)
        log.write_text("".join(lines[:-2]) + lines[-2][:30])


@pytest.mark.parametrize(
    ("step", "revision", "rollout"),
    [("before the rename", 1, 1.0), ("after the rename", 2, 2.0), ("within the note", 1, 1.0)],
    ids=["before", "after", "torn"],
)
def test_what_a_dead_writer_left_is_the_old_revision_or_the_new(tmp_path, step, revision, rollout):
    path = tmp_path / "flags.json"
    halfway(path, step)

    store = FileFlagStore(path)

    assert (store.revision(), store.load().flags["beta"].rollout) == (revision, rollout)
    assert store.history()[0].revision == revision
    assert put(store, Flag("beta", rollout=9)) == revision + 1
    assert [change.revision for change in FileFlagStore(path).history()] == list(range(revision + 1, 0, -1))


@given(raw=st.binary(max_size=120))
@settings(deadline=None, max_examples=60)
def test_whatever_the_history_holds_the_flags_are_read(tmp_path_factory, raw):
    directory = tmp_path_factory.mktemp("log")
    wrote(directory / "flags.json", '{"flags": {"beta": true}}')
    (directory / "flags.json.history.jsonl").write_bytes(raw)

    assert FileFlagStore(directory / "flags.json").load().flags["beta"].default is True


# --- the last known good ---------------------------------------------------------------------


def test_the_last_known_good_comes_back_whole(tmp_path):
    kept = LastKnownGood(tmp_path / "deep" / "flags.json")
    document = FlagDocument({"beta": Flag("beta", rollout=5, description="ä\u2028")}, revision=7)

    kept.save(document)

    assert kept.load() == document


@pytest.mark.parametrize("damage", ["cut", "bit", "version", "checksum", "other", "empty"])
def test_a_damaged_last_known_good_is_refused(tmp_path, damage):
    kept = LastKnownGood(tmp_path / "flags.json")
    kept.save(FlagDocument({"beta": Flag("beta", rollout=5)}, revision=7))
    text = kept.path.read_text()
    whole = json.loads(text)
    kept.path.write_text(
        {
            "cut": text[:-20],
            "bit": text.replace("5.0", "6.0"),
            "version": json.dumps(whole | {"schema": 2}),
            "checksum": json.dumps(whole | {"checksum": 5}),
            "other": "[1, 2]",
            "empty": "",
        }[damage]
    )

    with pytest.raises(FlagDocumentError, match=r"flags\.json"):
        kept.load()


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=60)
def test_whatever_the_disk_holds_only_our_errors_come_out(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("kept") / "flags.json"
    path.write_bytes(raw)

    with pytest.raises(FlagDocumentError):
        LastKnownGood(path).load()
