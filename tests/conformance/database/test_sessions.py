"""Sessions, reads and transactions behave the same on every engine."""

import threading

import pytest
from sqlalchemy import text

from shared.database import Database, DatabaseOptions, TransactionRetried, TransactionRetry, on_commit
from shared.errors import (
    ConfigurationError,
    ConflictError,
    DatabaseError,
    InvalidStateError,
    PoolExhaustedError,
    ServiceUnavailableError,
    TransactionConflictError,
    UnsupportedCallableError,
)
from shared.resilience import Backoff

NOW = TransactionRetry(max_attempts=5, backoff=Backoff(delay=0.001, max_delay=0.01))


@pytest.fixture
def counters(db):
    with db.transaction() as session:
        session.execute(text("create table counters (id integer primary key, value integer not null)"))
        session.execute(text("insert into counters values (1, 0), (2, 0)"))
    return db


def value_of(db, key=1):
    with db.read() as session:
        return session.scalar(text("select value from counters where id = :id"), {"id": key})


def add(session, key=1, amount=1):
    session.execute(text("update counters set value = value + :n where id = :id"), {"n": amount, "id": key})


def test_a_transaction_commits_at_the_end_of_the_block(counters):
    with counters.transaction() as session:
        add(session)

    assert value_of(counters) == 1


def test_a_transaction_rolls_back_when_the_block_raises(counters):
    with pytest.raises(KeyError), counters.transaction() as session:
        add(session)
        raise KeyError("mine")

    assert value_of(counters) == 0


def test_a_session_keeps_what_was_committed(counters):
    with counters.session() as session:
        add(session)
        session.commit()

    assert value_of(counters) == 1


def test_a_read_session_refuses_a_write(counters):
    with pytest.raises(ConfigurationError, match="only reads"), counters.read() as session:
        add(session)

    assert value_of(counters) == 0


def test_a_read_only_transaction_refuses_a_write_hidden_in_a_query(counters, system):
    if system == "sqlite":
        hidden = text("pragma user_version = 7")
    else:
        hidden = text("with x as (update counters set value = 9 returning 1) select * from x")

    with (
        pytest.raises(ConfigurationError, match="only reads"),
        counters.transaction(read_only=True) as session,
    ):
        session.execute(hidden)

    assert value_of(counters) == 0


def test_a_read_only_transaction_sees_one_snapshot(counters):
    with counters.transaction(read_only=True, isolation="REPEATABLE READ") as session:
        before = session.scalar(text("select value from counters where id = 1"))
        with counters.transaction() as other:
            add(other)
        after = session.scalar(text("select value from counters where id = 1"))

    assert (before, after, value_of(counters)) == (0, 0, 1)


