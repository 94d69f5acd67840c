"""What the linter says PostgreSQL does is what PostgreSQL does: every row is measured on a real server."""

import threading
import time
import uuid

import psycopg
import pytest

from shared.database.migrations._effects import BLOCKING, SchemaState, effect_of
from shared.database.migrations._probe import Probe
from shared.database.migrations._sql import changes_in_sql

SETUP = """
CREATE TABLE parents (id int PRIMARY KEY);
INSERT INTO parents SELECT generate_series(1, 2000);
CREATE TABLE t (
    id int PRIMARY KEY, parent int DEFAULT 1, name varchar(100), label text, code char(5), price numeric(10,2),
    small int, at timestamptz DEFAULT now(), born timestamp, data json, address cidr, flags varbit(8),
    ready int NOT NULL DEFAULT 0, guarded int DEFAULT 1, spare int, CONSTRAINT guard CHECK (guarded IS NOT NULL)
);
INSERT INTO t (id, name, label, small, price, data)
    SELECT n, 'name ' || n, 'label', n, n, '{}' FROM generate_series(1, 2000) n;
CREATE UNIQUE INDEX t_ready_index ON t (id, ready);
CREATE INDEX t_name ON t (name);
ALTER TABLE t ADD CONSTRAINT loose CHECK (small > 0) NOT VALID;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""
#: Statement, and the words an operator hears: blocks while it reads or rewrites, or does not.
STATEMENTS = {
    "add column": "ALTER TABLE t ADD COLUMN c text",
    "add column with a constant": "ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 7",
    "add column with now()": "ALTER TABLE t ADD COLUMN c timestamptz NOT NULL DEFAULT now()",
    "add column with a volatile default": "ALTER TABLE t ADD COLUMN c timestamptz DEFAULT clock_timestamp()",
    "add column with a random key": "ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid()",
    "add serial": "ALTER TABLE t ADD COLUMN c bigserial",
    "add identity": "ALTER TABLE t ADD COLUMN c bigint GENERATED ALWAYS AS IDENTITY",
    "add stored generated": "ALTER TABLE t ADD COLUMN c int GENERATED ALWAYS AS (small * 2) STORED",
    "add unique column": "ALTER TABLE t ADD COLUMN c int UNIQUE",
    "add column with a check": "ALTER TABLE t ADD COLUMN c int CHECK (c > 0)",
    "drop column": "ALTER TABLE t DROP COLUMN spare",
    "rename column": "ALTER TABLE t RENAME COLUMN spare TO other",
    "rename table": "ALTER TABLE t RENAME TO other",
    "set not null": "ALTER TABLE t ALTER COLUMN name SET NOT NULL",
    "set not null behind a valid check": "ALTER TABLE t ALTER COLUMN guarded SET NOT NULL",
    "drop not null": "ALTER TABLE t ALTER COLUMN ready DROP NOT NULL",
    "set default": "ALTER TABLE t ALTER COLUMN small SET DEFAULT 3",
    "drop default": "ALTER TABLE t ALTER COLUMN parent DROP DEFAULT",
    "widen varchar": "ALTER TABLE t ALTER COLUMN name TYPE varchar(200)",
    "varchar without limit": "ALTER TABLE t ALTER COLUMN name TYPE varchar",
    "varchar to text": "ALTER TABLE t ALTER COLUMN name TYPE text",
    "text to varchar": "ALTER TABLE t ALTER COLUMN label TYPE varchar",
    "text to limited varchar": "ALTER TABLE t ALTER COLUMN label TYPE varchar(50)",
    "narrow varchar": "ALTER TABLE t ALTER COLUMN name TYPE varchar(50)",
    "char to text": "ALTER TABLE t ALTER COLUMN code TYPE text",
    "int to bigint": "ALTER TABLE t ALTER COLUMN small TYPE bigint",
    "numeric of more digits": "ALTER TABLE t ALTER COLUMN price TYPE numeric(12,2)",
    "numeric of another scale": "ALTER TABLE t ALTER COLUMN price TYPE numeric(12,4)",
    "numeric without limits": "ALTER TABLE t ALTER COLUMN price TYPE numeric",
    "timestamp to timestamptz in UTC": "ALTER TABLE t ALTER COLUMN born TYPE timestamptz",
    "timestamptz of less precision": "ALTER TABLE t ALTER COLUMN at TYPE timestamptz(0)",
    "json to jsonb": "ALTER TABLE t ALTER COLUMN data TYPE jsonb",
    "cidr to inet": "ALTER TABLE t ALTER COLUMN address TYPE inet",
    "wider varbit": "ALTER TABLE t ALTER COLUMN flags TYPE varbit(16)",
    "create index": "CREATE INDEX i ON t (small)",
    "create unique index": "CREATE UNIQUE INDEX i ON t (small)",
    "drop index": "DROP INDEX t_name",
    "add unique": "ALTER TABLE t ADD CONSTRAINT u UNIQUE (small)",
    "add unique by index": "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX t_ready_index",
    "add foreign key": "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (parent) REFERENCES parents (id)",
    "add foreign key not valid": "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (parent) REFERENCES parents (id) NOT VALID",
    "add check": "ALTER TABLE t ADD CONSTRAINT c CHECK (small > 0)",
    "add check not valid": "ALTER TABLE t ADD CONSTRAINT c CHECK (small > 0) NOT VALID",
    "validate check": "ALTER TABLE t VALIDATE CONSTRAINT loose",
    "drop constraint": "ALTER TABLE t DROP CONSTRAINT loose",
    "set storage": "ALTER TABLE t ALTER COLUMN label SET STORAGE EXTERNAL",
    "set statistics": "ALTER TABLE t ALTER COLUMN label SET STATISTICS 500",
    "set options": "ALTER TABLE t SET (fillfactor = 80)",
    "set unlogged": "ALTER TABLE t SET UNLOGGED",
    "enable row security": "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "disable trigger": "ALTER TABLE t DISABLE TRIGGER ALL",
    "create trigger": "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touched()",
    "comment": "COMMENT ON TABLE t IS 'x'",
    "lock table": "LOCK TABLE t",
    "truncate": "TRUNCATE TABLE t",
    "cluster": "CLUSTER t USING t_pkey",
    "reindex": "REINDEX TABLE t",
    "update of all rows": "UPDATE t SET label = 'x'",
    "delete of all rows": "DELETE FROM t",
    "drop table": "DROP TABLE t",
}


@pytest.fixture(scope="module")
def server(request):
    """The database with the tables above; every test takes back what it did."""
    from shared.testing._postgres import create_database, drop_database

    url = request.getfixturevalue("shared_postgres")
    name = f"effects_{uuid.uuid4().hex[:12]}"
    made = create_database(url, name)
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute(SETUP)
    yield str(made)
    drop_database(url, name)


def known_before() -> SchemaState:
    """What the linter knows when revisions have made the tables above."""
    state = SchemaState()
    types = {
        "name": "varchar(100)", "label": "text", "code": "char(5)", "price": "numeric(10, 2)", "small": "integer",
        "at": "timestamp with time zone", "born": "timestamp without time zone", "data": "json",
        "address": "cidr", "flags": "bit varying(8)",
    }  # fmt: skip
    state.types = {("t", column): kind for column, kind in types.items()}
    state.checked = {("t", "guarded")}
    return state


@pytest.mark.parametrize("name", list(STATEMENTS))
def test_the_server_does_what_the_linter_says(server, name):
    statement = STATEMENTS[name]
    (change, *_more) = changes_in_sql(statement)
    effects = [effect_of(each, known_before()) for each in changes_in_sql(statement)]

    with psycopg.connect(server, options="-c timezone=UTC") as connection:
        probe = Probe(connection)
        probe.begin()
        connection.execute(statement)
        measured = probe.end(statement)
        connection.rollback()

    assert change.kind != "unread"
    predicted = {
        "lock": effects[0].lock,
        "rewrite": any(effect.rewrite for effect in effects),
        "scan": any(effect.scan for effect in effects),
    }
    assert predicted == {
        "lock": measured.locks.get("t", ""),
        "rewrite": "t" in measured.rewritten,
        "scan": "t" in measured.scanned,
    }


@pytest.mark.parametrize(
    ("statement", "others"),
    [
        ("ALTER TABLE t ADD FOREIGN KEY (parent) REFERENCES parents (id)", "SHARE ROW EXCLUSIVE"),
        ("CREATE INDEX i ON t (small)", ""),
    ],
    ids=["foreign key", "index"],
)
def test_a_foreign_key_locks_the_table_it_refers_to(server, statement, others):
    with psycopg.connect(server) as connection:
        probe = Probe(connection)
        probe.begin()
        connection.execute(statement)
        measured = probe.end(statement)
        connection.rollback()

    assert measured.locks.get("parents", "") == others


def locks_of(connection, pid):
    rows = connection.execute(
        "SELECT mode FROM pg_locks WHERE pid = %s AND relation = 't'::regclass", [pid]
    ).fetchall()
    return {row[0] for row in rows}


@pytest.mark.parametrize(
    ("statement", "after"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (small)", "DROP INDEX i"),
        ("DROP INDEX CONCURRENTLY t_name", "CREATE INDEX t_name ON t (name)"),
        ("REINDEX TABLE CONCURRENTLY t", None),
        ("VACUUM FULL t", None),
    ],
    ids=["create index", "drop index", "reindex", "vacuum full"],
)
def test_what_runs_outside_of_transactions_takes_the_lock_the_linter_says(server, statement, after):
    """A reader or writer that stays makes the statement wait, so that its lock can be seen."""
    (change,) = changes_in_sql(statement)
    expected = effect_of(change, SchemaState()).lock
    with psycopg.connect(server) as stays, psycopg.connect(server, autocommit=True) as looks:
        stays.execute("SELECT * FROM t LIMIT 1")
        stays.execute("UPDATE t SET id = id WHERE id = 1")
        with psycopg.connect(server, autocommit=True) as works:
            pid = works.info.backend_pid
            thread = threading.Thread(target=works.execute, args=[statement])
            thread.start()
            wanted = "".join(word.title() for word in expected.split()) + "Lock"
            seen, until = set(), time.monotonic() + 30
            while wanted not in seen and time.monotonic() < until:
                seen |= locks_of(looks, pid)
                time.sleep(0.01)
            stays.rollback()
            thread.join(60)
            if after:
                works.execute(after)

    assert wanted in seen
    assert (wanted == "AccessExclusiveLock") == ("AccessExclusiveLock" in seen)


def test_blocking_locks_are_those_a_writer_waits_for(server):
    for mode in (
        "ROW EXCLUSIVE",
        "SHARE UPDATE EXCLUSIVE",
        "SHARE",
        "SHARE ROW EXCLUSIVE",
        "EXCLUSIVE",
        "ACCESS EXCLUSIVE",
    ):
        with psycopg.connect(server) as holder, psycopg.connect(server) as writer:
            holder.execute(f"LOCK TABLE t IN {mode} MODE")
            writer.execute("SET lock_timeout = '50ms'")
            waits = False
            try:
                writer.execute("UPDATE t SET id = id WHERE id = 1")
            except psycopg.errors.LockNotAvailable:
                waits = True
            assert waits == (mode in BLOCKING), mode
            writer.rollback()
            holder.rollback()
