"""The mailer of the current runtime, and the function that services call."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigurationError
from shared.integrations.email._address import AddressLike, Recipients
from shared.integrations.email._backend import ConsoleBackend, EmailBackend, FileBackend, MemoryBackend
from shared.integrations.email._mailer import AsyncMailer, Mailer
from shared.integrations.email._message import EmailMessage
from shared.integrations.email._outcome import EmailFailed, EmailReceipt, EmailSent
from shared.integrations.email._sendgrid import SENDGRID_URL, SendGridBackend
from shared.integrations.email._smtp import SmtpBackend
from shared.integrations.email._templates import EmailTemplates
from shared.runtime import Events, Runtime, current

if TYPE_CHECKING:
    from shared.config import EmailSettings
    from shared.monitoring import Metrics

__all__ = [
    "asend_email",
    "backend_from_settings",
    "get_async_mailer",
    "get_mailer",
    "measure_email",
    "send_email",
]


def get_mailer() -> Mailer:
    """Return the current runtime's mailer, built from ``settings.email`` on first use.

    It counts in the metrics when ``METRICS_ENABLED`` is set; the runtime closes it.

    Raises:
        ConfigurationError: A setting of the backend is missing.

    Example:
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")) as runtime, override_settings(EMAIL_BACKEND="memory"):
        ...     get_mailer() is get_mailer()
        ...     runtime.close()
        True
    """
    return current().get(Mailer, lambda runtime: _mailer(Mailer, runtime))


def get_async_mailer() -> AsyncMailer:
    """Return the current runtime's mailer for coroutines; it shares the backend of :func:`get_mailer`.

    Raises:
        ConfigurationError: A setting of the backend is missing.

    Example:
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")) as runtime, override_settings(EMAIL_BACKEND="memory"):
        ...     get_async_mailer().backend is get_mailer().backend
        ...     runtime.close()
        True
    """
    return current().get(AsyncMailer, lambda runtime: _mailer(AsyncMailer, runtime))


def send_email(
    to: Recipients,
    subject: str,
    text: str | None = None,
    *,
    html: str | None = None,
    sender: AddressLike | None = None,
    **options: Any,
) -> EmailReceipt:
    """Send one message with the mailer of the current runtime.

    Args:
        to: Who gets it.
        subject: One line.
        text: Plain text.
        html: The same as HTML.
        sender: Who it comes from; ``EMAIL_FROM`` when None.
        **options: As of :class:`EmailMessage`: ``cc``, ``bcc``, ``reply_to``,
            ``attachments``, ``headers``, ``category``.

    Raises:
        SharedError: As :meth:`Mailer.send`.

    Example:
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")) as runtime, override_settings(EMAIL_BACKEND="memory"):
        ...     send_email("ada@example.com", "Your receipt", "Thank you.", category="receipt")
        ...     runtime.close()
        <EmailReceipt by memory: 1 accepted, 0 refused>
    """
    return get_mailer().send(EmailMessage(to, subject, text=text, html=html, sender=sender, **options))


async def asend_email(
    to: Recipients,
    subject: str,
    text: str | None = None,
    *,
    html: str | None = None,
    sender: AddressLike | None = None,
    **options: Any,
) -> EmailReceipt:
    """See :func:`send_email`; does not block the event loop.

    Example:
        >>> import asyncio
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")) as runtime, override_settings(EMAIL_BACKEND="memory"):
        ...     asyncio.run(asend_email("ada@example.com", "Your receipt", "Thank you."))
        ...     runtime.close()
        <EmailReceipt by memory: 1 accepted, 0 refused>
    """
    message = EmailMessage(to, subject, text=text, html=html, sender=sender, **options)
    return await get_async_mailer().send(message)


def backend_from_settings(section: "EmailSettings") -> EmailBackend:
    """Return the backend that the settings name; the caller closes it.

    Raises:
        ConfigurationError: One of its settings is missing.

    Example:
        >>> from shared.config import EmailSettings
        >>> backend_from_settings(EmailSettings(EMAIL_BACKEND="smtp", SMTP_HOST="mail.example.com"))
        <SmtpBackend mail.example.com:587 starttls>
    """
    name = section.EMAIL_BACKEND
    if name == "smtp":
        if section.SMTP_HOST is None:
            raise ConfigurationError("EMAIL_BACKEND is smtp and SMTP_HOST is not set: name the mail server")
        return SmtpBackend(
            section.SMTP_HOST,
            section.SMTP_PORT,
            tls=section.SMTP_TLS,
            username=section.SMTP_USERNAME,
            password=section.SMTP_PASSWORD,
            timeout=section.SMTP_TIMEOUT,
            allow_plaintext=section.SMTP_ALLOW_PLAINTEXT,
        )
    if name == "sendgrid":
        if section.SENDGRID_API_KEY is None:
            raise ConfigurationError("EMAIL_BACKEND is sendgrid and SENDGRID_API_KEY is not set")
        return SendGridBackend(
            section.SENDGRID_API_KEY,
            base_url=section.SENDGRID_BASE_URL or SENDGRID_URL,
            timeout=section.SMTP_TIMEOUT,
        )
    if name == "file":
        return FileBackend(Path(section.EMAIL_FILE_DIR))
    return MemoryBackend() if name == "memory" else ConsoleBackend()


def measure_email(metrics: "Metrics", events: Events) -> Any:
    """Feed what *events* tell about mail to *metrics*; return a function that stops it.

    Example:
        >>> from shared.monitoring import Metrics
        >>> metrics, events = Metrics(), Events()
        >>> stop = measure_email(metrics, events)
        >>> events.emit(EmailSent("smtp", "<1@example.com>", "receipt", accepted=1, refused=0, seconds=0.2))
        >>> metrics.value("email_messages_total", {"backend": "smtp", "outcome": "sent"})
        1.0
        >>> stop()
    """
    from shared.monitoring import EmailMetrics

    target = EmailMetrics(metrics)

    def sent(event: EmailSent) -> None:
        target.message(event.backend, "sent", event.seconds)
        target.recipients(event.backend, accepted=event.accepted, refused=event.refused)

    def failed(event: EmailFailed) -> None:
        outcome = "failed" if event.accepted is False else "unknown"
        target.message(event.backend, outcome, event.seconds, error_type=event.error_type)

    stops = (events.subscribe(EmailSent, sent), events.subscribe(EmailFailed, failed))

    def stop() -> None:
        for each in stops:
            each()

    return stop


def use_backend(backend: EmailBackend, runtime: Runtime) -> None:
    """Have the mailers of *runtime*, which are not built yet, deliver to *backend*."""
    runtime.replace(_Place, _Place(runtime, backend))


class _Place:
    """The one backend of a runtime, so that both mailers use the same; it counts once."""

    def __init__(self, runtime: Runtime, backend: EmailBackend | None = None) -> None:
        from shared.config import get_settings
        from shared.monitoring import get_metrics
        from shared.runtime import use

        with use(runtime):
            settings = get_settings()
            self.section: EmailSettings = settings.email
            self.backend: EmailBackend = backend_from_settings(settings.email) if backend is None else backend
            if settings.monitoring.METRICS_ENABLED:
                measure_email(get_metrics(), runtime.events)


def _mailer(kind: Any, runtime: Runtime) -> Any:
    place = runtime.get(_Place, _Place)
    section = place.section
    sender = None
    if section.EMAIL_FROM is not None:
        sender = (section.EMAIL_FROM_NAME or "", section.EMAIL_FROM)
    templates = None
    if section.EMAIL_TEMPLATE_DIR is not None:
        templates = EmailTemplates(section.EMAIL_TEMPLATE_DIR, default_locale=section.EMAIL_DEFAULT_LOCALE)
    return kind(
        place.backend,
        sender=sender,
        templates=templates,
        rate=section.EMAIL_BULK_RATE,
        max_bytes=section.EMAIL_MAX_BYTES,
        events=runtime.events,
    )
