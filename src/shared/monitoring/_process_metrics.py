"""Metrics of the process, the machine and the container, read when they are asked for."""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from shared.monitoring._metric_collect import Readings
from shared.monitoring._metric_definition import MetricDefinition, define
from shared.monitoring._metrics import Metrics
from shared.monitoring._process import container_memory

_PROC: Final = Path("/proc")
_CPU: Final = define("counter", "process_cpu", "User and system CPU time.", unit="seconds")
_RESIDENT: Final = define("gauge", "process_resident_memory", "Resident memory.", unit="bytes")
_VIRTUAL: Final = define("gauge", "process_virtual_memory", "Virtual memory.", unit="bytes")
_STARTED: Final = define(
    "gauge", "process_start_time", "Start of the oldest process, Unix time.", unit="seconds"
)
_FILES: Final = define("gauge", "process_open_fds", "Open file descriptors.")
_MAX_FILES: Final = define("gauge", "process_max_fds", "Open file descriptors one process may have.")
_THREADS: Final = define("gauge", "process_threads", "Threads.")
_PROCESSES: Final = define("gauge", "process_workers", "Processes whose metrics are added up.")
_LOAD: Final = define("gauge", "system_load_average_1m", "Runnable processes, mean of one minute.")
_TOTAL: Final = define("gauge", "system_memory_total", "Memory of the machine.", unit="bytes")
_AVAILABLE: Final = define("gauge", "system_memory_available", "Memory free for new work.", unit="bytes")
_LIMIT: Final = define("gauge", "container_memory_limit", "Memory the container may use.", unit="bytes")
_USED: Final = define("gauge", "container_memory_working_set", "Memory it uses.", unit="bytes")
_DISK_SIZE: Final = define(
    "gauge", "system_filesystem_size", "Size of the file system.", ["path"], unit="bytes"
)
_DISK_FREE: Final = define("gauge", "system_filesystem_free", "Free space on it.", ["path"], unit="bytes")

Row = tuple[MetricDefinition, Readings]


class ProcessMetrics:
    """Shows CPU, memory, files and threads of all processes of the service, and the machine's.

    Names and units of the process are those of every Prometheus client, so that
    ready-made dashboards work; with several workers the numbers are their sum. What
    the platform does not tell is left out.

    Args:
        metrics: Where they are shown.
        paths: A path on each file system to show.
        proc: Root of the process information, for tests.

    Example:
        >>> metrics = Metrics()
        >>> _ = ProcessMetrics(metrics)
        >>> metrics.value("process_workers")
        1.0
    """

    def __init__(self, metrics: Metrics, *, paths: Iterable[str] = ("/",), proc: Path = _PROC) -> None:
        self._processes: Callable[[], list[int]] = metrics.processes
        self._paths = tuple(paths)
        self._proc = proc
        metrics.computed(self._read)

    def _read(self) -> Iterator[Row]:
        yield from self._of_processes(self._processes())
        yield from self._of_machine()
        group = container_memory()
        if group is not None:
            yield _one(_LIMIT, group.limit)
            yield _one(_USED, group.used)
        yield from self._of_disks()

    def _of_processes(self, pids: list[int]) -> Iterator[Row]:
        yield _one(_PROCESSES, len(pids))
        stats = [stat for stat in map(self._stat, pids) if stat is not None]
        if not stats:
            yield _one(_CPU, sum(os.times()[:2]))
            yield _one(_THREADS, threading.active_count())
            return
        tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        # Fields of proc(5), counted from the third: utime 11, stime 12, threads 17,
        # start 19, virtual size 20, resident pages 21.
        yield _one(_CPU, sum(stat[11] + stat[12] for stat in stats) / tick)
        yield _one(_VIRTUAL, sum(stat[20] for stat in stats))
        yield _one(_RESIDENT, sum(stat[21] for stat in stats) * page)
        yield _one(_THREADS, sum(stat[17] for stat in stats))
        booted = self._field("stat", "btime")
        if booted is not None:
            yield _one(_STARTED, booted + min(stat[19] for stat in stats) / tick)
        files = [count for count in map(self._open_files, pids) if count is not None]
        if files:
            yield _one(_FILES, sum(files))
        yield _one(_MAX_FILES, os.sysconf("SC_OPEN_MAX"))

    def _stat(self, pid: int) -> list[int] | None:
        try:
            text = (self._proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
            # The command's name may hold spaces and brackets; the last bracket ends it.
            fields = [0, *map(int, text.rpartition(")")[2].split()[1:])]
            return fields if len(fields) > 21 else None
        except (OSError, ValueError):
            return None

    def _open_files(self, pid: int) -> int | None:
        try:
            return len(os.listdir(self._proc / str(pid) / "fd"))  # noqa: PTH208 - only counted
        except OSError:
            return None

    def _of_machine(self) -> Iterator[Row]:
        with contextlib.suppress(OSError):  # not every machine knows
            yield _one(_LOAD, os.getloadavg()[0])
        for definition, field in ((_TOTAL, "MemTotal:"), (_AVAILABLE, "MemAvailable:")):
            kibibytes = self._field("meminfo", field)
            if kibibytes is not None:
                yield _one(definition, kibibytes * 1024)

    def _field(self, name: str, field: str) -> int | None:
        try:
            for line in (self._proc / name).read_text(encoding="ascii").splitlines():
                if line.startswith(field):
                    return int(line.split()[1])
        except (OSError, ValueError, IndexError):
            pass
        return None

    def _of_disks(self) -> Iterator[Row]:
        sizes: Readings = {}
        free: Readings = {}
        for path in self._paths:
            try:
                usage = shutil.disk_usage(path)
            except OSError:
                continue
            sizes[(path,)], free[(path,)] = [float(usage.total)], [float(usage.free)]
        if sizes:
            yield _DISK_SIZE, sizes
            yield _DISK_FREE, free


def _one(definition: MetricDefinition, value: float) -> Row:
    return definition, {(): [float(value)]}


def build_info(metrics: Metrics, *, service: str, version: str, environment: str) -> None:
    """Show which build runs, as the constant 1 with labels; join it to others by these.

    Example:
        >>> metrics = Metrics()
        >>> build_info(metrics, service="orders", version="2.3.1", environment="production")
        >>> metrics.value("service_build_info", {"service": "orders", "version": "2.3.1",
        ...                                      "environment": "production"})
        1.0
    """
    labels = ("service", "version", "environment")
    info = metrics.gauge("service_build_info", "Which build runs.", labels, mode="max")
    info.labels(service, version, environment).set(1.0)
    started = metrics.gauge(
        "service_start_time", "Start of the newest process, Unix time.", unit="seconds", mode="max"
    )
    started.set(time.time())
