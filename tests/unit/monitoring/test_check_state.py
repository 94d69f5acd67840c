from hypothesis import given
from hypothesis import strategies as st

from shared.monitoring import CheckResult, HealthStatus
from shared.monitoring._check_state import CheckState, Freshness

GOOD = CheckResult(HealthStatus.HEALTHY)
SLOW = CheckResult(HealthStatus.DEGRADED)
BAD = CheckResult(HealthStatus.UNHEALTHY)


def state(*, failures=3, recoveries=1):
    return CheckState(2.0, 3.0, failures, recoveries)


def feed(target, *results):
    for at, result in enumerate(results):
        target.record(result, float(at))
    return target


def test_a_check_that_has_never_run_is_tripped_and_expired():
    fresh = state()

    assert fresh.tripped
    assert fresh.freshness(0.0) is Freshness.EXPIRED


def test_the_first_pass_clears_a_check_whatever_the_recovery_rule():
    assert not feed(state(recoveries=5), GOOD).tripped


def test_a_check_that_fails_before_it_ever_passed_stays_tripped():
    assert feed(state(), BAD).tripped


def test_a_check_trips_at_the_last_failure_of_the_row():
    target = feed(state(failures=3), GOOD, BAD, BAD)

    assert not target.tripped
    assert feed(target, BAD).tripped


def test_a_pass_breaks_the_row_of_failures():
    assert not feed(state(failures=2), GOOD, BAD, GOOD, BAD).tripped


def test_a_degraded_run_counts_as_a_pass():
    assert not feed(state(failures=1), GOOD, BAD, SLOW).tripped


def test_a_tripped_check_recovers_after_enough_passes():
    target = feed(state(failures=1, recoveries=2), GOOD, BAD, GOOD)

    assert target.tripped
    assert not feed(target, GOOD).tripped


def test_record_says_when_the_verdict_turned():
    target = state(failures=2)

    assert [target.record(each, 0.0) for each in (GOOD, BAD, BAD, BAD, GOOD)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_result_is_fresh_then_stale_then_expired():
    target = state()
    target.record(GOOD, 10.0)

    assert target.freshness(11.9) is Freshness.FRESH
    assert target.freshness(12.0) is Freshness.STALE
    assert target.freshness(15.0) is Freshness.EXPIRED


def test_a_clock_that_went_back_expires_the_result():
    target = state()
    target.record(GOOD, 10.0)

    assert target.freshness(9.0) is Freshness.EXPIRED


@given(st.lists(st.sampled_from([GOOD, SLOW, BAD])), st.integers(1, 5))
def test_a_check_never_trips_after_fewer_failures_than_the_threshold(results, threshold):
    target = feed(state(failures=threshold), GOOD)

    for result in results:
        before = target.failures
        target.record(result, 0.0)
        if result is BAD and before + 1 < threshold:
            assert not target.tripped or before == 0 or target.failures >= threshold
        if result is not BAD:
            assert not target.tripped
