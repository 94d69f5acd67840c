"""Counters, gauges and histograms: all series of one metric."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from threading import Lock
from typing import Generic, Protocol, TypeVar

from shared.errors import InvalidArgumentError
from shared.monitoring._exposition import EXPONENT_FROM, go_float
from shared.monitoring._metric_definition import OVERFLOW, MetricDefinition, label_text
from shared.monitoring._metric_series import Cells, CounterSeries, GaugeSeries, HistogramSeries, Series


class CellStore(Protocol):
    """Where the numbers of the series live: in memory, or in a file that other processes read."""

    def allocate(self, definition: MetricDefinition, labels: tuple[str, ...]) -> tuple[Cells, int]:
        """Return cells and the index from which on ``definition.width`` of them are the series'."""
        ...

    def known(self, definition: MetricDefinition) -> Iterable[tuple[str, ...]]:
        """Return the label values of the series of *definition* that exist already."""
        ...


class MemoryStore:
    """Numbers of this process alone."""

    def allocate(self, definition: MetricDefinition, labels: tuple[str, ...]) -> tuple[Cells, int]:
        """Return a fresh list; see :class:`CellStore`."""
        del labels
        return [0.0] * definition.width, 0

    def known(self, definition: MetricDefinition) -> Iterable[tuple[str, ...]]:
        """Return nothing: memory starts empty."""
        del definition
        return ()


S = TypeVar("S", bound=Series)


class Family(Generic[S]):
    """All series of one metric. Thread-safe; :meth:`labels` is a dictionary look-up."""

    series_type: type[S]

    def __init__(
        self,
        definition: MetricDefinition,
        store: CellStore,
        *,
        max_series: int,
        overflowed: Callable[[str], None],
        on_function: Callable[[], None] | None = None,
    ) -> None:
        self.definition = definition
        self._store = store
        self._max_series = max_series
        self._overflowed = overflowed
        self._on_function = on_function
        self._series: dict[tuple[str, ...], S] = {}
        self._lock = Lock()
        for labels in store.known(definition):
            self._series[labels] = self._make(labels)
        # Without labels there is exactly one series, present from the start at 0.
        self._only = self._find(()) if not definition.label_names else None

    def labels(self, *values: object, **named: object) -> S:
        """Return the series with these label values, creating it on first use.

        Values come in the order of the definition, or by name. Above the limit of
        series the one whose labels are all ``_overflow`` is returned, and counted.

        Raises:
            InvalidArgumentError: Too few, too many or unknown labels.
        """
        try:
            return self._series[values]  # type: ignore[index]
        except (KeyError, TypeError):
            return self._find(self._normal(values, named))

    def _normal(self, values: tuple[object, ...], named: Mapping[str, object]) -> tuple[str, ...]:
        names = self.definition.label_names
        if named:
            if values or set(named) != set(names):
                got = f"{len(values)} values and {sorted(named)!r}"
                msg = f"metric {self.definition.name!r} has the labels {names!r}, got {got}"
                raise InvalidArgumentError(msg)
            values = tuple(named[name] for name in names)
        if len(values) != len(names):
            msg = f"metric {self.definition.name!r} has the labels {names!r}, got {len(values)} values"
            raise InvalidArgumentError(msg)
        return tuple(map(label_text, values))

    def _find(self, labels: tuple[str, ...]) -> S:
        found = self._series.get(labels)
        if found is not None:
            return found
        over = False
        with self._lock:
            found = self._series.get(labels)
            if found is None:
                if labels and len(self._series) >= self._max_series:
                    over = True
                    labels = (OVERFLOW,) * len(labels)
                    found = self._series.get(labels)
                if found is None:
                    found = self._series[labels] = self._make(labels)
        if over:
            self._overflowed(self.definition.name)
        return found

    def _make(self, labels: tuple[str, ...]) -> S:
        cells, at = self._store.allocate(self.definition, labels)
        made = self.series_type(self.definition, cells, at)
        made.on_function = self._on_function
        return made

    @property
    def _one(self) -> S:
        if self._only is None:
            names = self.definition.label_names
            msg = f"metric {self.definition.name!r} has the labels {names!r}: use .labels(...)"
            raise InvalidArgumentError(msg)
        return self._only

    def __len__(self) -> int:
        return len(self._series)

    def has(self, labels: tuple[str, ...]) -> bool:
        """Tell whether the series with exactly these label values exists."""
        return labels in self._series

    def items(self) -> list[tuple[tuple[str, ...], S]]:
        """Return label values and series, in order of creation."""
        return list(self._series.copy().items())  # a copy is one step: no lock is needed

    def lines(self, build: Callable[[tuple[str, ...]], list[str]]) -> list[str]:
        """Return the exposition's lines of counters and gauges; *build* makes what stands before a number.

        Here and not in the renderer, because it is the loop that ten thousand series
        go through at every scrape: nothing is copied, called or looked up twice.
        """
        lines: list[str] = []
        append = lines.append
        for labels, one in self._series.copy().items():
            text = one.text
            if text is None:
                text = one.text = build(labels)
            value = one.cells[one.at]
            if -math.inf < value < EXPONENT_FROM:
                append(f"{text[0]}{value!r}\n")
            else:
                append(f"{text[0]}{go_float(value)}\n")
        return lines

    def numbers(self) -> dict[tuple[str, ...], list[float]]:
        """Return the numbers of this process' series, by label values."""
        width = self.definition.width
        return {labels: one.read(width) for labels, one in self.items()}

    def move(self, store: CellStore, *, carry: bool) -> None:
        """Keep the numbers in *store* from now on; *carry* takes the present ones along."""
        self._store = store
        width = self.definition.width if carry else 0
        add = self.definition.kind != "gauge"
        for labels, series in self.items():
            cells, at = store.allocate(self.definition, labels)
            series.rebind(cells, at, carry=width, add=add)
        with self._lock:
            for labels in store.known(self.definition):
                if labels not in self._series:
                    self._series[labels] = self._make(labels)

    def renew_locks(self) -> None:
        """Replace every lock; for the child of a fork."""
        self._lock = Lock()
        for series in self._series.values():
            series.renew_lock()


