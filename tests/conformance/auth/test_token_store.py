"""What every token store must do."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.auth import Advance, Family, MemoryTokenStore, SqlTokenStore

NOW = 1_790_000_000.25
LATER = NOW + 3600.0


def begun(store, family="f-1"):
    store.begin_family(family, now=NOW, until=LATER)
    return store


def advance(store, generation, *, family="f-1", sealed="s", client="c", now=NOW):
    return store.advance_family(family, generation=generation, sealed=sealed, client=client, now=now)


# --- marks --------------------------------------------------------------------------------


def test_nothing_is_marked_at_first(any_store):
    assert list(any_store.marks(["a", "b", "c"], now=NOW)) == [None, None, None]


def test_marks_come_back_in_the_order_of_the_names(any_store):
    any_store.mark("a", 1.5, now=NOW, until=LATER)
    any_store.mark("c", NOW, now=NOW, until=LATER)

    assert list(any_store.marks(["c", "b", "a"], now=NOW)) == [NOW, None, 1.5]
    assert list(any_store.marks(["a"], now=NOW)) == [1.5]


def test_a_larger_number_stays(any_store):
    any_store.mark("a", 7.0, now=NOW, until=LATER)
    any_store.mark("a", 5.0, now=NOW, until=LATER)

    assert list(any_store.marks(["a"], now=NOW)) == [7.0]


def test_a_larger_number_replaces_a_smaller_one(any_store):
    any_store.mark("a", 5.0, now=NOW, until=LATER)
    any_store.mark("a", 7.0, now=NOW, until=LATER)

    assert list(any_store.marks(["a"], now=NOW)) == [7.0]


def test_a_moment_keeps_its_microseconds(any_store):
    moment = 1790000000.123457

    any_store.mark("a", moment, now=NOW, until=LATER)

    assert list(any_store.marks(["a"], now=NOW)) == [moment]


def test_names_may_have_any_characters(any_store):
    name = "jti:" + "{x}:*?é🌍' OR 1=1 --" * 10

    any_store.mark(name, 1.0, now=NOW, until=LATER)

    assert list(any_store.marks([name, name + "x"], now=NOW)) == [1.0, None]


def test_the_first_claim_wins(any_store):
    claims = [any_store.claim("a", now=NOW, until=LATER) for _ in range(3)]

    assert claims == [True, False, False]
    assert list(any_store.marks(["a"], now=NOW)) == [NOW]


def test_what_is_marked_cannot_be_claimed(any_store):
    any_store.mark("a", 1.0, now=NOW, until=LATER)

    assert any_store.claim("a", now=NOW, until=LATER) is False
    assert list(any_store.marks(["a"], now=NOW)) == [1.0]


def test_claims_of_different_names_do_not_meet(any_store):
    assert any_store.claim("a", now=NOW, until=LATER) is True
    assert any_store.claim("b", now=NOW, until=LATER) is True


# --- families -------------------------------------------------------------------------------


def test_a_family_goes_from_generation_to_generation(any_store):
    begun(any_store)

    first = advance(any_store, 0, sealed="s1", client="c1", now=NOW + 1)
    second = advance(any_store, 1, sealed="s2", client="c2", now=NOW + 2)

    assert first == Advance(won=True, family=Family(1, NOW + 1, "s1", "c1"))
    assert second == Advance(won=True, family=Family(2, NOW + 2, "s2", "c2"))


def test_a_generation_that_is_over_is_told_where_the_family_stands(any_store):
    begun(any_store)
    advance(any_store, 0, sealed="s1", client="c1", now=NOW + 1)

    again = advance(any_store, 0, sealed="other", client="other", now=NOW + 2)

    assert again == Advance(won=False, family=Family(1, NOW + 1, "s1", "c1"))


def test_a_generation_that_is_not_there_yet_does_not_win(any_store):
    begun(any_store)

    ahead = advance(any_store, 1)

    assert ahead == Advance(won=False, family=Family(0, 0.0, "", ""))


def test_an_unknown_family_does_not_advance(any_store):
    begun(any_store)

    assert advance(any_store, 0, family="f-2") == Advance(won=False, family=None)


def test_a_family_that_was_ended_does_not_advance_and_keeps_nothing_sealed(any_store):
    begun(any_store)
    advance(any_store, 0, sealed="s1", client="c1", now=NOW + 1)

    any_store.end_family("f-1", now=NOW)

    assert advance(any_store, 1) == Advance(won=False, family=Family(1, NOW + 1, "", "c1", is_revoked=True))


def test_ending_one_family_does_not_end_another(any_store):
    begun(any_store)
    begun(any_store, "f-2")

    any_store.end_family("f-2", now=NOW)
    any_store.end_family("f-3", now=NOW)

    assert advance(any_store, 0).won is True
    assert advance(any_store, 0, family="f-2").won is False
    assert advance(any_store, 0, family="f-3").family is None


def test_long_sealed_tokens_come_back_whole(any_store):
    begun(any_store)
    sealed = "v1.r." + "Ab-_9" * 2500

    advance(any_store, 0, sealed=sealed)

    assert advance(any_store, 0).family.sealed == sealed


def test_of_eight_at_once_one_wins(store):
    begun(store)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: advance(store, 0, sealed=f"s{n}"), range(8)))

    assert sum(result.won for result in results) == 1
    winner = next(result.family.sealed for result in results if result.won)
    assert {result.family.sealed for result in results} == {winner}


def test_of_eight_claims_at_once_one_wins(store):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: store.claim("a", now=NOW, until=LATER), range(8)))

    assert sum(results) == 1


# --- time -------------------------------------------------------------------------------------

CLOCKED = pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])


@CLOCKED
def test_what_is_over_counts_as_never_marked(any_store, kind):
    any_store.mark("a", 7.0, now=NOW, until=NOW + 10)

    assert list(any_store.marks(["a"], now=NOW + 9.9)) == [7.0]
    assert list(any_store.marks(["a"], now=NOW + 10)) == [None]
    assert any_store.claim("a", now=NOW + 10, until=NOW + 20) is True
    assert any_store.claim("a", now=NOW + 19, until=NOW + 29) is False
    any_store.mark("a", 1.0, now=NOW + 20, until=NOW + 30)
    assert list(any_store.marks(["a"], now=NOW + 20)) == [1.0]


@CLOCKED
def test_a_later_end_stays(any_store, kind):
    any_store.mark("a", 7.0, now=NOW, until=NOW + 100)
    any_store.mark("a", 8.0, now=NOW, until=NOW + 10)

    assert list(any_store.marks(["a"], now=NOW + 50)) == [8.0]


@CLOCKED
def test_an_end_can_be_put_off(any_store, kind):
    any_store.mark("a", 7.0, now=NOW, until=NOW + 10)
    any_store.mark("a", 1.0, now=NOW, until=NOW + 100)

    assert list(any_store.marks(["a"], now=NOW + 50)) == [7.0]


@CLOCKED
def test_a_family_that_is_over_is_unknown(any_store, kind):
    begun(any_store)

    assert advance(any_store, 0, now=LATER) == Advance(won=False, family=None)


@CLOCKED
def test_purging_forgets_what_is_over_and_nothing_else(any_store, kind):
    begun(any_store)
    any_store.begin_family("f-2", now=NOW, until=NOW + 10)
    any_store.mark("a", 1.0, now=NOW, until=NOW + 10)
    any_store.mark("b", 1.0, now=NOW, until=NOW + 100)

    assert any_store.purge(now=NOW + 10) == 2
    assert any_store.purge(now=NOW + 10) == 0
    assert list(any_store.marks(["b"], now=NOW + 10)) == [1.0]
    assert advance(any_store, 0).won is True


@pytest.mark.parametrize("kind", ["redis"])
def test_the_server_forgets_what_is_over(any_store, kind, shared_redis_client):
    any_store.claim("a", now=NOW, until=NOW + 0.05)
    any_store.mark("b", 1.0, now=NOW, until=NOW + 0.05)
    any_store.begin_family("f-1", now=NOW, until=NOW + 0.05)
    end = time.monotonic() + 20

    while shared_redis_client.dbsize() and time.monotonic() < end:
        time.sleep(0.02)

    assert list(any_store.marks(["a", "b"], now=NOW)) == [None, None]
    assert advance(any_store, 0).family is None
    assert any_store.purge(now=NOW) == 0


@pytest.mark.parametrize("kind", ["redis"])
def test_the_server_keeps_the_later_end_and_every_key_ends(any_store, kind, shared_redis_client):
    any_store.mark("a", 1.0, now=NOW, until=NOW + 500)
    any_store.mark("a", 2.0, now=NOW, until=NOW + 5)
    any_store.mark("b", 1.0, now=NOW, until=NOW + 5)
    any_store.mark("b", 0.5, now=NOW, until=NOW + 500)
    begun(any_store)
    advance(any_store, 0)
    any_store.end_family("f-1", now=NOW)
    any_store.claim("c", now=NOW, until=NOW - 5)

    lives = {key.decode(): shared_redis_client.pttl(key) for key in shared_redis_client.keys("*")}

    assert lives["shared:auth:{a}"] > 400_000
    assert lives["shared:auth:{b}"] > 400_000
    assert 0 < lives["shared:auth:{family:f-1}"] <= 3_600_000


def test_the_memory_does_not_grow_with_what_is_over():
    store = MemoryTokenStore()

    for number in range(5000):
        store.mark(f"m{number}", 1.0, now=NOW + number, until=NOW + number + 1)

    assert len(store._marks) <= 1025


def test_a_database_forgets_a_little_by_itself(tmp_path, monkeypatch):
    from shared.auth import _token_store_sql as module
    from shared.database import Base, Database, tables_of

    monkeypatch.setattr(module, "_SWEEP_EVERY", 10)
    monkeypatch.setattr(module, "_SWEEP_AT_MOST", 4)
    with Database(f"sqlite:///{tmp_path}/t.db") as db:
        Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        store = SqlTokenStore(db)

        for number in range(9):
            store.mark(f"m{number}", 1.0, now=NOW, until=NOW + 1)
        store.mark("last", 1.0, now=NOW + 2, until=LATER)

        assert store.purge(now=NOW + 2) == 5
