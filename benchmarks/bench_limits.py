"""Rate limits: one decision in memory and in Redis, and one limited request over HTTP."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks import _apps
from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import AsgiDriver, WsgiDriver, check

# Never reached: what is measured is the decision that every request pays for.
PERMITS, SECONDS = 1000, 0.01
LIMIT = f"{PERMITS} per {SECONDS} seconds"
OURS = "ours, sliding window"
KEYS = 100


def _turns(operation: Callable[[str], Any]) -> Run:
    """Ask for one of a hundred keys after the other."""
    keys = [f"203.0.113.{number}" for number in range(KEYS)]
    for key in keys:
        operation(key)

    def run(loops: int) -> None:
        for number in range(loops):
            operation(keys[number % KEYS])

    return run


def _timed(operation: Callable[[], Any]) -> Run:
    """As `looped`, by the clock on the wall: the work is done in another process."""

    def run(loops: int) -> tuple[float]:
        began = time.perf_counter()
        for _ in range(loops):
            operation()
        return ((time.perf_counter() - began) / loops,)

    return run


# --- memory --------------------------------------------------------------------------------


@contextlib.contextmanager
def bare_log() -> Iterator[Run]:
    """A deque of moments for each key: no lock, no bound, no answer for the headers."""
    logs: dict[str, deque[float]] = {}

    def hit(key: str) -> bool:
        now = time.monotonic()
        log = logs.get(key)
        if log is None:
            log = logs[key] = deque()
        while log and log[0] <= now - SECONDS:
            log.popleft()
        if len(log) >= PERMITS:
            return False
        log.append(now)
        return True

    yield _turns(hit)


@contextlib.contextmanager
def ours_in_memory(algorithm: str) -> Iterator[Run]:
    from shared.cache import RateLimiter

    limiter = RateLimiter("bench", LIMIT, algorithm=algorithm)
    verdict = limiter.hit("probe")
    check(verdict.decisions[0].limit == PERMITS, "the answer lacks what headers need")
    check(not RateLimiter("probe", "1/hour").hit("probe", 2).allowed, "nothing is refused")
    yield _turns(limiter.hit)


@contextlib.contextmanager
def limits_in_memory(strategy: str, *, stats: bool) -> Iterator[Run]:
    import limits

    storage = limits.storage.MemoryStorage()
    limiter = getattr(limits.strategies, strategy)(storage)
    # Its shortest period is a second.
    item = limits.RateLimitItemPerSecond(10_000_000)

    def hit(key: str) -> None:
        limiter.hit(item, key)
        if stats:
            limiter.get_window_stats(item, key)

    yield _turns(hit)


# --- Redis ---------------------------------------------------------------------------------


@contextlib.contextmanager
def _redis() -> Iterator[str]:
    from shared.testing import RedisServer

    with RedisServer() as server:
        yield str.__str__(server.url)


@contextlib.contextmanager
def ping() -> Iterator[Run]:
    from shared.cache import redis_client

    with _redis() as url, redis_client(url) as client:
        check(client.ping(), "no answer")
        yield _timed(client.ping)


@contextlib.contextmanager
def ours_in_redis(limits: str, algorithm: str) -> Iterator[Run]:
    from shared.cache import RateLimiter, RedisRateLimits

    with _redis() as url:
        store = RedisRateLimits(url, timeout=5.0)
        limiter = RateLimiter("bench", limits, store=store, algorithm=algorithm)
        check(limiter.hit("probe").mode == "store", "the store did not answer")
        yield _timed(lambda: limiter.hit("203.0.113.9"))
        store.close()


@contextlib.contextmanager
def limits_in_redis(strategy: str, *, stats: bool) -> Iterator[Run]:
    import limits

    with _redis() as url:
        storage = limits.storage.RedisStorage(url)
        limiter = getattr(limits.strategies, strategy)(storage)
        item = limits.RateLimitItemPerMinute(1000)

        def hit() -> None:
            limiter.hit(item, "203.0.113.9")
            if stats:
                limiter.get_window_stats(item, "203.0.113.9")

        yield _timed(hit)


# --- HTTP ----------------------------------------------------------------------------------


@contextlib.contextmanager
def _driven(driver: type, app: Any, header: str | None) -> Iterator[Run]:
    made = driver(app, _apps.PATH)
    try:
        status, headers, _ = made.request()
        check(status == 200, f"status {status}")
        check(header is None or header in headers, f"no {header}")
        yield made.run
    finally:
        made.close()


@contextlib.contextmanager
def bare(driver: type, make: Callable[[], Any]) -> Iterator[Run]:
    with _driven(driver, make(), None) as run:
        yield run


@contextlib.contextmanager
def ours_over_http(driver: type, make: Callable[[], Any], *, limited: bool) -> Iterator[Run]:
    from shared.api import LayerOptions, RateLimits

    app = make()
    face = _face(app)
    options = LayerOptions(access_log=False, security_headers="off", trace=False)
    jobs = [RateLimits("1000000/second by client using gcra")] if limited else []
    face.install_layer(app, options, jobs=jobs)
    with _driven(driver, app, "ratelimit" if limited else None) as run:
        yield run
    face.uninstall(app)


def _face(app: Any) -> Any:
    from importlib import import_module

    return import_module(f"shared.api.{type(app).__module__.partition('.')[0]}")


@contextlib.contextmanager
def slowapi_over_http() -> Iterator[Run]:
    from slowapi import Limiter
    from slowapi.middleware import SlowAPIASGIMiddleware
    from slowapi.util import get_remote_address
    from starlette.middleware import Middleware

    app = _apps.starlette([Middleware(SlowAPIASGIMiddleware)])
    app.state.limiter = Limiter(
        get_remote_address, default_limits=["1000000/second"], headers_enabled=True, strategy="moving-window"
    )
    with _driven(AsgiDriver, app, "x-ratelimit-limit") as run:
        yield run


@contextlib.contextmanager
def flask_limiter_over_http() -> Iterator[Run]:
    from flask_limiter import Limiter
    from flask_limiter.util import get_remote_address

    app = _apps.flask()
    Limiter(
        get_remote_address, app=app, default_limits=["1000000/second"], headers_enabled=True,
        storage_uri="memory://", strategy="moving-window",
    )  # fmt: skip
    with _driven(WsgiDriver, app, "x-ratelimit-limit") as run:
        yield run


WITH_STATS = "limits, moving window, with stats"
MEMORY = Table(
    name="limit",
    title="one decision in memory, with what the headers need",
    base="bare log of moments",
    cases=(
        Case("bare log of moments", bare_log, kind="floor"),
        Case(OURS, partial(ours_in_memory, "sliding_window"), kind="ours", requires=("shared.cache",)),
        Case("ours, GCRA", partial(ours_in_memory, "gcra"), kind="ours", requires=("shared.cache",)),
        Case(
            "ours, sub-buckets",
            partial(ours_in_memory, "sub_buckets"),
            kind="ours",
            requires=("shared.cache",),
        ),
        Case(
            "ours, fixed window",
            partial(ours_in_memory, "fixed_window"),
            kind="ours",
            requires=("shared.cache",),
        ),
        Case(
            "limits, moving window, without stats",
            partial(limits_in_memory, "MovingWindowRateLimiter", stats=False),
            requires=("limits",),
        ),
        Case(
            WITH_STATS, partial(limits_in_memory, "MovingWindowRateLimiter", stats=True), requires=("limits",)
        ),
        Case(
            "limits, sliding counter, with stats",
            partial(limits_in_memory, "SlidingWindowCounterRateLimiter", stats=True),
            requires=("limits",),
        ),
        Case(
            "limits, fixed window, with stats",
            partial(limits_in_memory, "FixedWindowRateLimiter", stats=True),
            requires=("limits",),
        ),
    ),
    goals=(
        Goal(OURS, WITH_STATS, at_least=8.0),
        Goal(OURS, "limits, sliding counter, with stats", at_least=8.0),
    ),
)

REDIS = Table(
    name="limit-redis",
    title="one decision in Redis, with what the headers need",
    base="PING",
    cases=(
        Case("PING", ping, kind="floor", requires=("redis",)),
        Case(OURS, partial(ours_in_redis, "1000/minute", "sliding_window"), kind="ours", requires=("redis",)),
        Case("ours, GCRA", partial(ours_in_redis, "1000/minute", "gcra"), kind="ours", requires=("redis",)),
        Case(
            "ours, three tiers in one decision",
            partial(ours_in_redis, "1000/minute; 5000/hour; 9000/day", "sliding_window"),
            kind="ours",
            requires=("redis",),
        ),
        Case(
            "limits, moving window, without stats",
            partial(limits_in_redis, "MovingWindowRateLimiter", stats=False),
            requires=("limits", "redis"),
        ),
        Case(
            WITH_STATS,
            partial(limits_in_redis, "MovingWindowRateLimiter", stats=True),
            requires=("limits", "redis"),
        ),
    ),
    goals=(Goal(OURS, "PING", at_most=1.5), Goal("ours, GCRA", "PING", at_most=1.5)),
    metrics=("wall",),
)

HTTP = Table(
    name="limit-http",
    title="one limited request in process, with RateLimit fields",
    base="bare Starlette",
    cases=(
        Case("bare Starlette", partial(bare, AsgiDriver, _apps.starlette), kind="floor"),
        Case(
            "ours, the layer without limits",
            partial(ours_over_http, AsgiDriver, _apps.starlette, limited=False),
            kind="ours",
            requires=("shared.api",),
        ),
        Case(
            "ours, limited",
            partial(ours_over_http, AsgiDriver, _apps.starlette, limited=True),
            kind="ours",
            requires=("shared.api",),
        ),
        Case("slowapi", slowapi_over_http, requires=("slowapi",)),
        Case("bare Flask", partial(bare, WsgiDriver, _apps.flask), kind="floor"),
        Case(
            "ours, limited, Flask",
            partial(ours_over_http, WsgiDriver, _apps.flask, limited=True),
            kind="ours",
            requires=("shared.api",),
        ),
        Case("flask-limiter", flask_limiter_over_http, requires=("flask_limiter",)),
    ),
    goals=(
        Goal("ours, limited", "slowapi", at_least=3.0, floor="bare Starlette"),
        Goal("ours, limited, Flask", "flask-limiter", at_least=3.0, floor="bare Flask"),
    ),
)

TABLES = (MEMORY, REDIS, HTTP)
