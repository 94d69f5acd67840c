"""What the rows about databases share: a table, engines, a server, and ways to time them."""

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks._model import Run

ROWS = 1000


def article_model() -> Any:
    """Return a mapped class that owes nothing to anybody's base."""
    from sqlalchemy import String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Article(Base):
        __tablename__ = "articles"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(100))
        pieces: Mapped[int]

    # The names in the annotations are looked up when the class is made.
    return Article


def values(number: int) -> dict[str, Any]:
    """Return a row."""
    return {"name": f"article {number}", "pieces": number % 7}


@contextlib.contextmanager
def database_url(system: str) -> Iterator[str]:
    """Yield the URL of an empty database: a file, or one on a PostgreSQL of the row's own."""
    if system == "sqlite":
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            yield f"sqlite:///{Path(folder) / 'bench.db'}"
        return
    from shared.testing import PostgresServer

    with PostgresServer() as server:
        yield str(server.create_database())


@contextlib.contextmanager
def filled(system: str) -> Iterator[tuple[str, Any]]:
    """Yield URL and model of a database with :data:`ROWS` articles."""
    from sqlalchemy import insert

    model = article_model()
    with database_url(system) as url, plain_engine(url) as engine:
        with engine.begin() as connection:
            model.metadata.create_all(connection)
            connection.execute(insert(model.__table__), [values(n) for n in range(ROWS)])
            if system == "postgresql":
                connection.exec_driver_sql("analyze articles")
        yield url, model


def plain_url(url: str, driver: str | None = None) -> str:
    """Return *url* with the driver that SQLAlchemy is to use."""
    scheme, _, rest = url.partition("://")
    drivers = {"sqlite": driver or "pysqlite", "postgresql": "psycopg"}
    return f"{scheme}+{drivers[scheme]}://{rest}"


def tuned(engine: Any) -> Any:
    """Give SQLite the pragmas that ours has, so that the disk is not what is compared."""
    from sqlalchemy import event

    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

    return engine


@contextlib.contextmanager
def plain_engine(url: str) -> Iterator[Any]:
    """Yield SQLAlchemy's engine as it comes."""
    from sqlalchemy import create_engine

    engine = tuned(create_engine(plain_url(url)))
    try:
        yield engine
    finally:
        engine.dispose()


@contextlib.contextmanager
def raw_connection(url: str) -> Iterator[Any]:
    """Yield a connection of the driver itself, each statement its own transaction."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as raw:
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute("PRAGMA synchronous = NORMAL")
            yield raw
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


#: What is measured. SQLite works in this process: its CPU time, in all threads. A server
#: works elsewhere: the wall clock, and beside it what the client computes.
METRICS = {"sqlite": ("CPU",), "postgresql": ("wall", "CPU")}


class Watch:
    """Adds up what :data:`METRICS` says, of the parts it is asked to watch."""

    def __init__(self, system: str) -> None:
        self._clocks: list[Callable[[], float]] = [time.process_time]
        if system == "postgresql":
            self._clocks.insert(0, time.perf_counter)
        self._spent = [0.0] * len(self._clocks)
        self._begun: list[float] = []

    def __enter__(self) -> None:
        self._begun = [clock() for clock in self._clocks]

    def __exit__(self, *_exc: object) -> None:
        for place, clock in enumerate(self._clocks):
            self._spent[place] += clock() - self._begun[place]

    def result(self, loops: int) -> tuple[float, ...]:
        """Return the cost of one operation."""
        # A clock may stand still for an operation as short as its tick.
        return tuple(max(spent, 1e-9) / loops for spent in self._spent)


def timed(operation: Callable[[], Any], system: str) -> Run:
    """Return ``run(loops)`` for an operation."""

    def run(loops: int) -> tuple[float, ...]:
        watch = Watch(system)
        with watch:
            for _ in range(loops):
                operation()
        return watch.result(loops)

    return run


def partly_timed(operation: Callable[[Watch], Any], system: str) -> Run:
    """Return ``run(loops)`` for an operation that says itself which part of it counts."""

    def run(loops: int) -> tuple[float, ...]:
        watch = Watch(system)
        for _ in range(loops):
            operation(watch)
        return watch.result(loops)

    return run


def loop_timed(operation: Callable[[], Awaitable[Any]], loop: asyncio.AbstractEventLoop, system: str) -> Run:
    """Return ``run(loops)`` for a coroutine function."""

    async def many(loops: int) -> tuple[float, ...]:
        watch = Watch(system)
        with watch:
            for _ in range(loops):
                await operation()
        return watch.result(loops)

    return lambda loops: loop.run_until_complete(many(loops))
