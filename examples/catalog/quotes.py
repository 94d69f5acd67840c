"""What one customer pays now: the old price, or a new one that is still behind its flag."""

from collections.abc import Callable
from typing import Any

from flask import Flask, request
from pydantic import BaseModel

from shared.api import documented
from shared.api.flask import enveloped
from shared.errors import ResourceNotFoundError
from shared.feature_flags import get_flag_outcomes, variant

HAPPY_HOUR = {"espresso": 0.9, "cortado": 0.85}


class Quote(BaseModel):
    """What it costs, and by which prices."""

    sku: str
    price_cents: int
    pricing: str


def add_quotes(app: Flask, find_item: Callable[[str], Any]) -> None:
    """Add the route; *find_item* returns an item, or None."""

    @app.get("/quotes/<sku>")
    @documented(returns=Quote)
    @enveloped
    def quote(sku: str) -> Quote:
        item = find_item(sku)
        if item is None:
            raise ResourceNotFoundError(resource="item", resource_id=sku)
        pricing = variant("dynamic_pricing", {"user_id": request.headers.get("X-Customer")}) or "off"
        with get_flag_outcomes().watch("dynamic_pricing", pricing):
            # New, and wrong for items without a happy hour: that is what the flag is for.
            factor = HAPPY_HOUR[item.sku] if pricing == "on" else 1.0
            return Quote(sku=sku, price_cents=round(item.price_cents * factor), pricing=pricing)
