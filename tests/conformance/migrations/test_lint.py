"""What the linter finds in revisions, what it lets pass, and how it says so."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table

from shared.database.migrations import MigrationChain, Migrations, lint, read_baseline, write_baseline
from shared.database.migrations._sql import changes_in_sql, parse_default, statements_in
from shared.errors import InvalidArgumentError, MigrationError

#: Rule, and the body of a revision on an existing table ``orders`` (id, note varchar(100)).
BROKEN = {
    "add-not-null": "op.add_column('orders', sa.Column('a', sa.Integer, nullable=False))",
    "volatile-default": "op.add_column('orders', sa.Column('a', sa.DateTime, server_default=sa.text('clock_timestamp()')))",
    "add-serial": "op.add_column('orders', sa.Column('a', sa.BigInteger, sa.Identity()))",
    "add-generated": "op.add_column('orders', sa.Column('a', sa.Integer, sa.Computed('id * 2', persisted=True)))",
    "add-unique-column": "op.execute('ALTER TABLE orders ADD COLUMN a int UNIQUE')",
    "set-not-null": "op.alter_column('orders', 'note', nullable=False)",
    "type-change": "op.alter_column('orders', 'note', type_=sa.String(50))",
    "index-not-concurrent": "op.create_index('ix', 'orders', ['note'])",
    "concurrent-in-transaction": "op.create_index('ix', 'orders', ['note'], postgresql_concurrently=True)",
    "unique-not-by-index": "op.create_unique_constraint('uq', 'orders', ['note'])",
    "primary-key-not-by-index": "op.create_primary_key('pk', 'orders', ['note'])",
    "exclude-constraint": "op.create_exclude_constraint('ex', 'orders', (sa.column('id'), '='))",
    "foreign-key-validates": "op.create_foreign_key('fk', 'orders', 'users', ['id'], ['id'])",
    "foreign-key-without-index": "op.create_foreign_key('fk', 'orders', 'users', ['note'], ['id'], postgresql_not_valid=True)",
    "check-validates": "op.create_check_constraint('ck', 'orders', 'id > 0')",
    "rename-column": "op.alter_column('orders', 'note', new_column_name='remark')",
    "rename-table": "op.rename_table('orders', 'purchases')",
    "drop-column": "op.drop_column('orders', 'note')",
    "drop-table": "op.drop_table('orders')",
    "drop-index-not-concurrent": "op.drop_index('ix', 'orders')",
    "data-unbatched": "op.execute(\"UPDATE orders SET note = 'x'\")",
    "data-with-schema": "op.add_column('orders', sa.Column('a', sa.Integer))\nop.execute('UPDATE orders SET a = 1 WHERE id = 1')",
    "backfill-with-schema": "op.add_column('orders', sa.Column('a', sa.Integer))\ntools.backfill('b', 'orders', {'a': '1'})",
    "truncate": "op.execute('TRUNCATE orders')",
    "lock-table": "op.execute('LOCK TABLE orders')",
    "lock-timeout-off": "op.execute('SET lock_timeout = 0')",
    "table-rewrite": "op.execute('VACUUM FULL orders')",
    "reindex-not-concurrent": "op.execute('REINDEX TABLE orders')",
    "refresh-not-concurrent": "op.execute('REFRESH MATERIALIZED VIEW sums')",
    "enum-value-in-transaction": "op.execute(\"ALTER TYPE mood ADD VALUE 'soso'\")",
    "enum-rename": "op.execute(\"ALTER TYPE mood RENAME VALUE 'a' TO 'b'\")",
    "sql-unread": "op.execute('FROBNICATE orders')",
    "revision-unread": "op.get_bind().execute(sa.text('SELECT 1')).all()",
    "autocommit-mixed": """
with op.get_context().autocommit_block():
    op.create_index('ix', 'orders', ['note'], postgresql_concurrently=True)
op.add_column('orders', sa.Column('a', sa.Integer))
""",
}
HARMLESS = {
    "a nullable column": "op.add_column('orders', sa.Column('a', sa.Integer))",
    "a constant default": "op.add_column('orders', sa.Column('a', sa.Integer, nullable=False, server_default='7'))",
    "a stable default": "op.add_column('orders', sa.Column('a', sa.DateTime, nullable=False, server_default=sa.func.now()))",
    "a wider text": "op.alter_column('orders', 'note', type_=sa.String(200))",
    "text without limit": "op.alter_column('orders', 'note', type_=sa.Text())",
    "no not null any more": "op.alter_column('orders', 'note', nullable=True)",
    "a default": "op.alter_column('orders', 'note', server_default='x')",
    "an index, concurrently": "tools.create_index_concurrently('ix', 'orders', ['note'])",
    "an index in an autocommit block": """
