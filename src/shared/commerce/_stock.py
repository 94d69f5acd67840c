"""The rules of the stock, written once as functions of a session.

Rows are locked in one order everywhere: reservations first, then items by variant, so
two callers never wait for each other.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, insert, inspect, select, update
from sqlalchemy.orm import Session

from shared.commerce._tables_stock import InventoryItem, InventoryReservation
from shared.database import Repository, utc_now, uuid7
from shared.errors import (
    InsufficientStockError,
    InvalidStateError,
    InventoryItemNotFoundError,
    ReservationNotFoundError,
    ValidationError,
)

__all__ = ["Stock"]

_OPTIONS: Final = {"synchronize_session": False, "populate_existing": True}
_MAX_ON_HAND: Final = 2_000_000_000  # of a 32-bit column
_Q: Final[Any] = bindparam("q")
_ONE: Final = InventoryItem.variant_id == bindparam("v")
_ITEM: Final[Any] = InventoryItem.__table__
_RESERVATION: Final[Any] = InventoryReservation.__table__
_KEEP: Final = insert(_RESERVATION)
_KEY_OF: Final = inspect(InventoryItem).identity_key_from_primary_key
_NEXT: Final[dict[str, Any]] = {"version": InventoryItem.version + 1}


def _change(*conditions: Any, **values: Any) -> Any:
    statement = update(InventoryItem).where(_ONE, *conditions).values(**values, **_NEXT)
    return statement.returning(InventoryItem).execution_options(**_OPTIONS)


def _count(*conditions: Any, **values: Any) -> Any:
    """Return a change that answers with the key alone: what happens often builds no object."""
    statement = update(_ITEM).where(_ITEM.c.variant_id == bindparam("v"), *conditions)
    return statement.values(**values, version=_ITEM.c.version + 1).returning(_ITEM.c.id)


# One statement decides: nobody can come in between the question and the answer, at any
# isolation level and on every engine. It locks the row as SELECT … FOR UPDATE would.
_RESERVE: Final = _count(_ITEM.c.on_hand - _ITEM.c.reserved >= _Q, reserved=_ITEM.c.reserved + _Q)
_GIVE_BACK: Final = _count(reserved=_ITEM.c.reserved - _Q)
_SELL: Final = _count(on_hand=_ITEM.c.on_hand - _Q, reserved=_ITEM.c.reserved - _Q)
_RETURN: Final = _count(on_hand=_ITEM.c.on_hand + _Q)
_ADD: Final = _change(InventoryItem.on_hand + _Q <= _MAX_ON_HAND, on_hand=InventoryItem.on_hand + _Q)
_REMOVE: Final = _change(
    InventoryItem.on_hand - InventoryItem.reserved >= _Q, on_hand=InventoryItem.on_hand - _Q
)

items: Final = Repository(InventoryItem, not_found=InventoryItemNotFoundError)
reservations: Final = Repository(InventoryReservation, not_found=ReservationNotFoundError)


def _close(*conditions: Any) -> Any:
    statement = update(InventoryReservation).where(*conditions)
    statement = statement.values(state=bindparam("to"), updated_at=bindparam("now"))
    return statement.returning(InventoryReservation).execution_options(**_OPTIONS)


_FROM: Final = InventoryReservation.state == bindparam("before")
_CLOSE_ONE: Final = _close(_FROM, InventoryReservation.id == bindparam("i"))
_CLOSE_ORDER: Final = _close(_FROM, InventoryReservation.order_id == bindparam("o"))


class Stock:
    """What the shells call. Stateless; every function writes with the session it is given."""

    @staticmethod
    def item(session: Session, variant: str) -> InventoryItem:
        """Return what is in stock of *variant*."""
        found = items.find_by(session, variant_id=variant)
        if found is None:
            raise InventoryItemNotFoundError(resource_id=variant)
        return found

    @staticmethod
    def add(session: Session, lines: Mapping[str, int]) -> list[InventoryItem]:
        """Put pieces into stock; a variant that is new is begun."""
        found = []
        for variant, quantity in sorted(lines.items()):
            row = _execute(session, _ADD, variant, quantity)
            if row is None:  # there is none, or not until a moment ago
                new = {"variant_id": variant, "on_hand": 0, "reserved": 0}
                items.upsert(session, new, on=["variant_id"], update=())
                row = _execute(session, _ADD, variant, quantity)
            if row is None:
                msg = f"at most {_MAX_ON_HAND} pieces of a variant are kept"
                raise ValidationError(msg, details={"variant_id": variant})
            found.append(row)
        return found

    @staticmethod
    def remove(session: Session, variant: str, quantity: int) -> InventoryItem:
        """Take pieces that nobody has reserved out of stock."""
        row = _execute(session, _REMOVE, variant, quantity)
        if row is None:
            raise _short(session, variant, quantity)
        return row

    @staticmethod
    def reserve(
        session: Session,
        lines: Mapping[str, int],
        *,
        expires_at: datetime | None,
        order_id: uuid.UUID | None = None,
    ) -> list[dict[str, Any]]:
        """Reserve all of *lines* or nothing; return the values of the reservations."""
        session.flush()  # what the caller has added comes before
        found = []
        for variant, quantity in sorted(lines.items()):
            item_id = _recount(session, _RESERVE, variant, quantity)
            if item_id is None:
                raise _short(session, variant, quantity)
            found.append(
                {
                    "id": uuid7(),
                    "item_id": item_id,
                    "variant_id": variant,
                    "quantity": quantity,
                    "state": "active",
                    "order_id": order_id,
                    "expires_at": expires_at,
                }
            )
        session.execute(_KEEP, found)
        return found

    @staticmethod
    def release(session: Session, id: uuid.UUID) -> InventoryReservation:
        """Give the pieces of an active reservation back; those of an ended one stay where they are."""
        return _end(session, id, "active", "released", _GIVE_BACK, ended=("released", "expired"))

    @staticmethod
    def confirm(session: Session, id: uuid.UUID) -> InventoryReservation:
        """Sell the pieces of an active reservation."""
        return _end(session, id, "active", "confirmed", _SELL, ended=("confirmed",))

    @staticmethod
    def take_back(session: Session, id: uuid.UUID) -> InventoryReservation:
        """Put the pieces of a confirmed reservation back into stock."""
        return _end(session, id, "confirmed", "returned", _RETURN, ended=("returned",))

    @staticmethod
    def give_back_order(session: Session, order_id: uuid.UUID) -> int:
        """Give back what an order holds and what it took; return how many pieces."""
        held = _end_order(session, order_id, "active", "released")
        sold = _end_order(session, order_id, "confirmed", "returned")
        for variant in sorted(held | sold):
            if held[variant]:
                _recount(session, _GIVE_BACK, variant, held[variant])
            if sold[variant]:
                _recount(session, _RETURN, variant, sold[variant])
        return (held + sold).total()

    @staticmethod
    def sell_order(session: Session, order_id: uuid.UUID) -> None:
        """Sell what an order holds; what expired meanwhile is taken again, if there is any."""
        lost = _end_order(session, order_id, "expired", "released")
        held = _end_order(session, order_id, "active", "confirmed")
        for variant in sorted(lost | held):
            if held[variant]:
                _recount(session, _SELL, variant, held[variant])
            if lost[variant]:
                item = Stock.remove(session, variant, lost[variant])
                kept = InventoryReservation(
                    item_id=item.id,
                    variant_id=variant,
                    quantity=lost[variant],
                    state="confirmed",
                    order_id=order_id,
                )
                session.add(kept)
        session.flush()

    @staticmethod
    def expire(session: Session, now: datetime, batch: int) -> int:
        """End up to *batch* reservations whose time is over; return how many."""
        due = (
            select(InventoryReservation)
            .where(InventoryReservation.state == "active", InventoryReservation.expires_at <= now)
            .order_by(InventoryReservation.expires_at)
            .limit(batch)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        rows = session.scalars(due).all()
        for row in rows:
            row.state = "expired"
        session.flush()
        for variant, quantity in sorted(_pieces(rows).items()):
            _recount(session, _GIVE_BACK, variant, quantity)
        return len(rows)


def _execute(session: Session, statement: Any, variant: str, quantity: int) -> InventoryItem | None:
    found: InventoryItem | None = session.execute(statement, {"v": variant, "q": quantity}).scalar()
    return found


def _recount(session: Session, statement: Any, variant: str, quantity: int) -> uuid.UUID | None:
    """Send a change that answers with the key; bring the object up to date when the session has it."""
    found: uuid.UUID | None = session.execute(statement, {"v": variant, "q": quantity}).scalar()
    if found is not None:
        known = session.identity_map.get(_KEY_OF((found,)))
        if known is not None:
            session.refresh(known)
    return found


def _end(
    session: Session, id: uuid.UUID, before: str, to: str, change: Any, *, ended: tuple[str, ...]
) -> InventoryReservation:
    values = {"i": id, "before": before, "to": to, "now": utc_now()}
    row: InventoryReservation | None = session.execute(_CLOSE_ONE, values).scalar()
    if row is not None:
        _recount(session, change, row.variant_id, row.quantity)
        return row
    row = reservations.get(session, id)
    session.refresh(row)
    if row.state in ended:
        return row
    msg = f"the reservation is {row.state} and cannot become {to}"
    raise InvalidStateError(msg, details={"from": row.state, "to": to})


def _end_order(session: Session, order_id: uuid.UUID, before: str, to: str) -> Counter[str]:
    values = {"o": order_id, "before": before, "to": to, "now": utc_now()}
    return _pieces(session.execute(_CLOSE_ORDER, values).scalars())


def _pieces(rows: Iterable[InventoryReservation]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found[row.variant_id] += row.quantity
    return found


def _short(session: Session, variant: str, quantity: int) -> InsufficientStockError:
    """Return the error for too little; raise when there is no such variant at all."""
    item = Stock.item(session, variant)
    session.refresh(item)
    details = {"variant_id": variant, "asked": quantity, "available": item.available}
    msg = f"{quantity} pieces of {variant!r} were asked for, {item.available} are available"
    return InsufficientStockError(msg, details=details)
