"""Read the numbers of all series, of one process or of many."""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from shared.monitoring._metric_definition import MetricDefinition
from shared.monitoring._metric_family import Family
from shared.monitoring._metric_slots import SlotReader

Readings: TypeAlias = dict[tuple[str, ...], list[float]]
"""Numbers by label values; a histogram's are its buckets, not yet added up, and the sum."""


class Reading(NamedTuple):
    """One metric at one moment.

    ``family`` is ours, or None when another process declared it; ``merged`` is None
    when the numbers of the family are all there are.

    Example:
        >>> from shared.monitoring import Metrics
        >>> metrics = Metrics()
        >>> metrics.counter("orders", "Orders.", ["channel"]).labels("web").inc()
        >>> [reading.numbers for reading in metrics.collect() if reading.definition.name == "orders"]
        [{('web',): [1.0]}]
    """

    definition: MetricDefinition
    merged: Readings | None
    family: Family[Any] | None

    @property
    def numbers(self) -> Readings:
        """The numbers by label values."""
        if self.merged is not None:
            return self.merged
        return {} if self.family is None else self.family.numbers()


def merge(families: Iterable[Family[Any]], readers: Iterable[SlotReader]) -> list[Reading]:
    """Add up the slots of a group, this process' among them.

    Counters and histograms count for ever; gauges only while their process lives.
    Definitions of this process win over those of the same name that others left.
    """
    ours = {family.definition.name: family for family in families}
    numbers: dict[str, Readings] = {}
    definitions: dict[str, MetricDefinition] = {}
    taken = {family.definition.name: family.definition.key for family in ours.values()}
    for reader in readers:
        for definition, labels, cells, alive in reader.rows():
            if taken.setdefault(definition.name, definition.key) != definition.key:
                continue  # of an older version of the code, with other labels or buckets
            if definition.kind == "gauge" and not alive:
                continue
            definitions.setdefault(definition.key, definition)
            series = numbers.setdefault(definition.key, {})
            present = series.get(labels)
            series[labels] = cells if present is None else _add(definition, present, cells)
    found = [
        Reading(family.definition, numbers.pop(family.definition.key, {}), family) for family in ours.values()
    ]
    found += [Reading(definitions[key], series, None) for key, series in numbers.items()]
    return found


def _add(definition: MetricDefinition, left: list[float], right: list[float]) -> list[float]:
    if definition.kind != "gauge" or definition.mode == "sum":
        return [a + b for a, b in zip(left, right, strict=True)]
    if definition.mode == "max":
        return [max(left[0], right[0])]
    if definition.mode == "min":
        return [min(left[0], right[0])]
    return max(left, right, key=lambda cells: cells[1])
