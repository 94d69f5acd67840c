"""What the room tells listeners of ``runtime.events``."""

from dataclasses import dataclass

from shared.monitoring._check import CheckResult, HealthStatus


@dataclass(frozen=True, slots=True)
class CheckChanged:
    """A check tripped, or recovered.

    Attributes:
        name: Name of the check.
        tripped: True when it has now failed often enough to matter.
        critical: Whether it takes the service out of traffic.
        result: The run that made the difference.

    Example:
        >>> from shared.monitoring import HealthRegistry
        >>> from shared.runtime import Events
        >>> events = Events()
        >>> stop = events.subscribe(CheckChanged, lambda event: print(event.name, event.tripped))
        >>> registry = HealthRegistry(events=events)
        >>> registry.add("database", lambda: True)
        >>> _ = registry.report()
        database False
    """

    name: str
    tripped: bool
    critical: bool
    result: CheckResult


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """The verdict on the whole service changed; emitted at the edge only.

    Attributes:
        before: Verdict until now; None at the first report.
        after: Verdict from now on.
        failing: Names of the checks that are not healthy.

    Example:
        >>> HealthChanged(HealthStatus.HEALTHY, HealthStatus.DEGRADED, ("redis",)).failing
        ('redis',)
    """

    before: HealthStatus | None
    after: HealthStatus
    failing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """The service became ready for traffic, or stopped being so.

    Attributes:
        ready: The new answer of the readiness probe.
        reason: Why, for people: ``started``, ``draining``, ``check 'database' failed``.

    Example:
        >>> ReadinessChanged(ready=False, reason="draining").reason
        'draining'
    """

    ready: bool
    reason: str


@dataclass(frozen=True, slots=True)
class LifecycleChanged:
    """The lifecycle moved on.

    Attributes:
        before: State until now.
        after: State from now on.
        in_flight: Pieces of work under way at that moment.

    Example:
        >>> from shared.monitoring import Lifecycle
        >>> from shared.runtime import Events
        >>> events = Events()
        >>> stop = events.subscribe(LifecycleChanged, lambda event: print(event.before, "->", event.after))
        >>> Lifecycle(events=events).mark_ready()
        starting -> ready
    """

    before: str
    after: str
    in_flight: int


@dataclass(frozen=True, slots=True)
class DrainFinished:
    """The drain ended, well or because its time was up.

    Attributes:
        seconds: How long it took since it began.
        abandoned: Pieces of work still under way when the time was up.
        failed: Names of the flush callbacks that failed or did not end in time.

    Example:
        >>> from shared.monitoring import Lifecycle
        >>> Lifecycle(drain_delay=0).finish().failed
        ()
    """

    seconds: float
    abandoned: int
    failed: tuple[str, ...]
