"""The store of answered requests that a URL names."""

from urllib.parse import unquote

from shared.cache._redis import is_redis_url
from shared.cache._replay_memory import MemoryReplays
from shared.cache._replay_redis import RedisReplays
from shared.cache._replay_sqlite import SQLiteReplays
from shared.cache._replay_types import ReplayStore
from shared.errors import ConfigurationError
from shared.security import mask_url

__all__ = ["replay_store"]


def replay_store(url: str, *, prefix: str = "shared:") -> ReplayStore:
    """Return the store of answered requests at *url*.

    Args:
        url: ``memory://``; ``sqlite:///relative.db`` or ``sqlite:////absolute.db``; or
            one of :func:`redis_client`.
        prefix: Before every key in Redis.

    Raises:
        ConfigurationError: The URL is none of these.
        ServiceUnavailableError: The file cannot be opened.

    Example:
        >>> replay_store("memory://").shown
        'memory'
    """
    if is_redis_url(url):
        return RedisReplays(url, prefix=prefix)
    if url == "memory://":
        return MemoryReplays()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SQLiteReplays(unquote(url.removeprefix("sqlite:///")))
    msg = (
        f"not a store of answered requests: {mask_url(url)} "
        "(known: memory://, sqlite:///file.db, redis://, rediss://, unix://, redis+cluster://)"
    )
    raise ConfigurationError(msg)
