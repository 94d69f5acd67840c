"""When a check is run again and when its failure counts. Pure: time comes in."""

from dataclasses import dataclass
from enum import Enum

from shared.monitoring._check import CheckResult, HealthStatus


class Freshness(Enum):
    """How good the last result is."""

    FRESH = "fresh"
    STALE = "stale"  # good enough to answer with, while a new run is under way
    EXPIRED = "expired"  # a new run must be waited for


@dataclass(slots=True)
class CheckState:
    """The memory of one check: last result, its age, failures in a row.

    Hysteresis: a check that has once passed trips after *failure_threshold*
    failed runs in a row and recovers after *recovery_threshold* passed ones. A
    check that has never passed is tripped: a service is not ready before what it
    cannot do without has answered once.
    """

    fresh_for: float  # seconds
    stale_for: float  # seconds beyond fresh_for
    failure_threshold: int
    recovery_threshold: int
    result: CheckResult | None = None
    taken_at: float = 0.0  # monotonic seconds
    failures: int = 0
    successes: int = 0
    tripped: bool = True
    ever_passed: bool = False

    def freshness(self, now: float) -> Freshness:
        """Return what a report at *now* may do with the last result."""
        if self.result is None:
            return Freshness.EXPIRED
        age = now - self.taken_at
        if 0 <= age < self.fresh_for:
            return Freshness.FRESH
        if 0 <= age < self.fresh_for + self.stale_for:
            return Freshness.STALE
        return Freshness.EXPIRED

    def record(self, result: CheckResult, now: float) -> bool:
        """Take the outcome of a run; return whether the check tripped or recovered by it."""
        self.result = result
        self.taken_at = now
        before = self.tripped
        if result.status is HealthStatus.UNHEALTHY:
            self.failures += 1
            self.successes = 0
            if self.failures >= self.failure_threshold:
                self.tripped = True
        else:
            self.successes += 1
            self.failures = 0
            if not self.ever_passed or self.successes >= self.recovery_threshold:
                self.tripped = False
            self.ever_passed = True
        return self.tripped is not before
