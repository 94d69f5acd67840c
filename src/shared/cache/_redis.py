"""The one place that makes clients for Redis and Valkey, and turns their errors into ours."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.errors import (
    ConfigurationError,
    InfrastructureError,
    InvalidArgumentError,
    MissingDependencyError,
    PoolExhaustedError,
    ServiceUnavailableError,
)
from shared.security import mask_url

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

__all__ = ["async_redis_client", "is_redis_url", "redis_client", "redis_errors", "translated"]

_PLAIN: Final = frozenset({"redis", "rediss", "unix"})
_CLUSTER: Final = frozenset({"redis+cluster", "rediss+cluster"})


def redis_client(
    url: str,
    *,
    timeout: float = 1.0,
    connect_timeout: float = 1.0,
    max_connections: int = 50,
    **options: Any,
) -> "Redis":
    """Return a client whose every wait is bounded and that never tries a command twice.

    The client is shared by threads and by forked children, each child with connections
    of its own; a call above *max_connections* waits up to *timeout* for a connection.
    Nothing is connected before the first command, except for a cluster, which is asked
    for its layout at once. Close it when done.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``; for a cluster
            ``redis+cluster://`` or ``rediss+cluster://`` with any one of its nodes.
            What its query says, such as ``?socket_timeout=5``, wins.
        timeout: Longest wait for an answer, and for a free connection, in seconds.
        connect_timeout: Longest wait for a new connection, in seconds.
        max_connections: Connections kept at most; per node of a cluster.
        **options: As for ``redis.Redis``: ``decode_responses``, ``client_name``, ``protocol``.

    Raises:
        ConfigurationError: The URL is not one of these.
        InvalidArgumentError: A number is out of range, or an option is unknown.
        MissingDependencyError: redis is not installed.
        ServiceUnavailableError: The cluster does not answer.

    Example:
        >>> client = redis_client("redis://127.0.0.1:6379/0", timeout=0.05)
        >>> client.close()
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as exc:
        raise MissingDependencyError("redis", extra="redis") from exc
    plain, is_cluster = _plain(url)
    keep = _arguments(timeout, connect_timeout, max_connections) | {"retry": Retry(NoBackoff(), 0)} | options
    with _understood(url):
        if is_cluster:
            cluster: Any = redis.RedisCluster
            return cluster.from_url(plain, **keep)  # type: ignore[no-any-return]
        pool = redis.BlockingConnectionPool.from_url(plain, timeout=timeout, **keep)
        _check_options(pool)
        return redis.Redis.from_pool(pool)


def async_redis_client(
    url: str,
    *,
    timeout: float = 1.0,
    connect_timeout: float = 1.0,
    max_connections: int = 50,
    **options: Any,
) -> "AsyncRedis":
    """Return the asynchronous client; as :func:`redis_client`.

    It belongs to the event loop that uses it first: a thread with a loop of its own, or
    a forked child, makes another. Nothing is connected before the first command.

    Args:
        url: As :func:`redis_client`.
        timeout: As :func:`redis_client`.
        connect_timeout: As :func:`redis_client`.
        max_connections: As :func:`redis_client`.
        **options: As for ``redis.asyncio.Redis``.

    Raises:
        ConfigurationError: The URL is not one of these.
        InvalidArgumentError: A number is out of range, or an option is unknown.
        MissingDependencyError: redis is not installed.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     client = async_redis_client("redis://127.0.0.1:6379/0")
        ...     await client.aclose()
        >>> asyncio.run(main())
    """
    try:
        import redis.asyncio as aio
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as exc:
        raise MissingDependencyError("redis", extra="redis") from exc
    plain, is_cluster = _plain(url)
    keep = _arguments(timeout, connect_timeout, max_connections) | {"retry": Retry(NoBackoff(), 0)} | options
    with _understood(url):
        if is_cluster:
            cluster: Any = aio.RedisCluster
            return cluster.from_url(plain, **keep)  # type: ignore[no-any-return]
        pool = aio.BlockingConnectionPool.from_url(plain, timeout=timeout, **keep)
        _check_options(pool)
        return aio.Redis.from_pool(pool)


def is_redis_url(url: str) -> bool:
    """Tell whether :func:`redis_client` takes *url*, by its scheme.

    Example:
        >>> is_redis_url("rediss+cluster://cache:6379"), is_redis_url("memory://")
        (True, False)
    """
    return url.partition(":")[0].lower() in _PLAIN | _CLUSTER


