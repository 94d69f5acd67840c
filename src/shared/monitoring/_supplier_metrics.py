"""The metrics of suppliers: mail and payments."""

from typing import Final

from shared.monitoring._metrics import Metrics

_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class EmailMetrics:
    """Messages and recipients, by backend and outcome.

    Example:
        >>> metrics = Metrics()
        >>> EmailMetrics(metrics).message("smtp", "sent", 0.2)
        >>> metrics.value("email_messages_total", {"backend": "smtp", "outcome": "sent"})
        1.0
    """

    def __init__(self, metrics: Metrics) -> None:
        self._messages = metrics.counter(
            "email_messages", "Messages, by outcome: sent, failed, unknown.", ("backend", "outcome")
        )
        self._recipients = metrics.counter(
            "email_recipients", "Recipients, by outcome: accepted, refused.", ("backend", "outcome")
        )
        self._duration = metrics.histogram(
            "email_send_duration",
            "Duration of handing a message over, tries included.",
            ("backend", "error_type"),
            unit="seconds",
            buckets=_BUCKETS,
        )

    def message(self, backend: str, outcome: str, seconds: float, *, error_type: str = "") -> None:
        """Count a message: sent, failed or unknown."""
        self._messages.labels(backend, outcome).inc()
        self._duration.labels(backend, error_type).observe(seconds)

    def recipients(self, backend: str, *, accepted: int, refused: int) -> None:
        """Count the recipients of a message."""
        for outcome, count in (("accepted", accepted), ("refused", refused)):
            if count:
                self._recipients.labels(backend, outcome).inc(count)


class PaymentMetrics:
    """Calls to payment suppliers and the webhooks that came from them.

    Example:
        >>> metrics = Metrics()
        >>> PaymentMetrics(metrics).webhook("stripe", "processed", 0.01)
        >>> metrics.value("webhook_deliveries_total", {"provider": "stripe", "outcome": "processed"})
        1.0
    """

    def __init__(self, metrics: Metrics) -> None:
        self._calls = metrics.histogram(
            "payment_call_duration",
            "Duration of calls to the supplier, tries included.",
            ("provider", "operation", "error_type"),
            unit="seconds",
            buckets=_BUCKETS,
        )
        self._webhooks = metrics.counter(
            "webhook_deliveries",
            "Webhooks, by outcome: processed, duplicate, refused, failed.",
            ("provider", "outcome"),
        )
        self._webhook_time = metrics.histogram(
            "webhook_duration",
            "Duration of dealing with a webhook.",
            ("provider",),
            unit="seconds",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
        )

    def call(self, provider: str, operation: str, seconds: float, *, error_type: str = "") -> None:
        """Count a call to the supplier."""
        self._calls.labels(provider, operation, error_type).observe(seconds)

    def webhook(self, provider: str, outcome: str, seconds: float) -> None:
        """Count a webhook: processed, duplicate, refused or failed."""
        self._webhooks.labels(provider, outcome).inc()
        self._webhook_time.labels(provider).observe(seconds)
