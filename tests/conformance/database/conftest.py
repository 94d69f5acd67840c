"""Every rule of the room against every engine: SQLite and a real PostgreSQL."""

import pytest

from shared.database import Database
from shared.runtime import Events


@pytest.fixture
def system(shared_engine):
    """The engine of this run of the test, as ``Database.system`` calls it."""
    return {"sqlite": "sqlite", "postgres": "postgresql"}[shared_engine]


@pytest.fixture
def url(system, tmp_path, request):
    """An empty database of the test's own."""
    if system == "sqlite":
        return f"sqlite:///{tmp_path}/test.db"
    return str(request.getfixturevalue("shared_postgres_database")())


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def db(url, events):
    with Database(url, events=events) as database:
        yield database


@pytest.fixture
async def adb(url, events):
    async with Database(url, events=events) as database:
        yield database
