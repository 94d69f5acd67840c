"""What is watched in the process itself: its event loop, and a report of it on a signal."""

import asyncio
import signal
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shared.monitoring import EventLoopMonitor, ReportOnSignal, RuntimeReport, disk_check, get_metrics
from shared.resilience import get_breakers, get_policies
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.service._service import Service

__all__ = ["add_disks", "add_event_loop", "add_report"]

_LOOP: Final = "lag of the event loop in health and metrics"
_REPORT: Final = "SIGUSR2 writes a redacted report of the process to standard error"


def add_event_loop(service: "Service") -> None:
    """Watch the loop that runs the service, where there is one."""
    if not service.wants("event_loop", _LOOP):
        return
    if service.kind == "flask":
        service.note(Part("event_loop", _LOOP, enabled=False, reason="WSGI has no event loop"))
        return
    monitor = EventLoopMonitor()
    if service.settings.monitoring.METRICS_ENABLED and "metrics" not in service.without:
        monitor.show(get_metrics())

    def begin() -> Callable[[], object] | None:
        try:
            monitor.start(asyncio.get_running_loop())
        except RuntimeError:
            return None  # a synchronous worker: nothing to watch
        service.health.include(monitor.health_check())
        return end

    def end() -> None:
        monitor.stop()
        service.health.remove("event_loop")

    service.on_start(begin)
    service.note(Part("event_loop", _LOOP))


def add_disks(service: "Service") -> None:
    """Watch the free space where the settings say; a full disk degrades, never more."""
    paths = service.settings.monitoring.HEALTH_DISK_PATHS
    for number, path in enumerate(paths, start=1):
        name = "disk" if len(paths) == 1 else f"disk-{number}"
        service.health.include(disk_check(path, name=name))
        service.on_dismantle(partial(service.health.remove, name))


def add_report(service: "Service") -> None:
    """Write a report on SIGUSR2, as long as the service runs in the main thread."""
    if not service.wants("report", _REPORT):
        return
    if not hasattr(signal, "SIGUSR2"):
        service.note(Part("report", _REPORT, enabled=False, reason="the platform has no SIGUSR2"))
        return
    report = RuntimeReport(service.runtime)
    breakers, policies = get_breakers(), get_policies()
    report.add_section("breakers", lambda: [_plain(each) for each in breakers.snapshots()])
    report.add_section("policies", lambda: [_plain(each) for each in policies.snapshots()])
    runtime = service.runtime
    report.add_section("pools", lambda: _pools(runtime))
    reports = ReportOnSignal(report)
    weakref.finalize(service, reports.uninstall).atexit = False

    def begin() -> Callable[[], object] | None:
        with suppress(RuntimeError):  # synchronous code has no tasks to show
            report.watch_loop(asyncio.get_running_loop())
        return reports.uninstall if reports.install() else None

    service.on_start(begin)
    service.note(Part("report", _REPORT))


def _plain(snapshot: Any) -> dict[str, Any]:
    names = (name for cls in type(snapshot).__mro__ for name in getattr(cls, "__slots__", ()))
    return {name: getattr(snapshot, name) for name in names}


def _pools(runtime: Any) -> Any:
    """Return the numbers of the database's pool, where there is a database."""
    import sys

    room = sys.modules.get("shared.database")
    database = None if room is None else runtime.find(room.Database)
    return "none" if database is None else _plain(database.pool())
