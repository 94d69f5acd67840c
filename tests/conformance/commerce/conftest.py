"""Every rule of the room on SQLite and on a real PostgreSQL."""

import pytest

from shared.commerce import Inventory
from shared.database import Database, tables_of
from tests.conformance.schemas import PATIENT, emptied, made


@pytest.fixture
def url(shared_engine, request, tmp_path):
    tables = tables_of("commerce", "database")
    if shared_engine == "postgres":
        return emptied(str(request.getfixturevalue("shared_postgres")), "commerce_tests", tables)
    return made(tmp_path / "shop.db", tables)


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
