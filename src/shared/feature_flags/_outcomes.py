"""How requests go with a flag on and off: counted in our own metrics, and read back by guardrails."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from shared.runtime import Runtime, current, use

if TYPE_CHECKING:
    from shared.monitoring import Metrics

__all__ = ["FlagOutcomes", "MetricSource", "VariantSample", "get_flag_outcomes"]

_FAMILY: Final = "feature_flag_outcome_duration"
_LABELS: Final = ("feature_flag_key", "feature_flag_result_variant", "outcome")


@dataclass(frozen=True, slots=True)
class VariantSample:
    """What became of the units of one variant, counted since some moment.

    Attributes:
        count: Outcomes.
        errors: Of them, failed ones.
        slow: Seconds to how many of them took longer.

    Example:
        >>> VariantSample(count=100, errors=2).errors
        2
    """

    count: int = 0
    errors: int = 0
    slow: Mapping[float, int] = field(default_factory=dict)

    def since(self, before: "VariantSample") -> "VariantSample":
        """Return what came after *before*; all of it when the counters began anew meanwhile.

        Example:
            >>> VariantSample(5, 1).since(VariantSample(3, 1))
            VariantSample(count=2, errors=0, slow={})
        """
        if self.count < before.count or self.errors < before.errors:
            return self
        slow = {limit: max(0, found - before.slow.get(limit, 0)) for limit, found in self.slow.items()}
        return VariantSample(self.count - before.count, self.errors - before.errors, slow)

    def plus(self, other: "VariantSample") -> "VariantSample":
        """Return both together.

        Example:
            >>> VariantSample(5, 1).plus(VariantSample(3, 1)).count
            8
        """
        slow = {limit: found + self.slow.get(limit, 0) for limit, found in other.slow.items()}
        return VariantSample(self.count + other.count, self.errors + other.errors, {**self.slow, **slow})


class MetricSource(Protocol):
    """Where guardrails read from: our own metrics, or a question to the metrics of a whole fleet.

    Example:
        >>> class Quiet:
        ...     def read(self, key, variant, *, slower_than):
        ...         return VariantSample()
        >>> source: MetricSource = Quiet()
    """

    def read(self, key: str, variant: str, *, slower_than: tuple[float, ...]) -> VariantSample:
        """Return the counters of one variant as they are now; they only grow, or begin anew.

        Args:
            key: Of the flag.
            variant: Its name.
            slower_than: Seconds for which to count what took longer.

        Raises:
            Exception: Anything; the rollout then stands still.
        """


class FlagOutcomes:
    """Counts outcomes by variant in our own metrics, and reads them back.

    The histogram ``feature_flag_outcome_duration_seconds`` has the labels
    ``feature_flag_key``, ``feature_flag_result_variant`` and ``outcome`` (``ok`` or
    ``error``), and is summed over the processes of a service as all metrics are. A fleet
    of several machines lets its guardrails ask the server that collects them.

    Args:
        metrics: Where to count.
        clock: Monotonic seconds.

    Example:
        >>> from shared.monitoring import Metrics
        >>> outcomes = FlagOutcomes(Metrics())
        >>> with outcomes.watch("dynamic_pricing", "on"):
        ...     price = 42
        >>> outcomes.record("dynamic_pricing", "on", 1.2, failed=True)
        >>> outcomes.read("dynamic_pricing", "on", slower_than=(1.0,))
        VariantSample(count=2, errors=1, slow={1.0: 1})
    """

    def __init__(self, metrics: "Metrics", *, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._durations = metrics.histogram(
            _FAMILY, "Duration of what was done under a flag.", _LABELS, unit="seconds"
        )

    def record(self, key: str, variant: str, seconds: float, *, failed: bool = False) -> None:
        """Count one outcome.

        Args:
            key: Of the flag.
            variant: What it came to.
            seconds: How long it took.
            failed: Whether it went wrong.
        """
        self._durations.labels(key, variant, "error" if failed else "ok").observe(seconds)

    @contextmanager
    def watch(self, key: str, variant: str) -> Iterator[None]:
        """Count what the block does; an exception is a failure.

        Args:
            key: Of the flag.
            variant: What it came to.
        """
        began, failed = self._clock(), True
        try:
            yield
            failed = False
        finally:
            self.record(key, variant, self._clock() - began, failed=failed)

    def read(self, key: str, variant: str, *, slower_than: tuple[float, ...] = ()) -> VariantSample:
        """See :meth:`MetricSource.read`; a limit between two buckets counts as the higher of them."""
        count = errors = 0
        slow = dict.fromkeys(slower_than, 0)
        for reading in self._metrics.collect():
            if not reading.definition.name.startswith(_FAMILY):
                continue
            bounds = reading.definition.bounds
            for (found_key, found_variant, outcome), cells in reading.numbers.items():
                if (found_key, found_variant) != (key, variant):
                    continue
                buckets = cells[:-1]
                count += int(sum(buckets))
                errors += int(sum(buckets)) if outcome == "error" else 0
                for limit in slower_than:
                    # The bucket whose bound is the limit holds what did not take longer.
                    first = next((i for i, bound in enumerate(bounds) if bound >= limit), len(bounds)) + 1
                    slow[limit] += int(sum(buckets[first:]))
        return VariantSample(count, errors, slow)


def get_flag_outcomes() -> FlagOutcomes:
    """Return what counts outcomes in the metrics of the current runtime, built on first use.

    Example:
        >>> get_flag_outcomes() is get_flag_outcomes()
        True
    """
    return current().get(FlagOutcomes, _outcomes)


def _outcomes(runtime: Runtime) -> FlagOutcomes:
    from shared.monitoring import get_metrics

    with use(runtime):
        return FlagOutcomes(get_metrics())
