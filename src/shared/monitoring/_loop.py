"""Watch how long the event loop lets its work wait."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from shared.errors import InvalidArgumentError
from shared.monitoring._check import HealthCheck, HealthStatus
from shared.monitoring._metric_series import GaugeSeries, HistogramSeries
from shared.monitoring._metrics import Metrics


class EventLoopMonitor:
    """A heartbeat on an event loop: its lag, and how old the last beat is.

    The lag is how much later than planned the loop came to the beat; whoever blocks
    the loop shows up here. One timer, no task and no thread.

    Args:
        interval: Seconds between beats, > 0.
        degraded_above: Lag in seconds from which the check is degraded, > 0.
        stalled_after: Age of the last beat in seconds from which the loop counts as
            dead and :meth:`is_alive` says so, > *interval*.
        clock: Monotonic seconds.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     monitor = EventLoopMonitor()
        ...     monitor.start()
        ...     alive = monitor.is_alive()
        ...     monitor.stop()
        ...     return alive
        >>> with asyncio.Runner() as runner:
        ...     runner.run(main())
        True
    """

    def __init__(
        self,
        *,
        interval: float = 0.5,
        degraded_above: float = 0.25,
        stalled_after: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (interval > 0 and degraded_above > 0 and stalled_after > interval):
            msg = (
                "0 < interval < stalled_after and degraded_above > 0 do not hold: "
                f"{interval!r}, {stalled_after!r}, {degraded_above!r}"
            )
            raise InvalidArgumentError(msg)
        self.interval = interval
        self._degraded_above = degraded_above
        self._stalled_after = stalled_after
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat_at: float | None = None
        self._lag = 0.0
        self._gauge: GaugeSeries | None = None
        self._histogram: HistogramSeries | None = None

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin to beat on *loop*, or on the running one; starting again moves the heartbeat there.

        Must be called on the loop's thread.
        """
        self.stop()
        self._loop = loop or asyncio.get_running_loop()
        self._beat_at = self._clock()
        self._timer = self._loop.call_later(self.interval, self._beat)

    def stop(self) -> None:
        """Stop beating; the loop is then neither alive nor dead."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._loop = None
        self._beat_at = None
        self._lag = 0.0

    close = stop

    @property
    def is_running(self) -> bool:
        """Whether a loop is being watched."""
        return self._beat_at is not None

    @property
    def age(self) -> float:
        """Seconds since the last beat; 0 while no loop is watched."""
        beat_at = self._beat_at
        return 0.0 if beat_at is None else max(0.0, self._clock() - beat_at)

    @property
    def lag(self) -> float:
        """Seconds by which the last beat, or the one that is overdue now, came late."""
        return max(self._lag, self.age - self.interval) if self.is_running else 0.0

    def is_alive(self) -> bool:
        """Return False when a watched loop has not beaten for *stalled_after* seconds."""
        return self.age <= self._stalled_after

    def health_check(self, name: str = "event_loop") -> HealthCheck:
        """Return a check that degrades when the loop lags; never critical."""
        return HealthCheck(name, self._check, critical=False)

    def show(self, metrics: Metrics) -> None:
        """Show every beat in *metrics*, as ``asyncio_event_loop_lag`` and ``_delay``, in seconds."""
        self._gauge = metrics.gauge(
            "asyncio_event_loop_lag", "Lateness of the last beat.", unit="seconds", mode="max"
        ).labels()
        self._histogram = metrics.histogram(
            "asyncio_event_loop_delay",
            "Lateness of all beats.",
            unit="seconds",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
        ).labels()

    async def _check(self) -> dict[str, Any]:
        # A coroutine, so that it needs no thread; it does not wait.
        lag = self.lag
        status = HealthStatus.DEGRADED if lag > self._degraded_above else HealthStatus.HEALTHY
        return {"status": str(status), "lag": round(lag, 4)}

    def _beat(self) -> None:
        loop, beat_at = self._loop, self._beat_at
        if loop is None or beat_at is None:
            return
        now = self._clock()
        self._lag = max(0.0, now - beat_at - self.interval)
        self._beat_at = now
        self._timer = loop.call_later(self.interval, self._beat)
        if self._gauge is not None and self._histogram is not None:
            self._gauge.set(self._lag)
            self._histogram.observe(self._lag)
