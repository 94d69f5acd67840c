"""Statements keep to the deadline of the request, on every engine."""

import threading
import time

import pytest
from sqlalchemy import text

from shared.context import request_context
from shared.database import Database, DatabaseOptions, QueryFinished
from shared.errors import DeadlineExceededError, TransactionConflictError
from shared.resilience import Deadline

ENDLESS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n",
    "postgresql": "select pg_sleep(600)",
}
SOON = 0.3  # seconds
LONG = 3000.0  # seconds; what a writer of SQLite waits by default in these tests
PATIENCE = 60.0  # seconds on a busy machine; the statements above would take far longer


@pytest.fixture
def db(url, events):
    options = DatabaseOptions(pool_size=1, max_overflow=0, busy_timeout=LONG)
    with Database(url, options=options, events=events) as database:
        yield database


def limit(session, system):
    if system == "sqlite":
        return session.scalar(text("pragma busy_timeout"))
    return session.scalar(text("show statement_timeout"))


def test_a_statement_that_runs_on_is_stopped_at_the_deadline(db, system):
    began = time.monotonic()

    with (
        Deadline.after(SOON).scope(),
        pytest.raises(DeadlineExceededError, match="the deadline passed") as caught,
        db.read() as session,
    ):
        session.execute(text(ENDLESS[system]))

    assert time.monotonic() - began < PATIENCE
    assert caught.value.retryable is False


def test_a_statement_in_a_transaction_is_stopped_and_the_rest_rolled_back(db, system):
    with db.transaction() as session:
        session.execute(text("create table notes (id integer)"))

    with (
        Deadline.after(SOON).scope(),
        pytest.raises(DeadlineExceededError),
        db.transaction() as session,
    ):
        session.execute(text("insert into notes values (1)"))
        session.execute(text(ENDLESS[system]))

    with db.read() as session:
        assert session.scalar(text("select count(*) from notes")) == 0


async def test_an_awaited_statement_is_stopped_at_the_deadline(db, system):
    with Deadline.after(SOON).scope(), pytest.raises(DeadlineExceededError):
        async with db.aio.read() as session:
            await session.execute(text(ENDLESS[system]))

    with Deadline.after(SOON).scope(), pytest.raises(DeadlineExceededError):
        async with db.aio.transaction() as session:
            await session.execute(text(ENDLESS[system]))

    async with db.aio.transaction() as session:
        assert await session.scalar(text("select 7")) == 7
    await db.aclose()


def test_nothing_is_begun_once_time_is_up_and_that_is_told(db, events):
    sent = []
    events.subscribe(QueryFinished, sent.append)

    with (
        request_context(deadline=time.monotonic() - 1.0),
        pytest.raises(DeadlineExceededError, match="was not begun"),
        db.read() as session,
    ):
        session.execute(text("select 1"))

    assert [event.error_type for event in sent] == ["DeadlineExceededError"]


def test_the_limit_ends_with_the_deadline(db, system):
    default = {"sqlite": LONG * 1000, "postgresql": "0"}[system]
    with Deadline.after(600.0).scope(), db.read() as session:
        session.scalar(text("select 1"))
    with Deadline.after(600.0).scope(), db.transaction() as session:
        session.scalar(text("select 1"))

    with db.read() as session:
        assert limit(session, system) == default
    with db.transaction() as session:
        assert limit(session, system) == default


def test_the_limit_ends_within_a_transaction_when_its_scope_does(db, system):
    with db.transaction() as session:
        with Deadline.after(600.0).scope():
            session.scalar(text("select 1"))

        assert limit(session, system) in {LONG * 1000, "0"}


def test_a_limit_of_the_server_that_comes_first_stays(shared_postgres_database):
    url, options = shared_postgres_database(), DatabaseOptions(statement_timeout=1.0)
    with Database(url, options=options) as db, Deadline.after(60.0).scope(), db.transaction() as session:
        assert session.scalar(text("show statement_timeout")) == "1s"


def test_a_savepoint_that_is_rolled_back_does_not_take_the_limit_along(db, system):
    with Deadline.after(SOON).scope(), pytest.raises(DeadlineExceededError), db.transaction() as session:
        with pytest.raises(KeyError), session.begin_nested():
            session.scalar(text("select 1"))
            raise KeyError("mine")
        session.execute(text(ENDLESS[system]))


def test_many_statements_share_one_setting_of_the_limit(db, system):
    with Deadline.after(300.0).scope(), db.transaction() as session:
        connection = session.connection()
        for _ in range(20):
            session.scalar(text("select 1"))
        held = connection.info["shared_statement_limit"]
        session.scalar(text("select 1"))

        assert connection.info["shared_statement_limit"] is held


def test_a_pooler_is_told_within_transactions_only(shared_postgres_database):
    url = shared_postgres_database()
    options = DatabaseOptions(pooler=True, pool_size=1, max_overflow=0)
    with Database(url, options=options) as db, Deadline.after(60.0).scope():
        with db.read() as session:
            assert session.scalar(text("show statement_timeout")) == "0"
        with db.transaction() as session:
            assert session.scalar(text("show statement_timeout")) != "0"


def test_the_wait_for_the_writers_lock_ends_with_the_deadline(url, system):
    locked, done = threading.Event(), threading.Event()
    with Database(url) as db:
        with db.transaction() as session:
            session.execute(text("create table notes (id integer)"))
            session.execute(text("insert into notes values (1)"))

        def hold():
            with db.transaction() as session:
                session.execute(text("update notes set id = 2"))
                locked.set()
                done.wait(PATIENCE)

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            assert locked.wait(PATIENCE)
            with (
                Deadline.after(SOON).scope(),
                pytest.raises(DeadlineExceededError),
                db.transaction() as session,
            ):
                session.execute(text("update notes set id = 3"))
        finally:
            done.set()
            holder.join()


def test_a_transaction_that_is_repeated_ends_at_the_deadline(db):
    runs = []

    def work(session):
        runs.append(1)
        session.scalar(text("select 1"))
        time.sleep(0.05)
        raise TransactionConflictError("again", details={"reason": "deadlock"})

    with Deadline.after(SOON).scope(), pytest.raises(DeadlineExceededError):
        db.transaction(retry=10_000).run(work)

    assert runs


def test_the_wait_for_a_connection_ends_with_the_deadline(url):
    options = DatabaseOptions(pool_size=1, max_overflow=0, pool_timeout=600.0)
    with Database(url, options=options) as db, db.read() as session:
        session.scalar(text("select 1"))

        with (
            Deadline.after(SOON).scope(),
            pytest.raises(DeadlineExceededError, match="a connection of database"),
        ):
            with db.read() as other:
                other.scalar(text("select 1"))

        assert db.pool().timeouts == 1


async def test_an_awaited_wait_for_a_connection_ends_with_the_deadline(url):
    options = DatabaseOptions(pool_size=1, max_overflow=0, pool_timeout=600.0)
    async with Database(url, options=options) as db:
        async with db.aio.read() as session:
            await session.scalar(text("select 1"))

            with Deadline.after(SOON).scope(), pytest.raises(DeadlineExceededError):
                async with db.aio.read() as other:
                    await other.scalar(text("select 1"))


def test_a_pool_that_is_made_anew_waits_as_long_as_before(url):
    options = DatabaseOptions(pool_timeout=600.0)
    with Database(url, options=options) as db, Deadline.after(5.0).scope():
        db.dispose()

        assert db.engine.pool.longest == 600.0
