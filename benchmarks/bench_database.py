"""A row by its key, a new row, a page, ten thousand rows, coroutines and listeners."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks import _database_rows as rows
from benchmarks._database import METRICS, filled, plain_engine, timed
from benchmarks._database_rows import awaited, bulk, keys, measured
from benchmarks._model import Case, Goal, Run, Table

SYSTEMS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
SUFFIX = {"sqlite": "", "postgresql": "-pg"}
NEEDED = {"sqlite": ("sqlalchemy",), "postgresql": ("sqlalchemy", "psycopg")}
PEER = "advanced-alchemy"
Maker = Callable[..., contextlib.AbstractContextManager[Any]]


def _case(name: str, kind: str, system: str, how: Callable[..., Any], make: Any, **options: Any) -> Case:
    needed = (*NEEDED[system], *(("advanced_alchemy",) if name.startswith(PEER) else ()))
    return Case(name, partial(how, system, make), kind=kind, requires=needed, **options)


def _get(system: str) -> Table:
    case = partial(_case, system=system, how=measured)
    return Table(
        name=f"db-get{SUFFIX[system]}",
        title=f"a row by its key, {SYSTEMS[system]}",
        base="SQLAlchemy ORM",
        metrics=METRICS[system],
        cases=(
            case("the driver", "floor", make=rows.get_raw),
            case("SQLAlchemy Core, one connection", "floor", make=rows.get_core),
            case("SQLAlchemy ORM", "floor", make=rows.get_orm),
            case("SQLAlchemy ORM, open session", "floor", make=rows.get_orm_open),
            case("ours", "ours", make=rows.get_ours),
            case("ours, open session", "ours", make=rows.get_ours_open),
            case("ours, plain rows, open session", "ours", make=rows.rows_ours),
            case(PEER, "peer", make=rows.get_peer),
        ),
        goals=(
            Goal("ours", "SQLAlchemy ORM", at_most=0.75),
            Goal("ours, open session", "SQLAlchemy ORM, open session", at_most=0.75),
        ),
    )


def _add(system: str) -> Table:
    case = partial(_case, system=system, how=measured)
    return Table(
        name=f"db-add{SUFFIX[system]}",
        title=f"a new row and its commit, {SYSTEMS[system]}",
        base="SQLAlchemy ORM",
        metrics=METRICS[system],
        cases=(
            case("the driver", "floor", make=rows.add_raw),
            case("SQLAlchemy Core", "floor", make=rows.add_core),
            case("SQLAlchemy ORM", "floor", make=rows.add_orm),
            case("ours", "ours", make=rows.add_ours),
            case(PEER, "peer", make=rows.add_peer),
        ),
        goals=(Goal("ours", "SQLAlchemy ORM", at_most=1.05),),
    )


def _page(system: str) -> Table:
    case = partial(_case, system=system, how=measured)
    return Table(
        name=f"db-page{SUFFIX[system]}",
        title=f"a page of {rows.PAGE} rows and how many there are, {SYSTEMS[system]}",
        base="SQLAlchemy ORM",
        metrics=METRICS[system],
        cases=(
            case("the driver", "floor", make=rows.page_raw),
            case("SQLAlchemy ORM", "floor", make=rows.page_orm),
            case("ours", "ours", make=rows.page_ours),
            case(
                "ours, after a cursor, without the count", "ours", make=partial(rows.page_ours, keyset=True)
            ),
            case(PEER, "peer", make=rows.page_peer),
        ),
    )


def _bulk(system: str) -> Table:
    case = partial(_case, system=system, how=bulk)
    copied = "ours, COPY" if system == "postgresql" else "ours, copy_from"
    goals = [Goal("ours, bulk_insert", "SQLAlchemy Core", at_most=1.1)]
    if system == "postgresql":
        goals.append(Goal(copied, "the driver, executemany", at_most=0.35))
    return Table(
        name=f"db-bulk{SUFFIX[system]}",
        title=f"{rows.MANY} rows, without the commit, {SYSTEMS[system]}",
        base="the driver, executemany",
        metrics=METRICS[system],
        unit="ms",
        rounds=(15, 3),
        cases=(
            case("the driver, executemany", "floor", make=rows.bulk_raw),
            case("SQLAlchemy Core", "floor", make=rows.bulk_core),
            case("SQLAlchemy ORM, insert(Model)", "floor", make=rows.bulk_orm),
            case("SQLAlchemy ORM, add_all", "floor", make=partial(rows.bulk_orm, add_all=True)),
            case("ours, bulk_insert", "ours", make=partial(rows.bulk_ours, method="bulk_insert")),
            case(copied, "ours", make=partial(rows.bulk_ours, method="copy_from")),
            case(f"{PEER} add_many", "peer", make=rows.bulk_peer),
        ),
        goals=tuple(goals),
    )


def _async(system: str) -> Table:
    case = partial(_case, system=system, how=awaited)
    return Table(
        name=f"db-async{SUFFIX[system]}",
        title=f"a row by its key in a coroutine, open session, {SYSTEMS[system]}",
        base="AsyncSession.get",
        metrics=METRICS[system],
        cases=(
            case("AsyncSession.get", "floor", make=rows.aget_orm),
            case("ours", "ours", make=rows.aget_ours),
            case(PEER, "peer", make=rows.aget_peer),
        ),
        goals=(Goal("ours", "AsyncSession.get", at_most=1.05),),
    )


# --- listeners --------------------------------------------------------------------------


@contextlib.contextmanager
def listened(who: str) -> Iterator[Run]:
    """The same ``Session.get`` over an engine of ours, with more and more listeners."""
    from sqlalchemy.orm import Session

    with filled("sqlite") as (url, model), contextlib.ExitStack() as stack:
        if who == "plain":
            engine: Any = stack.enter_context(plain_engine(url))
        else:
            db = stack.enter_context(rows.ours(url))
            engine = db.engine
            if who == "metrics":
                from shared.database import measure_database
                from shared.monitoring import Metrics

                stack.callback(measure_database(db, Metrics()))
            elif who == "log":
                from shared.database import QueryFinished

                stack.callback(db.events.subscribe(QueryFinished, lambda _event: None))
        session, key = stack.enter_context(Session(engine)), keys()
        yield timed(lambda: session.get(model, key()).name, "sqlite")


LISTENERS = Table(
    name="db-listeners",
    title="SQLAlchemy's Session.get over an engine of ours, SQLite, open session",
    base="SQLAlchemy's engine",
    metrics=METRICS["sqlite"],
    cases=(
        Case("SQLAlchemy's engine", partial(listened, "plain"), kind="floor", requires=("sqlalchemy",)),
        Case("ours, slow statements timed", partial(listened, "nobody"), kind="ours"),
        Case("ours, an empty listener", partial(listened, "log"), kind="ours"),
        Case("ours, metrics", partial(listened, "metrics"), kind="ours"),
    ),
    notes=("all of ours time every statement and would log it when it is slow.",),
)

TABLES = (
    *(make(system) for make in (_get, _add, _page, _bulk, _async) for system in SYSTEMS),
    LISTENERS,
)
