"""The databases that the plugin gives to tests, used as a service's tests use them."""

import asyncio
import threading
import uuid

import pytest
from sqlalchemy import MetaData, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import (
    Base,
    Database,
    LockManager,
    Repository,
    UUIDKey,
    get_database,
    on_commit,
)
from shared.errors import ConfigurationError, ConflictError, InvalidArgumentError


class ShopBase(Base):
    __abstract__ = True
    __room__ = "tests"
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Item(UUIDKey, ShopBase):
    __tablename__ = "items"

    name: Mapped[str] = mapped_column(unique=True)


ITEMS = Repository(Item)


@pytest.fixture(scope="session")
def shared_metadata():
    return ShopBase.metadata


@pytest.fixture(scope="session")
def shared_db_setup():
    def setup(db):
        with db.transaction() as session:
            session.add(Item(name="from the setup"))

    return setup


@pytest.fixture(params=["shared_db", "shared_db_committed"])
def either(request, shared_engine):
    return request.getfixturevalue(request.param)


def names(db):
    with db.read() as session:
        return sorted(session.scalars(select(Item.name)))


def put(db, *given):
    with db.transaction() as session:
        for name in given:
            session.add(Item(name=name))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_what_a_test_commits_is_gone_in_the_next(either, turn):
    before = names(either)

    put(either, f"turn {turn}")

    assert (before, len(names(either))) == (["from the setup"], 2)


def test_the_accessor_finds_the_database(either):
    assert get_database() is either


def test_a_transaction_that_fails_is_undone_alone(either):
    put(either, "kept")

    with pytest.raises(KeyError):
        with either.transaction() as session:
            session.add(Item(name="lost"))
            session.flush()
            raise KeyError

    assert names(either) == ["from the setup", "kept"]


def test_a_statement_that_fails_does_not_spoil_the_test(either):
    with pytest.raises(ConflictError):
        put(either, "from the setup")

    put(either, "next")

    assert names(either) == ["from the setup", "next"]


def test_savepoints_of_the_code_under_test_work(either):
    with either.transaction() as session:
        with pytest.raises(KeyError), session.begin_nested():
            session.add(Item(name="lost"))
            session.flush()
            raise KeyError
        session.add(Item(name="kept"))

    assert names(either) == ["from the setup", "kept"]


def test_hooks_run_when_the_code_under_test_commits(either):
    seen = []

    with either.transaction() as session:
        session.add(Item(name="a"))
        on_commit(session, lambda: seen.append(names(either)))

    assert seen == [["a", "from the setup"]]


def test_reading_refuses_writes(either):
    with pytest.raises(ConfigurationError, match="only reads"), either.read() as session:
        session.execute(text("delete from items"))
    with pytest.raises(ConfigurationError, match="only reads"):
        with either.transaction(read_only=True) as session:
            session.add(Item(name="a"))

    assert names(either) == ["from the setup"]


def test_what_is_committed_while_somebody_reads_stays(shared_db):
    with shared_db.read() as session:
        before = session.scalar(select(func.count(Item.id)))
        put(shared_db, "b")
        after = session.scalar(select(func.count(Item.id)))

    assert (before, after, len(names(shared_db))) == (1, 2, 2)


def test_a_reader_may_end_under_an_open_transaction(shared_db):
    reader = shared_db.read()
    session = reader.__enter__()
    session.scalar(select(func.count(Item.id)))

    with shared_db.transaction() as writer:
        writer.add(Item(name="b"))
        writer.flush()
        reader.__exit__(None, None, None)

    assert names(shared_db) == ["b", "from the setup"]


def test_rows_are_written_in_bulk(either):
    with either.transaction() as session:
        ITEMS.copy_from(session, [{"name": f"n{n}"} for n in range(3)])
        ITEMS.bulk_insert(session, [{"name": f"m{n}"} for n in range(3)])
        ITEMS.upsert(session, {"id": uuid.uuid4(), "name": "n0"}, on=["name"])

    assert len(names(either)) == 7


def test_locks_and_isolation_levels_are_accepted(either):
    def work(session):
        LockManager(either).acquire(session, "items", timeout=5)
        return ITEMS.count(session)

    assert either.transaction(isolation="SERIALIZABLE", retry=3).run(work) == 1
    with pytest.raises(InvalidArgumentError), either.transaction(isolation="HIGHEST"):
        pass


