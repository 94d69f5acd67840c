"""Every rule of a record store against every engine, synchronous and asynchronous."""

import asyncio
import inspect
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.auth import (
    AsyncMemoryRecordStore,
    AsyncRedisRecordStore,
    AsyncSqlRecordStore,
    MemoryRecordStore,
    Record,
    RedisRecordStore,
    SqlRecordStore,
)
from shared.database import Base, Database, tables_of
from shared.errors import ServiceUnavailableError, SharedError

# Redis ends records by its own clock: the moments of the tests lie ahead of it, however
# long the run takes, and what has to be over lies far behind.
NOW = float(int(time.time())) + 864_000
PAST = 1_700_000_000.0
ENGINES = ("memory", "sqlite", "postgresql", "redis")


class Awaited:
    """The asynchronous store, asked as the synchronous one is."""

    def __init__(self, store):
        self._store = store
        self._runner = asyncio.Runner()

    def __getattr__(self, name):
        method = getattr(self._store, name)

        def call(*args, **kwargs):
            return self._runner.run(method(*args, **kwargs))

        return call

    def end(self, *closing):
        for close in closing:
            self._runner.run(close())
        self._runner.close()


@pytest.fixture(params=[f"{engine} {kind}" for engine in ENGINES for kind in ("sync", "async")])
def store(request, tmp_path):
    engine, kind = request.param.split()
    if engine == "memory":
        yield from memory(kind)
    elif engine == "redis":
        yield from redis(kind, request.getfixturevalue("shared_redis"))
    else:
        url = f"sqlite:///{tmp_path}/a.db"
        if engine == "postgresql":
            url = request.getfixturevalue("shared_postgres_database")()
        yield from sql(kind, url)


def memory(kind):
    if kind == "sync":
        yield MemoryRecordStore()
    else:
        made = Awaited(AsyncMemoryRecordStore())
        yield made
        made.end()


def redis(kind, url):
    if kind == "sync":
        made = RedisRecordStore(url, "session")
        yield made
        made.close()
    else:
        inner = AsyncRedisRecordStore(url, "session")
        made = Awaited(inner)
        yield made
        made.end(inner.close)


def sql(kind, url):
    database = Database(url)
    Base.metadata.create_all(database.engine, tables=tables_of("auth"))
    if kind == "sync":
        yield SqlRecordStore(database, "session")
        database.close()
    else:
        made = Awaited(AsyncSqlRecordStore(database, "session"))
        yield made
        made.end(database.aclose)


def record(record_id="r-1", owner="u-1", data=None, **changes):
    facts = {"created_at": NOW, "expires_at": NOW + 600, **changes}
    return Record(record_id, owner, {"a": [1, None, "é"]} if data is None else data, **facts)


def test_what_was_inserted_comes_back(store):
    assert store.insert(record(touched_at=NOW + 1.5), now=NOW) is True

    assert store.get("r-1", now=NOW) == record(touched_at=NOW + 1.5)


def test_nothing_comes_back_for_an_unknown_id(store):
    assert store.get("r-1", now=NOW) is None
    assert store.delete("r-1") is False


def test_an_id_is_taken_once(store):
    store.insert(record(), now=NOW)

    assert store.insert(record(owner="u-2"), now=NOW) is False
    assert store.get("r-1", now=NOW).owner == "u-1"


def test_a_record_without_an_end_stays(store):
    store.insert(record(expires_at=None), now=NOW)

    assert store.get("r-1", now=NOW + 1e9).expires_at is None


def test_a_record_whose_time_is_over_is_gone(store):
    store.insert(record(), now=NOW)

    assert store.get("r-1", now=NOW + 600) is None
    assert store.of_owner("u-1", now=NOW + 600) == []


def test_a_change_of_what_was_read_is_kept_and_counted(store):
    store.insert(record(), now=NOW)

    assert store.change(record(data={"b": 2}, expires_at=NOW + 900), now=NOW) is True

    found = store.get("r-1", now=NOW + 700)
    assert (found.data, found.version, found.expires_at) == ({"b": 2}, 2, NOW + 900)


def test_a_change_of_what_somebody_else_changed_is_refused(store):
    store.insert(record(), now=NOW)
    store.change(record(data={"b": 2}), now=NOW)

    assert store.change(record(data={"c": 3}), now=NOW) is False
    assert store.get("r-1", now=NOW).data == {"b": 2}


def test_what_was_deleted_does_not_come_back_by_a_late_change_or_touch(store):
    store.insert(record(), now=NOW)
    late = store.get("r-1", now=NOW)
    assert store.delete("r-1") is True

    store.touch({"r-1": NOW + 5})
    assert store.change(replace(late, data={"late": 1}), now=NOW) is False
    assert store.get("r-1", now=NOW) is None
    assert store.of_owner("u-1", now=NOW) == []


def test_an_owner_has_its_records_oldest_first_and_no_others(store):
    store.insert(record("r-2", created_at=NOW + 2), now=NOW)
    store.insert(record("r-1", created_at=NOW + 1), now=NOW)
    store.insert(record("r-3", owner="u-2"), now=NOW)

    assert [each.id for each in store.of_owner("u-1", now=NOW)] == ["r-1", "r-2"]
    assert list(store.of_owner("nobody", now=NOW)) == []


