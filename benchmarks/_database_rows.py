"""Ways to get a row, add one, read a page and insert ten thousand: the driver, SQLAlchemy, ours, a peer."""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks._database import (
    ROWS,
    Watch,
    filled,
    loop_timed,
    partly_timed,
    plain_engine,
    plain_url,
    raw_connection,
    timed,
    tuned,
    values,
)
from benchmarks._model import Run
from benchmarks._tools import check

MANY = 10_000
PAGE = 50
Operation = Callable[[], Any]


@contextlib.contextmanager
def ours(url: str) -> Iterator[Any]:
    from shared.database import Database

    with Database(url) as db:
        yield db


def keys() -> Callable[[], int]:
    """Return a function that gives the next key, round and round."""
    return partial(next, itertools.cycle(range(1, ROWS + 1)))


def mark(system: str) -> str:
    """Return the placeholder of the driver."""
    return "?" if system == "sqlite" else "%s"


@contextlib.contextmanager
def measured(system: str, make: Callable[..., contextlib.AbstractContextManager[Operation]]) -> Iterator[Run]:
    """Build the operation over a filled database and time it."""
    with filled(system) as (url, model), make(system, url, model) as operation:
        operation()
        yield timed(operation, system)


# --- a row by its key -------------------------------------------------------------------


@contextlib.contextmanager
def get_raw(system: str, url: str, _model: Any) -> Iterator[Operation]:
    statement = f"select id, name, pieces from articles where id = {mark(system)}"
    with raw_connection(url) as raw:
        key = keys()
        check(raw.execute(statement, (7,)).fetchone()[0] == 7, "another row")
        yield lambda: raw.execute(statement, (key(),)).fetchone()


