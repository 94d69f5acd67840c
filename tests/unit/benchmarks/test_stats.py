import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._stats import Summary, paired_ratio, quantile

samples = st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=50)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.25, 2.0), (0.5, 3.0), (0.75, 4.0), (1.0, 5.0)])
def test_quantile_of_five_values(share, value):
    assert quantile([5.0, 1.0, 4.0, 2.0, 3.0], share) == value


def test_quantile_lies_between_two_values():
    assert quantile([1.0, 2.0], 0.25) == 1.25


def test_quantile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        quantile([], 0.5)


@given(samples, st.floats(0.0, 1.0))
def test_quantile_is_within_the_samples(values, share):
    assert min(values) <= quantile(values, share) <= max(values) * (1 + 1e-12)


@given(samples)
def test_a_summary_is_in_order(values):
    summary = Summary.of(values)

    assert summary.q1 <= summary.median <= summary.q3
    assert summary.samples == len(values)


def test_ratios_are_taken_within_a_round():
    # The machine was ten times slower in the second round, for both alike.
    assert paired_ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == (2.0, 2.0, 2.0)


def test_ratios_of_unequal_numbers_of_rounds_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0], [1.0, 2.0])
