"""Stripe's payments on this machine."""

import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

from shared.testing._fake_supplier import FakeAnswer, FakeSupplier, SupplierRequest

__all__ = ["FakeStripe"]

_DECLINED: Final = {
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_chargeDeclinedInsufficientFunds": "insufficient_funds",
}


class FakeStripe(FakeSupplier):
    """Stripe's PaymentIntents and refunds on this machine, idempotency keys included.

    ``pm_card_visa`` pays, ``pm_card_chargeDeclined`` and
    ``pm_card_chargeDeclinedInsufficientFunds`` do not, ``pm_card_authenticationRequired``
    waits for the customer; without a method a payment waits for one.

    Attributes:
        secret_key: The key it takes.
        webhook_secret: What :meth:`webhook` signs with.
        intents: The payments, by id.

    Example:
        >>> from shared.security import verify_webhook
        >>> with FakeStripe() as stripe:
        ...     body, headers = stripe.webhook("payment_intent.succeeded", {"id": "pi_1"})
        ...     verify_webhook("stripe", body, headers, stripe.webhook_secret).type
        'payment_intent.succeeded'
    """

    def __init__(self, secret_key: str = "sk_test_fake", webhook_secret: str = "whsec_fake_0123") -> None:  # noqa: S107
        super().__init__()
        self.secret_key = secret_key
        self.webhook_secret = webhook_secret
        self.intents: dict[str, dict[str, Any]] = {}
        self._done: dict[str, tuple[tuple[str, bytes], FakeAnswer]] = {}
        self._numbers = 0

    def webhook(
        self, type: str, thing: dict[str, Any], *, event_id: str | None = None, created: int | None = None
    ) -> tuple[bytes, dict[str, str]]:
        """Return body and headers of the delivery that tells of *type*, signed now.

        Args:
            type: Such as ``"payment_intent.succeeded"``.
            thing: ``data.object``, such as one of *intents*.
            event_id: Its id; a new one by default.
            created: Unix seconds of the event; the present by default.
        """
        from shared.security import sign_webhook

        content = {
            "id": event_id or self._id("evt"),
            "object": "event",
            "type": type,
            "created": int(time.time()) if created is None else created,
            "data": {"object": thing},
        }
        body = json.dumps(content).encode()
        return body, {"Content-Type": "application/json", **sign_webhook("stripe", body, self.webhook_secret)}

    def answer(self, request: SupplierRequest) -> FakeAnswer:
        """Do what Stripe does, once for each idempotency key."""
        if request.headers.get("authorization") != f"Bearer {self.secret_key}":
            return _error(401, "invalid_request_error")
        key = request.headers.get("idempotency-key")
        asked = (request.path, request.body)
        known = self._done.get(key) if key else None
        if known is not None:
            if known[0] != asked:
                return _error(400, "idempotency_error")
            return FakeAnswer(known[1].status, known[1].body, {"Idempotent-Replayed": "true"})
        found = self._carry_out(request)
        if key and found.status < 500:
            self._done[key] = (asked, found)
        return found

    def _carry_out(self, request: SupplierRequest) -> FakeAnswer:
        parts = urlsplit(request.path).path.strip("/").split("/")
        if parts[:2] == ["v1", "refunds"]:
            return self._refund(request.form())
        if parts[:2] != ["v1", "payment_intents"]:
            return _error(404, "invalid_request_error", "resource_missing")
        if len(parts) == 2:
            return self._create(request.form())
        intent = self.intents.get(parts[2])
        if intent is None:
            return _error(404, "invalid_request_error", "resource_missing")
        if parts[3:] == ["cancel"]:
            if intent["status"] == "succeeded":
                return _error(400, "invalid_request_error", "payment_intent_unexpected_state")
            intent["status"] = "canceled"
        return FakeAnswer(200, dict(intent))

    def _create(self, form: dict[str, str]) -> FakeAnswer:
        if not form.get("amount", "").isdigit():
            return _error(400, "invalid_request_error", "parameter_invalid_integer", param="amount")
        method = form.get("payment_method")
        if method in _DECLINED:
            return _error(402, "card_error", "card_declined", decline_code=_DECLINED[method])
        number = self._id("pi")
        waits = {"pm_card_authenticationRequired": "requires_action", None: "requires_payment_method"}
        metadata = {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")}
        intent: dict[str, Any] = {
            "id": number,
            "object": "payment_intent",
            "amount": int(form["amount"]),
            "currency": form["currency"],
            "status": waits.get(method, "succeeded"),
            "client_secret": f"{number}_secret_fake",
            "metadata": metadata,
            "next_action": {"type": "redirect_to_url"} if waits.get(method) == "requires_action" else None,
            "last_payment_error": None,
        }
        self.intents[number] = intent
        return FakeAnswer(200, dict(intent))

    def _refund(self, form: dict[str, str]) -> FakeAnswer:
        intent = self.intents.get(form.get("payment_intent", ""))
        if intent is None:
            return _error(404, "invalid_request_error", "resource_missing")
        left = intent["amount"] - intent.get("amount_refunded", 0)
        amount = int(form.get("amount", left))
        if amount > left:
            return _error(400, "invalid_request_error", "charge_already_refunded", param="amount")
        intent["amount_refunded"] = intent.get("amount_refunded", 0) + amount
        return FakeAnswer(
            200,
            {
                "id": self._id("re"),
                "payment_intent": intent["id"],
                "amount": amount,
                "currency": intent["currency"],
                "status": "succeeded",
            },
        )

    def _id(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}_fake{self._numbers}"


def _error(status: int, kind: str, code: str | None = None, **more: str) -> FakeAnswer:
    error = {"type": kind, "message": "said by the fake", **more}
    return FakeAnswer(status, {"error": {**error, **({"code": code} if code else {})}})
