"""What belongs to one process: making caches, memory and its bounds, settings, health, metrics, hooks."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.cache import AsyncCache, Cache, CacheOptions, cache_from_settings, get_cache, measure_cache
from shared.cache._frame import Frame, FrameError, pack, unpack
from shared.cache._keys import Keys
from shared.cache._memory import Entry, MemoryTier
from shared.config import Settings, override_settings
from shared.database import Database, on_commit
from shared.errors import ConfigurationError, InvalidArgumentError
from shared.monitoring import Metrics, get_health_registry
from shared.runtime import Runtime, use


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("postgresql://app:hunter2@db/x", {}, ConfigurationError),
        ("nonsense", {}, ConfigurationError),
        ("memory://?size=3", {}, ConfigurationError),
        ("memory://?max_entries=many", {}, ConfigurationError),
        ("memory://", {"unknown": 1}, InvalidArgumentError),
        ("memory://", {"ttl": 0}, InvalidArgumentError),
        ("memory://", {"max_entries": -1}, InvalidArgumentError),
        ("memory://", {"jitter": 1.0}, InvalidArgumentError),
        ("memory://", {"namespace": "a b"}, InvalidArgumentError),
        ("redis://h", {"namespace": "a\r\nb"}, InvalidArgumentError),
    ],
)
def test_a_cache_that_cannot_be_made_says_why_without_a_secret(url, options, error):
    with pytest.raises(error) as caught:
        Cache(url, **options)

    assert "hunter2" not in str(caught.value)


def test_options_come_from_the_url_too():
    with Cache("memory://?max_entries=5&max_bytes=100000") as cache:
        assert (cache.core.options.max_entries, cache.core.options.max_bytes) == (5, 100_000)


def test_both_faces_share_what_they_know():
    with Cache.from_url("memory://") as cache:
        cache.set("a", 1)

        assert cache.aio.core is cache.core
        assert cache.aio is cache.aio
        assert AsyncCache.from_url("memory://").core is not cache.core


def test_a_closed_cache_may_be_closed_again():
    cache = Cache()
    cache.close()
    cache.close()

    assert cache.get("a") is None


# -- memory -----------------------------------------------------------------------------------


def tier(**options):
    return MemoryTier(**({"max_entries": 100, "max_bytes": 10**9, "clock": lambda: 0.0} | options))


def entry(payload=b"1", tags=()):
    return Entry(payload, stale_at=10.0, expires=10.0, checked_until=10.0, serializer="json", tags=tags)


@given(keys=st.lists(st.sampled_from("abcdefgh"), max_size=60), most=st.integers(0, 4))
def test_memory_never_holds_more_than_it_may(keys, most):
    memory = tier(max_entries=most, max_bytes=1200)

    for key in keys:
        memory.put(memory.expect(key), entry(b"x" * 100))
        memory.find(key, 0.0)

        assert len(memory) <= most
        assert memory.bytes <= 1200


def test_what_is_read_survives_what_is_not():
    memory = tier(max_entries=3)
    for key in "abc":
        memory.put(memory.expect(key), entry())
    memory.find("a", 0.0)

    for key in "de":
        memory.put(memory.expect(key), entry())

    assert memory.find("a", 0.0) is not None
    assert (len(memory), memory.evictions) == (3, 2)


def test_a_value_larger_than_the_memory_is_not_kept_and_pushes_nothing_out():
    memory = tier(max_bytes=1000)
    memory.put(memory.expect("a"), entry())

    stored = memory.put(memory.expect("b"), entry(b"x" * 2000))

    assert (stored, len(memory)) == (False, 1)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "drop", "tag", "clear"])), max_size=40)
)
def test_memory_counts_its_bytes_right(steps):
    memory = tier()
    for key, step in steps:
        if step == "put":
            memory.put(memory.expect(key), entry(b"x" * ord(key), tags=((key, b"1"),)))
        elif step == "drop":
            memory.discard([key])
        elif step == "tag":
            memory.discard_tags([key])
        else:
            memory.clear()

    total = memory.bytes
    memory.discard("abc")

    assert (memory.bytes, total >= 0, memory._by_tag) == (0, True, {})


def test_a_fill_that_was_overtaken_stores_nothing():
    memory = tier()
    fills = [memory.expect("a"), memory.expect("a")]
    memory.discard(["a"])

    stored = [memory.put(fill, entry()) for fill in fills]

    assert (stored, memory.put(memory.expect("a"), entry())) == ([False, False], True)


def test_memory_is_read_while_it_changes():
    memory = tier(max_entries=10)
    stop = threading.Event()
    wrong = []

    def read():
        while not stop.is_set():
            for key in "abcdefghijklmnop":
                found = memory.find(key, 0.0)
                if found is not None and found.payload != key.encode():
                    wrong.append(key)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        for key in "abcdefghijklmnop":
            memory.put(memory.expect(key), entry(key.encode()))
    stop.set()
    for thread in threads:
        thread.join()

    assert (wrong, len(memory)) == ([], 10)


# -- frames and keys --------------------------------------------------------------------------

TAGS = st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(min_size=8, max_size=8)), max_size=5)


@given(payload=st.binary(max_size=2000), tags=TAGS, over=st.integers(0, 2000), at=st.integers(0, 2**40))
def test_a_frame_comes_back(payload, tags, over, at):
    frame = Frame(payload, at / 1000, at / 1000 + 1, "json", tuple(tags))

    assert unpack(pack(frame, compress_over=over), max_bytes=10_000).payload == payload
    assert unpack(pack(frame, compress_over=over), max_bytes=10_000).tags == tuple(tags)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"\xc1" + data))
def test_any_bytes_are_a_frame_or_refused(data):
    try:
        frame = unpack(data, max_bytes=1000)
    except FrameError:
        return

    assert len(frame.payload) <= 1000


@given(one=st.text(min_size=1, max_size=400), other=st.text(min_size=1, max_size=400))
def test_two_keys_are_two_entries_of_bounded_length(one, other):
    keys = Keys("catalog")
    names = [keys.entry(key, "g") for key in (one, other)]

    assert (names[0] == names[1]) == (one == other)
    assert all(len(name) < 300 and name.count("{") == name.count("}") == 1 for name in names)
    assert all(name.isascii() and name.isprintable() and " " not in name for name in names)


def test_a_key_cannot_be_made_to_look_like_the_digest_of_another():
    keys = Keys("")
    long = "x" * 300
    imitation = keys.entry(long, "g").partition("{")[2].partition("}")[0]

    assert keys.entry(imitation, "g") != keys.entry(long, "g")


# -- the runtime ------------------------------------------------------------------------------


def test_settings_make_a_cache():
    settings = Settings(
        ENVIRONMENT="testing", CACHE_TTL_SECONDS=30, CACHE_NAMESPACE="shop", CACHE_MAX_ENTRIES=7
    )

    with cache_from_settings(settings) as cache:
        options = cache.core.options

    assert options == CacheOptions(namespace="shop", ttl=30.0, max_entries=7)


def test_the_runtime_owns_its_cache_and_measures_it():
    with use(Runtime("catalog")) as runtime, override_settings(ENVIRONMENT="testing"):
        cache = get_cache()

        assert cache is get_cache()
        assert "cache" not in get_health_registry().names
        runtime.close()
    assert cache._runner._closed


def test_a_dead_redis_degrades_the_service_and_does_not_fail_it():
    values = {"ENVIRONMENT": "testing", "CACHE_URL": "redis://127.0.0.1:1/0", "HEALTH_FAILURE_THRESHOLD": 1}
    with use(Runtime("catalog")) as runtime, override_settings(**values):
        get_cache()

        status, found = get_health_registry().report().status, get_cache().get_or_load("a", lambda: 1)
        runtime.close()

    assert (status, found) == ("degraded", 1)


def test_metrics_are_what_the_cache_counted():
    metrics = Metrics()
    with Cache(namespace="catalog") as cache:
        stop = measure_cache(cache, metrics, name="products")
        cache.get_or_load("a", lambda: 1)
        cache.get("a")
        stop()

    def value(result):
        return metrics.value("cache_lookups_total", {"cache_name": "products", "cache_result": result})

    assert (value("hit"), value("miss")) == (1.0, 1.0)
    assert metrics.value("cache_load_duration_seconds_count", {"cache_name": "products"}) == 1.0


# -- the database -----------------------------------------------------------------------------


def test_a_commit_takes_the_old_value_away_and_a_rollback_does_not():
    with Cache() as cache, Database("sqlite://") as db:
        cache.set("user:7", "old")
        with pytest.raises(LookupError), db.transaction() as session:
            on_commit(session, cache.invalidation("user:7"))
            raise LookupError
        seen = [cache.get("user:7")]

        with db.transaction() as session:
            on_commit(session, cache.invalidation("user:7", tags=["users"]))
            seen.append(cache.get("user:7"))

        assert [*seen, cache.get("user:7")] == ["old", "old", None]


async def test_an_asynchronous_commit_does_the_same():
    async with AsyncCache() as cache, Database("sqlite://") as db:
        await cache.set("user:7", "old")
        async with db.aio.transaction() as session:
            on_commit(session, cache.invalidation("user:7"))

        assert await cache.get("user:7") is None
