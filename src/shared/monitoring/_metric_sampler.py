"""Ask the functions of gauges every few seconds, where other processes want the numbers."""

import threading
import weakref
from typing import Final, Protocol

INTERVAL: Final = 5.0  # seconds; a scrape is rarely more frequent


class Sampled(Protocol):
    """Metrics, as far as they are asked."""

    def sample(self) -> None:
        """Ask every function once."""


class Sampler:
    """A daemon thread that is started when it is needed: functions are set and numbers are shared."""

    def __init__(self, metrics: Sampled, *, interval: float = INTERVAL) -> None:
        self._metrics = weakref.ref(metrics)
        self._interval = interval
        self.wanted = False
        self._shared = False
        self._stop: threading.Event | None = None

    def want(self) -> None:
        """Say that a gauge has a function."""
        self.wanted = True
        self._start()

    def share(self) -> None:
        """Say that other processes read the numbers. No thread yet: a fork may be next."""
        self._shared = True

    def after_fork(self) -> None:
        """Run in this child too, when its parent had functions to ask."""
        self._stop = None
        self._start()

    def stop(self) -> None:
        """End the thread."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _start(self) -> None:
        if self.wanted and self._shared and self._stop is None:
            self._stop = threading.Event()
            arguments = (self._metrics, self._stop, self._interval)
            threading.Thread(target=_run, args=arguments, name="shared-metrics", daemon=True).start()


def _run(reference: "weakref.ref[Sampled]", stop: threading.Event, interval: float) -> None:
    while not stop.wait(interval):
        metrics = reference()
        if metrics is None:
            return
        metrics.sample()
        del metrics  # the thread must not be what keeps it alive
