"""Redis goes away, comes back, is slow, forgets, is told lies: the cache goes on, and is right afterwards."""

import os
import socket
import threading
import time

import pytest

from shared.cache import AsyncCache, Cache, _outage, measure_cache, redis_client
from shared.errors import InfrastructureError
from shared.monitoring import Metrics
from shared.resilience import CircuitBreaker
from shared.testing import RedisServer
from tests.conformance.cache._face import Face

WAIT = 30.0


@pytest.fixture
def server():
    with RedisServer() as made:
        yield made


def eager():
    """A breaker that asks a dead Redis again at once."""
    return CircuitBreaker("cache", failure_threshold=1000, recovery_timeout=0.01)


def recover(cache):
    """Use the cache until it believes Redis again."""
    give_up = time.monotonic() + WAIT
    while cache.core.outage.impaired:
        assert time.monotonic() < give_up
        cache.get("asks Redis")
        time.sleep(0.005)


def back(server):
    server.start()
    with redis_client(server.url, timeout=10.0) as client:
        assert client.ping()


def test_memory_serves_while_redis_is_away_and_no_call_raises(server):
    with Cache(server.url, timeout=2.0, subscribe=False, max_staleness=0.001) as cache:
        cache.set("a", 1)
        server.kill()
        time.sleep(0.002)  # the copy has to be older than may be served without asking

        seen = [cache.get("a"), cache.get("b"), cache.get_or_load("c", lambda: 3), cache.get_many(["a", "c"])]
        cache.set("d", 4)
        cache.invalidate_tags("t")
        gone = cache.delete("d")

        assert seen == [1, None, 3, {"a": 1, "c": 3}]
        assert (gone, cache.get("d")) == (1, None)
        assert cache.stats().deferred >= 3
        with pytest.raises(InfrastructureError):
            cache.check()


async def test_the_asynchronous_face_goes_on_as_well(server):
    async with AsyncCache(server.url, timeout=2.0, subscribe=False, max_staleness=0.001) as cache:
        await cache.set("a", 1)
        server.kill()

        found = await cache.get("a"), await cache.get_or_load("c", lambda: 3)
        await cache.set("d", 4)

        assert (found, await cache.get("d")) == ((1, 3), 4)
        with pytest.raises(InfrastructureError):
            await cache.check()


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: cache.delete("a"),
        lambda cache: cache.invalidate_tags("t"),
        lambda cache: cache.clear(),
        lambda cache: cache.set("a", "new"),
        lambda cache: [cache.delete(str(number)) for number in range(11)] and cache.delete("a"),
    ],
    ids=["delete", "tag", "clear", "set", "more than is remembered"],
)
def test_a_change_made_while_redis_could_not_be_reached_holds_when_it_can(shared_redis, change, monkeypatch):
    monkeypatch.setattr(_outage, "_MOST", 10)
    with Proxy(shared_redis) as way, Cache(shared_redis, timeout=10.0, subscribe=False) as other:
        with Cache(way.url, breaker=eager(), timeout=10.0, subscribe=False) as cache:
            cache.set("a", "old", tags=["t"])
            way.cut()

            change(cache)
            way.mend()
            found = [cache.get("a")]
            recover(cache)
            found.append(cache.get("a"))

            assert "old" not in found
            assert other.get("a") in {None, "new"}


def test_what_others_changed_meanwhile_is_not_served_from_memory_afterwards(shared_redis):
    with Proxy(shared_redis) as way, Cache(shared_redis, timeout=10.0, subscribe=False) as other:
        with Cache(way.url, breaker=eager(), timeout=10.0, subscribe=False, max_staleness=600.0) as cache:
            cache.set("a", "old")
            way.cut()
            assert cache.get("unknown") is None
            other.set("a", "new")
            way.mend()
            recover(cache)

            assert cache.get("a") == "new"


def test_a_redis_that_restarts_empty_is_filled_again(server):
    with Cache(server.url, breaker=eager(), timeout=10.0, subscribe=False) as cache:
        cache.set("a", 1, tags=["t"])
        server.kill()
        cache.get("b")
        back(server)
        recover(cache)

        assert [cache.get_or_load("a", lambda: 2, tags=["t"]) for _ in range(2)] == [2, 2]
        cache.core.memory.clear()
        assert cache.get("a") == 2


def test_a_slow_redis_costs_the_timeout_and_then_nothing(shared_redis):
    with Proxy(shared_redis) as way:
        breaker = CircuitBreaker("cache", failure_threshold=3, recovery_timeout=600.0)
        with Cache(way.url, breaker=breaker, timeout=0.05, subscribe=False) as cache:
            way.stall()
            began = time.monotonic()

            found = [cache.get_or_load(f"k{number}", lambda: 1) for number in range(200)]

            assert found == [1] * 200
            # Three waits at most are met before the breaker opens; 200 would take ten seconds.
            assert time.monotonic() - began < 5.0
            assert breaker.state.value == "OPEN"


