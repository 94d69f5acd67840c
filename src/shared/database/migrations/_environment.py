"""What an ``env.py`` does, for the library's chain and for that of a service."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.engine import Connection

from shared.database.migrations._alembic import is_outside
from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._filters import include_name, include_object, library_filters
from shared.database.migrations._locate import VERSION_TABLE
from shared.database.migrations._lock import migration_lock
from shared.database.migrations._options import MigrationOptions
from shared.database.migrations._render import render_item
from shared.database.migrations._session import prepared
from shared.database.migrations._target import MigrationTarget, run_on, schema_in, system_of
from shared.errors import ConfigurationError

__all__ = ["run_environment"]


def run_environment(
    metadata: MetaData | Iterable[MetaData] | None,
    *,
    version_table: str = "alembic_version",
    **options: Any,
) -> None:
    """Run the revisions Alembic was asked for; the whole ``env.py`` of a service.

    The database is ``config.attributes["connection"]`` (a URL, Connection, Engine or
    AsyncEngine), or else ``sqlalchemy.url`` of the ini, or else ``DATABASE_URL``. Each
    revision has a transaction of its own, SQLite's tables are changed by rebuilding,
    types and defaults are compared, and the library's tables are left to the library.

    Args:
        metadata: The service's tables, for ``--autogenerate``.
        version_table: Where applied revisions are counted.
        options: More for Alembic's ``context.configure``; goes before ours.

    Raises:
        ConfigurationError: No database is named anywhere.
        MigrationError: A revision was refused.

    Example:
        >>> import shared.database.migrations
        >>> env_py = '''
        ... from orders.models import Base
        ... from shared.database.migrations import run_environment
        ...
        ... run_environment(Base.metadata)
        ... '''
        >>> "run_environment" in env_py
        True
    """
    from alembic import context

    arguments: dict[str, Any] = {
        "target_metadata": metadata,
        "version_table": version_table,
        "transaction_per_migration": True,
        "compare_type": True,
        "compare_server_default": True,
        "render_item": render_item,
        **_filters(context, version_table),
        **options,
    }
    given = context.config.attributes.get("connection")
    if context.is_offline_mode():
        _offline(context, given, arguments)
        return
    if isinstance(given, Connection):
        _online(context, given, arguments)
        return
    run_on(_target(context, given), lambda connection: _alone(context, connection, arguments))


def _offline(context: Any, given: Any, arguments: dict[str, Any]) -> None:
    target = _target(context, given)
    schema = context.config.attributes.get("schema") or schema_in(target)
    context.configure(
        dialect_name=system_of(target),
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **arguments,
    )
    with context.begin_transaction():
        if schema is not None:
            context.execute(f'SET search_path TO "{schema}"')
        context.run_migrations()


def _alone(context: Any, connection: Connection, arguments: dict[str, Any]) -> None:
    """Run under our rules when another command, such as ``alembic upgrade``, runs the environment."""
    limits = MigrationOptions()
    with migration_lock(connection, timeout=limits.queue_timeout), prepared(connection, limits):
        _online(context, connection, arguments)


def _online(context: Any, connection: Connection, arguments: dict[str, Any]) -> None:
    if connection.dialect.name == "sqlite":
        arguments = {"render_as_batch": True, **arguments}
        driver: Any = connection.connection.dbapi_connection
        if driver.isolation_level is None:  # begin and commit are SQLAlchemy's alone
            arguments = {"transactional_ddl": True, **arguments}
    context.configure(connection=connection, **arguments)
    with context.begin_transaction():
        context.run_migrations()
    if connection.in_transaction() and not is_outside(context.get_context()):
        connection.commit()


def _target(context: Any, given: Any) -> MigrationTarget:
    if given is not None:
        target: MigrationTarget = given
        return target
    url = context.config.get_main_option("sqlalchemy.url")
    if url and "driver://" not in url:
        return str(url)
    from shared.config import get_settings

    found = get_settings().database.DATABASE_URL
    if found is None:
        msg = "no database is named: set DATABASE_URL, or sqlalchemy.url in alembic.ini"
        raise ConfigurationError(msg)
    return str(found)


def _filters(context: Any, version_table: str) -> dict[str, Any]:
    if version_table != VERSION_TABLE:
        return {"include_name": include_name, "include_object": include_object}
    rooms = context.config.attributes.get("rooms") or MigrationChain.library().rooms
    return dict(library_filters(tuple(rooms)))
