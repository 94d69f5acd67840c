"""What a service promises, and how fast it uses up what it may fail. Pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from shared.errors import InvalidArgumentError
from shared.monitoring._exposition import escape, go_float
from shared.monitoring._metric_collect import Reading
from shared.monitoring._metric_definition import DURATION_BUCKETS

_HTTP: Final = "http_server_request_duration_seconds"
_TASKS: Final = "monitored_call_duration_seconds"
#: The probes are not what a service promises.
_PROBES: Final = ("http_route", "!~", "/health|/ready|/live|/metrics")
_DURATION: Final = re.compile(r"([1-9]\d{0,3})([mhdw])\Z").match
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z").match

Matcher = tuple[str, str, str]
"""A label, one of ``= != =~ !~``, and a value or pattern, as in PromQL."""


def seconds_of(duration: str) -> int:
    """Return the seconds of ``5m``, ``6h``, ``30d`` or ``4w``.

    Raises:
        InvalidArgumentError: *duration* is written otherwise.

    Example:
        >>> seconds_of("30d")
        2592000
    """
    match = _DURATION(duration)
    if match is None:
        msg = f"duration {duration!r} is not understood: a number and m, h, d or w, such as 30d"
        raise InvalidArgumentError(msg)
    return int(match[1]) * _SECONDS[match[2]]


@dataclass(frozen=True, slots=True)
class Selector:
    """Which counters are added up.

    Example:
        >>> Selector("jobs_total", (("outcome", "=~", "error|timeout"),)).promql("5m", 'job="orders"')
        'sum(rate(jobs_total{job="orders",outcome=~"error|timeout"}[5m]))'
    """

    metric: str
    matchers: tuple[Matcher, ...] = ()

    def promql(self, window: str, where: str = "") -> str:
        """Return the rate per second over *window*; *where* selects the service."""
        parts = [where] if where else []
        parts += [f'{label}{operator}"{escape(value)}"' for label, operator, value in self.matchers]
        inner = f"{{{','.join(parts)}}}" if parts else ""
        return f"sum(rate({self.metric}{inner}[{window}]))"

    def read(self, readings: Iterable[Reading]) -> float:
        """Return the sum of the counters in this process' readings."""
        total = 0.0
        for reading in readings:
            definition = reading.definition
            if not self.metric.startswith(definition.name):
                continue
            suffix = self.metric[len(definition.name) :]
            bound = next((value for label, _, value in self.matchers if label == "le"), None)
            for values, cells in reading.numbers.items():
                labels = dict(zip(definition.label_names, values, strict=True))
                if all(_matches(labels, matcher) for matcher in self.matchers if matcher[0] != "le"):
                    total += _number(definition.kind, suffix, cells, definition.bounds, bound)
        return total


def _matches(labels: Mapping[str, str], matcher: Matcher) -> bool:
    label, operator, wanted = matcher
    value = labels.get(label, "")
    if operator in {"=", "!="}:
        return (value == wanted) is (operator == "=")
    return (re.fullmatch(wanted, value) is not None) is (operator == "=~")


def _number(
    kind: str, suffix: str, cells: list[float], bounds: tuple[float, ...], bound: str | None
) -> float:
    if kind == "counter":
        return cells[0] if suffix in {"", "_total"} else 0.0
    if kind == "histogram" and suffix == "_count":
        return sum(cells[:-1])
    if kind == "histogram" and suffix == "_bucket" and bound is not None:
        return sum(cells[: [go_float(each) for each in bounds].index(bound) + 1])
    return 0.0


@dataclass(frozen=True, slots=True)
class SLI:
    """What is measured: all events, and those that were bad or good.

    Exactly one of ``bad`` and ``good`` is given.

    Args:
        total: All events.
        bad: The events that break the promise.
        good: The events that keep it.

    Raises:
        InvalidArgumentError: Both or neither of *bad* and *good* are given.

    Example:
        >>> availability().bad.matchers[-1]
        ('http_response_status_code', '=~', '5..')
    """

    total: Selector
    bad: Selector | None = None
    good: Selector | None = None

    def __post_init__(self) -> None:
        if (self.bad is None) is (self.good is None):
            msg = "an SLI counts either bad or good events: give exactly one of the two"
            raise InvalidArgumentError(msg)

    def error_ratio(self, window: str, where: str = "") -> str:
        """Return the part of bad events as PromQL; 0, not nothing, while there was no bad one."""
        total = self.total.promql(window, where)
        if self.bad is not None:
            # Without "or vector(0)" a service that never failed has no ratio at all.
            bad = f"({self.bad.promql(window, where)} or vector(0))"
        else:
            good = self.good.promql(window, where) if self.good is not None else ""
            bad = f"({total} - ({good} or vector(0)))"
        return f"{bad}\n/\n({total} > 0)"

    def read(self, readings: Iterable[Reading]) -> tuple[float, float]:
        """Return the bad and all events so far."""
        found = list(readings)
        total = self.total.read(found)
        if self.bad is not None:
            return self.bad.read(found), total
        good = self.good.read(found) if self.good is not None else total
        return max(0.0, total - good), total


