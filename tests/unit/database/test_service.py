"""The database in a service: settings, slow statements, metrics, SQLite's surprises."""

import asyncio
import threading

import pytest
from sqlalchemy import text

from shared.config import DatabaseSettings, override_settings
from shared.database import (
    Database,
    DatabaseOptions,
    QueryFinished,
    SlowQuery,
    database_from_settings,
    get_database,
    translated,
)
from shared.errors import (
    ConfigurationError,
    ConflictError,
    DatabaseError,
    InvalidArgumentError,
    TransactionConflictError,
)
from shared.logging import capture_logs
from shared.monitoring import get_health_status, get_metrics
from shared.runtime import Events, Runtime, use

ONE = text("select 1")


@pytest.fixture
def file(tmp_path):
    with Database(f"sqlite:///{tmp_path}/x.db", options=DatabaseOptions(busy_timeout=0.05)) as db:
        yield db


def pragma(session, name):
    return session.scalar(text(f"pragma {name}"))


def test_sqlite_is_made_safe(file):
    with file.session() as session:
        found = [
            pragma(session, name) for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        ]

    assert found == ["wal", 1, 1, 50]


def test_a_second_writer_waits_and_then_loses(file):
    started, done = threading.Event(), threading.Event()

    def writer():
        with file.transaction() as session:
            session.execute(text("create table t (id int)"))
            started.set()
            done.wait(10)

    thread = threading.Thread(target=writer)
    thread.start()
    started.wait(10)
    with pytest.raises(TransactionConflictError, match="another writer"), file.transaction() as session:
        session.execute(ONE)
    done.set()
    thread.join()


def test_a_task_that_would_wait_for_itself_is_told_at_once(file):
    with file.transaction() as session:
        session.execute(ONE)
        with pytest.raises(ConfigurationError, match="one writer"), file.transaction() as other:
            other.execute(ONE)


async def test_a_coroutine_that_would_wait_for_itself_is_told_at_once(file):
    async with file.aio.transaction() as session:
        await session.execute(ONE)
        with pytest.raises(ConfigurationError, match="one writer"):
            async with file.aio.transaction() as other:
                await other.execute(ONE)
    await file.aio.close()


def test_memory_is_one_database_for_threads_and_tasks():
    async def count():
        async with db.aio.read() as session:
            return await session.scalar(text("select count(*) from t"))

    with Database("sqlite://") as db:
        with db.transaction() as session:
            session.execute(text("create table t (id int)"))
        seen = []
        thread = threading.Thread(target=lambda: seen.append(asyncio.run(count())))
        thread.start()
        thread.join()

    assert seen == [0]


@pytest.mark.parametrize("turn", range(3))
def test_closing_outside_of_a_loop_leaves_no_thread_that_waits_for_it(turn):
    answers, left = [], []

    async def ask(db):
        async with db.aio.read() as session:
            return await session.scalar(text("select 7"))

    def use_a_loop():  # in a thread of its own: that loop is nobody else's
        loop, before = asyncio.new_event_loop(), threading.enumerate()
        asyncio.set_event_loop(loop)
        with Database("sqlite://") as db:
            answers.append(loop.run_until_complete(ask(db)))
            left.extend(each for each in threading.enumerate() if each not in before)
        loop.close()

    thread = threading.Thread(target=use_a_loop)
    thread.start()
    thread.join(60)
    for each in left:
        each.join(30)

    assert answers == [7]
    assert not any(each.is_alive() for each in left)


def test_memory_is_gone_afterwards():
    import os

    db = Database("sqlite://")
    with db.read() as session:
        session.execute(ONE)
    directory = db._core.memory.directory
    existed = os.path.isdir(directory)
    db.close()

    assert (existed, os.path.exists(directory)) == (True, False)


def test_a_slow_statement_is_logged_without_its_values():
    events, heard = Events(), []
    events.subscribe(SlowQuery, heard.append)
    options = DatabaseOptions(slow_query_seconds=0)
    with (
        Database("sqlite://", options=options, events=events) as db,
        capture_logs("info") as lines,
        db.read() as session,
    ):
        session.execute(text("select :secret, 'hunter2'"), {"secret": "hunter3"})

    line = next(line for line in lines if line["event"] == "slow query")
    assert (line["statement"], line["operation"], line["fingerprint"]) == (
        "select ?, ?",
        "SELECT",
        heard[0].fingerprint,
    )
    assert "test_service.py" in line["caller"]
    assert "hunter" not in str(lines)


def test_echo_logs_every_statement_without_its_values():
    with (
        Database("sqlite://", options=DatabaseOptions(echo=True)) as db,
        capture_logs("info") as lines,
        db.read() as session,
    ):
        session.execute(text("select 'hunter2'"))

    assert [line["statement"] for line in lines if line["event"] == "statement"] == ["select ?"]


def test_a_failed_statement_is_told():
    events, heard = Events(), []
    events.subscribe(QueryFinished, heard.append)
    with Database("sqlite://", events=events) as db, pytest.raises(DatabaseError), db.read() as session:
        session.execute(text("select * from missing"))

    assert (heard[0].operation, heard[0].error_type) == ("SELECT", "OperationalError")


def test_the_database_of_a_runtime_is_part_of_its_health_and_metrics():
    with override_settings(DATABASE_URL="sqlite://", METRICS_ENABLED=True), use(Runtime("orders")) as runtime:
        with get_database().read() as session:
            session.execute(ONE)
        health = get_health_status()["checks"]["database"]
        labels = {"db_system_name": "sqlite", "db_operation_name": "SELECT", "error_type": ""}
        count = get_metrics().value("db_client_operation_duration_seconds_count", labels)
        runtime.close()

    assert (health["status"], count) == ("healthy", 1.0)


def test_without_a_url_the_error_names_the_setting():
    with pytest.raises(ConfigurationError, match="DATABASE_URL is not set"):
        database_from_settings(DatabaseSettings(DATABASE_URL=None))


def test_an_unknown_isolation_level_is_refused():
    with Database("sqlite://") as db, pytest.raises(InvalidArgumentError, match="chaos"):
        with db.transaction(isolation="chaos"):
            pass


def test_errors_of_code_without_a_session_are_translated():
    from sqlalchemy.exc import MultipleResultsFound

    with pytest.raises(ConflictError), translated():
        raise MultipleResultsFound


def test_what_is_not_the_databases_passes_unchanged():
    with pytest.raises(KeyError), translated():
        raise KeyError


def test_the_password_is_not_in_the_repr():
    db = Database("postgresql://u:hunter2@h/x")

    assert "hunter2" not in f"{db!r} {db.aio!r}"