def work_until(ended, cache, errors, slowest):
    """Use the cache in every way until *ended*; note what is raised and how long a call took at most."""
    number = 0
    while not ended.is_set():
        number += 1
        key = f"k{number % 20}"
        calls = (
            lambda key=key: cache.get(key),
            lambda key=key, number=number: cache.set(key, number, tags=["t"]),
            lambda key=key, number=number: cache.get_or_load(key, lambda: number, tags=["t"]),
            lambda key=key: cache.delete(key),
            lambda: cache.invalidate_tags("t"),
            lambda: cache.get_many(["k1", "k2", "unknown"]),
        )
        began = time.monotonic()
        try:
            calls[number % len(calls)]()
        except Exception as error:
            errors.append(error)
        slowest[0] = max(slowest[0], time.monotonic() - began)


@pytest.mark.parametrize("trouble", ["killed and started again", "cut and mended", "stalled"])
def test_trouble_under_load_reaches_no_caller(server, trouble):
    errors, slowest, ended = [], [0.0], threading.Event()
    with Proxy(server.url) as way, Cache(way.url, timeout=0.2) as cache:
        threads = [
            threading.Thread(target=work_until, args=(ended, cache, errors, slowest)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                if trouble == "stalled":
                    way.stall()
                    time.sleep(0.3)  # the trouble has to last for some calls
                    way.flow()
                elif trouble == "cut and mended":
                    way.cut()
                    time.sleep(0.1)
                    way.mend()
                else:
                    server.kill()
                    time.sleep(0.1)
                    server.start()
                time.sleep(0.1)
        finally:
            ended.set()
            for thread in threads:
                thread.join(WAIT)
        recover(cache)
        cache.set("a", "afterwards")

        assert errors == []
        assert slowest[0] < WAIT  # nobody hangs
        assert cache.get("a") == "afterwards"
        cache.check()


@pytest.mark.parametrize("kind", [Cache, AsyncCache], ids=["sync", "async"])
def test_a_wrong_password_is_not_the_callers_error_and_is_told_by_the_check(shared_redis, kind):
    import asyncio

    wrong = str(shared_redis).replace("//:", "//:wrong", 1) if "@" in str(shared_redis) else None
    if wrong is None:
        with RedisServer() as server:
            check_login(kind, str(server.url).replace("//:", "//:wrong", 1), asyncio)
    else:
        check_login(kind, wrong, asyncio)


def check_login(kind, url, asyncio):
    with asyncio.Runner() as runner:
        face = Face(kind(url, timeout=10.0, subscribe=False), runner)
        assert face.get_or_load("a", lambda: 1) == 1
        with pytest.raises(InfrastructureError) as caught:
            face.check()
        face.close()

    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "stored", [b"", b"\xc1", b"{}", b"\xc1\x01" + bytes(16) + b"\x00" + b"not zlib", b"\xc1\xff" * 40, os.urandom(64)],
    ids=["empty", "cut", "json", "not compressed", "flags", "noise"],
)  # fmt: skip
def test_bytes_of_a_stranger_are_a_miss(shared_redis, stored):
    with (
        Cache(shared_redis, timeout=10.0, subscribe=False) as cache,
        redis_client(shared_redis, timeout=10.0) as client,
    ):
        cache.set("a", 1)
        [entry] = client.keys("cache:*{a}")
        client.set(entry, stored)
        cache.core.memory.clear()

        assert (cache.get("a"), cache.get_many(["a"]), cache.get_or_load("a", lambda: 2)) == (None, {}, 2)


def test_a_key_of_another_type_is_a_miss(shared_redis):
    with (
        Cache(shared_redis, timeout=10.0, subscribe=False) as cache,
        redis_client(shared_redis, timeout=10.0) as client,
    ):
        cache.set("a", 1)
        [entry] = client.keys("cache:*{a}")
        client.delete(entry)
        client.lpush(entry, "x")
        cache.core.memory.clear()

        assert cache.get_or_load("a", lambda: 2) == 2


def test_a_small_entry_does_not_unpack_to_more_than_a_value_may_be(shared_redis):
    with (
        Cache(shared_redis, timeout=10.0, subscribe=False, max_value_bytes=10_000_000) as generous,
        Cache(shared_redis, timeout=10.0, subscribe=False, max_value_bytes=1000) as careful,
    ):
        generous.set("a", "x" * 5_000_000)

        assert careful.get("a", "nothing") == "nothing"


# -- coherence of several processes' memories -------------------------------------------------


def two(url, **options):
    return (
        Cache(url, timeout=10.0, max_staleness=600.0, **options),
        Cache(url, timeout=10.0, max_staleness=600.0, **options),
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: cache.set("a", "new"),
        lambda cache: cache.delete("a"),
        lambda cache: cache.invalidate_tags("t"),
        lambda cache: cache.clear(),
    ],
    ids=["set", "delete", "tag", "clear"],
)
def test_a_change_reaches_the_memory_of_other_processes(shared_redis, change):
    mine, theirs = two(shared_redis)
    with mine, theirs:
        mine.set("a", "old", tags=["t"])
        assert theirs.get("a") == "old"
        heard = threading.Event()
        take = theirs.core.heard
        theirs.core.heard = lambda kind, names: (take(kind, names), heard.set())
        listening(theirs, shared_redis)

        change(mine)

        assert heard.wait(WAIT)
        assert theirs.get("a") in {None, "new"}


