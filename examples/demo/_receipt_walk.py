"""The chapter about a payment: what one order causes, in three services, under one correlation id."""

import time
from typing import Any

from examples.demo._fleet import Server
from examples.demo._report import Report, check, equal

_ID = "tour-receipt-7"
_PATIENCE = 20.0  # seconds; a loaded machine is slow


def walk_to_the_receipt(report: Report, payments: Server, orders: Server) -> None:
    """Order, and follow what happens until the customer has a receipt."""
    report.heading("From the order to the receipt: webhook, storage, e-mail")
    with report.step("an order is paid, and its receipt is sent by mail") as facts:
        order = {"sku": "espresso", "quantity": 3, "email": "ada@example.com"}
        answer = orders.request("POST", "/orders", body=order, headers={"X-Correlation-ID": _ID})
        equal((answer.status, answer.json["data"]["status"]), (201, "paid"), "order")
        order_id = answer.json["data"]["id"]
        mails = _wait_for(lambda: orders.get("/outbox").json["data"])
        equal(mails, [{"to": ["ada@example.com"], "subject": "Your receipt"}], "outbox")
        facts.append(f"{mails[0]['subject']!r} to one reader")
    with report.step("the receipt is in the storage, and is given out") as facts:
        receipt = orders.get(f"/orders/{order_id}/receipt")
        equal((receipt.status, receipt.headers["content-type"]), (200, "text/plain"), "answer")
        text = receipt.body.decode()
        check("3 x espresso" in text and "Total 7.2" in text, f"the receipt reads {text!r}")
        facts.append(text.splitlines()[0])
        known = {"If-None-Match": receipt.headers["etag"]}
        equal(orders.get(f"/orders/{order_id}/receipt", headers=known).status, 304, "what the client has")
        part = orders.get(f"/orders/{order_id}/receipt", headers={"Range": "bytes=0-6"})
        equal((part.status, part.body), (206, b"Receipt"), "a part")
        facts.append("304 to who has it, 206 for a part")
    with report.step("every step of it is in the logs under the one correlation id") as facts:
        steps = [
            (payments, "POST /charges", lambda e: e.get("path") == "/charges"),
            (orders, "order taken", lambda e: e["event"] == "order taken"),
            (orders, "payment notice", lambda e: e["event"] == "payment notice"),
            (orders, "receipt stored", lambda e: e["event"] == "receipt stored"),
            (orders, "e-mail sent", lambda e: e["event"] == "e-mail sent"),
            (payments, "notice taken", lambda e: e["event"] == "notice taken"),
        ]
        for server, name, fits in steps:
            found = _wait_for(lambda s=server, f=fits: [e for e in _events(s) if f(e)])  # type: ignore[misc]
            check(found, f"no line {name!r} with {_ID} in the log of {server.name}")
            facts.append(f"{server.name}: {name}")
    with report.step("a notice that is delivered again is answered, and causes nothing") as facts:
        before = len(orders.get("/outbox").json["data"])
        repeated = _repeat(payments, orders)
        equal(
            (repeated, len(orders.get("/outbox").json["data"])),
            ([200, 200, 401], before),
            "answers and mails",
        )
        facts.append("200, 200 and still one mail; 401 for a signature that is none")


def _repeat(payments: Server, orders: Server) -> list[int]:
    """Deliver a notice of no consequence twice, and one that nobody signed."""
    from shared.security import sign_webhook

    body = b'{"id": "evt_tour", "type": "customer.updated", "created": 1, "data": {"object": {}}}'
    signed = sign_webhook("stripe", body, payments.env["NOTICE_SECRET"])
    forged = sign_webhook("stripe", body, "whsec_somebody-else")
    return [
        orders.request("POST", "/webhooks/payments", body=body, headers=headers).status
        for headers in (dict(signed), dict(signed), dict(forged))
    ]


def _events(server: Server) -> list[dict[str, Any]]:
    return [event for event in server.log_events() if event.get("correlation_id") == _ID]


def _wait_for(look: Any) -> Any:
    give_up = time.monotonic() + _PATIENCE
    while not (found := look()) and time.monotonic() < give_up:
        time.sleep(0.05)
    return found
