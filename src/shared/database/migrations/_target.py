"""From what a caller has, a URL, an engine or a connection, to a connection that may migrate."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool, StaticPool

from shared.database import _postgres, _sqlite
from shared.database._database import Database
from shared.database._faults import translate
from shared.database._options import DatabaseOptions
from shared.database._url import Target, parse_url
from shared.errors import InvalidArgumentError, SharedError
from shared.security import mask_text

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = [
    "MigrationTarget",
    "migration_engine",
    "reason_of",
    "run_on",
    "schema_in",
    "separate_engine",
    "system_of",
    "translating",
]

#: What can be migrated.
MigrationTarget = str | URL | Engine | Connection | AsyncEngine | Database

_T = TypeVar("_T")
_ASYNC_DRIVERS = frozenset({"asyncpg", "psycopg_async", "psycopg2"})


def migration_engine(url: str | URL, *, schema: str | None = None) -> Engine:
    """Return an engine for migrations: synchronous, without a pool, without time limits of its own.

    Args:
        url: As for :class:`Database`; a driver in it is replaced: ``asyncpg`` cannot build
            an index concurrently without hanging, and migrations are not in a hurry.
        schema: PostgreSQL schema to work in; goes before that of the URL.

    Raises:
        ConfigurationError: The URL is malformed or of an unknown scheme.
    """
    options = DatabaseOptions(
        application_name="shared-migrations", idle_in_transaction_timeout=None, busy_timeout=60.0
    )
    target = parse_url(_plain(url), options)
    if target.system == "sqlite":
        return _sqlite_engine(target)
    return _postgres_engine(target, schema or target.schema)


def _plain(url: str | URL) -> str:
    """Return *url* in the form :class:`Database` reads, without an asynchronous driver."""
    text = url.render_as_string(hide_password=False) if isinstance(url, URL) else str(url)
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        return text
    scheme, _, driver = parsed.drivername.partition("+")
    if driver not in _ASYNC_DRIVERS:
        return text
    query = dict(parsed.query)
    if "ssl" in query:  # asyncpg's word for it
        query["sslmode"] = query.pop("ssl")
    return parsed.set(drivername=scheme, query=query).render_as_string(hide_password=False)


def _sqlite_engine(target: Target) -> Engine:
    arguments = _sqlite.connect_arguments(target.url, busy_timeout=target.options.busy_timeout)
    pool = StaticPool if target.in_memory else NullPool
    engine = create_engine(
        target.url.set(drivername="sqlite+pysqlite"), poolclass=pool, connect_args=arguments
    )

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    # Without this pysqlite runs DDL outside of transactions, and half a revision stays.
    event.listen(engine, "begin", begin)
    return engine


def _postgres_engine(target: Target, schema: str | None) -> Engine:
    from dataclasses import replace

    pooled = target.options.pooler
    url = target.url.set(drivername="postgresql+psycopg")
    arguments = _postgres.connect_arguments(replace(target, schema=schema), read_only=False)
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    if schema is not None:
        plain = replace(target, schema=None)
        _ensure_schema(url, _postgres.connect_arguments(plain, read_only=False), schema)
        if pooled:  # no start-up parameters there

            def connect(connection: Any, _record: Any) -> None:
                with connection.cursor() as cursor:
                    cursor.execute(f'SET search_path TO "{schema}"')
                connection.commit()

            event.listen(engine, "connect", connect, insert=True)
    return engine


def _ensure_schema(url: URL, arguments: dict[str, Any], schema: str) -> None:
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    with translating(engine), engine.begin() as connection:
        known = connection.exec_driver_sql(
            "SELECT 1 FROM pg_namespace WHERE nspname = %(name)s", {"name": schema}
        ).scalar()
        if known is None:
            connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')


def separate_engine(engine: Engine) -> Engine:
    """Return an engine to the same place that opens connections beside the pool of *engine*."""
    if isinstance(engine.pool, StaticPool):
        return engine
    # As Pool.recreate() does, of another class: what the pool's listeners set up is set up here.
    creator = engine.pool._creator  # noqa: SLF001 - no public name
    pool = NullPool(creator, _dispatch=engine.pool.dispatch, dialect=engine.dialect)
    return Engine(pool, engine.dialect, engine.url)


@contextmanager
def translating(engine: Engine) -> Iterator[None]:
    """Let only errors of ours out; the address in them has no password."""
    try:
        yield
    except SharedError:
        raise
    except Exception as exc:
        ours = translate(exc, where=engine.url.render_as_string(hide_password=True))
        if ours is None:
            raise
        raise ours from exc


def system_of(target: MigrationTarget) -> str:
    """Return ``postgresql``, ``sqlite`` and so on, without connecting."""
    if isinstance(target, Database):
        return target.system
    if isinstance(target, (Engine, Connection, AsyncEngine)):
        return str(target.dialect.name)
    scheme = str(target).partition(":")[0].partition("+")[0].lower()
    return {"postgres": "postgresql", "memory": "sqlite"}.get(scheme, scheme)


def schema_in(target: MigrationTarget) -> str | None:
    """Return the PostgreSQL schema that a URL names."""
    if not isinstance(target, (str, URL)) or system_of(target) != "postgresql":
        return None
    return parse_url(_plain(target), DatabaseOptions()).schema


def reason_of(error: BaseException) -> str:
    """Return why a revision failed, in one line: what the server said, without the values of rows."""
    origin = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None)
    if origin is None and isinstance(error, SharedError):
        return error.message
    text = str(error if origin is None else origin).partition("\n")[0]
    return mask_text(text if origin is not None else f"{type(error).__name__}: {text}")


def run_on(target: MigrationTarget, work: Callable[[Connection], _T], *, schema: str | None = None) -> _T:
    """Call *work* with a connection to *target*; what was opened here is closed.

    An asynchronous engine is driven by an event loop in a thread of its own, so this
    may be called with and without a running loop; a connection is used as it is.

    Raises:
        InvalidArgumentError: *target* is nothing that can be migrated.
    """
    if isinstance(target, Database):
        target = target.engine
    if isinstance(target, Connection):
        return work(target)
    if isinstance(target, AsyncEngine):
        return _in_thread(lambda: _asynchronously(target, work))
    if isinstance(target, Engine):
        with target.connect() as connection:
            return work(connection)
    given: Any = target
    if not isinstance(given, (str, URL)):
        msg = f"migrations need a URL, an engine or a connection, got {type(given).__name__}"
        raise InvalidArgumentError(msg)
    engine = migration_engine(given, schema=schema)
    try:
        with engine.connect() as connection:
            return work(connection)
    finally:
        engine.dispose()


async def _asynchronously(engine: AsyncEngine, work: Callable[[Connection], _T]) -> _T:
    # Connections in the pool belong to the caller's loop; these are opened in ours.
    alone = AsyncEngine(separate_engine(engine.sync_engine))
    async with alone.connect() as connection:
        return await connection.run_sync(work)


def _in_thread(make: "Callable[[], Coroutine[Any, Any, _T]]") -> _T:
    found: list[_T] = []
    failed: list[BaseException] = []

    def target() -> None:
        try:
            with asyncio.Runner() as runner:
                found.append(runner.run(make()))
        except BaseException as exc:  # noqa: BLE001 - raised again where it belongs
            failed.append(exc)

    thread = threading.Thread(target=target, name="shared-migrations")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
