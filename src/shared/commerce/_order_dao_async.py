"""Orders for coroutines: the same work."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from shared.commerce._entities import NewOrder, OrderEntity
from shared.commerce._order_dao import note_unreleased
from shared.commerce._order_work import OrderWork, checked_ids, checked_new, checked_news
from shared.commerce._states import OrderStatus
from shared.constants import FieldLimit
from shared.database import AsyncDAO, KeysetPage, Outbox, utc_now
from shared.errors import SharedError

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AsyncOrderDAO"]

_TTL: Final = 900.0


class AsyncOrderDAO(AsyncDAO):
    """An :class:`OrderDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.
        outbox: As :class:`OrderDAO`.
        ttl: As :class:`OrderDAO`.
        clock: As :class:`OrderDAO`.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce", "database"))
        ...         orders = AsyncOrderDAO(db)
        ...         order = await orders.create_order({"user_id": "u-1", "currency": "EUR", "items": [
        ...             {"variant_id": "e-book", "quantity": 1, "unit_price": 5, "is_stocked": False}]})
        ...         print((await orders.pay_order(order.id)).status)
        >>> asyncio.run(main())
        paid
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

    async def create_order(
        self, order_data: NewOrder | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> OrderEntity:
        """See :meth:`OrderDAO.create_order`."""
        return await self.write(self._work.create, checked_new(order_data), session=session)

    async def create_orders(
        self, orders_data: Sequence[NewOrder | Mapping[str, Any]], *, session: AsyncSession | None = None
    ) -> list[OrderEntity]:
        """See :meth:`OrderDAO.create_orders`."""
        return await self.write(self._work.create_many, checked_news(orders_data), session=session)

    async def get_order(self, order_id: Any, *, session: AsyncSession | None = None) -> OrderEntity:
        """See :meth:`OrderDAO.get_order`."""
        return await self.read(self._work.get, order_id, session=session)

    async def find_order(
        self, user_id: str, reference: str, *, session: AsyncSession | None = None
    ) -> OrderEntity | None:
        """See :meth:`OrderDAO.find_order`."""
        return await self.read(self._work.find, user_id, reference, session=session)

    async def list_orders(
        self,
        *,
        user_id: str | None = None,
        status: OrderStatus | str | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: AsyncSession | None = None,
    ) -> KeysetPage[OrderEntity]:
        """See :meth:`OrderDAO.list_orders`."""
        return await self.read(self._work.page, user_id, status, after, size, session=session)

    async def update_order_status(
        self,
        order_id: Any,
        status: OrderStatus | str,
        *,
        reason: str | None = None,
        version: int | None = None,
        session: AsyncSession | None = None,
    ) -> OrderEntity:
        """See :meth:`OrderDAO.update_order_status`."""
        return await self.write(self._work.change, order_id, status, reason, version, session=session)

    async def update_orders_status(
        self,
        order_ids: Sequence[Any],
        status: OrderStatus | str,
        *,
        reason: str | None = None,
        session: AsyncSession | None = None,
    ) -> list[OrderEntity]:
        """See :meth:`OrderDAO.update_orders_status`."""
        checked = checked_ids(order_ids)
        return await self.write(self._work.change_many, checked, status, reason, session=session)

    async def pay_order(self, order_id: Any, *, session: AsyncSession | None = None) -> OrderEntity:
        """See :meth:`OrderDAO.pay_order`."""
        return await self.update_order_status(order_id, OrderStatus.PAID, session=session)

    async def cancel_order(
        self, order_id: Any, *, reason: str | None = None, session: AsyncSession | None = None
    ) -> OrderEntity:
        """See :meth:`OrderDAO.cancel_order`."""
        return await self.update_order_status(order_id, OrderStatus.CANCELLED, reason=reason, session=session)

    async def fail_order(
        self, order_id: Any, *, reason: str | None = None, session: AsyncSession | None = None
    ) -> OrderEntity:
        """See :meth:`OrderDAO.fail_order`."""
        return await self.update_order_status(order_id, OrderStatus.FAILED, reason=reason, session=session)

    async def checkout(
        self,
        order_data: NewOrder | Mapping[str, Any],
        pay: Callable[[OrderEntity], Awaitable[object]],
    ) -> OrderEntity:
        """See :meth:`OrderDAO.checkout`; *pay* is a coroutine function."""
        order = await self.create_order(order_data)
        if order.status not in (OrderStatus.PENDING, OrderStatus.CANCELLED, OrderStatus.FAILED):
            return order  # made and paid before
        if order.status is OrderStatus.PENDING:
            try:
                await pay(order)
            except BaseException as exc:
                try:
                    await self.fail_order(order.id, reason=type(exc).__name__)
                except SharedError as problem:
                    note_unreleased(order, problem)
                raise
        return await self.pay_order(order.id)