def availability(*, route: str = "", exclude: str = "/health|/ready|/live|/metrics") -> SLI:
    """Count requests answered with 5xx as bad.

    Args:
        route: Regular expression of the routes meant; all when empty.
        exclude: Regular expression of those left out: the probes.

    Example:
        >>> print(availability(route="/orders.*").total.promql("5m"))
        sum(rate(http_server_request_duration_seconds_count{http_route=~"/orders.*"}[5m]))
    """
    routes = _routes(route, exclude)
    return SLI(
        Selector(f"{_HTTP}_count", routes),
        bad=Selector(f"{_HTTP}_count", (*routes, ("http_response_status_code", "=~", "5.."))),
    )


def latency(
    threshold: float,
    *,
    route: str = "",
    exclude: str = "/health|/ready|/live|/metrics",
    buckets: Iterable[float] = DURATION_BUCKETS,
) -> SLI:
    """Count requests that took longer than *threshold* as bad.

    Args:
        threshold: Seconds; must be a bound of the histogram, or nobody can count.
        route: As in :func:`availability`.
        exclude: As in :func:`availability`.
        buckets: Bounds of the histogram, when they are not the default ones.

    Raises:
        InvalidArgumentError: *threshold* is no bound.

    Example:
        >>> latency(0.2).good.matchers[-1]
        ('le', '=', '0.2')
    """
    bounds = tuple(float(bound) for bound in buckets)
    if float(threshold) not in bounds:
        shown = ", ".join(f"{bound:g}" for bound in bounds)
        msg = f"{threshold!r} s is no bucket of {_HTTP}: choose one of {shown}, or add the bucket"
        raise InvalidArgumentError(msg)
    routes = _routes(route, exclude)
    return SLI(
        Selector(f"{_HTTP}_count", routes),
        good=Selector(f"{_HTTP}_bucket", (*routes, ("le", "=", go_float(float(threshold))))),
    )


def task_success(name: str = "") -> SLI:
    """Count runs of monitored tasks and calls that failed as bad.

    Args:
        name: Name of the task, or ``"GET /users"``; all of them when empty.

    Example:
        >>> task_success("send_receipt").total.matchers
        (('name', '=', 'send_receipt'),)
    """
    names: tuple[Matcher, ...] = (("name", "=", name),) if name else ()
    return SLI(
        Selector(f"{_TASKS}_count", names),
        bad=Selector(f"{_TASKS}_count", (*names, ("outcome", "=", "error"))),
    )


def _routes(route: str, exclude: str) -> tuple[Matcher, ...]:
    matchers: list[Matcher] = []
    for operator, pattern in (("=~", route), ("!~", exclude)):
        if not pattern or (operator == "!~" and route):
            continue
        try:
            re.compile(pattern)
        except re.error as exc:
            msg = f"{pattern!r} is no regular expression: {exc}"
            raise InvalidArgumentError(msg) from exc
        matchers.append(("http_route", operator, pattern))
    return tuple(matchers)


class BurnWindow(NamedTuple):
    """A pair of windows and the speed of burning that both must exceed.

    Example:
        >>> SLO("orders", objective=99.9).burn_windows()[0].factor
        Decimal('14.4')
    """

    long: str
    short: str
    factor: Decimal
    severity: str


# Part of the budget that may be gone when the alert comes, and the two windows.
# Source: Google SRE workbook, chapter 5, "multiwindow, multi-burn-rate alerts".
_PAIRS: Final = (
    (Decimal("0.02"), "1h", "5m", "page"),
    (Decimal("0.05"), "6h", "30m", "page"),
    (Decimal("0.1"), "1d", "2h", "ticket"),
    (Decimal("0.1"), "3d", "6h", "ticket"),
)


