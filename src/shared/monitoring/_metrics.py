"""The metrics of one service: declared once, counted fast, exposed for Prometheus."""

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.errors import InvalidArgumentError
from shared.monitoring._answer import HttpAnswer
from shared.monitoring._metric_collect import Reading, Readings, merge
from shared.monitoring._metric_definition import DURATION_BUCKETS, GaugeMode, MetricDefinition, define
from shared.monitoring._metric_family import CellStore, Counter, Family, Gauge, Histogram, MemoryStore
from shared.monitoring._metric_group import group_directory, open_group, parent_of_group
from shared.monitoring._metric_sampler import Sampler
from shared.monitoring._metric_slots import SlotFile, SlotReader
from shared.runtime import after_fork_in_child

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log: Final = logging.getLogger("shared.monitoring")

F = TypeVar("F", bound="Family[Any]")

Computed = Callable[[], Iterable[tuple[MetricDefinition, Readings]]]
"""Something that reads metrics when they are asked for, such as those of the process."""


class Metrics:
    """Declares metrics, holds their numbers, writes them out.

    Numbers are right with several processes without any configuration: workers of
    gunicorn and uvicorn, and forked children, keep theirs in files that each other's
    exposition adds up. Elsewhere they are in memory. A declaration may be repeated;
    it then returns the same object.

    Args:
        service: Name of the service; its processes are told from others' by it.
        max_series: Series one metric may have before further label values share the
            one whose labels are all ``_overflow``, >= 1.
        multiprocess: Whether to share numbers in files; found out when None.
        directory: Folder for the files, for this service alone; chosen when None.

    Raises:
        InvalidArgumentError: *max_series* is below 1.

    Thread-safe and fork-safe.

    Example:
        >>> metrics = Metrics("orders")
        >>> placed = metrics.counter("orders_placed", "Orders placed.", ["channel"])
        >>> placed.labels("web").inc()
        >>> [line for line in metrics.expose().body.decode().splitlines() if "orders" in line]
        ... # doctest: +NORMALIZE_WHITESPACE
        ['# HELP orders_placed_total Orders placed.', '# TYPE orders_placed_total counter',
         'orders_placed_total{channel="web"} 1.0']
    """

    def __init__(
        self,
        service: str = "service",
        *,
        max_series: int = 2000,
        multiprocess: bool | None = None,
        directory: str | Path | None = None,
    ) -> None:
        if max_series < 1:
            msg = f"max_series is 1 or more, got {max_series!r}"
            raise InvalidArgumentError(msg)
        self.service = service
        self._max_series = max_series
        self._multiprocess = multiprocess
        self._families: dict[str, Family[Any]] = {}
        self._computed: list[Computed] = []
        self._updates: list[Callable[[], object]] = []
        self._lock = threading.RLock()
        self._registry: CollectorRegistry | None = None
        self._store: CellStore = MemoryStore()
        self._slot: SlotFile | None = None
        self._reader: SlotReader | None = None
        self._sampler = Sampler(self)
        self.directory: Path | None = None if directory is None else Path(directory)  #: None when alone
        self._choose_store()
        self._overflow: Counter | None = None
        self._overflow = self.counter(
            "shared_metrics_overflow", "Updates that went to an overflow series.", ["metric"]
        )
        _known.add(self)
        _hook_fork()
        after_fork_in_child(self)

    # -- declaring -----------------------------------------------------------------

    def counter(self, name: str, help: str, labels: Iterable[str] = (), *, unit: str = "") -> Counter:
        """Declare a counter; it is exposed as *name* with ``_total`` at the end.

        Args:
            name: Letters, digits, ``_`` and ``:``; the unit is appended when it is missing.
            help: What it counts, for people.
            labels: Names of the labels, in the order of ``.labels(...)``.
            unit: Base unit in the plural, such as ``seconds`` or ``bytes``.

        Raises:
            InvalidArgumentError: A name is not usable, or the metric exists with
                another definition.
        """
        return self._declare(Counter, define("counter", name, help, labels, unit=unit))

    def gauge(
        self, name: str, help: str, labels: Iterable[str] = (), *, unit: str = "", mode: GaugeMode = "sum"
    ) -> Gauge:
        """Declare a gauge.

        Args:
            name: As for :meth:`counter`.
            help: As for :meth:`counter`.
            labels: As for :meth:`counter`.
            unit: As for :meth:`counter`.
            mode: How the numbers of several live processes become one: ``sum``,
                ``max``, ``min``, or ``latest`` for the one set last.

        Raises:
            InvalidArgumentError: As for :meth:`counter`.
        """
        return self._declare(Gauge, define("gauge", name, help, labels, unit=unit, mode=mode))

    def histogram(
        self,
        name: str,
        help: str,
        labels: Iterable[str] = (),
        *,
        unit: str = "",
        buckets: Iterable[float] = DURATION_BUCKETS,
    ) -> Histogram:
        """Declare a histogram.

        Args:
            name: As for :meth:`counter`.
            help: As for :meth:`counter`.
            labels: As for :meth:`counter`.
            unit: As for :meth:`counter`.
            buckets: Upper bounds, growing; the infinite one is added. The default is
                that of OpenTelemetry for durations in seconds, and 0.2 s.

        Raises:
            InvalidArgumentError: As for :meth:`counter`, or the bounds do not grow.
        """
        return self._declare(Histogram, define("histogram", name, help, labels, unit=unit, bounds=buckets))

    def computed(self, read: Computed) -> None:
        """Call *read* at every collection for metrics that nobody counts."""
        self._computed.append(read)

    def before_collection(self, update: Callable[[], object]) -> Callable[[], None]:
        """Call *update* before the numbers are read, to set metrics from what something else keeps.

        Where other processes read the numbers it is called every few seconds, too.

        Args:
            update: Sets gauges and adds to counters; what it raises is logged.

        Returns:
            A function that ends it.
        """
        self._updates.append(update)
        self._sampler.want()

        def remove() -> None:
            if update in self._updates:
                self._updates.remove(update)

        return remove

    def _declare(self, kind: type[F], definition: MetricDefinition) -> F:
        with self._lock:
            known = self._families.get(definition.name)
            if known is None:
                made = kind(
                    definition,
                    self._store,
                    max_series=self._max_series,
                    overflowed=self._count_overflow,
                    on_function=self._sampler.want,
                )
                self._families[definition.name] = made
                return made
            if known.definition.key != definition.key or not isinstance(known, kind):
                there, wanted = _show(known.definition), _show(definition)
                msg = f"metric {definition.name!r} exists as {there}, not as {wanted}"
                raise InvalidArgumentError(msg)
            return known

    def _count_overflow(self, name: str) -> None:
        if self._overflow is not None:
            self._overflow.labels(name).inc()

    # -- collecting ------------------------------------------------------------------

    def collect(self) -> list[Reading]:
        """Return every metric of ours with its numbers, added up over the processes."""
        self.sample()
        with self._lock:
            families = list(self._families.values())
        readers = self._readers()
        if readers:
            found = merge(families, readers)
        else:
            found = [Reading(family.definition, None, family) for family in families]
        for read in list(self._computed):
            try:
                found.extend(Reading(definition, numbers, None) for definition, numbers in read())
            except Exception:  # noqa: BLE001 - one broken source must not hide the others
                _log.exception("a source of computed metrics failed")
        return found

    def sample(self) -> None:
        """Ask the functions of gauges for their numbers, and whoever keeps others, once."""
        if not self._sampler.wanted:
            return
        for update in list(self._updates):
            try:
                update()
            except Exception:  # noqa: BLE001 - one broken source must not hide the others
                _log.exception("a source of metrics failed")
        with self._lock:
            gauges = [family for family in self._families.values() if isinstance(family, Gauge)]
        for gauge in gauges:
            for _, series in gauge.items():  # noqa: PERF102 - a family is no dictionary
                series.sample()

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """Return one number as exposed: ``name_total``, ``name``, ``name_count`` or ``name_sum``.

        None when there is no such series.
        """
        wanted = dict(labels or {})
        for reading in self.collect():
            definition = reading.definition
            suffix = name.removeprefix(definition.name)
            if suffix == name and name != definition.name:
                continue
            for values, cells in reading.numbers.items():
                if dict(zip(definition.label_names, values, strict=True)) == wanted:
                    found = _pick(definition, suffix, cells)
                    if found is not None:
                        return found
        return None

    def processes(self) -> list[int]:
        """Return the ids of the processes whose numbers are added up, this one included."""
        found = {os.getpid()}
        for reader in self._readers():
            found.update(reader.processes())
        return sorted(found)

    @property
    def is_multiprocess(self) -> bool:
        """Whether the numbers are shared with other processes."""
        return bool(self._readers())

    @property
    def registry(self) -> "CollectorRegistry":
        """The ``prometheus_client`` registry that shows these metrics, and to which others may be added.

        Metrics made with ``prometheus_client`` itself show the numbers of the process
        that answers; those declared here show all of them.
        """
        with self._lock:
            if self._registry is None:
                from shared.monitoring._prometheus import make_registry

                self._registry = make_registry(self)
            return self._registry

    def expose(self, accept: str = "") -> HttpAnswer:
        """Return the answer to ``GET /metrics``.

        Args:
            accept: The ``Accept`` header; OpenMetrics, with exemplars, for whom names
                ``application/openmetrics-text``, else Prometheus' text format.
        """
        from shared.monitoring._prometheus import expose

        return expose(self, accept)

    # -- processes -------------------------------------------------------------------

    def _choose_store(self) -> None:
        if self._multiprocess is False:
            return
        directory = self.directory
        if directory is None:
            parent = parent_of_group()
            if parent is None and not self._multiprocess:
                return
            directory = group_directory(self.service, os.getpid() if parent is None else parent)
        self._share(directory)

    def _share(self, directory: Path) -> bool:
        """Keep the numbers in a slot of *directory* from now on, and say so when that fails."""
        try:
            self._slot = SlotFile(open_group(directory))
        except OSError as exc:
            _log.warning("metrics stay with each process: %s", exc)
            return False
        self._store = self._slot
        self.directory = directory
        self._reader = SlotReader(directory)
        self._sampler.share()
        return True

    def _readers(self) -> list[SlotReader]:
        if self._reader is None and self._multiprocess is not False:
            self._join_children()
        reader = self._reader
        return [] if reader is None else [reader]

    def _join_children(self) -> None:
        """Share the numbers with children that were started, not forked: this process is their parent."""
        directory = group_directory(self.service, os.getpid())
        with self._lock:
            if directory.is_dir() and self._slot is None and self._share(directory):
                self._move(carry=True)

    def close(self) -> None:
        """Leave the group: others go on adding what was counted, and what comes is this process' own."""
        self._sampler.stop()
        slot, reader = self._slot, self._reader
        self._multiprocess = False
        if slot is not None:
            self._slot, self._store = None, MemoryStore()
            self._move(carry=True)  # before the slot goes: somebody may take it at once
            slot.release()
        if reader is not None:
            self._reader = None
            reader.close()

    def before_fork(self) -> None:
        """Move the numbers to a file, so that the child's can be added to them."""
        if self._slot is None and self._multiprocess is not False:
            directory = self.directory or group_directory(self.service, os.getpid())
            if self._share(directory):
                self._move(carry=True)

    def after_fork(self) -> None:
        """Take a slot of the child's own: the parent counts on in the one both have mapped."""
        self._lock = threading.RLock()
        for family in self._families.values():
            family.renew_locks()
        if self._slot is None or self.directory is None:
            return
        self._slot.release()
        self._sampler.after_fork()
        self._reader = SlotReader(self.directory)
        try:
            self._slot = SlotFile(self.directory)
            self._store = self._slot
        except OSError:
            self._slot, self._store = None, MemoryStore()
        self._move(carry=False)

    def _move(self, *, carry: bool) -> None:
        with self._lock:
            for family in self._families.values():
                family.move(self._store, carry=carry)


def _show(definition: MetricDefinition) -> str:
    buckets = f", {len(definition.bounds)} buckets" if definition.bounds else ""
    return f"{definition.kind} with labels {definition.label_names!r}{buckets}"


def _pick(definition: MetricDefinition, suffix: str, cells: list[float]) -> float | None:
    if definition.kind == "histogram":
        return {"_count": sum(cells[:-1]), "_sum": cells[-1]}.get(suffix)
    expected = {"_total", ""} if definition.kind == "counter" else {""}
    return cells[0] if suffix in expected else None


# --- fork ----------------------------------------------------------------------------

_known: "weakref.WeakSet[Metrics]" = weakref.WeakSet()
_hooked = False


def _hook_fork() -> None:
    global _hooked  # noqa: PLW0603 - a hook of the process, registered once
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(before=_before_fork)


def _before_fork() -> None:
    for metrics in list(_known):
        metrics.before_fork()
