"""What comes from outside is refused with an error of ours, and nothing is half-written."""

import io
import logging
import traceback
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shared.database import Database, DatabaseOptions, Repository, query_log
from shared.errors import (
    ConfigurationError,
    ConflictError,
    DatabaseError,
    InvalidArgumentError,
    PoolExhaustedError,
    ServiceUnavailableError,
    SharedError,
    ValidationError,
)
from tests.conformance.database.models import Author, Pair, TestBase, Work

WORKS, AUTHORS, PAIRS = Repository(Work), Repository(Author), Repository(Pair)
HOSTILE = [
    "title; drop table works",
    "title'--",
    'title"',
    "title) or 1=1 --",
    "(select password from users)",
    "title desc",
    "works.title",
    "__class__",
    "metadata",
    "registry",
    "author",
    "",
    "%s",
    ":shared_tenant",
    "\x00",
]


@pytest.fixture
def db(db):
    TestBase.metadata.create_all(db.engine)
    with db.transaction() as session:
        WORKS.bulk_insert(session, [{"title": f"W{n}", "price": Decimal(n)} for n in range(3)])
    return db


def titles(db):
    with db.read() as session:
        return [work.title for work in WORKS.list(session, order_by="title")]


USES = {
    "where": lambda session, name: WORKS.list(session, where={name: "x"}),
    "where-operator": lambda session, name: WORKS.list(session, where={f"title__{name or 'x'}": "x"}),
    "order_by": lambda session, name: WORKS.list(session, order_by=name or " "),
    "order_by-reverse": lambda session, name: WORKS.page(session, 1, order_by=[f"-{name}"]),
    "keyset": lambda session, name: WORKS.keyset(session, order_by=name or " "),
    "cursor": lambda session, name: WORKS.keyset(session, after=name or " "),
    "count": lambda session, name: WORKS.count(session, where={name: 1}),
    "exists": lambda session, name: WORKS.exists(session, where={name: 1}),
    "columns": lambda session, name: WORKS.rows(session, [name]),
}


@pytest.mark.parametrize("use", USES)
def test_a_name_that_is_no_column_reaches_no_statement(db, use):
    refused = []
    with query_log(db) as log, db.read() as session:
        for name in HOSTILE:
            with pytest.raises(ValidationError):
                USES[use](session, name)
            refused.append(name)

    assert (refused, log.queries) == (HOSTILE, [])


WRITES = {
    "bulk_insert": lambda session, name: WORKS.bulk_insert(session, [{"title": "x", "price": 1, name: 1}]),
    "copy_from": lambda session, name: WORKS.copy_from(session, [{"title": "x", "price": 1, name: 1}]),
    "upsert": lambda session, name: WORKS.upsert(session, {"title": "x", "price": 1, name: 1}, on=["id"]),
    "upsert-on": lambda session, name: WORKS.upsert(session, {"title": "x", "price": 1}, on=[name]),
    "upsert-update": lambda session, name: WORKS.upsert(
        session, {"title": "x", "price": 1}, on=["id"], update=[name]
    ),
    "update": lambda session, name: WORKS.update(session, WORKS.list(session)[0].id, {name: 1}),
}


@pytest.mark.parametrize("use", WRITES)
def test_a_name_that_is_no_column_is_never_written(db, use):
    for name in HOSTILE:
        with pytest.raises((ValidationError, InvalidArgumentError)), db.transaction() as session:
            WRITES[use](session, name)

    assert titles(db) == ["W0", "W1", "W2"]


@pytest.mark.parametrize(
    "value", ["x' or '1'='1", "%' or 1=1 --", "\\' or 1=1", "W_", "W%", '"; drop table works; --']
)
def test_a_value_is_a_value_whatever_it_holds(db, value):
    with db.read() as session:
        found = [
            WORKS.list(session, where={f"title{how}": value}) for how in ("", "__contains", "__starts_with")
        ]

    assert found == [[], [], []]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(max_size=30), value=st.one_of(st.text(max_size=30), st.integers(), st.none(), st.booleans())
)
def test_any_filter_gives_rows_or_an_error_of_ours(db, name, value):
    outcomes = []
    for where, order in (
        ({name: value}, None),
        ({"title": value}, name or None),
        ({"price__ge": value}, None),
    ):
        try:
            with db.read() as session:
                outcomes.append(isinstance(WORKS.list(session, where=where, order_by=order), list))
        except SharedError:
            outcomes.append(True)

    assert outcomes == [True, True, True]


# -- nothing half-written ------------------------------------------------------------


@pytest.mark.parametrize("method", ["bulk_insert", "copy_from"])
def test_one_bad_row_of_many_writes_none(db, method):
    rows = [{"title": f"N{n}", "price": Decimal(1)} for n in range(50)] + [
        {"title": "W1", "price": Decimal(1)}
    ]

    with pytest.raises(ConflictError) as caught, db.transaction() as session:
        getattr(WORKS, method)(session, rows)

    assert titles(db) == ["W0", "W1", "W2"]
    assert "W1" not in "".join(map(str, (caught.value, caught.value.__cause__, caught.value.details)))


