"""Every row of ours does its job; the peers' are checked when they are measured."""

import pytest

from benchmarks import _registry
from benchmarks._harness import process_row

OURS = [
    pytest.param(table, case, id=f"{table.name}: {case.name}")
    for table in _registry.tables().values()
    for case in table.cases
    # The imports of single rooms are all one case.
    if case.kind == "ours" and case.missing() is None and not case.name.startswith("import shared.")
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("table", "case"), OURS)
def test_a_row_of_ours_can_be_measured(table, case):
    with process_row(table, case, seconds=0.001) as row:
        costs = row.sample()

    assert len(costs) == len(table.metrics)
    assert all(cost > 0 for cost in costs)
