"""A database in memory with the tables of the room."""

import pytest

from shared.commerce import Order
from shared.database import Base, Database, tables_of


@pytest.fixture
def db():
    assert Order.__table__.info["room"] == "commerce"
    with Database("sqlite://") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("commerce", "database"))
        yield database
