"""The store of rate limits that a URL names."""

from urllib.parse import unquote

from shared.cache._limit_memory import MemoryRateLimits
from shared.cache._limit_redis import RedisRateLimits
from shared.cache._limit_sqlite import SQLiteRateLimits
from shared.cache._limit_types import RateLimitStore
from shared.cache._redis import is_redis_url
from shared.errors import ConfigurationError
from shared.security import mask_url

__all__ = ["rate_limit_store"]


def rate_limit_store(url: str, *, prefix: str = "shared:", timeout: float = 0.05) -> RateLimitStore:
    """Return the store of rate limits at *url*.

    Args:
        url: ``memory://``; ``sqlite:///relative.db`` or ``sqlite:////absolute.db``; or
            one of :func:`redis_client`.
        prefix: Before every key in Redis.
        timeout: Longest wait for a decision, in seconds.

    Raises:
        ConfigurationError: The URL is none of these.
        ServiceUnavailableError: The file cannot be opened.

    Example:
        >>> rate_limit_store("memory://").shown
        'memory'
    """
    if is_redis_url(url):
        return RedisRateLimits(url, prefix=prefix, timeout=timeout)
    if url == "memory://":
        return MemoryRateLimits()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SQLiteRateLimits(unquote(url.removeprefix("sqlite:///")), timeout=timeout)
    msg = (
        f"not a store of rate limits: {mask_url(url)} "
        "(known: memory://, sqlite:///file.db, redis://, rediss://, unix://, redis+cluster://)"
    )
    raise ConfigurationError(msg)
