"""The library's own revisions: they make what the models say, on every engine, room by room."""

import pytest
from sqlalchemy import inspect

from shared.database.migrations import MigrationChain, Migrations, library_metadata, rehearse
from tests.conformance.migrations._service import python

ROOMS = MigrationChain.library().rooms


def rooms_with_tables():
    return {table.info.get("room") for table in library_metadata().tables.values()} & {
        "agents", "audit", "auth", "cache", "commerce", "database", "feature_flags", "integrations", "jobs",
        "monitoring", "privacy", "resilience",
    }  # fmt: skip


def test_every_room_with_tables_has_revisions():
    assert rooms_with_tables() <= set(ROOMS)


def test_the_tables_are_those_of_the_models(database_url):
    Migrations(database_url).upgrade()

    check = Migrations(database_url).check()

    assert check.differences == ()
    assert check.ok


def test_everything_comes_back(database_url):
    tried = rehearse(database_url)

    assert tried.ok, str(tried)
    assert len(tried.revisions) >= len(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_alone_makes_its_own_tables(sqlite_url, room, engine_for):
    chain = MigrationChain.library([room])

    Migrations(sqlite_url, chain).upgrade()

    made = {
        name for name in inspect(engine_for(sqlite_url)).get_table_names() if not name.startswith("shared_")
    }
    rooms = {library_metadata().tables[name].info["room"] for name in made}
    assert room in rooms
    assert rooms <= set(chain.rooms)
    assert Migrations(sqlite_url, chain).check().ok


@pytest.mark.parametrize("room", ROOMS)
def test_the_revisions_of_a_room_are_numbered_and_end_once(room):
    script = MigrationChain.library().script()
    ids = sorted(each.revision for each in script.walk_revisions() if each.revision.startswith(f"{room}_0"))

    assert ids == [f"{room}_{number:04d}" for number in range(1, len(ids) + 1)]
    assert len([head for head in script.get_heads() if head in ids]) == 1


def test_rooms_the_database_has_beside_the_chosen_ones_are_left_alone(database_url, engine_for):
    Migrations(database_url).upgrade()
    chosen = Migrations(database_url, MigrationChain.library(["monitoring"]))

    assert chosen.upgrade() == []
    assert chosen.check().ok
    assert [state.revision for state in chosen.history()] == ["monitoring_0001"]
    chosen.downgrade("base")

    made = set(inspect(engine_for(database_url)).get_table_names())
    assert "monitoring_rollups" not in made
    assert "database_outbox" in made
    assert chosen.check().pending == ("monitoring_0001",)
    assert Migrations(database_url, MigrationChain.library(["database"])).check().ok


def test_the_sql_of_a_room_is_its_own():
    sql = Migrations("sqlite://", MigrationChain.library(["monitoring"])).sql()

    assert "monitoring_rollups" in sql
    assert "database_outbox" not in sql


ORDER = """
import sys
from shared.database.migrations import Migrations
print(*[step.revision for step in Migrations(sys.argv[1]).upgrade()])
"""


def test_the_order_of_the_rooms_is_the_same_in_every_process(tmp_path, monkeypatch):
    orders = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        with python(ORDER, f"sqlite:///{tmp_path / seed}.db") as process:
            orders.append(process.stdout.read().split())

    assert orders[0] == orders[1] != []
