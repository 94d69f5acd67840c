import contextlib
import json
from xml.etree import ElementTree as ET

import pytest

from benchmarks._harness import Result
from benchmarks._model import Case, Goal, Table
from benchmarks._report import aligned, as_data, svg, text_table, verdicts


def case(name, kind="peer"):
    return Case(name, contextlib.nullcontext, kind=kind)


TABLE = Table(
    "t",
    "the job",
    "floor",
    (case("floor", "floor"), case("ours & more", "ours"), case("peer"), case("gone")),
    (
        Goal("ours & more", "floor", at_most=1.6),
        Goal("ours & more", "peer", at_least=100.0),
        Goal("gone", "floor", at_most=2),
    ),
    notes=("A note.",),
)


@pytest.fixture
def result():
    samples = {
        "floor": [[1e-6], [1e-6], [1e-6]],
        "ours & more": [[1.4e-6], [1.5e-6], [1.6e-6]],
        "peer": [[30e-6], [30e-6], [30e-6]],
    }
    return Result(TABLE, 3, samples, {"gone": "gone is not installed"})


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_table_shows_cost_ratio_and_spread_of_each_row(result):
    row = next(line for line in text_table(result).splitlines() if line.startswith("| ours & more"))

    assert cells(row) == ["ours & more", "1.45", "1.50", "1.45 to 1.55"]


def test_a_row_that_was_not_measured_says_why(result):
    assert "gone is not installed" in text_table(result)


def test_each_goal_stands_with_what_was_seen_and_whether_it_is_met(result):
    rows = [cells(line) for line in text_table(result).splitlines()]

    assert [row[1:] for row in rows if row[0].startswith("'")] == [
        ["1.50", "yes"],
        ["20.00", "NO"],
        ["not measured", "NO"],
    ]


def test_a_goal_that_was_not_measured_is_not_met(result):
    assert [met for _, _, met in verdicts(result)] == [True, False, False]


def test_the_notes_stand_below(result):
    assert text_table(result).endswith("A note.")


def test_every_line_of_a_table_has_the_same_width():
    lines = aligned([["", "µs"], ["a", "1"], ["a longer one", "1234.5"]])

    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| ------------ | -----: |"


def test_a_table_with_two_metrics_has_a_column_for_each():
    table = Table("t", "job", "a", (case("a"), case("b")), metrics=("wall", "server CPU"))
    result = Result(table, 1, {"a": [[1.0, 2.0]], "b": [[3.0, 3.0]]})

    header, _, _, row = text_table(result).splitlines()[2:6]

    assert cells(header)[2:4] == ["x a, wall", "x a, server CPU"]
    assert cells(row)[2:4] == ["3.00", "1.50"]


def test_the_data_is_complete_and_can_be_written_as_json(result):
    data = json.loads(json.dumps(as_data([result])))

    table = data["tables"][0]
    assert list(table["rows"]) == ["floor", "ours & more", "peer", "gone"]
    assert table["rows"]["ours & more"]["ratio"] == pytest.approx(1.5)
    assert table["rows"]["gone"] == {"absent": "gone is not installed"}
    assert [goal["met"] for goal in table["goals"]] == [True, False, False]
    assert data["environment"]["libraries"]["pytest"] == pytest.__version__


def test_the_chart_is_wellformed_and_has_a_bar_for_each_row(result):
    root = ET.fromstring(svg(result))

    bars = root.findall("{*}rect")
    labels = [text.text for text in root.findall("{*}text")]
    assert len(bars) == 3
    assert {"ours & more", "1.50x"} <= set(labels)


def test_a_bar_beyond_the_chart_is_cut_and_says_so(result):
    root = ET.fromstring(svg(result))

    assert "30.00x (cut)" in [text.text for text in root.findall("{*}text")]
    assert all(float(bar.get("width")) <= 420 for bar in root.findall("{*}rect"))
