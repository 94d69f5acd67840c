"""The cache for synchronous code."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from shared.cache._changes import Changes
from shared.cache._core import MISSING, CacheCore
from shared.cache._load import load_or_read
from shared.cache._options import CacheOptionValues, cache_options, storing
from shared.cache._redis import redis_client, redis_errors
from shared.cache._serializers import JsonSerializer, Serializer
from shared.cache._stats import CacheStats
from shared.cache._steps import Aside, Follow, Landing, Load, Pause, Plan, RunScript, Send
from shared.errors import ServiceUnavailableError
from shared.resilience import CircuitBreaker
from shared.runtime import after_fork_in_child

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
        self.url: str | None = where
        self.breaker: CircuitBreaker = breaker or CircuitBreaker(
            "cache", failure_threshold=3, recovery_timeout=1.0, clock=clock
        )
        self._client: Any = None
        self._is_cluster = where is not None and "+cluster" in where.partition(":")[0].lower()
        if where is not None:
            self._client = redis_client(where, timeout=found.timeout, connect_timeout=found.timeout)
        self._changes: Changes | None = None
        self._behind: ThreadPoolExecutor | None = None
        self._aio: AsyncCache | None = None
        self._lock = threading.Lock()
        self._closed = False
        after_fork_in_child(self)

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
        core = self.core
        entry = core.memory.find(key, core.clock())
        if entry is not None:
            value = core.value(entry)
            if value is not MISSING:
                core.tally.add("memory_hits")
                return value
        value = self._run(core.read(key))
        return default if value is MISSING else value

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those *keys* that have one; Redis is asked once for all."""
        return self._run(self.core.read_many(tuple(keys)))

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
        now = core.clock()
        entry = core.memory.find(key, now)
        if entry is not None and now < entry.stale_at:
            value = core.value(entry, serializer)
            if value is not MISSING:
                core.tally.add("memory_hits")
                return value  # type: ignore[no-any-return]
        how = storing(
            core.options.ttl if ttl is None else ttl,
            stale=stale,
            negative_ttl=negative_ttl,
            tags=tags,
            serializer=serializer,
        )
        owner = ("thread", threading.get_ident())
        return self._run(load_or_read(core, key, loader, how, owner))  # type: ignore[no-any-return]

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
            self._run(self.core.write(values, how))

    def delete(self, *keys: str) -> int:
        """Take *keys* away, everywhere; return how many were there."""
        return self._run(self.core.invalidate(keys, ())) if keys else 0

    def invalidate_tags(self, *tags: str) -> None:
        """Take away, everywhere, what was stored with any of *tags*."""
        if tags:
            self._run(self.core.invalidate((), tags))

    def clear(self) -> None:
        """Take away everything of this namespace, everywhere."""
        self._run(self.core.invalidate((), (), clear=True))

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
        wanted = tuple(tags)

        def take_away() -> None:
            self._run(self.core.invalidate(keys, wanted))

        return take_away

    # -- the rest -----------------------------------------------------------------------------

    @property
    def aio(self) -> "AsyncCache":
        """The same cache for asynchronous code: one memory, one set of counts."""
        from shared.cache._cache_async import AsyncCache

        with self._lock:
            if self._aio is None:
                self._aio = AsyncCache.beside(self)
            return self._aio

    def stats(self) -> CacheStats:
        """Return what has been counted, and the size now."""
        return self.core.stats()

    def check(self) -> None:
        """Ask Redis for a sign of life, for a health check; memory alone is always well.

        Raises:
            ServiceUnavailableError: It gives none.
        """
        if self._client is not None:
            self._run(ping())

    def close(self) -> None:
        """End the connections and the threads; what is loading behind is waited for."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            changes, behind, client = self._changes, self._behind, self._client
        if changes is not None:
            changes.close()
        if behind is not None:
            behind.shutdown(cancel_futures=True)
        if client is not None:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after_fork(self) -> None:
        """The parent's threads do not exist here; the client gives each process connections of its own."""
        self._lock = threading.Lock()
        self._changes = self._behind = None

    # -- carrying out plans -------------------------------------------------------------------

    def _run(self, plan: Plan[T]) -> T:
        """Carry out *plan*."""
        outcome: Any = None
        error: BaseException | None = None
        while True:
            try:
                step = plan.send(outcome) if error is None else plan.throw(error)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            outcome = error = None
            try:
                outcome = self._do(step)
            except BaseException as exc:  # noqa: BLE001 - the plan decides about every error
                error = exc

    def _do(self, step: Any) -> Any:
        match step:
            case Send():
                return self._send(step)
            case RunScript():
                return self._script(step)
            case Load():
                return step.loader()
            case Follow():
                return follow(step)
            case Pause():
                time.sleep(step.seconds)
            case Aside(behind=False):
                self._run(step.plan())
            case Aside():
                self._run_behind(step)
        return None

    def _send(self, step: Send) -> list[Any]:
        self.hear()
        with self.breaker, redis_errors(self.url):
            if len(step.commands) == 1:
                return [self._client.execute_command(*step.commands[0])]
            if self._is_cluster:
                return [self._client.execute_command(*command) for command in step.commands]
            with self._client.pipeline(transaction=False) as pipe:
                for command in step.commands:
                    pipe.execute_command(*command)
                return pipe.execute()  # type: ignore[no-any-return]

    def _script(self, step: RunScript) -> Any:
        with self.breaker, redis_errors(self.url):
            return self._client.register_script(step.text)(keys=step.keys, args=step.arguments)

    def hear(self) -> None:
        """Begin to listen to the other processes, once."""
        if self._changes is not None or not self.core.options.subscribe or self.url is None:
            return
        with self._lock:
            if not self._closed:
                self._changes = self._changes or Changes(self.core, self.url)  # type: ignore[redundant-expr]

    def _run_behind(self, step: Aside) -> None:
        with self._lock:
            if self._closed:
                return
            if self._behind is None:
                self._behind = ThreadPoolExecutor(4, "shared-cache")
            self._behind.submit(self._run_quietly, step)

    def _run_quietly(self, step: Aside) -> None:
        try:
            self._run(step.plan())
        except Exception:  # noqa: BLE001 - a loader's; counted by the plan, and the next reader tries again
            return


def follow(step: Follow) -> Landing | None:
    """Wait for another thread's load; None when it takes too long."""
    future: Future[Landing] = step.flight.future
    try:
        return future.result(step.seconds)
    except FutureTimeoutError:
        if future.done():
            raise
        return None


def ping() -> Plan[None]:
    replies = yield Send((("PING",),))
    if not replies[0]:
        msg = "Redis did not answer PING"
        raise ServiceUnavailableError(msg)
