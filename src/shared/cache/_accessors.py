"""The cache of the current runtime."""

from typing import TYPE_CHECKING

from shared.cache._cache import Cache
from shared.cache._options import CacheOptionValues
from shared.runtime import Runtime, current

if TYPE_CHECKING:
    from shared.config import Settings

__all__ = ["cache_from_settings", "get_cache"]


def get_cache() -> Cache:
    """Return the current runtime's cache, built from the settings on first use; the runtime closes it.

    Its asynchronous side is ``get_cache().aio``. It is at ``CACHE_URL``, or at Redis when
    that is configured, or in memory. With Redis its health check joins those of the
    runtime as one that degrades and does not fail, and it is measured when
    ``METRICS_ENABLED`` is set.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("catalog")) as runtime:
        ...     get_cache() is get_cache()
        ...     runtime.close()
        True
    """
    return current().get(Cache, _cache)


def cache_from_settings(settings: "Settings") -> Cache:
    """Return a new cache from the settings; the caller closes it.

    Raises:
        MissingDependencyError: The cache is at Redis, and the extra ``redis`` is missing.

    Example:
        >>> from shared.config import Settings
        >>> with cache_from_settings(Settings(ENVIRONMENT="testing", CACHE_TTL_SECONDS=30)) as cache:
        ...     cache.core.options.ttl
        30.0
    """
    section, redis = settings.cache, settings.redis
    url = section.CACHE_URL or redis.url or "memory://"
    options: CacheOptionValues = {
        "namespace": section.CACHE_NAMESPACE or settings.app.SERVICE_NAME or "",
        "prefix": redis.REDIS_KEY_PREFIX,
        "ttl": section.CACHE_TTL_SECONDS,
        "max_entries": section.CACHE_MAX_ENTRIES,
        "max_bytes": section.CACHE_MAX_BYTES,
        "max_staleness": section.CACHE_MAX_STALENESS_SECONDS,
        "timeout": section.CACHE_TIMEOUT,
    }
    return Cache(url, **options)


def _cache(runtime: Runtime) -> Cache:
    from shared.cache._metrics import measure_cache
    from shared.config import get_settings
    from shared.monitoring import get_health_registry, get_metrics
    from shared.runtime import use

    with use(runtime):
        settings = get_settings()
        cache = cache_from_settings(settings)
        if cache.url is not None and "cache" not in get_health_registry().names:
            get_health_registry().add("cache", cache.check, critical=False)
        if settings.monitoring.METRICS_ENABLED:
            measure_cache(cache, get_metrics())
    return cache
