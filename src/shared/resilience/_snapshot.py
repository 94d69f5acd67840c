"""What the guards of a dependency know at one moment."""

from dataclasses import dataclass

from shared.resilience._machine import BreakerMachine, BreakerMode, BreakerState

__all__ = ["BreakerSnapshot", "PolicySnapshot", "take_snapshot"]


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


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """What a policy's budget and bulkhead know at one moment; its breaker has a snapshot of its own.

    Attributes:
        name: The dependency.
        budget: Tokens left for retries and hedges; None without a :class:`RetryBudget`.
        limit: Calls the bulkhead lets through at once now; None without one.
        in_flight: Calls that have a place.
        waiting: Calls in the queue.
        refused: Calls that found no place since the start.

    Example:
        >>> from shared.resilience import BreakerRegistry, PolicyRegistry
        >>> policies = PolicyRegistry(BreakerRegistry())
        >>> _ = policies.get("payments")
        >>> policies.snapshots()[0].budget
        10.0
    """

    name: str
    budget: float | None = None
    limit: int | None = None
    in_flight: int = 0
    waiting: int = 0
    refused: int = 0


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
