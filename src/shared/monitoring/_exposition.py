"""Write metrics as text, byte for byte as ``prometheus_client`` does, and much faster.

What does not change from scrape to scrape, the name and the escaped labels of each
line, is kept; only the numbers are formatted.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from shared.monitoring._metric_definition import MetricDefinition

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

EXPONENT_FROM: Final = 1_000_000.0  # from here on Go writes exponents where Python does not

_MAX_EXEMPLAR: Final = 128  # characters of all labels of an exemplar; OpenMetrics, section 4.6.1

Exemplars = Mapping[int, tuple[Mapping[str, str], float, float]]


class SeriesText:
    """The lines of one metric, without their numbers."""

    def __init__(self, definition: MetricDefinition) -> None:
        self.definition = definition
        self._known: dict[tuple[str, ...], list[str]] = {}
        name, help_text = definition.name, definition.help
        plain = help_text.replace("\\", r"\\").replace("\n", r"\n")
        shown = f"{name}_total" if definition.kind == "counter" else name
        self.text_head = f"# HELP {shown} {plain}\n# TYPE {shown} {definition.kind}\n"
        head = f"# HELP {name} {escape(help_text)}\n# TYPE {name} {definition.kind}\n"
        self.open_head = head + (f"# UNIT {name} {definition.unit}\n" if definition.unit else "")
        self._bounds = [go_float(bound) for bound in definition.bounds]

    def prefixes(self, labels: tuple[str, ...]) -> list[str]:
        """Return what stands before each number of the series with these label values."""
        found = self._known.get(labels)
        if found is None:
            found = self._known[labels] = self._build(labels)
        return found

    def _build(self, labels: tuple[str, ...]) -> list[str]:
        definition = self.definition
        pairs = list(zip(definition.label_names, labels, strict=True))
        plain = _labels(pairs)
        if definition.kind == "counter":
            return [f"{definition.name}_total{plain} "]
        if definition.kind == "gauge":
            return [f"{definition.name}{plain} "]
        buckets = [f"{definition.name}_bucket{_labels([*pairs, ('le', le)])} " for le in self._bounds]
        return [*buckets, f"{definition.name}_count{plain} ", f"{definition.name}_sum{plain} "]


Row = tuple[list[str], Sequence[float], "Exemplars | None"]
"""Of one series: what stands before each number, the numbers, the exemplars."""


def render(text: SeriesText, rows: Iterable[Row], out: list[str], *, openmetrics: bool = False) -> None:
    """Append the lines of one metric to *out*."""
    out.append(text.open_head if openmetrics else text.text_head)
    append = out.append
    if text.definition.kind == "histogram":
        for prefixes, cells, exemplars in rows:
            append(_histogram(prefixes, cells, exemplars, signed=text.definition.bounds[0] < 0))
        return
    for prefixes, cells, exemplars in rows:
        exemplar = _exemplar(exemplars.get(0)) if exemplars else ""
        append(f"{prefixes[0]}{number(cells[0])}{exemplar}\n")


def _histogram(
    prefixes: list[str], cells: Sequence[float], exemplars: "Exemplars | None", *, signed: bool
) -> str:
    *buckets, total = cells
    counts = list(accumulate(buckets))
    values = list(map(repr if counts[-1] < EXPONENT_FROM else go_float, counts))
    values += [values[-1], number(total)]
    lines = [prefix + value for prefix, value in zip(prefixes, values, strict=True)]
    if signed:  # a sum that can fall is no counter; the client leaves it out as well
        lines.pop()
    if exemplars:
        for index, exemplar in exemplars.items():
            lines[index] += _exemplar(exemplar)
    lines.append("")
    return "\n".join(lines)


def number(value: float) -> str:
    """Return *value* as the exposition formats write it."""
    return repr(value) if -math.inf < value < EXPONENT_FROM else go_float(value)


def go_float(value: float) -> str:
    """Return *value* as Go prints it: ``1e+06``, ``+Inf``, ``NaN``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    dot = text.find(".")
    if value > 0 and dot > 6:
        mantissa = f"{text[0]}.{text[1:dot]}{text[dot + 1 :]}".rstrip("0.")
        return f"{mantissa}e+{dot - 1:02d}"
    return text


def escape(value: str) -> str:
    """Return *value* as it may stand between quotes."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{escape(value)}"' for name, value in sorted(pairs))
    return f"{{{inner}}}" if inner else ""


def _exemplar(exemplar: tuple[Mapping[str, str], float, float] | None) -> str:
    if exemplar is None:
        return ""
    labels, value, timestamp = exemplar
    if sum(len(name) + len(text) for name, text in labels.items()) > _MAX_EXEMPLAR:
        return ""
    return f" # {_labels(labels.items()) or '{}'} {number(float(value))} {timestamp}"
