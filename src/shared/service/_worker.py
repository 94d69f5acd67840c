"""``worker(name)``: the same for code that serves no HTTP."""

import asyncio
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from shared.constants import Header
from shared.context import TraceContext, bind, is_valid_id, request_context
from shared.errors import ConfigurationError
from shared.logging import get_logger
from shared.monitoring import JobMetrics, LifecycleChanged, Metrics, get_tracer
from shared.runtime import Runtime, reset_default, use
from shared.service._database import add_database
from shared.service._errors import add_error_tracking
from shared.service._explain import Explanation, Part
from shared.service._flags import add_worker_flags, flags_scope
from shared.service._observe import add_metrics, add_resilience
from shared.service._probes import ProbeServer
from shared.service._process import add_disks, add_event_loop, add_report
from shared.service._redis import add_redis
from shared.service._service import Service
from shared.service._storage import add_storage
from shared.service._tracing import add_tracing

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.monitoring import HealthRegistry
    from shared.service._service import Check, SettingsLike

__all__ = ["Worker", "worker"]

_PARTS = (
    "logging",
    "tracing",
    "error_tracking",
    "feature_flags",
    "resilience",
    "metrics",
    "event_loop",
    "database",
    "redis",
    "storage",
    "report",
    "health",
    "drain",
)


def worker(
    name: str,
    settings: "SettingsLike" = None,
    *,
    checks: "Iterable[Check]" = (),
    without: Iterable[str] = (),
    health_port: int | None = None,
) -> "Worker":
    """Give a worker, a cron job or a script what ``install()`` gives an application.

    Args:
        name: Name in logs, metrics and health.
        settings: As for :func:`~shared.service.install`.
        checks: As for :func:`~shared.service.install`.
        without: ``"logging"``, ``"tracing"``, ``"error_tracking"``, ``"feature_flags"``,
            ``"resilience"``, ``"metrics"``, ``"event_loop"``, ``"database"``, ``"redis"``, ``"storage"``,
            ``"report"``, ``"health"`` or ``"drain"`` to leave out.
        health_port: Port on all addresses for ``/health``, ``/ready`` and
            ``/live``; 0 takes a free one, None serves none.

    Returns:
        A context manager, for ``with`` and ``async with``.

    Raises:
        ConfigurationError: On entry: the settings are wrong, or a name in *without*
            is unknown.

    Example:
        >>> with worker("billing", without=["logging"]) as billing:
        ...     with billing.task("send invoices"):
        ...         billing.settings.app.SERVICE_NAME, billing.stopping
        ('billing', False)
    """
    return Worker(name, settings, checks=checks, without=without, health_port=health_port)


