"""Alerts: what is watched, when it speaks up, and what it says. Pure but for the readings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from shared.errors import InvalidArgumentError
from shared.monitoring._metric_collect import Reading
from shared.monitoring._slo import SLO, BurnWindow, CounterHistory, seconds_of


class Severity(StrEnum):
    """How soon somebody must look.

    Example:
        >>> Severity("page") is Severity.PAGE
        True
    """

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


class Notification(NamedTuple):
    """What a notifier is told.

    Attributes:
        alert: Name of the alert.
        status: ``firing`` or ``resolved``.
        severity: How soon somebody must look.
        summary: One line for people, without secrets.
        details: Figures and labels, the service's name among them.
        at: Unix time in seconds.

    Example:
        >>> note = Notification("orders", "firing", Severity.PAGE, "orders answers 5xx", {}, 1700000000.0)
        >>> note.to_dict()["severity"]
        'page'
    """

    alert: str
    status: str
    severity: Severity
    summary: str
    details: Mapping[str, Any]
    at: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**self._asdict(), "severity": str(self.severity), "details": dict(self.details)}


class Finding(NamedTuple):
    """What one look at an alert found.

    Example:
        >>> Finding(active=True, summary="too slow").details
        {}
    """

    active: bool
    summary: str = ""
    severity: Severity | None = None
    details: Mapping[str, Any] = {}


class Alert(Protocol):
    """Something that can be looked at again and again.

    Example:
        >>> alert: Alert = ThresholdAlert("queue", lambda: 5, above=100)
        >>> alert.look([], 0.0).active
        False
    """

    @property
    def name(self) -> str:
        """Name, unique among the alerts of a service."""
        ...

    @property
    def severity(self) -> Severity:
        """How soon somebody must look, unless the finding says otherwise."""
        ...

    @property
    def wait(self) -> float:
        """Seconds it must be active before it fires."""
        ...

    def look(self, readings: list[Reading], now: float) -> Finding:
        """Judge the present moment.

        Args:
            readings: The service's metrics.
            now: Unix time in seconds.
        """
        ...


class BurnRateAlert:
    """Speaks up when an SLO's budget burns too fast, over a long and a short window at once.

    The long window tells that it matters, the short one that it still goes on. An
    :class:`SLO` handed to :class:`AlertEvaluator` becomes two: fast burns page, slow
    ones are a ticket.

    Args:
        slo: The promise.
        severity: Which of the SLO's windows are watched: ``page`` or ``ticket``.

    Example:
        >>> alert = BurnRateAlert(SLO("orders", objective=99.9))
        >>> alert.name, alert.look([], 0.0).active
        ('orders-page', False)
    """

    wait: float = 0.0

    def __init__(self, slo: SLO, severity: Severity | str = Severity.PAGE) -> None:
        self.slo = slo
        self.severity: Severity = Severity(severity)
        self.name: str = f"{slo.name}-{self.severity}"
        self._windows = tuple(each for each in slo.burn_windows() if each.severity == self.severity)
        if not self._windows:
            msg = f"SLO {slo.name!r} has no windows of severity {severity!r}: page or ticket"
            raise InvalidArgumentError(msg)
        longest = max(seconds_of(window.long) for window in self._windows)
        self._history = CounterHistory(max_age=longest)

    def look(self, readings: list[Reading], now: float) -> Finding:
        """Note the counters and judge the pairs of windows; the first that burns is told."""
        bad, total = self.slo.sli.read(readings)
        self._history.add(now, bad, total)
        for window in self._windows:
            found = self._burning(window, now)
            if found is not None:
                return found
        return Finding(active=False, summary=f"SLO {self.slo.name}: the budget holds")

    def _burning(self, window: BurnWindow, now: float) -> Finding | None:
        limit = float(self.slo.threshold(window))
        ratios = []
        for span in (window.long, window.short):
            bad, total = self._history.increase(seconds_of(span), now=now)
            if total < self.slo.min_events or bad <= limit * total:
                return None
            ratios.append(bad / total)
        factor = ratios[0] / float(self.slo.budget)
        return Finding(
            active=True,
            summary=(
                f"SLO {self.slo.name} ({self.slo.percent} %): {ratios[0]:.2%} bad in {window.long}, "
                f"the budget burns {factor:.1f} times too fast (limit {window.factor:f})"
            ),
            severity=Severity(window.severity),
            details={
                "slo": self.slo.name,
                "objective": str(self.slo.percent),
                "long_window": window.long,
                "short_window": window.short,
                "long_ratio": round(ratios[0], 6),
                "short_ratio": round(ratios[1], 6),
                "burn_rate": round(factor, 3),
            },
        )


class ThresholdAlert:
    """Speaks up while a number is above or below a limit.

    Args:
        name: Name of the alert.
        read: Returns the number; None means that it is not known, which is no reason.
        above: Limit above which it is active.
        below: Limit below which it is active.
        wait: Seconds it must be so before it fires, >= 0.
        severity: How soon somebody must look.
        unit: Shown behind the number.
        promql: The same as a Prometheus expression without the comparison, for the
            generated rules; the alert is left out of them when empty.

    Raises:
        InvalidArgumentError: Neither or both limits are given, or *wait* is below 0.

    Example:
        >>> alert = ThresholdAlert("queue", lambda: 120, above=100, unit="jobs")
        >>> alert.look([], 0.0).summary
        'queue is 120 jobs, above 100 jobs'
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], float | None],
        *,
        above: float | None = None,
        below: float | None = None,
        wait: float = 0.0,
        severity: Severity | str = Severity.TICKET,
        unit: str = "",
        promql: str = "",
    ) -> None:
        if (above is None) is (below is None):
            msg = f"alert {name!r} needs exactly one limit: above or below"
            raise InvalidArgumentError(msg)
        if not 0 <= wait < float("inf"):
            msg = f"alert {name!r}: wait is seconds, 0 or more, got {wait!r}"
            raise InvalidArgumentError(msg)
        self.name = name
        self.wait = wait
        self.severity: Severity = Severity(severity)
        self.above = above
        self.below = below
        self.promql = promql
        self._read = read
        self._unit = f" {unit}" if unit else ""

    def look(self, readings: list[Reading], now: float) -> Finding:
        """Read the number and compare."""
        del readings, now
        value = self._read()
        if value is None:
            return Finding(active=False, summary=f"{self.name} is not known")
        word, limit = ("above", self.above) if self.above is not None else ("below", self.below)
        crossed = value > (self.above or 0.0) if self.above is not None else value < (self.below or 0.0)
        summary = f"{self.name} is {value:g}{self._unit}"
        if crossed:
            summary += f", {word} {limit:g}{self._unit}"
        return Finding(crossed, summary, None, {"value": value, "limit": limit})


