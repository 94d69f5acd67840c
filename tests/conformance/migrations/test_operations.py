"""The safe way of each unsafe change: what it leaves behind, and that nobody is kept waiting."""

import threading

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from shared.database.migrations import MigrationOptions, Migrations
from shared.errors import InvalidArgumentError, MigrationError, SharedError

ROWS = """
INSERT INTO orders (id, note) VALUES (1, 'a'), (2, 'b'), (3, 'c')
"""


@pytest.fixture
def url(database_url, orders):
    orders.add("svc_0002", f'op.execute("""{ROWS}""")')
    Migrations(database_url, orders.chain).upgrade()
    return database_url


@pytest.fixture
def execute(url, engine_for):
    engine = engine_for(url)

    def run(statement):
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.all() if result.returns_rows else None

    return run


def up_and_down(url, service):
    migrations = Migrations(url, service.chain)
    migrations.upgrade()
    yield
    migrations.downgrade("-1")
    yield


def test_not_null_holds_afterwards_and_comes_off(url, orders, execute, engine_for):
    orders.add("svc_0003", "tools.add_not_null('orders', 'note')", "tools.op_nullable()")
    path = orders.folder / "versions" / "svc_0003.py"
    down = "with op.batch_alter_table('orders') as batch:\n        batch.alter_column('note', nullable=True)"
    path.write_text(path.read_text().replace("tools.op_nullable()", down))
    steps = up_and_down(url, orders)

    next(steps)
    with pytest.raises(DBAPIError):
        execute("INSERT INTO orders (id, note) VALUES (9, NULL)")
    assert inspect(engine_for(url)).get_check_constraints("orders") == []
    next(steps)

    execute("INSERT INTO orders (id, note) VALUES (9, NULL)")


def test_not_null_on_a_column_with_nulls_is_refused_and_can_be_repeated(url, orders, execute):
    execute("INSERT INTO orders (id, note) VALUES (9, NULL)")
    orders.add("svc_0003", "tools.add_not_null('orders', 'note')")
    migrations = Migrations(url, orders.chain)

    with pytest.raises(SharedError):
        migrations.upgrade()
    execute("DELETE FROM orders WHERE id = 9")

    assert [step.revision for step in migrations.upgrade()] == ["svc_0003"]


def test_a_foreign_key_holds_afterwards(url, orders, execute):
    orders.add(
        "svc_0003",
        """
        op.create_table("lines", sa.Column("id", sa.Integer, primary_key=True), sa.Column("order_id", sa.Integer))
        """,
    )
    orders.add(
        "svc_0004",
        "tools.add_foreign_key('fk_lines', 'lines', ['order_id'], 'orders', ['id'], ondelete='CASCADE')",
    )
    Migrations(url, orders.chain).upgrade()
    if "sqlite" in url:
        assert execute("PRAGMA foreign_key_list('lines')")
        return

    execute("INSERT INTO lines VALUES (1, 1)")
    with pytest.raises(DBAPIError):
        execute("INSERT INTO lines VALUES (2, 99)")
    execute("DELETE FROM orders WHERE id = 1")

    assert execute("SELECT * FROM lines") == []
    assert execute("SELECT convalidated FROM pg_constraint WHERE conname = 'fk_lines'") == [(True,)]


def test_a_check_holds_afterwards(url, orders, execute):
    orders.add("svc_0003", "tools.add_check('ck_note', 'orders', \"note <> 'x:y'\")")
    Migrations(url, orders.chain).upgrade()

    with pytest.raises(DBAPIError):
        execute("INSERT INTO orders (id, note) VALUES (9, 'x\\:y')")


def test_a_unique_constraint_holds_afterwards(url, orders, execute, engine_for):
    orders.add("svc_0003", "tools.add_unique('uq_note', 'orders', ['note'])")
    Migrations(url, orders.chain).upgrade()

    with pytest.raises(DBAPIError):
        execute("INSERT INTO orders (id, note) VALUES (9, 'a')")
    assert [each["name"] for each in inspect(engine_for(url)).get_unique_constraints("orders")] == ["uq_note"]


def test_an_index_goes_up_and_down(url, orders, engine_for):
    orders.add(
        "svc_0003",
        "tools.create_index_concurrently('ix_note', 'orders', ['note'], where=\"note <> 'x:y'\")",
        "tools.drop_index_concurrently('ix_note', 'orders')",
    )
    steps = up_and_down(url, orders)

    next(steps)
    assert [each["name"] for each in inspect(engine_for(url)).get_indexes("orders")] == ["ix_note"]
    next(steps)

    assert inspect(engine_for(url)).get_indexes("orders") == []


