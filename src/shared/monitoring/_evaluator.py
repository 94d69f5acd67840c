"""Look at the alerts every half minute and tell what is news."""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from shared.errors import InvalidArgumentError
from shared.monitoring._alert import Alert, AlertState, BurnRateAlert, Finding, Notification, Severity
from shared.monitoring._events import HealthChanged, ReadinessChanged
from shared.monitoring._metrics import Metrics
from shared.monitoring._notify import Notifier, log_notifier
from shared.monitoring._slo import SLO
from shared.runtime import Events, after_fork_in_child

E = TypeVar("E")

_log: Final = logging.getLogger("shared.monitoring")
_MAX_PENDING: Final = 1000
_MAX_ATTEMPTS: Final = 10


class LeaderLock(Protocol):
    """Decides which of several processes tells; the others only look.

    Example:
        >>> class Always:
        ...     def acquire(self):
        ...         return True
        >>> lock: LeaderLock = Always()
    """

    def acquire(self) -> bool:
        """Return whether this process is the one, now; called before every look, must be quick."""
        ...


class FileLeaderLock:
    """Makes one of the processes of this machine the leader; when it dies, another is.

    Args:
        path: A file that all of them can write; it is created.

    Example:
        >>> import tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "leader")
        >>> lock = FileLeaderLock(path)
        >>> lock.acquire()
        True
        >>> lock.close()
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._file: Any = None
        after_fork_in_child(self)

    def acquire(self) -> bool:
        """Return whether this process holds the lock, taking it when it is free."""
        if self._file is not None:
            return True
        try:
            import fcntl

            file = self._path.open("a")
        except (OSError, ImportError):
            return True  # no lock can be had: better told twice than not at all
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def close(self) -> None:
        """Let another process lead."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def after_fork(self) -> None:
        """Close the copy of the parent's lock; called in the child."""
        self.close()


