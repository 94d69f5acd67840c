"""What is kept close, and what several processes share: a cache, locks, rate limits, clients of Redis.

Example:
    >>> limiter = RateLimiter("search", "2/second; 100/hour")
    >>> [limiter.hit("user-1").allowed for _ in range(3)]
    [True, True, False]
"""

from shared.cache._accessors import cache_from_settings, get_cache
from shared.cache._cache import Cache
from shared.cache._cache_async import AsyncCache
from shared.cache._cached import CachedFunction, cached
from shared.cache._limit_memory import MemoryRateLimits
from shared.cache._limit_redis import RedisRateLimits
from shared.cache._limit_sqlite import SQLiteRateLimits
from shared.cache._limit_store import rate_limit_store
from shared.cache._limit_types import LimitTier, RateLimitStore
from shared.cache._limiter import OnStoreFailure, RateLimiter, RateVerdict
from shared.cache._lock import AsyncLock, Lock
from shared.cache._lock_lease import Lease
from shared.cache._lock_memory import MemoryLocks
from shared.cache._lock_redis import RedisLocks
from shared.cache._lock_sqlite import SQLiteLocks
from shared.cache._lock_store import lock_store
from shared.cache._lock_types import LockStore
from shared.cache._metrics import measure_cache
from shared.cache._options import CacheOptions
from shared.cache._redis import async_redis_client, is_redis_url, redis_client, redis_errors
from shared.cache._replay_memory import MemoryReplays
from shared.cache._replay_redis import RedisReplays
from shared.cache._replay_sqlite import SQLiteReplays
from shared.cache._replay_store import replay_store
from shared.cache._replay_types import ReplayClaim, ReplayState, ReplayStore, StoredAnswer
from shared.cache._serializers import (
    JsonSerializer,
    ModelSerializer,
    MsgpackSerializer,
    Serializer,
)
from shared.cache._stats import CacheStats

__all__ = [
    "AsyncCache",
    "AsyncLock",
    "Cache",
    "CacheOptions",
    "CacheStats",
    "CachedFunction",
    "JsonSerializer",
    "Lease",
    "LimitTier",
    "Lock",
    "LockStore",
    "MemoryLocks",
    "MemoryRateLimits",
    "MemoryReplays",
    "ModelSerializer",
    "MsgpackSerializer",
    "OnStoreFailure",
    "RateLimitStore",
    "RateLimiter",
    "RateVerdict",
    "RedisLocks",
    "RedisRateLimits",
    "RedisReplays",
    "ReplayClaim",
    "ReplayState",
    "ReplayStore",
    "SQLiteLocks",
    "SQLiteRateLimits",
    "SQLiteReplays",
    "Serializer",
    "StoredAnswer",
    "async_redis_client",
    "cache_from_settings",
    "cached",
    "get_cache",
    "is_redis_url",
    "lock_store",
    "measure_cache",
    "rate_limit_store",
    "redis_client",
    "redis_errors",
    "replay_store",
]
