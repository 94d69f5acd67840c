"""The counts of a cache as metrics."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.cache._cache import Cache
from shared.cache._stats import CacheStats

if TYPE_CHECKING:
    from shared.monitoring import Metrics

__all__ = ["measure_cache"]


def measure_cache(cache: Cache, metrics: "Metrics", *, name: str | None = None) -> Callable[[], None]:
    """Show the counts of *cache* in *metrics*, read when they are collected; return a function that stops it.

    Args:
        cache: The cache.
        metrics: Where its numbers appear.
        name: Label ``cache_name``; the namespace of the cache, or ``default``, when None.

    Example:
        >>> from shared.monitoring import Metrics
        >>> metrics = Metrics()
        >>> with Cache(namespace="catalog") as cache:
        ...     stop = measure_cache(cache, metrics)
        ...     cache.set("a", 1); _ = cache.get("a"), cache.get("b")
        ...     body = metrics.expose().body.decode()
        ...     stop()
        >>> [line for line in body.splitlines() if "lookups_total{" in line and not line.endswith(" 0.0")]
        ... # doctest: +NORMALIZE_WHITESPACE
        ['cache_lookups_total{cache_name="catalog",cache_result="hit"} 1.0',
         'cache_lookups_total{cache_name="catalog",cache_result="miss"} 1.0']
    """
    from shared.monitoring import CacheMetrics

    target, label = CacheMetrics(metrics), name or cache.core.options.namespace or "default"
    seen = CacheStats()

    def update() -> None:
        nonlocal seen
        now = cache.stats()
        before, seen = seen, now
        if now.misses < before.misses or now.hits < before.hits:  # a forked child counts from zero
            before = CacheStats()
        target.lookup(label, "hit", now.hits - now.stale_hits - before.hits + before.stale_hits)
        target.lookup(label, "stale", now.stale_hits - before.stale_hits)
        target.lookup(label, "miss", now.misses - before.misses)
        target.lookup(label, "error", now.remote_errors - before.remote_errors)
        target.evicted(label, "size", now.evictions - before.evictions)
        target.shared(label, now.loads_prevented - before.loads_prevented)
        target.entries(label, now.entries)
        target.size(label, now.bytes)

    def loaded(seconds: float) -> None:
        target.loaded(label, seconds)

    def travelled(seconds: float) -> None:
        target.travelled(label, seconds)

    cache.core.on_load, cache.core.on_trip = loaded, travelled
    remove = metrics.before_collection(update)

    def stop() -> None:
        update()
        remove()
        cache.core.on_load = cache.core.on_trip = None

    return stop
