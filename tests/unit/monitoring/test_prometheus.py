"""Our metrics through prometheus_client's own eyes, and the client's through ours."""

import math

import prometheus_client
import pytest
from prometheus_client import REGISTRY, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from shared.monitoring import Metrics


@pytest.fixture
def metrics():
    return Metrics("test", multiprocess=False)


def samples(text):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_clients_registry_shows_the_same_samples(metrics):
    metrics.counter("c", "Help.", ["a"]).labels("x").inc(2)
    metrics.gauge("g", "Help.").set(math.pi)
    metrics.histogram("h", "Help.", ["a"], buckets=[-1, 1]).labels("x").observe(0.5)
    metrics.histogram("i", "Help.", buckets=[1]).observe(5)

    fast = samples(metrics.expose().body.decode())
    slow = samples(generate_latest(metrics.registry).decode())

    assert slow == {key: fast[key] for key in slow}
    assert ("h_bucket", (("a", "x"), ("le", "1.0"))) in slow


def test_the_client_sees_exemplars(metrics):
    metrics.counter("c", "Help.").inc(1, {"trace_id": "abc"})

    [metric] = [m for m in metrics.registry.collect() if m.name == "c"]

    assert metric.samples[0].exemplar.labels == {"trace_id": "abc"}


def test_what_others_register_is_exposed_after_ours(metrics):
    Counter("others", "Help.", registry=metrics.registry).inc(4)

    for accept in ("", "application/openmetrics-text"):
        assert b"others_total 4.0" in metrics.expose(accept).body


def test_the_clients_default_registry_is_exposed_too(metrics):
    counter = Counter("shared_test_default", "Help.")
    counter.inc(9)
    try:
        body = metrics.expose().body
    finally:
        REGISTRY.unregister(counter)

    assert b"shared_test_default_total 9.0" in body


def test_no_metric_is_exposed_twice(metrics):
    metrics.counter("c", "Help.")
    metrics.gauge("process_open_fds", "Ours.").set(3)
    metrics.registry.collect()

    heads = [line for line in metrics.expose().body.decode().splitlines() if line.startswith("# TYPE")]

    assert len(heads) == len(set(heads))
    assert "# TYPE process_open_fds gauge" in heads


def test_the_registry_is_made_once(metrics):
    assert metrics.registry is metrics.registry


def test_a_collector_that_fails_is_not_hidden_behind_ours(metrics):
    class Broken:
        def collect(self):
            raise RuntimeError("boom")

    metrics.registry.register(Broken())

    with pytest.raises(RuntimeError, match="boom"):
        metrics.expose()


def test_a_pushed_registry_has_our_metrics(metrics, tmp_path):
    metrics.counter("c", "Help.").inc()
    target = tmp_path / "metrics.prom"

    prometheus_client.write_to_textfile(str(target), metrics.registry)

    assert "c_total 1.0" in target.read_text()
