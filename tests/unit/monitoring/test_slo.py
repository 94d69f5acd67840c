from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.monitoring import SLI, SLO, Metrics, Selector, availability, latency, seconds_of, task_success
from shared.monitoring._slo import CounterHistory

HTTP = ("http_request_method", "http_route", "http_response_status_code", "error_type")


@pytest.fixture
def metrics():
    return Metrics("test", multiprocess=False)


def requests(metrics, *events):
    histogram = metrics.histogram("http_server_request_duration", "Help.", HTTP, unit="seconds")
    for route, status, seconds in events:
        histogram.labels("GET", route, str(status), "").observe(seconds)


# -- the arithmetic -----------------------------------------------------------------


def test_the_budget_is_exact():
    assert SLO("x", objective=99.9).budget == Decimal("0.001")
    assert SLO("x", objective="99.95").budget == Decimal("0.0005")


def test_the_factors_of_thirty_days_are_the_known_ones():
    pairs = [(w.long, w.short, str(w.factor), w.severity) for w in SLO("x").burn_windows()]

    assert [(long, short, f"{Decimal(factor):f}", severity) for long, short, factor, severity in pairs] == [
        ("1h", "5m", "14.4", "page"),
        ("6h", "30m", "6", "page"),
        ("1d", "2h", "3", "ticket"),
        ("3d", "6h", "1", "ticket"),
    ]


def test_thresholds_are_exact_decimals():
    slo = SLO("x", objective=99.9)

    assert [f"{slo.threshold(window):f}" for window in slo.burn_windows()] == [
        "0.0144",
        "0.006",
        "0.003",
        "0.001",
    ]


@pytest.mark.parametrize(("window", "factor"), [("28d", "13.44"), ("7d", "3.36"), ("4w", "13.44")])
def test_other_windows_scale_the_factors(window, factor):
    assert f"{SLO('x', window=window).burn_windows()[0].factor:f}" == factor


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("6h", 21_600), ("30d", 2_592_000), ("4w", 2_419_200)]
)
def test_durations_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "1.5h", "30 d", "-1d", "99999d", "1y"])
def test_durations_written_otherwise_are_refused(text):
    with pytest.raises(InvalidArgumentError, match="is not understood"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "is not usable"),
        ({"name": "Orders API"}, "is not usable"),
        ({"objective": 100}, "above 0 and below 100"),
        ({"objective": 0}, "above 0 and below 100"),
        ({"objective": "99,9"}, "above 0 and below 100"),
        ({"objective": float("nan")}, "above 0 and below 100"),
        ({"window": "1d"}, "at least 3d"),
        ({"min_events": 0}, "min_events"),
    ],
)
def test_a_promise_nobody_can_keep_is_refused(wrong, message):
    with pytest.raises(InvalidArgumentError, match=message):
        SLO(**{"name": "x", **wrong})


# -- what is measured ---------------------------------------------------------------------


def test_availability_counts_5xx_and_leaves_out_the_probes(metrics):
    requests(metrics, ("/a", 200, 0.1), ("/a", 503, 0.1), ("/a", 404, 0.1), ("/ready", 503, 0.1))

    assert availability().read(metrics.collect()) == (1, 3)


def test_availability_of_one_route_leaves_the_others_out(metrics):
    requests(metrics, ("/orders/{id}", 500, 0.1), ("/users", 500, 0.1))

    assert availability(route="/orders.*").read(metrics.collect()) == (1, 1)


def test_latency_counts_what_took_longer_than_the_threshold(metrics):
    requests(metrics, ("/a", 200, 0.1), ("/a", 200, 0.2), ("/a", 200, 0.21), ("/a", 200, 20))

    assert latency(0.2).read(metrics.collect()) == (2, 4)


@pytest.mark.parametrize("threshold", [0.3, 0, -1, 11])
def test_a_threshold_that_is_no_bucket_is_refused_and_the_buckets_shown(threshold):
    with pytest.raises(InvalidArgumentError, match=r"is no bucket .* 0\.2, 0\.25"):
        latency(threshold)


def test_a_threshold_of_ones_own_buckets_is_taken():
    assert latency(0.3, buckets=[0.3, 1]).good.matchers[-1] == ("le", "=", "0.3")


