"""Every store of rate limits under a clock of the test's own, and on the real one."""

import itertools
from collections.abc import Callable

import pytest

from shared.cache import MemoryRateLimits, RedisRateLimits, SQLiteRateLimits, redis_client
from shared.cache._limit_lua import CLOCK, script_for
from tests.conformance.cache._face import Makes

STORES = ["memory", "sqlite", "redis"]
START = 1_700_000_000_000_000  # microseconds


class Timed:
    """A store and the hand on its clock, in microseconds."""

    def __init__(self, store, move: Callable[[int], object]) -> None:
        self.store = store
        self._move = move
        self._keys = itertools.count()
        self.now = START
        self.at(START)

    def at(self, now: int) -> None:
        """Let it be *now*, seen from START on."""
        self.now = now
        self._move(now)

    def wait(self, step: int) -> None:
        self.at(self.now + step)

    def key(self) -> str:
        """A key nobody has used."""
        return f"k{next(self._keys)}"


class RedisAtATime(RedisRateLimits):
    """The script reads a key of ours instead of the server's clock."""

    @staticmethod
    def _source(letters: str) -> str:
        script = script_for(letters)
        assert CLOCK in script
        return script.replace(CLOCK, "local now = tonumber(redis.call('GET', 'the-time'))")


class Hand:
    """Seconds for the stores that ask a function."""

    value = 0.0

    def __call__(self) -> float:
        return self.value

    def set(self, now: int) -> None:
        self.value = now / 1_000_000


@pytest.fixture(params=STORES)
def timed(request, tmp_path):
    """A store whose time stands still until the test moves it."""
    hand = Hand()
    if request.param == "memory":
        yield Timed(MemoryRateLimits(clock=hand), hand.set)
    elif request.param == "sqlite":
        store = SQLiteRateLimits(tmp_path / "limits.db", timeout=30.0, clock=hand)
        yield Timed(store, hand.set)
        store.close()
    else:
        url = request.getfixturevalue("shared_redis")
        store = RedisAtATime(url, timeout=30.0)
        with redis_client(url) as client:
            yield Timed(store, lambda now: client.set("the-time", now))
        store.close()


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """A store on the real clock."""
    if request.param == "memory":
        made = MemoryRateLimits()
    elif request.param == "sqlite":
        made = SQLiteRateLimits(tmp_path / "limits.db", timeout=30.0)
    else:
        made = RedisRateLimits(request.getfixturevalue("shared_redis"), timeout=30.0)
    yield made
    made.close()


@pytest.fixture(params=["memory", "redis"])
def cache_url(request):
    return "memory://" if request.param == "memory" else request.getfixturevalue("shared_redis")


@pytest.fixture(params=["sync", "async"])
def make(request, cache_url):
    """A function that makes caches over one store, behind one of the two faces."""
    makes = Makes(cache_url, is_async=request.param == "async")
    yield makes
    makes.close()


@pytest.fixture(params=["sync", "async"])
def make_remote(request, shared_redis):
    """As `make`, over Redis alone."""
    makes = Makes(shared_redis, is_async=request.param == "async")
    yield makes
    makes.close()
