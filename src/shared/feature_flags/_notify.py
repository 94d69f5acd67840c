"""Tell people and other systems that flags changed: the log, a signed webhook, a mailbox."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from shared.feature_flags._events import FlagsChanged
from shared.monitoring import Notification, Notifier, Severity
from shared.runtime import Events, after_fork_in_child, current

__all__ = ["FlagChangeNotifier"]

_log: Final = logging.getLogger("shared.feature_flags")
_MOST_WAITING: Final = 1000
_MOST_KEYS: Final = 100
_PAUSES: Final = (1.0, 5.0)  # seconds before the second and the third attempt


class _Leader(Protocol):
    def acquire(self) -> bool: ...


class FlagChangeNotifier:
    """Hands every change that comes into force to a notifier, in the background, in order.

    ``shared.monitoring.WebhookNotifier`` posts it signed; ``log_notifier`` writes it to the
    log; any callable that takes a :class:`~shared.monitoring.Notification` will do. What
    fails is tried three times, then logged and left out. Evaluation and refresh never wait.

    Args:
        notifier: Who is told.
        service: Named in the notice.
        leader: Whether this process is the one that tells, asked at every change; every
            process tells when None. ``LeaseLeaderLock`` is one.
        events: Where changes are heard; those of the current runtime when None.
        clock: Seconds since 1970.
        sleep: Waits before another attempt, and tells whether to give up.

    Example:
        >>> from shared.feature_flags import Flag, FlagDocument, Flags
        >>> told, events = [], Events()
        >>> flags = Flags([Flag("beta")], events=events)
        >>> notifier = FlagChangeNotifier(told.append, service="orders", events=events)
        >>> _ = flags.swap(FlagDocument({"beta": Flag("beta", default=True)}, revision=1), actor="ada")
        >>> notifier.close()
        >>> told[0].summary, told[0].details["flags"]
        ('flags changed by ada: beta', ['beta'])
    """

    def __init__(
        self,
        notifier: Notifier,
        *,
        service: str = "",
        leader: _Leader | None = None,
        events: Events | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], bool] | None = None,
    ) -> None:
        self._notifier = notifier
        self._service = service
        self._leader = leader
        self._clock = clock
        self._stop = threading.Event()
        self._sleep = sleep
        self._waiting: queue.Queue[Notification | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        heard = events if events is not None else current().events
        self._unsubscribe = heard.subscribe(FlagsChanged, self._heard)
        after_fork_in_child(self)

    def close(self, timeout: float = 5.0) -> None:
        """Hear no more, and tell what waits, for *timeout* seconds at most. Safe to call twice."""
        self._unsubscribe()
        thread = self._thread
        if thread is None or not thread.is_alive():
            return
        try:
            self._waiting.put(None, timeout=timeout)
        except queue.Full:
            self._stop.set()
        thread.join(timeout)
        self._stop.set()

    def after_fork(self) -> None:
        """Leave to the parent what waits; called in a forked child."""
        self._waiting = queue.Queue(_MOST_WAITING)
        self._thread = None
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def _heard(self, event: FlagsChanged) -> None:
        if not event.keys:
            return
        try:
            self._waiting.put_nowait(self._notice(event))
        except queue.Full:
            _log.warning("a change of flags is told to nobody: %d wait already", _MOST_WAITING)
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="flags-notifier", daemon=True)
                self._thread.start()

    def _notice(self, event: FlagsChanged) -> Notification:
        shown = ", ".join(event.keys[:5]) + (
            f" and {len(event.keys) - 5} more" if len(event.keys) > 5 else ""
        )
        by = f" by {event.actor}" if event.actor else ""
        details = {
            "flags": list(event.keys[:_MOST_KEYS]),
            "revision": event.revision,
            "actor": event.actor,
            "reason": event.reason,
            "service": self._service,
        }
        summary = f"flags changed{by}: {shown}"
        return Notification("feature_flags", "firing", Severity.INFO, summary, details, self._clock())

    def _run(self) -> None:
        while not self._stop.is_set():
            notice = self._waiting.get()
            if notice is None:
                return
            self._tell(notice)

    def _tell(self, notice: Notification) -> None:
        for pause in (*_PAUSES, None):
            try:
                if self._leader is None or self._leader.acquire():
                    self._notifier(notice)
            except Exception as exc:  # noqa: BLE001 - a notifier is a stranger's code
                if pause is None or (self._sleep or self._stop.wait)(pause):
                    _log.warning("a change of flags could not be told: %s", type(exc).__name__)
                    return
            else:
                return
