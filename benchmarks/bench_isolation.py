"""What it costs a test to begin with the same twenty tables as every other, and leave nothing."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks._database import METRICS, Watch, database_url, partly_timed, plain_engine
from benchmarks._model import Case, Run, Table

TABLE_COUNT = 20


def schema() -> Any:
    """Return twenty tables with keys, indexes and references."""
    from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

    metadata = MetaData()
    for number in range(TABLE_COUNT):
        reference = [Column("parent_id", ForeignKey(f"t{number - 1}.id"), index=True)] if number else []
        Table(
            f"t{number}",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("name", String(50), unique=True),
            *reference,
        )
    return metadata


def write(connection: Any, metadata: Any) -> None:
    """Insert the three rows of a test."""
    for number in range(3):
        connection.execute(metadata.tables[f"t{number}"].insert(), {"name": "row"})


def _timed(begin: Callable[[], contextlib.AbstractContextManager[Callable[[], None]]], system: str) -> Run:
    """Time everything around a test, and the three inserts of it."""

    def once(watch: Watch) -> None:
        with watch, begin() as work:
            work()

    once(Watch(system))
    return partly_timed(once, system)


@contextlib.contextmanager
def ours(system: str, method: str) -> Iterator[Run]:
    """The fixtures' own ways."""
    from shared.runtime import Events
    from shared.testing._databases import PostgresTemplates, SqliteTemplates

    metadata = schema()
    with contextlib.ExitStack() as stack:
        templates: Any
        if system == "sqlite":
            templates = SqliteTemplates(metadata, lambda _db: None)
        else:
            from shared.config import ConnectionUrl

            url = ConnectionUrl(stack.enter_context(database_url(system)))
            templates = PostgresTemplates(url, metadata, lambda _db: None)
        stack.enter_context(contextlib.closing(templates))

        @contextlib.contextmanager
        def begin() -> Iterator[Any]:
            with getattr(templates, method)(Events()) as db:

                def work() -> None:
                    with db.transaction() as session:
                        write(session.connection(), metadata)

                yield work

        yield _timed(begin, system)


@contextlib.contextmanager
def savepoint(system: str) -> Iterator[Run]:
    """SQLAlchemy's recipe by hand, on one engine for all tests."""
    from sqlalchemy.orm import Session

    metadata = schema()
    with database_url(system) as url, plain_engine(url) as engine:
        metadata.create_all(engine)

        @contextlib.contextmanager
        def begin() -> Iterator[Any]:
            with engine.connect() as connection, connection.begin() as outer:

                def work() -> None:
                    with Session(connection, join_transaction_mode="create_savepoint") as session:
                        write(session.connection(), metadata)
                        session.commit()

                yield work
                outer.rollback()

        yield _timed(begin, system)


@contextlib.contextmanager
def emptied(system: str, how: str) -> Iterator[Run]:
    """Commit, and empty the tables afterwards."""
    from sqlalchemy import text

    metadata = schema()
    with database_url(system) as url, plain_engine(url) as engine:
        metadata.create_all(engine)
        names = [table.name for table in reversed(metadata.sorted_tables)]
        truncate = [text(f"truncate {', '.join(names)} cascade")]
        delete = [text(f"delete from {name}") for name in names]

        @contextlib.contextmanager
        def begin() -> Iterator[Any]:
            def work() -> None:
                with engine.begin() as connection:
                    write(connection, metadata)

            yield work
            with engine.begin() as connection:
                for statement in truncate if how == "truncate" else delete:
                    connection.execute(statement)

        yield _timed(begin, system)


@contextlib.contextmanager
def created(system: str) -> Iterator[Run]:
    """Make the tables for the test and drop them."""
    metadata = schema()
    with database_url(system) as url, plain_engine(url) as engine:

        @contextlib.contextmanager
        def begin() -> Iterator[Any]:
            metadata.create_all(engine)

            def work() -> None:
                with engine.begin() as connection:
                    write(connection, metadata)

            yield work
            metadata.drop_all(engine)

        yield _timed(begin, system)


def _table(system: str, name: str, title: str, cases: tuple[Case, ...]) -> Table:
    return Table(
        name=name,
        title=f"a test's clean database of {TABLE_COUNT} tables, with three inserts, {title}",
        base="create and drop the tables",
        metrics=METRICS[system],
        unit="ms",
        rounds=(20, 3),
        cases=(
            Case("create and drop the tables", partial(created, system), kind="floor"),
            Case("DELETE in reverse order", partial(emptied, system, "delete"), kind="floor"),
            *cases,
        ),
    )


SQLITE = _table(
    "sqlite",
    "isolation",
    "SQLite",
    (Case("ours, shared_db", partial(ours, "sqlite", "copy"), kind="ours"),),
)
POSTGRES = _table(
    "postgresql",
    "isolation-pg",
    "PostgreSQL",
    (
        Case(
            "TRUNCATE CASCADE",
            partial(emptied, "postgresql", "truncate"),
            kind="floor",
            requires=("psycopg",),
        ),
        Case(
            "outer transaction by hand", partial(savepoint, "postgresql"), kind="floor", requires=("psycopg",)
        ),
        Case("ours, shared_db", partial(ours, "postgresql", "taken_back"), kind="ours"),
        Case("ours, shared_db_committed", partial(ours, "postgresql", "copy"), kind="ours"),
    ),
)

TABLES = (SQLITE, POSTGRES)
