"""What is said to Stripe, and what its answers mean. Pure: no socket."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from shared.constants import PaymentStatus
from shared.errors import (
    ConflictError,
    ExternalServiceError,
    PaymentDeclinedError,
    PaymentNotFoundError,
    RateLimitError,
    ServiceUnavailableError,
    SharedError,
    ValidationError,
)
from shared.integrations.payments._money import from_minor_units, to_minor_units
from shared.resilience import parse_retry_after

__all__ = [
    "Charge",
    "Refund",
    "Request",
    "charge_of",
    "charge_request",
    "error_of",
    "idempotency_key",
    "refund_of",
]

_S = PaymentStatus
# Source: Stripe, the life of a PaymentIntent.
_STATUS: Final[dict[str, PaymentStatus]] = {
    "requires_payment_method": _S.PENDING,
    "requires_confirmation": _S.PENDING,
    "requires_action": _S.PENDING,
    "requires_capture": _S.PENDING,
    "processing": _S.PENDING,
    "succeeded": _S.SUCCEEDED,
    "canceled": _S.CANCELLED,
}
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_PARAM: Final = re.compile(r"[a-z][a-z0-9_\[\]]{0,99}\Z")
_ID: Final = re.compile(r"[A-Za-z]{2,6}_[A-Za-z0-9_]{1,190}\Z")
_REFERENCE: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,198}[\x21-\x7e]\Z|[\x21-\x7e]\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_MAX_METADATA: Final = 40


@dataclass(frozen=True, slots=True)
class Charge:
    """A payment as Stripe has it.

    Attributes:
        provider_id: Stripe's name for it, ``pi_…``.
        reference: The service's own.
        status: How far it is. ``PENDING`` until the customer has done their part: the
            webhook tells of the rest.
        amount: What is asked for.
        currency: Of the amount.
        next_action: What the customer has to do, such as ``redirect_to_url``; None for nothing.
        client_secret: For the browser; never logged.
        is_replayed: Whether it was made by an earlier call under the same reference.

    Example:
        >>> Charge("pi_1", "order-7", PaymentStatus.SUCCEEDED, Decimal(5), "EUR").status.value
        'succeeded'
    """

    provider_id: str
    reference: str | None
    status: PaymentStatus
    amount: Decimal
    currency: str
    next_action: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    is_replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back.

    Attributes:
        refund_id: Stripe's name for it, ``re_…``.
        provider_id: Of the payment.
        amount: How much.
        currency: Of the amount.
        status: ``pending``, ``succeeded``, ``failed``, ``canceled`` or ``requires_action``.

    Example:
        >>> Refund("re_1", "pi_1", Decimal(5), "EUR", "succeeded").amount
        Decimal('5')
    """

    refund_id: str
    provider_id: str
    amount: Decimal
    currency: str
    status: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the same form under the same key, whatever how often it is sent."""

    operation: str
    form: Mapping[str, str]
    key: str


def idempotency_key(operation: str, reference: Any, attempt: Any = 1) -> str:
    """Return the ``Idempotency-Key`` of an operation: the same for the same business key, always.

    Args:
        operation: Such as ``"charge"``.
        reference: The service's own name for what it is about.
        attempt: Counts the customer's tries, from 1: another card is another try.

    Raises:
        ValidationError: *reference* is not 1 to 200 printable ASCII characters, or
            *attempt* is below 1.

    Example:
        >>> idempotency_key("charge", "order-7") == idempotency_key("charge", "order-7")
        True
        >>> idempotency_key("charge", "order-7", 2) == idempotency_key("charge", "order-7")
        False
    """
    if not isinstance(reference, str) or not _REFERENCE.match(reference):
        msg = "reference: 1 to 200 printable ASCII characters expected"
        raise ValidationError(msg, details={"field": "reference"})
    if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt < 1:
        raise ValidationError("attempt: a whole number from 1 expected", details={"field": "attempt"})
    # Length before each part: "a" + "bc" is not "ab" + "c".
    parts = "".join(f"{len(part)}:{part}" for part in (operation, reference, str(attempt)))
    return f"{operation}-{hashlib.sha256(parts.encode()).hexdigest()}"


def charge_request(
    reference: str,
    amount: Decimal | int | str,
    currency: str,
    *,
    attempt: int,
    payment_method: str | None,
    customer: str | None,
    description: str | None,
    metadata: Mapping[str, str] | None,
    return_url: str | None,
) -> Request:
    """Return the request that makes a PaymentIntent."""
    minor = to_minor_units(amount, currency)
    if minor == 0:
        raise ValidationError("amount: more than 0 expected", details={"field": "amount"})
    key = idempotency_key("charge", reference, attempt)
    form = {
        "amount": str(minor),
        "currency": currency.lower(),
        "automatic_payment_methods[enabled]": "true",
        **_metadata(metadata),
        "metadata[reference]": reference,
    }
    if payment_method is not None:
        form |= {"payment_method": checked_id(payment_method, "payment_method"), "confirm": "true"}
        if return_url is None:
            form["automatic_payment_methods[allow_redirects]"] = "never"
        else:
            form["return_url"] = return_url
    if customer is not None:
        form["customer"] = checked_id(customer, "customer")
    if description is not None:
        form["description"] = _line(description, "description", 500)
    return Request("charge", form, key)


def refund_request(
    reference: str, provider_id: str, amount: Decimal | int | str | None, currency: str | None
) -> Request:
    """Return the request that gives money back."""
    form = {"payment_intent": checked_id(provider_id, "provider_id"), "metadata[reference]": reference}
    if amount is not None:
        if currency is None:
            raise ValidationError("currency: needed with an amount", details={"field": "currency"})
        form["amount"] = str(to_minor_units(amount, currency))
    return Request("refund", form, idempotency_key("refund", reference))


def _metadata(metadata: Mapping[Any, Any] | None) -> dict[str, str]:
    given = dict(metadata or {})
    if len(given) > _MAX_METADATA:
        msg = f"metadata: at most {_MAX_METADATA} entries, got {len(given)}"
        raise ValidationError(msg, details={"field": "metadata"})
    for name in given:
        if not isinstance(name, str) or not _NAME.match(name) or name == "reference":
            msg = "metadata: names of 1 to 40 of A-Z a-z 0-9 _ - expected, and not 'reference'"
            raise ValidationError(msg, details={"field": "metadata"})
    return {f"metadata[{name}]": _line(value, "metadata", 500) for name, value in given.items()}


def _line(value: object, name: str, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        msg = f"{name}: one line of at most {limit} characters expected"
        raise ValidationError(msg, details={"field": name})
    return value


def checked_id(value: object, name: str) -> str:
    """Return *value*, an id of Stripe's.

    Raises:
        ValidationError: It is none.
    """
    if not isinstance(value, str) or not _ID.match(value):
        msg = f"{name}: an id of Stripe's expected, such as pi_123"
        raise ValidationError(msg, details={"field": name})
    return value


# --- answers -----------------------------------------------------------------------------


def document_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*.

    Raises:
        ExternalServiceError: There is none.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ExternalServiceError("Stripe answered with something else than JSON", retryable=False)
    return found


def charge_of(document: Mapping[str, Any], *, is_replayed: bool = False) -> Charge:
    """Return the payment that Stripe describes.

    Raises:
        ExternalServiceError: The answer is not of the documented form.
    """
    try:
        currency = str(document["currency"]).upper()
        metadata = document.get("metadata") or {}
        action = (document.get("next_action") or {}).get("type")
        failed = document.get("last_payment_error") is not None
        status = _STATUS[document["status"]]
        if failed and document["status"] == "requires_payment_method":
            status = _S.FAILED
        return Charge(
            provider_id=checked_id(document["id"], "id"),
            reference=metadata.get("reference"),
            status=status,
            amount=from_minor_units(document["amount"], currency),
            currency=currency,
            next_action=action if isinstance(action, str) else None,
            client_secret=document.get("client_secret"),
            is_replayed=is_replayed,
        )
    except (LookupError, TypeError, AttributeError, ValidationError) as exc:
        raise _odd(exc) from exc


def refund_of(document: Mapping[str, Any]) -> Refund:
    """Return the refund that Stripe describes.

    Raises:
        ExternalServiceError: The answer is not of the documented form.
    """
    try:
        currency = str(document["currency"]).upper()
        return Refund(
            refund_id=checked_id(document["id"], "id"),
            provider_id=checked_id(document["payment_intent"], "payment_intent"),
            amount=from_minor_units(document["amount"], currency),
            currency=currency,
            status=str(document["status"]),
        )
    except (LookupError, TypeError, AttributeError, ValidationError) as exc:
        raise _odd(exc) from exc


def _odd(cause: Exception) -> ExternalServiceError:
    msg = "Stripe's answer is not of the documented form"
    return ExternalServiceError(msg, details={"service": "stripe"}, cause=cause, retryable=False)


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> SharedError:
    """Return the error that an answer from 400 on stands for. Stripe's own sentences are left out."""
    told = _told(body)
    details: dict[str, Any] = {"service": "stripe", "status": status, **told}
    kind = told.get("type")
    if kind == "card_error" or status == 402:
        return PaymentDeclinedError(details=details)
    if kind == "idempotency_error":
        msg = "another payment was asked for under this reference: choose a new one, or count attempt up"
        return ConflictError(msg, details=details)
    if status == 409:
        return ConflictError("the same request is under way at Stripe", details=details, retryable=True)
    if status in (401, 403):
        msg = f"Stripe answered {status} and refused the key: is STRIPE_SECRET_KEY right, and not expired?"
        return ExternalServiceError(msg, details=details, retryable=False)
    if status == 404:
        return PaymentNotFoundError(details=details)
    wait = parse_retry_after(headers.get("retry-after", ""))
    if status == 429:
        return RateLimitError("Stripe takes no more requests for now", retry_after=wait, details=details)
    if status == 503:
        return ServiceUnavailableError("Stripe is not available", retry_after=wait, details=details)
    if status < 500:
        where = f" because of {told['param']!r}" if "param" in told else ""
        return ValidationError(f"Stripe refused the request{where}", details=details)
    return ExternalServiceError(f"Stripe answered {status}", details=details)


def _told(body: bytes) -> dict[str, str]:
    """Return the codes in an error of Stripe's, which are safe to show."""
    if len(body) > 65_536:
        return {}
    try:
        error = json.loads(body)["error"]
        given = {name: error.get(name) for name in ("type", "code", "decline_code", "param")}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}
    fits = {"param": _PARAM}
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, str) and fits.get(name, _CODE).match(value)
    }
