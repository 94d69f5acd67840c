"""orders: takes orders for what the catalog sells, and never sells what is not there. FastAPI.

DATABASE_URL=sqlite:///orders.db uvicorn examples.orders.app:app --port 8001
"""

from decimal import Decimal
from uuid import UUID

from fastapi import FastAPI

from examples.orders.models import Delivery, Sku, Wanted
from examples.orders.receipts import add_receipts
from examples.orders.settings import OrdersSettings
from examples.orders.shop import open_shop
from examples.orders.suppliers import suppliers
from shared.api import documented
from shared.api.fastapi import EnvelopeRoute
from shared.commerce import AsyncInventory, AsyncOrderDAO, InventoryItemEntity, OrderEntity
from shared.config import get_settings
from shared.errors import ConflictError, ExternalServiceError, ValidationError
from shared.logging import bind, get_logger
from shared.service import install

log = get_logger(__name__)
app = install(FastAPI(title="orders", version="1.0", lifespan=open_shop), OrdersSettings, service="orders")
app.router.route_class = EnvelopeRoute
add_receipts(app)
stock, orders = AsyncInventory(), AsyncOrderDAO()


@app.post("/orders", status_code=201)
@documented(errors=[ConflictError, ExternalServiceError])
async def take_order(wanted: Wanted) -> OrderEntity:
    bind(sku=wanted.sku)
    if wanted.quantity > (most := get_settings(OrdersSettings).orders.MAX_QUANTITY):
        raise ValidationError("too many items in one order", details={"max_quantity": most})
    price = Decimal(await suppliers().price_of(wanted.sku)) / 100
    line = {"variant_id": wanted.sku, "quantity": wanted.quantity, "unit_price": price}
    new = {"user_id": "guest", "currency": "EUR", "items": [line], "details": {"email": wanted.email}}
    order = await orders.checkout(new, suppliers().charge)
    log.info("order taken", order_id=str(order.id), total=str(order.total))
    return order


@app.get("/orders/{order_id}")
async def get_order(order_id: UUID) -> OrderEntity:
    return await orders.get_order(order_id)


@app.delete("/orders/{order_id}")
@documented(errors=[ConflictError])
async def cancel_order(order_id: UUID) -> OrderEntity:
    return await orders.cancel_order(order_id, reason="the customer changed her mind")


@app.get("/stock/{sku}")
async def get_stock(sku: Sku) -> InventoryItemEntity:
    return await stock.get_item(sku)


@app.post("/stock/{sku}")
@documented(errors=[ConflictError])
async def add_stock(sku: Sku, delivery: Delivery) -> InventoryItemEntity:
    return (await stock.add_stock({sku: delivery.quantity}))[0]


@app.get("/broken", include_in_schema=False)
async def broken() -> None:
    raise RuntimeError("the password is hunter2")  # must never reach a client
