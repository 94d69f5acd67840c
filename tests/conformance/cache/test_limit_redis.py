"""The store of rate limits in Redis: one trip, the server's clock, a cluster, and a server that dies."""

import asyncio
import contextlib
import os
import socket
import subprocess
import threading
import time

import pytest

from shared.cache import (
    LimitTier,
    RateLimiter,
    RedisRateLimits,
    RedisReplays,
    StoredAnswer,
    rate_limit_store,
    redis_client,
)
from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.testing._binaries import find_redis
from shared.testing._redis import RedisServer

TIERS = (
    LimitTier("5/hour", name="a"),
    LimitTier("5/hour", name="b", algorithm="gcra"),
    LimitTier("5/hour", name="c", algorithm="sub_buckets"),
    LimitTier("5/day", name="d", algorithm="fixed_window"),
)


@pytest.fixture
def store(shared_redis):
    made = RedisRateLimits(shared_redis, prefix="orders:", timeout=30.0)
    yield made
    made.close()


def test_a_request_is_one_round_trip_however_many_tiers(store, shared_redis_client, monkeypatch):
    store.hit(TIERS, "warm")
    sent = []
    real = store._client.execute_command
    monkeypatch.setattr(store._client, "execute_command", lambda *a, **k: sent.append(a[0]) or real(*a, **k))

    for number in range(6):
        store.hit(TIERS, f"user-{number}")

    assert sent == ["EVALSHA"] * 6


def test_a_server_that_forgot_the_script_learns_it_again(store, shared_redis_client):
    store.hit(TIERS, "ann")
    shared_redis_client.script_flush()

    answer = store.hit(TIERS, "ann")

    assert [decision.remaining for decision in answer] == [3, 3, 3, 3]


def test_the_clock_of_the_caller_does_not_matter(store, monkeypatch):
    tier = LimitTier("3/hour")
    for _ in range(3):
        store.hit((tier,), "ann")
    for name in ("time", "monotonic", "time_ns"):
        real = getattr(time, name)
        monkeypatch.setattr(time, name, lambda real=real: real() + 7200)

    assert not store.hit((tier,), "ann")[0].allowed


def test_every_key_ends_when_its_permits_are_back(store, shared_redis_client):
    store.hit(TIERS, "ann")
    store.hit(TIERS, ("bob", "bob", "bob", "bob"))

    left = {key: shared_redis_client.pttl(key) / 1000 for key in shared_redis_client.keys()}

    assert len(left) == 8
    assert all(key.startswith(b"orders:limit:{") for key in left)
    assert all(0 < seconds <= 90_000 for seconds in left.values())


def test_the_log_of_a_window_holds_only_what_counts(store, shared_redis_client):
    tier = LimitTier("1000/50 seconds")

    for _ in range(30):
        store.hit((tier,), "ann")

    (key,) = shared_redis_client.keys()
    assert shared_redis_client.llen(key) == 30


def test_prefixes_are_kept_apart(shared_redis):
    stores = [RedisRateLimits(shared_redis, prefix=prefix, timeout=30.0) for prefix in ("a:", "b:")]

    answers = [store.hit((LimitTier("1/hour"),), "ann")[0].allowed for store in stores]

    assert answers == [True, True]
    for store in stores:
        store.close()


def test_each_event_loop_has_connections_of_its_own(store):
    async def ask() -> bool:
        try:
            return (await store.ahit((LimitTier("2/hour"),), "ann"))[0].allowed
        finally:
            await store.aclose()

    assert [asyncio.run(ask()) for _ in range(3)] == [True, True, False]


def test_a_forked_child_counts_with_its_parent(store):
    tier = LimitTier("2/hour")
    store.hit((tier,), "ann")

    child = os.fork()
    if child == 0:
        code = 9
        try:
            code = store.hit((tier,), "ann")[0].remaining
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert not store.hit((tier,), "ann")[0].allowed


def test_a_wrong_password_obeys_the_policy(shared_redis):
    url = "redis://:wrong@" + shared_redis.partition("@")[2]
    limiter = RateLimiter("login", "1/hour", store=url, on_failure="closed")

    verdict = limiter.hit("ann")

    assert (verdict.allowed, verdict.mode) == (False, "closed")
    with pytest.raises(ConfigurationError):
        limiter.store.hit(limiter.tiers, "ann")
    limiter.close()


# --- a server that hangs, dies and comes back ----------------------------------------------


