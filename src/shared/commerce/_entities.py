"""Stock and orders as values: what goes in, checked, and what comes out."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from shared.commerce._checks import Currency, Details, Quantity, Reference, UserId, VariantId
from shared.commerce._states import OrderStatus
from shared.database import Entity, ExactAmount

__all__ = [
    "InventoryItemEntity",
    "NewOrder",
    "NewOrderItem",
    "OrderEntity",
    "OrderItemEntity",
    "Reservation",
]

_MAX_ITEMS = 500


class InventoryItemEntity(Entity):
    """What is in stock of one variant.

    Example:
        >>> InventoryItemEntity.of({"id": uuid.UUID(int=1), "variant_id": "espresso",
        ...     "on_hand": 5, "reserved": 2, "available": 3, "version": 1}).available
        3
    """

    id: uuid.UUID
    variant_id: str
    on_hand: int
    reserved: int
    available: int
    version: int


class Reservation(Entity):
    """Pieces of one variant that are kept for somebody.

    Attributes:
        id: For :func:`release_inventory` and :func:`confirm_inventory`.
        state: ``active``, ``confirmed``, ``released``, ``expired`` or ``returned``.
        expires_at: When an active one ends by itself; None for never.

    Example:
        >>> Reservation(id=uuid.UUID(int=1), variant_id="espresso", quantity=2, state="active",
        ...     order_id=None, expires_at=None).is_active
        True
    """

    id: uuid.UUID
    variant_id: str
    quantity: int
    state: Literal["active", "confirmed", "released", "expired", "returned"]
    order_id: uuid.UUID | None
    expires_at: AwareDatetime | None

    @property
    def is_active(self) -> bool:
        """Whether the pieces are still kept."""
        return self.state == "active"


class NewOrderItem(Entity, extra="forbid"):
    """A line of an order to be made.

    Attributes:
        variant_id: What, as in the inventory.
        quantity: Pieces, 1 to ``FieldLimit.QUANTITY_MAX``.
        unit_price: For one piece, 0 or more; ``Decimal``, ``int`` or text, never ``float``.
        name: For people.
        is_stocked: False for what has no stock, such as a download.

    Example:
        >>> NewOrderItem(variant_id="espresso", quantity=2, unit_price="2.40").unit_price
        Decimal('2.4000')
    """

    variant_id: VariantId
    quantity: Quantity
    unit_price: Annotated[ExactAmount, Field(ge=0)]
    name: str | None = Field(default=None, max_length=200)
    is_stocked: bool = True


def _some(items: tuple[NewOrderItem, ...]) -> tuple[NewOrderItem, ...]:
    if not items:
        raise ValueError("one line at least expected")
    return items


class NewOrder(Entity, extra="forbid"):
    """An order to be made; see :meth:`OrderDAO.create_order`.

    Attributes:
        user_id: Whose.
        currency: Of the prices.
        items: 1 to 500 lines.
        reference: The caller's own number: the same user's second order under it is
            the first one.
        details: Anything as JSON, such as an address.

    Example:
        >>> NewOrder.parse({"user_id": "u-1", "currency": "EUR", "items": [
        ...     {"variant_id": "espresso", "quantity": 2, "unit_price": "2.40"}]}).total
        Decimal('4.8000')
    """

    user_id: UserId
    currency: Currency
    items: Annotated[tuple[NewOrderItem, ...], Field(max_length=_MAX_ITEMS), AfterValidator(_some)]
    reference: Reference | None = None
    details: Details | None = None

    @property
    def total(self) -> Decimal:
        """The sum of the lines."""
        return sum((item.unit_price * item.quantity for item in self.items), Decimal(0))

    @property
    def stock(self) -> dict[str, int]:
        """Pieces to reserve, by variant; lines of one variant add up."""
        found: dict[str, int] = {}
        for item in self.items:
            if item.is_stocked:
                found[item.variant_id] = found.get(item.variant_id, 0) + item.quantity
        return found


class OrderItemEntity(Entity):
    """A line of an order.

    Example:
        >>> OrderItemEntity(variant_id="espresso", name=None, quantity=2, unit_price=Decimal(2),
        ...     is_stocked=True).subtotal
        Decimal('4')
    """

    variant_id: str
    name: str | None
    quantity: int
    unit_price: Decimal
    is_stocked: bool

    @property
    def subtotal(self) -> Decimal:
        """The price of the line."""
        return self.unit_price * self.quantity


class OrderEntity(Entity):
    """An order as it is now.

    Example:
        >>> OrderEntity.model_fields["status"].annotation.__name__
        'OrderStatus'
    """

    id: uuid.UUID
    user_id: str
    reference: str | None
    status: OrderStatus
    currency: str
    total: Decimal
    items: tuple[OrderItemEntity, ...]
    reason: str | None
    details: dict[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime
