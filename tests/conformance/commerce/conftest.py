"""Every rule of the room on SQLite and on a real PostgreSQL."""

import pytest
from sqlalchemy import text

from shared.commerce import Inventory
from shared.database import Base, Database, DatabaseOptions, tables_of

#: Long waits: a loaded machine is slow and not wrong.
PATIENT = DatabaseOptions(
    pool_size=10, pool_timeout=100, busy_timeout=60, connect_timeout=60, slow_query_seconds=60
)
SCHEMA = "commerce_tests"


def tables():
    return tables_of("commerce", "database")


def emptied(url):
    """A schema of the room's own in the worker's database, with empty tables."""
    with Database(url, options=PATIENT) as database, database.transaction() as session:
        session.execute(text(f"create schema if not exists {SCHEMA}"))
        session.execute(text(f"set search_path to {SCHEMA}"))
        Base.metadata.create_all(session.connection(), tables=tables())
        session.execute(text(f"truncate {', '.join(table.name for table in tables())}"))
    return f"{url}{'&' if '?' in url else '?'}schema={SCHEMA}"


@pytest.fixture
def url(shared_engine, request, tmp_path):
    if shared_engine == "postgres":
        return emptied(str(request.getfixturevalue("shared_postgres")))
    path = f"sqlite:///{tmp_path}/shop.db"
    with Database(path) as database:
        Base.metadata.create_all(database.engine, tables=tables())
    return path


@pytest.fixture
def db(url):
    with Database(url, options=PATIENT) as database:
        yield database


@pytest.fixture
async def adb(url):
    async with Database(url, options=PATIENT) as database:
        yield database


@pytest.fixture
def stock(db):
    return Inventory(db)
