"""The database of the current runtime."""

from typing import TYPE_CHECKING, Any

from shared.database._database import Database
from shared.database._events import PoolWaited, QueryFinished
from shared.database._options import DatabaseOptions
from shared.errors import ConfigurationError
from shared.runtime import Events, Runtime, current

if TYPE_CHECKING:
    from shared.config import DatabaseSettings
    from shared.monitoring import Metrics

__all__ = ["database_from_settings", "get_database", "measure_database"]


def get_database() -> Database:
    """Return the current runtime's database, built from ``settings.database`` on first use.

    Its health checks join those of the runtime, so ``/ready`` knows it from then on,
    and its pool and statements are measured when ``METRICS_ENABLED`` is set. The
    runtime closes it.

    Raises:
        ConfigurationError: ``DATABASE_URL`` is not set or wrong.

    Example:
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with override_settings(DATABASE_URL="sqlite://"), use(Runtime("orders")) as runtime:
        ...     db = get_database()
        ...     db is get_database(), db.system
        ...     runtime.close()
        (True, 'sqlite')
    """
    return current().get(Database, _database)


def database_from_settings(
    section: "DatabaseSettings",
    *,
    name: str = "main",
    application_name: str = "shared",
    events: Events | None = None,
) -> Database:
    """Return a new database from the settings; the caller closes it.

    Args:
        section: ``settings.database``.
        name: For people.
        application_name: Name shown on the server.
        events: Who hears its events; those of the current runtime when None.

    Raises:
        ConfigurationError: ``DATABASE_URL`` is not set or wrong.

    Example:
        >>> from shared.config import DatabaseSettings
        >>> with database_from_settings(DatabaseSettings(DATABASE_URL="sqlite://", DB_POOL_SIZE=3)) as db:
        ...     db.options.pool_size
        3
    """
    if section.DATABASE_URL is None:
        msg = "DATABASE_URL is not set: give a URL such as postgresql://user:password@host:5432/name"
        raise ConfigurationError(msg)
    options = DatabaseOptions(
        pool_size=section.DB_POOL_SIZE,
        max_overflow=section.DB_MAX_OVERFLOW,
        pool_timeout=section.DB_POOL_TIMEOUT,
        pool_recycle=section.DB_POOL_RECYCLE,
        pre_ping=section.DB_POOL_PRE_PING,
        connect_timeout=section.DB_CONNECT_TIMEOUT,
        statement_timeout=section.DB_STATEMENT_TIMEOUT,
        slow_query_seconds=section.DB_SLOW_QUERY_SECONDS,
        max_replica_lag=section.DB_MAX_REPLICA_LAG,
        echo=section.DB_ECHO,
        application_name=application_name,
    )
    replicas = section.DATABASE_REPLICA_URLS
    return Database(section.DATABASE_URL, replicas=replicas, options=options, name=name, events=events)


def measure_database(database: Database, metrics: "Metrics") -> Any:
    """Feed the pool and the statements of *database* to *metrics*; return a function that stops it.

    Example:
        >>> from shared.monitoring import Metrics
        >>> from sqlalchemy import text
        >>> metrics = Metrics()
        >>> with Database("sqlite://") as db:
        ...     stop = measure_database(db, metrics)
        ...     with db.read() as session:
        ...         _ = session.execute(text("select 1"))
        ...     stop()
        >>> metrics.value("db_client_operation_duration_seconds_count", {
        ...     "db_system_name": "sqlite", "db_operation_name": "SELECT", "error_type": ""})
        1.0
    """
    from shared.monitoring import DatabaseMetrics

    target = DatabaseMetrics(metrics)

    def finished(event: QueryFinished) -> None:
        if event.database == name and not core.closed:
            target.operation(
                event.system, event.operation, event.seconds, error_type=event.error_type, slow=event.slow
            )

    def waited(event: PoolWaited) -> None:
        if event.database == name and not core.closed:
            target.waited(name, event.seconds, timed_out=event.timed_out)

    def read_pool() -> None:
        if core.closed:
            target.pool(name, used=0, idle=0, maximum=0)
            stop()
            return
        now = core.snapshot()
        target.pool(name, used=now.used, idle=now.idle, maximum=now.maximum, pending=now.waiting)

    name, core = database.name, database._core  # noqa: SLF001 - its other half
    stops = (
        database.events.subscribe(QueryFinished, finished),
        database.events.subscribe(PoolWaited, waited),
        metrics.before_collection(read_pool),
    )

    def stop() -> None:
        for each in stops:
            each()

    return stop


def _database(runtime: Runtime) -> Database:
    from shared.config import get_settings
    from shared.monitoring import get_health_registry, get_metrics
    from shared.runtime import use

    with use(runtime):
        settings = get_settings()
        database = database_from_settings(
            settings.database, application_name=settings.app.SERVICE_NAME, events=runtime.events
        )
        for check in database.health_checks():
            registry = get_health_registry()
            if check.name not in registry.names:
                registry.include(check)
        if settings.monitoring.METRICS_ENABLED:
            measure_database(database, get_metrics())
    return database
