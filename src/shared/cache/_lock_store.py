"""The store of locks that a URL names."""

from urllib.parse import unquote

from shared.cache._lock_memory import MemoryLocks
from shared.cache._lock_redis import RedisLocks
from shared.cache._lock_sqlite import SQLiteLocks
from shared.cache._lock_types import LockStore
from shared.cache._redis import is_redis_url
from shared.config import ConnectionUrl
from shared.errors import ConfigurationError

__all__ = ["lock_store"]


def lock_store(url: str, *, prefix: str = "shared:") -> LockStore:
    """Return the store of locks at *url*.

    Args:
        url: ``memory://``; ``sqlite:///relative.db`` or ``sqlite:////absolute.db``; or
            one of :func:`redis_client`.
        prefix: Before every key in Redis.

    Raises:
        ConfigurationError: The URL is none of these.
        ServiceUnavailableError: The file cannot be opened.

    Example:
        >>> lock_store("memory://").shown
        'memory'
    """
    if is_redis_url(url):
        return RedisLocks(url, prefix=prefix)
    if url == "memory://":
        return MemoryLocks()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SQLiteLocks(unquote(url.removeprefix("sqlite:///")))
    msg = (
        f"not a store of locks: {ConnectionUrl(url).masked} "
        "(known: memory://, sqlite:///file.db, redis://, rediss://, unix://, redis+cluster://)"
    )
    raise ConfigurationError(msg)