with op.get_context().autocommit_block():
    op.create_index('ix', 'orders', ['note'], postgresql_concurrently=True)
""",
    "not null in steps": "tools.add_not_null('orders', 'note')",
    "not null by hand": """
op.execute('ALTER TABLE orders ADD CONSTRAINT c CHECK (note IS NOT NULL) NOT VALID')
op.execute('ALTER TABLE orders VALIDATE CONSTRAINT c')
op.execute('ALTER TABLE orders ALTER note SET NOT NULL')
""",
    "a constraint, not valid": "op.create_check_constraint('ck', 'orders', 'id > 0', postgresql_not_valid=True)",
    "a unique constraint in steps": "tools.add_unique('uq', 'orders', ['note'])",
    "an indexed foreign key in steps": """
tools.create_index_concurrently('ix', 'orders', ['note'])
tools.add_foreign_key('fk', 'orders', ['note'], 'users', ['name'])
""",
    "a rename by two columns": "tools.expand_column_rename('orders', 'note', 'remark', sa.String(100))",
    "anything on a table made here": """
op.create_table('fresh', sa.Column('id', sa.Integer, primary_key=True), sa.Column('a', sa.String(10)))
op.create_index('ix_fresh', 'fresh', ['a'])
op.alter_column('fresh', 'a', nullable=False, type_=sa.Integer())
op.create_unique_constraint('uq_fresh', 'fresh', ['a'])
op.create_foreign_key('fk_fresh', 'fresh', 'orders', ['id'], ['id'])
op.execute("UPDATE fresh SET a = 1")
op.rename_table('fresh', 'fresher')
""",
    "rows put in": "op.execute(\"INSERT INTO orders VALUES (1, 'a;b')\")",
}


def found(service, **options):
    return lint(service.chain, dialects=["postgresql"], **options)


def rules(service, **options):
    return {each.rule for each in found(service, **options).findings if each.revision == "svc_0002"}


@pytest.mark.parametrize("rule", list(BROKEN))
def test_a_change_that_hurts_is_found(orders, rule):
    orders.add("svc_0002", BROKEN[rule], "op.execute('SELECT 1')")

    hits = [each for each in found(orders).findings if each.rule == rule]

    assert hits, rules(orders)
    assert all(each.message and each.recipe for each in hits)
    assert all(each.line > 0 or rule in {"revision-unread", "autocommit-mixed"} for each in hits)


@pytest.mark.parametrize("name", list(HARMLESS))
def test_a_change_that_does_not_hurt_passes(orders, name):
    orders.add("svc_0002", HARMLESS[name], "op.execute('SELECT 1')")

    assert rules(orders) - {"downgrade-missing"} == set()


@pytest.mark.parametrize("rule", ["drop-column", "drop-table"])
def test_what_is_dropped_after_the_deploy_passes(orders, rule):
    orders.add("svc_0002", BROKEN[rule], "op.execute('SELECT 1')", phase="contract")

    assert rule not in rules(orders)


def test_what_is_dropped_while_it_is_mapped_is_found_in_every_phase(orders):
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), Column("note", String))
    orders.add("svc_0002", BROKEN["drop-column"], "pass", phase="contract")
    orders.add("svc_0003", "tools.contract_column_type('orders', 'note')", "pass", phase="contract")

    hits = found(orders, metadata=metadata).findings

    assert [each.revision for each in hits if each.rule == "drop-mapped"] == ["svc_0002"]


def test_a_rename_that_ends_before_its_time_is_found(orders):
    orders.add("svc_0002", "tools.contract_column_rename('orders', 'note', 'remark')")

    assert "drop-column" in rules(orders)


def test_what_is_safe_here_is_reported_with_its_reason(orders):
    orders.add(
        "svc_0002", "with tools.safe('twelve rows'):\n    op.create_index('ix', 'orders', ['note'])", "pass"
    )

    report = found(orders)

    assert "index-not-concurrent" not in {each.rule for each in report.findings}
    accepted = {each.rule: each.accepted for each in report.accepted}
    assert accepted["index-not-concurrent"] == "twelve rows"
    assert "twelve rows" in str(report)


# --- the way back ----------------------------------------------------------------------


@pytest.mark.parametrize("down", ["pass", "raise NotImplementedError"])
def test_a_missing_downgrade_is_found(orders, down):
    orders.add("svc_0002", HARMLESS["a nullable column"], down)

    assert "downgrade-missing" in rules(orders)


def test_a_revision_of_data_alone_needs_no_downgrade(orders):
    orders.add("svc_0002", "tools.backfill('b', 'orders', {'note': '1'})", phase="migrate")

    assert rules(orders) == set()


@pytest.mark.parametrize(
    "up",
    [
        "op.drop_column('orders', 'note')",
        "op.drop_table('orders')",
        "op.alter_column('orders', 'note', existing_type=sa.String(100), type_=sa.String(5))",
    ],
    ids=["column", "table", "narrower type"],
)
def test_a_downgrade_that_brings_no_data_back_is_found(orders, up):
    orders.add("svc_0002", up, "op.execute('SELECT 1')", phase="contract")

    assert "downgrade-loses-data" in rules(orders)


# --- the chain -------------------------------------------------------------------------


def test_several_heads_are_found(orders):
    orders.add("svc_0002a", "pass", parent="svc_0001")
    orders.add("svc_0002b", "pass", parent="svc_0001")

    (hit,) = [each for each in found(orders).findings if each.rule == "several-heads"]

    assert "svc_0002a, svc_0002b" in hit.message


def test_an_applied_revision_that_was_edited_is_found(sqlite_url, orders):
    migrations = Migrations(sqlite_url, orders.chain)
    migrations.upgrade()
    path = orders.folder / "versions" / "svc_0001.py"
    path.write_text(path.read_text().replace("String(100)", "String(9)"))

    report = found(orders, edited=migrations.check().edited)

    assert "edited-revision" in {each.rule for each in report.findings}


def test_revisions_before_the_start_are_not_judged_and_still_known(orders):
    orders.add("svc_0002", BROKEN["index-not-concurrent"], "pass")
    orders.add(
        "svc_0003", "op.alter_column('orders', 'note', type_=sa.String(300))", "op.execute('SELECT 1')"
    )

    report = found(orders, since="svc_0002")

    assert report.findings == ()
    assert report.revisions == 1


def test_an_unknown_start_is_our_error(orders):
    with pytest.raises(MigrationError):
        found(orders, since="nowhere")


def test_an_unknown_dialect_is_named(orders):
    with pytest.raises(InvalidArgumentError, match="'oracle'"):
        lint(orders.chain, dialects=["oracle"])


def test_a_baseline_keeps_what_is_known_quiet_and_lets_new_findings_through(orders, tmp_path):
    path = orders.add("svc_0002", BROKEN["index-not-concurrent"], "op.execute('SELECT 1')")
    baseline = tmp_path / "baseline.json"
    write_baseline(baseline, found(orders))
    path.write_text("\n\n" + path.read_text())  # the line moves
    assert found(orders, baseline=read_baseline(baseline)).findings == ()
    orders.add("svc_0003", BROKEN["drop-table"], "op.execute('SELECT 1')")

    report = found(orders, baseline=read_baseline(baseline))

    assert {each.revision for each in report.findings} == {"svc_0003"}
    assert report.baselined == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"findings": [1]}', "nonsense", "[" * 100_000])
def test_a_file_that_is_no_baseline_is_our_error(tmp_path, text):
    path = tmp_path / "baseline.json"
    path.write_text(text)

    with pytest.raises(InvalidArgumentError, match="is no baseline"):
        read_baseline(path)


def test_the_report_is_plain_data(orders):
    orders.add("svc_0002", BROKEN["set-not-null"], "pass")

    data = json.loads(json.dumps(found(orders).to_dict()))

    assert not data["ok"]
    assert {"rule", "severity", "revision", "line", "table", "message", "recipe", "fingerprint"} <= set(
        data["findings"][0]
    )


def test_our_own_revisions_hurt_nobody():
    report = lint(MigrationChain.library(), dialects=["postgresql", "sqlite"])

    assert report.findings == ()


# --- other databases -------------------------------------------------------------------

SQLITE = {
    "sqlite-not-possible": "op.alter_column('orders', 'note', nullable=False)",
    "sqlite-rebuild": "with op.batch_alter_table('orders') as batch:\n    batch.alter_column('note', nullable=False)",
    "sqlite-default": "op.add_column('orders', sa.Column('a', sa.DateTime, server_default=sa.func.now()))",
    "sqlite-unique-column": "op.add_column('orders', sa.Column('a', sa.Integer, unique=True))",
    "sqlite-generated": "op.add_column('orders', sa.Column('a', sa.Integer, sa.Computed('id', persisted=True)))",
    "add-not-null": "op.add_column('orders', sa.Column('a', sa.Integer, nullable=False))",
}
MYSQL = {
    "mysql-copy": "op.alter_column('orders', 'note', type_=sa.Integer())",
    "mysql-rebuild": "op.alter_column('orders', 'note', nullable=False)",
}


@pytest.mark.parametrize("rule", list(SQLITE))
def test_what_sqlite_cannot_do_is_found(orders, rule):
    orders.add("svc_0002", SQLITE[rule], "pass")

    assert rule in {each.rule for each in lint(orders.chain, dialects=["sqlite"]).findings}


@pytest.mark.parametrize(
    "rule", ["sqlite-not-possible", "sqlite-default", "sqlite-unique-column", "sqlite-generated"]
)
def test_what_sqlite_is_said_to_refuse_it_refuses(sqlite_url, orders, rule):
    orders.add("svc_0002", SQLITE[rule])
    Migrations(sqlite_url, orders.chain).upgrade("svc_0001")
    from sqlalchemy import create_engine, text

    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES (1, 'a')"))
    engine.dispose()

    with pytest.raises(Exception, match="syntax|Cannot add|cannot add|not|No support"):
        Migrations(sqlite_url, orders.chain).upgrade()


def test_dropping_a_mapped_column_in_batch_on_sqlite_is_a_rebuild(orders):
    orders.add(
        "svc_0002", "with op.batch_alter_table('orders') as batch:\n    batch.drop_column('note')", "pass"
    )

    assert {"sqlite-rebuild", "drop-column"} <= {
        each.rule for each in lint(orders.chain, dialects=["sqlite"]).findings
    }


@pytest.mark.parametrize("rule", list(MYSQL))
def test_what_mysql_does_by_copying_is_found(orders, rule):
    orders.add("svc_0002", MYSQL[rule], "pass")

    assert rule in {each.rule for each in lint(orders.chain, dialects=["mysql"]).findings}


@pytest.mark.parametrize(("limit", "copies"), [(60, False), (101, False), (10, True)])
def test_mysql_widens_text_within_its_length_bytes(orders, limit, copies):
    orders.add("svc_0002", "op.add_column('orders', sa.Column('t', sa.String(50)))", "pass")
    column = "t" if limit == 60 else "note"
    orders.add("svc_0003", f"op.alter_column('orders', '{column}', type_=sa.String({limit}))", "pass")

    hits = [each for each in lint(orders.chain, dialects=["mysql"]).findings if each.rule == "mysql-copy"]

    assert bool(hits) == copies


# --- reading SQL -----------------------------------------------------------------------


@given(st.text(max_size=300))
@settings(deadline=None)
def test_any_text_is_read_without_an_error(text):
    assert isinstance(changes_in_sql(text), list)


WORDS = st.sampled_from(
    "ALTER TABLE t ADD COLUMN CONSTRAINT c CHECK ( ) , NOT NULL DEFAULT now() 'a;b' \"x\" $$ ; -- /* */ TYPE int "
    "CREATE INDEX CONCURRENTLY ON UPDATE SET WHERE VACUUM FULL DROP REFERENCES UNIQUE USING".split()
)


@given(st.lists(WORDS, max_size=25).map(" ".join))
@settings(deadline=None)
def test_any_words_of_sql_are_read_without_an_error(text):
    assert isinstance(changes_in_sql(text), list)


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT 1; SELECT 2", 2),
        ("SELECT ';'; SELECT 2;", 2),
        ('SELECT 1 AS ";"', 1),
        ("-- a; b\nSELECT 1", 1),
        ("/* ; */ SELECT 1", 1),
        ("DO $x$ BEGIN; END $x$; SELECT 1", 2),
        ("", 0),
        (";;", 0),
    ],
)
def test_statements_end_at_semicolons_outside_of_quotes(sql, count):
    assert len(statements_in(sql)) == count


def test_long_hostile_sql_is_read_in_time():
    for text in (
        "alter table " * 20_000,
        "alter table t add " + "(" * 50_000,
        "'" * 50_001,
        "create index " * 20_000,
    ):
        changes_in_sql(text)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("0", "constant"), ("'now()'", "constant"), ("'{}'::jsonb", "constant"), ("now()", "stable"),
        ("CURRENT_TIMESTAMP", "stable"), ("random()", "volatile"), ("nextval('s')", "volatile"),
        ("my_own()", "unknown"), ("coalesce(now(), clock_timestamp())", "volatile"), ("true", "constant"),
    ],
)  # fmt: skip
def test_a_default_is_known_by_what_it_calls(expression, kind):
    assert parse_default(expression) == kind


# --- more ways to write the same -------------------------------------------------------

SPELLINGS = {
    "foreign-key-validates": "op.add_column('orders', sa.Column('a', sa.Integer, sa.ForeignKey('users.id')))",
    "check-validates": "op.add_column('orders', sa.Column('a', sa.Integer, sa.CheckConstraint('a > 0')))",
    "index-not-concurrent": "op.add_column('orders', sa.Column('a', sa.Integer, index=True))",
    "add-unique-column": "op.add_column('orders', sa.Column('a', sa.Integer, unique=True))",
    "data-unbatched": "op.execute(sa.update(sa.table('orders', sa.column('note'))).values(note='x'))",
    "foreign-key-without-index": "tools.add_foreign_key('fk', 'orders', ['note'], 'users', ['name'])",
    "drop-column": "op.execute('ALTER TABLE public.\"orders\" DROP COLUMN IF EXISTS note')",
    "rename-column": "op.execute('ALTER TABLE orders RENAME note TO remark')",
    "set-not-null": "op.execute('ALTER TABLE ONLY orders ALTER COLUMN note SET NOT NULL, ADD COLUMN a numeric(10,2)')",
    "unique-not-by-index": "op.execute('ALTER TABLE orders ADD CONSTRAINT u UNIQUE (note)')",
    "type-change": "op.execute('ALTER TABLE orders ALTER note TYPE varchar(5) USING left(note, 5)')",
    "primary-key-not-by-index": "op.execute('ALTER TABLE orders ADD PRIMARY KEY (note)')",
}


@pytest.mark.parametrize("rule", list(SPELLINGS))
def test_another_spelling_is_found_as_well(orders, rule):
    orders.add("svc_0002", SPELLINGS[rule], "op.execute('SELECT 1')")

    assert rule in rules(orders)


@pytest.mark.parametrize(
    "body",
    [
        "op.bulk_insert(sa.table('orders', sa.column('note')), [{'note': 'x'}])",
        "op.execute(sa.insert(sa.table('orders', sa.column('note'))).values(note='x'))",
        "op.execute(sa.text('SELECT 1'))",
        "op.create_table_comment('orders', 'x')",
        "op.drop_constraint('ck', 'orders')",
        "op.execute('ALTER TABLE orders ADD COLUMN a int REFERENCES users (id)')",
        "op.execute('GRANT SELECT ON orders TO reader')",
        "op.execute('ALTER TABLE orders ADD CONSTRAINT u UNIQUE USING INDEX ix')",
    ],
)
def test_what_hurts_nobody_passes_in_every_spelling(orders, body):
    orders.add("svc_0002", body, "op.execute('SELECT 1')")

    assert rules(orders) == set()


@pytest.mark.parametrize(
    ("old", "new", "free"),
    [
        ("varchar(10)", "varchar(20)", True), ("varchar(20)", "varchar(10)", False), ("varchar", "text", True),
        ("varbit(8)", "bit varying(9)", True), ("varbit(8)", "varbit(7)", False), ("cidr", "inet", True),
        ("timestamp(3)", "timestamptz(6)", True), ("timestamptz(3)", "timestamptz(0)", False),
        ("numeric(10,2)", "numeric(10,3)", False), ("numeric", "numeric(10,2)", False), ("int4", "integer", True),
        ("integer", "bigint", False), (None, "text", False), ("text", None, False), ("mood", "mood", True),
        ("int[]", "text", False), ("time(3)", "time(6)", True), ("char(5)", "char(6)", False),
    ],
)  # fmt: skip
def test_a_type_change_is_free_when_the_server_only_notes_it(old, new, free):
    from shared.database.migrations._effects import is_free_type_change

    assert is_free_type_change(old, new) == free


def test_what_was_made_before_is_forgotten_with_its_table(orders):
    orders.add(
        "svc_0002",
        "op.rename_table('orders', 'purchases')\nop.drop_table('purchases')",
        "pass",
        phase="contract",
    )
    orders.add(
        "svc_0003", "op.create_table('purchases', sa.Column('id', sa.Integer))", "op.drop_table('purchases')"
    )
    orders.add(
        "svc_0004", "op.alter_column('purchases', 'id', type_=sa.BigInteger())", "op.execute('SELECT 1')"
    )

    (hit,) = [each for each in found(orders).findings if each.rule == "type-change"]

    assert "integer to bigint" in hit.message
