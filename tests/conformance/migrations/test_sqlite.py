"""SQLite changes a table by rebuilding it; nothing may be lost on the way."""

import pytest
from sqlalchemy import text

from shared.database import Database
from shared.database.migrations import Migrations
from shared.errors import MigrationError

PARENT_AND_CHILD = """
op.create_table("parents", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(10)))
op.create_table(
    "children",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.Integer, sa.ForeignKey("parents.id", ondelete="CASCADE")),
)
op.execute("INSERT INTO parents VALUES (1, 'a'), (2, 'b')")
op.execute("INSERT INTO children VALUES (1, 1), (2, 1), (3, 2)")
"""
REBUILD = """
with op.batch_alter_table("parents") as batch:
    batch.alter_column("name", existing_type=sa.String(10), type_=sa.String(50), nullable=True)
"""


@pytest.fixture
def family(service):
    service.add("svc_0001", PARENT_AND_CHILD, "op.drop_table('children')\nop.drop_table('parents')")
    return service


@pytest.mark.parametrize("kind", ["url", "database", "engine", "connection"])
def test_rebuilding_a_table_keeps_the_rows_that_refer_to_it(sqlite_url, family, kind):
    family.add("svc_0002", REBUILD)
    with Database(sqlite_url) as database, database.engine.connect() as connection:
        target = {
            "url": sqlite_url,
            "database": database,
            "engine": database.engine,
            "connection": connection,
        }

        Migrations(target[kind], family.chain).upgrade()

        assert connection.execute(text("SELECT count(*) FROM children")).scalar() == 3
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_a_connection_in_a_transaction_is_refused_while_foreign_keys_hold(sqlite_url, family):
    with Database(sqlite_url) as database, database.engine.begin() as connection:
        connection.execute(text("SELECT 1"))

        with pytest.raises(MigrationError, match="commit before"):
            Migrations(connection, family.chain).upgrade()


def test_a_revision_that_leaves_rows_without_a_parent_is_rolled_back(sqlite_url, family, engine_for):
    family.add("svc_0002", "op.execute('DELETE FROM parents WHERE id = 1')")
    migrations = Migrations(sqlite_url, family.chain)

    with pytest.raises(MigrationError, match="leaves 2 rows whose foreign key refers to nothing"):
        migrations.upgrade()

    assert migrations.current() == ("svc_0001",)
    with engine_for(sqlite_url).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM parents")).scalar() == 2


def test_rows_without_a_parent_from_before_do_not_stop_a_revision(sqlite_url, family, engine_for):
    Migrations(sqlite_url, family.chain).upgrade()
    with engine_for(sqlite_url).begin() as connection:
        connection.execute(text("INSERT INTO children VALUES (9, 99)"))
    family.add("svc_0002", REBUILD)

    assert len(Migrations(sqlite_url, family.chain).upgrade()) == 1
