import math
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.monitoring import Metrics


@pytest.fixture
def metrics():
    return Metrics("test", multiprocess=False)


# -- labels --------------------------------------------------------------------------


def test_the_same_labels_give_the_same_series_by_order_and_by_name(metrics):
    counter = metrics.counter("c", "Help.", ["method", "status"])

    assert counter.labels("GET", 200) is counter.labels(status=200, method="GET")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}),
        (("a",), {}),
        (("a", "b", "c"), {}),
        ((), {"a": 1}),
        ((), {"a": 1, "x": 2}),
        (("a",), {"b": 1}),
    ],
)
def test_wrong_labels_are_refused_with_the_right_ones_in_the_text(metrics, values, named):
    counter = metrics.counter("c", "Help.", ["a", "b"])

    with pytest.raises(InvalidArgumentError, match=r"\('a', 'b'\)"):
        counter.labels(*values, **named)


def test_a_metric_with_labels_cannot_be_used_without(metrics):
    with pytest.raises(InvalidArgumentError, match="use .labels"):
        metrics.counter("c", "Help.", ["a"]).inc()


def test_a_label_value_that_cannot_be_hashed_is_kept_as_its_text(metrics):
    counter = metrics.counter("c", "Help.", ["a"])

    assert counter.labels(["x"]) is counter.labels("['x']")


# -- counters -------------------------------------------------------------------------


def test_a_counter_adds(metrics):
    counter = metrics.counter("c", "Help.")
    counter.inc()
    counter.inc(2.5)

    assert counter.labels().value == 3.5


@pytest.mark.parametrize("amount", [-1, math.nan, "3", None])
def test_a_counter_refuses_what_is_no_growth(metrics, amount):
    counter = metrics.counter("c", "Help.")

    with pytest.raises(InvalidArgumentError, match="a counter only grows"):
        counter.inc(amount)

    assert counter.labels().value == 0


def test_no_increment_of_any_thread_is_lost(metrics):
    series = metrics.counter("c", "Help.").labels()
    threads = [threading.Thread(target=lambda: [series.inc() for _ in range(5000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert series.value == 40_000


# -- gauges ---------------------------------------------------------------------------


def test_a_gauge_goes_up_and_down(metrics):
    gauge = metrics.gauge("g", "Help.")
    gauge.set(5)
    gauge.inc(2)
    gauge.dec()

    assert gauge.labels().value == 6


def test_a_gauge_follows_a_block_also_when_it_fails(metrics):
    series = metrics.gauge("g", "Help.").labels()
    with pytest.raises(KeyError), series.track():
        inside = series.value
        raise KeyError

    assert (inside, series.value) == (1, 0)


@pytest.mark.parametrize("value", ["x", None, object()])
def test_a_gauge_refuses_what_is_no_number(metrics, value):
    with pytest.raises(InvalidArgumentError, match="holds a number"):
        metrics.gauge("g", "Help.").set(value)


def test_a_function_is_asked_at_every_collection(metrics):
    numbers = iter([1, 2, 3])
    gauge = metrics.gauge("g", "Help.")
    gauge.set_function(lambda: next(numbers))

    assert [metrics.value("g"), metrics.value("g")] == [1, 2]


def test_a_function_that_fails_makes_the_number_unknown(metrics):
    metrics.gauge("g", "Help.").set_function(lambda: 1 / 0)

    assert math.isnan(metrics.value("g"))


def test_a_function_can_be_taken_away(metrics):
    gauge = metrics.gauge("g", "Help.")
    gauge.set_function(lambda: 7)
    metrics.sample()
    gauge.set_function(None)
    gauge.set(1)

    assert metrics.value("g") == 1


def test_the_latest_gauge_remembers_when_it_was_set(metrics):
    series = metrics.gauge("g", "Help.", mode="latest").labels()
    before = time.time()
    series.inc()

    value, moment = series.read(2)

    assert (value, before <= moment <= time.time()) == (1, True)


# -- histograms -----------------------------------------------------------------------


def test_an_observation_on_a_bound_belongs_to_its_bucket(metrics):
    series = metrics.histogram("h", "Help.", buckets=[1, 2]).labels()
    for amount in (0.5, 1, 1.5, 2, 99):
        series.observe(amount)

    assert series.read(4) == [2, 2, 1, 104]


def test_what_is_not_a_number_is_dropped(metrics):
    series = metrics.histogram("h", "Help.", buckets=[1]).labels()
    series.observe(math.nan)

    assert (series.count, series.sum) == (0, 0)


def test_a_block_is_timed_also_when_it_fails(metrics):
    histogram = metrics.histogram("h", "Help.")
    with pytest.raises(KeyError), histogram.time():
        raise KeyError

    assert histogram.labels().count == 1


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)),
    st.sets(st.floats(-9, 9), min_size=1),
)
def test_buckets_count_every_observation_once_and_where_it_belongs(amounts, bounds):
    limits = sorted(bounds)
    series = Metrics("test", multiprocess=False).histogram("h", "Help.", buckets=limits).labels()
    for amount in amounts:
        series.observe(amount)

    below = 0.0
    for index, bound in enumerate(limits):
        below += series.read(len(limits) + 1)[index]
        assert below == sum(amount <= bound for amount in amounts)
    assert series.count == len(amounts)


# -- limits ------------------------------------------------------------------------------


def test_ten_thousand_random_values_leave_the_number_of_series_constant():
    metrics = Metrics("test", multiprocess=False, max_series=100)
    counter = metrics.counter("c", "Help.", ["path"])

    for number in range(10_000):
        counter.labels(f"/random/{number}").inc()

    assert len(counter) == 101
    assert metrics.value("c_total", {"path": "_overflow"}) == 9_900
    assert metrics.value("shared_metrics_overflow_total", {"metric": "c"}) == 9_900


def test_known_series_keep_counting_at_the_limit():
    metrics = Metrics("test", multiprocess=False, max_series=2)
    counter = metrics.counter("c", "Help.", ["a"])
    for value in "xyzx":
        counter.labels(value).inc()

    assert metrics.value("c_total", {"a": "x"}) == 2


def test_threads_that_create_the_same_series_get_the_same(metrics):
    counter, found = metrics.counter("c", "Help.", ["a"]), []
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        found.append(counter.labels("x"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, found))) == 1
