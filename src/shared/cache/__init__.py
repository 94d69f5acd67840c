"""What is kept close, and what several processes share: clients of Redis, rate limits.

Example:
    >>> limiter = RateLimiter("search", "2/second; 100/hour")
    >>> [limiter.hit("user-1").allowed for _ in range(3)]
    [True, True, False]
"""

from shared.cache._limit_memory import MemoryRateLimits
from shared.cache._limit_redis import RedisRateLimits
from shared.cache._limit_sqlite import SQLiteRateLimits
from shared.cache._limit_store import rate_limit_store
from shared.cache._limit_types import LimitTier, RateLimitStore
from shared.cache._limiter import OnStoreFailure, RateLimiter, RateVerdict
from shared.cache._redis import async_redis_client, is_redis_url, redis_client, redis_errors

__all__ = [
    "LimitTier",
    "MemoryRateLimits",
    "OnStoreFailure",
    "RateLimitStore",
    "RateLimiter",
    "RateVerdict",
    "RedisRateLimits",
    "SQLiteRateLimits",
    "async_redis_client",
    "is_redis_url",
    "rate_limit_store",
    "redis_client",
    "redis_errors",
]
