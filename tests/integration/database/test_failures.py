"""What happens when the server is not there, refuses, or goes away."""

import asyncio
import os
import socket
import threading
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shared.database import (
    AsyncIdempotencyStore,
    Database,
    DatabaseOptions,
    IdempotencyKey,
    IdempotencyStore,
    ReplicaEjected,
    TransactionRetry,
)
from shared.errors import (
    ConfigurationError,
    DeadlineExceededError,
    ServiceUnavailableError,
    SharedError,
)
from shared.resilience import Backoff
from shared.testing._postgres import name_of as name_in
from shared.testing._postgres import with_database

ONE = text("select 1")
PATIENT = TransactionRetry(max_attempts=40, backoff=Backoff(delay=0.05, max_delay=0.3))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_an_unreachable_server_is_unavailable_and_the_password_is_not_shown():
    url = f"postgresql://app:hunter2@127.0.0.1:{free_port()}/orders"
    with Database(url) as db:
        with pytest.raises(ServiceUnavailableError, match="cannot reach") as caught, db.read() as session:
            session.execute(ONE)

        shown = f"{caught.value!r} {caught.value.details} {caught.value.__cause__} {db!r}"
    assert "hunter2" not in shown
    assert caught.value.headers["Retry-After"] == "1"


def execute(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def folder_of(url):
    return Path(url.partition("host=")[2].partition("&")[0])


def test_a_wrong_password_is_a_configuration_error_and_is_not_shown(server):
    hba = folder_of(server.url) / "data" / "pg_hba.conf"
    trusting = hba.read_text()
    hba.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
    execute(server.url, "select pg_reload_conf()")
    execute(server.url, "create role app login password 'right'")
    try:
        url = server.url.replace("//postgres@", "//app:hunter2@")
        deadline = time.monotonic() + 20
        while True:
            with Database(url) as db:
                with pytest.raises(SharedError) as caught, db.read() as session:
                    session.execute(ONE)
            if isinstance(caught.value, ConfigurationError) or time.monotonic() > deadline:
                break
    finally:
        hba.write_text(trusting)
        execute(server.url, "select pg_reload_conf()")

    assert isinstance(caught.value, ConfigurationError)
    assert "refused the login" in str(caught.value)
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__}"


def test_a_missing_database_is_a_configuration_error(shared_postgres):
    with Database(with_database(shared_postgres, "nowhere")) as db:
        with pytest.raises(ConfigurationError, match="does not exist"), db.read() as session:
            session.execute(ONE)


def test_a_missing_directory_is_a_configuration_error(tmp_path):
    with Database(f"sqlite:///{tmp_path}/no/where.db") as db:
        with pytest.raises(ConfigurationError, match="cannot open"), db.read() as session:
            session.execute(ONE)


def test_a_statement_that_runs_too_long_is_cancelled(shared_postgres):
    with Database(shared_postgres, options=DatabaseOptions(statement_timeout=0.05)) as db:
        with pytest.raises(DeadlineExceededError), db.read() as session:
            session.execute(text("select pg_sleep(5)"))


@pytest.mark.shared_engines("postgres")
def test_options_of_the_url_reach_the_server(url):
    execute(url, "create schema apart")
    with Database(f"{url}&schema=apart&application_name=orders&statement_timeout=7") as db:
        with db.read() as session:
            names = ("search_path", "application_name", "statement_timeout", "timezone")
            found = [session.scalar(text(f"show {name}")) for name in names]

    assert found == ["apart", "orders", "7s", "UTC"]


@pytest.mark.shared_engines("postgres")
def test_behind_a_pooler_nothing_is_prepared_and_no_parameter_sent(url):
    with Database(f"{url}&pooler=true") as db, db.read() as session:
        driver = session.connection().connection.driver_connection

        assert driver.prepare_threshold is None
        assert session.scalar(text("show idle_in_transaction_session_timeout")) == "0"


