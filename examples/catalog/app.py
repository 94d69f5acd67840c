"""catalog: says what can be bought and for how much. Flask; run it with any WSGI server.

waitress-serve --listen=127.0.0.1:8002 examples.catalog.app:app
"""

from flask import Flask, request
from pydantic import BaseModel, Field

from examples.catalog.quotes import add_quotes
from shared.api import Success, documented, load_model, rate_limit
from shared.api.flask import add_openapi, enveloped
from shared.cache import cached
from shared.errors import ConflictError, ResourceNotFoundError
from shared.logging import bind, get_logger
from shared.service import install

log = get_logger(__name__)
app = install(Flask(__name__), service="catalog")
add_openapi(app, title="catalog")


class Item(BaseModel):
    """Something to buy."""

    sku: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    name: str = Field(min_length=1, max_length=80)
    price_cents: int = Field(gt=0, le=1_000_000)


items = {
    "espresso": Item(sku="espresso", name="Espresso", price_cents=240),
    "cortado": Item(sku="cortado", name="Cortado", price_cents=310),
}


@cached(ttl=30.0, key="item:{sku}")
def find_item(sku: str) -> Item | None:
    return items.get(sku)


@app.get("/items")
@documented(returns=list[Item])
@enveloped
def list_items():
    return list(items.values())


@app.get("/items/<sku>")
@documented(returns=Item)
@enveloped
def get_item(sku: str):
    bind(sku=sku)
    item = find_item(sku)
    if item is None:
        raise ResourceNotFoundError(resource="item", resource_id=sku)
    log.info("item looked up", price_cents=item.price_cents)
    return item


add_quotes(app, find_item)


@app.post("/items")
@documented(body=Item, returns=Item, status=201, errors=[ConflictError])
@rate_limit("60/minute")
@enveloped
def add_item():
    item = load_model(Item, request.get_json())
    if item.sku in items:
        raise ConflictError("an item with this sku exists", details={"sku": item.sku})
    items[item.sku] = item
    find_item.invalidate(item.sku)
    return Success(item, message="Item added"), 201


@app.get("/broken")
@documented(hidden=True)
def broken():
    raise RuntimeError("the password is hunter2")  # must never reach a client
