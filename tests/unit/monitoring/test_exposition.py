"""Our text and that of prometheus_client, byte for byte."""

import math

import prometheus_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Counter as ClientCounter
from prometheus_client import Gauge as ClientGauge
from prometheus_client import Histogram as ClientHistogram
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from shared.monitoring import Metrics
from shared.monitoring._exposition import go_float, number

TEXT, OPEN = "text/plain", "application/openmetrics-text"


@pytest.fixture(autouse=True)
def no_created_series():
    prometheus_client.disable_created_metrics()
    yield
    prometheus_client.enable_created_metrics()


def ours(metrics, accept):
    """Our part of the exposition: what comes before the client's own collectors."""
    text = metrics.expose(accept).body.decode()
    return text[text.index("# HELP", 1) : text.index("# HELP python_gc_objects")]


def theirs(registry, accept):
    made = (generate_openmetrics if accept == OPEN else generate_latest)(registry).decode()
    return made.removesuffix("# EOF\n")


def both(declare, feed):
    """Do the same to our metrics and to the client's."""
    metrics, registry = Metrics("test", multiprocess=False), CollectorRegistry()
    kind, name, help_text, labels, options = declare
    mine = getattr(metrics, kind)(name, help_text, labels, **options)
    client = {"counter": ClientCounter, "gauge": ClientGauge, "histogram": ClientHistogram}[kind]
    other = client(name, help_text, labels, registry=registry, **options)
    for target in (mine, other):
        feed(target)
    return metrics, registry


numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e9)
texts = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize("accept", [TEXT, OPEN])
@given(series=st.dictionaries(st.tuples(texts, texts), numbers, max_size=8), help_text=texts)
@settings(max_examples=60)
def test_counters_are_written_as_the_client_writes_them(accept, series, help_text):
    def feed(counter):
        for labels, amount in series.items():
            counter.labels(*labels).inc(amount)

    metrics, registry = both(("counter", "jobs", help_text, ["b", "a"], {}), feed)

    assert ours(metrics, accept) == theirs(registry, accept)


@pytest.mark.parametrize("accept", [TEXT, OPEN])
@given(values=st.lists(st.floats(max_value=1e9) | st.sampled_from([math.nan, math.inf]), max_size=5))
@settings(max_examples=60)
def test_gauges_are_written_as_the_client_writes_them(accept, values):
    def feed(gauge):
        for index, value in enumerate(values):
            gauge.labels(str(index)).set(value)

    metrics, registry = both(("gauge", "level", "Help.", ["x"], {"unit": "bytes"}), feed)

    assert ours(metrics, accept) == theirs(registry, accept)


@pytest.mark.parametrize("accept", [TEXT, OPEN])
@given(
    amounts=st.lists(st.floats(allow_nan=False, allow_infinity=False, max_value=1e8), max_size=20),
    bounds=st.sets(st.floats(-1e9, 1e9), min_size=1, max_size=6),
)
@settings(max_examples=60)
def test_histograms_are_written_as_the_client_writes_them(accept, amounts, bounds):
    def feed(histogram):
        for amount in amounts:
            histogram.labels("x", "le").observe(amount)

    options = {"buckets": sorted(bounds), "unit": "seconds"}
    metrics, registry = both(("histogram", "took", "Help.", ["z", "a"], options), feed)

    assert ours(metrics, accept) == theirs(registry, accept)


@pytest.mark.parametrize("accept", [TEXT, OPEN])
def test_a_metric_without_labels_is_written_as_the_client_writes_it(accept):
    metrics, registry = both(("counter", "jobs", "Help.", [], {}), lambda counter: counter.inc(3))

    assert ours(metrics, accept) == theirs(registry, accept)


def test_large_counts_are_written_as_the_client_writes_them():
    def feed(histogram):
        histogram.labels("x")
        target = histogram.labels("x")
        if hasattr(target, "cells"):
            target.cells[0], target.cells[2] = 2_500_000.0, 1e7
        else:
            target._buckets[0].set(2_500_000.0)
            target._sum.set(1e7)

    metrics, registry = both(("histogram", "took", "Help.", ["z"], {"buckets": [1]}), feed)

    assert ours(metrics, TEXT) == theirs(registry, TEXT)


def test_exemplars_are_written_in_openmetrics_only():
    metrics = Metrics("test", multiprocess=False)
    metrics.counter("c", "Help.").inc(1, {"trace_id": "abc"})
    metrics.histogram("h", "Help.", ["a"], buckets=[1]).labels("x").observe(0.5, {"trace_id": "def"})

    plain, rich = metrics.expose(TEXT).body.decode(), metrics.expose(OPEN).body.decode()

    assert "trace_id" not in plain
    assert 'c_total 1.0 # {trace_id="abc"} 1.0 1' in rich
    assert 'h_bucket{a="x",le="1.0"} 1.0 # {trace_id="def"} 0.5 1' in rich


def test_the_exemplars_parse():
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    metrics = Metrics("test", multiprocess=False)
    metrics.histogram("h", "Help.", buckets=[1]).observe(0.5, {"trace_id": "abc"})

    families = {f.name: f for f in text_string_to_metric_families(metrics.expose(OPEN).body.decode())}

    assert families["h"].samples[0].exemplar.labels == {"trace_id": "abc"}


def test_an_exemplar_that_is_too_long_is_left_out():
    metrics = Metrics("test", multiprocess=False)
    metrics.counter("c", "Help.").inc(1, {"trace_id": "x" * 200})

    assert "c_total 1.0\n" in metrics.expose(OPEN).body.decode()


@given(st.floats(max_value=1e9))  # above 1e10 releases of the client differ in the exponent's zeros
def test_numbers_are_written_as_the_client_writes_them(value):
    assert number(value) == go_float(value) == floatToGoString(value)


@given(st.floats(allow_nan=False))
def test_a_number_keeps_its_value(value):
    assert float(number(value)) == value
