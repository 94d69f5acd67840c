"""What pending revisions will cost, measured on a copy of a live PostgreSQL."""

import json
import uuid
from types import SimpleNamespace

import psycopg
import pytest

from shared.database.migrations import (
    AssessmentLimits,
    LiveDatabase,
    LiveTable,
    Migrations,
    Phase,
    RevisionState,
    Verdict,
    _shadow,
    assess,
)
from shared.database.migrations._assessment import judge
from shared.database.migrations._effects import SchemaState, effect_of
from shared.database.migrations._probe import Measured, Probe
from shared.database.migrations._sql import changes_in_sql
from shared.errors import InvalidArgumentError, MigrationError
from tests.conformance.migrations.test_effects import STATEMENTS, known_before, server

__all__ = ["server"]  # a fixture

STATE = RevisionState("svc_0002", ("svc_0001",), "change", Phase.EXPAND, is_applied=False, is_head=True)
HUGE = LiveTable(rows=10**9, heap_bytes=10**12, total_bytes=10**12, writes=50.0, reads=100.0)


def fill(url, rows=3000):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO orders SELECT n, 'note ' || n FROM generate_series(1, %s) n", [rows])
        connection.execute("ANALYZE orders")


#: Far above what a loaded machine adds, far below what a large table costs.
PATIENT = AssessmentLimits(window_after=60, forbid_after=600)


def assessed(url, service, *, limits=PATIENT, **options):
    return assess(url, service.chain, observe=0, limits=limits, **options)


# --- one statement: the verdict of assess, the finding of lint, and the server agree ------


@pytest.mark.parametrize(
    "name", [name for name in STATEMENTS if name not in {"update of all rows", "delete of all rows"}]
)
def test_a_large_table_in_use_is_judged_by_what_the_server_did(server, name):
    statement = STATEMENTS[name]
    with psycopg.connect(server, options="-c timezone=UTC") as connection:
        probe = Probe(connection)
        probe.begin()
        connection.execute(statement)
        measured = probe.end(statement)
        connection.rollback()
    live = LiveDatabase(tables={"t": HUGE})

    step = judge(STATE, [[measured]], live, {"t": 2**17}, limits=PATIENT)

    said = any(effect_of(each, known_before()).blocks for each in changes_in_sql(statement))
    assert (step.verdict is not Verdict.SAFE) == said, step
    assert step.lock == measured.locks.get("t", "")


# --- whole revisions ---------------------------------------------------------------------


def test_each_pending_revision_is_measured_and_the_live_database_is_left_alone(migrated, orders, monkeypatch):
    token = uuid.uuid4().hex[:12]
    monkeypatch.setattr(_shadow, "secrets", SimpleNamespace(token_hex=lambda _count: token))
    fill(migrated)
    orders.add("svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))")
    orders.add("svc_0003", "op.alter_column('orders', 'note', nullable=False)")
    orders.add("svc_0004", "op.alter_column('orders', 'id', type_=sa.BigInteger())")
    orders.add("svc_0005", "op.create_table('fresh', sa.Column('id', sa.Integer))")

    found = assessed(migrated, orders)

    told = {step.revision: step for step in found.steps}
    assert [step.revision for step in found.steps] == ["svc_0002", "svc_0003", "svc_0004", "svc_0005"]
    assert told["svc_0002"].lock == told["svc_0003"].lock == "ACCESS EXCLUSIVE"
    assert [(each.scanned, each.rewritten) for each in told["svc_0003"].tables] == [(True, False)]
    assert [(each.scanned, each.rewritten) for each in told["svc_0004"].tables] == [(True, True)]
    assert told["svc_0004"].wal_bytes > told["svc_0002"].wal_bytes
    assert told["svc_0005"].tables == ()
    assert found.verdict is Verdict.SAFE
    assert Migrations(migrated, orders.chain).current() == ("svc_0001",)
    with psycopg.connect(migrated) as connection:
        query = "SELECT count(*) FROM pg_database WHERE datname = %s"
        assert connection.execute(query, [f"shared_shadow_{token}"]).fetchone() == (0,)


