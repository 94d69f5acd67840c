"""The cache for asynchronous code."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, Self, TypeVar, Unpack, cast
from weakref import WeakKeyDictionary

from shared.cache._core import MISSING, CacheCore
from shared.cache._load import load_or_read
from shared.cache._options import CacheOptionValues, cache_options, storing
from shared.cache._redis import async_redis_client, redis_errors
from shared.cache._runner import Runner, ping, tell_failure
from shared.cache._serializers import JsonSerializer, Serializer
from shared.cache._stats import CacheStats
from shared.cache._steps import Aside, Follow, Landing, Load, Pause, Plan, RunScript, Send
from shared.resilience import CircuitBreaker

__all__ = ["AsyncCache"]

T = TypeVar("T")


class AsyncCache:
    """A :class:`Cache` for asynchronous code: the same methods, awaited.

    Beside a :class:`Cache`, as ``cache.aio``, it shares memory, counts and the breaker
    with it. It may be used from several event loops, each with connections of its own.

    Args:
        url: As :class:`Cache`.
        serializer: As :class:`Cache`.
        breaker: As :class:`Cache`.
        clock: As :class:`Cache`.
        **options: The fields of :class:`CacheOptions`.

    Raises:
        ConfigurationError: As :class:`Cache`.
        InvalidArgumentError: As :class:`Cache`.
        MissingDependencyError: As :class:`Cache`.

    Example:
        >>> import asyncio
        >>> async def load() -> dict:
        ...     return {"eur": "19.90"}
        >>> async def main() -> None:
        ...     async with AsyncCache("memory://") as cache:
        ...         print(await cache.get_or_load("price:lamp", load, ttl=60.0))
        ...         print(await cache.get("price:lamp"))
        >>> asyncio.run(main())
        {'eur': '19.90'}
        {'eur': '19.90'}
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
        core = CacheCore(found, serializer or JsonSerializer(), remote=where is not None, clock=clock)
        self._stand_on(Runner(core, where, breaker), owns=True)

    @classmethod
    def from_url(cls, url: str, **options: Unpack[CacheOptionValues]) -> Self:
        """Return a cache at *url*; the same as calling the class."""
        return cls(url, **options)

    def _stand_on(self, runner: Runner, *, owns: bool) -> None:
        self._runner = runner
        self._owns = owns
        self.core: CacheCore = runner.core
        self.url: str | None = runner.url
        self.breaker: CircuitBreaker = runner.breaker
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        self._behind: set[asyncio.Task[Any]] = set()

    # -- reading ------------------------------------------------------------------------------

    async def get(self, key: str, default: Any = None) -> Any:
        """See :meth:`Cache.get`."""
        value = self.core.near(key)
        if value is MISSING:
            value = await self._run(self.core.read(key))
        return default if value is MISSING else value

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """See :meth:`Cache.get_many`."""
        return await self._run(self.core.read_many(tuple(keys)))

    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[T] | T],
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
        stale: float = 0.0,
        negative_ttl: float | None = None,
        serializer: Serializer | None = None,
    ) -> T:
        """See :meth:`Cache.get_or_load`; *loader* may be an async function, and a task refreshes."""
        core = self.core
        value = core.near(key, serializer, fresh=True)
        if value is not MISSING:
            return cast("T", value)
        how = storing(
            core.options.ttl if ttl is None else ttl,
            stale=stale,
            negative_ttl=negative_ttl,
            tags=tags,
            serializer=serializer,
        )
        return cast("T", await self._run(load_or_read(core, key, loader, how, asyncio.current_task())))

    # -- changing -----------------------------------------------------------------------------

    async def set(self, key: str, value: Any, *, ttl: float | None = None, tags: Iterable[str] = ()) -> None:
        """See :meth:`Cache.set`."""
        await self.set_many({key: value}, ttl=ttl, tags=tags)

    async def set_many(
        self, values: Mapping[str, Any], *, ttl: float | None = None, tags: Iterable[str] = ()
    ) -> None:
        """See :meth:`Cache.set_many`."""
        how = storing(self.core.options.ttl if ttl is None else ttl, tags=tags)
        if values:
            await self._run(self.core.write(values, how))

    async def delete(self, *keys: str) -> int:
        """See :meth:`Cache.delete`."""
        return await self._run(self.core.invalidate(keys, ())) if keys else 0

    async def invalidate_tags(self, *tags: str) -> None:
        """See :meth:`Cache.invalidate_tags`."""
        if tags:
            await self._run(self.core.invalidate((), tags))

    async def clear(self) -> None:
        """See :meth:`Cache.clear`."""
        await self._run(self.core.invalidate((), (), clear=True))

    def invalidation(self, *keys: str, tags: Iterable[str] = ()) -> Callable[[], None]:
        """See :meth:`Cache.invalidation`: a plain function, for hooks of a session, asynchronous ones too.

        It asks Redis in the thread that commits, within ``timeout``.
        """
        return partial(self._runner.invalidate, keys, tuple(tags))

    # -- the rest -----------------------------------------------------------------------------

    def stats(self) -> CacheStats:
        """See :meth:`Cache.stats`."""
        return self.core.stats()

    async def check(self) -> None:
        """See :meth:`Cache.check`."""
        if self.url is not None:
            await self._run(ping())

    async def close(self) -> None:
        """End what this event loop began; a cache made by this class ends with it."""
        for task in tuple(self._behind):
            task.cancel()
        if self._behind:
            await asyncio.wait(tuple(self._behind))
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
        if self._owns:
            await asyncio.to_thread(self._runner.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- carrying out plans -------------------------------------------------------------------

    async def _run(self, plan: Plan[T]) -> T:
        """Carry out *plan*."""
        outcome: Any = None
        error: BaseException | None = None
        while True:
            try:
                step = plan.send(outcome) if error is None else plan.throw(error)
            except StopIteration as done:
                return cast("T", done.value)
            outcome = error = None
            try:
                outcome = await self._do(step)
            except BaseException as exc:  # noqa: BLE001 - the plan decides about every error
                error = exc

    async def _do(self, step: Any) -> Any:
        match step:
            case Send():
                return await self._trip(self._send(step))
            case RunScript():
                return await self._trip(self._script(step))
            case Load():
                found = step.loader()
                return await found if isawaitable(found) else found
            case Follow():
                return await _follow(step)
            case Pause():
                await asyncio.sleep(step.seconds)
            case Aside():  # a cancelled task cannot wait for anything, so nothing aside is waited for
                task = asyncio.ensure_future(self._run_quietly(step))
                self._behind.add(task)
                task.add_done_callback(self._behind.discard)
        return None

    def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            timeout = self.core.options.timeout
            client = async_redis_client(str(self.url), timeout=timeout, connect_timeout=timeout)
            self._clients[loop] = client
        return client

    async def _trip(self, travel: Awaitable[Any]) -> Any:
        told, clock = self.core.on_trip, self.core.clock
        if told is None:
            return await travel
        began = clock()
        try:
            return await travel
        finally:
            told(clock() - began)

    async def _send(self, step: Send) -> list[Any]:
        self._runner.hear()
        client = self._client()
        async with self.breaker:
            with redis_errors(self.url):
                if len(step.commands) == 1:
                    return [await client.execute_command(*step.commands[0])]
                if self._runner.is_cluster:
                    return [await client.execute_command(*command) for command in step.commands]
                async with client.pipeline(transaction=False) as pipe:
                    for command in step.commands:
                        pipe.execute_command(*command)
                    return cast("list[Any]", await pipe.execute())

    async def _script(self, step: RunScript) -> Any:
        async with self.breaker:
            with redis_errors(self.url):
                return await self._client().register_script(step.text)(keys=step.keys, args=step.arguments)

    async def _run_quietly(self, step: Aside) -> None:
        try:
            await self._run(step.plan())
        except Exception as exc:  # noqa: BLE001 - a loader's; the next reader tries again
            tell_failure(exc)


def beside(runner: Runner) -> AsyncCache:
    """Return the asynchronous face of a cache that somebody else owns."""
    made = AsyncCache.__new__(AsyncCache)
    made._stand_on(runner, owns=False)  # noqa: SLF001 - of this module
    return made


async def _follow(step: Follow) -> Landing | None:
    """Wait for somebody else's load without being able to cancel it; None when it takes too long."""
    future, loop, landed = step.flight.future, asyncio.get_running_loop(), asyncio.Event()

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(landed.set)

    future.add_done_callback(tell)
    try:
        async with asyncio.timeout(step.seconds):
            await landed.wait()
    except TimeoutError:
        return None
    return cast("Landing", future.result())
