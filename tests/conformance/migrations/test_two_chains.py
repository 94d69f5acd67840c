"""The library's chain and a service's own live in one database and leave each other alone."""

import pytest
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, inspect, text

from shared.database import Base
from shared.database.migrations import (
    MigrationChain,
    Migrations,
    include_name,
    include_object,
    write_revision,
)
from shared.errors import MigrationError
from tests.conformance.migrations._service import Service

LIBRARY_ROOMS = {"agents", "auth", "commerce", "database", "feature_flags", "monitoring"}
LIBRARY = {"database_outbox", "database_inbox", "database_idempotency", "shared_alembic_version"}


def state_of(engine) -> dict[str, set[str]]:
    inspector = inspect(engine)
    return {
        name: {column["name"] for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
    }


def library_part(engine):
    return {name: columns for name, columns in state_of(engine).items() if name in LIBRARY}


def service_part(engine):
    return {
        name: columns for name, columns in state_of(engine).items() if name in {"orders", "alembic_version"}
    }


def test_a_service_goes_up_and_down_without_touching_the_library(database_url, orders, engine_for):
    Migrations(database_url).upgrade()
    engine = engine_for(database_url)
    before = library_part(engine)
    own = Migrations(database_url, orders.chain)

    own.upgrade()
    during = library_part(engine)
    own.downgrade("base")

    assert before == during == library_part(engine)
    assert set(before) == LIBRARY
    assert Migrations(database_url).check().ok
    assert "orders" not in state_of(engine)


def test_the_library_goes_up_and_down_without_touching_a_service(database_url, orders, engine_for):
    Migrations(database_url, orders.chain).upgrade()
    engine = engine_for(database_url)
    before = service_part(engine)
    library = Migrations(database_url)

    library.upgrade()
    during = service_part(engine)
    library.downgrade("base")

    assert before == during == service_part(engine)
    assert set(before) == {"orders", "alembic_version"}
    assert Migrations(database_url, orders.chain).current() == ("svc_0001",)


def test_the_check_of_a_service_sees_its_own_tables_only(database_url, tmp_path):
    shared_base = "__import__('shared.database').database.Base.metadata"
    service = Service(tmp_path / "svc", metadata=shared_base)
    service.add("svc_0001", "pass")
    Migrations(database_url).upgrade()
    own = Migrations(database_url, service.chain)
    own.upgrade()

    differences = own.check().differences

    assert [each for each in differences if "database_" in each or "shared_" in each] == []


def test_without_the_filter_a_service_would_drop_the_tables_of_the_library(database_url, engine_for):
    Migrations(database_url).upgrade()
    with engine_for(database_url).connect() as connection:

        def dropped(**options):
            context = MigrationContext.configure(connection, opts=options)
            operations = produce_migrations(context, MetaData()).upgrade_ops.ops
            return {each.table_name for each in operations if type(each).__name__ == "DropTableOp"}

        assert dropped() >= LIBRARY
        assert dropped(include_name=include_name, include_object=include_object) == set()


def test_the_filter_lets_tables_of_the_service_pass():
    table = Table("orders", MetaData(), Column("id", Integer))

    assert include_name("orders", "table", {})
    assert include_name("id", "column", {"table_name": "orders"})
    assert include_object(table, "orders", "table", False, None)
    assert not include_name("seq", "column", {"table_name": "database_outbox"})


def test_a_service_demands_a_revision_of_the_library(database_url, service):
    service.add("svc_0001", "tools.requires('database_0001')")
    own = Migrations(database_url, service.chain)

    with pytest.raises(MigrationError, match="'database_0001' is not applied here: run 'shared db upgrade'"):
        own.upgrade()
    Migrations(database_url).upgrade()

    assert len(own.upgrade()) == 1


def test_a_demand_for_a_revision_nobody_knows_is_refused(sqlite_url, service):
    service.add("svc_0001", "tools.requires('database_9999')")

    with pytest.raises(MigrationError, match="database_9999"):
        Migrations(sqlite_url, service.chain).upgrade()


def test_a_demand_is_a_comment_in_printed_sql(sqlite_url, service):
    service.add("svc_0001", "tools.requires('database_0001')")

    assert "-- requires database_0001 of the library" in Migrations(sqlite_url, service.chain).sql()


def of_the_library():
    """Return the metadata of a service that subclasses `Base` and has no table of its own yet."""
    made = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        if table.info.get("room") in LIBRARY_ROOMS:
            table.to_metadata(made)
    return made


def test_the_first_revision_a_service_generates_stays_in_its_folder(database_url, tmp_path):
    # Of Base's tables the library's alone: other tests of this process have declared theirs.
    service = Service(tmp_path / "svc", metadata=f"__import__('{__name__}', fromlist=['x']).of_the_library()")
    Migrations(database_url).upgrade()

    path = write_revision(service.chain, "first", target=database_url, phase="migrate")

    assert path.parent == service.folder / "versions"
    text_ = path.read_text()
    assert "drop_table" not in text_
    assert "create_table" not in text_
    assert "phase: str = 'migrate'" in text_


def test_a_service_may_not_write_where_packages_are_installed(tmp_path):
    service = Service(tmp_path / "site-packages" / "svc")

    with pytest.raises(MigrationError, match="where packages are installed"):
        write_revision(service.chain, "first")

    assert list((service.folder / "versions").iterdir()) == []


def test_a_revision_after_several_heads_is_refused(orders):
    orders.add("svc_0002a", "pass", parent="svc_0001")
    orders.add("svc_0002b", "pass", parent="svc_0001")

    with pytest.raises(MigrationError, match="2 heads"):
        write_revision(orders.chain, "next")


def test_a_change_of_an_applied_revision_is_noticed(database_url, orders):
    migrations = Migrations(database_url, orders.chain)
    migrations.upgrade()
    path = orders.folder / "versions" / "svc_0001.py"

    path.write_text(path.read_text() + "\n\n# a comment is no change\n")
    assert migrations.check().edited == ()
    path.write_text(path.read_text().replace("sa.String(100)", "sa.String(101)"))

    assert migrations.check().edited == ("svc_0001",)


def test_a_database_ahead_of_the_files_is_noticed(database_url, orders, engine_for):
    migrations = Migrations(database_url, orders.chain)
    migrations.upgrade()
    with engine_for(database_url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'svc_0007'"))

    assert migrations.check().unknown == ("svc_0007",)


def test_the_ini_of_a_service_is_read_from_any_folder(tmp_path, sqlite_url, monkeypatch):
    service = Service(tmp_path / "svc" / "alembic")
    service.add("svc_0001", "pass")
    (tmp_path / "svc" / "alembic.ini").write_text("[alembic]\nscript_location = alembic\n")
    monkeypatch.chdir(tmp_path)

    for given in (tmp_path / "svc", tmp_path / "svc" / "alembic.ini", tmp_path / "svc" / "alembic"):
        chain = MigrationChain.service(given)
        assert chain.ini == tmp_path / "svc" / "alembic.ini"
        assert chain.folder == tmp_path / "svc" / "alembic"
    assert len(Migrations(sqlite_url, chain).upgrade()) == 1


def test_an_ini_that_points_nowhere_is_told(tmp_path):
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = gone\n")

    with pytest.raises(MigrationError, match="script_location is 'gone'"):
        MigrationChain.service(tmp_path)
