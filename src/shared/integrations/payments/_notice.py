"""What a webhook says about a payment, in one form for all suppliers. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from shared.constants import PaymentStatus
from shared.errors import BadRequestError, ValidationError
from shared.integrations.payments._money import from_minor_units
from shared.security import VerifiedEvent

__all__ = ["PaymentNotice", "payment_notice"]

_S = PaymentStatus
# Source: Stripe, types of events; the life of a PaymentIntent.
_STRIPE: Final[dict[str, PaymentStatus]] = {
    "payment_intent.created": _S.PENDING,
    "payment_intent.processing": _S.PENDING,
    "payment_intent.requires_action": _S.PENDING,
    "payment_intent.amount_capturable_updated": _S.PENDING,
    "payment_intent.payment_failed": _S.FAILED,
    "payment_intent.canceled": _S.CANCELLED,
    "payment_intent.succeeded": _S.SUCCEEDED,
    "charge.refunded": _S.REFUNDED,
}
# Source: Shopify Admin API, Order.financial_status.
_SHOPIFY: Final[dict[str, PaymentStatus]] = {
    "pending": _S.PENDING,
    "authorized": _S.PENDING,
    "partially_paid": _S.PENDING,
    "paid": _S.SUCCEEDED,
    "partially_refunded": _S.REFUNDED,
    "refunded": _S.REFUNDED,
    "voided": _S.CANCELLED,
}
_MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """What a supplier tells about a payment.

    :meth:`to_dict` is what ``PaymentDAO.apply_payment_event`` takes.

    Attributes:
        provider: Who tells.
        event_id: The supplier's id of the message.
        type: The supplier's name for what happened.
        occurred_at: When, by the supplier's clock.
        provider_id: The supplier's name for the payment.
        reference: The service's own name for it, as it was given to the supplier.
        status: The state it tells of; ``REFUNDED`` also for a part, see *refunded*.
        amount: What is paid altogether.
        currency: Of the amounts.
        refunded: Given back altogether; None when it does not tell.
        failure_code: Why it failed.

    Example:
        >>> notice = PaymentNotice("stripe", "evt_1", "payment_intent.succeeded",
        ...     datetime(2026, 1, 1, tzinfo=UTC), "pi_1", None, PaymentStatus.SUCCEEDED, Decimal(5), "EUR")
        >>> notice.to_dict()["status"]
        <PaymentStatus.SUCCEEDED: 'succeeded'>
    """

    provider: str
    event_id: str
    type: str
    occurred_at: datetime
    provider_id: str
    reference: str | None
    status: PaymentStatus
    amount: Decimal
    currency: str
    refunded: Decimal | None = None
    failure_code: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the notice as a mapping."""
        return asdict(self)


def payment_notice(event: VerifiedEvent) -> PaymentNotice | None:
    """Return what *event* says about a payment; None when it says nothing about one.

    Stripe: the events of PaymentIntents and ``charge.refunded``. Shopify: whatever has the
    form of an order with a ``financial_status``; the topic is not signed and not believed.

    Raises:
        BadRequestError: It is no JSON, or its fields are not what the supplier documents.

    Example:
        >>> from shared.security import sign_webhook, verify_webhook
        >>> body = (b'{"id": "evt_1", "type": "payment_intent.succeeded", "created": 1700000000, "data": '
        ...     b'{"object": {"id": "pi_1", "amount": 480, "currency": "eur", '
        ...     b'"metadata": {"reference": "order-7"}}}}')
        >>> headers = sign_webhook("stripe", body, "whsec_0123456789")
        >>> notice = payment_notice(verify_webhook("stripe", body, headers, "whsec_0123456789"))
        >>> str(notice.status), notice.amount, notice.reference
        ('succeeded', Decimal('4.80'), 'order-7')
    """
    read = {"stripe": _stripe, "shopify": _shopify}.get(event.provider)
    if read is None:
        return None
    content = event.json()
    if not isinstance(content, Mapping):
        raise _odd(event.provider)
    try:
        return read(event, content)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, ValidationError) as exc:
        raise _odd(event.provider) from exc


def _stripe(_event: VerifiedEvent, content: Mapping[str, Any]) -> PaymentNotice | None:
    kind = content.get("type")
    status = _STRIPE.get(kind) if isinstance(kind, str) else None
    if status is None:
        return None
    thing = content["data"]["object"]
    currency = _text(thing["currency"]).upper()
    refunded = failure = None
    provider_id = thing["id"]
    if kind == "charge.refunded":
        if thing.get("payment_intent") is None:
            return None  # a charge of the time before PaymentIntents
        provider_id = thing["payment_intent"]
        refunded = from_minor_units(thing["amount_refunded"], currency)
    if status is _S.FAILED:
        error = thing.get("last_payment_error") or {}
        code = error.get("decline_code") or error.get("code")
        failure = _text(code)[:100] if code is not None else None
    # Captured in part, less is paid than was asked for.
    amount = thing.get("amount_received", thing["amount"]) if status is _S.SUCCEEDED else thing["amount"]
    metadata = thing.get("metadata") or {}
    reference = metadata.get("reference")
    return PaymentNotice(
        provider="stripe",
        event_id=_text(content["id"]),
        type=_text(kind),
        occurred_at=datetime.fromtimestamp(_whole(content["created"]), UTC),
        provider_id=_text(provider_id),
        reference=None if reference is None else _text(reference),
        status=status,
        amount=from_minor_units(_whole(amount), currency),
        currency=currency,
        refunded=refunded,
        failure_code=failure,
    )


def _shopify(event: VerifiedEvent, content: Mapping[str, Any]) -> PaymentNotice | None:
    told = content.get("financial_status")
    status = _SHOPIFY.get(told) if isinstance(told, str) else None
    if status is None:
        return None
    amount = _decimal(content["total_price"])
    refunded = None
    if status is _S.REFUNDED:
        left = content.get("current_total_price")
        refunded = amount if told == "refunded" or left is None else amount - _decimal(left)
    moment = datetime.fromisoformat(_text(content.get("updated_at") or content["created_at"]))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    name = content.get("name")
    return PaymentNotice(
        provider="shopify",
        # Not signed, so the digest of the body stands for the delivery.
        event_id=event.digest,
        type=f"order.{told}",
        occurred_at=moment,
        provider_id=str(_whole(content["id"])),
        reference=None if name is None else _text(name),
        status=status,
        amount=amount,
        currency=_text(content["currency"]).upper(),
        refunded=refunded,
    )


def _text(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable():
        return value
    raise ValueError("text expected")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        return value
    raise ValueError("a whole number expected")


def _decimal(value: object) -> Decimal:
    try:
        found = Decimal(_text(value))
    except InvalidOperation:
        raise ValueError("a number expected") from None
    if not found.is_finite() or found < 0:
        raise ValueError("a number of 0 or more expected")
    return found


def _odd(provider: str) -> BadRequestError:
    return BadRequestError(f"the {provider} webhook is genuine and not of the documented form")
