"""The inventory for threads: reserve, confirm, give back, and end what nobody came for."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session

from shared.commerce._checks import lines_of, quantity_of, uuid_of, variant_of
from shared.commerce._entities import InventoryItemEntity, Reservation
from shared.commerce._stock import Stock, reservations
from shared.database import DAO, utc_now
from shared.errors import InfrastructureError, InvalidArgumentError
from shared.logging import get_logger
from shared.runtime import Runtime, current

if TYPE_CHECKING:
    from shared.database import Database

__all__ = [
    "Inventory",
    "StockWork",
    "confirm_inventory",
    "get_inventory",
    "lock_and_reserve_inventory",
    "release_inventory",
]

_TTL: Final = 900.0
_BATCH: Final = 500


class StockWork:
    """What both inventories do with a session: checks in front, entities behind."""

    def __init__(self, ttl: float | None, clock: Callable[[], datetime]) -> None:
        self.ttl = _checked_ttl(ttl)
        self.clock = clock

    def until(self, ttl: float | None) -> datetime | None:
        """Return when a reservation made now ends."""
        seconds = self.ttl if ttl is None else _checked_ttl(ttl)
        return None if seconds is None else self.clock() + timedelta(seconds=seconds)

    def reserve(
        self, session: Session, lines: Mapping[str, int], until: datetime | None
    ) -> list[Reservation]:
        """Reserve checked lines."""
        return [Reservation.of(row) for row in Stock.reserve(session, lines, expires_at=until)]

    @staticmethod
    def end(session: Session, how: Callable[..., Any], id: Any) -> Reservation:
        """Release, confirm or take back."""
        return Reservation.of(how(session, uuid_of(id, "reservation_id")))

    @staticmethod
    def add(session: Session, lines: Mapping[str, int]) -> list[InventoryItemEntity]:
        """Put into stock."""
        return [InventoryItemEntity.of(row) for row in Stock.add(session, lines)]

    @staticmethod
    def remove(session: Session, variant: str, quantity: int) -> InventoryItemEntity:
        """Take out of stock."""
        return InventoryItemEntity.of(Stock.remove(session, variant, quantity))

    @staticmethod
    def item(session: Session, variant: str) -> InventoryItemEntity:
        """Return what is in stock."""
        return InventoryItemEntity.of(Stock.item(session, variant))

    @staticmethod
    def reservation(session: Session, id: Any) -> Reservation:
        """Return a reservation."""
        return Reservation.of(reservations.get(session, uuid_of(id, "reservation_id")))

    def expire(self, session: Session, batch: int) -> int:
        """End a batch of what is due."""
        return Stock.expire(session, self.clock(), batch)


def checked_batch(batch: Any) -> int:
    """Return *batch*.

    Raises:
        InvalidArgumentError: It is not a whole number from 1 to 10 000.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= 10_000:
        msg = f"batch is 1 to 10000 reservations, got {batch!r}"
        raise InvalidArgumentError(msg)
    return batch


def _checked_ttl(ttl: Any) -> float | None:
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or not 0 < ttl <= 31_536_000:
        msg = f"ttl is seconds above 0 and up to a year, or None for no end, got {ttl!r}"
        raise InvalidArgumentError(msg)
    return float(ttl)


