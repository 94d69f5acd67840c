import contextlib

import pytest

from benchmarks._model import Case, Goal, Table


def case(name, **options):
    return Case(name, contextlib.nullcontext, **options)


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        (Goal("ours", "floor", at_most=1.6), 1.5),
        (Goal("ours", "peer", at_least=4.0), 6.0),
        (Goal("ours", "peer", at_least=4.0, floor="floor"), 16.0),
    ],
)
def test_a_goal_compares_costs_as_it_says(goal, value):
    assert goal.value({"floor": 1.0, "ours": 1.5, "peer": 9.0}) == pytest.approx(value)


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("a", "b", at_most=1.5), 1.5, True),
        (Goal("a", "b", at_most=1.5), 1.51, False),
        (Goal("a", "b", at_least=4.0), 4.0, True),
        (Goal("a", "b", at_least=4.0), 3.9, False),
    ],
)
def test_a_goal_is_met_up_to_its_limit(goal, value, met):
    assert goal.is_met(value) is met


def test_what_adds_nothing_to_the_floor_is_many_times_cheaper():
    goal = Goal("ours", "peer", at_least=6.0, floor="floor")

    assert goal.value({"floor": 1.0, "ours": 0.99, "peer": 2.0}) > 1e6


@pytest.mark.parametrize("absent", ["ours", "peer", "floor"])
def test_a_goal_without_all_of_its_rows_has_no_value(absent):
    costs = {"floor": 1.0, "ours": 1.5, "peer": 9.0}
    del costs[absent]

    assert Goal("ours", "peer", at_least=4.0, floor="floor").value(costs) is None


@pytest.mark.parametrize("limits", [{}, {"at_most": 1.0, "at_least": 2.0}])
def test_a_goal_has_exactly_one_limit(limits):
    with pytest.raises(ValueError, match="either at_most or at_least"):
        Goal("a", "b", **limits)


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        (Goal("ours", "floor", at_most=1.6), "'ours' <= 1.6x 'floor'"),
        (
            Goal("ours", "peer", at_least=6, floor="floor"),
            "'ours' >= 6x cheaper than 'peer', each less 'floor'",
        ),
    ],
)
def test_a_goal_reads_as_a_sentence(goal, text):
    assert str(goal) == text


@pytest.mark.parametrize(
    ("module", "missing"),
    [("json", None), ("no_such_module", "no_such_module"), ("no_such.part", "no_such.part")],
)
def test_a_case_names_what_it_misses(module, missing):
    assert case("x", requires=("sys", module)).missing() == missing


def test_a_table_with_two_rows_of_one_name_is_an_error():
    with pytest.raises(ValueError, match="two rows of one name"):
        Table("t", "title", "a", (case("a"), case("a")))


@pytest.mark.parametrize(
    ("base", "goals"),
    [("c", ()), ("a", (Goal("a", "c", at_most=1),)), ("a", (Goal("a", "b", at_most=1, floor="c"),))],
)
def test_a_table_whose_base_or_goals_name_no_row_is_an_error(base, goals):
    with pytest.raises(ValueError, match="no row \\['c'\\]"):
        Table("t", "title", base, (case("a"), case("b")), goals)