def test_a_restarted_server_loses_and_doubles_nothing(server):
    url = server.create_database()
    store = IdempotencyStore()
    failures, committed = [], []
    with Database(url, options=DatabaseOptions(pool_size=4)) as db:
        with db.transaction() as session:
            session.execute(text("create table writes (id text)"))
            IdempotencyKey.__table__.create(session.connection())
        stop = threading.Event()

        def writer(number):
            for turn in range(10_000):
                if stop.is_set():
                    return
                key = f"{number}-{turn}"

                def work(session, key=key):
                    insert = text("insert into writes values (:key)")
                    store.run(session, key, lambda: session.execute(insert, {"key": key}) and None)

                for _ in range(20):
                    try:
                        db.transaction(retry=PATIENT).run(work)
                        committed.append(key)
                        break
                    except ServiceUnavailableError:  # the commit itself: the key makes it safe to repeat
                        time.sleep(0.05)
                else:
                    failures.append(key)

        threads = [threading.Thread(target=writer, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                before = len(committed)
                server.stop()
                server.start()
                deadline = time.monotonic() + 20
                while len(committed) < before + 8 and time.monotonic() < deadline:
                    time.sleep(0.02)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        with db.read() as session:
            written = list(session.scalars(text("select id from writes")))

    assert failures == []
    assert sorted(written) == sorted(committed)
    assert len(written) >= 16


async def test_a_killed_server_loses_and_doubles_nothing_of_tasks(server):
    url, store, committed, gave_up = server.create_database(), AsyncIdempotencyStore(), [], []
    stop, enough, goal = asyncio.Event(), asyncio.Event(), [0]

    async def write(db, key):
        insert = text("insert into writes values (:key)")

        async def work(session):
            async def once():
                await session.execute(insert, {"key": key})

            await store.run(session, key, once)

        for _ in range(40):
            try:
                await db.aio.transaction(retry=PATIENT).run(work)
            except ServiceUnavailableError:  # the commit itself: the key makes it safe to repeat
                await asyncio.sleep(0.05)
            else:
                committed.append(key)
                if len(committed) >= goal[0]:
                    enough.set()
                return
        gave_up.append(key)

    async def writer(db, number):
        turn = 0
        while not stop.is_set():
            turn += 1
            await write(db, f"{number}-{turn}")

    async with Database(url, options=DatabaseOptions(pool_size=4)) as db:
        async with db.aio.transaction() as session:
            await session.execute(text("create table writes (id text)"))
            await session.run_sync(lambda sync: IdempotencyKey.__table__.create(sync.connection()))
        tasks = [asyncio.create_task(writer(db, number)) for number in range(4)]
        for _ in range(2):
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            goal[0] = len(committed) + 8
            enough.clear()
            async with asyncio.timeout(30):
                await enough.wait()
        stop.set()
        await asyncio.gather(*tasks)
        async with db.aio.read() as session:
            written = list(await session.scalars(text("select id from writes")))

    assert gave_up == []
    assert sorted(written) == sorted(committed)
    assert len(written) >= 16


def test_the_health_check_tells_and_names_no_secret(server):
    with Database(server.url) as db:
        check = db.health_checks()[0].check
        healthy = check()["status"]
        server.stop()
        try:
            with pytest.raises(ServiceUnavailableError):
                check()
        finally:
            server.start()

    assert healthy == "healthy"


def test_a_full_pool_is_degraded_and_not_dead(shared_postgres):
    options = DatabaseOptions(pool_size=1, max_overflow=0, pool_timeout=10)
    with Database(shared_postgres, options=options) as db:
        with db.read() as session:
            session.execute(ONE)

            def wait():
                with db.read() as other:
                    other.execute(ONE)

            thread = threading.Thread(target=wait)
            thread.start()
            deadline = time.monotonic() + 5
            while not db.pool().waiting and time.monotonic() < deadline:
                time.sleep(0.005)
            report = db.health_checks()[0].check()
        thread.join()

    assert (report["status"], report["pool"]["waiting"]) == ("degraded", 1)


# -- replicas ------------------------------------------------------------------------


@pytest.fixture
def pair(shared_postgres_database, events):
    """A primary and a "replica" that can be told apart."""
    primary, replica = shared_postgres_database(), shared_postgres_database()
    now = [1000.0]
    with (
        Database(primary, replicas=[replica], events=events, clock=lambda: now[0]) as db,
        Database(replica) as other,
    ):
        for each in (db, other):
            with each.transaction() as session:
                session.execute(text("create table t (id int)"))
        now[0] += 60
        yield db, now


def name_of(db, **kwargs):
    with db.read(**kwargs) as session:
        return session.scalar(text("select current_database()"))


def test_reads_go_to_a_replica_only_when_asked(pair):
    db, _ = pair

    assert name_of(db) != name_of(db, replica=True)


def test_a_replica_refuses_writes_itself(pair):
    db, _ = pair
    hidden = text("with x as (insert into t values (1) returning id) select * from x")

    with pytest.raises(ConfigurationError, match="only reads"), db.read(replica=True) as session:
        session.execute(hidden)


def test_who_wrote_reads_from_the_primary_for_a_while(pair):
    from sqlalchemy import Column, Integer, MetaData, Table, insert

    from shared.context import request_context

    db, now = pair
    table = Table("t", MetaData(), Column("id", Integer))
    with request_context():
        with db.transaction() as session:
            session.execute(insert(table).values(id=1))
        mine = name_of(db, replica=True)
        with request_context():
            theirs = name_of(db, replica=True)
        now[0] += 6
        later = name_of(db, replica=True)

    assert mine == name_of(db)
    assert theirs == later != mine


def test_a_replica_that_fails_is_left_alone_for_a_while(shared_postgres, events):
    heard, now = [], [0.0]
    events.subscribe(ReplicaEjected, heard.append)
    gone = f"postgresql://u:hunter2@127.0.0.1:{free_port()}/x"
    with Database(shared_postgres, replicas=[gone], events=events, clock=lambda: now[0]) as db:
        with pytest.raises(ServiceUnavailableError):
            name_of(db, replica=True)
        instead = name_of(db, replica=True)
        now[0] = 11
        with pytest.raises(ServiceUnavailableError):
            name_of(db, replica=True)

    assert (instead, [event.replica for event in heard]) == (name_in(shared_postgres), [1, 1])


# -- processes -----------------------------------------------------------------------


def test_a_forked_child_has_connections_of_its_own(url):
    with Database(url) as db:
        with db.read() as session:
            session.execute(ONE)
        child = os.fork()
        if child == 0:
            try:
                with db.read() as session:
                    assert session.scalar(ONE) == 1
                os._exit(0)
            except BaseException:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        with db.read() as session:
            after = session.scalar(ONE)

    assert (status, after) == (0, 1)


def _buy(url, count, queue):
    statement = text("update stock set left_over = left_over - 1 where left_over >= 1 returning left_over")
    with Database(url, options=DatabaseOptions(busy_timeout=100, pool_timeout=100)) as db:
        sold = []

        def buyer():
            def work(session):
                return session.execute(statement).first() is not None

            sold.append(db.transaction(retry=50).run(work))

        threads = [threading.Thread(target=buyer) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue.put(sum(sold))


@pytest.mark.timeout(300)  # four interpreters start
def test_two_hundred_buyers_in_four_processes_buy_exactly_a_hundred(url):
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with Database(url) as db:
        with db.transaction() as session:
            session.execute(text("create table stock (left_over integer)"))
            session.execute(text("insert into stock values (100)"))
        children = [context.Process(target=_buy, args=(url, 50, queue)) for _ in range(4)]
        for child in children:
            child.start()
        sold = sum(queue.get(timeout=200) for _ in children)
        for child in children:
            child.join(30)
        with db.read() as session:
            left = session.scalar(text("select left_over from stock"))

    assert (sold, left) == (100, 0)


def test_reading_then_writing_does_not_oversell_where_it_locks(system, url):
    options = DatabaseOptions(busy_timeout=100, pool_timeout=100)
    with Database(url, options=options) as db:
        with db.transaction() as session:
            session.execute(text("create table stock (left_over integer)"))
            session.execute(text("insert into stock values (10)"))
        sold = []

        def work(session):
            lock = "" if system == "sqlite" else " for update"
            left = session.scalar(text(f"select left_over from stock{lock}"))
            if left:
                session.execute(text("update stock set left_over = :n"), {"n": left - 1})
            return bool(left)

        threads = [
            threading.Thread(target=lambda: sold.append(db.transaction(retry=50).run(work)))
            for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sum(sold) == 10


def test_a_lost_connection_during_the_commit_is_told_as_unknown(url):
    from sqlalchemy import event

    with Database(url) as db:
        with db.transaction() as session:
            session.execute(text("create table t (id int)"))

        @event.listens_for(db.engine, "commit")
        def cut(connection):
            raise OperationalError("COMMIT", None, Exception("gone"), connection_invalidated=True)

        with pytest.raises(ServiceUnavailableError, match="not known") as caught, db.transaction() as session:
            session.execute(text("insert into t values (1)"))

    assert (caught.value.retryable, caught.value.details["outcome"]) == (False, "unknown")
