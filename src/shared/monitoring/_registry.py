"""The checks of a service and the verdict on all of them."""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime
from typing import Any

from shared.errors import InvalidArgumentError
from shared.monitoring._check import CheckCallable, CheckResult, HealthCheck, HealthSource, HealthStatus
from shared.monitoring._check_state import CheckState
from shared.monitoring._events import CheckChanged, HealthChanged, ReadinessChanged
from shared.monitoring._lifecycle import Lifecycle
from shared.monitoring._report import HealthReport
from shared.monitoring._run import CheckRunner
from shared.runtime import Events, after_fork_in_child

Wait = tuple[CheckRunner, "Future[CheckResult] | None"]


class HealthRegistry:
    """Runs the registered checks, rarely and once, and says how the service is.

    Checks run side by side, each with its own time limit. Results are kept for
    *cache_seconds*; for *stale_seconds* more they are still given out while one
    new run is under way; after that a report waits for that run. However many
    callers ask at once, each check runs once.

    A critical check takes the service out of traffic when it has failed
    *failure_threshold* times in a row (and until it has first passed), and lets it
    back in after *recovery_threshold* passes. Others only degrade.

    Args:
        timeout: Seconds a check may take unless it says otherwise, > 0. The default
            stays below the second that a kubelet waits.
        cache_seconds: How long a result is fresh, >= 0.
        stale_seconds: How much longer it may be given out during a new run;
            *cache_seconds* when None.
        failure_threshold: Failed runs in a row before a critical check counts, >= 1.
        recovery_threshold: Passed runs in a row before it counts as recovered, >= 1.
        lifecycle: Whose starting and draining make the service unready; a new one,
            already started, when None.
        service: Name in ``application/health+json``.
        version: Version in it.
        events: Where changes are announced, such as ``runtime.events``.
        clock: Monotonic seconds.
        wall_clock: The time of day for the report's timestamp.

    Raises:
        InvalidArgumentError: A number is out of range.

    Thread-safe and task-safe; no lock is held while a check or a listener runs.

    Example:
        >>> health = HealthRegistry()
        >>> health.add("database", lambda: True)
        >>> health.add("search", lambda: False, critical=False)
        >>> report = health.report()
        >>> str(report.status), report.ready, report.to_dict()["checks"]
        ('degraded', True, {'database': 'healthy', 'search': 'unhealthy'})
    """

    def __init__(
        self,
        *,
        timeout: float = 0.8,
        cache_seconds: float = 2.0,
        stale_seconds: float | None = None,
        failure_threshold: int = 3,
        recovery_threshold: int = 1,
        lifecycle: Lifecycle | None = None,
        service: str | None = None,
        version: str | None = None,
        events: Events | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        _require(timeout > 0, f"timeout is seconds above 0, got {timeout!r}")
        _require(cache_seconds >= 0, f"cache_seconds is 0 or more, got {cache_seconds!r}")
        _require(
            stale_seconds is None or stale_seconds >= 0, f"stale_seconds is 0 or more, got {stale_seconds!r}"
        )
        _require(failure_threshold >= 1, f"failure_threshold is 1 or more, got {failure_threshold!r}")
        _require(recovery_threshold >= 1, f"recovery_threshold is 1 or more, got {recovery_threshold!r}")
        self._timeout = timeout
        self._cache_seconds = cache_seconds
        self._stale_seconds = cache_seconds if stale_seconds is None else stale_seconds
        self._failure_threshold = failure_threshold
        self._recovery_threshold = recovery_threshold
        self._service = service
        self._version = version
        self._events = events or Events()
        self._clock = clock
        self._wall_clock = wall_clock
        self._runners: dict[str, CheckRunner] = {}
        self._lock = threading.Lock()
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._last_status: HealthStatus | None = None
        self._last_ready: bool | None = None
        self.lifecycle: Lifecycle = lifecycle or _started()
        after_fork_in_child(self)

    # -- registration ------------------------------------------------------------

    def add(
        self, name: str, check: CheckCallable, *, critical: bool = True, timeout: float | None = None
    ) -> None:
        """Register *check* under *name*; see :class:`HealthCheck` for what it may be and return.

        Raises:
            InvalidArgumentError: The name is taken or not usable, or the timeout is not.
        """
        self.add_check(HealthCheck(name, check, critical=critical, timeout=timeout))

    def add_check(self, spec: HealthCheck) -> None:
        """Register a declared check.

        Raises:
            InvalidArgumentError: The name is taken: :meth:`remove` the other first.
        """
        state = CheckState(
            self._cache_seconds, self._stale_seconds, self._failure_threshold, self._recovery_threshold
        )
        runner = CheckRunner(
            spec,
            state,
            timeout=self._timeout if spec.timeout is None else spec.timeout,
            clock=self._clock,
            on_change=self._check_changed,
        )
        with self._lock:
            if spec.name in self._runners:
                msg = f"health check {spec.name!r} is registered already: remove it first or rename this one"
                raise InvalidArgumentError(msg)
            # Replaced, never changed in place: a report may be walking the old one.
            self._runners = {**self._runners, spec.name: runner}

    def include(self, *sources: HealthSource | HealthCheck) -> None:
        """Register every check of each source; a :class:`HealthCheck` stands for itself."""
        for source in sources:
            for spec in (source,) if isinstance(source, HealthCheck) else source.health_checks():
                self.add_check(spec)

    def remove(self, name: str) -> bool:
        """Forget the check; return whether there was one."""
        with self._lock:
            runners = dict(self._runners)
            removed = runners.pop(name, None)
            self._runners = runners
        return removed is not None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the registered checks, in order of registration."""
        return tuple(self._runners)

    def bind_loop(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Make asynchronous checks run on *loop*, also when a thread asks.

        :meth:`areport` binds the loop it runs on, so an ASGI application need not
        call this. Without a loop, :meth:`report` awaits such a check in a thread.
        """
        self._loop = weakref.ref(loop or asyncio.get_running_loop())

    # -- reporting ---------------------------------------------------------------

    def report(self) -> HealthReport:
        """Return how the service is; waits at most as long as the slowest check may take.

        In a coroutine use :meth:`areport`: this one blocks the thread.
        """
        runners = tuple(self._runners.values())
        loop = self._usable_loop()
        waits = [(runner, runner.poll(loop, here=False)) for runner in runners]
        for runner, future in waits:
            if future is None:
                continue
            try:
                future.result(runner.remaining())
            except FutureTimeoutError:
                runner.give_up(future)
        return self._judge(runners)

    async def areport(self) -> HealthReport:
        """Return how the service is, without blocking the event loop."""
        runners = tuple(self._runners.values())
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop() is not loop:
            self._loop = weakref.ref(loop)
        waits = [(runner, runner.poll(loop, here=True)) for runner in runners]
        if all(future is None or future.done() for _, future in waits):
            return self._judge(runners)
        # A thousand callers wait as one: not only the check, the waiting is shared too.
        waiting = self._waiting
        if waiting is None or waiting.done() or waiting.get_loop() is not loop:
            waiting = self._waiting = loop.create_task(_wait(waits))
        # Shielded from this caller's cancellation: others wait for the same task.
        await asyncio.shield(waiting)
        await _wait(waits)  # what the others did not wait for: a check added meanwhile
        return self._judge(runners)

    def last_results(self) -> dict[str, str | dict[str, Any]]:
        """Return what is known of every check, without running any."""
        known = {name: runner.state.result for name, runner in self._runners.items()}
        return {name: "unknown" if result is None else result.public() for name, result in known.items()}

    def _usable_loop(self) -> asyncio.AbstractEventLoop | None:
        loop = None if self._loop is None else self._loop()
        if loop is None or not loop.is_running():
            return None
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return loop
        return None if running is loop else loop  # this thread cannot wait for its own loop

    def _judge(self, runners: Iterable[CheckRunner]) -> HealthReport:
        checks = {}
        tripped = None
        failing = []
        for runner in runners:
            result = runner.state.result
            if result is None:  # removed and gone between two lines; nothing to say
                continue
            name = runner.spec.name
            checks[name] = result
            if result.status is not HealthStatus.HEALTHY:
                failing.append(name)
            if runner.spec.critical and runner.state.tripped:
                tripped = tripped or name
        if tripped is not None:
            status = HealthStatus.UNHEALTHY
        else:
            status = HealthStatus.DEGRADED if failing else HealthStatus.HEALTHY
        state = self.lifecycle.state
        report = HealthReport(
            status,
            ready=tripped is None and self.lifecycle.is_ready,
            checks=checks,
            timestamp=self._wall_clock(),
            uptime=self.lifecycle.uptime,
            state=str(state),
            service=self._service,
            version=self._version,
        )
        self._announce(report, tuple(failing), tripped)
        return report

    # -- announcing --------------------------------------------------------------

    def _announce(self, report: HealthReport, failing: tuple[str, ...], tripped: str | None) -> None:
        with self._lock:
            before, self._last_status = self._last_status, report.status
            was_ready, self._last_ready = self._last_ready, report.ready
        if before is not report.status:
            self._events.emit(HealthChanged(before, report.status, failing))
        if was_ready is not report.ready:
            reason = report.state if tripped is None else f"check {tripped!r} failed"
            self._events.emit(ReadinessChanged(report.ready, "started" if report.ready else reason))

    def _check_changed(self, runner: CheckRunner) -> None:
        result = runner.state.result
        if result is not None:
            spec = runner.spec
            self._events.emit(CheckChanged(spec.name, runner.state.tripped, spec.critical, result))

    def after_fork(self) -> None:
        """Forget the locks, runs and loop of the parent; called in the child."""
        self._lock = threading.Lock()
        self._loop = None
        self._waiting = None
        for runner in self._runners.values():
            runner.after_fork()


async def _wait(waits: Iterable[Wait]) -> None:
    for runner, future in waits:
        if future is not None and not future.done():
            await asyncio.wait([asyncio.wrap_future(future)], timeout=runner.remaining())
            if not future.done():
                runner.give_up(future)


def _started() -> Lifecycle:
    lifecycle = Lifecycle()
    lifecycle.mark_ready()
    return lifecycle


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidArgumentError(message)
