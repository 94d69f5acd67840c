"""The payment supplier of the current runtime, and its webhooks, from the settings."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigurationError
from shared.integrations.payments._notice import PaymentNotice, payment_notice
from shared.integrations.payments._stripe import STRIPE_URL, AsyncStripeClient, PaymentCall, StripeClient
from shared.integrations.webhooks import WebhookReceiver
from shared.runtime import Events, Runtime, current
from shared.security import VerifiedEvent

if TYPE_CHECKING:
    from shared.monitoring import Metrics

__all__ = ["get_async_stripe", "get_stripe", "measure_payments", "payment_webhooks"]

PaymentHandler = Callable[[Any, PaymentNotice], object]


def get_stripe() -> StripeClient:
    """Return the current runtime's client of Stripe, built from ``settings.stripe`` on first use.

    It counts in the metrics when ``METRICS_ENABLED`` is set; the runtime closes it.

    Raises:
        ConfigurationError: ``STRIPE_SECRET_KEY`` is not set.

    Example:
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")) as runtime, override_settings(STRIPE_SECRET_KEY="sk_test_1"):
        ...     get_stripe() is get_stripe()
        ...     runtime.close()
        True
    """
    return current().get(StripeClient, lambda runtime: _client(StripeClient, runtime))


def get_async_stripe() -> AsyncStripeClient:
    """Return the current runtime's client of Stripe for coroutines; ``runtime.aclose()`` closes it.

    Raises:
        ConfigurationError: ``STRIPE_SECRET_KEY`` is not set.

    Example:
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")) as runtime, override_settings(STRIPE_SECRET_KEY="sk_test_1"):
        ...     get_async_stripe() is get_async_stripe()
        ...     runtime.close()
        True
    """
    return current().get(AsyncStripeClient, lambda runtime: _client(AsyncStripeClient, runtime))


def payment_webhooks(
    provider: str, handle: PaymentHandler | None = None, *, secrets: Any = None, **options: Any
) -> WebhookReceiver:
    """Return a receiver of the webhooks of ``stripe`` or ``shopify``.

    ``shared.api.webhooks.add_webhook`` puts it into an application;
    ``shared.api.webhooks.add_payment_webhook`` keeps the payments of the room ``commerce``
    up to date as well.

    Args:
        provider: Who sends them.
        handle: ``handle(session, notice)`` for what says something about a payment, in the
            transaction that records the delivery.
        secrets: In place of ``STRIPE_WEBHOOK_SECRET`` or ``SHOPIFY_WEBHOOK_SECRET``; several
            during a rotation.
        **options: As of :class:`~shared.integrations.webhooks.WebhookReceiver`.

    Raises:
        ConfigurationError: The provider is another one.

    Example:
        >>> payment_webhooks("stripe")
        <WebhookReceiver of stripe>
    """
    if provider not in _SECRETS:
        known = ", ".join(_SECRETS)
        msg = f"no payments are known of {provider!r} (known: {known}): use WebhookReceiver"
        raise ConfigurationError(msg)

    def run(session: Any, event: VerifiedEvent) -> None:
        notice = payment_notice(event)
        if notice is not None and handle is not None:
            handle(session, notice)

    if provider == "stripe":
        from shared.config import get_settings

        options.setdefault("tolerance", get_settings().stripe.STRIPE_WEBHOOK_TOLERANCE)
    return WebhookReceiver(provider, secrets or _SECRETS[provider], run, **options)


def _stripe_secret() -> Any:
    from shared.config import get_settings

    return get_settings().stripe.STRIPE_WEBHOOK_SECRET


def _shopify_secret() -> Any:
    from shared.config import get_settings

    return get_settings().shopify.SHOPIFY_WEBHOOK_SECRET


_SECRETS: dict[str, Callable[[], Any]] = {"stripe": _stripe_secret, "shopify": _shopify_secret}


def measure_payments(metrics: "Metrics", events: Events) -> Callable[[], None]:
    """Feed what *events* tell about calls of suppliers to *metrics*; return a function that stops it.

    Example:
        >>> from shared.monitoring import Metrics
        >>> metrics, events = Metrics(), Events()
        >>> stop = measure_payments(metrics, events)
        >>> events.emit(PaymentCall("stripe", "charge", 0.2))
        >>> metrics.value("payment_call_duration_seconds_count", {
        ...     "provider": "stripe", "operation": "charge", "error_type": ""})
        1.0
        >>> stop()
    """
    from shared.monitoring import PaymentMetrics

    target = PaymentMetrics(metrics)
    return events.subscribe(
        PaymentCall,
        lambda event: target.call(
            event.provider, event.operation, event.seconds, error_type=event.error_type
        ),
    )


class _Measured:
    """Marks a runtime whose calls are counted, if its settings say so."""

    def __init__(self, runtime: Runtime) -> None:
        from shared.config import get_settings
        from shared.monitoring import get_metrics

        if get_settings().monitoring.METRICS_ENABLED:
            measure_payments(get_metrics(), runtime.events)


def _client(kind: Any, runtime: Runtime) -> Any:
    from shared.config import get_settings
    from shared.runtime import use

    with use(runtime):
        section = get_settings().stripe
        if section.STRIPE_SECRET_KEY is None:
            raise ConfigurationError(
                "STRIPE_SECRET_KEY is not set: payments need the secret key of the Stripe API"
            )
        runtime.get(_Measured, _Measured)
        return kind(
            section.STRIPE_SECRET_KEY,
            base_url=section.STRIPE_BASE_URL or STRIPE_URL,
            api_version=section.STRIPE_API_VERSION,
            timeout=section.STRIPE_TIMEOUT,
            events=runtime.events,
        )
