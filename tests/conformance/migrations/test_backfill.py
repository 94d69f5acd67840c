"""A backfill walks in batches, can be killed at any moment, and does no batch twice."""

import signal
import uuid
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, DateTime, Numeric, String, Uuid, text

from shared.database.migrations import Migrations
from shared.database.migrations._keys import from_json, to_json
from shared.errors import MigrationError
from shared.monitoring import get_metrics
from tests.conformance.migrations._service import python

TABLE = """
op.create_table(
    "parts", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Integer), sa.Column("b", sa.Integer)
)
op.execute("INSERT INTO parts (id, a) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25) SELECT i, 0 FROM n")
"""
COUNT = "tools.backfill('parts.a', 'parts', {'a': 'a + 1'}, batch_rows=10, pause=0)"


@pytest.fixture
def parts(service):
    service.add("svc_0001", TABLE)
    return service


@pytest.fixture
def ask(database_url, engine_for):
    def run(statement):
        with engine_for(database_url).begin() as connection:
            result = connection.execute(text(statement))
            return result.all() if result.returns_rows else None

    return run


def test_every_row_is_changed_once(database_url, parts, ask):
    parts.add("svc_0002", COUNT)

    Migrations(database_url, parts.chain).upgrade()

    assert ask("SELECT a, count(*) FROM parts GROUP BY a") == [(1, 25)]


def test_runs_and_the_rows_they_moved_are_counted(database_url, parts, shared_runtime):
    parts.add("svc_0002", COUNT)
    parts.add("svc_0003", "raise RuntimeError('no')")
    migrations, metrics = Migrations(database_url, parts.chain), get_metrics()
    migrations.upgrade("svc_0002")
    with pytest.raises(RuntimeError, match="no"):
        migrations.upgrade()
    migrations.downgrade("svc_0001")

    runs = [
        metrics.value("migration_runs_total", {"operation": operation, "outcome": outcome})
        for operation, outcome in [
            ("upgrade", "success"), ("upgrade", "failure"), ("downgrade", "success"), ("backfill", "success"),
        ]
    ]  # fmt: skip
    assert runs == [1, 1, 1, 1]
    assert metrics.value("migration_rows_total", {"operation": "backfill"}) == 25
    assert metrics.value("migration_duration_seconds_count", {"operation": "upgrade"}) == 2


def test_only_the_rows_of_the_condition_are_changed(database_url, parts, ask):
    parts.add(
        "svc_0002",
        "tools.backfill('x', 'parts', {'a': '5'}, where=\"id > 20 AND 'a:b' <> ''\", batch_rows=2, pause=0)",
    )

    Migrations(database_url, parts.chain).upgrade()

    assert ask("SELECT a, count(*) FROM parts GROUP BY a ORDER BY a") == [(0, 20), (5, 5)]


def test_it_tells_how_far_it_is_and_rests_between_batches(database_url, parts):
    rests = (
        "rests = []\ntools.backfill('x', 'parts', {'a': '5'}, batch_rows=10, pause=0.5, sleep=rests.append)\n"
    )
    parts.add("svc_0002", rests + "assert rests == [0.5] * 3, rests")
    notes = []

    Migrations(database_url, parts.chain, progress=lambda step: notes.append(step.note)).upgrade()

    assert [note for note in notes if note.startswith("backfill")] == [
        "backfill x: 10 rows", "backfill x: 20 rows", "backfill x: 25 rows", "backfill x: 25 rows",
    ]  # fmt: skip


KILLED = """
import os, signal, sys
from shared.database.migrations import MigrationChain, Migrations
def tell(progress):
    if progress.note.endswith(" 10 rows"):
        os.kill(os.getpid(), signal.SIGKILL)
Migrations(sys.argv[1], MigrationChain.service(sys.argv[2]), progress=tell).upgrade()
"""


