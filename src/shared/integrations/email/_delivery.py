"""What became of messages after they were taken over, as the supplier tells: bounces and the like."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from shared.database import Inbox
from shared.errors import BadRequestError
from shared.integrations.webhooks import WebhookReceiver
from shared.security import VerifiedEvent

__all__ = ["DeliveryEvent", "DeliveryKind", "delivery_events", "email_webhooks"]

_MAX_EVENTS: Final = 10_000
_MAX_TEXT: Final = 320
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")


class DeliveryKind(StrEnum):
    """What happened to a message.

    Example:
        >>> DeliveryKind("bounce").is_final_failure, DeliveryKind("deferred").is_final_failure
        (True, False)
    """

    PROCESSED = "processed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCE = "bounce"
    BLOCKED = "blocked"
    DROPPED = "dropped"
    OPENED = "opened"
    CLICKED = "clicked"
    SPAM_REPORT = "spam_report"
    UNSUBSCRIBED = "unsubscribed"

    @property
    def is_final_failure(self) -> bool:
        """Whether this address should not be written to again."""
        return self in (DeliveryKind.BOUNCE, DeliveryKind.DROPPED, DeliveryKind.SPAM_REPORT)


_K = DeliveryKind
# Source: SendGrid, reference of the Event Webhook.
_KINDS: Final[dict[str, DeliveryKind]] = {
    "processed": _K.PROCESSED,
    "deferred": _K.DEFERRED,
    "delivered": _K.DELIVERED,
    "bounce": _K.BOUNCE,
    "dropped": _K.DROPPED,
    "open": _K.OPENED,
    "click": _K.CLICKED,
    "spamreport": _K.SPAM_REPORT,
    "unsubscribe": _K.UNSUBSCRIBED,
    "group_unsubscribe": _K.UNSUBSCRIBED,
}


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """One thing that happened to one recipient's message.

    Attributes:
        kind: What.
        event_id: The supplier's id of it: the same when it is told again.
        address: Whose; personal data, in no repr.
        message_id: ``EmailReceipt.message_id`` of the message; None for messages that did
            not come from this library.
        supplier_id: The supplier's own id of the message, or None.
        occurred_at: When.
        status: Enhanced status code of the other server, such as ``"5.1.1"``, or None.

    Example:
        >>> DeliveryEvent(DeliveryKind.BOUNCE, "e-1", "ada@example.com", "<1@example.com>", None,
        ...     datetime(2026, 1, 1, tzinfo=UTC)).kind.value
        'bounce'
    """

    kind: DeliveryKind
    event_id: str
    address: str = field(repr=False)
    message_id: str | None
    supplier_id: str | None
    occurred_at: datetime
    status: str | None = None


def delivery_events(event: VerifiedEvent) -> tuple[DeliveryEvent, ...]:
    """Return what a webhook of SendGrid tells; kinds that are not known are left out.

    Raises:
        BadRequestError: It is no JSON, or not of the documented form.

    Example:
        >>> body = (b'[{"event": "bounce", "sg_event_id": "e-1", "email": "ada@example.com", '
        ...     b'"timestamp": 1700000000}]')
        >>> event = VerifiedEvent("sendgrid", body, None, None, None, "", 0)
        >>> [each.kind.value for each in delivery_events(event)]
        ['bounce']
    """
    content = event.json()
    if not isinstance(content, list) or len(content) > _MAX_EVENTS:
        raise _odd()
    try:
        found = [_event(each) for each in content]
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, OSError) as exc:
        raise _odd() from exc
    return tuple(each for each in found if each is not None)


def _event(content: Mapping[str, Any]) -> DeliveryEvent | None:
    told = content["event"]
    kind = _KINDS.get(told) if isinstance(told, str) else None
    if kind is None:
        return None
    if kind is _K.BOUNCE and content.get("type") == "blocked":
        kind = _K.BLOCKED  # refused for now, for what it was or where it came from
    moment = content["timestamp"]
    if not isinstance(moment, int) or isinstance(moment, bool):
        raise TypeError("a whole number of seconds expected")
    status = content.get("status")
    return DeliveryEvent(
        kind=kind,
        event_id=_text(content["sg_event_id"]),
        address=_text(content["email"]),
        message_id=_optional(content.get("message_id")),
        supplier_id=_optional(content.get("sg_message_id")),
        occurred_at=datetime.fromtimestamp(moment, UTC),
        status=status if isinstance(status, str) and _STATUS.match(status) else None,
    )


def _text(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable():
        return value
    raise ValueError("text expected")


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _odd() -> BadRequestError:
    return BadRequestError("the sendgrid webhook is genuine and not of the documented form")


def email_webhooks(
    handle: Callable[[Any, DeliveryEvent], object], *, secrets: Any = None, **options: Any
) -> WebhookReceiver:
    """Return a receiver of SendGrid's signed events; ``shared.api.webhooks.add_webhook`` mounts it.

    Args:
        handle: ``handle(session, event)``, a plain function, for each event once, also when
            SendGrid tells it again in another delivery; in the transaction that notes it.
        secrets: Public keys in place of ``SENDGRID_WEBHOOK_KEY``.
        **options: As of :class:`~shared.integrations.webhooks.WebhookReceiver`. Nothing is
            written to the outbox by default: the events hold addresses.

    Example:
        >>> email_webhooks(lambda session, event: print(event.kind))
        <WebhookReceiver of sendgrid>
    """
    inbox = Inbox("email:sendgrid")

    def run(session: Any, event: VerifiedEvent) -> None:
        for each in delivery_events(event):
            if inbox.is_new(session, each.event_id):
                handle(session, each)

    return WebhookReceiver("sendgrid", secrets or _key, run, **{"outbox": None, **options})


def _key() -> Any:
    from shared.config import get_settings

    return get_settings().email.SENDGRID_WEBHOOK_KEY
