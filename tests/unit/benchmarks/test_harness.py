import contextlib
import random

import pytest

from benchmarks import _registry
from benchmarks._harness import ProcessRow, RowError, measure, process_row
from benchmarks._model import Case, Table


class FakeRow:
    """Costs what it is told, and writes down when it is asked."""

    def __init__(self, name, diary, cost=1.0, fails_at=None):
        self._name = name
        self._diary = diary
        self._cost = cost
        self._fails_at = fails_at

    def sample(self):
        if self._diary.count(self._name) == self._fails_at:
            raise RowError("broke")
        self._diary.append(self._name)
        return [self._cost]


NAMES = ("a", "b", "c", "d")


def make_table(**requires):
    return Table(
        "t",
        "title",
        "a",
        tuple(Case(name, contextlib.nullcontext, requires=requires.get(name, ())) for name in NAMES),
    )


def run(table=None, *, rounds=6, seed=1, rows=None, progress=str):
    diary = []
    rows = rows or {}

    def open_row(case):
        made = rows.get(case.name, FakeRow(case.name, diary))
        if isinstance(made, RowError):
            raise made
        made._diary = diary
        return contextlib.nullcontext(made)

    result = measure(
        table or make_table(), open_row, rounds=rounds, rng=random.Random(seed), progress=progress
    )
    return result, [diary[i : i + len(NAMES)] for i in range(0, len(diary), len(NAMES))]


def test_every_round_measures_every_row_once():
    result, rounds = run()

    assert [sorted(names) for names in rounds] == [list(NAMES)] * 6
    assert {len(samples) for samples in result.samples.values()} == {6}


def test_the_order_changes_from_round_to_round():
    _, rounds = run()

    assert len({tuple(names) for names in rounds}) > 1


def test_the_order_is_the_same_for_the_same_seed():
    assert run(seed=7)[1] == run(seed=7)[1] != run(seed=8)[1]


def test_costs_are_ratios_to_the_base():
    result, _ = run(rows={"a": FakeRow("a", None, 2.0), "b": FakeRow("b", None, 3.0)})

    assert result.costs() == {"a": 1.0, "b": 1.5, "c": 0.5, "d": 0.5}


def test_a_row_whose_library_is_missing_is_left_out_and_says_so():
    result, _ = run(make_table(b=("no_such_module",)), rows={})

    assert result.absent == {"b": "no_such_module is not installed"}
    assert not result.failed
    assert set(result.samples) == {"a", "c", "d"}


def test_a_row_that_cannot_be_built_is_left_out_and_the_run_has_failed():
    result, _ = run(rows={"c": RowError("no such thing")})

    assert result.absent == {"c": "failed: no such thing"}
    assert result.failed


def test_a_row_that_breaks_on_the_way_is_left_out_and_the_others_go_on():
    result, _ = run(rows={"c": FakeRow("c", None, fails_at=3)})

    assert result.absent == {"c": "failed: broke"}
    assert {name: len(samples) for name, samples in result.samples.items()} == {"a": 6, "b": 6, "d": 6}


def test_without_the_base_there_are_no_ratios():
    result, _ = run(make_table(a=("no_such_module",)))

    assert result.costs() == {}


def test_progress_tells_each_preparation_and_each_round():
    told = []

    run(rounds=2, progress=told.append)

    assert told == [
        *(f"preparing {n}/4: {name}" for n, name in enumerate(NAMES, 1)),
        "round 1/2",
        "round 2/2",
    ]


def test_a_row_in_a_process_of_its_own_gives_seconds_per_operation():
    table = _registry.table("log-off")

    with process_row(table, table.case("stdlib"), seconds=0.002) as row:
        samples = [row.sample() for _ in range(3)]

    assert all(0 < sample[0] < 0.001 for sample in samples)
    assert row.loops > 1


def test_a_process_that_cannot_build_its_row_gives_the_reason():
    table = _registry.table("log-off")

    with pytest.raises(RowError, match="StopIteration"):
        ProcessRow(table, Case("no such row", contextlib.nullcontext), seconds=0.002)


def test_the_process_of_a_row_ends_with_the_block():
    table = _registry.table("log-off")

    with process_row(table, table.case("stdlib"), seconds=0.002) as row:
        process = row._process

    assert process.returncode == 0
