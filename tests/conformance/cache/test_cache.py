"""What holds for every cache: in memory and over Redis, synchronous and asynchronous."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cache import CacheStats, MsgpackSerializer
from shared.errors import InvalidArgumentError
from shared.logging import capture_logs
from tests.conformance.cache._face import Hand

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=10,
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, value=JSON)
def test_what_was_set_comes_back_under_any_key(make, key, value):
    cache = make()

    cache.set(key, value)

    assert cache.get(key, "nothing") == value


def test_an_unknown_key_gives_the_default(make):
    cache = make()

    assert (cache.get("a"), cache.get("a", 7)) == (None, 7)


def test_a_returned_mutable_is_nobody_elses(make):
    cache = make()
    given_value = {"tags": ["new"]}
    cache.set("product", given_value)

    given_value["tags"].append("changed by the writer")
    cache.get("product")["tags"].append("changed by a reader")

    assert cache.get("product") == {"tags": ["new"]}


def test_what_a_loader_returned_is_nobody_elses(make):
    cache = make()
    loaded = []

    first = cache.get_or_load("list", lambda: loaded)
    first.append("changed by a reader")

    assert cache.get("list") == []


def test_the_first_caller_sees_the_type_the_others_see(make):
    cache = make()

    assert [cache.get_or_load("pair", lambda: (1, 2)) for _ in range(2)] == [[1, 2], [1, 2]]


def test_get_many_gives_those_that_exist(make):
    cache = make()
    cache.set_many({"a": 1, "b": 2})

    assert cache.get_many(["a", "b", "c", "a"]) == {"a": 1, "b": 2}


def test_delete_takes_away_and_says_how_many_were_there(make):
    cache = make()
    cache.set_many({"a": 1, "b": 2})

    assert (cache.delete("a", "b", "c"), cache.get_many(["a", "b"])) == (2, {})


def test_a_tag_takes_away_what_was_stored_with_it_and_nothing_else(make):
    cache = make()
    cache.set("a", 1, tags=["catalog", "lamps"])
    cache.set("b", 2, tags=["catalog"])
    cache.set("c", 3)

    cache.invalidate_tags("lamps")

    assert cache.get_many(["a", "b", "c"]) == {"b": 2, "c": 3}


def test_what_is_stored_after_its_tag_was_invalidated_stays(make):
    cache = make()
    cache.invalidate_tags("catalog")

    cache.set("a", 1, tags=["catalog"])

    assert cache.get("a") == 1


def test_clear_takes_everything_of_this_namespace_away(make):
    cache, other = make(namespace="one"), make(namespace="two")
    cache.set("a", 1)
    other.set("a", 2)

    cache.clear()

    assert (cache.get("a"), other.get("a")) == (None, 2)


def test_namespaces_do_not_meet(make):
    one, two = make(namespace="one"), make(namespace="two")

    one.set("a", 1)

    assert two.get("a") is None


def test_a_loader_is_called_once_and_again_after_the_key_is_taken_away(make):
    cache = make()
    calls = []
    load = lambda: calls.append(1) or len(calls)  # noqa: E731

    first = [cache.get_or_load("a", load) for _ in range(3)]
    cache.delete("a")

    assert (first, cache.get_or_load("a", load)) == ([1, 1, 1], 2)


def test_a_failed_load_is_its_callers_and_is_not_kept(make):
    cache = make()

    def broken():
        raise LookupError("no such product")

    for _ in range(2):
        with pytest.raises(LookupError, match="no such product"):
            cache.get_or_load("a", broken)

    assert cache.get_or_load("a", lambda: 5) == 5
    assert cache.stats().load_failures == 2


@pytest.mark.parametrize(("negative_ttl", "loads"), [(None, 3), (30.0, 1)])
def test_none_is_kept_only_when_asked_to(make, negative_ttl, loads):
    cache = make()
    calls = []

    found = [cache.get_or_load("a", lambda: calls.append(1), negative_ttl=negative_ttl) for _ in range(3)]

    assert (found, len(calls)) == ([None] * 3, loads)


def test_an_invalidation_during_a_load_wins(make):
    cache = make()

    def load():
        changes_of_another_thread(cache)(("a",), ())
        return "read before the change"

    cache.get_or_load("a", load)

    assert cache.get("a") is None


def test_a_tag_invalidated_during_a_load_wins(make):
    cache = make()

    def load():
        changes_of_another_thread(cache)((), ("catalog",))
        return "read before the change"

    cache.get_or_load("a", load, tags=["catalog"])

    assert cache.get("a") is None


def changes_of_another_thread(face):
    """Take keys and tags away at once, as a hook of a commit does, from either face."""
    return face.cache._runner.invalidate


@pytest.fixture
def aging(make):
    """A cache on a clock that the test moves, also where Redis keeps the entries."""
    clock = Hand()
    cache = make(clock=clock)
    cache.core.wall = clock
    return cache, clock


def test_an_old_entry_is_served_in_its_stale_time_while_one_new_value_is_loaded(aging):
    cache, clock = aging
    values = iter(range(10))
    load = lambda: next(values)  # noqa: E731
    cache.get_or_load("a", load, ttl=10.0, stale=60.0)
    clock.wait(20.0)

    served = [cache.get_or_load("a", load, ttl=10.0, stale=60.0)]
    cache.settle()

    served.append(cache.get_or_load("a", load, ttl=10.0, stale=60.0))
    assert (served, cache.stats().loads, cache.stats().stale_hits) == ([0, 1], 2, 1)


def test_a_refresh_that_fails_leaves_the_old_value(aging):
    cache, clock = aging

    def broken():
        raise LookupError

    cache.get_or_load("a", lambda: 0, ttl=10.0, stale=60.0)
    clock.wait(20.0)

    served = []
    with capture_logs() as lines:
        for _ in range(2):
            served.append(cache.get_or_load("a", broken, ttl=10.0, stale=60.0))
            cache.settle()

    assert (served, cache.stats().load_failures) == ([0, 0], 2)
    told = [(line["event"], line["error_type"]) for line in lines]
    assert told == [("cache refresh failed", "LookupError")] * 2


def test_an_entry_ends_with_its_time(make):
    clock = Hand()
    cache = make("memory://", clock=clock)
    cache.core.wall = clock
    cache.set("a", 1, ttl=10.0)

    seen = [cache.get("a")]
    clock.wait(10.0)

    assert [*seen, cache.get("a")] == [1, None]


@pytest.mark.parametrize(
    "call",
    [
        lambda cache: cache.get(""),
        lambda cache: cache.get(7),
        lambda cache: cache.get("\ud800"),
        lambda cache: cache.set("a", {1: 2}),
        lambda cache: cache.set("a", object()),
        lambda cache: cache.set("a", "\ud800"),
        lambda cache: cache.set("a", 2**70),
        lambda cache: cache.set("a", 1, ttl=0),
        lambda cache: cache.set("a", 1, ttl=float("nan")),
        lambda cache: cache.set("a", 1, ttl="60"),
        lambda cache: cache.set("a", 1, tags="catalog"),
        lambda cache: cache.set("a", 1, tags=[""]),
        lambda cache: cache.set("a", 1, tags=["x" * 256]),
        lambda cache: cache.set("a", 1, tags=[str(number) for number in range(65)]),
        lambda cache: cache.set("a", "x" * 2_000_000),
        lambda cache: cache.get_or_load("a", lambda: 1, stale=-1.0),
        lambda cache: cache.get_or_load("a", lambda: object()),
    ],
    ids=[
        "empty key", "number as key", "surrogate in key", "number as name", "object", "surrogate in value",
        "huge integer", "ttl zero", "ttl nan", "ttl text", "one text as tags", "empty tag", "long tag",
        "many tags", "large value", "negative stale", "loaded object",
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_nothing_is_stored(make, call):
    cache = make()

    with pytest.raises(InvalidArgumentError):
        call(cache)

    assert cache.get("a") is None


def test_a_loaded_value_too_large_to_keep_is_returned_all_the_same(make):
    cache = make(max_value_bytes=100)

    found = cache.get_or_load("a", lambda: "x" * 1000)

    assert (found, cache.get("a"), cache.stats().too_large) == ("x" * 1000, None, 1)


def test_msgpack_gives_bytes_back(make):
    cache = make(serializer=MsgpackSerializer())

    cache.set("thumbnail", b"\x89PNG")

    assert cache.get("thumbnail") == b"\x89PNG"


def test_bytes_of_another_serializer_are_a_miss(make):
    json, msgpack = make(), make(serializer=MsgpackSerializer())
    json.set("a", 7)

    assert msgpack.get("a", "nothing") == "nothing"


def test_a_long_value_is_compressed_and_comes_back(make):
    cache = make(compress_over=100)
    value = ["the same words"] * 1000

    cache.set("a", value)
    cache.core.memory.clear()

    assert cache.get("a") == (value if cache.core.remote is not None else None)


def test_counts_tell_hits_from_misses(make):
    cache = make()
    cache.set("a", 1)

    for key in "aaab":
        cache.get(key)

    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.hit_rate, stats.sets) == (3, 1, 0.75, 1)
    assert CacheStats().hit_rate == 0.0
