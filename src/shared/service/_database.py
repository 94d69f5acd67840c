"""Join a configured database: in the health report, with the performance of all processes kept there."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from shared.logging import get_logger
from shared.monitoring import HealthCheck, MemoryRollupStore, PerformanceRecorder, Rollup, RollupStore
from shared.runtime import after_fork_in_child, use
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.database import Database
    from shared.service._service import Service

__all__ = ["ChosenRollupStore", "add_database"]

T = TypeVar("T")
_DOES: Final = "database, replicas, outbox and migrations in health; performance of all processes kept there"
_SETTINGS: Final = ("DATABASE_URL", "DATABASE_REPLICA_URLS", "DB_POOL_SIZE", "METRICS_RETENTION_DAYS")
_LOOK_AGAIN: Final = 300.0  # seconds between two looks for the table


def add_database(service: "Service") -> None:
    """Build the database, without a connection, and watch it; only when somebody has set ``DATABASE_URL``.

    Raises:
        ConfigurationError: The URL is wrong.
        MissingDependencyError: The driver is not installed.
    """
    if not service.wants("database", _DOES):
        return
    if not service.is_set("DATABASE_URL"):
        reason = "DATABASE_URL is not set; the database joins at its first use"
        service.note(Part("database", _DOES, enabled=False, reason=reason))
        return
    from shared.database import get_database, migrations_check, operation_checks

    def find() -> "Database":
        with use(service.runtime):
            return get_database()

    # Before the database is built: it adds its own checks where there are none, and those
    # would outlive it when the application is started a second time.
    replicas = len(service.settings.database.DATABASE_REPLICA_URLS)
    checks = [*operation_checks(find, replicas=replicas), migrations_check(find)]
    for check in checks:
        service.health.include(check)
    find()
    _keep_performance(service, find)
    service.note(Part("database", _DOES, settings=service.show(*_SETTINGS)), lambda: _remove(service, checks))


def _remove(service: "Service", checks: Iterable[HealthCheck]) -> None:
    for check in checks:
        service.health.remove(check.name)


def _keep_performance(service: "Service", find: "Callable[[], Database]") -> None:
    runtime = service.runtime
    runtime.provide(RollupStore, lambda _: ChosenRollupStore(find))  # type: ignore[type-abstract]

    def flush() -> None:
        recorder = runtime.find(PerformanceRecorder)
        if recorder is not None:
            recorder.flush()

    # While the database is still there: the runtime closes both.
    service.on_dismantle(service.lifecycle.on_flush("performance", flush))


class ChosenRollupStore:
    """The table of the database when it is there, else memory, told once: a missing table fails nothing.

    Args:
        find: Returns the database.
        clock: Monotonic seconds.
    """

    def __init__(
        self, find: "Callable[[], Database]", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._clock = clock
        self._memory = MemoryRollupStore()
        self._table: RollupStore | None = None
        self._look_at = 0.0
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def _chosen(self) -> RollupStore:
        if self._table is None:
            with self._lock:
                self._look()
        return self._table or self._memory

    def _look(self) -> None:
        if self._table is not None or self._clock() < self._look_at:
            return
        from shared.database import DatabaseRollupStore

        store = DatabaseRollupStore(self._find())
        if store.is_ready():
            store.add(list(self._memory.read(0, float("inf"))))
            self._table = store
            return
        if not self._look_at:
            get_logger("shared.service").warning(
                "the table of performance rollups is missing: kept in memory, for this process alone",
                table="monitoring_rollups",
                room="monitoring",
            )
        self._look_at = self._clock() + _LOOK_AGAIN

    def add(self, rollups: Sequence[Rollup]) -> None:
        """See :class:`~shared.monitoring.RollupStore`."""
        self._chosen().add(rollups)

    def read(self, since: float, until: float, *, user: str | None = None) -> Iterable[Rollup]:
        """See :class:`~shared.monitoring.RollupStore`."""
        return self._chosen().read(since, until, user=user)

    def totals(self, since: float, until: float, *, user: str | None = None) -> Iterable[Rollup]:
        """See :class:`~shared.monitoring.RollupStore`."""
        return self._chosen().totals(since, until, user=user)

    def downsample(self, before: float, width: int) -> int:
        """See :class:`~shared.monitoring.RollupStore`."""
        return self._chosen().downsample(before, width)

    def cleanup(self, before: float) -> int:
        """See :class:`~shared.monitoring.RollupStore`."""
        return self._chosen().cleanup(before)

    def after_fork(self) -> None:
        """Replace the lock; called in the child."""
        self._lock = threading.Lock()
