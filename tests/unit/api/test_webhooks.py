"""Webhooks as routes: the same answers from FastAPI, Starlette and Flask, installed or bare."""

import json

import pytest
from fastapi import FastAPI
from flask import Flask
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from shared.api.webhooks import add_payment_webhook, add_webhook
from shared.commerce import OrderDAO, PaymentDAO
from shared.database import Base, Database, OutboxMessage, tables_of
from shared.errors import ConfigurationError, InvalidArgumentError, PaymentNotFoundError
from shared.integrations.payments import StripeClient
from shared.integrations.webhooks import WebhookReceiver
from shared.security import sign_webhook
from shared.testing import FakeStripe

SECRET = "0123456789abcdef"
BODY = b'{"id": "evt_1", "type": "ping"}'
pytestmark = pytest.mark.usefixtures("shared_runtime")


@pytest.fixture
def db(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'hooks.db'}") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("commerce", "database"))
        yield database


class FlaskClient:
    def __init__(self, app):
        self._client = app.test_client()

    def post(self, path, content, headers):
        answer = self._client.post(path, data=content, headers=headers)
        return answer.status_code, answer.get_json()


class StarletteClient:
    def __init__(self, app, db):
        self._client, self._db = TestClient(app), db

    def post(self, path, content, headers):
        with self._client as client:
            answer = client.post(path, content=content, headers=headers)
            client.portal.call(self._db.aio.aclose)
        return answer.status_code, answer.json()


@pytest.fixture(params=["fastapi", "starlette", "flask", "fastapi bare", "starlette bare", "flask bare"])
def app(request, db):
    kind, _, bare = request.param.partition(" ")
    made = {"fastapi": FastAPI, "starlette": Starlette, "flask": lambda: Flask("shop")}[kind]()
    if not bare:
        from shared.service import install

        install(made, service="shop")
    made.make_client = (lambda: FlaskClient(made)) if kind == "flask" else (lambda: StarletteClient(made, db))
    yield made
    if not bare:
        from shared.service import uninstall

        uninstall(made)


def test_a_delivery_is_answered_with_200_and_its_repetition_too(app, db):
    seen = []
    add_webhook(app, "/hooks", WebhookReceiver("stripe", SECRET, lambda s, e: seen.append(e.id), database=db))
    headers = {**sign_webhook("stripe", BODY, SECRET), "Content-Type": "application/json"}
    client = app.make_client()

    first = client.post("/hooks", BODY, headers)
    second = client.post("/hooks", BODY, headers)

    assert (first[0], first[1]["data"]) == (200, {"received": True, "duplicate": False})
    assert (second[0], second[1]["data"]) == (200, {"received": True, "duplicate": True})
    assert seen == ["evt_1"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, BODY, 401, "WEBHOOK_SIGNATURE_INVALID"),
        ({"Stripe-Signature": "t=1,v1=\xe9"}, BODY, 401, "WEBHOOK_SIGNATURE_INVALID"),
        ({}, b"x" * 300, 413, "PAYLOAD_TOO_LARGE"),
    ],
    ids=["none", "odd", "large"],
)
def test_what_is_not_genuine_gets_the_envelope_of_an_error(app, db, headers, body, status, code):
    add_webhook(app, "/hooks", WebhookReceiver("stripe", SECRET, database=db, max_bytes=200))
    sent = {
        name: value.encode("latin-1") if not value.isascii() else value for name, value in headers.items()
    }
    if isinstance(app, Flask):
        sent = headers

    answer = app.make_client().post("/hooks", body, {**sent, "Content-Type": "application/json"})

    assert answer[0] == status
    assert answer[1]["error"]["code"] == code


def test_our_errors_of_the_handler_reach_the_supplier_and_nothing_is_recorded(app, db):
    def handle(session, event):
        raise PaymentNotFoundError

    add_webhook(app, "/hooks", WebhookReceiver("stripe", SECRET, handle, database=db))

    answer = app.make_client().post("/hooks", BODY, sign_webhook("stripe", BODY, SECRET))

    assert answer[0] == 404
    with db.read() as session:
        assert session.scalars(select(OutboxMessage)).all() == []


