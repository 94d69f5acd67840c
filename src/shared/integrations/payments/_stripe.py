"""Charge through Stripe over plain HTTP: two thin shells around one conversation."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from shared.errors import ConfigurationError, SharedError
from shared.integrations.payments._stripe_talk import (
    Charge,
    Refund,
    Request,
    charge_of,
    charge_request,
    checked_id,
    document_of,
    error_of,
    idempotency_key,
    refund_of,
    refund_request,
)
from shared.resilience import AsyncServiceClient, Guard, Policy, ServiceClient, guard
from shared.runtime import Events, current

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["AsyncStripeClient", "PaymentCall", "StripeClient"]

R = TypeVar("R")
STRIPE_URL: Final = "https://api.stripe.com"
_INTENTS: Final = "/v1/payment_intents"


@dataclass(frozen=True, slots=True)
class PaymentCall:
    """Sent through ``runtime.events`` after a payment supplier was asked.

    Attributes:
        provider: Who.
        operation: ``charge``, ``get``, ``cancel`` or ``refund``.
        seconds: How long it took, tries and waits included.
        error_type: Class of the error; empty when it went well.

    Example:
        >>> PaymentCall("stripe", "charge", 0.3).error_type
        ''
    """

    provider: str
    operation: str
    seconds: float
    error_type: str = ""


class _Stripe:
    """What both clients have in common: everything but the waiting."""

    _kind: Any = None

    def __init__(
        self,
        secret_key: "str | SecretStr",
        *,
        base_url: str = STRIPE_URL,
        api_version: str | None = None,
        timeout: float = 10.0,
        policy: Policy | Guard | None = None,
        events: Events | None = None,
        transport: Any = None,
    ) -> None:
        opened = getattr(secret_key, "get_secret_value", None)
        key = str(opened() if opened is not None else secret_key)
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigurationError(
                "STRIPE_SECRET_KEY: the key of the Stripe API expected, in printable ASCII"
            )
        headers = {"Authorization": f"Bearer {key}"}
        if api_version is not None:
            headers["Stripe-Version"] = api_version
        self._events = events
        self._http: Any = self._kind(
            base_url,
            name="payments",
            policy=guard("payments") if policy is None else policy,
            timeout=timeout,
            headers=headers,
            propagate=False,
            max_response_bytes=1_048_576,
            events=events,
            transport=transport,
        )

    @staticmethod
    def _post(request: Request) -> dict[str, Any]:
        """Return the options of a POST: under its key it may be sent again, whatever became of it."""
        return {"data": dict(request.form), "idempotency_key": request.key, "check": False}

    @staticmethod
    def _charge(answer: Any) -> Charge:
        if answer.status_code >= 400:
            raise error_of(answer.status_code, answer.headers, answer.content)
        replayed = answer.headers.get("idempotent-replayed") == "true"
        return charge_of(document_of(answer.content), is_replayed=replayed)

    @staticmethod
    def _refund(answer: Any) -> Refund:
        if answer.status_code >= 400:
            raise error_of(answer.status_code, answer.headers, answer.content)
        return refund_of(document_of(answer.content))

    def _told(self, operation: str, started: float, error: SharedError | None = None) -> None:
        name = "" if error is None else type(error).__name__
        event = PaymentCall("stripe", operation, time.monotonic() - started, name)
        (self._events or current().events).emit(event)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._http!r}>"


class StripeClient(_Stripe):
    """Charges through Stripe, from threads. Needs the extra ``http``.

    Every request that moves money carries an ``Idempotency-Key`` made of the service's
    own reference, so it may be sent again after whatever failure, by this process or
    another, and moves money once. The guard ``payments`` owns the retries and the
    circuit breaker, which opens after five failures; a declined card is an answer and
    counts for nothing.

    Args:
        secret_key: Text or ``SecretStr``.
        base_url: In place of Stripe's own.
        api_version: ``Stripe-Version``; the account's own when None.
        timeout: Seconds for one try.
        policy: In place of ``guard("payments")``.
        events: Where events go; the current runtime's by default.
        transport: An httpx2 transport in place of the network.

    Raises:
        ConfigurationError: There is no key.
        MissingDependencyError: httpx2 is not installed.

    Example:
        >>> from shared.testing import FakeStripe
        >>> with FakeStripe() as stripe, StripeClient(stripe.secret_key, base_url=stripe.url) as client:
        ...     first = client.charge("order-7", "4.80", "EUR", payment_method="pm_card_visa")
        ...     again = client.charge("order-7", "4.80", "EUR", payment_method="pm_card_visa")
        >>> first.status.value, again.provider_id == first.provider_id, again.is_replayed
        ('succeeded', True, True)
    """

    _kind = ServiceClient

    def charge(
        self,
        reference: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        payment_method: str | None = None,
        customer: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
        return_url: str | None = None,
        attempt: int = 1,
    ) -> Charge:
        """Ask for money: once, however often it is called with the same reference.

        Without *payment_method* the browser finishes it with ``client_secret``. The end of
        it is told by the webhook; ``metadata.reference`` comes back in it.

        Args:
            reference: The service's own name for the payment, such as the order's.
            amount: In the currency's own unit; ``Decimal``, ``int`` or text, never ``float``.
            currency: Three letters.
            payment_method: Stripe's id of the card or account to charge now.
            customer: Stripe's id.
            description: One line, for people.
            metadata: Comes back with every message about it.
            return_url: Where the customer is sent after a redirect.
            attempt: Counts the customer's tries: another card is another try.

        Raises:
            PaymentDeclinedError: The bank said no; ``details["decline_code"]``.
            ConflictError: Something else was asked for under the reference.
            ValidationError: An argument is wrong, here or for Stripe.
            CircuitOpenError: Stripe has failed several times in a row.
            SharedError: Stripe failed; call again with the same reference.
        """
        request = charge_request(
            reference,
            amount,
            currency,
            attempt=attempt,
            payment_method=payment_method,
            customer=customer,
            description=description,
            metadata=metadata,
            return_url=return_url,
        )
        return self._run("charge", lambda: self._charge(self._http.post(_INTENTS, **self._post(request))))

    def get_charge(self, provider_id: str) -> Charge:
        """Return the payment *provider_id* as Stripe has it now.

        Raises:
            PaymentNotFoundError: Stripe does not know it.
            SharedError: As :meth:`charge`.
        """
        path = {"id": checked_id(provider_id, "provider_id")}
        return self._run(
            "get", lambda: self._charge(self._http.get(f"{_INTENTS}/{{id}}", path=path, check=False))
        )

    def cancel_charge(self, reference: str, provider_id: str) -> Charge:
        """Give up a payment that has not succeeded.

        Raises:
            SharedError: As :meth:`charge`.
        """
        path = {"id": checked_id(provider_id, "provider_id")}
        options = self._post(Request("cancel", {}, idempotency_key("cancel", reference)))
        return self._run(
            "cancel", lambda: self._charge(self._http.post(f"{_INTENTS}/{{id}}/cancel", path=path, **options))
        )

    def refund(
        self,
        reference: str,
        provider_id: str,
        amount: Decimal | int | str | None = None,
        currency: str | None = None,
    ) -> Refund:
        """Give money back: once, however often it is called with the same reference.

        Args:
            reference: The service's own name for this refund; a second refund of the same
                payment has another.
            provider_id: Stripe's name for the payment.
            amount: How much; all that is left when None.
            currency: Of the amount.

        Raises:
            SharedError: As :meth:`charge`.
        """
        request = refund_request(reference, provider_id, amount, currency)
        return self._run(
            "refund", lambda: self._refund(self._http.post("/v1/refunds", **self._post(request)))
        )

    def _run(self, operation: str, work: Callable[[], R]) -> R:
        started = time.monotonic()
        try:
            found = work()
        except SharedError as exc:
            self._told(operation, started, exc)
            raise
        self._told(operation, started)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    async def aclose(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


class AsyncStripeClient(_Stripe):
    """A :class:`StripeClient` for coroutines.

    Args:
        secret_key: As :class:`StripeClient`.
        base_url: As :class:`StripeClient`.
        api_version: As :class:`StripeClient`.
        timeout: As :class:`StripeClient`.
        policy: As :class:`StripeClient`.
        events: As :class:`StripeClient`.
        transport: As :class:`StripeClient`.

    Example:
        >>> import asyncio
        >>> from shared.testing import FakeStripe
        >>> async def main(stripe):
        ...     async with AsyncStripeClient(stripe.secret_key, base_url=stripe.url) as client:
        ...         return (await client.charge("order-7", 500, "JPY")).status.value
        >>> with FakeStripe() as stripe:
        ...     asyncio.run(main(stripe))
        'pending'
    """

    _kind = AsyncServiceClient

    async def charge(
        self,
        reference: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        payment_method: str | None = None,
        customer: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
        return_url: str | None = None,
        attempt: int = 1,
    ) -> Charge:
        """See :meth:`StripeClient.charge`."""
        request = charge_request(
            reference,
            amount,
            currency,
            attempt=attempt,
            payment_method=payment_method,
            customer=customer,
            description=description,
            metadata=metadata,
            return_url=return_url,
        )
        return await self._run("charge", self._http.post(_INTENTS, **self._post(request)), self._charge)

    async def get_charge(self, provider_id: str) -> Charge:
        """See :meth:`StripeClient.get_charge`."""
        path = {"id": checked_id(provider_id, "provider_id")}
        sent = self._http.get(f"{_INTENTS}/{{id}}", path=path, check=False)
        return await self._run("get", sent, self._charge)

    async def cancel_charge(self, reference: str, provider_id: str) -> Charge:
        """See :meth:`StripeClient.cancel_charge`."""
        path = {"id": checked_id(provider_id, "provider_id")}
        options = self._post(Request("cancel", {}, idempotency_key("cancel", reference)))
        sent = self._http.post(f"{_INTENTS}/{{id}}/cancel", path=path, **options)
        return await self._run("cancel", sent, self._charge)

    async def refund(
        self,
        reference: str,
        provider_id: str,
        amount: Decimal | int | str | None = None,
        currency: str | None = None,
    ) -> Refund:
        """See :meth:`StripeClient.refund`."""
        request = refund_request(reference, provider_id, amount, currency)
        sent = self._http.post("/v1/refunds", **self._post(request))
        return await self._run("refund", sent, self._refund)

    async def _run(self, operation: str, sent: Awaitable[Any], read: Callable[[Any], R]) -> R:
        started = time.monotonic()
        try:
            found = read(await sent)
        except SharedError as exc:
            self._told(operation, started, exc)
            raise
        self._told(operation, started)
        return found

    def close(self) -> None:
        """Warn when connections are open: they are closed by :meth:`aclose`."""
        self._http.close()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()
