"""Orders and what is in them."""

import uuid
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.commerce._states import OrderStatus
from shared.database import Base, Timestamps, UUIDKey, Versioned

__all__ = ["Order", "OrderItem"]

_STATES = ", ".join(f"'{state}'" for state in OrderStatus)


class Order(UUIDKey, Timestamps, Versioned, Base):
    """What a customer ordered, and how far it is.

    ``user_id`` is no foreign key: users may live in another service. *reference* is the
    caller's own number; a user has one order under it.

    Example:
        >>> Order(user_id="u-1", currency="EUR", total=0).items
        []
    """

    __tablename__ = "commerce_orders"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        UniqueConstraint("user_id", "reference"),
        CheckConstraint(f"status IN ({_STATES})", name="status"),
        CheckConstraint("total >= 0", name="total"),
        Index("ix_commerce_orders_user_id_id", "user_id", "id"),
        Index("ix_commerce_orders_status_id", "status", "id"),
    )

    user_id: Mapped[str] = mapped_column(String(64))
    reference: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20), default=OrderStatus.PENDING.value)
    currency: Mapped[str] = mapped_column(String(10))
    total: Mapped[Decimal]
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str | None] = mapped_column(String(500))
    details: Mapped[dict[str, Any] | None]
    # Loaded with the order, in one more query for any number of orders: nothing is
    # loaded by accident, and nothing is missing in a coroutine.
    items: Mapped[list["OrderItem"]] = relationship(
        lambda: OrderItem,
        back_populates="order",
        lazy="selectin",
        cascade="all, delete-orphan",
        order_by=lambda: OrderItem.position,
    )


class OrderItem(UUIDKey, Base):
    """One line of an order.

    Example:
        >>> from decimal import Decimal
        >>> OrderItem(variant_id="espresso", quantity=2, unit_price=Decimal("2.40")).subtotal
        Decimal('4.80')
    """

    __tablename__ = "commerce_order_items"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("unit_price >= 0", name="unit_price"),
    )

    order_id: Mapped[uuid.UUID] = mapped_column(Uuid(), ForeignKey("commerce_orders.id", ondelete="CASCADE"))
    position: Mapped[int]
    variant_id: Mapped[str] = mapped_column(String(100), index=True)
    name: Mapped[str | None] = mapped_column(String(200))
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]
    is_stocked: Mapped[bool] = mapped_column(default=True)
    order: Mapped[Order] = relationship(Order, back_populates="items", lazy="raise")

    @property
    def subtotal(self) -> Decimal:
        """The price of the line."""
        return self.unit_price * self.quantity