class Counter(Family[CounterSeries]):
    """A family of counters; without labels it is one itself.

    Example:
        >>> from shared.monitoring import Metrics
        >>> orders = Metrics().counter("orders_placed", "Orders placed.", ["channel"])
        >>> orders.labels("web").inc()
        >>> orders.labels(channel="web").inc(2)
        >>> orders.labels("web").value
        3.0
    """

    series_type = CounterSeries

    def inc(self, amount: float = 1.0, exemplar: Mapping[str, str] | None = None) -> None:
        """Add *amount* to the one series of a counter without labels."""
        self._one.inc(amount, exemplar)


class Gauge(Family[GaugeSeries]):
    """A family of gauges; without labels it is one itself.

    Example:
        >>> from shared.monitoring import Metrics
        >>> depth = Metrics().gauge("queue_depth", "Messages waiting.")
        >>> depth.set(7)
        >>> depth.dec()
        >>> depth.labels().value
        6.0
    """

    series_type = GaugeSeries

    def set(self, value: float) -> None:
        """Make the one series of a gauge without labels *value*."""
        self._one.set(value)

    def inc(self, amount: float = 1.0) -> None:
        """Add *amount* to it."""
        self._one.inc(amount)

    def dec(self, amount: float = 1.0) -> None:
        """Take *amount* off it."""
        self._one.inc(-amount)

    def set_function(self, function: Callable[[], float] | None) -> None:
        """Ask *function* for it whenever metrics are collected."""
        self._one.set_function(function)


class Histogram(Family[HistogramSeries]):
    """A family of histograms; without labels it is one itself.

    Example:
        >>> from shared.monitoring import Metrics
        >>> sizes = Metrics().histogram("upload_size", "Size of uploads.", unit="bytes", buckets=[1e3, 1e6])
        >>> sizes.observe(4096)
        >>> sizes.labels().count, sizes.labels().sum
        (1.0, 4096.0)
    """

    series_type = HistogramSeries

    def observe(self, amount: float, exemplar: Mapping[str, str] | None = None) -> None:
        """Count *amount* in the one series of a histogram without labels."""
        self._one.observe(amount, exemplar)

    def time(self) -> AbstractContextManager[None]:
        """Observe how many seconds a ``with`` block takes."""
        return self._one.time()
