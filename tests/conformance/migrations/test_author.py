"""New revisions: their place, their number, and what is written into them."""

import shutil

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect

from shared.config import override_settings
from shared.database.migrations import MigrationChain, Migrations, _chain, _models, write_revision
from shared.database.migrations._locate import library_folder
from shared.errors import InvalidArgumentError, MigrationError
from tests.conformance.migrations._service import Service

MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table
from shared.database import EncryptedString, Json, Money, UTCDateTime

metadata = MetaData()
Table(
    "bills", metadata, Column("id", Integer, primary_key=True), Column("total", Money(12, 2)),
    Column("at", UTCDateTime()), Column("data", Json()), Column("secret", EncryptedString("bills")),
)
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the library's migrations that may be written to."""
    copy = tmp_path / "checkout" / "migrations"
    shutil.copytree(library_folder(), copy, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (_chain, _models):
        monkeypatch.setattr(module, "library_folder", lambda: copy)
    return copy


def test_a_revision_of_a_room_gets_the_next_number(checkout):
    path = write_revision(MigrationChain.library(), "drop nothing", room="database", phase="contract")

    assert path == checkout / "versions" / "database" / "database_0002_drop_nothing.py"
    script = MigrationChain.library().script().get_revision("database_0002")
    assert script.down_revision == "database_0001"
    assert script.branch_labels == {"database"}
    assert script.module.phase == "contract"


def test_the_first_revision_of_a_room_is_a_branch_of_its_own(checkout):
    path = write_revision(MigrationChain.library(), "first", room="kitchen", depends_on="database_0001")

    chain = MigrationChain.library()
    script = chain.script().get_revision("kitchen_0001")
    assert path.parent == checkout / "versions" / "kitchen"
    assert (script.down_revision, script.branch_labels) == (None, {"kitchen"})
    assert MigrationChain.library(["kitchen"]).rooms == ("database", "kitchen")
    assert "kitchen" in chain.rooms


def test_a_room_that_others_need_is_not_taken_back_alone(checkout, sqlite_url):
    write_revision(MigrationChain.library(), "first", room="kitchen", depends_on="database_0001")
    Migrations(sqlite_url, MigrationChain.library(["kitchen"])).upgrade()

    with pytest.raises(MigrationError, match="'kitchen_0001' of another room needs one of these"):
        Migrations(sqlite_url, MigrationChain.library(["database"])).downgrade("base")
    assert len(Migrations(sqlite_url, MigrationChain.library(["kitchen"])).downgrade("base")) == 2


def test_a_room_is_compared_by_itself(checkout, sqlite_url):
    Migrations(sqlite_url).upgrade()

    path = write_revision(MigrationChain.library(), "nothing new", room="database", target=sqlite_url)

    assert "op." not in path.read_text().replace("op.f", "")


@pytest.mark.parametrize("room", [None, "", "no such-name"])
def test_a_revision_of_the_library_needs_a_room(room):
    with pytest.raises(MigrationError, match="belongs to a room"):
        write_revision(MigrationChain.library(), "x", room=room)


def test_a_phase_that_does_not_exist_is_refused(service):
    with pytest.raises(InvalidArgumentError, match="'soon'"):
        write_revision(service.chain, "x", phase="soon")


def test_a_database_that_is_behind_is_not_compared(database_url, orders):
    with pytest.raises(MigrationError, match="not up to date"):
        write_revision(orders.chain, "x", target=database_url)


def test_our_types_are_written_by_their_public_names_and_hold(database_url, tmp_path, monkeypatch):
    (tmp_path / "bills_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path)
    service = Service(tmp_path / "svc", metadata="__import__('bills_models').metadata")

    path = write_revision(service.chain, "bills", target=database_url, revision="svc_0001")
    migrations = Migrations(database_url, service.chain)
    migrations.upgrade()

    text = path.read_text()
    assert "Money(precision=12, scale=2)" in text
    assert "UTCDateTime()" in text
    assert "from shared.database import Json" in text
    assert "EncryptedString" not in text
    assert "shared.database._" not in text
    assert migrations.check().ok


# --- the environment, run by Alembic itself ------------------------------------------------


@pytest.mark.parametrize("where", ["ini", "settings"])
def test_the_address_comes_from_the_ini_or_the_settings(tmp_path, sqlite_url, engine_for, where):
    service = Service(tmp_path / "svc")
    service.add("svc_0001", "op.create_table('orders', sa.Column('id', sa.Integer))")
    line = f"sqlalchemy.url = {sqlite_url}\n" if where == "ini" else ""
    (tmp_path / "alembic.ini").write_text(f"[alembic]\nscript_location = {service.folder}\n{line}")
    config = Config(str(tmp_path / "alembic.ini"))

    with override_settings(DATABASE_URL=sqlite_url if where == "settings" else "sqlite:////nowhere/x.db"):
        command.upgrade(config, "head")

    assert "orders" in inspect(engine_for(sqlite_url)).get_table_names()


def test_offline_sql_of_alembic_itself_names_the_database(tmp_path, sqlite_url, capsys):
    service = Service(tmp_path / "svc")
    service.add("svc_0001", "op.create_table('orders', sa.Column('id', sa.Integer))")
    (tmp_path / "alembic.ini").write_text(f"[alembic]\nscript_location = {service.folder}\n")

    with override_settings(DATABASE_URL=sqlite_url):
        command.upgrade(Config(str(tmp_path / "alembic.ini")), "head", sql=True)

    assert "CREATE TABLE orders" in capsys.readouterr().out
