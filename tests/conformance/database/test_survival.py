"""What must hold when processes die and everybody comes at once."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time

import pytest
from sqlalchemy import text

from shared.database import (
    AsyncIdempotencyStore,
    AsyncInbox,
    AsyncOutboxRelay,
    Base,
    Database,
    DatabaseOptions,
    IdempotencyStore,
    Inbox,
    Outbox,
    OutboxRelay,
    on_commit,
    tables_of,
)

#: A hundred callers on a loaded machine wait for each other longer than the default.
PATIENT = DatabaseOptions(pool_timeout=100, busy_timeout=100)


@pytest.fixture
def db(url):
    with Database(url, options=PATIENT) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("database"))
        with database.transaction() as session:
            session.execute(text("create table orders (number integer)"))
        yield database


def orders(db):
    with db.read() as session:
        return sorted(session.scalars(text("select number from orders")))


def place(session, number):
    session.execute(text("insert into orders values (:number)"), {"number": number})
    Outbox().add(session, "ordered", {"number": number}, aggregate="orders")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_after_the_commit(url, count):
    db = Database(url, options=PATIENT)
    for number in range(count):
        with db.transaction() as session:
            place(session, number)
            if number == count - 1:
                on_commit(session, die)


def _die_before_the_commit(url, count):
    db = Database(url, options=PATIENT)
    with db.transaction() as session:
        for number in range(count):
            place(session, number)
        session.flush()
        die()


def _die_while_publishing(url, path):
    db = Database(url, options=PATIENT)

    def publish(message):
        with open(path, "a") as file:
            file.write(f"{message.id} {message.payload['number']}\n")
        if message.payload["number"] == 2:
            die()

    OutboxRelay(db, publish, lease=0.5).run_once()


def run_and_collect(work, *arguments):
    """The exit code of *work* in a process of its own."""
    child = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    child.start()
    child.join(90)
    code = child.exitcode
    child.kill()
    child.join(30)
    return code


def consume(db, inbox, handled, message_id, number):
    with db.transaction() as session:
        if inbox.is_new(session, message_id):
            handled.append(number)


def publish_the_rest(db, publish):
    """Relay until nothing is left; the lease of a relay that died must run out first."""
    relay, pause, until = OutboxRelay(db, publish), threading.Event(), time.monotonic() + 60
    while relay.counts()["pending"] and time.monotonic() < until:
        relay.run_once()
        pause.wait(0.02)


def test_what_was_committed_before_the_kill_is_published_once_and_in_order(db, url):
    inbox, handled = Inbox("billing"), []

    code = run_and_collect(_die_after_the_commit, url, 5)
    publish_the_rest(db, lambda m: consume(db, inbox, handled, m.id, m.payload["number"]))

    assert code == -signal.SIGKILL
    assert (orders(db), handled) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


def test_what_was_not_committed_before_the_kill_is_neither_kept_nor_published(db, url):
    seen = []

    code = run_and_collect(_die_before_the_commit, url, 5)
    published = OutboxRelay(db, seen.append).run_once()

    assert code == -signal.SIGKILL
    assert (orders(db), published, seen) == ([], 0, [])


def test_service_and_relay_are_both_killed_and_the_consumer_sees_each_message_once(db, url, tmp_path):
    inbox, handled, path = Inbox("billing"), [], tmp_path / "published"

    codes = [
        run_and_collect(_die_after_the_commit, url, 5),
        run_and_collect(_die_while_publishing, url, str(path)),
    ]
    first = [line.split() for line in path.read_text().splitlines()]
    for message_id, number in first:
        consume(db, inbox, handled, message_id, int(number))
    publish_the_rest(db, lambda m: consume(db, inbox, handled, m.id, m.payload["number"]))

    assert codes == [-signal.SIGKILL] * 2
    assert [int(number) for _, number in first] == [0, 1, 2]
    assert handled == [0, 1, 2, 3, 4]


def test_a_hundred_threads_with_one_key_run_the_work_once(db):
    store, barrier = IdempotencyStore(), threading.Barrier(100, timeout=60)
    results, failures = [], []

    def call():
        def work(session):
            insert = text("insert into orders values (1)")
            return store.run(session, "k", lambda: session.execute(insert) and {"order": 1}, request=5)

        try:
            barrier.wait()
            results.append(db.transaction(retry=100).run(work))
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=call) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert (orders(db), len(results), sum(not each.replayed for each in results)) == ([1], 100, 1)
    assert {each.value["order"] for each in results} == {1}


async def test_a_hundred_tasks_with_one_key_run_the_work_once(db):
    store = AsyncIdempotencyStore()

    async def work(session):
        async def order():
            await session.execute(text("insert into orders values (1)"))
            return {"order": 1}

        return await store.run(session, "k", order, request=5)

    results = await asyncio.gather(*(db.aio.transaction(retry=100).run(work) for _ in range(100)))
    await db.aio.close()

    assert (orders(db), sum(not each.replayed for each in results)) == ([1], 1)
    assert {each.value["order"] for each in results} == {1}


async def test_an_asynchronous_consumer_sees_each_message_once(db, url):
    code = await asyncio.to_thread(run_and_collect, _die_after_the_commit, url, 3)
    handled, refuse = [], [True]

    async def publish(message):
        async with db.aio.transaction() as session:
            if await AsyncInbox("billing").is_new(session, message.id):
                handled.append(message.payload["number"])
        if refuse:  # the broker took it and the answer was lost: it will come again
            refuse.clear()
            raise ConnectionError

    relay, until = AsyncOutboxRelay(db.aio, publish), time.monotonic() + 60
    while (await relay.counts())["pending"] and time.monotonic() < until:
        await relay.run_once()
    await db.aio.close()

    assert (code, handled) == (-signal.SIGKILL, [0, 1, 2])