def test_task_success_counts_failed_runs(metrics):
    histogram = metrics.histogram(
        "monitored_call_duration", "Help.", ("kind", "name", "outcome"), unit="seconds"
    )
    for outcome in ("success", "error", "cancelled"):
        histogram.labels("task", "mail", outcome).observe(0.1)
    histogram.labels("task", "other", "error").observe(0.1)

    assert task_success("mail").read(metrics.collect()) == (1, 3)
    assert task_success().read(metrics.collect()) == (2, 4)


def test_counters_of_ones_own_can_be_promised(metrics):
    jobs = metrics.counter("jobs", "Help.", ["outcome"])
    for outcome, count in (("ok", 8), ("error", 1), ("timeout", 1)):
        jobs.labels(outcome).inc(count)
    total = Selector("jobs_total")

    assert SLI(total, bad=Selector("jobs_total", (("outcome", "=~", "error|timeout"),))).read(
        metrics.collect()
    ) == (2, 10)
    assert SLI(total, good=Selector("jobs_total", (("outcome", "=", "ok"),))).read(metrics.collect()) == (
        2,
        10,
    )
    assert SLI(total, bad=Selector("jobs_total", (("outcome", "!=", "ok"),))).read(metrics.collect()) == (
        2,
        10,
    )


@pytest.mark.parametrize("both", [{}, {"bad": Selector("b"), "good": Selector("g")}])
def test_an_indicator_needs_bad_or_good_and_not_both(both):
    with pytest.raises(InvalidArgumentError, match="exactly one"):
        SLI(Selector("t"), **both)


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(InvalidArgumentError, match="no regular expression"):
        availability(route="(")


def test_the_expression_is_zero_and_not_nothing_without_any_error():
    text = availability().error_ratio("5m", 'job="orders"')

    assert "or vector(0)" in text
    assert text.count('job="orders"') == 2


def test_label_values_are_escaped_in_expressions():
    text = Selector("x_total", (("name", "=", 'a"b\\c'),)).promql("5m")

    assert text == 'sum(rate(x_total{name="a\\"b\\\\c"}[5m]))'


def test_nothing_counted_yet_is_nothing_promised_wrong(metrics):
    assert availability().read(metrics.collect()) == (0, 0)
    assert latency(0.2).read([]) == (0, 0)


# -- history --------------------------------------------------------------------------------


def history(*points, max_age=3600.0):
    made = CounterHistory(max_age=max_age)
    for now, bad, total in points:
        made.add(now, bad, total)
    return made


def test_the_increase_of_a_window_is_the_difference_of_its_ends():
    made = history((0, 0, 0), (60, 1, 10), (120, 1, 20), (180, 5, 30))

    assert made.increase(60, now=180) == (4, 10)
    assert made.increase(120, now=180) == (4, 20)


def test_a_window_longer_than_what_is_known_takes_what_is_known():
    assert history((0, 0, 5), (60, 1, 10)).increase(3600, now=60) == (1, 5)


def test_no_history_is_no_increase():
    assert history().increase(60, now=0) == (0, 0)


def test_counters_that_fell_begin_anew():
    made = history((0, 5, 100), (60, 6, 200), (120, 0, 3), (180, 1, 10))

    assert made.increase(3600, now=180) == (1, 7)


def test_a_clock_that_went_back_begins_anew():
    made = history((100, 0, 10), (200, 0, 20), (50, 0, 30), (110, 1, 40))

    assert made.increase(3600, now=110) == (1, 10)


def test_memory_is_a_point_a_minute_and_ends_with_the_longest_window():
    made = CounterHistory(max_age=3600)
    for second in range(0, 20_000, 5):
        made.add(second, 0, second)

    assert len(made._times) <= 3600 / 55 + 3
    assert made.increase(3600, now=19_995)[1] == pytest.approx(3600, abs=65)


@given(
    st.lists(st.tuples(st.integers(1, 200), st.integers(0, 5), st.integers(5, 50)), min_size=1, max_size=60),
    st.integers(1, 4000),
)
def test_an_increase_is_never_negative_nor_more_bad_than_all(steps, window):
    made, now, bad, total = CounterHistory(max_age=1e9), 0.0, 0.0, 0.0
    for seconds, more_bad, more in steps:
        now, bad, total = now + seconds, bad + more_bad, total + more
        made.add(now, bad, total)

    found_bad, found_total = made.increase(window, now=now)

    assert 0 <= found_bad <= found_total <= total