def test_a_killed_run_goes_on_behind_its_last_batch(database_url, parts, ask):
    Migrations(database_url, parts.chain).upgrade()
    parts.add("svc_0002", COUNT)
    with python(KILLED, database_url, str(parts.folder)) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert ask("SELECT a, count(*) FROM parts GROUP BY a ORDER BY a") == [(0, 15), (1, 10)]

    Migrations(database_url, parts.chain).upgrade()

    assert ask("SELECT a, count(*) FROM parts GROUP BY a") == [(1, 25)]
    assert ask("SELECT count(*) FROM shared_migration_backfill") == [(0,)]


def test_one_that_is_done_starts_again_after_a_downgrade(database_url, parts, ask):
    parts.add("svc_0002", COUNT)
    migrations = Migrations(database_url, parts.chain)
    migrations.upgrade()
    migrations.downgrade("-1")

    migrations.upgrade()

    assert ask("SELECT a, count(*) FROM parts GROUP BY a") == [(2, 25)]


def test_keys_of_several_columns_are_walked(database_url, service, ask):
    service.add(
        "svc_0001",
        """
        op.create_table(
            "pairs", sa.Column("x", sa.Integer, primary_key=True), sa.Column("y", sa.String(9), primary_key=True),
            sa.Column("n", sa.Integer),
        )
        op.execute("INSERT INTO pairs VALUES (1,'a',0), (1,'b',0), (1,'c',0), (2,'a',0), (2,'b',0)")
        """,
    )
    service.add("svc_0002", "tools.backfill('p', 'pairs', {'n': 'n + 1'}, batch_rows=2, pause=0)")

    Migrations(database_url, service.chain).upgrade()

    assert ask("SELECT n, count(*) FROM pairs GROUP BY n") == [(1, 5)]


def test_keys_that_are_uuids_are_walked_and_resumed(database_url, service, ask):
    service.add(
        "svc_0001",
        """
        op.create_table("things", sa.Column("id", sa.Uuid, primary_key=True), sa.Column("n", sa.Integer))
        """,
    )
    service.add("svc_0002", "tools.backfill('t', 'things', {'n': 'n + 1'}, batch_rows=2, pause=0)")
    Migrations(database_url, service.chain).upgrade("svc_0001")
    for number in range(5):
        value = uuid.UUID(int=number)
        ask(f"INSERT INTO things VALUES ('{value.hex if 'sqlite' in database_url else value}', 0)")

    Migrations(database_url, service.chain).upgrade()

    assert ask("SELECT n, count(*) FROM things GROUP BY n") == [(1, 5)]


def test_a_table_without_a_key_is_refused(database_url, service):
    service.add("svc_0001", "op.create_table('loose', sa.Column('a', sa.Integer))")
    service.add("svc_0002", "tools.backfill('l', 'loose', {'a': '1'}, pause=0)")

    with pytest.raises(MigrationError, match="has no primary key"):
        Migrations(database_url, service.chain).upgrade()


def test_an_empty_table_is_done_at_once(database_url, orders):
    orders.add("svc_0002", "tools.backfill('o', 'orders', {'note': \"'x'\"}, pause=0)")

    assert len(Migrations(database_url, orders.chain).upgrade()) == 2


def test_printed_sql_says_that_it_does_not_batch(database_url, parts):
    parts.add("svc_0002", COUNT)

    sql = Migrations(database_url, parts.chain).sql("svc_0001:svc_0002")

    assert "does it in batches of 10" in sql
    assert "UPDATE parts SET a = a + 1" in sql


KEYS = {
    "whole number": (BigInteger(), st.integers(-(2**63), 2**63 - 1)),
    "text": (String(), st.text()),
    "uuid": (Uuid(), st.uuids()),
    "time": (DateTime(timezone=True), st.datetimes(timezones=st.just(UTC))),
    "decimal": (Numeric(), st.decimals(allow_nan=False, allow_infinity=False)),
}


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_key_that_is_written_down_comes_back(kind):
    type_, values = KEYS[kind]
    column = Column("id", type_)

    @settings(deadline=None)
    @given(values)
    def holds(value):
        assert from_json(to_json([value], "t"), [column]) == (value,)

    holds()


@pytest.mark.parametrize("value", [1.5, True, b"x", None], ids=str)
def test_a_key_that_would_lose_something_is_refused(value):
    with pytest.raises(MigrationError, match="cannot be written down"):
        to_json([value], "t")
