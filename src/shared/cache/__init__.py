"""What is kept close, and what several processes share: clients of Redis, stores of rate limits."""

from shared.cache._redis import async_redis_client, is_redis_url, redis_client, redis_errors

__all__ = ["async_redis_client", "is_redis_url", "redis_client", "redis_errors"]
