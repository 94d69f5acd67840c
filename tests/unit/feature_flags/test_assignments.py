"""What sticky splits remember."""

import pytest

from shared.errors import InvalidArgumentError
from shared.feature_flags import MemoryFlagAssignments


def test_what_a_unit_got_first_stays():
    kept = MemoryFlagAssignments()

    kept.put("x", "ab", 1, "u-1", "a")
    kept.put("x", "ab", 1, "u-1", "b")

    assert kept.get("x", "ab", 1, "u-1") == "a"
    assert kept.get("x", "ab", 2, "u-1") is None


def test_the_least_recently_used_are_forgotten_first():
    kept = MemoryFlagAssignments(most=2)
    kept.put("x", "ab", 1, "u-1", "a")
    kept.put("x", "ab", 1, "u-2", "a")
    kept.get("x", "ab", 1, "u-1")

    kept.put("x", "ab", 1, "u-3", "a")

    assert [kept.get("x", "ab", 1, unit) for unit in ("u-1", "u-2", "u-3")] == ["a", None, "a"]
    assert len(kept) == 2


def test_it_remembers_at_least_one():
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        MemoryFlagAssignments(most=0)