def listening(cache, url):
    with redis_client(url, timeout=10.0) as client:
        channel = cache.core.remote.keys.channel
        give_up = time.monotonic() + WAIT
        while dict(client.pubsub_numsub(channel))[channel.encode()] < 2:
            assert time.monotonic() < give_up
            time.sleep(0.01)


def test_without_messages_a_copy_is_served_for_its_bound_and_no_longer(shared_redis):
    from tests.conformance.cache._face import Hand

    clock = Hand()
    with (
        Cache(shared_redis, timeout=10.0, subscribe=False) as mine,
        Cache(shared_redis, timeout=10.0, subscribe=False, max_staleness=5.0, clock=clock) as theirs,
    ):
        mine.set("a", "old")
        seen = [theirs.get("a")]
        mine.set("a", "new")
        clock.wait(4.9)
        seen.append(theirs.get("a"))
        clock.wait(0.2)

        assert [*seen, theirs.get("a")] == ["old", "old", "new"]


def test_noise_on_the_channel_is_ignored(shared_redis):
    with Cache(shared_redis, timeout=10.0) as cache, redis_client(shared_redis, timeout=10.0) as client:
        cache.set("a", 1)
        for noise in (b"", b"{", b"[1]", b'["x","keys",7]', b'["x","keys",["a",7]]', b'["x","unknown",[]]'):
            client.publish(cache.core.remote.keys.channel, noise)

        assert cache.get("a") == 1


class Proxy:
    """A way to Redis that can be cut, stalled and mended."""

    def __init__(self, url):
        from urllib.parse import urlsplit

        parts = urlsplit(str(url))
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        port = self._listener.getsockname()[1]
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        self.url = f"redis://{login}127.0.0.1:{port}{parts.path}"
        self._open, self._pass = threading.Event(), threading.Event()
        self._open.set()
        self._pass.set()
        self._ended = threading.Event()
        self._sockets, self._threads = [], []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def cut(self):
        self._open.clear()
        for each in self._sockets:
            shut(each)

    def mend(self):
        self._open.set()

    def stall(self):
        self._pass.clear()

    def flow(self):
        self._pass.set()

    def _accept(self):
        while not self._ended.is_set():
            try:
                ours, _ = self._listener.accept()
            except TimeoutError:
                continue
            if not self._open.is_set():
                ours.close()
                continue
            try:
                theirs = socket.create_connection(self._target)
            except OSError:
                ours.close()
                continue
            self._sockets += [ours, theirs]
            for one, other in ((ours, theirs), (theirs, ours)):
                thread = threading.Thread(target=self._pump, args=(one, other))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source, target):
        while True:
            try:
                data = source.recv(65536)
                self._pass.wait(WAIT)
                if not data:
                    break
                target.sendall(data)
            except OSError:
                break
        shut(source)
        shut(target)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._pass.set()
        self._accepting.join(WAIT)
        self.cut()
        for thread in self._threads:
            thread.join(WAIT)
        for each in [*self._sockets, self._listener]:
            each.close()


def shut(which):
    try:
        which.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


async def test_round_trips_to_redis_are_timed_from_both_faces(shared_redis):
    metrics = Metrics()
    with Cache(shared_redis, timeout=10.0, subscribe=False) as cache:
        stop = measure_cache(cache, metrics, name="products")
        cache.get("a")
        sync = metrics.value("cache_remote_duration_seconds_count", {"cache_name": "products"})
        await cache.aio.get("a")
        stop()
        await cache.aio.close()

    both = metrics.value("cache_remote_duration_seconds_count", {"cache_name": "products"})
    assert 0 < sync < both
