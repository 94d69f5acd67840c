"""The inventory for coroutines: the same work."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from shared.commerce._checks import lines_of, quantity_of, variant_of
from shared.commerce._entities import InventoryItemEntity, Reservation
from shared.commerce._inventory import StockWork, checked_batch, note_unswept
from shared.commerce._stock import Stock
from shared.database import AsyncDAO, utc_now
from shared.errors import InfrastructureError
from shared.runtime import Runtime, current

if TYPE_CHECKING:
    from shared.database import Database

__all__ = [
    "AsyncInventory",
    "aconfirm_inventory",
    "alock_and_reserve_inventory",
    "arelease_inventory",
    "get_async_inventory",
]

_TTL: Final = 900.0
_BATCH: Final = 500


class AsyncInventory(AsyncDAO):
    """An :class:`Inventory` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.
        ttl: As :class:`Inventory`.
        clock: As :class:`Inventory`.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...         stock = AsyncInventory(db)
        ...         await stock.add_stock({"espresso": 3})
        ...         await stock.reserve("espresso", 2)
        ...         print((await stock.get_item("espresso")).available)
        >>> asyncio.run(main())
        1
    """

    def __init__(
        self,
        database: "Database | None" = None,
        *,
        ttl: float | None = _TTL,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(database)
        self._work = StockWork(ttl, clock)

    async def add_stock(
        self, lines: Mapping[str, int], *, session: AsyncSession | None = None
    ) -> list[InventoryItemEntity]:
        """See :meth:`Inventory.add_stock`."""
        return await self.write(self._work.add, lines_of(lines), session=session)

    async def remove_stock(
        self, variant_id: str, quantity: int, *, session: AsyncSession | None = None
    ) -> InventoryItemEntity:
        """See :meth:`Inventory.remove_stock`."""
        checked = variant_of(variant_id), quantity_of(quantity)
        return await self.write(self._work.remove, *checked, session=session)

    async def get_item(self, variant_id: str, *, session: AsyncSession | None = None) -> InventoryItemEntity:
        """See :meth:`Inventory.get_item`."""
        return await self.read(self._work.item, variant_of(variant_id), session=session)

    async def get_reservation(
        self, reservation_id: Any, *, session: AsyncSession | None = None
    ) -> Reservation:
        """See :meth:`Inventory.get_reservation`."""
        return await self.read(self._work.reservation, reservation_id, session=session)

    async def reserve(
        self, variant_id: str, quantity: int, *, ttl: float | None = None, session: AsyncSession | None = None
    ) -> Reservation:
        """See :meth:`Inventory.reserve`."""
        lines = {variant_of(variant_id): quantity_of(quantity)}
        return (await self.write(self._work.reserve, lines, self._work.until(ttl), session=session))[0]

    async def reserve_many(
        self, lines: Mapping[str, int], *, ttl: float | None = None, session: AsyncSession | None = None
    ) -> list[Reservation]:
        """See :meth:`Inventory.reserve_many`."""
        return await self.write(self._work.reserve, lines_of(lines), self._work.until(ttl), session=session)

    async def release(self, reservation_id: Any, *, session: AsyncSession | None = None) -> Reservation:
        """See :meth:`Inventory.release`."""
        return await self.write(self._work.end, Stock.release, reservation_id, session=session)

    async def confirm(self, reservation_id: Any, *, session: AsyncSession | None = None) -> Reservation:
        """See :meth:`Inventory.confirm`."""
        return await self.write(self._work.end, Stock.confirm, reservation_id, session=session)

    async def take_back(self, reservation_id: Any, *, session: AsyncSession | None = None) -> Reservation:
        """See :meth:`Inventory.take_back`."""
        return await self.write(self._work.end, Stock.take_back, reservation_id, session=session)

    async def expire(self, *, batch: int = _BATCH, session: AsyncSession | None = None) -> int:
        """See :meth:`Inventory.expire`."""
        batch = checked_batch(batch)
        total = 0
        while True:
            done = await self.write(self._work.expire, batch, session=session)
            total += done
            if done < batch or session is not None:
                return total

    async def run(self, stop: asyncio.Event, *, poll: float = 30.0) -> None:
        """See :meth:`Inventory.run`; *stop* is an ``asyncio.Event``."""
        while not stop.is_set():
            try:
                await self.expire()
            except InfrastructureError as exc:
                note_unswept(exc)
            try:
                await asyncio.wait_for(stop.wait(), poll)
            except TimeoutError:
                continue


def _inventory(_runtime: Runtime) -> AsyncInventory:
    return AsyncInventory()


def get_async_inventory() -> AsyncInventory:
    """Return the current runtime's inventory for coroutines.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")):
        ...     get_async_inventory() is get_async_inventory()
        True
    """
    return current().get(AsyncInventory, _inventory)


async def alock_and_reserve_inventory(
    variant_id: str, quantity: int, *, ttl: float | None = None, session: AsyncSession | None = None
) -> Reservation:
    """Reserve pieces of one variant: :func:`lock_and_reserve_inventory` for coroutines.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...         async with db.aio.transaction() as session:
        ...             await AsyncInventory(db).add_stock({"espresso": 1}, session=session)
        ...             kept = await alock_and_reserve_inventory("espresso", 1, session=session)
        ...             kept = await arelease_inventory(kept.id, session=session)
        ...             print(kept.state)
        >>> asyncio.run(main())
        released
    """
    return await get_async_inventory().reserve(variant_id, quantity, ttl=ttl, session=session)


async def arelease_inventory(reservation_id: Any, *, session: AsyncSession | None = None) -> Reservation:
    """Give the pieces of a reservation back: :func:`release_inventory` for coroutines.

    Example:
        >>> import inspect
        >>> inspect.iscoroutinefunction(arelease_inventory)
        True
    """
    return await get_async_inventory().release(reservation_id, session=session)


async def aconfirm_inventory(reservation_id: Any, *, session: AsyncSession | None = None) -> Reservation:
    """Sell the pieces of a reservation: :func:`confirm_inventory` for coroutines.

    Example:
        >>> import inspect
        >>> inspect.iscoroutinefunction(aconfirm_inventory)
        True
    """
    return await get_async_inventory().confirm(reservation_id, session=session)