class DegradationAlert:
    """Speaks up when a percentile has become much worse than it used to be.

    Compares the last *recent* seconds with the *baseline* before them, both taken
    from a histogram; needs no limit to be guessed.

    Args:
        name: Name of the alert.
        metric: Full name of the histogram.
        percentile: Between 0 and 1.
        factor: How much worse than the baseline, > 1.
        at_least: Seconds below which nothing is ever too slow.
        recent: Seconds of the present, > 0.
        baseline: Seconds of the past before it, > *recent*.
        min_events: Observations that both must hold.
        wait: Seconds it must be so before it fires.
        severity: How soon somebody must look.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> alert = DegradationAlert("slower", "http_server_request_duration_seconds")
        >>> alert.look([], 0.0).active
        False
    """

    def __init__(
        self,
        name: str,
        metric: str = "http_server_request_duration_seconds",
        *,
        percentile: float = 0.95,
        factor: float = 1.5,
        at_least: float = 0.05,
        recent: float = 600.0,
        baseline: float = 86_400.0,
        min_events: int = 100,
        wait: float = 300.0,
        severity: Severity | str = Severity.TICKET,
    ) -> None:
        if not (
            0 < percentile < 1 and factor > 1 and 0 < recent < baseline and min_events >= 1 and wait >= 0
        ):
            msg = (
                f"alert {name!r}: 0 < percentile < 1, factor > 1, 0 < recent < baseline, min_events >= 1 "
                f"and wait >= 0 do not hold: {percentile!r}, {factor!r}, {recent!r}, {baseline!r}"
            )
            raise InvalidArgumentError(msg)
        self.name = name
        self.metric = metric
        self.percentile = percentile
        self.factor = factor
        self.at_least = at_least
        self.recent = recent
        self.baseline = baseline
        self.wait = wait
        self.severity: Severity = Severity(severity)
        self._min_events = min_events
        self._points: list[tuple[float, list[float]]] = []
        self._bounds: tuple[float, ...] = ()

    def look(self, readings: list[Reading], now: float) -> Finding:
        """Note the buckets and compare the present with the past."""
        counts = self._counts(readings)
        if counts is None:
            return Finding(active=False, summary=f"{self.metric} has no observations")
        if self._points and (
            len(self._points[-1][1]) != len(counts) or sum(counts) < sum(self._points[-1][1])
        ):
            self._points = []  # the process began anew
        if len(self._points) < 2 or now - self._points[-2][0] >= 60:
            self._points.append((now, counts))
        else:
            self._points[-1] = (now, counts)
        while len(self._points) > 2 and self._points[1][0] <= now - self.recent - self.baseline:
            self._points.pop(0)
        middle = self._at(now - self.recent)
        present = [a - b for a, b in zip(counts, middle, strict=True)]
        past = [a - b for a, b in zip(middle, self._points[0][1], strict=True)]
        if min(sum(present), sum(past)) < self._min_events:
            return Finding(active=False, summary=f"{self.metric}: too few observations to compare")
        return self._compare(self._quantile(present), self._quantile(past))

    def _compare(self, value: float, usual: float) -> Finding:
        word = f"p{self.percentile * 100:g}"
        worse = value > usual * self.factor and value > self.at_least
        summary = f"{word} of {self.metric} is {value:.3g} s, usually {usual:.3g} s"
        return Finding(worse, summary, None, {"value": round(value, 6), "usual": round(usual, 6)})

    def _counts(self, readings: list[Reading]) -> list[float] | None:
        for reading in readings:
            if reading.definition.name == self.metric and reading.definition.kind == "histogram":
                self._bounds = reading.definition.bounds
                rows = [cells[:-1] for cells in reading.numbers.values()]
                return [sum(column) for column in zip(*rows, strict=True)] if rows else None
        return None

    def _at(self, moment: float) -> list[float]:
        found = self._points[0][1]
        for at, counts in self._points:
            if at > moment:
                break
            found = counts
        return found

    def _quantile(self, counts: list[float]) -> float:
        """Interpolate within the bucket, as histogram_quantile() of Prometheus does."""
        rank, seen = self.percentile * sum(counts), 0.0
        for index, count in enumerate(counts):
            if seen + count >= rank and count:
                low = self._bounds[index - 1] if index else 0.0
                high = self._bounds[index]
                if high == float("inf"):
                    return low
                return low + (high - low) * (rank - seen) / count
            seen += count
        return 0.0


@dataclass(slots=True)
class AlertState:
    """Turns what is found at each look into notices at the edges only. Pure.

    Fires after *wait* seconds of being active, says so once, says once that it is
    over, and keeps quiet for *cooldown* seconds after that.
    """

    wait: float
    cooldown: float
    active_since: float | None = None
    firing: bool = False
    resolved_at: float | None = None
    told: Finding | None = field(default=None)

    def step(self, finding: Finding, now: float) -> str | None:
        """Return ``firing`` or ``resolved`` when that is news, else None."""
        if not finding.active:
            self.active_since = None
            if self.firing:
                self.firing = False
                self.resolved_at = now
                return "resolved"
            return None
        if self.active_since is None:
            self.active_since = now
        escalated = self.firing and self._is_worse(finding)
        if self.firing and not escalated:
            return None
        quiet = self.resolved_at is not None and now - self.resolved_at < self.cooldown
        if now - self.active_since < self.wait or (quiet and not escalated):
            return None
        self.firing = True
        self.told = finding
        return "firing"

    def _is_worse(self, finding: Finding) -> bool:
        """A ticket that becomes a page is news."""
        told = None if self.told is None else self.told.severity
        return finding.severity is Severity.PAGE and told is not None and told is not Severity.PAGE
