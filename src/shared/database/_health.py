"""The database's answer to ``/ready``."""

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from shared.database._faults import translated
from shared.monitoring import HealthCheck, HealthStatus

if TYPE_CHECKING:
    from shared.database._core import Core

__all__ = ["checks_of"]

_TIMEOUT: Final = 1.0  # seconds
_PING: Final = text("SELECT 1")


def checks_of(core: "Core") -> list[HealthCheck]:
    """Return one check for the primary and one for every replica.

    A check opens a connection of its own and closes it: it must neither wait for the
    pool nor take a place in it.
    """
    checks = [HealthCheck("database", _check(core, None), critical=True, timeout=_TIMEOUT)]
    for number in range(len(core.replicas)):
        name = f"database.replica-{number + 1}"
        checks.append(HealthCheck(name, _check(core, number), critical=False, timeout=_TIMEOUT))
    return checks


def _check(core: "Core", replica: int | None) -> Callable[[], dict[str, Any]]:
    def check() -> dict[str, Any]:
        begin = perf_counter()
        with translated(core.where(replica)):
            _ping(core, replica)
        facts: dict[str, Any] = {
            "status": str(HealthStatus.HEALTHY),
            "engine": core.target.system,
            "latency_ms": round((perf_counter() - begin) * 1000, 2),
        }
        if replica is None:
            numbers = core.snapshot()
            names = ("used", "idle", "maximum", "waiting")
            facts["pool"] = {name: getattr(numbers, name) for name in names}
            if numbers.is_full and numbers.waiting:
                facts["status"] = str(HealthStatus.DEGRADED)
        return facts

    return check


def _ping(core: "Core", replica: int | None) -> None:
    engine = core.make_probe(replica)
    try:
        with engine.connect() as connection:
            connection.execute(_PING)
    finally:
        engine.dispose()
