"""What a mailer decides: who sends, under which id, and what is told about it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.cache import RateLimiter
from shared.errors import (
    CircuitOpenError,
    ConfigurationError,
    InvalidArgumentError,
    PayloadTooLargeError,
    SharedError,
    ValidationError,
)
from shared.integrations.email._address import Address, AddressLike, Recipients
from shared.integrations.email._backend import Delivery, Letter
from shared.integrations.email._bulk import limiter_of
from shared.integrations.email._message import EmailMessage
from shared.integrations.email._outcome import EmailFailed, EmailReceipt, EmailSent
from shared.integrations.email._templates import EmailTemplates
from shared.logging import get_logger
from shared.resilience import Guard, Policy, RateLimit, guard
from shared.runtime import Events, current

__all__ = ["MailCore"]

_LOCAL: Final = frozenset({"console", "file", "memory"})
_PLACEHOLDER: Final = Address("no-reply@localhost")


class MailCore:
    """The part of a mailer that does no I/O."""

    def __init__(
        self,
        backend: str,
        *,
        sender: AddressLike | None,
        policy: Policy | Guard | None,
        rate: str | RateLimit | RateLimiter | None,
        max_bytes: int,
        allow_partial: bool,
        events: Events | None,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        if max_bytes < 1:
            msg = f"max_bytes is 1 or more, got {max_bytes!r}"
            raise InvalidArgumentError(msg)
        self._backend = backend
        self._sender = None if sender is None else Address.parse(sender, field="sender")
        self.policy: Policy | Guard = guard("email") if policy is None else policy
        self.rate: RateLimiter | None = limiter_of(rate)
        self._max_bytes = max_bytes
        self._allow_partial = allow_partial
        self._events = events
        self._clock = clock
        self._new_id = new_id

    @staticmethod
    def now() -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def letter(self, message: object) -> Letter:
        """Return *message* ready to go, written out once to be sure that it can be.

        Raises:
            ConfigurationError: Nobody is its sender.
            PayloadTooLargeError: It is too large.
            ValidationError: It is no message, or cannot be written.
        """
        if not isinstance(message, EmailMessage):
            msg = f"an EmailMessage expected, got {type(message).__name__}"
            raise ValidationError(msg)
        sender = message.sender or self._sender
        if sender is None:
            if self._backend not in _LOCAL:
                raise ConfigurationError("a message has no sender: set EMAIL_FROM, or give it one")
            sender = _PLACEHOLDER
        message_id = f"<{self._new_id()}@{sender.domain}>"
        letter = Letter.of(message, sender, message_id, self._clock(), allow_partial=self._allow_partial)
        size = len(letter.content)
        if size > self._max_bytes:
            msg = (
                f"a message of {size} bytes, at most {self._max_bytes} are sent: link to large files instead"
            )
            raise PayloadTooLargeError(msg, details={"size": size, "limit": self._max_bytes})
        return letter

    @staticmethod
    def written(
        templates: EmailTemplates | None,
        name: str,
        to: Recipients,
        values: Mapping[str, Any] | None,
        *,
        locale: str | None,
        options: Mapping[str, Any],
    ) -> EmailMessage:
        """Return the message that a template comes to."""
        if templates is None:
            raise ConfigurationError("this mailer has no templates: set EMAIL_TEMPLATE_DIR, or give it some")
        content = templates.render(name, values, locale=locale)
        return content.to(to, **{"category": name.replace("/", "."), **options})

    # -- telling -----------------------------------------------------------------------

    def sent(self, letter: Letter, delivery: Delivery, started: float) -> EmailReceipt:
        """Tell of a message that was taken over, and return its receipt."""
        seconds = self.now() - started
        category = letter.message.category
        counts = {"accepted": len(delivery.accepted), "refused": len(delivery.refused)}
        self._emit(EmailSent(self._backend, letter.message_id, category, **counts, seconds=seconds))
        get_logger("shared.integrations.email").info(
            "e-mail sent",
            backend=self._backend,
            message_id=letter.message_id,
            category=category,
            **counts,
            duration_ms=round(seconds * 1000, 1),
        )
        return EmailReceipt(
            letter.message_id, self._backend, delivery.accepted, delivery.refused, delivery.supplier_id
        )

    def failed(self, letter: Letter, error: SharedError, started: float) -> None:
        """Tell of a message that was not."""
        seconds = self.now() - started
        count = len(letter.message.recipients)
        name = type(error).__name__
        unknown = error.details.get("accepted") == "unknown"
        event = EmailFailed(
            self._backend,
            letter.message_id,
            letter.message.category,
            count,
            name,
            accepted=None if unknown else False,
            seconds=seconds,
        )
        self._emit(event)
        log = get_logger("shared.integrations.email")
        tell = log.info if isinstance(error, CircuitOpenError) else log.warning
        tell(
            "e-mail may have been sent" if unknown else "e-mail not sent",
            backend=self._backend,
            message_id=letter.message_id,
            category=letter.message.category,
            recipients=count,
            error_type=name,
            error_code=str(error.code),
            reason=error.message,
            duration_ms=round(seconds * 1000, 1),
        )

    def _emit(self, event: object) -> None:
        (self._events or current().events).emit(event)