class Inventory(DAO):
    """What is in stock, and who has reserved what: more than there is can never be sold.

    Reserving is one conditional ``UPDATE`` with a row for the reservation in the same
    transaction, so it holds at any isolation level, on SQLite and PostgreSQL, from any
    number of threads, tasks and processes. Every method takes ``session=`` to join the
    caller's transaction and runs in one of its own without.

    Args:
        database: Where; ``get_database()`` when None.
        ttl: Seconds for which a reservation is kept; None for ever.
        clock: The moment.

    Raises:
        InvalidArgumentError: *ttl* is out of range.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     stock = Inventory(db)
        ...     _ = stock.add_stock({"espresso": 3})
        ...     kept = stock.reserve("espresso", 2)
        ...     print(stock.get_item("espresso").available)
        ...     _ = stock.release(kept.id), stock.release(kept.id)
        ...     print(stock.get_item("espresso").available)
        1
        3
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

    def add_stock(
        self, lines: Mapping[str, int], *, session: Session | None = None
    ) -> list[InventoryItemEntity]:
        """Put pieces into stock, by variant; a variant that is new is begun.

        Raises:
            ValidationError: A quantity or a name is out of range.
        """
        return self.write(self._work.add, lines_of(lines), session=session)

    def remove_stock(
        self, variant_id: str, quantity: int, *, session: Session | None = None
    ) -> InventoryItemEntity:
        """Take pieces that nobody has reserved out of stock: broken, lost, counted again.

        Raises:
            InsufficientStockError: There are fewer.
            InventoryItemNotFoundError: There is no such variant.
        """
        checked = variant_of(variant_id), quantity_of(quantity)
        return self.write(self._work.remove, *checked, session=session)

    def get_item(self, variant_id: str, *, session: Session | None = None) -> InventoryItemEntity:
        """Return what is in stock of a variant.

        Raises:
            InventoryItemNotFoundError: There is no such variant.
        """
        return self.read(self._work.item, variant_of(variant_id), session=session)

    def get_reservation(self, reservation_id: Any, *, session: Session | None = None) -> Reservation:
        """Return a reservation.

        Raises:
            ReservationNotFoundError: There is none.
        """
        return self.read(self._work.reservation, reservation_id, session=session)

    def reserve(
        self, variant_id: str, quantity: int, *, ttl: float | None = None, session: Session | None = None
    ) -> Reservation:
        """Reserve pieces of one variant.

        Args:
            variant_id: Which; text, a UUID or a whole number.
            quantity: How many, 1 to ``FieldLimit.QUANTITY_MAX``.
            ttl: Seconds until it ends by itself; that of the inventory when None.
            session: Of the caller.

        Raises:
            InsufficientStockError: There are fewer; ``details`` say how many.
            InventoryItemNotFoundError: There is no such variant.
            ValidationError: An argument is out of range.
        """
        lines = {variant_of(variant_id): quantity_of(quantity)}
        return self.write(self._work.reserve, lines, self._work.until(ttl), session=session)[0]

    def reserve_many(
        self, lines: Mapping[str, int], *, ttl: float | None = None, session: Session | None = None
    ) -> list[Reservation]:
        """Reserve pieces of several variants, all or nothing; in the order of their names.

        Raises:
            InsufficientStockError: There are fewer of one; nothing is reserved then.
            InventoryItemNotFoundError: There is no such variant.
            ValidationError: A quantity or a name is out of range.
        """
        return self.write(self._work.reserve, lines_of(lines), self._work.until(ttl), session=session)

    def release(self, reservation_id: Any, *, session: Session | None = None) -> Reservation:
        """Give the pieces of a reservation back; again, or after its end, changes nothing.

        Raises:
            ReservationNotFoundError: There is none.
            InvalidStateError: It was confirmed: the pieces are sold, see :meth:`take_back`.
        """
        return self.write(self._work.end, Stock.release, reservation_id, session=session)

    def confirm(self, reservation_id: Any, *, session: Session | None = None) -> Reservation:
        """Sell the pieces of a reservation; again changes nothing.

        Raises:
            ReservationNotFoundError: There is none.
            InvalidStateError: It was released or has expired.
        """
        return self.write(self._work.end, Stock.confirm, reservation_id, session=session)

    def take_back(self, reservation_id: Any, *, session: Session | None = None) -> Reservation:
        """Put the sold pieces of a confirmed reservation back into stock; again changes nothing.

        Raises:
            ReservationNotFoundError: There is none.
            InvalidStateError: It was never confirmed.
        """
        return self.write(self._work.end, Stock.take_back, reservation_id, session=session)

    def expire(self, *, batch: int = _BATCH, session: Session | None = None) -> int:
        """End the reservations whose time is over; return how many.

        In batches, each in a transaction of its own, until none is left; with *session*
        one batch. Sweepers in several processes leave each other's rows alone.
        """
        batch = checked_batch(batch)
        total = 0
        while True:
            done = self.write(self._work.expire, batch, session=session)
            total += done
            if done < batch or session is not None:
                return total

    def run(self, stop: threading.Event, *, poll: float = 30.0) -> None:
        """Call :meth:`expire` every *poll* seconds until *stop* is set; for a worker.

        A database that cannot be reached is said in the log, and asked again.
        """
        while not stop.is_set():
            try:
                self.expire()
            except InfrastructureError as exc:
                note_unswept(exc)
            stop.wait(poll)


def note_unswept(problem: InfrastructureError) -> None:
    """Say in the log that nothing was given back this time."""
    get_logger("shared.commerce").warning(
        "expired reservations could not be given back", error_code=problem.code, reason=str(problem)
    )


def _inventory(_runtime: Runtime) -> Inventory:
    return Inventory()


def get_inventory() -> Inventory:
    """Return the current runtime's inventory, on ``get_database()``.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")):
        ...     get_inventory() is get_inventory()
        True
    """
    return current().get(Inventory, _inventory)


def lock_and_reserve_inventory(
    variant_id: str, quantity: int, *, ttl: float | None = None, session: Session | None = None
) -> Reservation:
    """Reserve pieces of one variant: see :meth:`Inventory.reserve`.

    Args:
        variant_id: Which.
        quantity: How many.
        ttl: Seconds until the reservation ends by itself; 900 when None.
        session: Of the caller, who commits; a transaction of its own when None.

    Raises:
        InsufficientStockError: There are fewer.
        InventoryItemNotFoundError: There is no such variant.
        ValidationError: An argument is out of range.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     with db.transaction() as session:
        ...         _ = Inventory(db).add_stock({"espresso": 1}, session=session)
        ...         lock_and_reserve_inventory("espresso", 1, session=session).quantity
        1
    """
    return get_inventory().reserve(variant_id, quantity, ttl=ttl, session=session)


def release_inventory(reservation_id: Any, *, session: Session | None = None) -> Reservation:
    """Give the pieces of a reservation back; again changes nothing. See :meth:`Inventory.release`.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     with db.transaction() as session:
        ...         _ = Inventory(db).add_stock({"espresso": 1}, session=session)
        ...         kept = lock_and_reserve_inventory("espresso", 1, session=session)
        ...         release_inventory(kept.id, session=session).state
        'released'
    """
    return get_inventory().release(reservation_id, session=session)


def confirm_inventory(reservation_id: Any, *, session: Session | None = None) -> Reservation:
    """Sell the pieces of a reservation; again changes nothing. See :meth:`Inventory.confirm`.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     with db.transaction() as session:
        ...         _ = Inventory(db).add_stock({"espresso": 1}, session=session)
        ...         kept = lock_and_reserve_inventory("espresso", 1, session=session)
        ...         confirm_inventory(kept.id, session=session).state
        'confirmed'
    """
    return get_inventory().confirm(reservation_id, session=session)
