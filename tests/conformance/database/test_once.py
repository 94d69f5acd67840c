"""Once and only once: locks, idempotency, outbox, inbox, sagas, seeds."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from shared.database import (
    AsyncIdempotencyStore,
    AsyncInbox,
    AsyncLockManager,
    AsyncOutboxRelay,
    AsyncSaga,
    AsyncTransactionManager,
    Base,
    Database,
    IdempotencyStore,
    Inbox,
    LockManager,
    Outbox,
    OutboxMessage,
    OutboxRelay,
    Saga,
    Seed,
    TransactionManager,
    assert_max_queries,
    query_log,
    seed,
    tables_of,
)
from shared.errors import (
    ConfigurationError,
    DatabaseError,
    InvalidArgumentError,
    LockTimeoutError,
    ValidationError,
    WorkflowError,
)
from shared.resilience import Backoff
from tests.conformance.database.models import Author, TestBase, Work

AT_ONCE = Backoff(delay=0.0)


@pytest.fixture
def db(db):
    Base.metadata.create_all(db.engine, tables=tables_of("database"))
    with db.transaction() as session:
        session.execute(text("create table runs (id integer)"))
    return db


def runs(db):
    with db.read() as session:
        return session.scalar(text("select count(*) from runs"))


def count_run(session):
    session.execute(text("insert into runs values (1)"))


def together(count, function):
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(function, n) for n in range(count)]]


# -- locks ---------------------------------------------------------------------------


def test_locks_in_any_order_exclude_and_do_not_deadlock(db):
    locks = LockManager(db)
    inside, most = [], []

    def worker(number):
        names = ("a", "b", "c") if number % 2 else ("c", "b", "a")
        for _ in range(5):
            with locks.transaction(*names, timeout=30) as session:
                inside.append(1)
                most.append(len(inside))
                session.execute(text("select 1"))
                inside.pop()

    together(6, worker)

    assert max(most) == 1


def test_a_lock_that_somebody_holds_times_out(db, system):
    locks = LockManager(db)
    if system == "sqlite":
        with db.transaction() as session:
            assert locks.try_acquire(session, "user:7")
        return
    with locks.transaction("user:7"):
        with pytest.raises(LockTimeoutError, match=r"'user:7'.* 0.05 s"), db.transaction() as other:
            locks.acquire(other, "user:7", timeout=0.05)
        with db.transaction() as other:
            assert not locks.try_acquire(other, "user:7")
            assert locks.try_acquire(other, "user:8")
            assert LockManager(db, namespace="x").try_acquire(other, "user:7")


def test_a_lock_is_free_after_the_transaction(db):
    locks = LockManager(db)
    with locks.transaction("k"):
        pass

    with locks.transaction("k", timeout=1) as session:
        assert locks.try_acquire(session, "k")


@pytest.mark.shared_engines("postgres")
def test_the_time_limit_of_a_lock_is_not_left_behind(db):
    with db.transaction() as session:
        LockManager(db).acquire(session, "k", timeout=3)

        assert session.scalar(text("show lock_timeout")) == "0"


def test_a_lock_needs_a_name_and_a_session_that_writes(db):
    locks = LockManager(db)

    for names in ((), ("",)):
        with pytest.raises(InvalidArgumentError):
            locks.keys(*names)
    with pytest.raises(ConfigurationError), db.read() as session:
        locks.acquire(session, "k")


# -- idempotency ---------------------------------------------------------------------


def test_a_hundred_calls_with_one_key_run_the_work_once(db):
    store = IdempotencyStore()

    def call(number):
        def work(session):
            return store.run(session, "k", lambda: count_run(session) or {"n": 7}, request={"amount": 5})

        return db.transaction(retry=50).run(work)

    results = together(20, lambda n: [call(n) for _ in range(5)])
    flat = [result for each in results for result in each]

    assert runs(db) == 1
    assert {result.value["n"] for result in flat} == {7}
    assert sum(not result.replayed for result in flat) == 1


def test_a_key_for_another_request_is_refused(db):
    store = IdempotencyStore()
    with db.transaction() as session:
        store.run(session, "k", lambda: 1, request={"amount": 5})

    with pytest.raises(ValidationError, match="another request"), db.transaction() as session:
        store.run(session, "k", lambda: 1, request={"amount": 6})
    with db.transaction() as session:
        assert not store.run(session, "k", lambda: 2, scope="someone else", request=6).replayed


def test_work_that_fails_frees_its_key(db):
    store = IdempotencyStore()
    with pytest.raises(KeyError), db.transaction() as session:
        store.run(session, "k", lambda: {}["x"])

    with db.transaction() as session:
        assert not store.run(session, "k", lambda: 1).replayed


def test_a_key_is_free_after_its_time(db):
    from datetime import UTC, datetime, timedelta

    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    store = IdempotencyStore(ttl=10, clock=lambda: now[0])
    with db.transaction() as session:
        store.run(session, "k", lambda: 1)
    now[0] += timedelta(seconds=11)

    with db.transaction() as session:
        again = store.run(session, "k", lambda: 2)
    now[0] += timedelta(seconds=11)
    with db.transaction() as session:
        assert (again.replayed, store.purge(session)) == (False, 1)


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", None, 7], ids=repr)
def test_a_malformed_key_is_refused(db, key):
    with pytest.raises(ValidationError), db.transaction() as session:
        IdempotencyStore().run(session, key, lambda: 1)


# -- outbox --------------------------------------------------------------------------


def send(db, *names, aggregate=None, **kwargs):
    with db.transaction() as session:
        for name in names:
            Outbox().add(session, "t", {"name": name}, aggregate=aggregate, **kwargs)


def test_a_message_of_a_rolled_back_transaction_is_never_sent(db):
    seen = []
    with pytest.raises(KeyError), db.transaction() as session:
        Outbox().add(session, "t", {})
        session.flush()
        raise KeyError

    assert OutboxRelay(db, seen.append).run_once() == 0
    assert seen == []


def test_messages_of_one_aggregate_keep_their_order_when_one_fails(db):
    seen, failing = [], [True, True]

    def publish(message):
        if message.payload["name"] == "b" and failing:
            failing.pop()
            raise OSError("broker down: password=hunter2")
        seen.append(message.payload["name"])

    send(db, "a", "b", "c", aggregate="order:1")
    send(db, "x", "y")
    relay = OutboxRelay(db, publish, backoff=AT_ONCE)
    counts = [relay.run_once() for _ in range(4)]

    assert ([n for n in seen if n in "abc"], sorted(seen), counts) == (
        ["a", "b", "c"],
        list("abcxy"),
        [3, 0, 2, 0],
    )


def test_a_message_that_always_fails_becomes_a_dead_letter_and_can_come_back(db):
    broken = [True]
    seen = []

    def publish(message):
        if broken and message.payload["name"] == "bad":
            raise OSError("password=hunter2")
        seen.append(message.payload["name"])

    send(db, "bad", "next", aggregate="order:1")
    relay = OutboxRelay(db, publish, max_attempts=2, backoff=AT_ONCE)
    for _ in range(4):
        relay.run_once()
    dead = relay.counts()
    with db.read() as session:
        error = session.scalar(select(OutboxMessage.last_error).where(OutboxMessage.state == "dead"))
    broken.clear()
    assert relay.redrive() == 1
    relay.run_once()

    assert dead == {"pending": 0, "sent": 1, "dead": 1}
    assert (seen, "hunter2" in error) == (["next", "bad"], False)
    assert (relay.purge(older_than=-60), relay.counts()["sent"]) == (2, 0)


def test_a_delayed_message_holds_back_what_follows_on_it(db):
    seen = []
    send(db, "a", aggregate="x")
    send(db, "late", aggregate="x", delay=60)
    send(db, "c", aggregate="x")

    OutboxRelay(db, lambda message: seen.append(message.payload["name"])).run_once()

    assert seen == ["a"]


def test_many_relays_publish_each_message_once_and_in_order(db):
    seen, lock = [], threading.Lock()
    for aggregate in ("p", "q", "r", None):
        send(db, *(f"{aggregate}{n}" for n in range(15)), aggregate=aggregate)

    def publish(message):
        with lock:
            seen.append(message.payload["name"])

    def worker(number):
        relay = OutboxRelay(db, publish, batch=4)
        idle = 0
        while idle < 3:
            idle = 0 if relay.run_once() else idle + 1

    together(4, worker)
    while OutboxRelay(db, publish).run_once():
        pass

    assert len(seen) == len(set(seen)) == 60
    for aggregate in "pqr":
        mine = [int(name[1:]) for name in seen if name[0] == aggregate]
        assert mine == sorted(mine)


def _publish_and_die(url, path):
    db = Database(url)

    def publish(message):
        with open(path, "a") as file:
            file.write(f"{message.id}\n")
        if message.payload["name"] == "c":
            os.kill(os.getpid(), signal.SIGKILL)

    OutboxRelay(db, publish, lease=0.5).run_once()


def test_a_relay_killed_between_publishing_and_noting_loses_nothing(db, url, tmp_path):
    send(db, *"abcde")
    db.dispose()
    path = tmp_path / "published"
    child = multiprocessing.get_context("spawn").Process(target=_publish_and_die, args=(url, str(path)))
    child.start()
    child.join(60)
    inbox, handled = Inbox("billing"), []

    def consume(message_id):
        with db.transaction() as session:
            if inbox.is_new(session, message_id):
                handled.append(message_id)

    for line in path.read_text().split():
        consume(line)
    relay = OutboxRelay(db, lambda message: consume(message.id))
    deadline = time.monotonic() + 20
    while relay.counts()["pending"] and time.monotonic() < deadline:
        relay.run_once()

    assert child.exitcode == -signal.SIGKILL
    assert (len(handled), len(set(map(str, handled)))) == (5, 5)


def test_the_inbox_forgets_what_was_rolled_back(db):
    inbox = Inbox("billing")
    with pytest.raises(KeyError), db.transaction() as session:
        assert inbox.is_new(session, "m")
        raise KeyError

    with db.transaction() as session:
        assert (inbox.is_new(session, "m"), inbox.is_new(session, "m")) == (True, False)
        assert Inbox("mail").is_new(session, "m")
        assert inbox.purge(session, older_than=-60) == 1


def test_a_relay_stops_when_it_is_told(db):
    stop, seen = threading.Event(), []

    def publish(message):
        seen.append(message)
        stop.set()

    send(db, "a")
    OutboxRelay(db, publish).run(stop, poll=0.01)

    assert len(seen) == 1


# -- transactions, sagas, seeds ------------------------------------------------------


def test_the_manager_repeats_and_nests(db):
    manager, hooks = TransactionManager(db), []

    def work(session):
        with pytest.raises(KeyError), manager.nested(session):
            count_run(session)
            raise KeyError
        count_run(session)
        manager.on_commit(session, lambda: hooks.append(1))
        return 7

    assert manager.run(work) == 7
    with manager.begin() as session:
        count_run(session)
    assert (runs(db), hooks) == (2, [1])


def test_a_saga_undoes_what_was_done_last_first():
    done = []
    saga = (
        Saga("s")
        .step("a", lambda shared: "A", lambda shared: done.append("undo a"))
        .step("b", lambda shared: shared["a"] + "B", lambda shared: 1 / 0)
        .step("c", lambda shared: done.append(shared["b"]), lambda shared: done.append("undo c"))
        .step("d", lambda shared: {}[1])
    )

    with pytest.raises(WorkflowError) as caught:
        saga.run()

    assert done == ["AB", "undo c", "undo a"]
    assert caught.value.details == {"saga": "s", "step": "d", "undone": ["c", "a"], "stuck": ["b"]}
    assert isinstance(caught.value.__cause__, KeyError)


def test_seeding_twice_changes_nothing_and_parents_come_first(db):
    TestBase.metadata.create_all(db.engine)
    author = "01890000-0000-7000-8000-000000000001"
    import uuid

    seeds = [
        Seed(
            Work,
            [{"id": uuid.UUID(int=5), "title": "w", "price": Decimal(1), "author_id": uuid.UUID(author)}],
            ["id"],
        ),
        Seed(Author, [{"id": uuid.UUID(author), "email": "a", "name": "A"}], ["email"], update=[]),
    ]
    told = []
    for _ in range(2):
        with db.transaction() as session:
            seed(session, seeds, environment="testing", progress=told.append)

    with db.read() as session:
        assert session.scalar(text("select count(*) from works")) == 1
    assert [(each.table, each.done) for each in told] == [("authors", 1), ("works", 2)] * 2


def test_seeding_production_must_be_said(db):
    with pytest.raises(ConfigurationError, match="production"), db.transaction() as session:
        seed(session, [], environment="production")


# -- queries -------------------------------------------------------------------------


def test_a_loop_of_queries_is_found(db):
    with query_log(db) as log, db.read() as session:
        for number in range(6):
            session.execute(text("select :n + 0"), {"n": number})
        session.execute(text("select 'other'"))

    repeated = log.repeated()
    assert [(query.statement, times) for query, times in repeated] == [("select ? + ?", 6)]
    assert "test_once.py" in repeated[0][0].caller


def test_too_many_queries_fail_a_test(db):
    with pytest.raises(DatabaseError, match="2 statements were sent, at most 1"), assert_max_queries(db, 1):
        runs(db)
        runs(db)
    with assert_max_queries(db, 1):
        runs(db)


# -- asynchronous twins --------------------------------------------------------------


async def test_the_asynchronous_twins_do_the_same(db):
    import asyncio

    seen = []

    async def publish(message):
        if message.payload["name"] == "bad":
            raise OSError
        seen.append(message.payload["name"])

    async def work():
        return {"n": 1}

    async def unit(session):
        return await AsyncIdempotencyStore().run(session, "k", work)

    async def undo(shared):
        seen.append("undone")

    async def fail(shared):
        raise KeyError

    async with AsyncLockManager(db.aio).transaction("a", "b") as session:
        Outbox().add(session, "t", {"name": "x"})
        Outbox().add(session, "t", {"name": "bad"})
        assert await AsyncInbox("c").is_new(session, 1)
        assert not await AsyncInbox("c").is_new(session, 1)
    manager = AsyncTransactionManager(db.aio)
    results = [await manager.run(unit) for _ in range(2)]
    relay = AsyncOutboxRelay(db.aio, publish, max_attempts=1)
    assert await relay.run_once() == 1
    assert (await relay.counts())["dead"] == 1
    assert await relay.redrive() == 1
    stop = asyncio.Event()
    stop.set()
    await relay.run(stop)
    assert await relay.purge(older_than=-60) == 1
    with pytest.raises(WorkflowError):
        await AsyncSaga("s").step("a", undo, undo).step("b", fail).run()
    await db.aio.close()

    assert [result.replayed for result in results] == [False, True]
    assert seen == ["x", "undone", "undone"]
