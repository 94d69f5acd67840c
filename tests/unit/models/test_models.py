"""One module has every table, and naming one loads no server and creates nothing."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from shared import agents, commerce, models
from shared.database import Base

TABLES = [getattr(models, name) for name in models.__all__ if name != "Base"]
OURS = ("agents", "commerce")


def test_every_name_is_a_table_on_the_one_base():
    assert all(issubclass(table, Base) and table.__tablename__ for table in TABLES)
    assert len(TABLES) > 20


@pytest.mark.parametrize("room", [agents, commerce], ids=lambda room: room.__name__)
def test_every_table_that_a_room_exports_is_there(room):
    exported = (getattr(room, name) for name in room.__all__)
    tables = {each for each in exported if isinstance(each, type) and hasattr(each, "__table__")}

    assert sorted(each.__name__ for each in tables - set(TABLES)) == []


def test_tables_begin_with_their_room_so_that_they_do_not_meet_those_of_a_service():
    assert [t.__tablename__ for t in TABLES if not t.__tablename__.startswith(f"{t.__room__}_")] == []


def test_foreign_keys_stay_inside_of_their_room():
    leaving = [
        f"{table.__tablename__}.{key.parent.name}"
        for table in TABLES
        for key in table.__table__.foreign_keys
        if key.column.table.info["room"] != table.__room__
    ]

    assert leaving == []


@pytest.mark.parametrize("room", OURS)
def test_every_foreign_key_has_an_index_that_begins_with_it(room):
    missing = []
    for table in (t.__table__ for t in TABLES if t.__room__ == room):
        first = {index.columns[0].name for index in table.indexes}
        first |= {next(iter(c.columns)).name for c in table.constraints if len(list(c.columns)) > 0}
        missing += [
            f"{table.name}.{key.parent.name}" for key in table.foreign_keys if key.parent.name not in first
        ]

    assert missing == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_a_table_can_be_written_for_postgresql(table):
    assert table.__tablename__ in str(CreateTable(table.__table__).compile(dialect=postgresql.dialect()))


def test_importing_the_tables_connects_to_nothing_and_starts_nothing():
    code = (
        "import socket, threading\n"
        "def refuse(*a, **k): raise AssertionError('connected')\n"
        "socket.socket.connect = refuse\n"
        "import shared.models\n"
        "assert threading.active_count() == 1\n"
    )

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=100
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_all_tables_of_the_rooms_can_be_created_together():
    engine = create_engine("sqlite://")

    Base.metadata.create_all(engine, tables=[table.__table__ for table in TABLES])

    assert {table.__tablename__ for table in TABLES} <= set(inspect(engine).get_table_names())
    engine.dispose()
