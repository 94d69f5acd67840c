"""The database's answer to ``/ready``."""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.database._faults import translated
from shared.database._tables import OutboxMessage
from shared.database._types import utc_now
from shared.errors import InvalidArgumentError
from shared.monitoring import HealthCheck, HealthStatus

if TYPE_CHECKING:
    from shared.database._core import Core

__all__ = ["checks_of", "has_table", "operation_checks", "outbox_check"]

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


def operation_checks(find: Callable[[], Any], *, replicas: int = 0) -> list[HealthCheck]:
    """Return the checks of a database that is looked up whenever one runs: it may be made anew meanwhile.

    Args:
        find: Returns the database, such as :func:`get_database`; in a thread of the health
            registry.
        replicas: How many replicas it has.

    Returns:
        Checks ``database``, which is critical, ``database.replica-1`` and so on, and
        ``outbox``.

    Example:
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db:
        ...     checks = operation_checks(lambda: db)
        ...     [check.name for check in checks], checks[1].check()["outbox"]
        (['database', 'outbox'], 'not in use')
    """

    def looked_up(replica: int | None) -> Callable[[], dict[str, Any]]:
        def check() -> dict[str, Any]:
            return _check(find()._core, replica)()  # noqa: SLF001 - its other half

        return check

    checks = [HealthCheck("database", looked_up(None), critical=True, timeout=_TIMEOUT)]
    for number in range(replicas):
        name = f"database.replica-{number + 1}"
        checks.append(HealthCheck(name, looked_up(number), critical=False, timeout=_TIMEOUT))
    return [*checks, outbox_check(find)]


def outbox_check(
    find: Callable[[], Any],
    *,
    degraded_above: float = 60.0,
    unhealthy_above: float | None = None,
    critical: bool = False,
    name: str = "outbox",
    clock: Callable[[], datetime] = utc_now,
) -> HealthCheck:
    """Return a check of how long the oldest due message of the outbox has waited.

    Dead letters degrade it, too: somebody should look at them. Where the table does not
    exist the outbox is not in use, and all is well.

    Args:
        find: Returns the database.
        degraded_above: Seconds of waiting from which it is degraded.
        unhealthy_above: Seconds from which it is unhealthy; None is never.
        critical: Whether unhealthy makes the service unready.
        name: Name of the check.
        clock: The moment.

    Raises:
        InvalidArgumentError: A limit is negative, or *unhealthy_above* is the smaller one.

    Example:
        >>> from shared.database import Database, OutboxMessage
        >>> with Database("sqlite://") as db:
        ...     OutboxMessage.__table__.create(db.engine)
        ...     outbox_check(lambda: db).check()
        {'status': 'healthy', 'lag': 0.0, 'pending': 0, 'dead': 0}
    """
    if not 0 <= degraded_above <= (degraded_above if unhealthy_above is None else unhealthy_above):
        msg = f"0 <= degraded_above <= unhealthy_above does not hold: {degraded_above!r}, {unhealthy_above!r}"
        raise InvalidArgumentError(msg)

    def check() -> dict[str, Any]:
        with find().read() as session:
            if not has_table(session, OutboxMessage.__tablename__):
                return {"status": str(HealthStatus.HEALTHY), "outbox": "not in use"}
            due = OutboxMessage.state == "pending", OutboxMessage.available_at <= clock()
            row: Any = session.execute(
                select(func.count(), func.min(OutboxMessage.available_at)).where(*due)
            ).one()
            dead = session.scalar(
                select(func.count()).select_from(OutboxMessage).where(OutboxMessage.state == "dead")
            )
        count, oldest = row
        lag = 0.0 if oldest is None else max(0.0, (clock() - oldest).total_seconds())
        status = HealthStatus.HEALTHY
        if unhealthy_above is not None and lag > unhealthy_above:
            status = HealthStatus.UNHEALTHY
        elif lag > degraded_above or dead:
            status = HealthStatus.DEGRADED
        return {"status": str(status), "lag": round(lag, 3), "pending": count, "dead": dead}

    return HealthCheck(name, check, critical=critical, timeout=_TIMEOUT)


def has_table(session: Session, name: str) -> bool:
    """Tell whether the database of *session* has the table *name*, in the schema in force."""
    if session.get_bind().dialect.name == "postgresql":
        return session.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None
    found = text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name")
    return session.scalar(found, {"name": name}) is not None


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
