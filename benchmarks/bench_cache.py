"""What a hit costs, in memory and in Redis, what two hundred misses cost, and what a lock costs."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check, looped

VALUE = {"id": 7, "name": "desk lamp", "price": "19.90", "tags": ["light", "desk"], "in_stock": True}
MISSES = 200
LOAD_SECONDS = 0.05


def _checked(operation: Callable[[], Any]) -> Run:
    """Check that a hit gives the value and that changing it changes nobody else's."""
    operation()["tags"].append("changed")
    check(operation() == VALUE, "the value came out changed")
    return looped(operation)


def _timed(operation: Callable[[], Any]) -> Run:
    """As `looped`, by the clock on the wall: the work is done in another process."""

    def run(loops: int) -> tuple[float]:
        began = time.perf_counter()
        for _ in range(loops):
            operation()
        return ((time.perf_counter() - began) / loops,)

    return run


def _in_loop(loop: asyncio.AbstractEventLoop, operation: Callable[[], Awaitable[Any]]) -> Run:
    """Run *operation* many times inside one coroutine, by the clock on the wall."""

    async def repeat(loops: int) -> float:
        began = time.perf_counter()
        for _ in range(loops):
            await operation()
        return (time.perf_counter() - began) / loops

    return lambda loops: (loop.run_until_complete(repeat(loops)),)


@contextlib.contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@contextlib.contextmanager
def _redis() -> Iterator[str]:
    """Start a Redis of this row's own, on loopback."""
    from shared.testing import RedisServer

    with RedisServer() as server:
        yield str.__str__(server.url)


# --- a hit in memory ----------------------------------------------------------------------


@contextlib.contextmanager
def memory_floor() -> Iterator[Run]:
    """A dict of bytes, decoded for each reader: the least that shares nothing."""
    import orjson

    found = {"product:7": orjson.dumps(VALUE)}
    yield _checked(lambda: orjson.loads(found["product:7"]))


@contextlib.contextmanager
def memory_ours() -> Iterator[Run]:
    from shared.cache import Cache

    with Cache() as cache:
        cache.set("product:7", VALUE)
        yield _checked(lambda: cache.get("product:7"))


@contextlib.contextmanager
def memory_ours_decorated() -> Iterator[Run]:
    from shared.cache import Cache, cached

    with Cache() as cache:

        @cached(ttl=300.0, key="product:{number}", cache=cache)
        def product(number: int) -> dict[str, Any]:  # noqa: ARG001 - it is in the key
            return dict(VALUE)

        yield _checked(lambda: product(7))


@contextlib.contextmanager
def memory_ours_async() -> Iterator[Run]:
    from shared.cache import AsyncCache

    with _loop() as loop:
        cache = AsyncCache()
        loop.run_until_complete(cache.set("product:7", VALUE))
        yield _in_loop(loop, lambda: cache.get("product:7"))
        loop.run_until_complete(cache.close())


@contextlib.contextmanager
def memory_dogpile() -> Iterator[Run]:
    """Its memory backend that pickles; the plain one hands every reader the same object."""
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory_pickle", expiration_time=300)
    region.set("product:7", VALUE)
    yield _checked(lambda: region.get("product:7"))


@contextlib.contextmanager
def memory_cashews() -> Iterator[Run]:
    """Hands every reader the same object."""
    from cashews import Cache

    with _loop() as loop:
        cache = Cache()
        cache.setup("mem://")
        loop.run_until_complete(cache.set("product:7", VALUE))
        yield _in_loop(loop, lambda: cache.get("product:7"))
        loop.run_until_complete(cache.close())


@contextlib.contextmanager
def memory_aiocache() -> Iterator[Run]:
    """With its JSON serializer; without one it hands every reader the same object."""
    from aiocache import SimpleMemoryCache
    from aiocache.serializers import JsonSerializer

    with _loop() as loop:
        cache = SimpleMemoryCache(serializer=JsonSerializer())
        loop.run_until_complete(cache.set("product:7", VALUE))
        yield _in_loop(loop, lambda: cache.get("product:7"))


# --- a hit in Redis -----------------------------------------------------------------------


@contextlib.contextmanager
def redis_floor() -> Iterator[Run]:
    import orjson
    from redis import Redis

    with _redis() as url, Redis.from_url(url) as client:
        client.set("product:7", orjson.dumps(VALUE))
        yield _timed(lambda: orjson.loads(client.get("product:7")))


