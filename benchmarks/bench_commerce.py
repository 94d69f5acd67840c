"""A reservation and a transfer of money, beside the same statements by hand and what is usually written."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from benchmarks._database import METRICS, database_url, plain_engine, timed
from benchmarks._model import Case, Goal, Run, Table

SYSTEMS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
SUFFIX = {"sqlite": "", "postgresql": "-pg"}
NEEDED = {"sqlite": ("sqlalchemy",), "postgresql": ("sqlalchemy", "psycopg")}
Operation = Callable[[], Any]


@contextlib.contextmanager
def shop(system: str) -> Iterator[tuple[Any, str]]:
    """Yield a database of ours with plenty of stock and money, and its URL."""
    from shared.commerce import BalanceDAO, Inventory
    from shared.database import Base, Database, tables_of

    with database_url(system) as url, Database(url) as db:
        Base.metadata.create_all(db.engine, tables=tables_of("commerce", "database"))
        for _ in range(100):
            Inventory(db).add_stock({"ticket": 1_000_000})
        for user in ("ada", "bob"):
            BalanceDAO(db).deposit(user, 1_000_000, "EUR")
        yield db, url


@contextlib.contextmanager
def measured(system: str, make: Callable[..., contextlib.AbstractContextManager[Operation]]) -> Iterator[Run]:
    """Build the operation over a shop and time it."""
    with shop(system) as (db, url), make(db, url) as operation:
        operation()
        yield timed(operation, system)


# --- a reservation ----------------------------------------------------------------------


@contextlib.contextmanager
def reserve_core(_db: Any, url: str) -> Iterator[Operation]:
    """The two statements by hand: nothing is checked, nothing is told."""
    from sqlalchemy import bindparam, insert, update

    from shared.commerce import InventoryItem, InventoryReservation

    item, reservation = InventoryItem.__table__, InventoryReservation.__table__
    take = update(item).where(
        item.c.variant_id == bindparam("v"), item.c.on_hand - item.c.reserved >= bindparam("q")
    )
    take = take.values(reserved=item.c.reserved + bindparam("q"), version=item.c.version + 1)
    take, keep = take.returning(item.c.id), insert(reservation)
    with plain_engine(url) as engine:

        def reserve() -> Any:
            with engine.begin() as connection:
                found = connection.execute(take, {"v": "ticket", "q": 1}).scalar_one()
                ends = datetime.now(UTC) + timedelta(seconds=900)
                row = {"item_id": found, "variant_id": "ticket", "quantity": 1, "expires_at": ends}
                connection.execute(keep, {**row, "id": uuid.uuid4(), "state": "active"})

        yield reserve


@contextlib.contextmanager
def reserve_locked(_db: Any, url: str) -> Iterator[Operation]:
    """What is usually written: SELECT … FOR UPDATE, look, change, add. On SQLite that oversells."""
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    from shared.commerce import InventoryItem, InventoryReservation

    find = select(InventoryItem).where(InventoryItem.variant_id == "ticket").with_for_update()
    with plain_engine(url) as engine:

        def reserve() -> Any:
            with Session(engine, expire_on_commit=False) as session:
                item = session.scalars(find).one()
                if item.on_hand - item.reserved < 1:
                    raise RuntimeError
                item.reserved += 1
                ends = datetime.now(UTC) + timedelta(seconds=900)
                row = InventoryReservation(item_id=item.id, variant_id="ticket", quantity=1, expires_at=ends)
                session.add(row)
                session.commit()

        yield reserve


@contextlib.contextmanager
def reserve_ours(db: Any, _url: str) -> Iterator[Operation]:
    from shared.commerce import Inventory

    stock = Inventory(db)
    yield lambda: stock.reserve("ticket", 1)


def _reserve(system: str) -> Table:
    case = partial(_case, system)
    return Table(
        name=f"stock-reserve{SUFFIX[system]}",
        title=f"a piece reserved and committed, {SYSTEMS[system]}",
        base="SQLAlchemy Core by hand",
        metrics=METRICS[system],
        cases=(
            case("SQLAlchemy Core by hand", "floor", reserve_core),
            case("ORM, SELECT … FOR UPDATE", "floor", reserve_locked),
            case("ours, Inventory.reserve", "ours", reserve_ours),
        ),
        goals=(Goal("ours, Inventory.reserve", "ORM, SELECT … FOR UPDATE", at_most=1.0),),
    )


# --- a transfer -------------------------------------------------------------------------


@contextlib.contextmanager
def transfer_core(_db: Any, url: str) -> Iterator[Operation]:
    """A head, two conditional changes and two entries by hand: nothing is checked."""
    from sqlalchemy import bindparam, insert, update

    from shared.commerce import AssetTransaction, Balance, BalanceEntry

    balance = Balance.__table__
    after = balance.c.amount + bindparam("d", type_=balance.c.amount.type)
    move = update(balance).where(balance.c.user_id == bindparam("u"), after >= 0)
    move = move.values(amount=after, version=balance.c.version + 1)
    move = move.returning(balance.c.id, balance.c.amount)
    head, entries = insert(AssetTransaction.__table__), insert(BalanceEntry.__table__)
    with plain_engine(url) as engine:

        def transfer() -> Any:
            key = uuid.uuid4()
            with engine.begin() as connection:
                row = {"id": key, "reference": str(key), "kind": "transfer", "fingerprint": ""}
                connection.execute(head, row)
                made = []
                for user, amount in (("ada", Decimal("-0.0001")), ("bob", Decimal("0.0001"))):
                    found = connection.execute(move, {"u": user, "d": amount}).one()
                    line = {"transaction_id": key, "user_id": user, "currency": "EUR", "amount": amount}
                    ids = {"id": uuid.uuid4(), "balance_id": found.id, "amount_after": found.amount}
                    made.append({**line, **ids})
                connection.execute(entries, made)

        yield transfer


@contextlib.contextmanager
def transfer_ours(db: Any, _url: str) -> Iterator[Operation]:
    from shared.commerce import BalanceDAO

    balances = BalanceDAO(db)
    yield lambda: balances.transfer("ada", "bob", Decimal("0.0001"), "EUR")


def _transfer(system: str) -> Table:
    case = partial(_case, system)
    return Table(
        name=f"money-transfer{SUFFIX[system]}",
        title=f"money moved in double entry and committed, {SYSTEMS[system]}",
        base="SQLAlchemy Core by hand",
        metrics=METRICS[system],
        cases=(
            case("SQLAlchemy Core by hand", "floor", transfer_core),
            case("ours, BalanceDAO.transfer", "ours", transfer_ours),
        ),
    )


def _case(system: str, name: str, kind: str, make: Any) -> Case:
    return Case(name, partial(measured, system, make), kind=kind, requires=NEEDED[system])


TABLES = tuple(make(system) for make in (_reserve, _transfer) for system in SYSTEMS)