@contextlib.contextmanager
def get_core(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy import bindparam, select

    statement = select(model.__table__).where(model.__table__.c.id == bindparam("key"))
    with plain_engine(url) as engine, engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        key = keys()
        yield lambda: connection.execute(statement, {"key": key()}).one()


@contextlib.contextmanager
def get_orm(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy.orm import Session

    with plain_engine(url) as engine:
        key = keys()

        def get() -> Any:
            with Session(engine) as session:
                return session.get(model, key()).name

        yield get


@contextlib.contextmanager
def get_orm_open(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy.orm import Session

    with plain_engine(url) as engine, Session(engine) as session:
        key = keys()
        yield lambda: session.get(model, key()).name


@contextlib.contextmanager
def get_ours(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from shared.database import Repository

    with ours(url) as db:
        articles, key = Repository(model), keys()

        def get() -> Any:
            with db.read() as session:
                return articles.get(session, key()).name

        yield get


@contextlib.contextmanager
def get_ours_open(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from shared.database import Repository

    with ours(url) as db, db.session() as session:
        articles, key = Repository(model), keys()
        yield lambda: articles.get(session, key()).name


@contextlib.contextmanager
def rows_ours(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from shared.database import Repository

    with ours(url) as db, db.read() as session:
        articles, key = Repository(model), keys()
        yield lambda: articles.rows(session, ("id", "name", "pieces"), where={"id": key()})[0]


def _peer_repository(model: Any) -> Any:
    from advanced_alchemy.repository import SQLAlchemySyncRepository

    return type("Articles", (SQLAlchemySyncRepository,), {"model_type": model})


@contextlib.contextmanager
def get_peer(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy.orm import Session

    repository = _peer_repository(model)
    with plain_engine(url) as engine:
        key = keys()

        def get() -> Any:
            with Session(engine) as session:
                return repository(session=session).get(key()).name

        yield get


# --- a new row --------------------------------------------------------------------------


@contextlib.contextmanager
def add_raw(system: str, url: str, _model: Any) -> Iterator[Operation]:
    statement = f"insert into articles (name, pieces) values ({mark(system)}, {mark(system)}) returning id"
    with raw_connection(url) as raw:
        yield lambda: raw.execute(statement, ("new", 1)).fetchone()


@contextlib.contextmanager
def add_core(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy import insert

    statement = insert(model.__table__)
    with plain_engine(url) as engine:

        def add() -> Any:
            with engine.begin() as connection:
                return connection.execute(statement, {"name": "new", "pieces": 1}).inserted_primary_key

        yield add


@contextlib.contextmanager
def add_orm(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy.orm import Session

    with plain_engine(url) as engine:

        def add() -> Any:
            with Session(engine, expire_on_commit=False) as session:
                article = model(name="new", pieces=1)
                session.add(article)
                session.commit()
                return article.id

        yield add


@contextlib.contextmanager
def add_ours(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from shared.database import Repository

    with ours(url) as db:
        articles = Repository(model)

        def add() -> Any:
            with db.transaction() as session:
                return articles.add(session, model(name="new", pieces=1)).id

        yield add


@contextlib.contextmanager
def add_peer(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy.orm import Session

    repository = _peer_repository(model)
    with plain_engine(url) as engine:

        def add() -> Any:
            with Session(engine, expire_on_commit=False) as session:
                return repository(session=session, auto_commit=True).add(model(name="new", pieces=1)).id

        yield add


# --- a page of fifty and how many there are ---------------------------------------------


@contextlib.contextmanager
def page_raw(_system: str, url: str, _model: Any) -> Iterator[Operation]:
    page = f"select id, name, pieces from articles order by id limit {PAGE} offset 100"
    with raw_connection(url) as raw:
        yield lambda: (
            raw.execute(page).fetchall(),
            raw.execute("select count(*) from articles").fetchone(),
        )


@contextlib.contextmanager
def page_orm(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from sqlalchemy import func, select
    from sqlalchemy.orm import Session

    with plain_engine(url) as engine:

        def page() -> Any:
            with Session(engine) as session:
                rows = session.scalars(select(model).order_by(model.id).limit(PAGE).offset(100)).all()
                return rows, session.scalar(select(func.count()).select_from(model))

        check(len(page()[0]) == PAGE and page()[1] == ROWS, "another page")
        yield page


@contextlib.contextmanager
def page_ours(_system: str, url: str, model: Any, *, keyset: bool = False) -> Iterator[Operation]:
    from shared.database import Repository

    with ours(url) as db:
        articles = Repository(model)
        with db.read() as session:
            first = articles.keyset(session, size=100).next_cursor
            check(articles.page(session, 3, size=PAGE).total == ROWS, "another page")

        def page() -> Any:
            with db.read() as session:
                if keyset:
                    return articles.keyset(session, after=first, size=PAGE)
                return articles.page(session, 3, size=PAGE)

        yield page


@contextlib.contextmanager
def page_peer(_system: str, url: str, model: Any) -> Iterator[Operation]:
    from advanced_alchemy.filters import LimitOffset, OrderBy
    from sqlalchemy.orm import Session

    repository = _peer_repository(model)
    with plain_engine(url) as engine:

        def page() -> Any:
            with Session(engine) as session:
                return repository(session=session).list_and_count(
                    LimitOffset(PAGE, 100), OrderBy("id", "asc")
                )

        check(len(page()[0]) == PAGE and page()[1] == ROWS, "another page")
        yield page


# --- ten thousand rows ------------------------------------------------------------------


@contextlib.contextmanager
def bulk(system: str, make: Callable[..., contextlib.AbstractContextManager[Any]]) -> Iterator[Run]:
    """Time the insert alone; every time the table is as it was."""
    rows = [values(n) for n in range(MANY)]
    with filled(system) as (url, model), make(system, url, model) as (begin, insert):

        def once(watch: Watch) -> None:
            with begin() as session:
                with watch:
                    insert(session, rows)
                session.rollback()

        once(Watch(system))
        yield partly_timed(once, system)


@contextlib.contextmanager
def bulk_raw(system: str, url: str, _model: Any) -> Iterator[Any]:
    statement = f"insert into articles (name, pieces) values ({mark(system)}, {mark(system)})"
    with raw_connection(url) as raw:

        @contextlib.contextmanager
        def begin() -> Iterator[Any]:
            raw.execute("begin")
            yield raw

        def insert(connection: Any, rows: Any) -> None:
            cursor = connection.cursor()
            cursor.executemany(statement, [(row["name"], row["pieces"]) for row in rows])
            cursor.close()

        yield begin, insert


@contextlib.contextmanager
def bulk_core(_system: str, url: str, model: Any) -> Iterator[Any]:
    from sqlalchemy import insert

    statement = insert(model.__table__)
    with plain_engine(url) as engine:
        yield engine.connect, lambda connection, rows: connection.execute(statement, rows)


@contextlib.contextmanager
def bulk_orm(_system: str, url: str, model: Any, *, add_all: bool = False) -> Iterator[Any]:
    from sqlalchemy import insert
    from sqlalchemy.orm import Session

    def put(session: Any, rows: Any) -> None:
        if add_all:
            session.add_all([model(**row) for row in rows])
            session.flush()
        else:
            session.execute(insert(model), rows)

    with plain_engine(url) as engine:
        yield partial(Session, engine), put


@contextlib.contextmanager
def bulk_ours(_system: str, url: str, model: Any, *, method: str) -> Iterator[Any]:
    from shared.database import Repository

    with ours(url) as db:
        yield db.session, getattr(Repository(model), method)


@contextlib.contextmanager
def bulk_peer(_system: str, url: str, model: Any) -> Iterator[Any]:
    from sqlalchemy.orm import Session

    repository = _peer_repository(model)
    with plain_engine(url) as engine:
        yield (
            partial(Session, engine),
            lambda session, rows: repository(session=session).add_many([model(**row) for row in rows]),
        )


# --- in coroutines ----------------------------------------------------------------------


@contextlib.contextmanager
def awaited(system: str, make: Callable[..., Any]) -> Iterator[Run]:
    """Run the coroutine function that *make* builds in a loop of its own."""
    loop = asyncio.new_event_loop()
    with filled(system) as (url, model):
        stack = contextlib.AsyncExitStack()
        try:
            operation = loop.run_until_complete(make(stack, url, model))
            loop.run_until_complete(operation())
            yield loop_timed(operation, loop, system)
        finally:
            loop.run_until_complete(stack.aclose())
            loop.close()


async def aget_orm(stack: contextlib.AsyncExitStack, url: str, model: Any) -> Any:
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(plain_url(url, "aiosqlite"))
    tuned(engine.sync_engine)
    stack.push_async_callback(engine.dispose)
    session = await stack.enter_async_context(AsyncSession(engine))
    key = keys()

    async def get() -> Any:
        return await session.get(model, key())

    return get


async def aget_ours(stack: contextlib.AsyncExitStack, url: str, model: Any) -> Any:
    from shared.database import Database, Repository

    db = await stack.enter_async_context(Database(url))
    session = await stack.enter_async_context(db.aio.session())
    articles, key = Repository(model).aio, keys()

    async def get() -> Any:
        return await articles.get(session, key())

    return get


async def aget_peer(stack: contextlib.AsyncExitStack, url: str, model: Any) -> Any:
    from advanced_alchemy.repository import SQLAlchemyAsyncRepository
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(plain_url(url, "aiosqlite"))
    tuned(engine.sync_engine)
    stack.push_async_callback(engine.dispose)
    session = await stack.enter_async_context(AsyncSession(engine))
    repository = type("Articles", (SQLAlchemyAsyncRepository,), {"model_type": model})(session=session)
    key = keys()

    async def get() -> Any:
        return await repository.get(key())

    return get
