"""What a circuit breaker knows at one moment."""

from dataclasses import dataclass

from shared.resilience._machine import BreakerMachine, BreakerMode, BreakerState

__all__ = ["BreakerSnapshot", "take_snapshot"]


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """What a circuit breaker knows at one moment; for metrics, health and people.

    Attributes:
        name: The dependency.
        state: As :attr:`CircuitBreaker.state`.
        mode: Who decides.
        reason: Why the present state was entered; empty at the start.
        generation: State changes so far.
        streak: Failures in a row.
        window: Calls, failures and slow calls the thresholds look at.
        failures: Failed calls since the start.
        rejections: Refused calls since the start.
        openings: Times opened since the start.
        probes: Probes under way.
        retry_after: Seconds until a call may pass; 0.0 when it may.

    Example:
        >>> from shared.resilience import CircuitBreaker
        >>> CircuitBreaker("payments").snapshot().openings
        0
    """

    name: str
    state: BreakerState
    mode: BreakerMode
    reason: str
    generation: int
    streak: int
    window: tuple[int, int, int]
    failures: int
    rejections: int
    openings: int
    probes: int
    retry_after: float


def take_snapshot(name: str, machine: BreakerMachine, now: float) -> BreakerSnapshot:
    """Read *machine*; the caller holds its lock."""
    return BreakerSnapshot(
        name=name,
        state=machine.shown(now),
        mode=machine.mode,
        reason=machine.reason,
        generation=machine.generation,
        streak=machine.window.failures,
        window=machine.window.totals(now),
        failures=machine.failed,
        rejections=machine.rejected,
        openings=machine.opened,
        probes=machine.probes.in_flight if machine.probes else 0,
        retry_after=machine.wait(now),
    )
