"""orders: takes orders for what the catalog sells. FastAPI; run it with any ASGI server.

uvicorn examples.orders.app:app --port 8001
"""

from itertools import count

from fastapi import FastAPI
from pydantic import BaseModel, Field

from examples.orders.settings import OrdersSettings
from examples.orders.suppliers import suppliers
from shared.api.fastapi import EnvelopeRoute
from shared.config import get_settings
from shared.errors import OrderNotFoundError, ValidationError
from shared.logging import bind, get_logger
from shared.service import install

log = get_logger(__name__)
app = install(FastAPI(title="orders", version="1.0"), OrdersSettings, service="orders")
app.router.route_class = EnvelopeRoute


class NewOrder(BaseModel):
    """What a customer asks for."""

    sku: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    quantity: int = Field(gt=0)
    card_number: str | None = Field(default=None, min_length=12, max_length=19)


class Order(BaseModel):
    """An order as it was taken."""

    id: int
    sku: str
    quantity: int
    total_cents: int
    charge: str


orders: dict[int, Order] = {}
numbers = count(1)


@app.post("/orders", status_code=201)
async def take_order(new: NewOrder) -> Order:
    bind(sku=new.sku)
    if new.quantity > (most := get_settings(OrdersSettings).orders.MAX_QUANTITY):
        raise ValidationError("too many items in one order", details={"max_quantity": most})
    total = await suppliers().price_of(new.sku) * new.quantity
    number = next(numbers)
    charge = await suppliers().charge(total, key=f"order-{number}")
    order = Order(id=number, sku=new.sku, quantity=new.quantity, total_cents=total, charge=charge)
    orders[order.id] = order
    log.info("order taken", order_id=order.id, total_cents=order.total_cents)
    return order


@app.get("/orders/{order_id}")
async def get_order(order_id: int) -> Order:
    if order_id not in orders:
        raise OrderNotFoundError(resource_id=order_id)
    return orders[order_id]


@app.get("/broken")
async def broken() -> None:
    raise RuntimeError("the password is hunter2")  # must never reach a client
