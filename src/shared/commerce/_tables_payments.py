"""Payments and what their suppliers told about them."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from shared.constants import PaymentStatus
from shared.database import Base, Timestamps, UUIDKey, Versioned, utc_now

__all__ = ["Payment", "PaymentEvent"]

_STATES = ", ".join(f"'{state}'" for state in PaymentStatus)


class Payment(UUIDKey, Timestamps, Versioned, Base):
    """A payment and how far it is, as its supplier tells.

    *reference* is the service's own name for it, *provider_id* the supplier's; a message
    finds it by either.

    Example:
        >>> Payment(provider="stripe", reference="order-7", amount=5, currency="EUR").provider
        'stripe'
    """

    __tablename__ = "commerce_payments"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        UniqueConstraint("provider", "provider_id"),
        UniqueConstraint("provider", "reference"),
        CheckConstraint(f"status IN ({_STATES})", name="status"),
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint("refunded >= 0 AND refunded <= amount", name="refunded"),
        CheckConstraint("provider_id IS NOT NULL OR reference IS NOT NULL", name="identity"),
        Index("ix_commerce_payments_status_id", "status", "id"),
        Index("ix_commerce_payments_order_id_id", "order_id", "id"),
    )

    provider: Mapped[str] = mapped_column(String(32))
    provider_id: Mapped[str | None] = mapped_column(String(200))
    reference: Mapped[str | None] = mapped_column(String(200))
    order_id: Mapped[uuid.UUID | None] = mapped_column(
        Uuid(), ForeignKey("commerce_orders.id", ondelete="RESTRICT")
    )
    status: Mapped[str] = mapped_column(String(20), default=PaymentStatus.PENDING.value)
    currency: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal]
    refunded: Mapped[Decimal] = mapped_column(default=Decimal(0))
    failure_code: Mapped[str | None] = mapped_column(String(100))
    changed_at: Mapped[datetime | None]  # by the supplier's clock
    details: Mapped[dict[str, Any] | None]


class PaymentEvent(UUIDKey, Base):
    """One message of a supplier about a payment, and what it did.

    Example:
        >>> PaymentEvent(provider="stripe", event_id="evt_1", outcome="applied").outcome
        'applied'
    """

    __tablename__ = "commerce_payment_events"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        CheckConstraint("outcome IN ('applied', 'noted', 'stale', 'refused', 'mismatch')", name="outcome"),
        Index("ix_commerce_payment_events_payment_id_id", "payment_id", "id"),
    )

    payment_id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), ForeignKey("commerce_payments.id", ondelete="CASCADE")
    )
    provider: Mapped[str] = mapped_column(String(32))
    event_id: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(String(100))
    status: Mapped[str | None] = mapped_column(String(20))
    outcome: Mapped[str] = mapped_column(String(20))
    occurred_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