def test_a_table_that_is_larger_than_its_copy_takes_longer(migrated, orders):
    fill(migrated, rows=60_000)
    orders.add("svc_0002", "op.create_index('ix', 'orders', ['note'])")

    small = assessed(migrated, orders, rows=500).steps[0]

    (table,) = small.tables
    assert table.rows >= 50_000
    assert 0 < table.block_seconds <= small.seconds
    assert table.lock == "SHARE"


def test_long_blocking_needs_a_window_or_is_forbidden(migrated, orders):
    fill(migrated)
    orders.add(
        "svc_0002", "op.execute('SELECT pg_sleep(0.3)')\nop.alter_column('orders', 'note', nullable=False)"
    )
    orders.add(
        "svc_0003",
        "op.create_index('ix', 'orders', ['note'])\nop.execute('UPDATE orders SET note = note || 1')",
    )

    window = assessed(migrated, orders, limits=AssessmentLimits(window_after=1e-6, forbid_after=1000))
    forbidden = assessed(migrated, orders, limits=AssessmentLimits(window_after=1e-9, forbid_after=1e-6))

    assert [step.verdict for step in window.steps] == [Verdict.WINDOW, Verdict.WINDOW]
    assert [step.verdict for step in forbidden.steps] == [Verdict.FORBIDDEN, Verdict.FORBIDDEN]
    assert "NEEDS A WINDOW svc_0002  ACCESS EXCLUSIVE" in str(window)


def test_blocking_lasts_until_the_transaction_ends():
    statements = [
        Measured("lock", 0.1, {"t": "ACCESS EXCLUSIVE"}),
        Measured("more", 0.2, {"t": "SHARE"}),
        Measured("other", 3.0, {"u": "ROW EXCLUSIVE"}),
    ]
    small = LiveTable(rows=10, heap_bytes=8192, total_bytes=8192, writes=2.0, reads=8.0)
    live = LiveDatabase(tables={"t": small, "u": small})

    step = judge(STATE, [statements], live, {}, limits=AssessmentLimits())

    impacts = {each.table: each for each in step.tables}
    assert impacts["t"].block_seconds == pytest.approx(3.3)
    assert impacts["t"].waiting == pytest.approx(33)
    assert impacts["u"].block_seconds == 0
    assert step.verdict is Verdict.WINDOW


def test_transactions_of_their_own_do_not_add_up():
    statements = [
        [Measured("check", 0.01, {"t": "ACCESS EXCLUSIVE"})],
        [Measured("validate", 60, {"t": "SHARE UPDATE EXCLUSIVE"})],
    ]
    live = LiveDatabase(tables={"t": LiveTable(10, 8192, 8192, 1, 1)})

    step = judge(STATE, statements, live, {}, limits=AssessmentLimits())

    assert step.verdict is Verdict.SAFE
    assert step.block_seconds == pytest.approx(0.01)


def test_the_safe_operations_are_found_safe(migrated, orders):
    fill(migrated)
    orders.add("svc_0002", "tools.create_index_concurrently('ix', 'orders', ['note'])")
    orders.add("svc_0003", "tools.add_not_null('orders', 'note')")
    orders.add(
        "svc_0004", "tools.backfill('b', 'orders', {'note': \"note || 'x'\"}, pause=0)", phase="migrate"
    )

    found = assessed(migrated, orders)

    locks = [[(each.lock, each.scanned) for each in step.tables] for step in found.steps]
    assert found.verdict is Verdict.SAFE
    assert locks[0][0][0] == "SHARE UPDATE EXCLUSIVE"
    assert found.steps[0].block_seconds == 0
    assert found.steps[2].block_seconds == 0


def test_a_revision_that_fails_on_the_copy_is_forbidden_and_the_last(migrated, orders):
    fill(migrated)
    orders.add(
        "svc_0002", "op.create_unique_constraint('uq', 'orders', ['note'])\nop.execute('SELECT 1 / 0')"
    )
    orders.add("svc_0003", "pass")

    found = assessed(migrated, orders)

    assert [step.verdict for step in found.steps] == [Verdict.FORBIDDEN]
    assert "division by zero" in found.steps[0].reason