async def test_one_bad_row_of_an_asynchronous_copy_writes_none(db):
    rows = [{"title": "new", "price": Decimal(1)}, {"title": "W1", "price": Decimal(1)}]

    with pytest.raises(ConflictError):
        async with db.aio.transaction() as session:
            await WORKS.aio.copy_from(session, rows)
    await db.aio.close()

    assert titles(db) == ["W0", "W1", "W2"]


def test_a_copy_that_fails_in_a_savepoint_leaves_the_rest(db):
    with db.transaction() as session:
        WORKS.add(session, Work(title="kept", price=Decimal(1)))
        with pytest.raises(ConflictError), session.begin_nested():
            WORKS.copy_from(session, [{"title": "W1", "price": Decimal(1)}])

    assert titles(db) == ["W0", "W1", "W2", "kept"]


@pytest.mark.parametrize("price", [1.5, float("nan"), "NaN", "1e40", True, b"1"], ids=ascii)
def test_money_that_is_not_exact_is_refused_and_nothing_is_written(db, price):
    with pytest.raises(SharedError) as caught, db.transaction() as session:
        WORKS.add(session, Work(title="new", price=Decimal(1)))
        WORKS.add(session, Work(title="wrong", price=price))

    assert isinstance(caught.value, (ValidationError, InvalidArgumentError))
    assert titles(db) == ["W0", "W1", "W2"]


def test_a_moment_without_a_zone_is_refused_and_nothing_is_written(db):
    from datetime import datetime

    with pytest.raises(SharedError), db.transaction() as session:
        AUTHORS.add(session, Author(email="a", name="A", born=datetime(1815, 12, 10)))  # noqa: DTZ001

    with db.read() as session:
        assert AUTHORS.count(session) == 0


# -- sessions ------------------------------------------------------------------------


def test_a_flush_in_a_session_that_reads_is_refused(db):
    with pytest.raises(ConfigurationError, match="only reads"), db.read() as session:
        session.add(Work(title="new", price=Decimal(1)))
        session.flush()

    assert titles(db) == ["W0", "W1", "W2"]


def test_a_change_flushed_by_a_query_of_a_session_that_reads_is_refused(db):
    with pytest.raises(ConfigurationError, match="only reads"), db.read() as session:
        work = WORKS.list(session, order_by="title")[0]
        work.title = "changed"
        session.delete(WORKS.list(session, order_by="title")[1])
        session.commit()

    assert titles(db) == ["W0", "W1", "W2"]


async def test_an_asynchronous_flush_in_a_session_that_reads_is_refused(db):
    with pytest.raises(ConfigurationError, match="only reads"):
        async with db.aio.read() as session:
            session.add(Work(title="new", price=Decimal(1)))
            await session.flush()
    await db.aio.close()

    assert titles(db) == ["W0", "W1", "W2"]


async def test_an_asynchronous_retry_inside_of_another_is_refused(db):
    async def nothing(session):
        pass

    async def outer(session):
        await db.aio.transaction(retry=2).run(nothing)

    with pytest.raises(ConfigurationError, match="cannot run inside of another"):
        await db.aio.transaction(retry=2).run(outer)
    await db.aio.close()


async def test_a_retry_beside_another_is_allowed(db):
    import asyncio

    async def count(session):
        return await WORKS.aio.count(session)

    found = await asyncio.gather(*(db.aio.transaction(retry=2).run(count) for _ in range(3)))
    await db.aio.close()

    assert found == [3, 3, 3]


async def test_an_exhausted_pool_is_a_clear_error_in_tasks_too(url):
    options = DatabaseOptions(pool_size=1, max_overflow=0, pool_timeout=0.05)
    async with Database(url, options=options) as db, db.aio.read() as session:
        await session.execute(text("select 1"))

        with pytest.raises(PoolExhaustedError, match=r"all 1 connections .* 0.05 s"):
            async with db.aio.read() as other:
                await other.execute(text("select 1"))


# -- secrets -------------------------------------------------------------------------


def test_a_password_is_in_no_message_traceback_or_log(caplog):
    url = "postgresql://app:hunter2@127.0.0.1:1/orders?connect_timeout=2"
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        with Database(url, options=DatabaseOptions(echo=True)) as db:
            with pytest.raises(ServiceUnavailableError) as caught, db.read() as session:
                session.execute(text("select 1"))
            shown = [repr(db), repr(db.aio), repr(db.engine), *traceback.format_exception(caught.value)]
    finally:
        logging.getLogger().removeHandler(handler)

    assert "hunter2" not in "".join([*shown, stream.getvalue(), caplog.text, str(caught.value.details)])


@pytest.mark.parametrize("scheme", ["mysql", "mongodb", "http", "postgre", "oracle+cx", "file"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(scheme):
    url = f"{scheme}://app:hunter2@host/name"

    with pytest.raises(ConfigurationError, match="known: memory, postgresql, sqlite") as caught:
        Database(url)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_table_that_is_missing_is_told_with_the_way_out(db):
    with pytest.raises(DatabaseError, match="has no table 'nowhere': run 'shared db upgrade'") as caught:
        with db.read() as session:
            session.execute(text("select * from nowhere"))

    assert caught.value.details["table"] == "nowhere"


async def test_a_table_that_is_missing_is_told_to_asynchronous_code(db):
    with pytest.raises(DatabaseError, match="has no table 'nowhere'"):
        async with db.aio.read() as session:
            await session.execute(text("select * from nowhere"))
    await db.aio.close()
