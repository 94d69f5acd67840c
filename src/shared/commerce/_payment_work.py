"""What happens to payments, written once as functions of a session."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.commerce._checks import reference_of, uuid_of
from shared.commerce._entities_payments import (
    NewPayment,
    PaymentEntity,
    PaymentEventEntity,
    PaymentUpdate,
)
from shared.commerce._payment_states import PaymentVerdict, Told, judge_payment
from shared.commerce._tables_payments import Payment, PaymentEvent
from shared.constants import PaymentStatus
from shared.database import KeysetPage, Outbox, Repository
from shared.errors import ConflictError, PaymentNotFoundError, ValidationError
from shared.logging import get_logger

__all__ = ["PaymentWork"]

payments: Final = Repository(Payment, not_found=PaymentNotFoundError)
events: Final = Repository(PaymentEvent)


class PaymentWork:
    """What both DAOs do with a session.

    Args:
        outbox: Where messages go; None for nowhere.
    """

    def __init__(self, outbox: Outbox | None) -> None:
        self.outbox = outbox

    # -- making ------------------------------------------------------------------

    def create(self, session: Session, new: NewPayment) -> PaymentEntity:
        """Follow a payment; under a reference that is known, the one there is."""
        found = self._by(session, new.provider, reference=new.reference)
        if found is None:
            row = Payment(status=PaymentStatus.PENDING.value, refunded=Decimal(0), **new.model_dump())
            try:
                with session.begin_nested():
                    session.add(row)
                    session.flush()
            except IntegrityError:
                # Somebody was faster under the reference, or there is no such order.
                found = self._by(session, new.provider, reference=new.reference)
                if found is None:
                    raise
            else:
                return PaymentEntity.of(row)
        return PaymentEntity.of(_same(found, new))

    def link(self, session: Session, payment_id: Any, provider_id: str) -> PaymentEntity:
        """Note the supplier's name for a payment."""
        name = reference_of(provider_id)
        row = payments.lock(session, uuid_of(payment_id, "payment_id"))
        if row.provider_id not in (None, name):
            raise ConflictError(
                "the payment is another one of the supplier's", details={"field": "provider_id"}
            )
        row.provider_id = name
        session.flush()
        return PaymentEntity.of(row)

    # -- what the supplier tells ----------------------------------------------------

    def apply(self, session: Session, update: PaymentUpdate) -> PaymentEntity:
        """Take in one message of a supplier, once."""
        if update.provider_id is None and update.reference is None:
            raise ValidationError("a payment event names provider_id, reference or both")
        row = self._row(session, update)
        known = Told(PaymentStatus(row.status), row.amount, row.currency, row.refunded, row.changed_at)
        told = Told(update.status, update.amount, update.currency, update.refunded, update.occurred_at)
        verdict = judge_payment(known, told)
        if not self._note(session, row, update, verdict):
            return PaymentEntity.of(row)  # told before
        if row.provider_id is None:
            row.provider_id = update.provider_id
        before = row.status
        if verdict.outcome == "applied":
            self._change(row, update, verdict, known.at)
        session.flush()
        if verdict.outcome in ("refused", "mismatch"):
            self._warn(row, update, verdict)
        self._tell(session, row, update, verdict, before)
        return PaymentEntity.of(row)

    def _row(self, session: Session, update: PaymentUpdate) -> Payment:
        """Return the payment a message is about, locked; made when nobody knows it yet."""
        found = self._locked(session, update)
        if found is not None:
            return found
        if update.amount is None or update.currency is None:
            raise PaymentNotFoundError(resource_id=update.provider_id or update.reference)
        row = Payment(
            provider=update.provider,
            provider_id=update.provider_id,
            reference=update.reference,
            status=PaymentStatus.PENDING.value,
            currency=update.currency,
            amount=update.amount,
            refunded=Decimal(0),
        )
        try:
            with session.begin_nested():
                session.add(row)
                session.flush()
        except IntegrityError:  # another message about it came at the same time
            found = self._locked(session, update)
            if found is None:
                raise
            return found
        return row

    def _locked(self, session: Session, update: PaymentUpdate) -> Payment | None:
        found = self._by(session, update.provider, provider_id=update.provider_id, lock=True)
        if found is None and update.reference is not None:
            found = self._by(session, update.provider, reference=update.reference, lock=True)
            # Linked meanwhile to this very payment, it is the one that is meant.
            known = None if found is None else found.provider_id
            if None not in (known, update.provider_id) and known != update.provider_id:
                msg = "two payments of the supplier name the same reference"
                raise ConflictError(msg, details={"field": "reference"})
        return found

    @staticmethod
    def _by(
        session: Session,
        provider: str,
        *,
        provider_id: str | None = None,
        reference: str | None = None,
        lock: bool = False,
    ) -> Payment | None:
        if provider_id is None and reference is None:
            return None
        statement = select(Payment).where(Payment.provider == provider)
        if provider_id is not None:
            statement = statement.where(Payment.provider_id == provider_id)
        if reference is not None:
            statement = statement.where(Payment.reference == reference)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        return session.scalars(statement).one_or_none()

    @staticmethod
    def _note(session: Session, row: Payment, update: PaymentUpdate, verdict: PaymentVerdict) -> bool:
        """Write the message down; False when it was before."""
        known = select(PaymentEvent.id).where(
            PaymentEvent.provider == update.provider, PaymentEvent.event_id == update.event_id
        )
        if session.scalar(known) is not None:
            return False
        session.add(
            PaymentEvent(
                payment_id=row.id,
                provider=update.provider,
                event_id=update.event_id,
                type=update.type,
                status=None if update.status is None else update.status.value,
                outcome=verdict.outcome,
                occurred_at=update.occurred_at,
            )
        )
        return True

    @staticmethod
    def _change(
        row: Payment, update: PaymentUpdate, verdict: PaymentVerdict, known_at: datetime | None
    ) -> None:
        row.status = verdict.status.value
        row.refunded = verdict.refunded
        row.failure_code = update.failure_code if verdict.status is PaymentStatus.FAILED else None
        row.changed_at = update.occurred_at if known_at is None else max(known_at, update.occurred_at)

    @staticmethod
    def _warn(row: Payment, update: PaymentUpdate, verdict: PaymentVerdict) -> None:
        get_logger("shared.commerce").warning(
            "a supplier tells of a payment what cannot be",
            payment_id=str(row.id),
            provider=row.provider,
            event_id=update.event_id,
            outcome=verdict.outcome,
            status=row.status,
            told=str(update.status),
        )

    def _tell(
        self,
        session: Session,
        row: Payment,
        update: PaymentUpdate,
        verdict: PaymentVerdict,
        before: str,
    ) -> None:
        """Write a message for the outbox: for a change, and for money that is not what was asked for."""
        what = {"applied": row.status, "mismatch": "mismatch"}.get(verdict.outcome)
        if self.outbox is None or what is None:
            return
        payload = {
            "payment_id": str(row.id),
            "provider": row.provider,
            "provider_id": row.provider_id,
            "reference": row.reference,
            "order_id": None if row.order_id is None else str(row.order_id),
            "from": before,
            "to": row.status,
            "amount": str(row.amount),
            "refunded": str(row.refunded),
            "currency": row.currency,
            "event_id": update.event_id,
        }
        self.outbox.add(session, f"commerce.payment.{what}", payload, aggregate=f"payment:{row.id}")

    # -- reading -----------------------------------------------------------------

    @staticmethod
    def get(session: Session, payment_id: Any) -> PaymentEntity:
        """Return a payment."""
        return PaymentEntity.of(payments.get(session, uuid_of(payment_id, "payment_id")))

    def find(
        self, session: Session, provider: str, provider_id: str | None, reference: str | None
    ) -> PaymentEntity | None:
        """Return the payment under a name, or None."""
        if (provider_id is None) == (reference is None):
            raise ValidationError("a payment is found by provider_id or by reference: give one of them")
        if provider_id is not None:
            row = self._by(session, provider, provider_id=reference_of(provider_id))
        else:
            row = self._by(session, provider, reference=reference_of(reference))
        return None if row is None else PaymentEntity.of(row)

    @staticmethod
    def page(
        session: Session, order_id: Any, status: Any, after: str | None, size: int
    ) -> KeysetPage[PaymentEntity]:
        """Return payments, the newest first."""
        where: dict[str, Any] = {}
        if order_id is not None:
            where["order_id"] = uuid_of(order_id, "order_id")
        if status is not None:
            where["status"] = _status_of(status).value
        page = payments.keyset(session, after=after, size=size, where=where, order_by="-id")
        return KeysetPage([PaymentEntity.of(row) for row in page.items], page.next_cursor)

    @staticmethod
    def history(session: Session, payment_id: Any) -> list[PaymentEventEntity]:
        """Return what the supplier told about a payment, in the order in which it came."""
        key = uuid_of(payment_id, "payment_id")
        rows = session.scalars(
            select(PaymentEvent).where(PaymentEvent.payment_id == key).order_by(PaymentEvent.id).limit(1000)
        )
        return [PaymentEventEntity.of(row) for row in rows]


def _status_of(value: Any) -> PaymentStatus:
    try:
        return PaymentStatus(value)
    except ValueError:
        known = ", ".join(PaymentStatus)
        msg = f"unknown payment status {str(value)[:40]!r}; known: {known}"
        raise ValidationError(msg, details={"field": "status"}) from None


def _same(row: Payment, new: NewPayment) -> Payment:
    asked = (new.amount, new.currency, new.order_id)
    if (row.amount, row.currency, row.order_id) != asked:
        msg = "another payment was made under this reference: choose a new one"
        raise ConflictError(msg, details={"field": "reference"})
    return row
