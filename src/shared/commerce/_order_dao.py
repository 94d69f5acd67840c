"""Orders for threads."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session

from shared.commerce._entities import NewOrder, OrderEntity
from shared.commerce._order_work import OrderWork, checked_ids, checked_new, checked_news
from shared.commerce._states import OrderStatus
from shared.constants import FieldLimit
from shared.database import DAO, KeysetPage, Outbox, utc_now
from shared.errors import SharedError
from shared.logging import get_logger

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["OrderDAO"]

_TTL: Final = 900.0


class OrderDAO(DAO):
    """Orders: made, paid, sent, ended, each step checked by the state machine.

    Making an order reserves its pieces in the same transaction; paying it sells them;
    cancelling, failing or refunding it before it is shipped puts them back. Each step
    writes a message ``commerce.order.<state>`` for the outbox in the same transaction.

    Args:
        database: Where; ``get_database()`` when None.
        outbox: Writes the messages; needs the tables of the room ``database``. None
            for no messages.
        ttl: Seconds for which an unpaid order keeps its pieces; None for ever.
        clock: The moment.

    Example:
        >>> from shared.commerce import Inventory
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce", "database"))
        ...     stock, orders = Inventory(db), OrderDAO(db)
        ...     _ = stock.add_stock({"espresso": 3})
        ...     order = orders.create_order({"user_id": "u-1", "currency": "EUR", "items": [
        ...         {"variant_id": "espresso", "quantity": 2, "unit_price": "2.40"}]})
        ...     print(order.status, order.total, stock.get_item("espresso").available)
        ...     print(orders.cancel_order(order.id).status, stock.get_item("espresso").available)
        pending 4.8000 1
        cancelled 3
    """

    def __init__(
        self,
        database: "Database | None" = None,
        *,
        outbox: Outbox | None = Outbox(),  # noqa: B008 - it holds nothing
        ttl: float | None = _TTL,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(database)
        self._work = OrderWork(outbox, ttl, clock)

    def create_order(
        self, order_data: NewOrder | Mapping[str, Any], *, session: Session | None = None
    ) -> OrderEntity:
        """Make an order and reserve its pieces: both or nothing.

        A second call of the same user under the same ``reference`` returns the first order.

        Raises:
            ValidationError: The data does not fit; ``details["errors"]`` list the fields.
            InsufficientStockError: There are fewer pieces of one variant.
            InventoryItemNotFoundError: A variant is not in the inventory.
            ConflictError: Another order was made under the reference.
        """
        return self.write(self._work.create, checked_new(order_data), session=session)

    def create_orders(
        self, orders_data: Sequence[NewOrder | Mapping[str, Any]], *, session: Session | None = None
    ) -> list[OrderEntity]:
        """Make up to 1000 orders, all or none; see :meth:`create_order`."""
        return self.write(self._work.create_many, checked_news(orders_data), session=session)

    def get_order(self, order_id: Any, *, session: Session | None = None) -> OrderEntity:
        """Return an order.

        Raises:
            OrderNotFoundError: There is none.
            ValidationError: *order_id* is no UUID.
        """
        return self.read(self._work.get, order_id, session=session)

    def find_order(
        self, user_id: str, reference: str, *, session: Session | None = None
    ) -> OrderEntity | None:
        """Return the order of a user under a reference, or None."""
        return self.read(self._work.find, user_id, reference, session=session)

    def list_orders(
        self,
        *,
        user_id: str | None = None,
        status: OrderStatus | str | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: Session | None = None,
    ) -> KeysetPage[OrderEntity]:
        """Return orders, the newest first.

        Args:
            user_id: Of this user only.
            status: In this state only.
            after: ``next_cursor`` of the page before.
            size: Orders per page, 1 to 100.
            session: Of the caller.

        Raises:
            ValidationError: An argument is out of range.
        """
        return self.read(self._work.page, user_id, status, after, size, session=session)

    def update_order_status(
        self,
        order_id: Any,
        status: OrderStatus | str,
        *,
        reason: str | None = None,
        version: int | None = None,
        session: Session | None = None,
    ) -> OrderEntity:
        """Bring an order to another state, with what belongs to it; the same state again changes nothing.

        Args:
            order_id: Which.
            status: Where to.
            reason: Why, at most 500 characters.
            version: The version the caller saw; None when it does not matter.
            session: Of the caller.

        Raises:
            InvalidStateError: There is no way from the present state; ``details`` say which ones there are.
            OrderNotFoundError: There is no such order.
            InsufficientStockError: Its pieces expired before it was paid, and are sold.
            ConflictError: It has another version.
        """
        return self.write(self._work.change, order_id, status, reason, version, session=session)

    def update_orders_status(
        self,
        order_ids: Sequence[Any],
        status: OrderStatus | str,
        *,
        reason: str | None = None,
        session: Session | None = None,
    ) -> list[OrderEntity]:
        """Bring up to 1000 orders to another state, all or none."""
        return self.write(self._work.change_many, checked_ids(order_ids), status, reason, session=session)

    def pay_order(self, order_id: Any, *, session: Session | None = None) -> OrderEntity:
        """Note that an order is paid: its pieces are sold; see :meth:`update_order_status`."""
        return self.update_order_status(order_id, OrderStatus.PAID, session=session)

    def cancel_order(
        self, order_id: Any, *, reason: str | None = None, session: Session | None = None
    ) -> OrderEntity:
        """Cancel an order: its pieces go back; see :meth:`update_order_status`."""
        return self.update_order_status(order_id, OrderStatus.CANCELLED, reason=reason, session=session)

    def fail_order(
        self, order_id: Any, *, reason: str | None = None, session: Session | None = None
    ) -> OrderEntity:
        """Note that an order failed: its pieces go back; see :meth:`update_order_status`."""
        return self.update_order_status(order_id, OrderStatus.FAILED, reason=reason, session=session)

    def checkout(
        self, order_data: NewOrder | Mapping[str, Any], pay: Callable[[OrderEntity], object]
    ) -> OrderEntity:
        """Make an order, have it paid, and note how that went.

        The order and its reservation are committed before *pay* runs, outside of any
        transaction. When *pay* raises, the order fails, its pieces go back, and the
        exception comes out. When the process dies, the pieces go back by
        :meth:`Inventory.expire`. A repeated call under the same ``reference`` pays a
        pending order again, so give the supplier the order's id as idempotency key.

        Args:
            order_data: As for :meth:`create_order`.
            pay: Called with the order; raises when it was not paid.

        Raises:
            InvalidStateError: The order of this reference has ended.
            InsufficientStockError: There are fewer pieces, before or after the payment.
        """
        order = self.create_order(order_data)
        if order.status not in (OrderStatus.PENDING, OrderStatus.CANCELLED, OrderStatus.FAILED):
            return order  # made and paid before
        if order.status is OrderStatus.PENDING:
            try:
                pay(order)
            except BaseException as exc:
                try:
                    self.fail_order(order.id, reason=type(exc).__name__)
                except SharedError as problem:
                    note_unreleased(order, problem)
                raise
        return self.pay_order(order.id)


def note_unreleased(order: OrderEntity, problem: SharedError) -> None:
    """Say in the log that the pieces of a failed order are kept until they expire."""
    get_logger("shared.commerce").warning(
        "a failed order keeps its pieces until they expire", order_id=str(order.id), error_code=problem.code
    )
