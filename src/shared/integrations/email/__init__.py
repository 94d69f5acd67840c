"""Send mail: by SMTP or SendGrid, from templates, with attachments, one message or many.

Importing it opens nothing; templates and coroutines over SMTP need the extra ``email``,
SendGrid the extra ``http``.
"""

from shared.integrations.email._accessors import (
    asend_email,
    backend_from_settings,
    get_async_mailer,
    get_mailer,
    measure_email,
    send_email,
)
from shared.integrations.email._address import Address
from shared.integrations.email._attachment import Attachment
from shared.integrations.email._backend import (
    ConsoleBackend,
    Delivery,
    EmailBackend,
    FileBackend,
    Letter,
    MemoryBackend,
)
from shared.integrations.email._delivery import (
    DeliveryEvent,
    DeliveryKind,
    delivery_events,
    email_webhooks,
)
from shared.integrations.email._mailer import AsyncMailer, Mailer
from shared.integrations.email._message import EmailMessage
from shared.integrations.email._outcome import (
    BulkProgress,
    BulkReport,
    BulkResult,
    EmailFailed,
    EmailReceipt,
    EmailSent,
    Refusal,
)
from shared.integrations.email._sendgrid import SendGridBackend
from shared.integrations.email._smtp import SmtpBackend
from shared.integrations.email._templates import EmailContent, EmailTemplates

__all__ = [
    "Address",
    "AsyncMailer",
    "Attachment",
    "BulkProgress",
    "BulkReport",
    "BulkResult",
    "ConsoleBackend",
    "Delivery",
    "DeliveryEvent",
    "DeliveryKind",
    "EmailBackend",
    "EmailContent",
    "EmailFailed",
    "EmailMessage",
    "EmailReceipt",
    "EmailSent",
    "EmailTemplates",
    "FileBackend",
    "Letter",
    "Mailer",
    "MemoryBackend",
    "Refusal",
    "SendGridBackend",
    "SmtpBackend",
    "asend_email",
    "backend_from_settings",
    "delivery_events",
    "email_webhooks",
    "get_async_mailer",
    "get_mailer",
    "measure_email",
    "send_email",
]
