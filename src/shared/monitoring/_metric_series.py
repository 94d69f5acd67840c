"""One series: the object that code on the hot path holds."""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from contextlib import contextmanager
from threading import Lock
from typing import TypeAlias

from shared.errors import InvalidArgumentError
from shared.monitoring._metric_definition import MetricDefinition

Cells: TypeAlias = "MutableSequence[float] | memoryview[float]"
"""Numbers of many series in a row: a list, or a file that other processes read."""


class Series:
    """One series: numbers, their lock, and the exemplars seen by this process."""

    __slots__ = (
        "_bounds",
        "_lock",
        "_stamped",
        "at",
        "cells",
        "exemplars",
        "function",
        "on_function",
        "text",
    )

    def __init__(self, definition: MetricDefinition, cells: Cells, at: int) -> None:
        self._bounds = definition.bounds
        self._stamped = definition.mode == "latest"
        self.cells: Cells = cells
        self.at: int = at
        self._lock = Lock()
        self.exemplars: dict[int, tuple[Mapping[str, str], float, float]] | None = None
        self.function: Callable[[], float] | None = None
        self.on_function: Callable[[], None] | None = None
        self.text: list[str] | None = None  # what stands before the numbers in the exposition

    def read(self, width: int) -> list[float]:
        """Return a copy of the numbers; a slice is one step, so no lock is needed."""
        return list(self.cells[self.at : self.at + width])

    def rebind(self, cells: Cells, at: int, *, carry: int = 0, add: bool = True) -> None:
        """Go on counting elsewhere; *carry* numbers are added to those there, or put in their place."""
        with self._lock:
            for index in range(carry):
                present = self.cells[self.at + index]
                cells[at + index] = cells[at + index] + present if add else present
            self.cells, self.at = cells, at

    def renew_lock(self) -> None:
        """Replace the lock, which a fork may have left held."""
        self._lock = Lock()

    def _remember(self, index: int, amount: float, exemplar: Mapping[str, str]) -> None:
        if self.exemplars is None:
            self.exemplars = {}
        self.exemplars[index] = (exemplar, amount, time.time())


class CounterSeries(Series):
    """A number that only grows."""

    __slots__ = ()

    @property
    def value(self) -> float:
        """The number, as this process counted it."""
        return self.read(1)[0]

    def inc(self, amount: float = 1.0, exemplar: Mapping[str, str] | None = None) -> None:
        """Add *amount*, 0 or more.

        Args:
            amount: What to add.
            exemplar: Labels of an example, such as ``{"trace_id": ...}``; at most 128 characters.

        Raises:
            InvalidArgumentError: *amount* is below 0 or not a number.
        """
        try:
            if not amount >= 0:  # spelt so that NaN is refused as well
                raise ValueError  # noqa: TRY301
            with self._lock:
                self.cells[self.at] += amount
        except (TypeError, ValueError) as exc:
            msg = f"a counter only grows: inc() needs a number, 0 or more, got {amount!r:.80}"
            raise InvalidArgumentError(msg) from exc
        if exemplar:
            self._remember(0, amount, exemplar)


class GaugeSeries(Series):
    """A number that goes up and down."""

    __slots__ = ()

    @property
    def value(self) -> float:
        """The number, as this process set it."""
        return self.read(1)[0]

    def set(self, value: float) -> None:
        """Make the number *value*.

        Raises:
            InvalidArgumentError: *value* is no number.
        """
        try:
            number = float(value)
        except (TypeError, ValueError) as exc:
            msg = f"a gauge holds a number, got {value!r:.80}"
            raise InvalidArgumentError(msg) from exc
        with self._lock:
            self.cells[self.at] = number
            if self._stamped:
                self.cells[self.at + 1] = time.time()

    def inc(self, amount: float = 1.0) -> None:
        """Add *amount*."""
        with self._lock:
            self.cells[self.at] += amount
            if self._stamped:
                self.cells[self.at + 1] = time.time()

    def dec(self, amount: float = 1.0) -> None:
        """Take *amount* off."""
        self.inc(-amount)

    def set_function(self, function: Callable[[], float] | None) -> None:
        """Ask *function* for the number whenever metrics are collected; it must be quick.

        With several processes it is also asked every few seconds, by a thread: the
        process that answers cannot ask the others' functions.
        """
        self.function = function
        if function is not None and self.on_function is not None:
            self.on_function()

    def sample(self) -> None:
        """Ask the function now; one that fails makes the number NaN, as it is not known."""
        function = self.function
        if function is not None:
            try:
                value = float(function())
            except Exception:  # noqa: BLE001 - a broken callback must not break the exposition
                value = math.nan
            self.set(value)

    @contextmanager
    def track(self) -> Iterator[None]:
        """Count the block as one while it runs."""
        self.inc()
        try:
            yield
        finally:
            self.dec()


class HistogramSeries(Series):
    """Observations by bucket, and their sum."""

    __slots__ = ()

    @property
    def count(self) -> float:
        """How many observations this process made."""
        return sum(self.read(len(self._bounds)))

    @property
    def sum(self) -> float:
        """Their sum."""
        return self.read(len(self._bounds) + 1)[-1]

    def observe(self, amount: float, exemplar: Mapping[str, str] | None = None) -> None:
        """Count *amount* in its bucket.

        What is not a number is dropped: one of them would spoil the sum for ever.

        Args:
            amount: The observation, in the unit of the metric.
            exemplar: Labels of an example, such as ``{"trace_id": ...}``.
        """
        if amount != amount:  # noqa: PLR0124 - NaN is the one value that differs from itself
            return
        bounds = self._bounds
        index = bisect_left(bounds, amount)  # the first bound that is not below: "le"
        with self._lock:
            cells, at = self.cells, self.at
            cells[at + index] += 1.0
            cells[at + len(bounds)] += amount
        if exemplar:
            self._remember(index, amount, exemplar)

    @contextmanager
    def time(self) -> Iterator[None]:
        """Observe how many seconds the block takes, also when it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - began)
