"""When a guardrail speaks: never by looking too often, and surely when something is wrong."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.feature_flags import FlagOutcomes, Guardrail, VariantSample, judge_guardrails
from shared.feature_flags._sequential import difference_at_least, share_at_least
from shared.monitoring import Metrics


def looks(draw, on_share, off_share, guardrail, *, steps=40, batch=50):
    """Look at growing samples; return the number of the look that broke, or None."""
    on = off = 0
    for step in range(1, steps + 1):
        on += sum(draw.random() < on_share for _ in range(batch))
        off += sum(draw.random() < off_share for _ in range(batch))
        verdict = judge_guardrails(
            [guardrail], VariantSample(step * batch, on), VariantSample(step * batch, off), percent=50
        )
        if verdict.breach is not None:
            return step
    return None


def test_looking_40_times_where_nothing_is_wrong_raises_few_false_alarms():
    """At a level of 5 % and no margin, the worst case, of 300 rollouts; a fixed test would raise 25 %."""
    draw = random.Random(20261120)
    guardrail = Guardrail("error_rate", margin=0.0, alpha=0.05, min_samples=100)

    alarms = sum(looks(draw, 0.05, 0.05, guardrail) is not None for _ in range(300))

    assert alarms <= 15


def test_what_is_wrong_is_found_soon():
    draw = random.Random(7)
    guardrail = Guardrail("error_rate", margin=0.01)

    found = [looks(draw, 0.15, 0.02, guardrail) for _ in range(30)]

    assert all(step is not None and step * 50 <= 1000 for step in found)


def test_what_is_within_the_margin_is_let_pass():
    draw = random.Random(8)
    guardrail = Guardrail("error_rate", margin=0.05)

    assert [looks(draw, 0.04, 0.02, guardrail, steps=20) for _ in range(30)] == [None] * 30


def test_below_the_least_sample_nothing_is_said():
    verdict = judge_guardrails(
        [Guardrail("error_rate", min_samples=100)], VariantSample(99, 99), VariantSample(10_000, 0), percent=1
    )

    assert (verdict.breach, verdict.has_data) == (None, False)


def test_both_sides_need_their_sample():
    rails = [Guardrail("error_rate", min_samples=100)]

    verdict = judge_guardrails(rails, VariantSample(10_000, 0), VariantSample(99, 0), percent=99)

    assert verdict.has_data is False


def test_at_100_percent_only_the_limit_counts():
    rails = [Guardrail("error_rate", margin=0.0, limit=0.2)]
    nobody = VariantSample()

    fine = judge_guardrails(rails, VariantSample(1000, 150), nobody, percent=100)
    bad = judge_guardrails(rails, VariantSample(1000, 500), nobody, percent=100)

    assert (fine.breach, fine.has_data) == (None, True)
    assert bad.breach == "error_rate is 50.0 %; 20.0 % is the limit"


def test_latency_is_the_share_that_took_longer():
    rails = [Guardrail("latency", slower_than=0.5, margin=0.05)]
    on, off = VariantSample(500, 0, {0.5: 200}), VariantSample(500, 0, {0.5: 10})

    assert (
        "latency is 40.0 % with the flag on and 2.0 % without"
        in judge_guardrails(rails, on, off, percent=50).breach
    )


def test_any_one_of_several_guardrails_is_enough():
    rails = [Guardrail("error_rate"), Guardrail("latency", slower_than=0.5)]
    on, off = VariantSample(500, 0, {0.5: 200}), VariantSample(500, 0, {0.5: 10})

    assert judge_guardrails(rails, on, off, percent=50).breach is not None


@given(
    st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(1e-6, 0.49),
    st.integers(1, 10**7),
)
def test_a_bound_is_a_number_below_what_was_seen(on, off, alpha, tuned_for):
    difference = difference_at_least(*on, *off, alpha=alpha, tuned_for=tuned_for)
    share = share_at_least(*on, alpha=alpha, tuned_for=tuned_for)

    assert difference < on[0] / on[1] - off[0] / off[1]
    assert share < on[0] / on[1]


@given(st.integers(1, 200), st.integers(2, 50))
def test_more_of_the_same_makes_the_bound_tighter(events, times):
    few = difference_at_least(events, 400, 4, 400, alpha=0.01, tuned_for=1000)
    many = difference_at_least(
        events * times, 400 * times, 4 * times, 400 * times, alpha=0.01, tuned_for=1000
    )

    assert many > few


def test_outcomes_are_counted_by_flag_and_variant():
    outcomes = FlagOutcomes(Metrics())
    outcomes.record("f", "on", 0.1)
    outcomes.record("f", "on", 0.6, failed=True)
    outcomes.record("f", "off", 0.1)
    outcomes.record("g", "on", 9.0, failed=True)

    assert outcomes.read("f", "on", slower_than=(0.5,)) == VariantSample(2, 1, {0.5: 1})
    assert outcomes.read("f", "off") == VariantSample(1, 0)


@pytest.mark.parametrize(
    ("limit", "slower"), [(0.005, 5), (0.5, 2), (0.4, 2), (10.0, 1), (60.0, 0)], ids=lambda value: str(value)
)
def test_a_limit_counts_what_took_longer(limit, slower):
    outcomes = FlagOutcomes(Metrics())
    for seconds in (0.02, 0.1, 0.5, 0.6, 20.0):
        outcomes.record("f", "on", seconds)

    assert outcomes.read("f", "on", slower_than=(limit,)).slow == {limit: slower}


def test_a_block_that_raises_is_an_error_and_raises():
    outcomes = FlagOutcomes(Metrics())

    with pytest.raises(ZeroDivisionError), outcomes.watch("f", "on"):
        _ = 1 / 0

    assert outcomes.read("f", "on").errors == 1


def test_counters_that_began_anew_count_from_there():
    assert VariantSample(3, 1, {0.5: 1}).since(VariantSample(100, 9, {0.5: 9})) == VariantSample(
        3, 1, {0.5: 1}
    )
