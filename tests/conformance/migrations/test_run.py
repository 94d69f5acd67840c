"""Revisions are applied and taken back on every engine, over every driver, from whatever a caller has."""

import asyncio
import threading

import pytest
from alembic import command
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from shared.database import Database
from shared.database.migrations import MigrationChain, MigrationOptions, Migrations
from shared.errors import InvalidArgumentError, LockTimeoutError, MigrationError
from tests.conformance.migrations._service import python

DRIVERS = {"sqlite": ("", "+pysqlite", "+aiosqlite"), "postgres": ("", "+psycopg", "+asyncpg")}
LIBRARY = {"database_outbox", "database_inbox", "database_idempotency"}


def library(target, **options) -> Migrations:
    """One room is enough for the rules of a run."""
    return Migrations(target, MigrationChain.library(["database"]), **options)


def tables(engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def with_driver(url: str, driver: str) -> str:
    scheme, colon, rest = url.partition(":")
    return f"{scheme}{driver}{colon}{rest}"


@pytest.mark.parametrize("number", [0, 1, 2], ids=["plain", "synchronous driver", "asynchronous driver"])
def test_the_library_goes_up_and_down_over_every_driver(database_url, shared_engine, number, engine_for):
    url = with_driver(database_url, DRIVERS[shared_engine][number])
    migrations = library(url)

    up = migrations.upgrade()
    check, present = migrations.check(), tables(engine_for(database_url))
    migrations.downgrade("base")

    assert "database_0001" in [step.revision for step in up]
    assert check.ok, check
    assert present >= LIBRARY
    assert not tables(engine_for(database_url)) & LIBRARY


def test_an_upgrade_that_is_done_does_nothing(database_url):
    library(database_url).upgrade()

    assert library(database_url).upgrade() == []


@pytest.mark.parametrize("kind", ["engine", "connection", "database"])
def test_an_open_engine_connection_or_database_is_used(database_url, engine_for, kind):
    engine = engine_for(database_url)
    with Database(database_url) as database, engine.connect() as connection:
        target = {"engine": engine, "connection": connection, "database": database}[kind]

        library(target).upgrade()

        assert tables(engine) >= LIBRARY


def test_an_asynchronous_engine_is_used_inside_and_outside_of_a_loop(database_url, shared_engine, engine_for):
    url = with_driver(database_url, DRIVERS[shared_engine][2])

    async def inside():
        engine = create_async_engine(url)
        async with engine.connect():  # its pool belongs to this loop
            applied = library(engine).upgrade()
        await engine.dispose()
        return applied

    assert asyncio.run(inside())
    engine = create_async_engine(url)
    assert library(engine).check().ok
    asyncio.run(engine.dispose())
    assert tables(engine_for(database_url)) >= LIBRARY


@pytest.mark.parametrize("kind", ["connection", "engine", "async engine", "url"])
def test_alembic_itself_runs_the_environment_with_what_it_is_given(
    database_url, shared_engine, engine_for, kind
):
    chain = MigrationChain.library()
    engine = engine_for(database_url)
    asynchronous = create_async_engine(with_driver(database_url, DRIVERS[shared_engine][2]))
    with engine.connect() as connection:
        given = {
            "connection": connection,
            "engine": engine,
            "async engine": asynchronous,
            "url": database_url,
        }
        config = chain.config(connection=given[kind])
        config.set_main_option("version_path_separator", "os")
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", ":".join(map(str, chain.versions)))

        command.upgrade(config, "heads")

        assert tables(engine) >= LIBRARY
    asyncio.run(asynchronous.dispose())


def test_something_that_is_no_database_is_refused():
    with pytest.raises(InvalidArgumentError, match="got int"):
        library(7).upgrade()


def test_the_message_about_a_wrong_address_holds_no_password():
    with pytest.raises(Exception, match="cannot reach|refused") as caught:
        library("postgresql://user:hunter22@127.0.0.1:1/nothing").upgrade()

    assert "hunter22" not in str(caught.value)


def test_an_unknown_revision_is_our_error(sqlite_url):
    with pytest.raises(MigrationError, match="nowhere"):
        library(sqlite_url).upgrade("nowhere")


def test_a_revision_that_fails_leaves_nothing_behind(database_url, orders, engine_for):
    orders.add("svc_0002", "op.create_table('half', sa.Column('id', sa.Integer))\nraise RuntimeError('no')")
    migrations = Migrations(database_url, orders.chain)

    with pytest.raises(RuntimeError, match="no"):
        migrations.upgrade()

    assert migrations.current() == ("svc_0001",)
    assert "half" not in tables(engine_for(database_url))


def test_each_service_has_its_own_schema(postgres_url, engine_for):
    for schema in ("one", "two"):
        migrations = library(postgres_url, schema=schema)
        migrations.upgrade()
        assert migrations.check().ok

    library(f"{postgres_url}&schema=one").downgrade("base")

    inspector = inspect(engine_for(postgres_url))
    assert not set(inspector.get_table_names(schema="one")) & LIBRARY
    assert set(inspector.get_table_names(schema="two")) >= LIBRARY
    assert not set(inspector.get_table_names(schema="public")) & LIBRARY


def test_the_schema_is_in_the_sql_that_is_printed(postgres_url):
    sql = library(postgres_url, schema="one").sql()

    assert 'SET search_path TO "one"' in sql


def test_sql_is_printed_without_touching_a_database():
    url = "postgresql://nobody@127.0.0.1:1/nowhere"

    up = library(url).sql()
    down = library(url).sql("database_0001:base", down=True)

    assert "CREATE TABLE database_outbox" in up
    assert "INSERT INTO shared_alembic_version" in up
    assert "DROP TABLE database_outbox" in down


def test_the_sql_that_is_printed_does_what_the_command_does(
    database_url, engine_for, tmp_path, shared_engine
):
    sql = library(database_url).sql()
    engine = engine_for(database_url)

    if shared_engine == "sqlite":
        with engine.connect() as connection:
            connection.connection.dbapi_connection.executescript(sql)
    else:
        with engine.connect() as connection:
            connection.exec_driver_sql(sql.replace("%", "%%"))

    assert library(database_url).check().ok


def test_sql_of_a_downgrade_needs_its_start():
    with pytest.raises(MigrationError, match="START"):
        Migrations("sqlite://").sql("base", down=True)


def test_a_stamp_says_it_without_doing_it(database_url, engine_for):
    migrations = library(database_url)

    migrations.stamp("heads")

    assert migrations.check().pending == ()
    assert not tables(engine_for(database_url)) & LIBRARY


def test_history_tells_what_is_applied(database_url, orders):
    orders.add("svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))")
    migrations = Migrations(database_url, orders.chain)
    migrations.upgrade("svc_0001")

    told = [(state.revision, state.is_applied, state.is_head) for state in migrations.history()]

    assert told == [("svc_0001", True, False), ("svc_0002", False, True)]


# --- phases ----------------------------------------------------------------------------


@pytest.fixture
def phased(orders):
    orders.add("svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))")
    orders.add("svc_0003", "op.execute(\"UPDATE orders SET note = 'x'\")", phase="migrate")
    orders.add("svc_0004", "op.drop_column('orders', 'note')", phase="contract")
    orders.add("svc_0005", "op.add_column('orders', sa.Column('b', sa.Integer))")
    return orders


@pytest.mark.parametrize(
    ("phase", "last"),
    [("expand", "svc_0002"), ("migrate", "svc_0003"), ("contract", "svc_0005"), (None, "svc_0005")],
)
def test_a_phase_applies_what_belongs_to_it_and_waits_for_nothing_later(database_url, phased, phase, last):
    migrations = Migrations(database_url, phased.chain)

    migrations.upgrade(phase=phase)

    assert migrations.current() == (last,)


def test_the_contract_comes_after_the_expansion(database_url, phased):
    migrations = Migrations(database_url, phased.chain)
    migrations.upgrade(phase="expand")

    steps = migrations.upgrade(phase="contract")

    assert [step.revision for step in steps] == ["svc_0003", "svc_0004", "svc_0005"]


def test_an_unknown_phase_is_named(sqlite_url, service):
    service.add("svc_0001", "pass", phase="later")

    with pytest.raises(MigrationError, match="unknown phase 'later'"):
        Migrations(sqlite_url, service.chain).upgrade()


# --- one at a time ---------------------------------------------------------------------


WAITING = """
import sys
from shared.database.migrations import MigrationChain, Migrations
tell = lambda progress: print(progress.state, flush=True)
print(Migrations(sys.argv[1], MigrationChain.service(sys.argv[2]), progress=tell).upgrade())
"""


def test_a_second_process_waits_until_the_first_is_done(database_url, orders):
    started, release = threading.Event(), threading.Event()

    def hold(step):
        if step.state == "started":
            started.set()
            release.wait(100)

    first = threading.Thread(target=Migrations(database_url, orders.chain, progress=hold).upgrade)
    first.start()
    assert started.wait(30)
    with python(WAITING, database_url, str(orders.folder)) as second:
        state = second.stdout.readline().strip()
        release.set()
        first.join(100)
        rest = second.stdout.read().splitlines()

    assert state == "waiting"
    assert rest[-1] == "[]"
    assert second.returncode == 0


def test_the_wait_for_another_process_has_an_end(postgres_url, engine_for):
    from shared.database.migrations._lock import migration_lock

    engine = engine_for(postgres_url)
    with engine.connect() as holder, migration_lock(holder, timeout=1):
        options = MigrationOptions(queue_timeout=0)
        with pytest.raises(LockTimeoutError, match="another process"):
            library(postgres_url, options=options).upgrade()


def test_the_lock_is_free_after_a_failure(database_url, service):
    service.add("svc_0001", "raise RuntimeError('no')")
    migrations = Migrations(database_url, service.chain, options=MigrationOptions(queue_timeout=0))

    for _ in range(2):
        with pytest.raises(RuntimeError):
            migrations.upgrade()


def test_the_lock_file_is_gone_after_the_run(sqlite_url, tmp_path):
    library(sqlite_url).upgrade()

    assert [path.name for path in tmp_path.iterdir() if "lock" in path.name] == []


def test_work_outside_of_transactions_runs_while_the_lock_is_held(migrated, orders):
    orders.add(
        "svc_0002",
        """
        with op.get_context().autocommit_block():
            op.create_index("ix_note", "orders", ["note"], postgresql_concurrently=True)
        """,
    )

    steps = Migrations(migrated, orders.chain, options=MigrationOptions(concurrent_lock_timeout=20)).upgrade()

    assert len(steps) == 1


# --- locks of others -------------------------------------------------------------------


def test_a_locked_table_is_tried_again_after_a_random_wait(migrated, orders, engine_for):
    orders.add("svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))")
    waits = []
    with engine_for(migrated).connect() as holder:
        holder.execute(text("LOCK TABLE orders"))

        def sleep(seconds):
            waits.append(seconds)
            if len(waits) == 2:
                holder.rollback()

        options = MigrationOptions(lock_timeout=0.05, retry_wait=1.0)
        migrations = Migrations(migrated, orders.chain, options=options, sleep=sleep, draw=lambda: 0.5)
        steps = migrations.upgrade()

    assert [step.revision for step in steps] == ["svc_0002"]
    assert waits == [0.5, 1.0]


def test_what_was_applied_before_a_locked_table_stays(migrated, orders, engine_for):
    orders.add("svc_0002", "op.create_table('other', sa.Column('id', sa.Integer))")
    orders.add("svc_0003", "op.add_column('orders', sa.Column('a', sa.Integer))")
    options = MigrationOptions(lock_timeout=0.05, lock_attempts=2)
    migrations = Migrations(migrated, orders.chain, options=options, sleep=lambda _seconds: None)
    with engine_for(migrated).connect() as holder:
        holder.execute(text("LOCK TABLE orders"))

        with pytest.raises(LockTimeoutError, match="2 attempts; 1 revisions were applied"):
            migrations.upgrade()

    assert migrations.current() == ("svc_0002",)


def test_a_given_connection_has_its_own_limits_back(postgres_url, engine_for):
    with engine_for(postgres_url).connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '77ms'")
        connection.commit()

        library(connection).upgrade()

        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "77ms"


@pytest.mark.parametrize("kind", ["url", "engine", "connection", "database"])
def test_a_long_step_tells_who_is_in_its_way(migrated, orders, engine_for, monkeypatch, kind):
    from shared.database.migrations import _runner, _watch

    orders.add("svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))")
    monkeypatch.setattr(_runner, "watched", lambda *a, **k: _watch.watched(*a, **k, interval=0.05))
    notes, told = [], threading.Event()
    engine = engine_for(migrated)
    with (
        Database(migrated) as database,
        engine.connect() as connection,
        engine_for(migrated).connect() as holder,
    ):
        holder.execute(text("LOCK TABLE orders"))

        def progress(step):
            if step.state == "working" and "waits for the process" in step.note:
                notes.append(step.note)
                if not told.is_set():
                    told.set()
                    holder.rollback()

        target = {"url": migrated, "engine": engine, "connection": connection, "database": database}[kind]
        options = MigrationOptions(lock_timeout=60)
        Migrations(target, orders.chain, options=options, progress=progress).upgrade()

    assert notes


def test_work_outside_of_transactions_by_hand_is_not_tried_again(migrated, orders, engine_for):
    orders.add(
        "svc_0002",
        """
        with op.get_context().autocommit_block():
            op.create_index("ix_note", "orders", ["note"], postgresql_concurrently=True)
        """,
    )
    options = MigrationOptions(lock_timeout=0.05)
    with engine_for(migrated).connect() as holder:
        holder.execute(text("LOCK TABLE orders"))

        with pytest.raises(LockTimeoutError, match="not tried again: see what it left"):
            Migrations(migrated, orders.chain, options=options).upgrade()


def test_limits_in_the_callers_transaction_end_with_it(postgres_url, engine_for):
    with engine_for(postgres_url).connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '77ms'")
        connection.commit()
        connection.execute(text("SELECT 1"))

        library(connection).upgrade()
        inside = connection.exec_driver_sql("SHOW lock_timeout").scalar()
        connection.commit()

        assert inside == "2s"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "77ms"
    assert tables(engine_for(postgres_url)) >= LIBRARY


@pytest.mark.parametrize("kind", ["engine", "connection", "async engine", "database"])
def test_sql_is_printed_for_whatever_is_given(sqlite_url, engine_for, kind):
    engine = engine_for(sqlite_url)
    with Database(sqlite_url) as database, engine.connect() as connection:
        given = {
            "engine": engine,
            "connection": connection,
            "async engine": create_async_engine(with_driver(sqlite_url, "+aiosqlite")),
            "database": database,
        }

        assert "CREATE TABLE database_outbox" in library(given[kind]).sql()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_sql_is_printed_for_every_spelling_of_the_address(scheme):
    sql = Migrations(f"{scheme}://nobody@nowhere/x?schema=one").sql()

    assert 'SET search_path TO "one"' in sql
    assert "TIMESTAMP WITH TIME ZONE" in sql


def test_a_stamp_forgets_what_nobody_knows_when_asked_to(database_url, orders, engine_for):
    migrations = Migrations(database_url, orders.chain)
    migrations.upgrade()
    with engine_for(database_url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'svc_0007'"))
    with pytest.raises(MigrationError, match="svc_0007"):
        migrations.stamp("heads")

    migrations.stamp("heads", purge=True)

    assert migrations.current() == ("svc_0001",)


def test_a_phase_that_does_not_exist_is_our_error(sqlite_url):
    with pytest.raises(InvalidArgumentError, match="unknown phase 'later'"):
        library(sqlite_url).upgrade(phase="later")
