import gc

import pytest

from benchmarks._worker import calibrate, sample


def test_calibrate_returns_loops_that_take_long_enough(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("benchmarks._worker.time.perf_counter", lambda: now[0])

    def run(loops):
        now[0] += loops * 0.001

    loops = calibrate(run, 0.05)

    assert 50 <= loops <= 120


def test_calibrate_ends_for_work_that_costs_nothing(monkeypatch):
    monkeypatch.setattr("benchmarks._worker.time.perf_counter", lambda: 0.0)

    assert calibrate(lambda loops: None, 0.05) >= 1 << 22


def test_calibrate_does_not_trust_a_slow_first_call(monkeypatch):
    now, calls = [0.0], []
    monkeypatch.setattr("benchmarks._worker.time.perf_counter", lambda: now[0])

    def run(loops):
        now[0] += loops * 0.001 + (0.04 if not calls else 0.0)
        calls.append(loops)

    assert calibrate(run, 0.05) >= 50


def test_sample_is_the_cpu_time_of_one_loop(monkeypatch):
    now = [0]
    monkeypatch.setattr("benchmarks._worker.time.thread_time_ns", lambda: now[0])

    def run(loops):
        now[0] += loops * 2_000

    assert sample(run, 10) == [pytest.approx(2e-6)]


def test_sample_takes_the_cost_that_the_case_measured_itself():
    assert sample(lambda loops: (0.25, 0.5), 10) == [0.25, 0.5]


def test_no_garbage_is_collected_during_a_sample():
    seen = []

    sample(lambda loops: seen.append(gc.isenabled()), 1)

    assert (seen, gc.isenabled()) == ([False], True)


def test_the_collector_is_on_again_after_a_sample_that_failed():
    def run(loops):
        raise ValueError("broke")

    with pytest.raises(ValueError, match="broke"):
        sample(run, 1)

    assert gc.isenabled()
