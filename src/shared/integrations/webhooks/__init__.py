"""Take the webhooks of suppliers: checked, each once, in one transaction with what they cause.

No HTTP framework here: ``shared.api.webhooks`` puts a receiver into an application.
"""

from shared.integrations.webhooks._receiver import (
    WebhookHandled,
    WebhookOutcome,
    WebhookReceiver,
    measure_webhooks,
)

__all__ = ["WebhookHandled", "WebhookOutcome", "WebhookReceiver", "measure_webhooks"]
