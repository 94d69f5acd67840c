"""What a closed breaker remembers, against a plain list of what happened."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.resilience._windows import ConsecutiveWindow, CountWindow, Rates, TimeWindow, make_counter

NEVER = Rates(None, None, None, 1)
outcomes = st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 3)), max_size=150)


@given(st.integers(1, 20), outcomes)
def test_a_count_window_holds_the_last_n_calls(size, calls):
    window = CountWindow(size, NEVER)

    for bad, slow, _ in calls:
        (window.bad if bad else window.good)(0.0, slow=slow)

    last = calls[-size:]
    expected = (len(last), sum(bad for bad, _, _ in last), sum(slow for _, slow, _ in last))
    assert window.totals(0.0) == expected


@given(outcomes)
def test_a_time_window_holds_the_last_seconds_in_whole_slices(calls):
    window = TimeWindow(10.0, NEVER)
    now, seen = 0.0, []

    for bad, slow, step in calls:
        now += step
        (window.bad if bad else window.good)(now, slow=slow)
        seen.append((int(now // 1.0), bad, slow))
        recent = [entry for entry in seen if entry[0] > int(now // 1.0) - 10]
        expected = (len(recent), sum(b for _, b, _ in recent), sum(s for _, _, s in recent))
        assert window.totals(now) == expected


@pytest.mark.parametrize(
    "window",
    [ConsecutiveWindow(3), CountWindow(9, Rates(3, None, None, 1)), TimeWindow(9.0, Rates(3, None, None, 1))],
)
def test_every_window_knows_the_failures_in_a_row(window):
    window.bad(0.0, slow=False)
    window.good(0.0, slow=False)
    assert window.failures == 0

    verdicts = [window.bad(0.0, slow=False) for _ in range(3)]

    assert window.failures == 3
    assert verdicts == [None, None, "3 failures in a row"]


@pytest.mark.parametrize("make", [lambda r: CountWindow(50, r), lambda r: TimeWindow(50.0, r)])
def test_a_share_opens_only_above_the_minimum_of_calls(make):
    window = make(Rates(None, 0.7, None, 10))
    for _ in range(3):
        window.good(0.0, slow=False)

    verdicts = [window.bad(0.0, slow=False) for _ in range(7)]

    assert verdicts == [None] * 6 + ["7 of 10 calls failed"]


@pytest.mark.parametrize("make", [lambda r: CountWindow(50, r), lambda r: TimeWindow(50.0, r)])
def test_slow_calls_open_whether_good_or_bad(make):
    window = make(Rates(None, None, 1.0, 3))

    verdicts = [window.good(0.0, slow=True), window.bad(0.0, slow=True), window.good(0.0, slow=True)]

    assert verdicts == [None, None, "3 of 3 calls were slow"]


def test_a_time_window_drops_old_slices_so_that_it_stays_small():
    window = TimeWindow(10.0, NEVER)

    for second in range(1000):
        window.good(float(second), slow=False)

    assert len(window._buckets) <= 10


def test_consecutive_totals_are_its_streak():
    window = ConsecutiveWindow(5)
    window.bad(0.0, slow=False)

    assert window.totals(0.0) == (1, 1, 0)


@pytest.mark.parametrize("locked", [True, False])
def test_a_counter_loses_no_step_among_threads(locked):
    step = make_counter(locked=locked)
    threads = [threading.Thread(target=lambda: [step() for _ in range(2000)]) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert step() == 8000
