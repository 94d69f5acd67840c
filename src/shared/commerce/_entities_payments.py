"""Payments as values: what goes in, checked, and what comes out."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from shared.commerce._checks import Currency, Details, Reference
from shared.constants import PaymentStatus
from shared.database import Entity, ExactAmount

__all__ = ["NewPayment", "PaymentEntity", "PaymentEventEntity", "PaymentUpdate"]

_Provider = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
_Type = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./:-]{1,100}$")]
_Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,100}$")]
_Amount = Annotated[ExactAmount, Field(ge=0)]


class NewPayment(Entity, extra="forbid"):
    """A payment to be followed; see :meth:`PaymentDAO.create_payment`.

    Attributes:
        provider: Who carries it out: ``stripe``, ``shopify`` or another lower-case name.
        reference: The service's own name for it; the second one under it is the first.
        amount: What is asked for; ``Decimal``, ``int`` or text, never ``float``.
        currency: Of the amount.
        order_id: What it pays for, when it is an order of ours.
        provider_id: The supplier's name for it, when it is known.
        details: Anything as JSON.

    Example:
        >>> NewPayment(provider="stripe", reference="order-7", amount="4.80", currency="EUR").amount
        Decimal('4.8000')
    """

    provider: _Provider
    reference: Reference
    amount: _Amount
    currency: Currency
    order_id: uuid.UUID | None = None
    provider_id: Reference | None = None
    details: Details | None = None


class PaymentUpdate(Entity, extra="forbid"):
    """What a supplier tells about a payment; see :meth:`PaymentDAO.apply_payment_event`.

    Attributes:
        provider: Who tells.
        event_id: The supplier's id of the message: the second one under it changes nothing.
        type: The supplier's name for what happened.
        occurred_at: When, by the supplier's clock.
        provider_id: The supplier's name for the payment.
        reference: The service's own name for it, when the supplier gives it back.
        status: The state it tells of; None when it tells of none.
        amount: What is paid.
        currency: Of the amounts.
        refunded: Given back altogether, not by this message alone.
        failure_code: Why it failed.

    Example:
        >>> from datetime import UTC, datetime
        >>> PaymentUpdate(provider="stripe", event_id="evt_1", type="payment_intent.succeeded",
        ...     occurred_at=datetime(2026, 1, 1, tzinfo=UTC), provider_id="pi_1", status="succeeded").status
        <PaymentStatus.SUCCEEDED: 'succeeded'>
    """

    provider: _Provider
    event_id: Reference
    type: _Type
    occurred_at: AwareDatetime
    provider_id: Reference | None = None
    reference: Reference | None = None
    status: PaymentStatus | None = None
    amount: _Amount | None = None
    currency: Currency | None = None
    refunded: _Amount | None = None
    failure_code: _Code | None = None


class PaymentEntity(Entity):
    """A payment as it is now.

    Example:
        >>> PaymentEntity.model_fields["status"].annotation.__name__
        'PaymentStatus'
    """

    id: uuid.UUID
    provider: str
    provider_id: str | None
    reference: str | None
    order_id: uuid.UUID | None
    status: PaymentStatus
    currency: str
    amount: Decimal
    refunded: Decimal
    failure_code: str | None
    changed_at: datetime | None
    details: dict[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_paid(self) -> bool:
        """Whether the money is there and none of it was given back."""
        return self.status is PaymentStatus.SUCCEEDED


class PaymentEventEntity(Entity):
    """One message of a supplier and what it did.

    Attributes:
        outcome: ``applied``; ``noted`` (it tells of no state); ``stale`` (a newer one came
            before); ``refused`` (there is no way there); ``mismatch`` (another amount or
            currency than was asked for).

    Example:
        >>> PaymentEventEntity.model_fields["outcome"].annotation.__name__
        'str'
    """

    id: uuid.UUID
    payment_id: uuid.UUID
    provider: str
    event_id: str
    type: str
    status: PaymentStatus | None
    outcome: str
    occurred_at: datetime