def test_the_engine_itself_is_isolated_too(either):
    with either.engine.begin() as connection:
        connection.execute(text("insert into items (id, name) select id, 'copy' from items where 1 = 0"))
        found = connection.execute(text("select count(*) from items")).scalar()

    assert found == 1


async def test_both_sides_see_the_same_data(either):
    put(either, "sync")

    async with either.aio.transaction() as session:
        session.add(Item(name="async"))
        await session.flush()
        connection = await session.connection()
        inside = (await connection.execute(text("select count(*) from items"))).scalar()

    assert inside == 3
    assert names(either) == ["async", "from the setup", "sync"]


async def test_the_asynchronous_fixture_is_the_other_side(shared_async_db, shared_db):
    async with shared_async_db.transaction() as session:
        await ITEMS.aio.add(session, Item(name="async"))
    async with shared_async_db.read() as session:
        found = [name async for name in await session.stream_scalars(select(Item.name).order_by(Item.name))]

    assert found == names(shared_db) == ["async", "from the setup"]


@pytest.mark.shared_engines("postgres")
async def test_the_asynchronous_engine_is_there_for_tools(shared_async_db):
    async with shared_async_db.engine.connect() as connection:
        found = (await connection.execute(text("select count(*) from items"))).scalar()

    assert found == 1


@pytest.mark.shared_engines("postgres")
async def test_transactions_that_overlap_are_told_which_fixture_they_need(shared_async_db):
    begun, inside, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def first():
        try:
            async with shared_async_db.transaction() as session:
                await session.execute(text("select 1"))
                begun.set()
                await inside.wait()
        finally:
            ended.set()

    async def second():
        await begun.wait()
        async with shared_async_db.transaction() as session:
            await session.execute(text("select 1"))
            inside.set()
            await ended.wait()

    outcomes = await asyncio.gather(first(), second(), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ConfigurationError, ConfigurationError]
    assert "shared_db_committed" in str(outcomes[0])


@pytest.mark.shared_engines("postgres")
async def test_transactions_that_overlapped_are_undone_both(shared_async_db, shared_db):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def first():
        try:
            async with shared_async_db.transaction() as session:
                session.add(Item(name="first"))
                await session.flush()
                begun.set()
                await begun_too.wait()
        finally:
            ended.set()

    async def second():
        await begun.wait()
        async with shared_async_db.transaction() as session:
            session.add(Item(name="second"))
            await session.flush()
            begun_too.set()
            await ended.wait()

    begun_too = asyncio.Event()
    await asyncio.gather(first(), second(), return_exceptions=True)

    assert names(shared_db) == ["from the setup"]


@pytest.mark.shared_engines("postgres")
def test_another_isolation_level_of_a_connection_is_told_which_fixture_it_needs(shared_db):
    with pytest.raises(ConfigurationError, match="shared_db_committed"):
        shared_db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def test_threads_work_side_by_side_on_a_committed_database(shared_db_committed):
    barrier = threading.Barrier(2, timeout=30)
    failed = []

    def buyer(number):
        try:
            barrier.wait()
            shared_db_committed.transaction(retry=20).run(
                lambda session: session.add(Item(name=f"thread {number}"))
            )
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=buyer, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failed, len(names(shared_db_committed))) == ([], 3)


def test_both_fixtures_of_one_test_are_two_databases(shared_db, shared_db_committed):
    put(shared_db, "one")

    assert names(shared_db_committed) == ["from the setup"]


def test_statements_are_counted(shared_db, query_log):
    names(shared_db)

    assert len(query_log.queries) == 1
    query_log.assert_not_repeated()


def test_a_loop_of_statements_fails_the_test(shared_db, query_log):
    for _ in range(6):
        names(shared_db)

    with pytest.raises(AssertionError, match=r"6x SELECT items.name .*test_databases.py"):
        query_log.assert_not_repeated()


def test_draining_and_disposing_lose_nothing(either):
    put(either, "kept")

    either.dispose()
    found = names(either)

    assert (found, either.drain(timeout=10), isinstance(either, Database)) == (
        ["from the setup", "kept"],
        True,
        True,
    )