def test_all_records_of_an_owner_but_one_can_be_forgotten(store):
    for number in range(3):
        store.insert(record(f"r-{number}"), now=NOW)
    store.insert(record("other", owner="u-2"), now=NOW)

    assert store.delete_of_owner("u-1", keep="r-1") == 2
    assert [each.id for each in store.of_owner("u-1", now=NOW)] == ["r-1"]
    assert store.delete_of_owner("u-1") == 1
    assert store.get("r-1", now=NOW) is None
    assert store.get("other", now=NOW) is not None


def test_touching_goes_forward_only_and_changes_no_version(store):
    store.insert(record(), now=NOW)

    store.touch({"r-1": NOW + 10, "unknown": NOW})
    store.touch({"r-1": NOW + 5})

    found = store.get("r-1", now=NOW)
    assert (found.touched_at, found.version) == (NOW + 10, 1)
    assert store.get("unknown", now=NOW) is None


def test_purging_forgets_what_is_over_and_nothing_else(store):
    store.insert(record("r-1", expires_at=NOW + 60), now=NOW)
    store.insert(record("r-2"), now=NOW)

    assert store.purge(now=NOW + 120) in (0, 1)
    assert store.get("r-2", now=NOW) is not None
    assert store.get("r-1", now=NOW + 120) is None


def test_an_id_whose_record_is_over_may_be_used_again(store):
    store.insert(record(created_at=PAST - 10, expires_at=PAST), now=PAST - 10)

    assert store.insert(record(owner="u-2"), now=NOW) is True
    assert store.get("r-1", now=NOW).owner == "u-2"
    assert store.of_owner("u-1", now=NOW) == []


@pytest.mark.parametrize(
    "strange", ["a}b{c", "é", "x" * 128, "'; drop table x; --"], ids=["braces", "umlaut", "long", "sql"]
)
def test_ids_and_owners_of_any_text_are_kept_apart(store, strange):
    store.insert(record(strange, owner=strange), now=NOW)

    assert store.get(strange, now=NOW).owner == strange
    assert [each.id for each in store.of_owner(strange, now=NOW)] == [strange]
    assert store.get("r-1", now=NOW) is None


# --- several at once -----------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
def shared_store(request, tmp_path):
    """A synchronous store that threads share."""
    if request.param == "memory":
        yield from memory("sync")
    elif request.param == "redis":
        yield from redis("sync", request.getfixturevalue("shared_redis"))
    else:
        url = f"sqlite:///{tmp_path}/a.db"
        if request.param == "postgresql":
            url = request.getfixturevalue("shared_postgres_database")()
        yield from sql("sync", url)


def test_of_several_changes_of_one_version_one_wins(shared_store):
    shared_store.insert(record(), now=NOW)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: shared_store.change(record(data={"n": n}), now=NOW), range(8)))

    assert sum(won) == 1
    assert shared_store.get("r-1", now=NOW).version == 2


def test_of_several_inserts_of_one_id_one_wins(shared_store):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: shared_store.insert(record(owner=f"u-{n}"), now=NOW), range(8)))

    assert sum(won) == 1


def test_keys_and_sessions_do_not_see_each_other(shared_redis):
    sessions, keys = RedisRecordStore(shared_redis, "session"), RedisRecordStore(shared_redis, "api_key")

    sessions.insert(record(), now=NOW)

    assert keys.get("r-1", now=NOW) is None
    sessions.close()
    keys.close()


def test_the_server_forgets_a_record_by_itself(shared_redis, shared_redis_client):
    store = RedisRecordStore(shared_redis, "session")

    store.insert(record(created_at=PAST - 10, expires_at=PAST), now=PAST - 10)
    store.close()

    assert list(shared_redis_client.scan_iter()) == []


def test_every_key_on_the_server_has_its_slot_in_braces(shared_redis, shared_redis_client):
    store = RedisRecordStore(shared_redis, "session")
    store.insert(record(), now=NOW)
    store.close()

    assert sorted(shared_redis_client.scan_iter()) == [
        b"shared:auth:session:of:{u-1}",
        b"shared:auth:session:{r-1}",
    ]


def test_a_server_that_is_gone_is_an_error_of_ours_without_the_password():
    store = RedisRecordStore("redis://:hunter2@127.0.0.1:1/0", "session", timeout=0.2)

    for call in (
        lambda: store.get("r-1", now=NOW),
        lambda: store.insert(record(), now=NOW),
        lambda: store.delete_of_owner("u-1"),
    ):
        with pytest.raises(ServiceUnavailableError) as caught:
            call()
        assert "hunter2" not in str(caught.value)
    store.close()


def test_a_missing_table_is_an_error_of_ours():
    with Database("sqlite://") as database, pytest.raises(SharedError):
        SqlRecordStore(database, "session").get("r-1", now=NOW)


def test_a_record_shows_no_data():
    assert "hunter2" not in repr(record(data={"secret": "hunter2"}))
    assert inspect.iscoroutinefunction(AsyncMemoryRecordStore().get)
