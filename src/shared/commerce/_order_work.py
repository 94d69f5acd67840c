"""What happens to orders, written once as functions of a session.

Rows are locked in one order everywhere: orders by id, then their reservations, then
items of the inventory by variant.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.commerce._checks import reference_of, user_of, uuid_of
from shared.commerce._entities import NewOrder, OrderEntity
from shared.commerce._states import GIVES_BACK, IN_HOUSE, OrderStatus, check_transition, status_of
from shared.commerce._stock import Stock
from shared.commerce._tables_orders import Order, OrderItem
from shared.database import KeysetPage, Money, Outbox, Repository
from shared.errors import ConflictError, OrderNotFoundError, ValidationError

__all__ = ["OrderWork"]

_TOTAL: Final = Money()
_MAX_REASON: Final = 500
_MAX_BATCH: Final = 1000

orders: Final = Repository(Order, not_found=OrderNotFoundError)


class OrderWork:
    """What both DAOs do with a session.

    Args:
        outbox: Where events go; None for nowhere.
        ttl: Seconds for which a new order keeps its pieces; None for ever.
        clock: The moment.
    """

    def __init__(self, outbox: Outbox | None, ttl: float | None, clock: Callable[[], datetime]) -> None:
        self.outbox = outbox
        self.ttl = ttl
        self.clock = clock

    # -- making ------------------------------------------------------------------

    def create(self, session: Session, new: NewOrder) -> OrderEntity:
        """Make an order, reserve its pieces and tell of it."""
        return self.create_many(session, [new])[0]

    def create_many(self, session: Session, news: Sequence[NewOrder]) -> list[OrderEntity]:
        """Make all of these orders or none."""
        # By owner and reference, so that two callers with the same ones do not wait for each other.
        by_reference = sorted(enumerate(news), key=lambda pair: (pair[1].user_id, pair[1].reference or ""))
        rows: dict[int, tuple[Order, bool]] = {}
        for number, new in by_reference:
            rows[number] = self._row(session, new)
        fresh = [(rows[number][0], new) for number, new in enumerate(news) if rows[number][1]]
        self._reserve(session, fresh)
        for row, _ in fresh:
            self._tell(session, row, "created", None)
        return [OrderEntity.of(rows[number][0]) for number in range(len(news))]

    def _row(self, session: Session, new: NewOrder) -> tuple[Order, bool]:
        """Return the row of an order and whether it is new."""
        if new.reference is not None:
            found = orders.find_by(session, user_id=new.user_id, reference=new.reference)
            if found is not None:
                return _same(found, new), False
        row = _order(new)
        if new.reference is None:
            session.add(row)
            session.flush()
            return row, True
        try:
            with session.begin_nested():
                session.add(row)
                session.flush()
        except IntegrityError:
            # Somebody else was faster under the same reference.
            found = orders.find_by(session, user_id=new.user_id, reference=new.reference)
            if found is None:
                raise
            return _same(found, new), False
        return row, True

    def _reserve(self, session: Session, fresh: Sequence[tuple[Order, NewOrder]]) -> None:
        until = None if self.ttl is None else self.clock() + timedelta(seconds=self.ttl)
        lines = [(variant, quantity, row.id) for row, new in fresh for variant, quantity in new.stock.items()]
        for variant, quantity, order_id in sorted(lines):
            Stock.reserve(session, {variant: quantity}, expires_at=until, order_id=order_id)

    # -- changing ----------------------------------------------------------------

    def change(
        self, session: Session, order_id: Any, to: Any, reason: str | None, version: int | None = None
    ) -> OrderEntity:
        """Bring one order to another state."""
        return self.change_many(session, [order_id], to, reason, version)[0]

    def change_many(
        self,
        session: Session,
        order_ids: Sequence[Any],
        to: Any,
        reason: str | None,
        version: int | None = None,
    ) -> list[OrderEntity]:
        """Bring all of these orders to another state, or none."""
        after, reason = status_of(to), _checked_reason(reason)
        ids = [uuid_of(each, "order_id") for each in order_ids]
        rows = {row.id: row for row in orders.lock_many(session, ids)}
        for order_id in ids:
            if order_id not in rows:
                raise OrderNotFoundError(resource_id=order_id)
        for order_id in sorted(rows):
            self._change(session, rows[order_id], after, reason, version)
        session.flush()
        return [OrderEntity.of(rows[order_id]) for order_id in ids]

    def _change(
        self, session: Session, row: Order, after: OrderStatus, reason: str | None, version: int | None
    ) -> None:
        before = OrderStatus(row.status)
        if before is after:  # asked again: nothing happens twice
            return
        if version is not None and version != row.version:
            msg = f"the order was changed since version {version} was read: it has {row.version}"
            raise ConflictError(msg, details={"reason": "stale", "version": row.version})
        check_transition(before, after)
        row.status = after.value
        row.reason = reason
        session.flush()
        if after is OrderStatus.PAID:
            Stock.sell_order(session, row.id)
        elif after in GIVES_BACK and before in IN_HOUSE:
            Stock.give_back_order(session, row.id)
        self._tell(session, row, after.value, before.value)

    def _tell(self, session: Session, row: Order, what: str, before: str | None) -> None:
        if self.outbox is None:
            return
        payload = {
            "order_id": str(row.id),
            "user_id": row.user_id,
            "reference": row.reference,
            "from": before,
            "to": row.status,
            "reason": row.reason,
            "currency": row.currency,
            "total": str(row.total),
        }
        self.outbox.add(session, f"commerce.order.{what}", payload, aggregate=f"order:{row.id}")

    # -- reading -----------------------------------------------------------------

    @staticmethod
    def get(session: Session, order_id: Any) -> OrderEntity:
        """Return an order."""
        return OrderEntity.of(orders.get(session, uuid_of(order_id, "order_id")))

    @staticmethod
    def find(session: Session, user_id: Any, reference: str) -> OrderEntity | None:
        """Return the order under a reference."""
        row = orders.find_by(session, user_id=user_of(user_id), reference=reference_of(reference))
        return None if row is None else OrderEntity.of(row)

    @staticmethod
    def page(
        session: Session, user_id: Any, status: Any, after: str | None, size: int
    ) -> KeysetPage[OrderEntity]:
        """Return orders, the newest first."""
        where: dict[str, Any] = {}
        if user_id is not None:
            where["user_id"] = user_of(user_id)
        if status is not None:
            where["status"] = status_of(status).value
        page = orders.keyset(session, after=after, size=size, where=where, order_by="-id")
        return KeysetPage([OrderEntity.of(row) for row in page.items], page.next_cursor)


def checked_news(data: Any) -> list[NewOrder]:
    """Return orders to be made.

    Raises:
        ValidationError: There is none, or too many, or one does not fit.
    """
    given = list(data) if isinstance(data, (list, tuple)) else []
    if not 1 <= len(given) <= _MAX_BATCH:
        msg = f"a list of 1 to {_MAX_BATCH} orders expected"
        raise ValidationError(msg)
    return [checked_new(each) for each in given]


def checked_new(data: Any) -> NewOrder:
    """Return an order to be made, whose total fits.

    Raises:
        ValidationError: It does not fit.
    """
    new = NewOrder.parse(data)
    _TOTAL.exact(new.total)
    return new


def checked_ids(ids: Any) -> list[Any]:
    """Return the keys of the orders to change, each once.

    Raises:
        ValidationError: There is none, or too many.
    """
    given = list(dict.fromkeys(ids)) if isinstance(ids, (list, tuple)) else []
    if not 1 <= len(given) <= _MAX_BATCH:
        msg = f"a list of 1 to {_MAX_BATCH} order ids expected"
        raise ValidationError(msg)
    return given


def _checked_reason(reason: Any) -> str | None:
    if reason is not None and (not isinstance(reason, str) or len(reason) > _MAX_REASON or "\x00" in reason):
        msg = f"reason: text of at most {_MAX_REASON} characters expected"
        raise ValidationError(msg, details={"field": "reason"})
    return reason


def _order(new: NewOrder) -> Order:
    items = [
        OrderItem(position=number, **item.model_dump()) for number, item in enumerate(new.items, start=1)
    ]
    return Order(
        user_id=new.user_id,
        reference=new.reference,
        status=OrderStatus.PENDING.value,
        currency=new.currency,
        total=_TOTAL.exact(new.total),
        fingerprint=None if new.reference is None else _mark(new),
        details=new.details,
        items=items,
    )


def _mark(new: NewOrder) -> str:
    return hashlib.sha256(new.model_dump_json().encode()).hexdigest()


def _same(row: Order, new: NewOrder) -> Order:
    """Return the order that was made under the reference before.

    Raises:
        ConflictError: Another order was made under it.
    """
    if row.fingerprint != _mark(new):
        msg = "another order was made under this reference: choose a new one"
        raise ConflictError(msg, details={"field": "reference"})
    return row
