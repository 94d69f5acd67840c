"""What the checks of a database say, on every engine."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from shared.database import (
    Base,
    Database,
    Outbox,
    migrations_check,
    operation_checks,
    outbox_check,
    tables_of,
)
from shared.database.migrations import MigrationChain, Migrations
from shared.errors import InvalidArgumentError

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def outbox(db):
    Base.metadata.create_all(db.engine, tables_of("database"))
    return db


def add(db, **columns):
    with db.transaction() as session:
        Outbox().add(session, "orders.paid", {})
        session.flush()
        for name, value in columns.items():
            session.execute(text(f"update database_outbox set {name} = :value"), {"value": value})


def answer(db, **options):
    return outbox_check(lambda: db, clock=lambda: NOW, **options).check()


def age(seconds, system):
    moment = NOW - timedelta(seconds=seconds)
    return moment if system == "postgresql" else moment.strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize(("seconds", "status"), [(10, "healthy"), (61, "degraded"), (301, "unhealthy")])
def test_the_lag_of_the_outbox_is_that_of_the_oldest_due_message(outbox, system, seconds, status):
    add(outbox, available_at=age(seconds, system))

    found = answer(outbox, unhealthy_above=300.0)

    assert (found["status"], found["lag"], found["pending"]) == (status, float(seconds), 1)


def test_what_is_due_later_does_not_wait(outbox, system):
    add(outbox, available_at=age(-60, system))

    assert answer(outbox) == {"status": "healthy", "lag": 0.0, "pending": 0, "dead": 0}


def test_dead_letters_degrade(outbox):
    add(outbox, state="dead")

    assert (answer(outbox)["status"], answer(outbox)["dead"]) == ("degraded", 1)


def test_an_outbox_nobody_uses_is_healthy(db):
    assert answer(db) == {"status": "healthy", "outbox": "not in use"}


@pytest.mark.parametrize("wrong", [{"degraded_above": -1}, {"degraded_above": 60, "unhealthy_above": 30}])
def test_limits_in_the_wrong_order_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match="does not hold"):
        outbox_check(lambda: None, **wrong)


def test_the_database_is_looked_up_at_every_look(url):
    current = []
    check = operation_checks(lambda: current[-1])[0]
    shown = []
    for _ in range(2):
        with Database(url) as database:
            current.append(database)
            shown.append(check.check()["status"])

    assert shown == ["healthy", "healthy"]


def test_every_replica_has_a_check_of_its_own(url):
    with Database(url, replicas=[url]) as database:
        checks = {check.name: check for check in operation_checks(lambda: database, replicas=1)}

        assert checks["database.replica-1"].check()["status"] == "healthy"
    assert [(name, check.critical) for name, check in checks.items()] == [
        ("database", True),
        ("database.replica-1", False),
        ("outbox", False),
    ]


def test_migrations_nobody_uses_are_healthy(db):
    assert migrations_check(lambda: db).check() == {"status": "healthy", "migrations": "not in use"}


def test_a_database_with_every_revision_is_healthy(db):
    Migrations(db).upgrade()

    assert migrations_check(lambda: db).check() == {"status": "healthy", "pending": 0}


def test_rooms_that_are_not_in_use_do_not_wait(db):
    Migrations(db, MigrationChain.library(["database"])).upgrade()

    assert migrations_check(lambda: db).check()["pending"] == 0


@pytest.fixture
def behind(db, tmp_path):
    """A service's chain of two revisions, of which the database has the first."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text("")
    for number, parent in ((1, None), (2, "orders_0001")):
        (folder / "versions" / f"orders_000{number}_x.py").write_text(
            f'"""x"""\nrevision = "orders_000{number}"\ndown_revision = {parent!r}\n'
            "def upgrade(): ...\ndef downgrade(): ...\n"
        )
    with db.transaction() as session:
        session.execute(text("create table alembic_version (version_num varchar(32) not null)"))
        session.execute(text("insert into alembic_version values ('orders_0001')"))
    return MigrationChain.service(folder)


def test_a_revision_that_waits_degrades_and_is_named(db, behind):
    found = migrations_check(lambda: db, chain=behind).check()

    assert found == {"status": "degraded", "pending": 1, "revisions": ["orders_0002"]}


def test_a_critical_check_is_unhealthy_while_revisions_wait(db, behind):
    assert migrations_check(lambda: db, chain=behind, critical=True).check()["status"] == "unhealthy"


def test_a_revision_of_a_newer_release_is_shown_and_no_fault(db, behind):
    with db.transaction() as session:
        session.execute(text("insert into alembic_version values ('orders_0009')"))
        session.execute(
            text("update alembic_version set version_num = 'orders_0002' where version_num = 'orders_0001'")
        )

    found = migrations_check(lambda: db, chain=behind).check()

    assert found == {"status": "healthy", "pending": 0, "unknown": ["orders_0009"]}
