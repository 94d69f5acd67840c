import gc
import threading
import time

from shared.monitoring import Metrics


def sampling(metrics):
    metrics._sampler._interval = 0.01


def threads():
    return [each for each in threading.enumerate() if each.name == "shared-metrics" and each.is_alive()]


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_shared_gauges_with_a_function_are_asked_by_a_thread(tmp_path):
    metrics, asked = Metrics("test", directory=tmp_path / "g"), []
    sampling(metrics)
    metrics.gauge("g", "Help.").set_function(lambda: asked.append(1) or 1.0)
    heard = until(lambda: len(asked) > 2)
    metrics.close()

    assert heard
    assert until(lambda: not threads())


def test_without_a_function_or_without_others_there_is_no_thread(tmp_path):
    shared, alone = Metrics("test", directory=tmp_path / "g"), Metrics("test", multiprocess=False)
    shared.gauge("g", "Help.").set(1)
    alone.gauge("g", "Help.").set_function(lambda: 1.0)

    assert threads() == []


def test_metrics_nobody_holds_end_their_thread(tmp_path):
    metrics = Metrics("test", directory=tmp_path / "g")
    sampling(metrics)
    metrics.gauge("g", "Help.").set_function(lambda: 1.0)
    started = len(threads())
    del metrics
    gc.collect()

    assert started == 1
    assert until(lambda: not threads())


def test_numbers_in_files_are_exposed_like_those_in_memory(tmp_path):
    texts = []
    for options in ({"directory": tmp_path / "g"}, {"multiprocess": False}):
        metrics = Metrics("test", **options)
        metrics.counter("c", "Help.", ["a"]).labels("x").inc(3)
        metrics.gauge("g", "Help.", mode="latest").set(7)
        metrics.histogram("h", "Help.", ["a"], buckets=[1, 2]).labels("y").observe(1.5)
        texts.append(metrics.expose().body.decode().partition("# HELP python")[0])
        metrics.close()

    assert texts[0] == texts[1]


def test_a_directory_of_ones_own_is_shared_by_whoever_names_it(tmp_path):
    first, second = (Metrics("test", directory=tmp_path / "g") for _ in range(2))
    for metrics in (first, second):
        metrics.counter("c", "Help.").inc(2)
        metrics.histogram("h", "Help.", buckets=[1]).observe(0.5)
        metrics.gauge("low", "Help.", mode="min").set(3)
    second.gauge("low", "Help.", mode="min").set(1)

    assert first.value("c_total") == second.value("c_total") == 4
    assert first.value("h_count") == 2
    assert first.value("low") == 1


def test_one_that_leaves_takes_its_numbers_along_and_leaves_them_behind(tmp_path):
    first, second = (Metrics("test", directory=tmp_path / "g") for _ in range(2))
    counter = first.counter("c", "Help.")
    counter.inc(2)
    first.close()
    counter.inc(5)

    assert not first.is_multiprocess
    assert first.value("c_total") == 7
    assert second.value("c_total") == 2


def test_an_older_definition_of_the_same_name_does_not_spoil_ours(tmp_path):
    old, new = (Metrics("test", directory=tmp_path / "g") for _ in range(2))
    old.counter("c", "Help.", ["a"]).labels("x").inc(100)
    new.counter("c", "Help.", ["a", "b"]).labels("x", "y").inc(1)

    assert new.value("c_total", {"a": "x", "b": "y"}) == 1
    assert new.value("c_total", {"a": "x"}) is None
    assert old.value("c_total", {"a": "x"}) == 100


def test_the_number_of_series_stays_bounded_over_restarts(tmp_path):
    for generation in range(5):
        metrics = Metrics("test", directory=tmp_path / "g", max_series=10)
        counter = metrics.counter("c", "Help.", ["path"])
        for number in range(20):
            counter.labels(f"/{generation}/{number}").inc()
        metrics.close()

    last = Metrics("test", directory=tmp_path / "g")
    numbers = next(reading.numbers for reading in last.collect() if reading.definition.name == "c")
    assert len(counter) == len(numbers) == 11
    assert sum(cells[0] for cells in numbers.values()) == 100
