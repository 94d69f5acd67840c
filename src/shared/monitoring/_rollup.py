"""What happened in one stretch of time, in a form that can be added up. Pure."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

MINUTE: Final = 60  # seconds
HOUR: Final = 3600

# Bounds grow by the fourth root of two from 0.1 ms on, so a percentile is off by at
# most 19 % of itself, whatever was measured, and rows of any two processes add up.
_SMALLEST: Final = 1e-4  # seconds
_PER_OCTAVE: Final = 4
_LAST: Final = 124  # index of the largest bucket: about 60 hours
_BOUNDS: Final = tuple(_SMALLEST * math.pow(2.0, index / _PER_OCTAVE) for index in range(_LAST))


class RollupKey(NamedTuple):
    """What a rollup is about.

    ``start`` is a Unix time, a multiple of ``width`` seconds; ``kind`` is ``task`` or
    ``api``; ``user`` is empty for nobody in particular.

    Example:
        >>> RollupKey(1700000040, 60, "task", "send_receipt", "").name
        'send_receipt'
    """

    start: int
    width: int
    kind: str
    name: str
    user: str


@dataclass(frozen=True, slots=True)
class Rollup:
    """How often something ran in one stretch of time, how long it took, how often it failed.

    Attributes:
        key: What and when.
        count: Runs.
        errors: Runs that failed.
        total: Seconds of all runs.
        longest: Seconds of the longest run.
        buckets: Runs by bucket of duration; see :func:`bucket_of`.

    Example:
        >>> key = RollupKey(1700000040, 60, "task", "send_receipt", "")
        >>> one = Rollup(key, 1, 0, 0.2, 0.2, {bucket_of(0.2): 1})
        >>> one.merged(one).count
        2
    """

    key: RollupKey
    count: int = 0
    errors: int = 0
    total: float = 0.0
    longest: float = 0.0
    buckets: Mapping[int, int] = field(default_factory=dict)

    def merged(self, other: "Rollup") -> "Rollup":
        """Return both together, under this one's key."""
        buckets = dict(self.buckets)
        for index, count in other.buckets.items():
            buckets[index] = buckets.get(index, 0) + count
        return Rollup(
            self.key,
            self.count + other.count,
            self.errors + other.errors,
            self.total + other.total,
            max(self.longest, other.longest),
            buckets,
        )

    def moved(self, key: RollupKey) -> "Rollup":
        """Return the same under another key."""
        return replace(self, key=key)

    def widened(self, width: int) -> "Rollup":
        """Return it as part of the stretch of *width* seconds it lies in."""
        return self.moved(self.key._replace(start=self.key.start // width * width, width=width))

    def summary(self) -> dict[str, Any]:
        """Return the figures for people.

        Returns:
            ``{"count", "errors", "error_rate", "mean", "p50", "p95", "p99", "max"}``;
            durations in seconds, the rate between 0 and 1.
        """
        return {
            "count": self.count,
            "errors": self.errors,
            "error_rate": round(self.errors / self.count, 6) if self.count else 0.0,
            "mean": round(self.total / self.count, 6) if self.count else 0.0,
            "p50": round(self.percentile(0.5), 6),
            "p95": round(self.percentile(0.95), 6),
            "p99": round(self.percentile(0.99), 6),
            "max": round(self.longest, 6),
        }

    def percentile(self, part: float) -> float:
        """Return the duration in seconds that *part* (0 to 1) of the runs did not exceed; 0 without runs."""
        rank = part * self.count
        seen = 0
        for index in sorted(self.buckets):
            inside = self.buckets[index]
            if seen + inside >= rank and inside:
                low, high = bound_of(index - 1) if index else 0.0, bound_of(index)
                return min(low + (high - low) * (rank - seen) / inside, self.longest)
            seen += inside
        return self.longest


def bucket_of(seconds: float) -> int:
    """Return the index of the bucket for a duration: the first whose bound is not below it.

    Example:
        >>> bucket_of(0.00005), bound_of(bucket_of(0.2)) >= 0.2
        (0, True)
    """
    return bisect_left(_BOUNDS, seconds)


def bound_of(index: int) -> float:
    """Return the upper bound of a bucket, in seconds.

    Example:
        >>> bound_of(0), bound_of(4)
        (0.0001, 0.0002)
    """
    return _SMALLEST * math.pow(2.0, index / _PER_OCTAVE)


def merge_all(rollups: Iterable[Rollup], key: RollupKey) -> Rollup:
    """Return all of them together, under *key*."""
    found = Rollup(key)
    for rollup in rollups:
        found = found.merged(rollup)
    return found


def add_up(rollups: Iterable[Rollup], user: str | None = None) -> list[Rollup]:
    """Return one rollup per kind and name, whatever the stretches and users; *user* goes into the keys."""
    found: dict[RollupKey, Rollup] = {}
    for rollup in rollups:
        key = RollupKey(0, 0, rollup.key.kind, rollup.key.name, user or "")
        present = found.get(key)
        found[key] = rollup.moved(key) if present is None else present.merged(rollup)
    return list(found.values())
