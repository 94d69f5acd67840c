"""Where our metrics meet ``prometheus_client``: its registry, its types, its collectors."""

import contextvars
import functools
import weakref
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, Final, Protocol

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from shared.monitoring._accept import preferred
from shared.monitoring._answer import HttpAnswer
from shared.monitoring._exposition import OPENMETRICS, TEXT, Exemplars, Row, SeriesText, go_float, render
from shared.monitoring._metric_collect import Reading

_EOF: Final = b"# EOF\n"
_muted: Final[contextvars.ContextVar[bool]] = contextvars.ContextVar("shared_metrics_muted", default=False)
_texts: "weakref.WeakKeyDictionary[Any, dict[str, SeriesText]]" = weakref.WeakKeyDictionary()


class Source(Protocol):
    """Metrics, as far as they are exposed."""

    @property
    def is_multiprocess(self) -> bool:
        """Whether other processes' numbers are in it."""

    @property
    def registry(self) -> CollectorRegistry:
        """The client's registry that shows them."""

    def collect(self) -> list[Reading]:
        """Return every metric with its numbers."""


class _Bridge(Collector):
    """Shows our metrics to everything that speaks the client's protocol."""

    def __init__(self, metrics: Source) -> None:
        self._metrics = weakref.ref(metrics)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        metrics = self._metrics()
        if metrics is None or _muted.get():
            return []
        return [to_metric(reading) for reading in metrics.collect()]


def make_registry(metrics: Source) -> CollectorRegistry:
    """Return a registry of the client that shows *metrics*."""
    registry = CollectorRegistry()
    registry.register(_Bridge(metrics))
    return registry


def to_metric(reading: Reading) -> Metric:
    """Return *reading* as the client's own type, sample by sample as its classes would."""
    definition = reading.definition
    metric = Metric(definition.name, definition.help, definition.kind, definition.unit)
    exemplars = exemplars_of(reading)
    bounds = [go_float(bound) for bound in definition.bounds]
    for labels, cells in reading.numbers.items():
        named = dict(zip(definition.label_names, labels, strict=True))
        seen = {index: Exemplar(dict(e[0]), e[1], e[2]) for index, e in exemplars.get(labels, {}).items()}
        if definition.kind != "histogram":
            suffix = "_total" if definition.kind == "counter" else ""
            metric.add_sample(definition.name + suffix, named, cells[0], exemplar=seen.get(0))
            continue
        counts = list(accumulate(cells[:-1]))
        for index, (bound, count) in enumerate(zip(bounds, counts, strict=True)):
            bucket = f"{definition.name}_bucket"
            metric.add_sample(bucket, {**named, "le": bound}, count, exemplar=seen.get(index))
        metric.add_sample(f"{definition.name}_count", named, counts[-1])
        if definition.bounds[0] >= 0:
            metric.add_sample(f"{definition.name}_sum", named, cells[-1])
    return metric


def expose(metrics: Source, accept: str) -> HttpAnswer:
    """Return all metrics as text in the format that *accept* asks for."""
    media_type = preferred(accept, ("text/plain", "application/openmetrics-text")) if accept else "text/plain"
    is_open = media_type != "text/plain"
    readings = metrics.collect()
    body = _ours(metrics, readings, openmetrics=is_open)
    foreign = _Foreign(metrics, {reading.definition.name for reading in readings})
    if is_open:
        text: bytes = generate_openmetrics(foreign)  # type: ignore[no-untyped-call,unused-ignore]
        body += text.removesuffix(_EOF) + _EOF
    else:
        body += generate_latest(foreign)
    content_type = OPENMETRICS if is_open else TEXT
    return HttpAnswer(200, (("Content-Type", content_type), ("Cache-Control", "no-store")), body)


def _ours(metrics: Source, readings: list[Reading], *, openmetrics: bool) -> bytes:
    texts = _texts.setdefault(metrics, {})
    out: list[str] = []
    for reading in readings:
        key = reading.definition.key
        text = texts.get(key)
        if text is None:
            text = texts[key] = SeriesText(reading.definition)
        family = reading.family
        if reading.merged is None and family is not None and family.definition.kind != "histogram":
            seen = exemplars_of(reading) if openmetrics else {}
            if not seen:
                out.append(text.open_head if openmetrics else text.text_head)
                out += family.lines(text.prefixes)
                continue
        render(text, _rows(reading, text, with_exemplars=openmetrics), out, openmetrics=openmetrics)
    return "".join(out).encode()


def _rows(reading: Reading, text: SeriesText, *, with_exemplars: bool) -> Iterator[Row]:
    seen = exemplars_of(reading) if with_exemplars else {}
    if reading.merged is None and reading.family is not None:
        for labels, one in reading.family.items():
            prefixes = one.text
            if prefixes is None:  # kept with the series: looking it up by its labels costs more
                prefixes = one.text = text.prefixes(labels)
            yield prefixes, one.read(reading.definition.width), seen.get(labels)
    else:
        for labels, cells in reading.numbers.items():
            yield text.prefixes(labels), cells, seen.get(labels)


def exemplars_of(reading: Reading) -> dict[tuple[str, ...], Exemplars]:
    """Return the exemplars that this process saw, by label values."""
    if reading.family is None or reading.definition.kind == "gauge":
        return {}
    return {labels: dict(one.exemplars) for labels, one in reading.family.items() if one.exemplars}


class _Foreign(Collector):
    """What others registered: on our registry, and on the client's default one."""

    def __init__(self, metrics: Source, ours: set[str]) -> None:
        self._metrics = metrics
        self._seen = set(ours)

    def collect(self) -> Iterator[Metric]:
        token = _muted.set(True)
        try:
            found = list(self._metrics.registry.collect()) + list(REGISTRY.collect())
        finally:
            _muted.reset(token)
        # The client's own view of the process: ours replaces it, and with several
        # processes the counters of whoever answers would jump up and down.
        hidden = _names(PROCESS_COLLECTOR)
        if self._metrics.is_multiprocess:
            hidden = hidden | _names(GC_COLLECTOR) | _names(PLATFORM_COLLECTOR)
        for metric in found:
            if metric.name not in self._seen and metric.name not in hidden:
                self._seen.add(metric.name)
                yield metric


@functools.cache
def _names(collector: Collector) -> frozenset[str]:
    return frozenset(metric.name for metric in collector.collect())
