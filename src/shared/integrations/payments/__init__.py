"""Take money: charges that happen once, refunds, and the webhooks that tell how it went.

Stripe over plain HTTP (extra ``http``); webhooks of Stripe and Shopify. Importing it
opens nothing.
"""

from shared.integrations.payments._accessors import (
    get_async_stripe,
    get_stripe,
    measure_payments,
    payment_webhooks,
)
from shared.integrations.payments._money import from_minor_units, to_minor_units
from shared.integrations.payments._notice import PaymentNotice, payment_notice
from shared.integrations.payments._stripe import AsyncStripeClient, PaymentCall, StripeClient
from shared.integrations.payments._stripe_talk import Charge, Refund, idempotency_key

__all__ = [
    "AsyncStripeClient",
    "Charge",
    "PaymentCall",
    "PaymentNotice",
    "Refund",
    "StripeClient",
    "from_minor_units",
    "get_async_stripe",
    "get_stripe",
    "idempotency_key",
    "measure_payments",
    "payment_notice",
    "payment_webhooks",
    "to_minor_units",
]
