"""Payments on SQLite and PostgreSQL: each message counts once, whoever else works at the same time."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select

from shared.commerce import AsyncPaymentDAO, OrderDAO, PaymentDAO
from shared.database import InboxMessage, OutboxMessage
from shared.errors import SharedError
from shared.integrations.payments import payment_webhooks
from shared.security import sign_webhook

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "whsec_0123456789"


def told(status, at, **more):
    return {
        "provider": "stripe",
        "event_id": f"evt_{at}",
        "type": f"payment_intent.{status}",
        "occurred_at": NOW + timedelta(seconds=at),
        "provider_id": "pi_1",
        "reference": "order-7",
        "status": status,
        "amount": "10",
        "currency": "EUR",
        **more,
    }


MESSAGES = [
    told("pending", 0),
    told("failed", 1, failure_code="card_declined"),
    told("succeeded", 2),
    told("refunded", 3, refunded="3"),
    told("refunded", 4, refunded="7"),
]


def rows(db, table):
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_messages_at_the_same_time_end_in_the_state_of_the_newest(db):
    payments = PaymentDAO(db)
    payments.create_payment({"provider": "stripe", "reference": "order-7", "amount": 10, "currency": "EUR"})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(payments.apply_payment_event, [*MESSAGES, *reversed(MESSAGES)]))

    found = payments.find_payment("stripe", reference="order-7")
    assert (found.status, found.refunded) == ("partially_refunded", Decimal(7))
    assert len(payments.payment_events(found.id)) == 5


def test_a_payment_nobody_created_is_created_once(db):
    payments = PaymentDAO(db)

    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(payments.apply_payment_event, MESSAGES))

    assert len({each.id for each in found}) == 1
    assert len(payments.list_payments().items) == 1


def test_one_reference_is_one_payment_also_for_callers_at_the_same_time(db):
    payments = PaymentDAO(db)
    new = {"provider": "stripe", "reference": "order-8", "amount": 10, "currency": "EUR"}

    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(payments.create_payment, [new] * 5))

    assert len({each.id for each in found}) == 1


async def test_coroutines_at_the_same_time(adb):
    payments = AsyncPaymentDAO(adb)

    await asyncio.gather(*map(payments.apply_payment_event, MESSAGES))

    found = await payments.find_payment("stripe", provider_id="pi_1")
    assert (found.status, found.refunded) == ("partially_refunded", Decimal(7))


def test_of_one_delivery_to_many_processes_one_is_recorded_with_all_it_causes(db):
    orders, payments = OrderDAO(db), PaymentDAO(db)
    line = {"variant_id": "e-book", "quantity": 1, "unit_price": "4.80", "is_stocked": False}
    order = orders.create_order({"user_id": "u-1", "currency": "EUR", "items": [line]})

    def follow(session, notice):
        payments.apply_payment_event(notice.to_dict(), session=session)
        orders.pay_order(order.id, session=session)

    thing = {"id": "pi_7", "amount": 480, "currency": "eur", "metadata": {"reference": str(order.id)}}
    content = {
        "id": "evt_7",
        "type": "payment_intent.succeeded",
        "created": 1_772_000_000,
        "data": {"object": thing},
    }
    body = json.dumps(content).encode()
    receiver = payment_webhooks("stripe", follow, secrets=SECRET, database=db)
    headers = sign_webhook("stripe", body, SECRET)

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: receiver.receive(body, headers).is_duplicate, range(6)))

    assert sorted(outcomes) == [False] + [True] * 5
    assert orders.get_order(order.id).status == "paid"
    assert rows(db, InboxMessage) == 1
    with db.read() as session:
        topics = sorted(session.scalars(select(OutboxMessage.topic)))
    assert topics == [
        "commerce.order.created",
        "commerce.order.paid",
        "commerce.payment.succeeded",
        "webhooks.stripe",
    ]


def test_a_delivery_whose_handling_fails_is_new_the_next_time(db):
    trouble = [SharedError("boom")]

    def follow(session, notice):
        PaymentDAO(db).apply_payment_event(notice.to_dict(), session=session)
        if trouble:
            raise trouble.pop()

    thing = {"id": "pi_9", "amount": 480, "currency": "eur"}
    content = {
        "id": "evt_9",
        "type": "payment_intent.succeeded",
        "created": 1_772_000_000,
        "data": {"object": thing},
    }
    body = json.dumps(content).encode()
    receiver = payment_webhooks("stripe", follow, secrets=SECRET, database=db)
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(receiver.receive(body, sign_webhook("stripe", body, SECRET)).is_duplicate)
        except SharedError:
            outcomes.append((rows(db, InboxMessage), len(PaymentDAO(db).list_payments().items)))

    assert outcomes == [(0, 0), False]
