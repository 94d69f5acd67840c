"""Tables of a room in a schema of their own of the worker's database: faster than a database for each test."""

from sqlalchemy import text

from shared.database import Base, Database, DatabaseOptions

#: Long waits: a loaded machine is slow and not wrong.
PATIENT = DatabaseOptions(
    pool_size=10, pool_timeout=100, busy_timeout=60, connect_timeout=60, slow_query_seconds=60
)


def emptied(url, schema, tables):
    """Return the URL of *schema* on PostgreSQL, with *tables* and nothing in them."""
    with Database(url, options=PATIENT) as database, database.transaction() as session:
        session.execute(text(f"create schema if not exists {schema}"))
        session.execute(text(f"set local search_path to {schema}"))
        Base.metadata.create_all(session.connection(), tables=tables)
        session.execute(text(f"truncate {', '.join(table.name for table in tables)}"))
    return f"{url}{'&' if '?' in url else '?'}schema={schema}"


def made(path, tables):
    """Return the URL of a new SQLite file with *tables*."""
    url = f"sqlite:///{path}"
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables=tables)
    return url
