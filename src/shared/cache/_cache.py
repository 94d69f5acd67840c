"""The cache for synchronous code."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from shared.cache._core import MISSING, CacheCore
from shared.cache._load import load_or_read
from shared.cache._options import CacheOptionValues, cache_options, storing
from shared.cache._runner import Runner, ping
from shared.cache._serializers import JsonSerializer, Serializer
from shared.cache._stats import CacheStats
from shared.resilience import CircuitBreaker

if TYPE_CHECKING:
    from shared.cache._cache_async import AsyncCache

__all__ = ["Cache"]

T = TypeVar("T")


class Cache:
    """Keeps values close: in this process, and in Redis for all processes.

    Memory answers first, as bytes, so nobody shares a mutable value with anybody. With
    Redis behind it a copy is served for *max_staleness* seconds at most without asking,
    and less where another process said it changed. When Redis fails, or takes longer
    than *timeout*, memory and the loaders go on alone: no call raises for it. What Redis
    could not be told is told before it is believed again.

    Args:
        url: ``memory://`` for this process alone, or any URL of :func:`redis_client`.
        serializer: How values become bytes; JSON by default, never pickle.
        breaker: Keeps a dead Redis from being asked; one of its own by default.
        clock: Gives monotonic seconds.
        **options: The fields of :class:`CacheOptions`.

    Raises:
        ConfigurationError: The URL is not one of these.
        InvalidArgumentError: An option is unknown or out of range.
        MissingDependencyError: The URL is one of Redis, which is not installed.

    Thread-safe and fork-safe. Close it when done.

    Example:
        >>> with Cache("memory://", ttl=60.0) as cache:
        ...     cache.set("price:lamp", {"eur": "19.90"}, tags=["catalog"])
        ...     cache.get("price:lamp")
        ...     cache.invalidate_tags("catalog")
        ...     cache.get("price:lamp", "unknown")
        {'eur': '19.90'}
        'unknown'
    """

    def __init__(
        self,
        url: str = "memory://",
        *,
        serializer: Serializer | None = None,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        **options: Unpack[CacheOptionValues],
    ) -> None:
        where, found = cache_options(url, options)
        self.core: CacheCore = CacheCore(
            found, serializer or JsonSerializer(), remote=where is not None, clock=clock
        )
        self._runner = Runner(self.core, where, breaker)
        self.url: str | None = where
        self.breaker: CircuitBreaker = self._runner.breaker
        self._aio: AsyncCache | None = None

    @classmethod
    def from_url(cls, url: str, **options: Unpack[CacheOptionValues]) -> Self:
        """Return a cache at *url*; the same as calling the class."""
        return cls(url, **options)

    # -- reading ------------------------------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of *key*, or *default*.

        Raises:
            InvalidArgumentError: *key* is not a text, or empty.
        """
        value = self.core.near(key)
        if value is MISSING:
            value = self._runner.run(self.core.read(key))
        return default if value is MISSING else value

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those *keys* that have one; Redis is asked once for all."""
        return self._runner.run(self.core.read_many(tuple(keys)))

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
        stale: float = 0.0,
        negative_ttl: float | None = None,
        serializer: Serializer | None = None,
    ) -> T:
        """Return the value of *key*, calling *loader* when there is none.

        Of all threads, tasks and processes that miss at the same time one loads; the
        others are given what it loaded, or its exception. A load that was under way when
        the key, or a tag of it, was invalidated is not kept.

        Args:
            key: Of the value.
            loader: Called without arguments.
            ttl: Seconds to keep it; the cache's when None.
            tags: For :meth:`invalidate_tags`.
            stale: Further seconds in which the old value is served at once while a
                thread loads a new one.
            negative_ttl: Seconds for which None is kept; when None it is not kept.
            serializer: For this value, instead of the cache's.

        Raises:
            InvalidArgumentError: An argument is out of range, or the serializer does not
                take the value.
        """
        core = self.core
        value = core.near(key, serializer, fresh=True)
        if value is not MISSING:
            return value  # type: ignore[no-any-return]
        how = storing(
            core.options.ttl if ttl is None else ttl,
            stale=stale,
            negative_ttl=negative_ttl,
            tags=tags,
            serializer=serializer,
        )
        owner = ("thread", threading.get_ident())
        return self._runner.run(load_or_read(core, key, loader, how, owner))  # type: ignore[no-any-return]

    # -- changing -----------------------------------------------------------------------------

    def set(self, key: str, value: Any, *, ttl: float | None = None, tags: Iterable[str] = ()) -> None:
        """Keep *value* under *key* for *ttl* seconds.

        Raises:
            InvalidArgumentError: The key, a number or a tag is unusable, the value is too
                large, or the serializer does not take it.
        """
        self.set_many({key: value}, ttl=ttl, tags=tags)

    def set_many(
        self, values: Mapping[str, Any], *, ttl: float | None = None, tags: Iterable[str] = ()
    ) -> None:
        """Keep *values* by key, in one round trip; as :meth:`set`."""
        how = storing(self.core.options.ttl if ttl is None else ttl, tags=tags)
        if values:
            self._runner.run(self.core.write(values, how))

    def delete(self, *keys: str) -> int:
        """Take *keys* away, everywhere; return how many were there."""
        return self._runner.run(self.core.invalidate(keys, ())) if keys else 0

    def invalidate_tags(self, *tags: str) -> None:
        """Take away, everywhere, what was stored with any of *tags*."""
        if tags:
            self._runner.run(self.core.invalidate((), tags))

    def clear(self) -> None:
        """Take away everything of this namespace, everywhere."""
        self._runner.run(self.core.invalidate((), (), clear=True))

    def invalidation(self, *keys: str, tags: Iterable[str] = ()) -> Callable[[], None]:
        """Return a function that takes *keys* and the entries of *tags* away.

        Made for ``on_commit(session, cache.invalidation("user:7"))``: a rolled-back
        change leaves the cache alone, and after a commit no reader of this process sees
        the old value again.

        Example:
            >>> with Cache() as cache:
            ...     cache.set("user:7", "old")
            ...     hook = cache.invalidation("user:7")
            ...     hook()
            ...     cache.get("user:7") is None
            True
        """
        return partial(self._runner.invalidate, keys, tuple(tags))

    # -- the rest -----------------------------------------------------------------------------

    @property
    def aio(self) -> "AsyncCache":
        """The same cache for asynchronous code: one memory, one set of counts."""
        from shared.cache._cache_async import beside

        if self._aio is None:
            self._aio = beside(self._runner)
        return self._aio

    def stats(self) -> CacheStats:
        """Return what has been counted, and the size now."""
        return self.core.stats()

    def check(self) -> None:
        """Ask Redis for a sign of life, for a health check; memory alone is always well.

        Raises:
            ServiceUnavailableError: It gives none.
        """
        if self.url is not None:
            self._runner.run(ping())

    def close(self) -> None:
        """End the connections and the threads; what is loading behind is waited for."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