@contextlib.contextmanager
def redis_ours() -> Iterator[Run]:
    from shared.cache import Cache

    with _redis() as url, Cache(url, timeout=5.0, max_entries=0, subscribe=False) as cache:
        cache.set("product:7", VALUE)
        check(cache.get("product:7") == VALUE, "no hit")
        yield _timed(lambda: cache.get("product:7"))


@contextlib.contextmanager
def redis_dogpile() -> Iterator[Run]:
    from dogpile.cache import make_region

    with _redis() as url:
        region = make_region().configure(
            "dogpile.cache.redis", expiration_time=300, arguments={"url": url, "distributed_lock": False}
        )
        region.set("product:7", VALUE)
        check(region.get("product:7") == VALUE, "no hit")
        yield _timed(lambda: region.get("product:7"))


@contextlib.contextmanager
def aredis_floor() -> Iterator[Run]:
    import orjson
    from redis.asyncio import Redis

    with _redis() as url, _loop() as loop:
        client = Redis.from_url(url)
        loop.run_until_complete(client.set("product:7", orjson.dumps(VALUE)))

        async def get() -> Any:
            return orjson.loads(await client.get("product:7"))

        yield _in_loop(loop, get)
        loop.run_until_complete(client.aclose())


@contextlib.contextmanager
def aredis_ours() -> Iterator[Run]:
    from shared.cache import AsyncCache

    with _redis() as url, _loop() as loop:
        cache = AsyncCache(url, timeout=5.0, max_entries=0, subscribe=False)
        loop.run_until_complete(cache.set("product:7", VALUE))
        yield _in_loop(loop, lambda: cache.get("product:7"))
        loop.run_until_complete(cache.close())


@contextlib.contextmanager
def aredis_cashews() -> Iterator[Run]:
    from cashews import Cache

    with _redis() as url, _loop() as loop:
        cache = Cache()
        cache.setup(url)
        loop.run_until_complete(cache.set("product:7", VALUE))
        yield _in_loop(loop, lambda: cache.get("product:7"))
        loop.run_until_complete(cache.close())


# --- two hundred misses at once -----------------------------------------------------------


def _stampede(
    loop: asyncio.AbstractEventLoop, ask: Callable[[Callable[[], Awaitable[Any]], int], Awaitable[Any]]
) -> Run:
    """Return the time and the loads of two hundred callers who miss together."""
    rounds = iter(range(1 << 30))

    async def once() -> tuple[float, float]:
        loads, number = 0, next(rounds)

        async def load() -> Any:
            nonlocal loads
            loads += 1
            await asyncio.sleep(LOAD_SECONDS)
            return VALUE

        began = time.perf_counter()
        await asyncio.gather(*(ask(load, number) for _ in range(MISSES)))
        return time.perf_counter() - began, float(loads)

    def run(loops: int) -> tuple[float, ...]:
        spent = [loop.run_until_complete(once()) for _ in range(loops)]
        return tuple(sum(column) / loops for column in zip(*spent, strict=True))

    return run


@contextlib.contextmanager
def stampede_floor() -> Iterator[Run]:
    """One task loads, the others wait for it."""
    with _loop() as loop:
        tasks: dict[int, asyncio.Task[Any]] = {}

        async def ask(load: Callable[[], Any], number: int) -> Any:
            if number not in tasks:
                tasks[number] = asyncio.create_task(load())
            return await asyncio.shield(tasks[number])

        yield _stampede(loop, ask)


@contextlib.contextmanager
def stampede_ours() -> Iterator[Run]:
    from shared.cache import AsyncCache

    with _loop() as loop:
        cache = AsyncCache()
        yield _stampede(loop, lambda load, number: cache.get_or_load(f"product:{number}", load))
        loop.run_until_complete(cache.close())


@contextlib.contextmanager
def stampede_cashews() -> Iterator[Run]:
    from cashews import Cache

    with _loop() as loop:
        cache = Cache()
        cache.setup("mem://")
        loads: dict[int, Any] = {}

        @cache(ttl="5m", key="product:{number}", lock=True)
        async def product(number: int) -> Any:
            return await loads[number]()

        def ask(load: Any, number: int) -> Awaitable[Any]:
            loads[number] = load
            return product(number)

        yield _stampede(loop, ask)
        loop.run_until_complete(cache.close())


