"""The chapter about stock: what is not there is not sold, and what nobody takes comes back."""

import secrets
import threading
from typing import Any

from examples.demo._fleet import Answer, Server
from examples.demo._report import Report, check, equal

ERROR = ["success", "error", "timestamp", "version"]


def take_shop(report: Report, catalog: Server, orders: Server) -> None:
    """Order, sell out, cancel, and let many ask for little."""
    report.heading("Stock that cannot be oversold")
    sku = f"beans-{secrets.token_hex(4)}"  # on a database that is kept, every tour has its own
    with report.step("/ready and /health know the database") as facts:
        equal(orders.get("/ready").status, 200, "readiness")
        shown = orders.get("/health").json["checks"]["database"]
        equal(shown["status"], "healthy", "database")
        facts.append(str(shown))
    with report.step("an order reserves its pieces, is paid, and sells them") as facts:
        item = {"sku": sku, "name": "Beans", "price_cents": 990}
        equal(catalog.request("POST", "/items", body=item).status, 201, "catalog")
        equal(orders.request("POST", f"/stock/{sku}", body={"quantity": 3}).status, 200, "delivery")
        first = _order(orders, sku, 2)
        equal((first.status, first.json["data"]["status"]), (201, "paid"), "order")
        equal(_stock(orders, sku), (1, 0), "on hand and reserved")
        facts.append(f"{first.json['data']['total']} {first.json['data']['currency']}, 1 of 3 is left")
    with report.step("sold out: 409 in the envelope, with what is left") as facts:
        refused = _order(orders, sku, 2)
        equal((refused.status, list(refused.json)), (409, ERROR), "status and keys")
        equal(refused.json["error"]["code"], "INSUFFICIENT_STOCK", "code")
        equal(refused.json["error"]["details"]["available"], 1, "available")
        facts.append(refused.json["error"]["message"])
    with report.step("cancelled: the pieces are back, and cancelling again changes nothing") as facts:
        path = f"/orders/{first.json['data']['id']}"
        states = [orders.request("DELETE", path).json["data"]["status"] for _ in range(2)]
        equal(states, ["cancelled", "cancelled"], "states")
        equal((orders.get(path).json["data"]["status"], _stock(orders, sku)), ("cancelled", (3, 0)), "stock")
        facts.append("3 of 3 again")
    with report.step("12 customers at the same time for 3 pieces: no more than 3 get one") as facts:
        statuses = _rush(orders, sku, 12)
        sold, refused_ones = statuses.count(201), statuses.count(409)
        check(1 <= sold <= 3, f"{sold} were sold")
        # A payment that takes too long on a slow machine gives its piece back.
        equal(_stock(orders, sku), (3 - sold, 0), "on hand and reserved")
        facts.append(f"{sold} sold, {refused_ones} refused, nothing oversold")


def failed_orders_hold_nothing(report: Report, orders: Server, sku: str) -> None:
    """Check what is left behind by payments that failed."""
    with report.step("the orders that could not be paid gave their pieces back") as facts:
        on_hand, reserved = _stock(orders, sku)
        equal(reserved, 0, f"reserved pieces of {sku}")
        facts.append(f"{on_hand} on the shelf, none reserved")


def _order(orders: Server, sku: str, quantity: int) -> Answer:
    return orders.request("POST", "/orders", body={"sku": sku, "quantity": quantity})


def _stock(orders: Server, sku: str) -> tuple[int, int]:
    item: dict[str, Any] = orders.get(f"/stock/{sku}").json["data"]
    return item["on_hand"], item["reserved"]


def _rush(orders: Server, sku: str, customers: int) -> list[int]:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(_order(orders, sku, 1).status), daemon=True)
        for _ in range(customers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    check(len(statuses) == customers, f"{customers - len(statuses)} of {customers} got no answer")
    return statuses