def test_lost_updates_do_not_happen_at_the_highest_isolation(counters):
    def raise_by_one(session):
        now = session.scalar(text("select value from counters where id = 1"))
        session.execute(text("update counters set value = :v where id = 1"), {"v": now + 1})

    def buyer():
        for _ in range(10):
            counters.transaction(isolation="SERIALIZABLE", retry=TransactionRetry(50, NOW.backoff)).run(
                raise_by_one
            )

    threads = [threading.Thread(target=buyer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert value_of(counters) == 80


@pytest.mark.shared_engines("postgres")
def test_a_deadlock_is_run_again(counters, events):
    told, runs = [], []
    events.subscribe(TransactionRetried, told.append)
    both_hold_one = threading.Barrier(2, timeout=30)
    one_is_through = threading.Event()

    def transfer(first, second):
        mine = []

        def work(session):
            mine.append(1)
            runs.append(1)
            if len(mine) > 1:  # who lost waits, or it could meet the winner once more
                one_is_through.wait(30)
            add(session, first)
            if len(mine) == 1:
                both_hold_one.wait()
            add(session, second)

        counters.transaction(retry=NOW).run(work)
        one_is_through.set()

    threads = [threading.Thread(target=transfer, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (value_of(counters, 1), value_of(counters, 2)) == (2, 2)
    assert [(event.reason, event.attempt) for event in told] == [("deadlock", 1)]
    assert len(runs) == 3


@pytest.mark.shared_engines("sqlite")
def test_opposite_orders_do_not_deadlock_where_there_is_one_writer(counters, events):
    told = []
    events.subscribe(TransactionRetried, told.append)

    def transfer(first, second):
        def work(session):
            add(session, first)
            add(session, second)

        for _ in range(5):
            counters.transaction(retry=NOW).run(work)

    threads = [threading.Thread(target=transfer, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (value_of(counters, 1), value_of(counters, 2), told) == (10, 10, [])


def test_a_conflict_that_does_not_end_becomes_an_error_of_ours(counters):
    runs = []

    def lose(session):
        runs.append(1)
        raise TransactionConflictError("lost again")

    with pytest.raises(TransactionConflictError):
        counters.transaction(retry=NOW).run(lose)

    assert len(runs) == 5


def test_another_error_is_not_run_again(counters):
    runs = []

    def fail(session):
        runs.append(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        counters.transaction(retry=NOW).run(fail)

    assert len(runs) == 1


def test_a_nested_retry_is_refused(counters):
    def outer(session):
        counters.transaction(retry=2).run(lambda inner: None)

    with pytest.raises(ConfigurationError, match="cannot run inside of another"):
        counters.transaction(retry=2).run(outer)


def test_the_body_of_a_block_cannot_be_repeated(counters):
    with pytest.raises(ConfigurationError, match="cannot be run again"), counters.transaction(retry=3):
        pass


def test_a_coroutine_function_needs_the_asynchronous_side(db):
    async def work(session):
        pass

    with pytest.raises(UnsupportedCallableError):
        db.transaction().run(work)


def test_hooks_run_once_after_the_commit(counters):
    seen = []
    runs = []

    def work(session):
        runs.append(1)
        on_commit(session, lambda: seen.append(value_of(counters)))
        add(session)
        if len(runs) < 3:
            raise TransactionConflictError

    counters.transaction(retry=NOW).run(work)

    assert (seen, len(runs)) == ([1], 3)


def test_hooks_of_a_savepoint_that_is_rolled_back_are_dropped(counters):
    seen = []

    with counters.transaction() as session:
        add(session)
        with session.begin_nested():
            on_commit(session, lambda: seen.append("kept"))
        with pytest.raises(KeyError), session.begin_nested():
            on_commit(session, lambda: seen.append("dropped"))
            add(session)
            raise KeyError
        on_commit(session, lambda: seen.append("outer"))

    assert sorted(seen) == ["kept", "outer"]
    assert value_of(counters) == 1


def test_hooks_are_dropped_when_the_transaction_is_rolled_back(counters):
    seen = []

    with pytest.raises(KeyError), counters.transaction() as session:
        on_commit(session, lambda: seen.append(1))
        raise KeyError

    assert seen == []


def test_a_hook_that_fails_does_not_undo_the_commit(counters):
    seen = []

    with counters.transaction() as session:
        add(session)
        on_commit(session, lambda: 1 / 0)
        on_commit(session, lambda: seen.append("next"))

    assert (value_of(counters), seen) == (1, ["next"])


def test_an_exhausted_pool_is_a_clear_error(url):
    options = DatabaseOptions(pool_size=1, max_overflow=0, pool_timeout=0.05)
    with Database(url, options=options) as db, db.read() as session:
        session.execute(text("select 1"))

        with (
            pytest.raises(PoolExhaustedError, match=r"all 1 connections .* 0.05 s") as caught,
            db.read() as other,
        ):
            other.execute(text("select 1"))

    assert caught.value.status == 503


def test_waiting_five_seconds_for_a_connection_is_the_default():
    assert DatabaseOptions().pool_timeout == 5.0


def test_a_duplicate_is_a_conflict_without_its_values(counters):
    with pytest.raises(ConflictError) as caught, counters.transaction() as session:
        session.execute(text("insert into counters values (:id, :value)"), {"id": 1, "value": 4711})

    shown = f"{caught.value} {caught.value.details} {caught.value.__cause__}"
    assert "exists already" in str(caught.value)
    assert "(1)" not in shown
    assert "4711" not in shown


def test_a_missing_table_is_an_error_of_ours(db):
    with pytest.raises(DatabaseError, match="missing"), db.read() as session:
        session.execute(text("select * from missing"))


def test_draining_refuses_new_work_and_waits_for_the_old(counters):
    done = threading.Event()
    started = threading.Event()

    def worker():
        with counters.transaction() as session:
            add(session)
            started.set()
            done.wait(10)

    thread = threading.Thread(target=worker)
    thread.start()
    started.wait(10)
    refused = counters.drain(timeout=0.05)
    with pytest.raises(ServiceUnavailableError, match="shutting down"), counters.read() as session:
        session.execute(text("select 1"))
    done.set()
    thread.join()
    drained = counters.drain(timeout=10)

    assert (refused, drained) == (False, True)


def test_a_closed_database_says_so(url):
    db = Database(url)
    db.close()

    with pytest.raises(ConfigurationError, match="is closed"), db.read():
        pass


def test_an_unclosed_database_warns(url):
    db = Database(url)
    with db.read() as session:
        session.execute(text("select 1"))
    engines = db._all()

    with pytest.warns(ResourceWarning, match="unclosed Database"):
        del db
    for each in engines:
        each.dispose()


def test_a_session_that_ends_with_uncommitted_work_says_so(counters):
    from sqlalchemy import Column, Integer, MetaData, Table, insert

    table = Table("counters", MetaData(), Column("id", Integer), Column("value", Integer))

    with pytest.raises(InvalidStateError, match="not committed"), counters.session() as session:
        session.execute(insert(table).values(id=3, value=0))

    assert value_of(counters, 3) is None


# -- asynchronous code ---------------------------------------------------------------


@pytest.fixture
async def acounters(adb):
    async with adb.aio.transaction() as session:
        await session.execute(text("create table counters (id integer primary key, value integer not null)"))
        await session.execute(text("insert into counters values (1, 0), (2, 0)"))
    return adb


async def avalue_of(db, key=1):
    async with db.aio.read() as session:
        return await session.scalar(text("select value from counters where id = :id"), {"id": key})


async def aadd(session, key=1):
    await session.execute(text("update counters set value = value + 1 where id = :id"), {"id": key})


async def test_an_asynchronous_transaction_commits(acounters):
    async with acounters.aio.transaction() as session:
        await aadd(session)

    assert await avalue_of(acounters) == 1


async def test_an_asynchronous_transaction_rolls_back(acounters):
    with pytest.raises(KeyError):
        async with acounters.aio.transaction() as session:
            await aadd(session)
            raise KeyError

    assert await avalue_of(acounters) == 0


async def test_asynchronous_runs_are_repeated_and_hooks_awaited(acounters):
    seen, runs = [], []

    async def hook():
        seen.append(1)

    async def work(session):
        runs.append(1)
        on_commit(session, hook)
        await aadd(session)
        if len(runs) < 3:
            raise TransactionConflictError

    await acounters.aio.transaction(retry=NOW).run(work)

    assert (seen, len(runs), await avalue_of(acounters)) == ([1], 3, 1)


async def test_both_sides_see_the_same_data(acounters):
    with acounters.transaction() as session:
        add(session)

    assert await avalue_of(acounters) == 1


async def test_an_asynchronous_read_refuses_a_write(acounters):
    with pytest.raises(ConfigurationError, match="only reads"):
        async with acounters.aio.read() as session:
            await aadd(session)


async def test_many_tasks_lose_no_update(acounters):
    import asyncio

    async def work(session):
        now = await session.scalar(text("select value from counters where id = 1"))
        await session.execute(text("update counters set value = :v where id = 1"), {"v": now + 1})

    policy = TransactionRetry(50, NOW.backoff)
    await asyncio.gather(
        *(acounters.aio.transaction(isolation="SERIALIZABLE", retry=policy).run(work) for _ in range(20))
    )

    assert await avalue_of(acounters) == 20


async def test_asynchronous_draining_waits(acounters):
    async with acounters.aio.transaction() as session:
        await aadd(session)
        refused = await acounters.aio.drain(timeout=0.02)

    assert (refused, await acounters.aio.drain(timeout=5)) == (False, True)


def test_every_loop_has_connections_of_its_own(db):
    import asyncio

    async def ask():
        async with db.aio.read() as session:
            return await session.scalar(text("select 1"))

    assert [asyncio.run(ask()) for _ in range(3)] == [1, 1, 1]
