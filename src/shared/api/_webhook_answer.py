"""What a supplier is told whose delivery was recorded."""

from typing import TYPE_CHECKING

from shared.api._envelope import success_bytes

if TYPE_CHECKING:
    from shared.integrations.webhooks import WebhookOutcome

__all__ = ["accepted"]


def accepted(outcome: "WebhookOutcome") -> bytes:
    """Return the body of the answer."""
    return success_bytes({"received": True, "duplicate": outcome.is_duplicate})