@pytest.fixture
def silent():
    """An address that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_a_silent_server_costs_a_bounded_wait_and_then_none(silent):
    limiter = RateLimiter("search", "5/hour", store=silent, on_failure="open")

    started = time.monotonic()
    verdicts = [limiter.hit("ann") for _ in range(200)]
    took = time.monotonic() - started

    assert {(verdict.allowed, verdict.mode) for verdict in verdicts} == {(True, "open")}
    assert took < 10.0  # 200 waits of redis-py's own would be a quarter of an hour
    assert limiter.store.breaker.state == "OPEN"
    limiter.close()


def test_a_silent_server_does_not_hold_up_the_event_loop(silent):
    limiter = RateLimiter("search", "5/hour", store=silent)

    async def ask() -> list:
        try:
            return await asyncio.wait_for(
                asyncio.gather(*(limiter.ahit("ann") for _ in range(50))), timeout=30
            )
        finally:
            await limiter.aclose()

    verdicts = asyncio.run(ask())

    assert {verdict.mode for verdict in verdicts} == {"local"}
    assert sum(verdict.allowed for verdict in verdicts) == 5


def test_a_server_killed_under_load_is_replaced_by_local_memory_until_it_is_back():
    with RedisServer() as server:
        store = RedisRateLimits(server.url, timeout=5.0)
        limiter = RateLimiter("api", "40/day", store=store, instances=4)
        seen: list[tuple[str, bool]] = []
        end = threading.Event()

        def load() -> None:
            while not end.is_set():
                verdict = limiter.hit("everybody")
                seen.append((verdict.mode, verdict.allowed))
                time.sleep(0.001)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            _until(lambda: ("store", False) in seen)
            server.kill()
            _until(lambda: ("local", False) in seen)
            server.start()
            before = len(seen)
            _until(lambda: any(mode == "store" for mode, _ in seen[before:]))
        finally:
            end.set()
            for thread in threads:
                thread.join(30)
        store.close()

    assert seen.count(("local", True)) == 10  # a quarter of the limit in one of four instances
    assert 40 <= seen.count(("store", True)) <= 80  # the server that came back keeps nothing on disk


def test_a_dead_server_lets_nobody_in_when_the_policy_is_closed():
    with RedisServer() as server:
        limiter = RateLimiter("login", "100/hour", store=server.url, on_failure="closed")
        server.kill()

        with pytest.raises(ServiceUnavailableError) as caught:
            limiter.check("ann")

        assert caught.value.headers == {"Retry-After": "1"}
        limiter.close()


def _until(holds) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not happen within a minute"
        time.sleep(0.01)


# --- a cluster ---------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def cluster_of_one(folder):
    """A server that is a whole cluster: it refuses commands whose keys do not share a slot."""
    program = find_redis().found[0].program
    for _ in range(5):  # another process may take the ports meanwhile
        port, bus = _free_port(), _free_port()
        flags = ["--port", port, "--cluster-port", bus, "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        flags += ["--cluster-enabled", "yes", "--appendonly", "no"]
        server = subprocess.Popen([program, *map(str, flags)], stdout=subprocess.DEVNULL)
        try:
            with redis_client(f"redis://127.0.0.1:{port}/0", timeout=10.0) as client:
                end = time.monotonic() + 30
                while server.poll() is None and time.monotonic() < end:
                    with contextlib.suppress(Exception):
                        client.ping()
                        break
                    time.sleep(0.02)
                if server.poll() is not None:
                    continue
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                _until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
            yield f"redis+cluster://127.0.0.1:{port}"
            return
        finally:
            server.kill()
            server.wait(30)
    raise AssertionError("no cluster could be started")


def test_every_request_stays_in_one_slot_of_a_cluster(tmp_path):
    with cluster_of_one(tmp_path) as url:
        store = rate_limit_store(url, timeout=30.0)

        same = [store.hit(TIERS, f"user-{n}") for n in range(20)]
        mixed = [store.hit(TIERS, (f"a-{n}", f"b-{n}", "c", "d")) for n in range(5)]
        store.close()

        async def ask():
            try:
                return await store.ahit(TIERS, "user-1")
            finally:
                await store.aclose()

        again = asyncio.run(ask())

    assert all(decision.allowed for answer in same + mixed for decision in answer)
    assert [decision.remaining for decision in again] == [3, 3, 3, 3]


# --- answered requests ----------------------------------------------------------------------


def test_a_replay_is_one_round_trip_each_and_survives_a_script_flush(
    shared_redis, shared_redis_client, monkeypatch
):
    store = RedisReplays(shared_redis, prefix="orders:", timeout=30.0)
    sent = []
    real = store._client.execute_command
    store.abandon("s", "warm", store.begin("s", "warm", "f", lease=60.0).token)
    store.finish("s", "warm", "f", "t", None, ttl=60.0)
    monkeypatch.setattr(store._client, "execute_command", lambda *a, **k: sent.append(a[0]) or real(*a, **k))

    claim = store.begin("s", "k", "f", lease=60.0)
    store.finish("s", "k", "f", claim.token, StoredAnswer(201), ttl=60.0)
    again = store.begin("s", "k", "f", lease=60.0)
    shared_redis_client.script_flush()
    forgotten = store.begin("s", "k", "f", lease=60.0)
    store.close()

    assert sent == ["EVALSHA", "EVALSHA", "EVALSHA", "EVALSHA", "EVAL"]
    assert again.answer == forgotten.answer == StoredAnswer(201)
    assert all(key.startswith(b"orders:replay:") for key in shared_redis_client.keys())
