"""Payments for threads and for coroutines."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.commerce._entities_payments import (
    NewPayment,
    PaymentEntity,
    PaymentEventEntity,
    PaymentUpdate,
)
from shared.commerce._payment_work import PaymentWork
from shared.constants import FieldLimit, PaymentStatus
from shared.database import DAO, AsyncDAO, KeysetPage, Outbox

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AsyncPaymentDAO", "PaymentDAO"]


class PaymentDAO(DAO):
    """Payments: what was asked for, and how far it is as the supplier tells.

    Messages may come late, twice, or in another order: the newest by the supplier's own
    time wins, each counts once, and what was refunded only grows. Each change writes a
    message ``commerce.payment.<status>`` for the outbox in the same transaction; an
    amount or a currency other than asked for changes nothing and is told as
    ``commerce.payment.mismatch``.

    Args:
        database: Where; ``get_database()`` when None.
        outbox: Writes the messages; needs the tables of the room ``database``. None
            for no messages.

    Example:
        >>> from datetime import UTC, datetime
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce", "database"))
        ...     payments = PaymentDAO(db)
        ...     payment = payments.create_payment({"provider": "stripe", "reference": "order-7",
        ...         "amount": "4.80", "currency": "EUR"})
        ...     told = {"provider": "stripe", "event_id": "evt_1", "type": "payment_intent.succeeded",
        ...         "reference": "order-7", "provider_id": "pi_1", "status": "succeeded", "amount": "4.80",
        ...         "currency": "EUR", "occurred_at": datetime(2026, 1, 1, tzinfo=UTC)}
        ...     print(payment.status, payments.apply_payment_event(told).status)
        pending succeeded
    """

    def __init__(
        self,
        database: "Database | None" = None,
        *,
        outbox: Outbox | None = Outbox(),  # noqa: B008 - it holds nothing
    ) -> None:
        super().__init__(database)
        self._work = PaymentWork(outbox)

    def create_payment(
        self, payment_data: NewPayment | Mapping[str, Any], *, session: Session | None = None
    ) -> PaymentEntity:
        """Follow a payment. Do it before the supplier is asked, so that no message comes too early.

        A second call under the same provider and reference returns the first payment.

        Raises:
            ValidationError: The data does not fit; ``details["errors"]`` list the fields.
            ConflictError: Another payment was made under the reference, or there is no
                such order.
        """
        return self.write(self._work.create, NewPayment.parse(payment_data), session=session)

    def link_payment(
        self, payment_id: Any, provider_id: str, *, session: Session | None = None
    ) -> PaymentEntity:
        """Note the supplier's name for a payment; the same again changes nothing.

        Raises:
            PaymentNotFoundError: There is no such payment.
            ConflictError: It has another name, or the name belongs to another payment.
        """
        return self.write(self._work.link, payment_id, provider_id, session=session)

    def apply_payment_event(
        self, update: PaymentUpdate | Mapping[str, Any], *, session: Session | None = None
    ) -> PaymentEntity:
        """Take in what a supplier tells, and return the payment afterwards.

        A payment that nobody has created is created when the message tells its amount.
        The second message under the same ``event_id`` changes nothing.

        Raises:
            ValidationError: The data does not fit.
            PaymentNotFoundError: It is about a payment that is not known and tells no amount.
            ConflictError: Two payments of the supplier name the same reference.
        """
        return self.write(self._work.apply, PaymentUpdate.parse(update), session=session)

    def get_payment(self, payment_id: Any, *, session: Session | None = None) -> PaymentEntity:
        """Return a payment.

        Raises:
            PaymentNotFoundError: There is none.
            ValidationError: *payment_id* is no UUID.
        """
        return self.read(self._work.get, payment_id, session=session)

    def find_payment(
        self,
        provider: str,
        *,
        provider_id: str | None = None,
        reference: str | None = None,
        session: Session | None = None,
    ) -> PaymentEntity | None:
        """Return the payment under the supplier's name for it or under the service's own, or None."""
        return self.read(self._work.find, provider, provider_id, reference, session=session)

    def list_payments(
        self,
        *,
        order_id: Any = None,
        status: PaymentStatus | str | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: Session | None = None,
    ) -> KeysetPage[PaymentEntity]:
        """Return payments, the newest first.

        Args:
            order_id: Of this order only.
            status: In this state only.
            after: ``next_cursor`` of the page before.
            size: Payments per page, 1 to 100.
            session: Of the caller.

        Raises:
            ValidationError: An argument is out of range.
        """
        return self.read(self._work.page, order_id, status, after, size, session=session)

    def payment_events(self, payment_id: Any, *, session: Session | None = None) -> list[PaymentEventEntity]:
        """Return what the supplier told about a payment and what it did, at most 1000, as they came."""
        return self.read(self._work.history, payment_id, session=session)


class AsyncPaymentDAO(AsyncDAO):
    """A :class:`PaymentDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.
        outbox: As :class:`PaymentDAO`.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce", "database"))
        ...         payment = await AsyncPaymentDAO(db).create_payment({"provider": "stripe",
        ...             "reference": "order-7", "amount": 5, "currency": "EUR"})
        ...         print(payment.status)
        >>> asyncio.run(main())
        pending
    """

    def __init__(
        self,
        database: "Database | None" = None,
        *,
        outbox: Outbox | None = Outbox(),  # noqa: B008 - it holds nothing
    ) -> None:
        super().__init__(database)
        self._work = PaymentWork(outbox)

    async def create_payment(
        self, payment_data: NewPayment | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> PaymentEntity:
        """See :meth:`PaymentDAO.create_payment`."""
        return await self.write(self._work.create, NewPayment.parse(payment_data), session=session)

    async def link_payment(
        self, payment_id: Any, provider_id: str, *, session: AsyncSession | None = None
    ) -> PaymentEntity:
        """See :meth:`PaymentDAO.link_payment`."""
        return await self.write(self._work.link, payment_id, provider_id, session=session)

    async def apply_payment_event(
        self, update: PaymentUpdate | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> PaymentEntity:
        """See :meth:`PaymentDAO.apply_payment_event`."""
        return await self.write(self._work.apply, PaymentUpdate.parse(update), session=session)

    async def get_payment(self, payment_id: Any, *, session: AsyncSession | None = None) -> PaymentEntity:
        """See :meth:`PaymentDAO.get_payment`."""
        return await self.read(self._work.get, payment_id, session=session)

    async def find_payment(
        self,
        provider: str,
        *,
        provider_id: str | None = None,
        reference: str | None = None,
        session: AsyncSession | None = None,
    ) -> PaymentEntity | None:
        """See :meth:`PaymentDAO.find_payment`."""
        return await self.read(self._work.find, provider, provider_id, reference, session=session)

    async def list_payments(
        self,
        *,
        order_id: Any = None,
        status: PaymentStatus | str | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: AsyncSession | None = None,
    ) -> KeysetPage[PaymentEntity]:
        """See :meth:`PaymentDAO.list_payments`."""
        return await self.read(self._work.page, order_id, status, after, size, session=session)

    async def payment_events(
        self, payment_id: Any, *, session: AsyncSession | None = None
    ) -> list[PaymentEventEntity]:
        """See :meth:`PaymentDAO.payment_events`."""
        return await self.read(self._work.history, payment_id, session=session)