class AlertEvaluator:
    """Looks at alerts and SLOs in this process and tells the notifiers.

    For small installations: it dies with the process, so the generated rules for
    Prometheus hold a dead man's switch. It tells at the edges only: once when an alert
    fires, once when it is over; a notice that cannot be delivered is tried again.

    Args:
        alerts: Alerts and SLOs.
        metrics: What SLOs are judged by.
        notifiers: Told of everything; the log when empty.
        service: Name in every notice.
        leader: Decides which of several processes tells; each does when None.
        interval: Seconds between looks, > 0.
        cooldown: Seconds of silence after an alert is over, >= 0.
        wall_clock: Unix time in seconds.

    Raises:
        InvalidArgumentError: A number is out of range, or two alerts have one name.

    Example:
        >>> from shared.monitoring import ThresholdAlert
        >>> notices, depth = [], [120]
        >>> alert = ThresholdAlert("queue", lambda: depth[0], above=100)
        >>> evaluator = AlertEvaluator([alert], metrics=Metrics(), notifiers=[notices.append])
        >>> evaluator.tick(); evaluator.tick(); depth[0] = 3; evaluator.tick()
        >>> [notice.status for notice in notices]
        ['firing', 'resolved']
    """

    def __init__(
        self,
        alerts: Iterable[Alert | SLO] = (),
        *,
        metrics: Metrics,
        notifiers: Iterable[Notifier] = (),
        service: str = "",
        leader: LeaderLock | None = None,
        interval: float = 30.0,
        cooldown: float = 300.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not (interval > 0 and cooldown >= 0):
            msg = f"interval > 0 and cooldown >= 0 do not hold: {interval!r}, {cooldown!r}"
            raise InvalidArgumentError(msg)
        self._metrics = metrics
        self._notifiers = tuple(notifiers) or (log_notifier,)
        self._service = service or metrics.service
        self._leader = leader
        self._interval = interval
        self._cooldown = cooldown
        self._clock = wall_clock
        self._alerts: dict[str, tuple[Alert, AlertState]] = {}
        self._pending: deque[tuple[Notifier, Notification, int]] = deque(maxlen=_MAX_PENDING)
        self._tick_lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._wake = threading.Event()
        for alert in alerts:
            self.add(alert)
        after_fork_in_child(self)

    def add(self, alert: Alert | SLO) -> None:
        """Look at one more alert or SLO.

        Raises:
            InvalidArgumentError: There is one of this name.
        """
        made: tuple[Alert, ...] = (alert,) if not isinstance(alert, SLO) else (
            BurnRateAlert(alert, Severity.PAGE),
            BurnRateAlert(alert, Severity.TICKET),
        )  # fmt: skip
        for each in made:
            if each.name in self._alerts:
                msg = f"there is an alert named {each.name!r} already"
                raise InvalidArgumentError(msg)
            self._alerts = {**self._alerts, each.name: (each, AlertState(each.wait, self._cooldown))}

    # -- events ------------------------------------------------------------------------

    def watch(
        self,
        events: Events,
        event_type: type[E],
        describe: Callable[[E], Notification | None],
    ) -> Callable[[], None]:
        """Tell of events as they come, such as changes of feature flags.

        Args:
            events: ``runtime.events``.
            event_type: The class of the events.
            describe: Turns an event into a notice, or into None when it is none.

        Returns:
            A function that ends it.
        """

        def heard(event: E) -> None:
            notification = describe(event)
            if notification is not None:
                self.notify(notification)

        return events.subscribe(event_type, heard)

    def watch_health(self, events: Events) -> Callable[[], None]:
        """Tell when the service becomes unhealthy or not ready, and when that is over.

        Returns:
            A function that ends it.
        """
        stop_health = self.watch(events, HealthChanged, self._health_notice)
        stop_ready = self.watch(events, ReadinessChanged, self._ready_notice)

        def stop() -> None:
            stop_health()
            stop_ready()

        return stop

    def _health_notice(self, event: HealthChanged) -> Notification | None:
        if event.before is None and event.after == "healthy":
            return None  # the beginning is no news
        failing = ", ".join(event.failing) or "none"
        severity = {"unhealthy": Severity.PAGE, "degraded": Severity.TICKET}.get(event.after, Severity.INFO)
        status = "resolved" if event.after == "healthy" else "firing"
        summary = f"{self._service} is {event.after} (failing: {failing})"
        return self._notice("system-health", status, severity, summary, {"failing": list(event.failing)})

    def _ready_notice(self, event: ReadinessChanged) -> Notification | None:
        if event.ready and event.reason == "started":
            return None
        status = "resolved" if event.ready else "firing"
        # A drain is meant: it is told, and wakes nobody.
        severity = (
            Severity.INFO
            if event.ready or event.reason in {"draining", "starting", "stopped"}
            else Severity.PAGE
        )
        word = "takes traffic again" if event.ready else "takes no traffic"
        summary = f"{self._service} {word}: {event.reason}"
        return self._notice("readiness", status, severity, summary, {"reason": event.reason})

    def _notice(
        self, name: str, status: str, severity: Severity, summary: str, details: Mapping[str, Any]
    ) -> Notification:
        return Notification(
            name, status, severity, summary, {"service": self._service, **details}, self._clock()
        )

    # -- looking -------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at every alert once and deliver what is pending; never raises."""
        with self._tick_lock:
            leads = self._leads()
            readings = self._metrics.collect() if self._alerts else []
            now = self._clock()
            for alert, state in list(self._alerts.values()):
                try:
                    finding = alert.look(readings, now)
                except Exception:  # noqa: BLE001 - one broken alert must not hide the others
                    _log.warning("alert %r could not be looked at", alert.name, exc_info=True)
                    continue
                news = state.step(finding, now)
                if news is not None and leads:
                    self._tell(alert, state, news, finding)
            self._deliver()

    def _tell(self, alert: Alert, state: AlertState, news: str, finding: Finding) -> None:
        told = state.told
        severity = finding.severity or (told.severity if told is not None else None) or alert.severity
        self._enqueue(self._notice(alert.name, news, severity, finding.summary, finding.details))

    def notify(self, notification: Notification) -> None:
        """Tell every notifier; delivery that fails is tried again at the next looks.

        Returns at once when :meth:`start` was called: the thread delivers.
        """
        self._enqueue(notification)
        if self._stop is not None:
            self._wake.set()  # the thread delivers: who tells may be a request
        elif self._tick_lock.acquire(blocking=False):  # else whoever ticks delivers
            try:
                self._deliver()
            finally:
                self._tick_lock.release()

    def deliver(self) -> None:
        """Try once to deliver what is pending; never raises."""
        with self._tick_lock:
            self._deliver()

    def _enqueue(self, notification: Notification) -> None:
        self._pending.extend((notifier, notification, 1) for notifier in self._notifiers)

    def _deliver(self) -> None:
        for _ in range(len(self._pending)):
            try:
                notifier, notification, attempt = self._pending.popleft()
            except IndexError:
                return
            try:
                notifier(notification)
            except Exception:  # noqa: BLE001 - the others must be told, and this one again
                if attempt < _MAX_ATTEMPTS:
                    self._pending.append((notifier, notification, attempt + 1))
                name = getattr(notifier, "__name__", type(notifier).__name__)
                _log.warning(
                    "%s could not deliver %r (try %d)", name, notification.alert, attempt, exc_info=True
                )

    def _leads(self) -> bool:
        if self._leader is None:
            return True
        try:
            return self._leader.acquire()
        except Exception:  # noqa: BLE001 - a lock that is down must not silence the alerts
            _log.warning("the leader lock failed; this process tells", exc_info=True)
            return True

    @property
    def firing(self) -> tuple[str, ...]:
        """Names of the alerts that fire."""
        return tuple(name for name, (_, state) in self._alerts.items() if state.firing)

    # -- running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Look every *interval* seconds, from a daemon thread; safe to call again."""
        if self._stop is None:
            self._stop, self._wake = threading.Event(), threading.Event()
            arguments = (weakref.ref(self), self._stop, self._wake, self._interval)
            threading.Thread(target=_run, args=arguments, name="shared-alerts", daemon=True).start()

    def close(self) -> None:
        """End the thread; what is pending is tried once more."""
        if self._stop is not None:
            self._stop.set()
            self._wake.set()
            self._stop = None
        if self._pending:
            self.deliver()

    def after_fork(self) -> None:
        """Leave looking and telling to the parent; called in the child."""
        self._tick_lock = threading.Lock()
        self._pending = deque(maxlen=_MAX_PENDING)
        self._stop = None


def _run(
    reference: "weakref.ref[AlertEvaluator]", stop: threading.Event, wake: threading.Event, interval: float
) -> None:
    next_look = time.monotonic() + interval
    while True:
        woken = wake.wait(max(0.0, next_look - time.monotonic()))
        evaluator = reference()
        if stop.is_set() or evaluator is None:
            return
        if woken:
            wake.clear()
            evaluator.deliver()
        else:
            evaluator.tick()
            next_look = time.monotonic() + interval
        del evaluator  # the thread must not be what keeps it alive
