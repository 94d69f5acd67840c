"""The revisions are in the wheel, and every command finds them from any folder."""

import json
import zipfile

import pytest

from tests.house._repo import ROOT
from tests.packaging._install import Environment, closure, link

#: A command takes seconds to start where everything else runs at the same time.
pytestmark = pytest.mark.timeout(600)


def shared_db(environment, command, *arguments):
    done = environment.run(str(environment.bin / "shared"), "db", command, "--json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def revisions():
    folder = ROOT / "migrations" / "versions"
    return {path.relative_to(ROOT).as_posix() for path in folder.rglob("*.py")}


def test_the_wheel_holds_every_revision_and_no_compiled_file(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {f"shared/database/{name}" for name in revisions()} <= names
    assert {"shared/database/migrations/env.py", "shared/database/migrations/script.py.mako"} <= names
    assert [name for name in names if name.endswith(".pyc")] == []


def everything(environment):
    folder = environment.site / "shared"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")} if folder.exists() else set()


def test_every_way_to_install_finds_the_revisions(installed, tmp_path):
    url = ("--url", f"sqlite:///{tmp_path / 'live.db'}")

    applied = shared_db(installed, "upgrade", *url)["revisions"]

    assert "database_0001" in [step["revision"] for step in applied]
    assert shared_db(installed, "check", *url)["ok"]


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_every_command_works_from_an_unrelated_folder(bare, tmp_path, driver):
    url = ("--url", f"{driver}:///{tmp_path / 'live.db'}")
    before = everything(bare)

    applied = shared_db(bare, "upgrade", *url)["revisions"]
    assert "database_0001" in [step["revision"] for step in applied]
    assert shared_db(bare, "check", *url)["ok"]
    assert "database_0001" in shared_db(bare, "current", *url)["current"]
    assert all(state["applied"] for state in shared_db(bare, "history", *url)["revisions"])
    assert "CREATE TABLE" in shared_db(bare, "upgrade", "--sql", *url)["sql"]
    assert shared_db(bare, "lint", *url)["ok"]
    shared_db(bare, "downgrade", "base", *url)
    assert shared_db(bare, "rehearse", *url)["ok"]
    assert shared_db(bare, "stamp", "heads", *url)["current"]
    assert everything(bare) == before, "a command wrote where packages are installed"


def test_a_revision_is_never_written_into_an_installed_package(bare):
    done = bare.run(str(bare.bin / "shared"), "db", "revision", "--room", "database", "-m", "mine")

    assert done.returncode == 2
    assert "where packages are installed" in done.stderr


@pytest.fixture(scope="session")
def with_drivers(tmp_path_factory, wheel):
    """The wheel, its base dependencies and the drivers of PostgreSQL."""
    environment = Environment(tmp_path_factory.mktemp("drivers") / "venv")
    link(closure("psycopg[binary,pool]", "asyncpg"), environment.site)
    environment.install(str(wheel))
    return environment


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "postgresql+asyncpg"])
def test_every_command_works_on_postgresql(with_drivers, shared_postgres_database, driver):
    address = str(shared_postgres_database()).replace("postgresql://", f"{driver}://")
    url = ("--url", address)

    assert shared_db(with_drivers, "upgrade", *url)["revisions"]
    assert shared_db(with_drivers, "check", *url)["ok"]
    assert "CREATE TABLE" in shared_db(with_drivers, "upgrade", "--sql", *url)["sql"]
    shared_db(with_drivers, "downgrade", "base", *url)
    assert shared_db(with_drivers, "current", *url)["current"] == []
    assert shared_db(with_drivers, "assess", "--observe", "0", *url)["verdict"] == "safe"
    assert shared_db(with_drivers, "rehearse", *url)["ok"]
    assert shared_db(with_drivers, "stamp", "heads", *url)["current"]


ENV = """
from sqlalchemy import Column, Integer, MetaData, Table
from shared.database.migrations import run_environment

metadata = MetaData()
Table("orders", metadata, Column("id", Integer, primary_key=True))
run_environment(metadata)
"""


def test_a_service_beside_the_wheel_has_its_own_chain(with_drivers, shared_postgres_database, tmp_path):
    folder = tmp_path / "svc"
    folder.mkdir()
    (folder / "env.py").write_text(ENV)
    (folder / "script.py.mako").write_text((ROOT / "migrations" / "script.py.mako").read_text())
    url = ("--url", str(shared_postgres_database()).replace("postgresql://", "postgresql+asyncpg://"))
    own = ("--service", str(folder), *url)
    before = everything(with_drivers)
    shared_db(with_drivers, "upgrade", *url)

    path = shared_db(with_drivers, "revision", "-m", "orders", "--autogenerate", *own)["path"]
    shared_db(with_drivers, "upgrade", *own)
    assert shared_db(with_drivers, "check", *own)["ok"]
    assert shared_db(with_drivers, "check", *url)["ok"]
    shared_db(with_drivers, "downgrade", "base", *own)

    assert path.startswith(str(folder / "versions"))
    assert shared_db(with_drivers, "check", *url)["ok"]
    assert everything(with_drivers) == before