def test_from_the_charge_to_the_paid_order_in_one_transaction(app, db):
    orders, payments = OrderDAO(db), PaymentDAO(db)
    order = orders.create_order(
        {
            "user_id": "u-1",
            "currency": "EUR",
            "items": [{"variant_id": "e-book", "quantity": 1, "unit_price": "4.80", "is_stocked": False}],
        }
    )
    payments.create_payment(
        {
            "provider": "stripe",
            "reference": str(order.id),
            "amount": "4.80",
            "currency": "EUR",
            "order_id": order.id,
        }
    )

    def paid(session, payment):
        if payment.is_paid:
            orders.pay_order(payment.order_id, session=session)

    with FakeStripe(webhook_secret=SECRET) as stripe:
        with StripeClient(stripe.secret_key, base_url=stripe.url) as client:
            charge = client.charge(str(order.id), "4.80", "EUR", payment_method="pm_card_visa")
        body, headers = stripe.webhook("payment_intent.succeeded", stripe.intents[charge.provider_id])
    add_payment_webhook(app, "/hooks/stripe", "stripe", paid, database=db, secrets=SECRET)
    client = app.make_client()

    statuses = [client.post("/hooks/stripe", body, headers)[0] for _ in range(2)]

    assert statuses == [200, 200]
    assert orders.get_order(order.id).status == "paid"
    assert payments.find_payment("stripe", provider_id=charge.provider_id).status == "succeeded"
    with db.read() as session:
        topics = list(session.scalars(select(OutboxMessage.topic).order_by(OutboxMessage.seq)))
    assert topics == [
        "commerce.order.created",
        "commerce.payment.succeeded",
        "commerce.order.paid",
        "webhooks.stripe",
    ]


def test_shopify_tells_of_payments_too(app, db):
    body = json.dumps(
        {
            "id": 7,
            "name": "#1001",
            "financial_status": "paid",
            "total_price": "10.00",
            "currency": "EUR",
            "updated_at": "2026-03-01T10:00:00Z",
        }
    ).encode()
    add_payment_webhook(app, "/hooks/shopify", "shopify", database=db, secrets=SECRET)

    answer = app.make_client().post(
        "/hooks/shopify", body, sign_webhook("shopify", body, SECRET, delivery_id="d-1")
    )

    assert answer[0] == 200
    assert PaymentDAO(db).find_payment("shopify", reference="#1001").status == "succeeded"


def test_the_route_is_not_in_the_openapi_document(db):
    app = FastAPI()
    add_webhook(app, "/hooks", WebhookReceiver("stripe", SECRET, database=db))

    assert "/hooks" not in app.openapi()["paths"]


def test_an_application_path_or_provider_that_is_none_is_refused(db):
    receiver = WebhookReceiver("stripe", SECRET, database=db)
    with pytest.raises(InvalidArgumentError, match="a FastAPI, Starlette or Flask application"):
        add_webhook(object(), "/hooks", receiver)
    with pytest.raises(InvalidArgumentError, match="begins with '/'"):
        add_webhook(Flask("shop"), "hooks", receiver)
    with pytest.raises(ConfigurationError):
        add_payment_webhook(Flask("shop"), "/hooks", "github")


def test_a_route_that_comes_too_late_or_twice_is_told(db):
    app = Flask("shop")
    add_webhook(app, "/hooks", WebhookReceiver("stripe", SECRET, database=db))
    with pytest.raises(ConfigurationError, match="and once"):
        add_webhook(app, "/hooks", WebhookReceiver("stripe", SECRET, database=db))
    app.test_client().get("/")

    with pytest.raises(ConfigurationError, match="before the application's first request"):
        add_webhook(app, "/others", WebhookReceiver("stripe", SECRET, database=db))
