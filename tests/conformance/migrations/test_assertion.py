"""``assert_migrations_ok``: one line in a service's suite."""

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from shared.database import Base
from shared.database.migrations import MigrationChain
from shared.testing import assert_migrations_ok


def orders_metadata(*columns):
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer, primary_key=True), Column("note", String(100)), *columns)
    return metadata


def test_revisions_that_are_fit_pass(orders, database_url):
    assert_migrations_ok(orders_metadata(), orders.folder, url=database_url)


def test_without_an_address_a_file_of_its_own_is_used(orders):
    assert_migrations_ok(orders_metadata(), orders.chain)


def test_the_tables_of_the_library_in_the_metadata_are_no_difference(service):
    service.add("svc_0001", "tools.requires('database_0001')")
    metadata = MetaData()
    Base.metadata.tables["database_outbox"].to_metadata(metadata)

    assert_migrations_ok(metadata, service.folder)


def test_a_model_without_its_column_is_told(orders):
    with pytest.raises(AssertionError, match=r"the models differ: add_column .*total"):
        assert_migrations_ok(orders_metadata(Column("total", Integer)), orders.folder)


def test_several_heads_are_told(orders):
    orders.add("svc_0002a", "pass", parent="svc_0001")
    orders.add("svc_0002b", "pass", parent="svc_0001")

    with pytest.raises(AssertionError, match="there are 2 heads"):
        assert_migrations_ok(orders_metadata(), orders.folder)


def test_a_way_back_that_is_missing_is_told(orders):
    orders.add("svc_0002", "op.create_table('more', sa.Column('id', sa.Integer))")

    with pytest.raises(AssertionError) as caught:
        assert_migrations_ok(orders_metadata(), orders.folder)

    assert "downgrade-missing" in str(caught.value)
    assert "table more is left over" in str(caught.value)


def test_what_hurts_is_told_unless_the_baseline_knows_it(orders, tmp_path):
    from shared.database.migrations import lint, write_baseline

    orders.add(
        "svc_0002",
        "op.create_index('ix_orders_note', 'orders', ['note'])",
        "op.drop_index('ix_orders_note', 'orders')",
    )
    metadata = orders_metadata()
    from sqlalchemy import Index

    Index("ix_orders_note", metadata.tables["orders"].c.note)

    with pytest.raises(AssertionError, match="index-not-concurrent"):
        assert_migrations_ok(metadata, orders.folder)
    write_baseline(tmp_path / "known.json", lint(orders.chain, dialects=["postgresql"]))
    assert_migrations_ok(metadata, orders.folder, baseline=tmp_path / "known.json")


def test_revisions_that_do_not_run_are_told(orders):
    orders.add("svc_0002", "op.execute('SELECT * FROM nowhere')", "pass")

    with pytest.raises(AssertionError, match="nowhere"):
        assert_migrations_ok(orders_metadata(), orders.folder)


def test_the_librarys_own_revisions_are_fit(database_url):
    assert_migrations_ok(
        Base.metadata, MigrationChain.library(), url=database_url, dialects=["postgresql", "sqlite"]
    )
