"""See how a service is doing: health, lifecycle, metrics, traces and alerts.

Nothing here knows a web framework; the faces send what these objects answer.
Importing the room loads the standard library only.
"""

from shared.monitoring._accessors import get_health_registry, get_health_status, get_lifecycle
from shared.monitoring._builtin_checks import disk_check, memory_check, threshold_check
from shared.monitoring._check import (
    CheckCallable,
    CheckOutcome,
    CheckResult,
    HealthCheck,
    HealthSource,
    HealthStatus,
)
from shared.monitoring._endpoints import DetailPolicy, HealthEndpoints, HttpAnswer
from shared.monitoring._events import (
    CheckChanged,
    DrainFinished,
    HealthChanged,
    LifecycleChanged,
    ReadinessChanged,
)
from shared.monitoring._lifecycle import Lifecycle, LifecycleState
from shared.monitoring._loop import EventLoopMonitor
from shared.monitoring._registry import HealthRegistry
from shared.monitoring._report import HealthReport
from shared.monitoring._signals import DrainOnSignal

__all__ = [
    "CheckCallable",
    "CheckChanged",
    "CheckOutcome",
    "CheckResult",
    "DetailPolicy",
    "DrainFinished",
    "DrainOnSignal",
    "EventLoopMonitor",
    "HealthChanged",
    "HealthCheck",
    "HealthEndpoints",
    "HealthRegistry",
    "HealthReport",
    "HealthSource",
    "HealthStatus",
    "HttpAnswer",
    "Lifecycle",
    "LifecycleChanged",
    "LifecycleState",
    "ReadinessChanged",
    "disk_check",
    "get_health_registry",
    "get_health_status",
    "get_lifecycle",
    "memory_check",
    "threshold_check",
]
