"""Services as Alembic itself makes them: their own ``env.py``, their own ini, their own address."""

import io

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect

from shared.database.migrations import MigrationChain, Migrations, write_revision

TEMPLATES = ["generic", "async"]


@pytest.fixture(params=TEMPLATES)
def made_by_alembic(request, tmp_path, monkeypatch):
    """A service whose folder ``alembic init`` made, with one revision."""
    monkeypatch.chdir(tmp_path)
    ini = tmp_path / "alembic.ini"
    command.init(Config(str(ini), stdout=io.StringIO()), "alembic", template=request.param)
    # The template sets up logging for the whole process, which is not the test's business.
    env = tmp_path / "alembic" / "env.py"
    env.write_text(env.read_text().replace("fileConfig(config.config_file_name)", "pass"))
    chain = MigrationChain.service(tmp_path)
    path = write_revision(chain, "orders", revision="svc_0001")
    path.write_text(
        path.read_text()
        .replace("    pass", "    op.create_table('orders', sa.Column('id', sa.Integer))", 1)
        .replace("    pass", "    op.drop_table('orders')", 1)
    )
    return request.param, MigrationChain.service(tmp_path)


def test_a_service_made_by_alembic_goes_up_and_down(made_by_alembic, tmp_path, engine_for):
    template, chain = made_by_alembic
    plain = f"sqlite:///{tmp_path / 'live.db'}"
    url = plain.replace("sqlite:", "sqlite+aiosqlite:") if template == "async" else plain
    Migrations(plain).upgrade()
    migrations = Migrations(url, chain)

    up = migrations.upgrade()
    assert [step.revision for step in up] == ["svc_0001"]
    assert "orders" in inspect(engine_for(plain)).get_table_names()
    assert migrations.current() == ("svc_0001",)
    assert migrations.check().pending == ()
    assert len(migrations.downgrade("base")) == 1

    assert "orders" not in inspect(engine_for(plain)).get_table_names()
    assert Migrations(plain).check().ok


def test_alembic_itself_goes_on_with_such_a_service(made_by_alembic, tmp_path):
    template, chain = made_by_alembic
    driver = "sqlite+aiosqlite" if template == "async" else "sqlite"
    url = f"{driver}:///{tmp_path / 'live.db'}"
    Migrations(url, chain).upgrade()
    config = Config(str(tmp_path / "alembic.ini"), stdout=io.StringIO())
    config.set_main_option("sqlalchemy.url", url)

    command.downgrade(config, "base")

    assert Migrations(url, chain).current() == ()
