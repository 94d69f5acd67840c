"""How a database is reached and used: one frozen object, the same for every engine."""

from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidArgumentError

__all__ = ["DatabaseOptions"]

_AT_LEAST: Final = {
    "pool_size": 1,
    "max_overflow": 0,
    "pool_timeout": 0,
    "connect_timeout": 0.001,
    "slow_query_seconds": 0,
    "busy_timeout": 0,
    "sticky_seconds": 0,
    "max_replica_lag": 0,
    "replica_retry_seconds": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """Sizes and times of a database. Times are seconds.

    Args:
        pool_size: Connections kept open per process and engine.
        max_overflow: Connections opened above *pool_size* under load.
        pool_timeout: Longest wait for a free connection; then :class:`PoolExhaustedError`.
        pool_recycle: Age at which a connection is replaced; -1 is never.
        pre_ping: Whether a connection that was idle for half a second or longer is tested
            before it is handed out (servers only).
        connect_timeout: Longest wait for a new connection.
        statement_timeout: Longest run of one statement on the server; None is no limit.
        idle_in_transaction_timeout: A transaction that is left idle this long is ended
            by the server; None is no limit.
        busy_timeout: How long a writer waits for the other on SQLite.
        slow_query_seconds: Statements that take this long are logged.
        sticky_seconds: How long a request that wrote reads from the primary, or from a
            replica of PostgreSQL that has replayed what it wrote.
        max_replica_lag: A replica that is this far behind is left alone, as one that failed;
            None is no limit (PostgreSQL only).
        replica_retry_seconds: How long a replica that failed is left alone.
        pooler: Whether a transaction pooler such as pgbouncer is in between; then no
            prepared statements and no start-up parameters are sent.
        application_name: Name shown to the operators of the server.
        echo: Whether every statement is logged, without its values.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> DatabaseOptions(pool_size=20).max_connections
        30
        >>> DatabaseOptions(pool_size=0)
        Traceback (most recent call last):
            ...
        shared.errors.InvalidArgumentError: pool_size is 1 or more, got 0
    """

    pool_size: int = 10
    max_overflow: int = 10
    pool_timeout: float = 5.0
    pool_recycle: float = 1800
    pre_ping: bool = True
    connect_timeout: float = 5.0
    statement_timeout: float | None = None
    idle_in_transaction_timeout: float | None = 60.0
    busy_timeout: float = 5.0
    slow_query_seconds: float = 1.0
    sticky_seconds: float = 5.0
    max_replica_lag: float | None = None
    replica_retry_seconds: float = 10.0
    pooler: bool = False
    application_name: str = "shared"
    echo: bool = False

    def __post_init__(self) -> None:
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is None and name == "max_replica_lag":
                continue
            if not (value >= least or (name == "max_overflow" and value == -1)):
                msg = f"{name} is {least} or more, got {value!r}"
                raise InvalidArgumentError(msg)

    @property
    def max_connections(self) -> int:
        """Connections one engine opens at most; 0 is without limit."""
        return 0 if self.max_overflow == -1 else self.pool_size + self.max_overflow
