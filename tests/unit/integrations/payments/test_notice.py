"""What suppliers say about payments, in one form."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadRequestError, ConfigurationError
from shared.integrations.payments import payment_notice, payment_webhooks
from shared.security import sign_webhook, verify_webhook
from shared.testing import FakeStripe

SECRET = "whsec_0123456789"


def event(provider, content):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return verify_webhook(provider, body, sign_webhook(provider, body, SECRET), SECRET)


def stripe(kind, **thing):
    found = {"id": "pi_1", "amount": 480, "currency": "eur", "metadata": {"reference": "order-7"}, **thing}
    return event("stripe", {"id": "evt_1", "type": kind, "created": 1_700_000_000, "data": {"object": found}})


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("payment_intent.created", "pending"),
        ("payment_intent.processing", "pending"),
        ("payment_intent.succeeded", "succeeded"),
        ("payment_intent.payment_failed", "failed"),
        ("payment_intent.canceled", "cancelled"),
    ],
)
def test_stripe_tells_of_a_payment(kind, status):
    notice = payment_notice(stripe(kind))

    assert (notice.status, notice.amount, notice.currency) == (status, Decimal("4.80"), "EUR")
    assert (notice.provider_id, notice.reference, notice.event_id) == ("pi_1", "order-7", "evt_1")
    assert notice.occurred_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_stripe_tells_why_a_payment_failed():
    notice = payment_notice(
        stripe(
            "payment_intent.payment_failed",
            last_payment_error={"code": "card_declined", "decline_code": "lost_card"},
        )
    )

    assert notice.failure_code == "lost_card"


def test_less_that_was_captured_is_what_was_paid():
    assert payment_notice(stripe("payment_intent.succeeded", amount_received=400)).amount == Decimal("4.00")


def test_stripe_tells_what_was_refunded_altogether():
    notice = payment_notice(stripe("charge.refunded", id="ch_1", payment_intent="pi_1", amount_refunded=180))

    assert (notice.status, notice.provider_id, notice.refunded) == ("refunded", "pi_1", Decimal("1.80"))


def shopify(**content):
    return event(
        "shopify",
        {
            "id": 450789469,
            "name": "#1001",
            "financial_status": "paid",
            "total_price": "10.00",
            "currency": "EUR",
            "updated_at": "2026-03-01T10:00:00-05:00",
            **content,
        },
    )


@pytest.mark.parametrize(
    ("told", "status", "refunded"),
    [
        ("pending", "pending", None),
        ("authorized", "pending", None),
        ("paid", "succeeded", None),
        ("refunded", "refunded", Decimal("10.00")),
        ("partially_refunded", "refunded", Decimal("4.00")),
        ("voided", "cancelled", None),
    ],
)
def test_shopify_tells_of_an_order(told, status, refunded):
    notice = payment_notice(shopify(financial_status=told, current_total_price="6.00"))

    assert (notice.status, notice.refunded, notice.amount) == (status, refunded, Decimal("10.00"))
    assert (notice.provider_id, notice.reference) == ("450789469", "#1001")
    assert notice.occurred_at == datetime(2026, 3, 1, 15, tzinfo=UTC)


def test_the_same_body_is_the_same_event_of_shopify():
    assert payment_notice(shopify()).event_id == payment_notice(shopify()).event_id


@pytest.mark.parametrize(
    "told",
    [
        stripe("customer.created"),
        stripe("charge.refunded", payment_intent=None),
        event("stripe", {"id": "evt_1", "type": 7}),
        event("shopify", {"id": 1, "title": "a product"}),
        event("github", {"zen": "x"}),
    ],
    ids=range(5),
)
def test_what_is_not_about_a_payment_is_none(told):
    assert payment_notice(told) is None


@pytest.mark.parametrize(
    "told",
    [
        event("stripe", b"not json"),
        event("stripe", [1]),
        event("stripe", {"type": "payment_intent.succeeded"}),
        stripe("payment_intent.succeeded", amount="480"),
        stripe("payment_intent.succeeded", amount=-1),
        stripe("payment_intent.succeeded", currency="??"),
        stripe("payment_intent.succeeded", id=None),
        stripe("payment_intent.succeeded", id="x" * 201),
        stripe("payment_intent.succeeded", metadata=[1]),
        stripe("payment_intent.succeeded", metadata={"reference": "a\nb"}),
        shopify(total_price="nan"),
        shopify(total_price=10),
        shopify(updated_at="yesterday"),
        shopify(updated_at="2026-03-01T10:00:00"),
        shopify(id="x"),
        shopify(currency=None),
    ],
    ids=range(16),
)
def test_what_is_not_of_the_documented_form_is_told(told):
    with pytest.raises(BadRequestError):
        payment_notice(told)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    JSON,
    st.dictionaries(
        st.sampled_from(["id", "amount", "currency", "metadata", "amount_refunded", "payment_intent"]), JSON
    ),
    st.dictionaries(
        st.sampled_from(["id", "total_price", "currency", "updated_at", "name", "current_total_price"]), JSON
    ),
)
def test_only_our_errors_come_out(content, thing, order):
    told = [event("stripe", content)] + [
        stripe(kind, **thing) for kind in ("payment_intent.succeeded", "charge.refunded")
    ]
    told += [event("shopify", content), shopify(**order), shopify(financial_status="refunded", **order)]
    for each in told:
        try:
            payment_notice(each)
        except BadRequestError:
            continue


def test_an_unknown_provider_of_payments_is_refused():
    with pytest.raises(ConfigurationError, match="no payments are known of 'github'"):
        payment_webhooks("github")


def test_the_fake_signs_what_it_tells():
    fake = FakeStripe()
    body, headers = fake.webhook("payment_intent.succeeded", {"id": "pi_1", "amount": 1, "currency": "eur"})

    assert payment_notice(verify_webhook("stripe", body, headers, fake.webhook_secret)).provider_id == "pi_1"