class Worker:
    """What :func:`worker` makes; inside its block its runtime is the process's.

    On SIGTERM :attr:`stopping` becomes true and :meth:`sleep` returns at once, so
    that a loop can end by itself. Code that looks at neither, and has no
    :meth:`task` under way, is ended by ``SystemExit(143)``. Whatever still runs at the
    drain's deadline dies of the signal.

    Example:
        >>> with worker("billing", without=["logging"]) as billing:
        ...     billing.stop()
        ...     while not billing.stopping:
        ...         print("never reached")
    """

    def __init__(
        self,
        name: str,
        settings: "SettingsLike" = None,
        *,
        checks: "Iterable[Check]" = (),
        without: Iterable[str] = (),
        health_port: int | None = None,
    ) -> None:
        self._given = (name, settings, tuple(checks), without)
        self._health_port = health_port
        self._inside: Service | None = None
        self._exit = ExitStack()
        self._stop = threading.Event()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._cooperates = False
        self._probes: ProbeServer | None = None
        self._log = get_logger("shared.worker")

    # -- what it has -------------------------------------------------------------------

    @property
    def _service(self) -> Service:
        if self._inside is None:
            msg = "the worker is not running: use it inside `with worker(name) as ...:`"
            raise ConfigurationError(msg)
        return self._inside

    @property
    def settings(self) -> "Settings":
        """The settings it runs with."""
        return self._service.settings

    @property
    def runtime(self) -> Runtime:
        """Holds its instances."""
        return self._service.runtime

    @property
    def health(self) -> "HealthRegistry":
        """Its health checks."""
        return self._service.health

    @property
    def health_port(self) -> int | None:
        """Port of the probes, or None when there are none."""
        return None if self._probes is None else self._probes.port

    def explain(self) -> Explanation:
        """Return what was set up, and the settings that decided it."""
        return self._service.explain()

    # -- stopping ------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop; look here before each piece of work."""
        self._cooperates = True
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask it to stop, as SIGTERM does; from any thread."""
        self._service.lifecycle.begin_drain("asked to stop")

    def sleep(self, seconds: float) -> bool:
        """Wait *seconds*, or less when asked to stop; return whether that was asked.

        Example:
            >>> with worker("cron", without=["logging"]) as cron:
            ...     cron.stop()
            ...     cron.sleep(3600)
            True
        """
        self._cooperates = True
        return self._stop.wait(seconds)

    async def asleep(self, seconds: float) -> bool:
        """Do :meth:`sleep` without blocking the event loop."""
        self._cooperates = True
        entry = (asyncio.get_running_loop(), asyncio.Event())
        self._waiting.add(entry)
        try:
            if not self._stop.is_set():
                async with asyncio.timeout(seconds):
                    await entry[1].wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(entry)
        return self._stop.is_set()

    def _changed(self, event: LifecycleChanged) -> None:
        if event.after in ("starting", "ready"):
            return
        self._stop.set()
        for loop, waiter in self._waiting.copy():
            loop.call_soon_threadsafe(waiter.set)

    def _on_signal(self, signum: int, _frame: object) -> None:
        # Reached once the drain has begun: by then whoever cooperates knows.
        if not self._cooperates and not self._service.lifecycle.in_flight:
            raise SystemExit(128 + signum)

    # -- work ------------------------------------------------------------------------------

    @contextmanager
    def task(self, name: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Iterator[None]:
        """Run a block as one piece of work: own ids, a line at the end, counted, waited for by the drain.

        Args:
            name: What is done, for the log.
            headers: Headers of the message that asked for it; the correlation id and
                the trace context are taken over from there.
            **fields: Bound to every log line of the block.

        An exception is logged with its traceback and raised on.
        """
        self._cooperates = True
        service = self._service
        correlation_id, trace = _identity(headers or {})
        with use(service.runtime), request_context(correlation_id=correlation_id, trace=trace) as context:
            bind(task=name, **fields)
            began = time.perf_counter()
            with (
                service.lifecycle.work(context),
                get_tracer().span(name, kind="consumer"),
                self._counted(name),
                flags_scope(service),
            ):
                try:
                    yield
                except BaseException as exc:
                    error = exc if isinstance(exc, Exception) else None
                    self._log.error(
                        "task failed", duration_ms=_since(began), error=type(exc).__name__, exc_info=error
                    )
                    raise
                self._log.info("task finished", duration_ms=_since(began))

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        """Count the block as one run of the job *name*, where metrics are on."""
        service = self._service
        metrics = None if "metrics" in service.without else service.runtime.find(Metrics)
        if metrics is None:
            yield
            return
        jobs, began, outcome = JobMetrics(metrics), time.perf_counter(), "failure"
        jobs.started(name)
        try:
            yield
            outcome = "success"
        finally:
            jobs.ended(name)
            jobs.finished(name, outcome, time.perf_counter() - began)

    # -- in and out ------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._inside is not None:
            msg = f"worker {self._given[0]!r} is already running"
            raise ConfigurationError(msg)
        name, settings, checks, without = self._given
        service = Service("worker", settings, name=name, checks=checks, without=without, known_parts=_PARTS)
        self._inside = service
        with ExitStack() as stack:
            stack.callback(self._forget)
            stack.callback(service.dismantle)
            stack.enter_context(use(service.runtime))
            stack.callback(reset_default, reset_default(service.runtime))
            stack.callback(service.runtime.events.subscribe(LifecycleChanged, self._changed))
            self._take_signal(stack, service)
            add_tracing(service)
            add_error_tracking(service)
            add_worker_flags(service)
            add_resilience(service)
            add_metrics(service)
            add_event_loop(service)
            add_disks(service)
            add_database(service)
            add_redis(service)
            add_storage(service)
            add_report(service)
            self._serve_probes(stack, service)
            service.start()
            self._exit = stack.pop_all()
        self._log.info("worker started", environment=str(service.settings.app.ENVIRONMENT))
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _tb: object) -> None:
        self._farewell(error)
        with self._exit:
            self._service.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, _kind: object, error: BaseException | None, _tb: object) -> None:
        self._farewell(error)
        with self._exit:
            await self._service.astop()

    def _farewell(self, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self._log.error("worker failed", error=type(error).__name__, exc_info=error)
        else:
            self._log.info("worker stopped", uptime_seconds=round(self._service.lifecycle.uptime, 3))

    def _forget(self) -> None:
        self._inside = None
        self._probes = None
        self._stop = threading.Event()
        self._cooperates = False

    def _take_signal(self, stack: ExitStack, service: Service) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        if "drain" in service.without or not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
            return
        signal.signal(signal.SIGTERM, self._on_signal)
        stack.callback(signal.signal, signal.SIGTERM, signal.SIG_DFL)

    def _serve_probes(self, stack: ExitStack, service: Service) -> None:
        does = "probes on a port of their own"
        if not service.wants("health", does):
            return
        if self._health_port is None:
            service.note(Part("health", does, enabled=False, reason="health_port is not given"))
            return
        self._probes = ProbeServer(service.health, service.settings.monitoring, port=self._health_port)
        stack.callback(self._probes.close)
        shown = service.show("HEALTH_PATH", "READY_PATH", "LIVE_PATH", "HEALTH_DETAILS")
        service.note(Part("health", f"{does}: {self._probes.port}", settings=shown))


def _identity(headers: Mapping[str, str]) -> tuple[str | None, TraceContext | None]:
    lower = {name.lower(): value for name, value in headers.items()}
    correlation_id = lower.get(Header.CORRELATION_ID.lower())
    if correlation_id is not None and not is_valid_id(correlation_id):
        correlation_id = None
    parent = TraceContext.parse(lower.get(Header.TRACEPARENT, ""), lower.get(Header.TRACESTATE, ""))
    return correlation_id, parent.child() if parent is not None else None


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)
