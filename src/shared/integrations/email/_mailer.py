"""Send mail: two thin shells, for threads and for coroutines, around one core."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Self

from shared.cache import RateLimiter
from shared.errors import SharedError
from shared.integrations.email._address import AddressLike, Recipients
from shared.integrations.email._backend import Delivery, EmailBackend, Letter
from shared.integrations.email._bulk import Bulk, pause
from shared.integrations.email._mail_core import MailCore
from shared.integrations.email._message import EmailMessage
from shared.integrations.email._outcome import BulkProgress, BulkReport, EmailReceipt
from shared.integrations.email._templates import EmailTemplates
from shared.resilience import Guard, Policy, RateLimit
from shared.runtime import Events

__all__ = ["AsyncMailer", "Mailer"]

Progress = Callable[[BulkProgress], object]
_MAX_BYTES: Final = 26_214_400  # what most servers take


class _Mailers:
    """What both have in common: everything but the waiting."""

    def __init__(
        self,
        backend: EmailBackend,
        *,
        sender: AddressLike | None = None,
        templates: EmailTemplates | None = None,
        policy: Policy | Guard | None = None,
        rate: str | RateLimit | RateLimiter | None = None,
        max_bytes: int = _MAX_BYTES,
        allow_partial: bool = False,
        events: Events | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.backend: EmailBackend = backend
        self.templates: EmailTemplates | None = templates
        self._core = MailCore(
            backend.name,
            sender=sender,
            policy=policy,
            rate=rate,
            max_bytes=max_bytes,
            allow_partial=allow_partial,
            events=events,
            clock=clock,
            new_id=new_id,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.backend!r}>"


class Mailer(_Mailers):
    """Sends messages, from threads.

    Each message is checked and written out before anything is opened; passes the guard
    ``email`` (retries, and a circuit breaker that opens after three failures); and ends
    in a receipt or one of our errors. It is tried again only while it is certain that
    nobody has taken it over. Unless *allow_partial*, a message goes to all of its
    recipients or to none. Neither logs, events nor errors hold an address or a subject.

    Args:
        backend: Who carries messages away.
        sender: Who messages come from that name nobody.
        templates: For :meth:`send_template`.
        policy: In place of ``guard("email")``.
        rate: Messages per time for :meth:`send_many`, such as ``"10/second"``, or a
            :class:`~shared.cache.RateLimiter` that several processes share.
        max_bytes: Largest message as it goes over the wire.
        allow_partial: Send to some when the server refuses others; the receipt tells.
        events: Where events go; the current runtime's by default.
        clock: Unix seconds.
        new_id: Makes the left half of a ``Message-ID``.

    Raises:
        ValidationError: *sender* is no address.
        InvalidArgumentError: Another value is out of range.

    Example:
        >>> from shared.integrations.email import MemoryBackend
        >>> outbox = MemoryBackend()
        >>> with Mailer(outbox, sender="Shop <shop@example.com>") as mailer:
        ...     receipt = mailer.send(EmailMessage("ada@example.com", "Hello", text="Hello Ada"))
        >>> receipt.accepted, outbox.last.subject
        (('ada@example.com',), 'Hello')
    """

    def send(self, message: EmailMessage) -> EmailReceipt:
        """Send one message.

        Raises:
            EmailRefusedError: The server refused it for good.
            EmailError: It could not be handed over; ``details["accepted"]`` is False, or
                ``"unknown"`` when the connection was lost after it was sent.
            CircuitOpenError: The server has failed several times in a row.
            PayloadTooLargeError: It is larger than *max_bytes*.
            ConfigurationError: There is no sender.
        """
        return self._send(message, self.backend.deliver)

    def _send(self, message: EmailMessage, deliver: Callable[[Letter], Delivery]) -> EmailReceipt:
        letter, started = self._core.letter(message), self._core.now()
        try:
            delivery = self._core.policy.call(deliver, letter)
        except SharedError as exc:
            self._core.failed(letter, exc, started)
            raise
        return self._core.sent(letter, delivery, started)

    def send_template(
        self,
        name: str,
        to: Recipients,
        values: Mapping[str, Any] | None = None,
        *,
        locale: str | None = None,
        **options: Any,
    ) -> EmailReceipt:
        """Write the template *name* for *to* and send it.

        Args:
            name: Of the templates; the message's category unless *options* name one.
            to: As of :class:`EmailMessage`.
            values: For the templates.
            locale: The reader's language.
            **options: As of :class:`EmailMessage`, such as ``attachments``.

        Raises:
            EmailTemplateError: Writing failed; nothing was sent.
            SharedError: As :meth:`send`.
        """
        return self.send(self._core.written(self.templates, name, to, values, locale=locale, options=options))

    def send_many(
        self,
        messages: Iterable[EmailMessage],
        *,
        rate: str | RateLimit | RateLimiter | None = None,
        on_progress: Progress | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> BulkReport:
        """Send many messages over one connection, and tell what became of each.

        A message that fails does not stop the others. When the breaker opens, the rest
        is reported as ``not_tried``: ``report.again`` are the ones to come back to.

        Args:
            messages: One for each recipient, or group of them that may see each other.
            rate: In place of the mailer's own.
            on_progress: Called after each message. What it raises stops the bulk.
            sleep: Waits the given seconds; a coroutine function for :class:`AsyncMailer`.
        """
        bulk = Bulk(messages, rate or self._core.rate)
        with self.backend.session() as deliver:
            for message in bulk:
                while wait := pause(bulk.limiter.hit("email")) if bulk.limiter else 0.0:
                    (sleep or time.sleep)(wait)
                try:
                    bulk.took(self._send(message, deliver))
                except SharedError as exc:
                    bulk.lost(exc)
                if on_progress is not None:
                    on_progress(bulk.progress)
        return bulk.report()

    def close(self) -> None:
        """Let go of the backend."""
        self.backend.close()

    async def aclose(self) -> None:
        """Let go of the backend."""
        await self.backend.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


class AsyncMailer(_Mailers):
    """A :class:`Mailer` for coroutines.

    Args:
        backend: As :class:`Mailer`.
        sender: As :class:`Mailer`.
        templates: As :class:`Mailer`.
        policy: As :class:`Mailer`.
        rate: As :class:`Mailer`.
        max_bytes: As :class:`Mailer`.
        allow_partial: As :class:`Mailer`.
        events: As :class:`Mailer`.
        clock: As :class:`Mailer`.
        new_id: As :class:`Mailer`.

    Example:
        >>> import asyncio
        >>> from shared.integrations.email import MemoryBackend
        >>> async def main() -> None:
        ...     async with AsyncMailer(MemoryBackend(), sender="shop@example.com") as mailer:
        ...         print(await mailer.send(EmailMessage("ada@example.com", "Hello", text="Hello Ada")))
        >>> asyncio.run(main())
        <EmailReceipt by memory: 1 accepted, 0 refused>
    """

    async def send(self, message: EmailMessage) -> EmailReceipt:
        """See :meth:`Mailer.send`."""
        return await self._send(message, self.backend.adeliver)

    async def _send(
        self, message: EmailMessage, deliver: Callable[[Letter], Awaitable[Delivery]]
    ) -> EmailReceipt:
        letter, started = self._core.letter(message), self._core.now()
        try:
            delivery = await self._core.policy.acall(deliver, letter)
        except SharedError as exc:
            self._core.failed(letter, exc, started)
            raise
        return self._core.sent(letter, delivery, started)

    async def send_template(
        self,
        name: str,
        to: Recipients,
        values: Mapping[str, Any] | None = None,
        *,
        locale: str | None = None,
        **options: Any,
    ) -> EmailReceipt:
        """See :meth:`Mailer.send_template`."""
        return await self.send(
            self._core.written(self.templates, name, to, values, locale=locale, options=options)
        )

    async def send_many(
        self,
        messages: Iterable[EmailMessage],
        *,
        rate: str | RateLimit | RateLimiter | None = None,
        on_progress: Progress | None = None,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> BulkReport:
        """See :meth:`Mailer.send_many`."""
        bulk = Bulk(messages, rate or self._core.rate)
        async with self.backend.asession() as deliver:
            for message in bulk:
                while wait := pause(await bulk.limiter.ahit("email")) if bulk.limiter else 0.0:
                    await (sleep or asyncio.sleep)(wait)
                try:
                    bulk.took(await self._send(message, deliver))
                except SharedError as exc:
                    bulk.lost(exc)
                if on_progress is not None:
                    on_progress(bulk.progress)
        return bulk.report()

    def close(self) -> None:
        """Let go of what the backend has for threads; :meth:`aclose` does the rest."""
        self.backend.close()

    async def aclose(self) -> None:
        """Let go of the backend."""
        await self.backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.aclose()
