import math
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.monitoring._metric_definition import define
from shared.monitoring._metric_slots import _CHUNK, SlotFile, SlotReader
from tests.unit.monitoring.children import run_code

COUNTER = define("counter", "c", "Help.", ["a"])
GAUGE = define("gauge", "g", "Help.", ["a"])
HISTOGRAM = define("histogram", "h", "Help.", ["a"], bounds=[1, 2])


def add(slot, definition, labels, amount=1.0, at=0):
    cells, index = slot.allocate(definition, labels)
    cells[index + at] += amount


def read(directory):
    reader = SlotReader(directory)
    try:
        return [(d.name, labels, cells, alive) for d, labels, cells, alive in reader.rows()]
    finally:
        reader.close()


def abandon(slot):
    """End as a process that was killed does: without a word."""
    slot.release()


def test_a_reader_sees_what_the_owner_counts(tmp_path):
    slot = SlotFile(tmp_path)
    add(slot, COUNTER, ("x",), 2)
    add(slot, HISTOGRAM, ("x",), 1, at=1)

    assert read(tmp_path) == [("c", ("x",), [2.0], True), ("h", ("x",), [0.0, 1.0, 0.0, 0.0], True)]


def test_a_reader_that_stays_sees_later_numbers_and_series(tmp_path):
    slot, reader = SlotFile(tmp_path), SlotReader(tmp_path)
    add(slot, COUNTER, ("x",))
    first = [cells for _, _, cells, _ in reader.rows()]
    add(slot, COUNTER, ("x",))
    add(slot, COUNTER, ("y",), 5)
    second = [cells for _, _, cells, _ in reader.rows()]
    reader.close()

    assert (first, second) == ([[1.0]], [[2.0], [5.0]])


def test_living_processes_have_slots_of_their_own(tmp_path):
    first, second = SlotFile(tmp_path), SlotFile(tmp_path)

    assert first.path != second.path


def test_the_next_process_counts_on_in_the_slot_of_one_that_died(tmp_path):
    first = SlotFile(tmp_path)
    add(first, COUNTER, ("x",), 2)
    abandon(first)
    second = SlotFile(tmp_path)
    add(second, COUNTER, ("x",), 3)

    assert second.path == first.path
    assert read(tmp_path) == [("c", ("x",), [5.0], True)]


def test_many_restarts_leave_one_file(tmp_path):
    for _ in range(50):
        slot = SlotFile(tmp_path)
        add(slot, COUNTER, ("x",))
        abandon(slot)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["slot-0000", "slot-0000.lock"]
    assert read(tmp_path) == [("c", ("x",), [50.0], False)]


def test_gauges_of_a_dead_process_are_zero_for_the_next(tmp_path):
    first = SlotFile(tmp_path)
    add(first, GAUGE, ("x",), 7)
    abandon(first)
    SlotFile(tmp_path)

    assert [cells for name, _, cells, _ in read(tmp_path) if name == "g"] == [[0.0]]


def test_the_next_process_knows_the_series_that_exist(tmp_path):
    first = SlotFile(tmp_path)
    add(first, COUNTER, ("x",))
    abandon(first)

    assert SlotFile(tmp_path).known(COUNTER) == [("x",)]


def test_a_file_grows_by_chunks_and_old_cells_stay_valid(tmp_path):
    slot = SlotFile(tmp_path)
    cells, at = slot.allocate(COUNTER, ("first",))
    for number in range(_CHUNK // 60):
        add(slot, COUNTER, (f"label-{number}",))
    cells[at] += 1

    rows = read(tmp_path)

    assert slot.path.stat().st_size > _CHUNK
    assert len(rows) == 1 + _CHUNK // 60
    assert {tuple(row[2]) for row in rows} == {(1.0,)}


def test_a_taken_over_file_of_many_chunks_is_read_to_its_end(tmp_path):
    first = SlotFile(tmp_path)
    for number in range(_CHUNK // 60):
        add(first, HISTOGRAM, (f"label-{number}",))
    abandon(first)
    second = SlotFile(tmp_path)

    assert len(second.known(HISTOGRAM)) == _CHUNK // 60


@given(
    st.lists(
        st.tuples(st.sampled_from([COUNTER, GAUGE, HISTOGRAM]), st.text(max_size=60), st.floats(0, 1e6)),
        max_size=40,
    )
)
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, operations):
    directory = tmp_path_factory.mktemp("slots")
    slot, expected = SlotFile(directory), {}
    for definition, label, amount in operations:
        add(slot, definition, (label,), amount)
        expected[definition.name, (label,)] = expected.get((definition.name, (label,)), 0) + amount

    found = {(name, labels): cells[0] for name, labels, cells, _ in read(directory)}
    slot.release()

    assert found == expected


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_a_file_that_is_no_slot_is_read_as_empty(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("slots")
    (directory / "slot-0000").write_bytes(content)

    assert read(directory) == []


def test_a_slot_that_was_spoilt_is_started_anew(tmp_path):
    (tmp_path / "slot-0000").write_bytes(b"\0" * 100)

    slot = SlotFile(tmp_path)
    add(slot, COUNTER, ("x",))

    assert read(tmp_path) == [("c", ("x",), [1.0], True)]
    slot.release()


def test_a_slot_nobody_holds_is_free(tmp_path):
    add(SlotFile(tmp_path), COUNTER, ("x",))

    assert read(tmp_path) == [("c", ("x",), [1.0], False)]


def test_a_record_with_half_its_words_is_not_read(tmp_path):
    slot = SlotFile(tmp_path)
    add(slot, COUNTER, ("x",))
    slot._chunks[0][1][1] += 1000  # more words in use than there are records

    assert read(tmp_path) == [("c", ("x",), [1.0], True)]


def test_the_files_are_for_this_user_alone(tmp_path):
    slot = SlotFile(tmp_path)

    assert stat.S_IMODE(slot.path.stat().st_mode) == 0o600


def test_a_link_in_place_of_a_slot_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("keep me")
    (tmp_path / "slot-0000").symlink_to(target)

    with pytest.raises(OSError, match="slot-0000"):
        SlotFile(tmp_path)

    assert target.read_text() == "keep me"


def test_a_killed_process_loses_no_increment_and_is_seen_as_dead(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path;"
        "from shared.monitoring._metric_definition import define;"
        "from shared.monitoring._metric_slots import SlotFile;"
        "slot = SlotFile(Path(sys.argv[1]));"
        "cells, at = slot.allocate(define('counter', 'c', 'Help.', ['a']), ('x',));"
        "[cells.__setitem__(at, cells[at] + 1) for _ in range(1000)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    returned, _, _ = run_code(code, str(tmp_path))

    assert returned == -9
    assert read(tmp_path) == [("c", ("x",), [1000.0], False)]


def test_the_reader_names_the_processes_that_live(tmp_path):
    alive, dead = SlotFile(tmp_path), SlotFile(tmp_path)
    abandon(dead)
    reader = SlotReader(tmp_path)

    found = reader.processes()
    reader.close()

    assert found == [os.getpid()]
    assert alive.pid == os.getpid()


def test_not_a_number_and_infinity_survive(tmp_path):
    slot = SlotFile(tmp_path)
    cells, at = slot.allocate(GAUGE, ("x",))
    cells[at] = math.inf

    assert read(tmp_path)[0][2] == [math.inf]
