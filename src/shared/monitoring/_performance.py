"""Record how long tasks and calls take; tell it by name, for everybody or for one user."""

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from shared.errors import InvalidArgumentError
from shared.monitoring._metric_definition import DURATION_BUCKETS
from shared.monitoring._metrics import Metrics
from shared.monitoring._rollup import HOUR, MINUTE, Rollup, RollupKey, bucket_of, merge_all
from shared.monitoring._rollup_store import RollupStore
from shared.runtime import after_fork_in_child

_log: Final = logging.getLogger("shared.monitoring")
_DOWNSAMPLE_AFTER: Final = 48 * HOUR
_GROUPS: Final = {"task": "tasks", "api": "api_calls"}
_MAX_NAME: Final = 200  # characters


class _Tally:
    """Numbers of one minute that are still in memory."""

    __slots__ = ("buckets", "errors", "longest", "total")

    def __init__(self) -> None:
        self.errors = 0
        self.total = self.longest = 0.0
        self.buckets: dict[int, int] = {}


class PerformanceRecorder:
    """Adds up durations by minute, name and user, and writes them to a store now and then.

    Never a row per call: what one minute brings under one name and user is one row.
    Rows of all processes add up. A store that fails keeps nothing from working; its
    rows are tried again, up to a limit.

    Args:
        store: Where rollups go.
        metrics: Where the same runs are counted for Prometheus, without the user.
        flush_interval: Seconds between writes, > 0; a daemon thread writes.
        max_rows: Rows between writes, >= 1. Above it users are no longer told apart;
            above twice as many the oldest rows are dropped.
        retention_days: Age in days from which rows are deleted, once an hour, >= 1.
        wall_clock: Unix time in seconds.

    Raises:
        InvalidArgumentError: A number is out of range.

    Thread-safe; fork-safe.

    Example:
        >>> from shared.monitoring import MemoryRollupStore
        >>> recorder = PerformanceRecorder(MemoryRollupStore())
        >>> recorder.record("task", "send_receipt", 0.2, user="u-1")
        >>> recorder.performance()["tasks"]["send_receipt"]["count"]
        1
        >>> recorder.close()
    """

    def __init__(
        self,
        store: RollupStore,
        *,
        metrics: Metrics | None = None,
        flush_interval: float = 15.0,
        max_rows: int = 10_000,
        retention_days: float = 30.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not (flush_interval > 0 and max_rows >= 1 and retention_days >= 1):
            msg = (
                "flush_interval > 0, max_rows >= 1 and retention_days >= 1 do not hold: "
                f"{flush_interval!r}, {max_rows!r}, {retention_days!r}"
            )
            raise InvalidArgumentError(msg)
        self.store = store
        self.retention_days = retention_days
        self._flush_interval = flush_interval
        self._max_rows = max_rows
        self._clock = wall_clock
        self._tallies: dict[tuple[int, str, str, str], _Tally] = {}
        self._unwritten: dict[RollupKey, Rollup] = {}
        self._lock = threading.Lock()  # of the tallies: held for a few additions
        self._io_lock = threading.RLock()  # of writing: held while the store works
        self._stop: threading.Event | None = None
        self._next_care = 0.0
        self._durations = None if metrics is None else metrics.histogram(
            "monitored_call_duration",
            "Duration of monitored tasks and calls.",
            ("kind", "name", "outcome"),
            unit="seconds",
            buckets=(*DURATION_BUCKETS, 30.0, 60.0, 300.0),
        )  # fmt: skip
        after_fork_in_child(self)

    # -- recording -----------------------------------------------------------------

    def record(
        self, kind: str, name: str, seconds: float, *, user: str = "", outcome: str = "success"
    ) -> None:
        """Count one run.

        Args:
            kind: ``task`` or ``api``.
            name: What ran; a bounded set of names, not the data. Cut to 200 characters.
            seconds: How long it took, >= 0.
            user: For whom, empty for nobody in particular.
            outcome: ``success``, ``error``, or ``cancelled``, which is no error.
        """
        key = (int(self._clock()) // MINUTE, kind, name, user)
        bucket = bucket_of(seconds)
        with self._lock:
            tally = self._tallies.get(key) or self._new_tally(key)
            tally.total += seconds
            if outcome == "error":
                tally.errors += 1
            if seconds > tally.longest:  # noqa: PLR1730 - max() costs a call per run
                tally.longest = seconds
            buckets = tally.buckets
            buckets[bucket] = buckets.get(bucket, 0) + 1
        if self._stop is None:
            self._start()
        if self._durations is not None:
            self._durations.labels(kind, name, outcome).observe(seconds)

    def _new_tally(self, key: tuple[int, str, str, str]) -> _Tally:
        minute, kind, name, user = key
        if len(self._tallies) >= self._max_rows:
            user = ""
        short = (minute, kind, name[:_MAX_NAME], user[:_MAX_NAME])
        tally = self._tallies.get(short)
        if tally is None:
            if len(self._tallies) >= 2 * self._max_rows:
                del self._tallies[min(self._tallies)]
            tally = self._tallies[short] = _Tally()
        return tally

    # -- writing -------------------------------------------------------------------

    def flush(self) -> int:
        """Write what is in memory to the store; return how many rows were written.

        Raises:
            SharedError: What the store raises; the rows are kept for the next time.
        """
        with self._io_lock:
            self._collect()
            rows = list(self._unwritten.values())
            if rows:
                self.store.add(rows)
                self._unwritten.clear()
            return len(rows)

    def _collect(self) -> None:
        with self._lock:
            taken, self._tallies = self._tallies, {}
        for (minute, kind, name, user), tally in taken.items():
            key = RollupKey(minute * MINUTE, MINUTE, kind, name, user)
            count = sum(tally.buckets.values())
            row = Rollup(key, count, tally.errors, tally.total, tally.longest, tally.buckets)
            present = self._unwritten.get(key)
            self._unwritten[key] = row if present is None else present.merged(row)
        surplus = len(self._unwritten) - 2 * self._max_rows
        if surplus > 0:
            for key in sorted(self._unwritten)[:surplus]:
                del self._unwritten[key]
            _log.warning("%d rows of performance data were dropped: the store does not take them", surplus)

    def care(self) -> None:
        """Merge old minutes into hours and delete what is past retention."""
        now = self._clock()
        with self._io_lock:
            self.store.downsample(now - _DOWNSAMPLE_AFTER, HOUR)
            self.store.cleanup(now - self.retention_days * 24 * HOUR)

    def cleanup(self, days: float | None = None) -> int:
        """Delete rows older than *days*; return how many.

        Args:
            days: Age in days, >= 0; the retention when None.

        Raises:
            InvalidArgumentError: *days* is below 0.
        """
        age = self.retention_days if days is None else days
        if not age >= 0:
            msg = f"days is 0 or more, got {days!r}"
            raise InvalidArgumentError(msg)
        with self._io_lock:
            return self.store.cleanup(self._clock() - age * 24 * HOUR)

    def _start(self) -> None:
        with self._lock:
            if self._stop is not None:
                return
            self._stop = threading.Event()
            arguments = (weakref.ref(self), self._stop, self._flush_interval)
        threading.Thread(target=_write, args=arguments, name="shared-performance", daemon=True).start()

    def tick(self) -> None:
        """Do what the thread does at every interval; never raises."""
        try:
            self.flush()
            now = self._clock()
            if now >= self._next_care:
                self._next_care = now + HOUR
                self.care()
        except Exception:  # noqa: BLE001 - the next tick tries again
            _log.warning("performance data could not be written; it is kept for the next try", exc_info=True)

    def close(self) -> None:
        """Write what is left and stop the thread; never raises."""
        if self._stop is not None:
            self._stop.set()
        self.tick()

    def after_fork(self) -> None:
        """Start empty: what the parent recorded, the parent writes. Called in the child."""
        self._lock, self._io_lock = threading.Lock(), threading.RLock()
        self._tallies, self._unwritten = {}, {}
        self._stop = None

    # -- reading -------------------------------------------------------------------

    def performance(self, time_range_hours: float = 24, user_id: str | None = None) -> dict[str, Any]:
        """Return the figures; see :func:`get_performance_metrics`."""
        if not 0 < time_range_hours <= 24 * 366 * 10:
            msg = f"time_range_hours is above 0 and at most ten years, got {time_range_hours!r}"
            raise InvalidArgumentError(msg)
        until = self._clock()
        since = until - time_range_hours * HOUR
        # A minute that has begun counts whole: its row starts before the range does.
        first = since // MINUTE * MINUTE
        with self._io_lock:  # a row is either in the store or here, never in between
            self._collect()
            rows = list(self.store.totals(first, until, user=user_id))
            rows += [
                row
                for row in self._unwritten.values()
                if first <= row.key.start < until and user_id in (None, row.key.user)
            ]
        return {
            "time_range_hours": time_range_hours,
            "user_id": user_id,
            "from": _moment(since),
            "to": _moment(until),
            "total": merge_all(rows, RollupKey(0, 0, "", "", "")).summary(),
            **{group: _by_name(rows, kind) for kind, group in _GROUPS.items()},
        }

    async def aperformance(self, time_range_hours: float = 24, user_id: str | None = None) -> dict[str, Any]:
        """Return the same; the store, which may block, works in a thread."""
        return await asyncio.to_thread(self.performance, time_range_hours, user_id)


def _by_name(rows: Iterable[Rollup], kind: str) -> dict[str, dict[str, Any]]:
    names: dict[str, list[Rollup]] = {}
    for row in rows:
        if row.key.kind == kind:
            names.setdefault(row.key.name, []).append(row)
    return {name: merge_all(found, found[0].key).summary() for name, found in sorted(names.items())}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write(reference: "weakref.ref[PerformanceRecorder]", stop: threading.Event, interval: float) -> None:
    while not stop.wait(interval):
        recorder = reference()
        if recorder is None:
            return
        recorder.tick()
        del recorder  # the thread must not be what keeps it alive