@contextlib.contextmanager
def stampede_aiocache() -> Iterator[Run]:
    from aiocache import cached

    with _loop() as loop:
        loads: dict[int, Any] = {}

        @cached(ttl=300)
        async def product(number: int) -> Any:
            return await loads[number]()

        def ask(load: Any, number: int) -> Awaitable[Any]:
            loads[number] = load
            return product(number)

        yield _stampede(loop, ask)


# --- a lock in Redis ----------------------------------------------------------------------


@contextlib.contextmanager
def lock_floor() -> Iterator[Run]:
    """Two round trips: what taking and giving back cannot do without."""
    from redis import Redis

    with _redis() as url, Redis.from_url(url) as client:

        def both() -> None:
            client.set("lock", "me", nx=True, px=30_000)
            client.delete("lock")

        yield _timed(both)


@contextlib.contextmanager
def lock_ours() -> Iterator[Run]:
    from shared.cache import Lock, RedisLocks

    with _redis() as url:
        store = RedisLocks(url)
        lock = Lock("report", store=store)

        def both() -> None:
            with lock:
                pass

        yield _timed(both)
        store.close()


@contextlib.contextmanager
def lock_redis() -> Iterator[Run]:
    """redis-py's Lock: no token that rises, no line, no renewal of its own."""
    from redis import Redis

    with _redis() as url, Redis.from_url(url) as client:

        def both() -> None:
            with client.lock("report", timeout=30):
                pass

        yield _timed(both)


OURS = ("shared.cache",)
MEMORY = "floor: dict of bytes + orjson"
REDIS = "floor: redis-py get + orjson"
AREDIS = "floor: redis.asyncio get + orjson"
TABLES = (
    Table(
        name="cache-memory",
        title="a hit in memory that shares nothing with other readers",
        base=MEMORY,
        cases=(
            Case(MEMORY, memory_floor, kind="floor"),
            Case("ours, get", memory_ours, kind="ours", requires=OURS),
            Case("ours, @cached", memory_ours_decorated, kind="ours", requires=OURS),
            Case("ours, await get", memory_ours_async, kind="ours", requires=OURS),
            Case("dogpile, pickled", memory_dogpile, requires=("dogpile.cache",)),
            Case("cashews, shared object", memory_cashews, requires=("cashews",)),
            Case("aiocache, JSON", memory_aiocache, requires=("aiocache",)),
        ),
        goals=(Goal("ours, get", MEMORY, at_most=3.0),),
    ),
    Table(
        name="cache-redis",
        title="a hit in Redis, by the clock on the wall",
        base=REDIS,
        cases=(
            Case(REDIS, redis_floor, kind="floor"),
            Case("ours", redis_ours, kind="ours", requires=OURS),
            Case("dogpile", redis_dogpile, requires=("dogpile.cache",)),
        ),
        goals=(Goal("ours", REDIS, at_most=1.15),),
        metrics=("wall",),
    ),
    Table(
        name="cache-redis-async",
        title="an awaited hit in Redis, by the clock on the wall",
        base=AREDIS,
        cases=(
            Case(AREDIS, aredis_floor, kind="floor"),
            Case("ours", aredis_ours, kind="ours", requires=OURS),
            Case("cashews", aredis_cashews, requires=("cashews",)),
        ),
        goals=(Goal("ours", AREDIS, at_most=1.15),),
        metrics=("wall",),
    ),
    Table(
        name="cache-stampede",
        title="200 tasks that miss together, a load of 50 ms",
        base="floor: one task, shared",
        cases=(
            Case("floor: one task, shared", stampede_floor, kind="floor", seconds=0.2),
            Case("ours", stampede_ours, kind="ours", requires=OURS, seconds=0.2),
            Case("cashews, lock=True", stampede_cashews, requires=("cashews",), seconds=0.2),
            Case("aiocache, cached", stampede_aiocache, requires=("aiocache",), seconds=0.2),
        ),
        goals=(Goal("ours", "floor: one task, shared", at_most=1.5),),
        metrics=("wall", "loads"),
        unit="ms",
        rounds=(15, 4),
    ),
    Table(
        name="lock-redis",
        title="taking a free lock in Redis and giving it back, by the clock on the wall",
        base="floor: SET NX, DEL",
        cases=(
            Case("floor: SET NX, DEL", lock_floor, kind="floor"),
            Case("ours", lock_ours, kind="ours", requires=OURS),
            Case("redis-py Lock", lock_redis),
        ),
        goals=(Goal("ours", "redis-py Lock", at_most=1.1),),
        metrics=("wall",),
    ),
)