# --- indexes on PostgreSQL -------------------------------------------------------------

BUILD = "tools.create_index_concurrently('ix_note', 'orders', ['note'], unique=True)"


@pytest.fixture
def postgres(migrated, engine_for):
    engine = engine_for(migrated)

    def run(statement):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            result = connection.execute(text(statement))
            return result.all() if result.returns_rows else None

    return run


def validity(postgres):
    return postgres(
        "SELECT indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relname = 'ix_note'"
    )


def test_an_index_left_invalid_is_built_anew(migrated, orders, postgres):
    postgres("INSERT INTO orders VALUES (1, 'same'), (2, 'same')")
    with pytest.raises(DBAPIError):
        postgres("CREATE UNIQUE INDEX CONCURRENTLY ix_note ON orders (note)")
    assert validity(postgres) == [(False,)]
    postgres("DELETE FROM orders WHERE id = 2")
    orders.add("svc_0002", BUILD)

    Migrations(migrated, orders.chain).upgrade()

    assert validity(postgres) == [(True,)]


def test_if_not_exists_would_have_kept_the_invalid_index(migrated, postgres):
    postgres("INSERT INTO orders VALUES (1, 'same'), (2, 'same')")
    with pytest.raises(DBAPIError):
        postgres("CREATE UNIQUE INDEX CONCURRENTLY ix_note ON orders (note)")

    postgres("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix_note ON orders (note)")

    assert validity(postgres) == [(False,)]


def test_an_index_that_cannot_be_built_leaves_nothing(migrated, orders, postgres):
    postgres("INSERT INTO orders VALUES (1, 'same'), (2, 'same')")
    orders.add("svc_0002", BUILD)

    with pytest.raises(SharedError):
        Migrations(migrated, orders.chain).upgrade()

    assert validity(postgres) == []


def test_a_valid_index_is_left_alone(migrated, orders, postgres):
    postgres("CREATE UNIQUE INDEX ix_note ON orders (note)")
    before = postgres("SELECT 'ix_note'::regclass::oid")
    orders.add("svc_0002", BUILD)

    Migrations(migrated, orders.chain).upgrade()

    assert postgres("SELECT 'ix_note'::regclass::oid") == before


def test_an_index_of_another_table_is_not_taken_for_ours(migrated, orders, postgres):
    postgres("CREATE TABLE others (note text)")
    postgres("CREATE INDEX ix_note ON others (note)")
    orders.add("svc_0002", BUILD)

    with pytest.raises(MigrationError, match="exists on table 'others'"):
        Migrations(migrated, orders.chain).upgrade()


def test_an_index_waits_longer_for_older_transactions_than_a_table_lock(
    migrated, orders, postgres, engine_for
):
    orders.add("svc_0002", BUILD)
    waiting = threading.Event()
    with engine_for(migrated).connect() as older:
        older.execution_options(isolation_level="REPEATABLE READ").execute(text("SELECT * FROM orders"))

        def release():
            waiting.wait(30)
            older.rollback()

        thread = threading.Thread(target=release)
        thread.start()
        threading.Timer(0.5, waiting.set).start()
        Migrations(
            migrated, orders.chain, options=MigrationOptions(lock_timeout=0.1, lock_attempts=1)
        ).upgrade()
        thread.join()

    assert validity(postgres) == [(True,)]


def test_the_table_can_be_written_while_constraints_are_validated(migrated, orders, engine_for):
    """A writer that stays in the table does not stop the validation, nor the other way round."""
    orders.add("svc_0002", "tools.add_check('ck_note', 'orders', \"note <> 'x'\")")
    Migrations(migrated, orders.chain).upgrade()
    with engine_for(migrated).connect() as writer:
        writer.execute(text("INSERT INTO orders VALUES (5, 'y')"))
        with engine_for(migrated).begin() as other:
            other.execute(text("SET LOCAL lock_timeout = '2s'"))
            other.execute(text("ALTER TABLE orders VALIDATE CONSTRAINT ck_note"))
        writer.rollback()


def test_an_index_cannot_be_built_in_the_callers_transaction(migrated, orders, engine_for):
    orders.add("svc_0002", BUILD)
    with engine_for(migrated).begin() as connection:
        connection.execute(text("SELECT 1"))

        with pytest.raises(MigrationError, match="the caller's transaction"):
            Migrations(connection, orders.chain).upgrade()


# --- renames and types -----------------------------------------------------------------


