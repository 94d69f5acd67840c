"""The chapters in which a customer asks twice, and somebody asks too often."""

import secrets

from examples.demo._fleet import Server
from examples.demo._report import Report, check, equal


def ask_twice(report: Report, orders: Server) -> None:
    """Send an order again, as a client does that got no answer."""
    report.heading("Asked twice, done once")
    key = {"Idempotency-Key": f'"{secrets.token_hex(8)}"'}
    order = {"sku": "espresso", "quantity": 1}
    with report.step("the same order with the same Idempotency-Key: taken once, answered twice") as facts:
        before = orders.get("/stock/espresso").json["data"]["on_hand"]
        first, again = (orders.request("POST", "/orders", body=order, headers=key) for _ in range(2))
        equal((first.status, again.status), (201, 201), "statuses")
        equal(again.json["data"]["id"], first.json["data"]["id"], "order")
        equal(again.headers.get("idempotency-replayed"), "true", "mark of the replay")
        equal(orders.get("/stock/espresso").json["data"]["on_hand"], before - 1, "on the shelf")
        facts.append(f"order {first.json['data']['id']}, one espresso less")
    with report.step("the same key for another order: 422") as facts:
        other = orders.request("POST", "/orders", body={**order, "quantity": 2}, headers=key)
        equal((other.status, other.json["error"]["details"]["reason"]), (422, "key_reused"), "refusal")
        facts.append(other.json["error"]["message"])


def ask_too_often(report: Report, catalog: Server) -> None:
    """Ask until the limit of a route says no."""
    report.heading("Asked too often")
    with report.step(
        "a route with a limit answers 429, tells where one stands and when to come back"
    ) as facts:
        answers = [catalog.request("POST", "/items", body={"sku": "?"}) for _ in range(70)]
        statuses = [answer.status for answer in answers]
        refused = answers[-1]
        equal(sorted(set(statuses)), [422, 429], "statuses")
        equal(refused.json["error"]["code"], "RATE_LIMIT_EXCEEDED", "code")
        equal(refused.headers.get("ratelimit-policy"), '"route";q=60;w=60', "policy")
        wait = int(refused.headers["retry-after"])
        check(1 <= wait <= 60, f"Retry-After {wait}")
        facts.append(f"{statuses.count(429)} of 70 refused, Retry-After: {wait}")
    with report.step("other routes of the service are not limited"):
        equal(catalog.get("/items").status, 200, "status")
