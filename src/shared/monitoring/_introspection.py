"""Say what the process is doing, without HTTP: on a signal, as text, without secrets."""

import _thread
import asyncio
import gc
import json
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

from shared.errors import InvalidArgumentError
from shared.monitoring._process import mebibytes, memory_use
from shared.runtime import Runtime, current, use

_MAX_TASKS: Final = 200
_MAX_STACK: Final = 30
_MAX_ITEMS: Final = 200

Section = Callable[[], Any]
"""Returns what there is to say, as JSON values."""


class RuntimeReport:
    """What a process is doing at one moment: threads, tasks, requests, health, metrics, settings.

    Everything passes through the redactor. A part that fails says so in its place.

    Args:
        runtime: Whose instances are shown; the one in force when None. Nothing is
            built for the report.
        loop: Event loop whose tasks are shown.

    Example:
        >>> report = RuntimeReport()
        >>> report.add_section("pool", lambda: {"used": 3, "password": "p"})
        >>> report.to_dict()["pool"]
        {'used': 3, 'password': '***'}
    """

    def __init__(
        self, runtime: Runtime | None = None, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._runtime = runtime or current()
        self._loop = loop
        self._sections: dict[str, Section] = {
            "process": self._process,
            "lifecycle": self._lifecycle,
            "health": self._health,
            "metrics": self._metrics,
            "alerts": self._alerts,
            "tasks": self._tasks,
            "threads": _threads,
            "settings": self._settings,
        }

    def add_section(self, name: str, read: Section) -> None:
        """Add a part, such as the state of a pool; replaces one of the same name."""
        self._sections = {**self._sections, name: read}

    def watch_loop(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Show the tasks of *loop*, or of the running one."""
        self._loop = loop or asyncio.get_running_loop()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        from shared.security import Redactor

        redactor, found = Redactor(), {}
        with use(self._runtime):
            for name, read in self._sections.items():
                try:
                    found[name] = redactor.redact({name: read()})[name]
                except Exception as exc:  # noqa: BLE001 - the other parts are worth reading
                    found[name] = f"not available: {type(exc).__name__}"
        return found

    def text(self) -> str:
        """Return the report for people: a headline and indented JSON by part."""
        moment = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        lines = [f"==== report of process {os.getpid()} at {moment} ===="]
        for name, content in self.to_dict().items():
            lines.append(f"---- {name}")
            lines.append(json.dumps(content, indent=2, default=str, ensure_ascii=False))
        lines.append("==== end of report ====\n")
        return "\n".join(lines)

    # -- the parts -----------------------------------------------------------------------

    def _process(self) -> dict[str, Any]:
        memory = memory_use()
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "python": platform.python_version(),
            "executable": sys.executable,
            "runtime": self._runtime.name,
            "cpu_seconds": round(sum(os.times()[:2]), 2),
            "rss_mib": mebibytes(memory.rss),
            "heap_mib": mebibytes(memory.heap),
            "gc": {f"generation {number}": stats for number, stats in enumerate(gc.get_stats())},
            "modules": len(sys.modules),
        }

    def _lifecycle(self) -> Any:
        from shared.monitoring._lifecycle import Lifecycle

        lifecycle = self._runtime.find(Lifecycle)
        if lifecycle is None:
            return "none"
        work = [_work(key) for key in lifecycle.active()[:_MAX_ITEMS]]
        return {
            "state": str(lifecycle.state),
            "uptime": round(lifecycle.uptime, 3),
            "in_flight": lifecycle.in_flight,
            "work": work,
        }

    def _health(self) -> Any:
        from shared.monitoring._registry import HealthRegistry

        registry = self._runtime.find(HealthRegistry)
        # What is known, not a new look: a check may be what hangs.
        return "none" if registry is None else registry.last_results()

    def _metrics(self) -> Any:
        from shared.monitoring._metrics import Metrics

        metrics = self._runtime.find(Metrics)
        if metrics is None:
            return "none"
        shown: dict[str, Any] = {"processes": metrics.processes()}
        for reading in metrics.collect():
            if reading.definition.kind == "gauge":
                for labels, cells in list(reading.numbers.items())[:_MAX_ITEMS]:
                    names = zip(reading.definition.label_names, labels, strict=True)
                    suffix = ",".join(f"{key}={value}" for key, value in names)
                    shown[f"{reading.definition.name}{{{suffix}}}" if suffix else reading.definition.name] = (
                        cells[0]
                    )
        return shown

    def _alerts(self) -> Any:
        from shared.monitoring._evaluator import AlertEvaluator

        evaluator = self._runtime.find(AlertEvaluator)
        return "none" if evaluator is None else {"firing": list(evaluator.firing)}

    def _tasks(self) -> Any:
        loop = self._loop
        if loop is None or loop.is_closed():
            return "no event loop is watched"
        tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        return {
            "count": len(tasks),
            "tasks": [
                {"name": task.get_name(), "coroutine": _coroutine(task), "stack": _task_stack(task)}
                for task in tasks[:_MAX_TASKS]
            ],
        }

    def _settings(self) -> Any:
        from shared.config import Settings

        settings = self._runtime.find(Settings)
        return "none" if settings is None else settings.to_dict()


def _work(key: Any) -> Any:
    # The request layer counts exchanges, which hold the context; others count what they like.
    context = getattr(key, "context", key)
    correlation = getattr(context, "correlation_id", None)
    if correlation is None:
        return str(key)[:200]
    found = {"correlation_id": correlation, "request_id": getattr(context, "request_id", None)}
    # The template and not the path, which may hold somebody's data.
    found |= {name: getattr(key, name) for name in ("method", "route") if hasattr(key, name)}
    return found


def _coroutine(task: "asyncio.Task[Any]") -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", type(coroutine).__name__))


def _task_stack(task: "asyncio.Task[Any]") -> list[str]:
    return [_place(frame, frame.f_lineno) for frame in task.get_stack(limit=_MAX_STACK)]


def _threads() -> list[Mapping[str, Any]]:
    names = {thread.ident: thread for thread in threading.enumerate()}
    found: list[Mapping[str, Any]] = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented by CPython
        thread = names.get(ident)
        stack: list[str] = []
        here: FrameType | None = frame
        while here is not None and len(stack) < _MAX_STACK:
            stack.append(_place(here, here.f_lineno))
            here = here.f_back
        name = f"thread {ident}" if thread is None else thread.name
        found.append({"name": name, "daemon": thread is not None and thread.daemon, "stack": stack})
    return found


def _place(frame: FrameType, line: int) -> str:
    # File, line and function only: variables are what a report must not show.
    return f"{frame.f_code.co_filename}:{line} {frame.f_code.co_qualname}"


class ReportOnSignal:
    """Writes a :class:`RuntimeReport` whenever the process gets a signal, SIGUSR2 by default.

    The report is made and written by a thread: the interrupted code may hold a lock
    that it needs. Where somebody handled the signal before, they still get it.

    Args:
        report: What is written; one of the runtime in force when None.
        path: File that reports are appended to; standard error when None.
        signum: The signal.

    Example:
        >>> reports = ReportOnSignal()
        >>> reports.install()
        True
        >>> reports.uninstall()
    """

    def __init__(
        self,
        report: RuntimeReport | None = None,
        *,
        path: str | Path | None = None,
        signum: int = getattr(signal, "SIGUSR2", 0),
    ) -> None:
        if not signum:
            msg = "this platform has no SIGUSR2: give another signum"
            raise InvalidArgumentError(msg)
        self.report: RuntimeReport = report or RuntimeReport()
        self._path = None if path is None else Path(path)
        self._signum = signum
        self._previous: Any = None
        self._installed = False
        self._writing = threading.Lock()

    def install(self) -> bool:
        """Take the signal over; return whether that was possible: the main thread only may."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if not self._installed or signal.getsignal(self._signum) != self._on_signal:
            self._previous = signal.signal(self._signum, self._on_signal)
            signal.siginterrupt(self._signum, False)
            self._installed = True
        return True

    def uninstall(self) -> None:
        """Put back what was there, where this object is still the handler."""
        if self._installed and signal.getsignal(self._signum) == self._on_signal:
            signal.signal(self._signum, self._previous if self._previous is not None else signal.SIG_DFL)
        self._installed = False

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        # As in DrainOnSignal: no lock may be taken here, so a raw thread is started.
        _thread.start_new_thread(self.write, ())
        if callable(self._previous):
            self._previous(signum, frame)

    def write(self) -> None:
        """Write one report now; never raises."""
        if not self._writing.acquire(timeout=30):
            return
        try:
            data = self._text().encode("utf-8", "backslashreplace")
            if self._path is None:
                _write_all(2, data)
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                _write_all(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError:
            return  # nowhere to write it, and nobody to tell
        finally:
            self._writing.release()

    def _text(self) -> str:
        try:
            return self.report.text()
        except Exception as exc:  # noqa: BLE001 - a report that cannot be made says so
            return f"==== no report of process {os.getpid()}: {type(exc).__name__} ====\n"


def _write_all(descriptor: int, data: bytes) -> None:
    deadline = time.monotonic() + 5.0
    while data and time.monotonic() < deadline:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            time.sleep(0.01)