@dataclass(frozen=True, slots=True)
class SLO:
    """A promise: this part of the events is good, over that time.

    Args:
        name: Lower-case letters, digits, ``-`` and ``_``, at most 63.
        objective: Per cent that must be good, above 0 and below 100; text such as
            ``"99.95"`` or a number.
        sli: What is measured; :func:`availability` by default.
        window: Over which time, such as ``30d``; at least ``3d``.
        min_events: Events that a window must hold before the in-process evaluator
            speaks up: one failure of two requests is no outage.
        description: For people.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> slo = SLO("orders-availability", objective=99.9)
        >>> slo.budget
        Decimal('0.001')
    """

    name: str
    objective: float | str | Decimal = 99.9
    sli: SLI = field(default_factory=availability)
    window: str = "30d"
    min_events: int = 50
    description: str = ""

    def __post_init__(self) -> None:
        if not _NAME(self.name):
            msg = f"SLO name {self.name[:80]!r} is not usable: 1 to 63 of a-z 0-9 - _, no sign first"
            raise InvalidArgumentError(msg)
        if not 0 < self.percent < 100:
            msg = (
                f"SLO {self.name!r}: the objective is above 0 and below 100 per cent, got {self.objective!r}"
            )
            raise InvalidArgumentError(msg)
        if seconds_of(self.window) < 3 * 86_400:
            msg = f"SLO {self.name!r}: the window is at least 3d, got {self.window!r}"
            raise InvalidArgumentError(msg)
        if self.min_events < 1:
            msg = f"SLO {self.name!r}: min_events is 1 or more, got {self.min_events!r}"
            raise InvalidArgumentError(msg)

    @property
    def percent(self) -> Decimal:
        """The objective, exactly as it was written."""
        try:
            value = Decimal(str(self.objective))
        except InvalidOperation:
            return Decimal(-1)
        return value if value.is_finite() else Decimal(-1)

    @property
    def budget(self) -> Decimal:
        """The part of the events that may be bad."""
        return 1 - self.percent / 100

    def burn_windows(self) -> tuple[BurnWindow, ...]:
        """Return the pairs of windows with their factors; for 30d these are 14.4, 6, 3 and 1."""
        period = seconds_of(self.window)
        return tuple(
            BurnWindow(long, short, (part * period / seconds_of(long)).normalize(), severity)
            for part, long, short, severity in _PAIRS
        )

    def threshold(self, window: BurnWindow) -> Decimal:
        """Return the part of bad events above which *window* burns too fast, exactly."""
        return (window.factor * self.budget).normalize()


class CounterHistory:
    """Two counters over time, a point a minute: enough to ask for any window's increase.

    Args:
        max_age: Seconds that are kept, > 0.
        resolution: Seconds between points that are kept, > 0.

    Example:
        >>> history = CounterHistory(max_age=3600)
        >>> for minute, bad, total in ((0, 0, 0), (1, 1, 100), (2, 3, 200)):
        ...     history.add(60 * minute, bad, total)
        >>> history.increase(60, now=120)
        (2, 100)
    """

    def __init__(self, *, max_age: float, resolution: float = 60.0) -> None:
        self._max_age = max_age
        self._resolution = resolution
        self._times: list[float] = []
        self._points: list[tuple[float, float]] = []

    def add(self, now: float, bad: float, total: float) -> None:
        """Note the counters at *now*; a total that fell is a restart, and history begins anew."""
        if self._points and (total < self._points[-1][1] or now < self._times[-1]):
            self._times, self._points = [], []
        # The last point is replaced until it is old enough to stay.
        if len(self._times) > 1 and now - self._times[-2] < self._resolution:
            self._times.pop()
            self._points.pop()
        self._times.append(now)
        self._points.append((bad, total))
        surplus = bisect_right(self._times, now - self._max_age) - 1
        if surplus > 0:
            del self._times[:surplus], self._points[:surplus]

    def increase(self, window: float, *, now: float) -> tuple[float, float]:
        """Return how much bad and total grew in the last *window* seconds, as far as is known."""
        if not self._points:
            return 0.0, 0.0
        index = max(0, bisect_right(self._times, now - window) - 1)
        (bad, total), (bad_now, total_now) = self._points[index], self._points[-1]
        return bad_now - bad, total_now - total
