"""From samples to one number that noise does not move much."""

from collections.abc import Sequence
from dataclasses import dataclass


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie, interpolated; 0.5 is the median."""
    if not values:
        raise ValueError("no samples")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(frozen=True)
class Summary:
    """The samples of one row, in seconds per operation."""

    q1: float
    median: float
    q3: float
    samples: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        return cls(quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75), len(values))


def paired_ratio(values: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Return first quartile, median and third quartile of the ratios of each round.

    The samples of one round lie close together in time, so that what slows the
    machine down for a while slows both.
    """
    ratios = [value / other for value, other in zip(values, base, strict=True)]
    return quantile(ratios, 0.25), quantile(ratios, 0.5), quantile(ratios, 0.75)
