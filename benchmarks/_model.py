"""What a table of the benchmarks is made of."""

import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

# run(loops) does the work that many times. It returns None when its cost is the CPU
# time of the calling thread; work that happens elsewhere returns the cost of one
# operation itself, in seconds, one number for each metric of the table.
Run = Callable[[int], "tuple[float, ...] | None"]


@dataclass(frozen=True)
class Case:
    """One row: a way to do the job.

    Attributes:
        name: What it is, in a few words.
        open: Builds it, checks that it does the job, and yields ``run``.
        kind: ``floor``, ``ours`` or ``peer``; for the reader and the chart.
        requires: Modules without which the row says what is missing.
        seconds: Length of a sample it aims at; None: the harness decides.
    """

    name: str
    open: Callable[[], AbstractContextManager[Run]]
    kind: str = "peer"
    requires: tuple[str, ...] = ()
    seconds: float | None = None

    def missing(self) -> str | None:
        """Return the first required module that is not installed."""
        return next((name for name in self.requires if not _is_installed(name)), None)


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package is missing
        return False


@dataclass(frozen=True)
class Goal:
    """What a ratio should be.

    The ratio is cost of *case* over cost of *over*. With *floor* both are taken
    less the cost of that case: what each adds. *at_least* turns the ratio around:
    how many times cheaper *case* is than *over*.
    """

    case: str
    over: str
    at_most: float | None = None
    at_least: float | None = None
    floor: str | None = None

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a goal has either at_most or at_least")

    def value(self, costs: dict[str, float]) -> float | None:
        """Return the ratio to compare, or None when a row was not measured."""
        names = {self.case, self.over} | ({self.floor} if self.floor else set())
        if not names <= costs.keys():
            return None
        less = costs[self.floor] if self.floor else 0.0
        # What costs no more than the floor adds next to nothing, not less than nothing.
        mine = max(costs[self.case] - less, 1e-12)
        other = max(costs[self.over] - less, 1e-12)
        return other / mine if self.at_least is not None else mine / other

    def is_met(self, value: float) -> bool:
        """Tell whether *value* is within the goal."""
        if self.at_most is not None:
            return value <= self.at_most
        return self.at_least is not None and value >= self.at_least

    def __str__(self) -> str:
        added = f", each less {self.floor!r}" if self.floor else ""
        if self.at_most is not None:
            return f"{self.case!r} <= {self.at_most:g}x {self.over!r}{added}"
        return f"{self.case!r} >= {self.at_least:g}x cheaper than {self.over!r}{added}"


@dataclass(frozen=True)
class Table:
    """Rows that do the same job, and what is expected of their ratios.

    Attributes:
        name: Its name on the command line.
        title: What the job is.
        base: The row every other is divided by.
        cases: The rows, in the order they are shown.
        goals: What should hold.
        metrics: What a sample measures; the first one is what ratios and goals are about.
        unit: ``us`` or ``ms``, for the absolute column.
        rounds: Samples of each row, full and quick.
    """

    name: str
    title: str
    base: str
    cases: tuple[Case, ...]
    goals: tuple[Goal, ...] = ()
    metrics: tuple[str, ...] = ("CPU",)
    unit: str = "us"
    rounds: tuple[int, int] = (40, 8)
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [case.name for case in self.cases]
        named = {self.base, *(n for g in self.goals for n in (g.case, g.over, g.floor) if n)}
        if len(set(names)) != len(names):
            msg = f"table {self.name!r} has two rows of one name"
            raise ValueError(msg)
        if unknown := sorted(named - set(names)):
            msg = f"table {self.name!r} has no row {unknown}"
            raise ValueError(msg)

    def case(self, name: str) -> Case:
        """Return the row *name*."""
        return next(case for case in self.cases if case.name == name)
