"""What is in stock, and what of it is promised to somebody."""

import uuid
from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, Timestamps, UUIDKey, Versioned

__all__ = ["InventoryItem", "InventoryReservation"]

_ACTIVE = text("state = 'active'")


class InventoryItem(UUIDKey, Timestamps, Versioned, Base):
    """How much there is of one variant of a product, and how much of that is reserved.

    ``0 <= reserved <= on_hand`` is a rule of the database.

    Example:
        >>> InventoryItem(variant_id="espresso", on_hand=5, reserved=2).available
        3
    """

    __tablename__ = "commerce_inventory_items"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        CheckConstraint("on_hand >= 0", name="on_hand"),
        CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="reserved"),
    )

    variant_id: Mapped[str] = mapped_column(String(100), unique=True)
    on_hand: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)

    @property
    def available(self) -> int:
        """Pieces that nobody has reserved."""
        return self.on_hand - self.reserved


class InventoryReservation(UUIDKey, Timestamps, Base):
    """Pieces kept for somebody until they are bought, given back or the time is over.

    States: ``active`` → ``confirmed`` (sold) → ``returned``; ``active`` → ``released``
    or ``expired``.

    Example:
        >>> InventoryReservation.__table__.info["room"]
        'commerce'
    """

    __tablename__ = "commerce_inventory_reservations"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("state IN ('active', 'confirmed', 'released', 'expired', 'returned')", name="state"),
        Index(
            "ix_commerce_inventory_reservations_due",
            "expires_at",
            postgresql_where=_ACTIVE,
            sqlite_where=_ACTIVE,
        ),
    )

    item_id: Mapped[uuid.UUID] = mapped_column(Uuid(), ForeignKey("commerce_inventory_items.id"), index=True)
    order_id: Mapped[uuid.UUID | None] = mapped_column(
        Uuid(), ForeignKey("commerce_orders.id", ondelete="SET NULL"), index=True
    )
    variant_id: Mapped[str] = mapped_column(String(100))
    quantity: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), default="active")
    expires_at: Mapped[datetime | None]
