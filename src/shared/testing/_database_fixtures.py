"""Fixtures that give a test its database; the plugin brings them in.

Loaded in every test run, so it imports pytest and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from shared.database import AsyncDatabase, Database, QueryLog
    from shared.runtime import Runtime
    from shared.testing._databases import PostgresTemplates, SqliteTemplates

__all__ = [
    "query_log",
    "shared_async_db",
    "shared_db",
    "shared_db_committed",
    "shared_db_setup",
    "shared_metadata",
]


@pytest.fixture(scope="session")
def shared_metadata() -> "MetaData":
    """The tables of ``shared_db``: those of ``shared.database.Base`` that are imported by then.

    Override it to give other ones, one ``MetaData`` or a list of them.

    Example:
        >>> @pytest.fixture(scope="session")
        ... def shared_metadata():
        ...     from orders.tables import metadata
        ...     return metadata
    """
    from shared.database import Base

    return Base.metadata


@pytest.fixture(scope="session")
def shared_db_setup() -> "Callable[[Database], object]":
    """What is done once to a database after its tables were created; nothing.

    Override it to put in what every test begins with, or to run migrations: return a
    function that takes the ``Database``. What it does must be committed.

    Example:
        >>> @pytest.fixture(scope="session")
        ... def shared_db_setup():
        ...     def setup(db):
        ...         with db.transaction() as session:
        ...             seed(session, SEEDS, environment="testing")
        ...     return setup
    """
    return lambda _database: None


@pytest.fixture(scope="session")
def _shared_templates(
    shared_engine: str, request: pytest.FixtureRequest
) -> "Iterator[SqliteTemplates | PostgresTemplates]":
    from shared.testing import _databases

    metadata, setup = request.getfixturevalue("shared_metadata"), request.getfixturevalue("shared_db_setup")
    templates: SqliteTemplates | PostgresTemplates
    if shared_engine == "postgres":
        url = request.getfixturevalue("shared_postgres")
        templates = _databases.PostgresTemplates(url, metadata, setup)
    else:
        templates = _databases.SqliteTemplates(metadata, setup)
    with closing(templates):
        yield templates


@pytest.fixture
def shared_db(
    _shared_templates: "SqliteTemplates | PostgresTemplates", shared_runtime: "Runtime"
) -> "Iterator[Database]":
    """A :class:`~shared.database.Database` with the tables in it, of which nothing is left after the test.

    The test runs once on each engine of ``--shared-engines``. ``get_database()`` finds it
    and ``db.aio`` sees the same data. On PostgreSQL everything is one transaction that is
    rolled back, so work side by side (threads, tasks, locks, isolation levels) needs
    ``shared_db_committed``. On SQLite it is a copy.

    Example:
        >>> def test_an_order_is_kept(shared_db):
        ...     with shared_db.transaction() as session:
        ...         session.add(Order(number=7))
        ...     with shared_db.read() as session:
        ...         assert session.query(Order).one().number == 7
    """
    from shared.database import Database

    isolated = getattr(_shared_templates, "taken_back", _shared_templates.copy)
    with isolated(shared_runtime.events) as database:
        shared_runtime.replace(Database, database)
        yield database


@pytest.fixture
def shared_async_db(shared_db: "Database") -> "AsyncDatabase":
    """The asynchronous side of ``shared_db``: the same data, for coroutines.

    Example:
        >>> async def test_nothing_is_there_yet(shared_async_db):
        ...     async with shared_async_db.read() as session:
        ...         assert await session.scalar(select(func.count(Order.id))) == 0
    """
    return shared_db.aio


@pytest.fixture
def shared_db_committed(
    _shared_templates: "SqliteTemplates | PostgresTemplates", shared_runtime: "Runtime"
) -> "Iterator[Database]":
    """As ``shared_db``, but a database of the test's own, where commits are commits.

    For threads, tasks and processes side by side, locks, isolation levels, deferred
    constraints, ``NOTIFY``. On PostgreSQL it is copied from a template, which costs
    more than taking back.

    Example:
        >>> def test_two_buyers_do_not_share_an_item(shared_db_committed):
        ...     with ThreadPoolExecutor(2) as pool:
        ...         sold = list(pool.map(buy, [shared_db_committed] * 2))
        ...     assert sorted(sold) == [False, True]
    """
    from shared.database import Database

    with _shared_templates.copy(shared_runtime.events) as database:
        shared_runtime.replace(Database, database)
        yield database


@pytest.fixture
def query_log(shared_db: "Database") -> "Iterator[QueryLog]":
    """The statements that the test sends to ``shared_db``.

    Example:
        >>> def test_a_page_is_two_statements(shared_db, query_log):
        ...     list_orders()
        ...     assert len(query_log.queries) == 2
        ...     query_log.assert_not_repeated()
    """
    from shared.database import query_log as log_of

    with log_of(shared_db) as log:
        yield log
