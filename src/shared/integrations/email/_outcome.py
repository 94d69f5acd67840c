"""What became of a message: for each recipient, without keeping anything to itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from shared.errors import SharedError

__all__ = ["BulkProgress", "BulkReport", "BulkResult", "EmailFailed", "EmailReceipt", "EmailSent", "Refusal"]

BulkStatus = Literal["sent", "partly", "failed", "unknown", "not_tried"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a server did not take a recipient.

    Attributes:
        code: Reply code of SMTP, such as 550.
        enhanced: Enhanced status code, such as ``"5.1.1"``; empty when there was none.

    Example:
        >>> str(Refusal(550, "5.1.1"))
        '550 5.1.1'
    """

    code: int
    enhanced: str = ""

    @property
    def is_permanent(self) -> bool:
        """Whether the same recipient will be refused again."""
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced}".strip()


@dataclass(frozen=True, slots=True)
class EmailReceipt:
    """A message that was taken over.

    Attributes:
        message_id: ``Message-ID``, with its angle brackets.
        backend: Who took it over: ``smtp``, ``sendgrid`` and so on.
        accepted: The addresses it was taken over for.
        refused: The addresses it was not taken over for, and why; only with
            ``allow_partial``, else such a message is not sent at all.
        supplier_id: The supplier's own id, for its events; None when there is none.

    Example:
        >>> EmailReceipt("<1@example.com>", "smtp", ("ada@example.com",))
        <EmailReceipt by smtp: 1 accepted, 0 refused>
    """

    message_id: str
    backend: str
    accepted: tuple[str, ...]
    refused: Mapping[str, Refusal] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    supplier_id: str | None = None

    def __repr__(self) -> str:
        return f"<EmailReceipt by {self.backend}: {len(self.accepted)} accepted, {len(self.refused)} refused>"


@dataclass(frozen=True, slots=True)
class EmailSent:
    """Sent through ``runtime.events`` after a message was taken over.

    Attributes:
        backend: By whom.
        message_id: ``Message-ID``.
        category: As of the message; None when it has none.
        accepted: How many recipients were.
        refused: How many were not.
        seconds: How long it took, tries and waits included.

    Example:
        >>> EmailSent("smtp", "<1@example.com>", "receipt", accepted=1, refused=0, seconds=0.2).accepted
        1
    """

    backend: str
    message_id: str
    category: str | None
    accepted: int
    refused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EmailFailed:
    """Sent through ``runtime.events`` after a message could not be handed over.

    Attributes:
        backend: To whom.
        message_id: ``Message-ID``.
        category: As of the message; None when it has none.
        recipients: How many there are.
        error_type: Class of the error.
        accepted: False when it was surely not taken over, None when nobody knows.
        seconds: How long it took, tries and waits included.

    Example:
        >>> EmailFailed("smtp", "<1@x>", None, 1, "EmailError", accepted=False, seconds=9.0).recipients
        1
    """

    backend: str
    message_id: str
    category: str | None
    recipients: int
    error_type: str
    accepted: bool | None
    seconds: float


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of one message of many.

    Attributes:
        index: Place of the message, counted from 0.
        status: ``sent``; ``partly`` (some recipients were refused); ``failed`` (surely
            not taken over); ``unknown`` (the connection was lost after it was sent);
            ``not_tried`` (the supplier was down before its turn).
        receipt: When it was taken over.
        error: When it was not.

    Example:
        >>> BulkResult(0, "not_tried").may_send_again
        True
    """

    index: int
    status: BulkStatus
    receipt: EmailReceipt | None = None
    error: SharedError | None = None

    @property
    def may_send_again(self) -> bool:
        """Whether it was surely not taken over by anybody."""
        return self.status in ("failed", "not_tried")


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far a bulk is.

    Attributes:
        done: Messages dealt with.
        total: Of how many; None when that is not known.
        last: What became of the last one.

    Example:
        >>> BulkProgress(1, 10, BulkResult(0, "sent")).done
        1
    """

    done: int
    total: int | None
    last: BulkResult


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What became of every message of a bulk.

    Attributes:
        results: One for each message, in order.

    Example:
        >>> report = BulkReport((BulkResult(0, "sent"), BulkResult(1, "not_tried")))
        >>> report.counts, report.again
        ({'sent': 1, 'not_tried': 1}, (1,))
    """

    results: tuple[BulkResult, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many messages have which status."""
        found: dict[str, int] = {}
        for each in self.results:
            found[each.status] = found.get(each.status, 0) + 1
        return found

    @property
    def again(self) -> tuple[int, ...]:
        """Places of the messages that may be sent again without anybody getting two."""
        return tuple(each.index for each in self.results if each.may_send_again)

    @property
    def is_complete(self) -> bool:
        """Whether every message was taken over for every recipient."""
        return all(each.status == "sent" for each in self.results)