@contextmanager
def redis_errors(url: str | None = None) -> Iterator[None]:
    """Let only errors of ours out of a block that talks to Redis.

    Args:
        url: Named in the message, with its password masked.

    Raises:
        ServiceUnavailableError: The server cannot be reached, does not answer in time,
            is loading, or refuses for a reason that passes.
        PoolExhaustedError: Every connection is in use.
        ConfigurationError: The server refuses the login, or does not let us do this.
        InfrastructureError: It refuses the command.

    Example:
        >>> client = redis_client("redis://:secret@127.0.0.1:1/0", connect_timeout=0.2)
        >>> with redis_errors("redis://:secret@127.0.0.1:1/0"):
        ...     client.ping()
        Traceback (most recent call last):
        shared.errors.ServiceUnavailableError: redis://:***@127.0.0.1:1/0 cannot be reached
        >>> client.close()
    """
    try:
        yield
    except Exception as exc:
        ours = translated(exc, url)
        if ours is None:
            raise
        raise ours from exc


def translated(exc: Exception, url: str | None) -> InfrastructureError | None:
    """Return our error for one of the driver, or None for somebody else's."""
    from redis import exceptions as theirs

    where = "Redis" if url is None else mask_url(url)
    if isinstance(exc, (theirs.AuthenticationError, theirs.AuthorizationError, theirs.NoPermissionError)):
        return ConfigurationError(f"{where} refuses us: check user, password and permissions")
    if isinstance(exc, theirs.MaxConnectionsError) or "No connection available" in str(exc):
        return PoolExhaustedError(f"all connections to {where} are in use")
    if isinstance(exc, (theirs.TimeoutError, TimeoutError)):
        return ServiceUnavailableError(f"{where} did not answer in time")
    passing = (theirs.BusyLoadingError, theirs.ReadOnlyError, theirs.ClusterError, theirs.OutOfMemoryError)
    if isinstance(exc, passing):
        return ServiceUnavailableError(f"{where} cannot do this now: {type(exc).__name__}")
    if isinstance(exc, (theirs.ConnectionError, theirs.RedisClusterException, OSError)):
        return ServiceUnavailableError(f"{where} cannot be reached")
    if isinstance(exc, theirs.RedisError):
        return InfrastructureError(f"{where} refuses the command: {_reason(exc)}")
    return None


def _reason(exc: Exception) -> str:
    """Return the first word of the server's answer (``WRONGTYPE``): the rest may quote data."""
    first = str(exc).partition(" ")[0]
    return first if first.isascii() and first.isupper() and len(first) <= 20 else type(exc).__name__


def _plain(url: str) -> tuple[str, bool]:
    """Return the URL as the driver reads it, and whether it is a cluster's."""
    scheme, separator, rest = str(url).partition(":")
    scheme = scheme.lower()
    if separator and rest.startswith("//"):
        if scheme in _CLUSTER:
            return f"{scheme.partition('+')[0]}:{rest}", True
        if scheme in _PLAIN:
            return f"{scheme}:{rest}", False
    shown = mask_url(url) if separator else "(no scheme)"
    msg = f"not a URL of Redis: {shown} (known: {', '.join(f'{s}://' for s in sorted(_PLAIN | _CLUSTER))})"
    raise ConfigurationError(msg)


def _arguments(timeout: Any, connect_timeout: Any, max_connections: Any) -> dict[str, Any]:
    for name, value in (("timeout", timeout), ("connect_timeout", connect_timeout)):
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            msg = f"{name} is seconds above 0, got {value!r}"
            raise InvalidArgumentError(msg)
    if not isinstance(max_connections, int) or max_connections < 1:
        msg = f"max_connections is 1 or more, got {max_connections!r}"
        raise InvalidArgumentError(msg)
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": connect_timeout,
        "max_connections": max_connections,
        # Two commands less before the first one of a new connection.
        "driver_info": None,
        "protocol": 2,
    }


def _check_options(pool: Any) -> None:
    """Build one connection, which opens nothing, so that a wrong option is told at once."""
    pool.connection_class(**pool.connection_kwargs)


@contextmanager
def _understood(url: str) -> Iterator[None]:
    try:
        with redis_errors(url):
            yield
    except (TypeError, ValueError, AttributeError) as exc:
        if isinstance(exc, InvalidArgumentError):
            raise
        # The driver's own text may quote the URL; the name of an option is all that is told.
        wrong = str(exc).rpartition("argument ")[2] if "unexpected keyword argument" in str(exc) else ""
        msg = f"{mask_url(url)} is not understood" + (f": unknown option {wrong}" if wrong else "")
        raise InvalidArgumentError(msg) from None
