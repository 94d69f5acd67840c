"""Every rule about tokens against every store: memory, SQLite, PostgreSQL, Redis; for threads and for tasks."""

import asyncio
import inspect

import pytest
from sqlalchemy import delete, text

from shared.auth import (
    AsyncMemoryTokenStore,
    AsyncRedisTokenStore,
    AsyncSqlTokenStore,
    AsyncTokenService,
    MemoryTokenStore,
    RedisTokenStore,
    SqlTokenStore,
    TokenEvent,
    TokenFamily,
    TokenMark,
    TokenService,
)
from shared.database import Base, Database
from shared.runtime import Events
from tests.unit.auth.forge import Clock, ring

TABLES = [TokenMark.__table__, TokenFamily.__table__]
KINDS = ["memory", "sqlite", "postgres", "redis"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def database(kind, request, tmp_path):
    """The database of the stores that have one, with the tables."""
    if kind not in ("sqlite", "postgres"):
        yield None
        return
    if kind == "sqlite":
        with Database(f"sqlite:///{tmp_path}/tokens.db") as db:
            Base.metadata.create_all(db.engine, tables=TABLES)
            yield db
    else:
        yield request.getfixturevalue("postgres")
        request.getfixturevalue("postgres").dispose()


@pytest.fixture
def postgres(_postgres_tables):
    """The one database of the worker, emptied for the test: making one takes longer than the test."""
    with _postgres_tables.transaction() as session:
        for table in TABLES:
            session.execute(delete(table))
    return _postgres_tables


@pytest.fixture(scope="session")
def _postgres_tables(shared_postgres):
    # A schema of its own: the database is shared with every other test of the worker.
    with Database(shared_postgres) as db, db.transaction() as session:
        session.execute(text("create schema if not exists auth_tokens"))
    joint = "&" if "?" in shared_postgres else "?"
    with Database(f"{shared_postgres}{joint}schema=auth_tokens") as db:
        Base.metadata.create_all(db.engine, tables=TABLES)
        yield db


@pytest.fixture
def store(kind, database, request):
    if kind == "memory":
        yield MemoryTokenStore()
    elif kind == "redis":
        found = RedisTokenStore(request.getfixturevalue("shared_redis"), timeout=10.0)
        yield found
        found.close()
    else:
        yield SqlTokenStore(database)


@pytest.fixture
async def async_store(kind, database, request):
    if kind == "memory":
        yield AsyncMemoryTokenStore()
    elif kind == "redis":
        found = AsyncRedisTokenStore(request.getfixturevalue("shared_redis"), timeout=10.0)
        yield found
        await found.close()
    else:
        yield AsyncSqlTokenStore(database)
        await database.aio.dispose()


class Waiting:
    """Something asynchronous as something synchronous, on a loop of its own."""

    def __init__(self, thing, loop):
        self._thing, self._loop = thing, loop

    def __getattr__(self, name):
        found = getattr(self._thing, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            answer = found(*args, **kwargs)
            return self._loop.run_until_complete(answer) if inspect.isawaitable(answer) else answer

        return call


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(made.shutdown_asyncgens())
    made.close()


@pytest.fixture
def waiting_store(kind, database, request, loop):
    """The asynchronous store, for tests that have no loop."""
    if kind == "memory":
        yield AsyncMemoryTokenStore()
    elif kind == "redis":
        made = AsyncRedisTokenStore(request.getfixturevalue("shared_redis"), timeout=10.0)
        yield made
        loop.run_until_complete(made.close())
    else:
        yield AsyncSqlTokenStore(database)
        loop.run_until_complete(database.aio.dispose())


@pytest.fixture(params=["threads", "tasks"])
def any_store(request, kind, database):
    """The store and its asynchronous twin behind one face."""
    if request.param == "threads":
        return request.getfixturevalue("store")
    return Waiting(request.getfixturevalue("waiting_store"), request.getfixturevalue("loop"))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    """The events that were told."""
    return []


@pytest.fixture(params=["threads", "tasks"])
def tokens(request, kind, database, clock, told):
    """Tokens on every store, and their asynchronous twin behind one face."""
    events = Events()
    events.subscribe(TokenEvent, told.append)
    options = {"clock": clock, "events": events}
    if request.param == "threads":
        return TokenService(ring(), request.getfixturevalue("store"), **options)
    made = AsyncTokenService(ring(), request.getfixturevalue("waiting_store"), **options)
    return Waiting(made, request.getfixturevalue("loop"))
