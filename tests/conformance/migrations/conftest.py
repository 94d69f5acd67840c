"""Services with revisions of their own, and databases of both kinds."""

import pytest
from sqlalchemy import create_engine

from shared.database.migrations import Migrations
from tests.conformance.migrations._service import Service

ORDERS = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.String(100)))"


@pytest.fixture
def service(tmp_path):
    """A service without revisions."""
    return Service(tmp_path / "svc_migrations")


@pytest.fixture
def orders(service):
    """A service whose first revision makes the table ``orders``."""
    service.add("svc_0001", ORDERS, "op.drop_table('orders')")
    return service


@pytest.fixture
def sqlite_url(tmp_path):
    """A file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'live.db'}"


@pytest.fixture
def postgres_url(shared_postgres_database):
    """An empty database on the run's PostgreSQL."""
    return str(shared_postgres_database())


@pytest.fixture
def database_url(shared_engine, request):
    """An empty database of each engine in turn."""
    return request.getfixturevalue("postgres_url" if shared_engine == "postgres" else "sqlite_url")


@pytest.fixture
def engine_for():
    """A function that makes plain engines, disposed at the end."""
    made = []

    def make(url, **options):
        plain = url.replace("postgresql://", "postgresql+psycopg://")
        made.append(create_engine(plain, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def migrated(postgres_url, orders):
    """A PostgreSQL with the orders of the service in it."""
    Migrations(postgres_url, orders.chain).upgrade()
    return postgres_url
