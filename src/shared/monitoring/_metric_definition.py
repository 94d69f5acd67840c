"""What a metric is: its name, its labels, and how many numbers one series takes."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from shared.errors import InvalidArgumentError

MetricKind: TypeAlias = Literal["counter", "gauge", "histogram"]
GaugeMode: TypeAlias = Literal["sum", "max", "min", "latest"]
"""How the gauges of several processes become one: added, largest, smallest, or last set."""

OVERFLOW: Final = "_overflow"
"""Value of every label of the series that takes what is above the limit."""

# Source: OpenTelemetry semantic conventions, http.server.request.duration, plus
# 0.2 s: the objective of 200 ms must be a bound, or no one can count what meets it.
DURATION_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z").match
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z").match
_MODES: Final = ("sum", "max", "min", "latest")
_MAX_VALUE: Final = 200  # characters of a label value
_MAX_LABELS: Final = 20
_MAX_BOUNDS: Final = 200
_MAX_HELP: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """The unchanging part of a metric.

    ``name`` is without the ``_total`` of counters; ``bounds`` are the upper bounds of
    a histogram, the last of them infinite. ``key`` names what must agree before the
    numbers of two processes may be added; the help text need not.

    Example:
        >>> MetricDefinition("histogram", "wait", "Waiting.", bounds=(0.1, 1.0, math.inf)).width
        4
    """

    kind: MetricKind
    name: str
    help: str
    unit: str = ""
    label_names: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    mode: GaugeMode = "sum"
    key: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        parts = [self.kind, self.name, self.label_names, [str(bound) for bound in self.bounds], self.mode]
        digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
        object.__setattr__(self, "key", digest)

    @property
    def width(self) -> int:
        """Numbers that one series takes: histograms have their buckets and the sum."""
        if self.kind == "histogram":
            return len(self.bounds) + 1
        return 2 if self.mode == "latest" else 1

    def to_json(self) -> list[Any]:
        """Return the definition as JSON values, for other processes to read."""
        bounds = [None if math.isinf(bound) else bound for bound in self.bounds]
        return [self.kind, self.name, self.help, self.unit, list(self.label_names), bounds, self.mode]

    @classmethod
    def from_json(cls, parts: list[Any]) -> "MetricDefinition":
        """Return what :meth:`to_json` wrote."""
        kind, name, help_text, unit, labels, bounds, mode = parts
        limits = tuple(math.inf if bound is None else float(bound) for bound in bounds)
        return cls(kind, name, help_text, unit, tuple(labels), limits, mode)


def define(
    kind: MetricKind,
    name: str,
    help_text: str,
    labels: Iterable[str] = (),
    *,
    unit: str = "",
    bounds: Iterable[float] = (),
    mode: GaugeMode = "sum",
) -> MetricDefinition:
    """Return a checked definition; see :class:`Metrics` for what the parts mean."""
    if kind == "counter":
        name = name.removesuffix("_total")
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    if not _NAME(name):
        msg = f"metric name {name[:80]!r} is not usable: letters, digits, '_' and ':', no digit first"
        raise InvalidArgumentError(msg)
    label_names = (labels,) if isinstance(labels, str) else tuple(labels)
    reserved = {"le"} if kind == "histogram" else set()
    for label in label_names:
        if not _LABEL(str(label)) or label in reserved:
            msg = f"metric {name!r}: label {label!r} is not usable: letters, digits, '_', not reserved"
            raise InvalidArgumentError(msg)
    if len(set(label_names)) != len(label_names):
        msg = f"metric {name!r}: a label is named twice in {label_names!r}"
        raise InvalidArgumentError(msg)
    if len(label_names) > _MAX_LABELS:
        msg = f"metric {name!r} has {len(label_names)} labels, the limit is {_MAX_LABELS}"
        raise InvalidArgumentError(msg)
    if mode not in _MODES:
        msg = f"metric {name!r}: mode {mode!r} is unknown: one of {', '.join(_MODES)}"
        raise InvalidArgumentError(msg)
    limits = _bounds(name, bounds) if kind == "histogram" else ()
    return MetricDefinition(kind, name, help_text[:_MAX_HELP], unit, label_names, limits, mode)


def _bounds(name: str, bounds: Iterable[float]) -> tuple[float, ...]:
    limits = tuple(float(bound) for bound in bounds)
    if limits and math.isinf(limits[-1]):
        limits = limits[:-1]
    if not limits or any(math.isnan(bound) or math.isinf(bound) for bound in limits):
        msg = f"histogram {name!r} needs at least one finite bucket bound, got {limits!r}"
        raise InvalidArgumentError(msg)
    if len(limits) > _MAX_BOUNDS:
        msg = f"histogram {name!r} has {len(limits)} buckets, the limit is {_MAX_BOUNDS}"
        raise InvalidArgumentError(msg)
    if any(low >= high for low, high in itertools.pairwise(limits)):
        msg = f"histogram {name!r}: bucket bounds must grow, got {limits!r}"
        raise InvalidArgumentError(msg)
    return (*limits, math.inf)


def label_text(value: object) -> str:
    """Return *value* as it is kept: text that encodes, at most 200 characters, None as empty."""
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    text = str(value)
    if not text.isascii():
        # A lone surrogate would make the whole exposition fail to encode.
        text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 1] + "…"
