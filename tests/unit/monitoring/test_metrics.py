import gc
import os
import weakref

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.errors import InvalidArgumentError
from shared.monitoring import Metrics, get_metrics
from shared.runtime import Runtime, use


@pytest.fixture
def metrics():
    return Metrics("test", multiprocess=False)


def test_a_declaration_may_be_repeated(metrics):
    assert metrics.counter("c", "One.", ["a"]) is metrics.counter("c_total", "Two.", ["a"])


@pytest.mark.parametrize(
    "again",
    [
        lambda m: m.counter("c", "Help.", ["b"]),
        lambda m: m.gauge("c", "Help.", ["a"]),
        lambda m: m.histogram("c", "Help.", ["a"]),
    ],
)
def test_a_name_does_not_change_its_meaning(metrics, again):
    metrics.counter("c", "Help.", ["a"])

    with pytest.raises(InvalidArgumentError, match="'c' exists as counter with labels"):
        again(metrics)


def test_buckets_do_not_change_either(metrics):
    metrics.histogram("h", "Help.", buckets=[1])

    with pytest.raises(InvalidArgumentError, match="2 buckets, not as"):
        metrics.histogram("h", "Help.", buckets=[1, 2])


def test_fewer_than_one_series_is_refused():
    with pytest.raises(InvalidArgumentError, match="max_series is 1 or more"):
        Metrics("test", max_series=0)


def test_value_reads_every_kind_by_its_exposed_name(metrics):
    metrics.counter("c", "Help.").inc(2)
    metrics.gauge("g", "Help.", ["a"]).labels("x").set(3)
    metrics.histogram("h", "Help.", unit="seconds").observe(0.5)

    assert metrics.value("c_total") == metrics.value("c") == 2
    assert metrics.value("g", {"a": "x"}) == 3
    assert (metrics.value("h_seconds_count"), metrics.value("h_seconds_sum")) == (1, 0.5)
    assert metrics.value("g", {"a": "y"}) is metrics.value("absent") is metrics.value("g_total") is None


def test_a_computed_source_is_read_at_every_collection(metrics):
    from shared.monitoring._metric_definition import define

    definition, numbers = define("gauge", "answer", "Help."), iter([1.0, 2.0])
    metrics.computed(lambda: [(definition, {(): [next(numbers)]})])

    assert [metrics.value("answer"), metrics.value("answer")] == [1, 2]


def test_a_computed_source_that_fails_does_not_hide_the_others(metrics, caplog):
    metrics.computed(lambda: 1 / 0)
    metrics.counter("c", "Help.").inc()

    assert metrics.value("c_total") == 1
    assert "a source of computed metrics failed" in caplog.text


def test_alone_a_process_keeps_its_numbers_in_memory():
    metrics = Metrics("alone")

    assert not metrics.is_multiprocess
    assert metrics.processes() == [os.getpid()]


def test_two_runtimes_count_apart():
    seen = []
    for name in ("a", "b"):
        with use(Runtime(name)) as runtime:
            get_metrics().counter("c", "Help.").inc()
            seen.append(get_metrics().value("c_total"))
            runtime.close()

    assert seen == [1, 1]


def test_metrics_nobody_holds_are_freed():
    metrics = Metrics("test", multiprocess=False)
    metrics.registry.collect()
    metrics.expose()
    gone = weakref.ref(metrics)

    del metrics
    gc.collect()

    assert gone() is None


def test_the_exposition_parses(metrics):
    metrics.counter("c", 'Help with \\ and "quotes"\nand lines.', ["a"]).labels('x"\\\n').inc()

    [family] = [f for f in text_string_to_metric_families(metrics.expose().body.decode()) if f.name == "c"]

    assert family.samples[0].labels == {"a": 'x"\\\n'}


def test_a_value_that_cannot_be_encoded_does_not_break_the_exposition(metrics):
    metrics.counter("c", "Help.", ["a"]).labels("\ud800").inc()

    assert b'c_total{a="?"} 1.0' in metrics.expose().body


def test_the_answer_is_not_cached_and_says_its_format(metrics):
    plain, openmetrics = (
        metrics.expose(),
        metrics.expose("application/openmetrics-text; version=1.0.0,*/*;q=0.1"),
    )

    assert dict(plain.headers) == {
        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
        "Cache-Control": "no-store",
    }
    assert dict(openmetrics.headers)["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.body.endswith(b"# EOF\n")
    assert openmetrics.body.count(b"# EOF") == 1


def test_what_something_else_keeps_is_set_before_every_collection():
    metrics = Metrics(multiprocess=False)
    depth, jobs = metrics.gauge("queue_depth", "Waiting."), [1, 2, 3]
    stop = metrics.before_collection(lambda: depth.set(len(jobs)))

    first = metrics.value("queue_depth")
    jobs.clear()
    second = metrics.value("queue_depth")
    stop()
    stop()
    jobs.append(1)

    assert (first, second, metrics.value("queue_depth")) == (3, 0, 0)


def test_an_update_that_fails_does_not_hide_the_others(caplog):
    metrics = Metrics(multiprocess=False)
    depth = metrics.gauge("queue_depth", "Waiting.")
    metrics.before_collection(lambda: 1 / 0)
    metrics.before_collection(lambda: depth.set(4))

    assert metrics.value("queue_depth") == 4
    assert "a source of metrics failed" in caplog.text
