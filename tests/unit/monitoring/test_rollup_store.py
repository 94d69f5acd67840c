"""The store in memory; what every store must hold is in tests/conformance/monitoring."""

import pytest

from shared.errors import InvalidArgumentError
from shared.monitoring import MemoryRollupStore, Rollup, RollupKey


def row(start):
    return Rollup(RollupKey(start, 60, "task", "x", ""), 1, 0, 0.1, 0.1, {40: 1})


def test_memory_is_bounded_and_the_oldest_go_first():
    store = MemoryRollupStore(max_rows=3)
    store.add([row(60 * minute) for minute in range(5)])

    assert sorted(each.key.start for each in store.read(0, 1000)) == [120, 180, 240]


def test_fewer_than_one_row_is_refused():
    with pytest.raises(InvalidArgumentError, match="max_rows"):
        MemoryRollupStore(max_rows=0)
