import os
import time

import pytest

from shared.monitoring import Metrics, ProcessMetrics, build_info


@pytest.fixture
def metrics():
    return Metrics("test", multiprocess=False)


def test_the_process_is_shown_under_the_names_every_dashboard_knows(metrics):
    ProcessMetrics(metrics)

    assert metrics.value("process_cpu_seconds_total") > 0
    assert metrics.value("process_resident_memory_bytes") > 1 << 20
    assert metrics.value("process_virtual_memory_bytes") >= metrics.value("process_resident_memory_bytes")
    assert metrics.value("process_open_fds") >= 3
    assert metrics.value("process_max_fds") >= metrics.value("process_open_fds")
    assert metrics.value("process_threads") >= 1
    assert 0 < time.time() - metrics.value("process_start_time_seconds") < 3600


def test_the_numbers_are_the_clients_own(metrics):
    from prometheus_client import ProcessCollector

    ProcessMetrics(metrics)
    theirs = {metric.name: metric.samples[0].value for metric in ProcessCollector(registry=None).collect()}

    assert metrics.value("process_start_time_seconds") == pytest.approx(
        theirs["process_start_time_seconds"], abs=1
    )
    assert metrics.value("process_resident_memory_bytes") == pytest.approx(
        theirs["process_resident_memory_bytes"], rel=0.1
    )
    assert metrics.value("process_max_fds") == theirs["process_max_fds"]


def test_the_machine_is_shown(metrics, tmp_path):
    ProcessMetrics(metrics, paths=[str(tmp_path), str(tmp_path / "absent")])

    assert metrics.value("system_memory_total_bytes") > metrics.value("system_memory_available_bytes") > 0
    assert metrics.value("system_load_average_1m") >= 0
    path = {"path": str(tmp_path)}
    assert metrics.value("system_filesystem_size_bytes", path) >= metrics.value(
        "system_filesystem_free_bytes", path
    )
    assert metrics.value("system_filesystem_size_bytes", {"path": str(tmp_path / "absent")}) is None


def test_where_nobody_tells_the_rest_is_still_shown(metrics, tmp_path):
    ProcessMetrics(metrics, proc=tmp_path, paths=())

    assert metrics.value("process_cpu_seconds_total") > 0
    assert metrics.value("process_threads") >= 1
    assert metrics.value("process_resident_memory_bytes") is None
    assert metrics.value("system_memory_total_bytes") is None
    assert metrics.value("system_filesystem_free_bytes") is None


def test_a_command_with_brackets_in_its_name_is_read(metrics, tmp_path):
    folder = tmp_path / str(os.getpid())
    (folder / "fd").mkdir(parents=True)
    numbers = " ".join(str(number) for number in range(4, 60))
    (folder / "stat").write_text(f"1 (a) b) c) S {numbers}")
    ProcessMetrics(metrics, proc=tmp_path, paths=())

    assert metrics.value("process_threads") == 20
    assert metrics.value("process_open_fds") == 0


def test_a_broken_file_is_left_out(metrics, tmp_path):
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "stat").write_text("nonsense")
    (tmp_path / "meminfo").write_text("MemTotal: many kB\n")
    ProcessMetrics(metrics, proc=tmp_path, paths=())

    assert metrics.value("system_memory_total_bytes") is None
    assert metrics.value("process_cpu_seconds_total") > 0


def test_the_build_is_shown_as_the_constant_one(metrics):
    build_info(metrics, service="orders", version="2.3.1", environment="staging")

    labels = {"service": "orders", "version": "2.3.1", "environment": "staging"}
    assert metrics.value("service_build_info", labels) == 1
    assert metrics.value("service_start_time_seconds") == pytest.approx(time.time(), abs=60)