def test_a_given_copy_is_used(migrated, orders, shared_postgres_database):
    fill(migrated)
    copy = str(shared_postgres_database(template=migrated))
    orders.add("svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))")

    found = assessed(migrated, orders, shadow=copy)

    assert [step.lock for step in found.steps] == ["ACCESS EXCLUSIVE"]
    assert Migrations(copy, orders.chain).current() == ("svc_0002",)
    assert Migrations(migrated, orders.chain).current() == ("svc_0001",)


def test_open_transactions_and_invalid_indexes_are_told(migrated, orders):
    with psycopg.connect(migrated) as other, psycopg.connect(migrated, autocommit=True) as maker:
        maker.execute("INSERT INTO orders VALUES (1, 'a'), (2, 'a')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            maker.execute("CREATE UNIQUE INDEX CONCURRENTLY ix ON orders (note)")
        other.execute("SELECT pg_sleep(1.2)")

        found = assessed(migrated, orders)

    assert found.live.longest_transaction > 1
    assert "a transaction has been open for" in str(found)
    assert "index ix is invalid" in str(found)
    assert "nothing is pending" in str(found)


def test_rows_of_children_come_along_without_their_parents(migrated, orders):
    orders.add(
        "svc_0002",
        """
        op.create_table(
            "lines", sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
            sa.Column("order_id", sa.Integer, sa.ForeignKey("orders.id")),
            sa.Column("twice", sa.Integer, sa.Computed("order_id * 2", persisted=True)),
        )
        """,
    )
    Migrations(migrated, orders.chain).upgrade()
    fill(migrated)
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("INSERT INTO lines (order_id) SELECT n FROM generate_series(3000, 1, -1) n")
        connection.execute("CREATE TABLE strangers (id int)")
    orders.add(
        "svc_0003",
        "op.execute('INSERT INTO lines (order_id) VALUES (1)')\nop.execute('UPDATE lines SET order_id = order_id')",
    )

    found = assessed(migrated, orders, rows=100)

    assert found.steps[0].failed is None
    assert any("strangers" in note for note in found.notes)


def test_a_service_beside_the_library_is_copied_with_it(migrated, orders):
    Migrations(migrated).upgrade()
    orders.add(
        "svc_0002", "tools.requires('database_0001')\nop.add_column('orders', sa.Column('a', sa.Integer))"
    )

    assert assessed(migrated, orders).steps[0].failed is None


def test_a_role_that_may_not_make_databases_is_told_what_to_do(migrated, orders):
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS assess_reader")
        connection.execute("CREATE ROLE assess_reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO assess_reader")
    url = migrated.replace("postgres@", "assess_reader@")
    try:
        with pytest.raises(MigrationError, match="give a copy of your own with --shadow"):
            assessed(url, orders)
    finally:
        with psycopg.connect(migrated, autocommit=True) as connection:
            connection.execute("DROP OWNED BY assess_reader")
            connection.execute("DROP ROLE assess_reader")


def test_sqlite_is_not_assessed(sqlite_url, orders):
    with pytest.raises(MigrationError, match="assess measures PostgreSQL"):
        assessed(sqlite_url, orders)


def test_limits_out_of_order_are_refused():
    with pytest.raises(InvalidArgumentError):
        AssessmentLimits(window_after=5, forbid_after=1)


def test_the_assessment_is_plain_data(migrated, orders):
    orders.add("svc_0002", "op.add_column('orders', sa.Column('a', sa.Integer))")

    data = json.loads(json.dumps(assessed(migrated, orders).to_dict()))

    assert data["verdict"] == "safe"
    assert data["steps"][0]["tables"][0]["lock"] == "ACCESS EXCLUSIVE"


def test_the_command_exits_with_one_when_it_is_not_safe(migrated, orders, capsys):
    from shared._cli import main

    fill(migrated)
    orders.add("svc_0002", "op.create_index('ix', 'orders', ['note'])")
    command = ["db", "assess", "--url", migrated, "--service", str(orders.folder), "--observe", "0", "--json"]

    assert main([*command, "--window-after", "60", "--forbid-after", "600"]) == 0
    assert main([*command, "--window-after", "0.0000001", "--forbid-after", "600"]) == 1
    assert '"needs a window"' in capsys.readouterr().out


def test_unknown_effects_have_no_lock():
    assert effect_of(changes_in_sql("GRANT SELECT ON t TO x")[0], SchemaState()).lock == ""