@pytest.fixture
def renamed(orders):
    orders.add(
        "svc_0003",
        "tools.expand_column_rename('orders', 'note', 'remark', sa.String(100))",
        "tools.undo_expand('orders', 'note', 'remark')",
    )
    orders.add(
        "svc_0004",
        "tools.backfill('orders.remark', 'orders', {'remark': 'note'}, where='remark IS NULL', pause=0)",
        phase="migrate",
    )
    orders.add("svc_0005", "tools.contract_column_rename('orders', 'note', 'remark')", phase="contract")
    return orders


def test_old_and_new_code_see_each_others_writes_during_a_rename(url, renamed, execute):
    Migrations(url, renamed.chain).upgrade(phase="expand")

    execute("INSERT INTO orders (id, note) VALUES (10, 'old code')")
    execute("INSERT INTO orders (id, remark) VALUES (11, 'new code')")
    execute("UPDATE orders SET note = 'old again' WHERE id = 11")
    execute("UPDATE orders SET remark = 'new again' WHERE id = 10")

    rows = execute("SELECT id, note, remark FROM orders WHERE id >= 10 ORDER BY id")
    assert rows == [(10, "new again", "new again"), (11, "old again", "old again")]


def test_a_rename_ends_with_the_new_name_and_every_value(url, renamed, execute, engine_for):
    migrations = Migrations(url, renamed.chain)
    migrations.upgrade(phase="migrate")
    assert execute("SELECT id, note, remark FROM orders ORDER BY id") == [
        (1, "a", "a"), (2, "b", "b"), (3, "c", "c"),
    ]  # fmt: skip

    migrations.upgrade(phase="contract")

    assert {column["name"] for column in inspect(engine_for(url)).get_columns("orders")} == {"id", "remark"}
    execute("INSERT INTO orders (id, remark) VALUES (10, 'alone')")


def test_an_expansion_is_taken_back(url, renamed, execute, engine_for):
    migrations = Migrations(url, renamed.chain)
    migrations.upgrade(phase="expand")

    migrations.downgrade("svc_0002")

    assert {column["name"] for column in inspect(engine_for(url)).get_columns("orders")} == {"id", "note"}
    execute("INSERT INTO orders (id, note) VALUES (10, 'alone')")


def test_a_column_changes_its_type_by_a_shadow(url, orders, execute, engine_for):
    orders.add("svc_0003", "op.add_column('orders', sa.Column('total', sa.Integer, server_default='7'))")
    orders.add(
        "svc_0004",
        "tools.expand_column_type('orders', 'total', sa.String(20), using='cast({} AS varchar(20))')",
    )
    orders.add(
        "svc_0005",
        "tools.backfill('orders.total', 'orders', {'total_shadow': 'cast(total AS varchar(20))'}, pause=0)",
        phase="migrate",
    )
    orders.add("svc_0006", "tools.contract_column_type('orders', 'total')", phase="contract")
    migrations = Migrations(url, orders.chain)

    migrations.upgrade(phase="expand")
    execute("UPDATE orders SET total = 12 WHERE id = 1")
    execute("INSERT INTO orders (id, total) VALUES (10, 99)")
    assert execute("SELECT total_shadow FROM orders WHERE id IN (1, 10) ORDER BY id") == [("12",), ("99",)]
    migrations.upgrade()

    assert execute("SELECT total FROM orders ORDER BY id") == [("12",), ("7",), ("7",), ("99",)]
    kinds = {column["name"]: str(column["type"]) for column in inspect(engine_for(url)).get_columns("orders")}
    assert kinds["total"] == "VARCHAR(20)"
    assert "total_shadow" not in kinds


@pytest.mark.parametrize(
    "call",
    [
        "tools.expand_column_rename('orders', 'note', 'note', sa.Text())",
        "tools.contract_column_rename('orders', 'note', 'note')",
        "tools.expand_column_type('orders', 'note', sa.Text(), using='note')",
        "tools.backfill('x', 'orders', {})",
        "tools.backfill('x', 'orders', {'note': '1'}, batch_rows=0)",
        "tools.backfill('x', 'orders', {'note': '1'}, pause=-1)",
    ],
)
def test_arguments_without_sense_are_refused(sqlite_url, orders, call):
    orders.add("svc_0002", call)

    with pytest.raises(InvalidArgumentError):
        Migrations(sqlite_url, orders.chain).upgrade()


def test_a_safe_block_needs_a_reason(sqlite_url, orders):
    orders.add("svc_0002", "with tools.safe(' '):\n    pass")

    with pytest.raises(MigrationError, match="needs a reason"):
        Migrations(sqlite_url, orders.chain).upgrade()
