"""What is said to a mail server, in which order, and what its replies mean. Pure: no socket.

Both clients, synchronous and asynchronous, are driven by :func:`conversation`: it yields
commands, is sent replies, and returns what was taken over.
"""

import re
import ssl
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from shared.errors import (
    ConfigurationError,
    DeadlineExceededError,
    EmailError,
    EmailRefusedError,
    SharedError,
)
from shared.integrations.email._backend import Delivery, Letter
from shared.integrations.email._outcome import Refusal

__all__ = [
    "Command",
    "Reply",
    "Smtp",
    "conversation",
    "disconnected",
    "is_usable_after",
    "no_tls",
    "refused_login",
]

# Source: RFC 3463, section 2. The rest of a reply often quotes an address: it is left out.
_ENHANCED: Final = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


@dataclass(frozen=True, slots=True)
class Command:
    """One thing to say: ``mail``, ``rcpt``, ``data`` or ``rset``."""

    verb: Literal["mail", "rcpt", "data", "rset"]
    argument: str = ""
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said: only the numbers of it."""

    code: int
    enhanced: str = ""

    @classmethod
    def of(cls, code: int, text: str | bytes) -> "Reply":
        """Return the reply with *code* and *text*."""
        words = text.decode("latin-1") if isinstance(text, bytes) else str(text)
        found = _ENHANCED.search(words[:200])
        return cls(int(code), found[1] if found else "")

    @property
    def refusal(self) -> Refusal:
        """The same for a recipient."""
        return Refusal(self.code, self.enhanced)

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced}".strip()


@dataclass(frozen=True, slots=True)
class Smtp:
    """Where the server is and how to talk to it."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    username: str | None
    timeout: float


def conversation(letter: Letter) -> Generator[Command, Reply, Delivery]:
    """Say what hands *letter* over, on a connection that is logged in.

    Unless the letter allows it, nothing is sent when one recipient is refused: the
    message is given up before ``DATA``.

    Raises:
        EmailRefusedError: Refused for good.
        EmailError: Refused for now; it was not taken over.
    """
    reply = yield Command("mail", letter.sender.email)
    if reply.code >= 300:
        raise _refused(reply, "the sender")
    accepted: list[str] = []
    refused: dict[str, Refusal] = {}
    for address in letter.message.recipients:
        reply = yield Command("rcpt", address)
        if reply.code < 300:
            accepted.append(address)
            continue
        refused[address] = reply.refusal
        if reply.code == 421:  # the server is about to hang up: RFC 5321, section 3.8
            raise _refused(reply, "the connection")
    if not accepted or (refused and not letter.allow_partial):
        yield Command("rset")
        raise _refused_recipients(refused, len(letter.message.recipients))
    reply = yield Command("data", content=letter.content)
    if reply.code >= 300:
        raise _refused(reply, "the message")
    return Delivery(tuple(accepted), MappingProxyType(refused))


def _refused(reply: Reply, what: str) -> SharedError:
    details = {"accepted": False, "smtp_code": reply.code}
    text = f"the mail server refused {what}: {reply}"
    if 500 <= reply.code < 600:
        return EmailRefusedError(text, details=details)
    return EmailError(f"{text}, for now", details=details)


def _refused_recipients(refused: Mapping[str, Refusal], count: int) -> SharedError:
    codes = ", ".join(sorted({str(each) for each in refused.values()}))
    verb = "was" if len(refused) == 1 else "were"
    text = f"{len(refused)} of {count} recipients {verb} refused: {codes}; nothing was sent"
    details = {"accepted": False, "refused": len(refused), "smtp_codes": codes}
    if any(each.is_permanent for each in refused.values()):
        named = {address: str(why) for address, why in refused.items()}
        return EmailRefusedError(text, details=details, refused=named)
    return EmailError(text, details=details)


def refused_login(reply: Reply) -> SharedError:
    """Return the error for a server that did not take the password."""
    details = {"accepted": False, "smtp_code": reply.code}
    if 400 <= reply.code < 500:
        return EmailError(f"the mail server cannot check the password now: {reply}", details=details)
    text = f"the mail server refused the login: {reply}; check SMTP_USERNAME and SMTP_PASSWORD"
    return EmailError(text, details=details, retryable=False)


def no_tls(server: Smtp) -> ConfigurationError:
    """Return the error for a server that does not encrypt."""
    return ConfigurationError(
        f"the mail server on port {server.port} offers no STARTTLS: nothing was sent; "
        "use SMTP_TLS=tls with port 465, or SMTP_TLS=none for a server on this machine"
    )


def is_usable_after(error: SharedError) -> bool:
    """Tell whether the connection can carry the next message: the server said no and waits."""
    code = error.details.get("smtp_code", 421 if "smtp_codes" not in error.details else 250)
    return isinstance(error, EmailError | EmailRefusedError) and code != 421


def disconnected(phase: str, error: Exception, *, by_deadline: bool = False) -> SharedError:
    """Return the error for a connection that broke or was too slow while in *phase*.

    After ``DATA`` nobody knows whether the message was taken over, so it is not sent again.
    """
    chain = _chain(error)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        msg = "the certificate of the mail server is not trusted, or is for another name: nothing was sent"
        return EmailError(msg, details={"accepted": False, "phase": phase}, retryable=False)
    slow = any(isinstance(each, TimeoutError) for each in chain)
    if phase == "data":
        text = "did not answer in time" if slow else "closed the connection"
        msg = f"the mail server {text} after the message was sent: it may have been taken over"
        return EmailError(msg, details={"accepted": "unknown", "phase": phase}, retryable=False)
    details = {"accepted": False, "phase": phase}
    if slow and by_deadline:
        return DeadlineExceededError(
            "no time is left for the mail server: the deadline of the request has passed",
            details=details,
            retryable=False,
        )
    if slow:
        return EmailError(f"the mail server did not answer in time ({phase})", details=details)
    what = "cannot be reached" if phase == "connect" else f"closed the connection ({phase})"
    return EmailError(f"the mail server {what}: {type(error).__name__}", details=details)


def _chain(error: BaseException) -> list[BaseException]:
    """Return *error* and what led to it: the libraries wrap the errors of the socket."""
    found: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in found and len(found) < 8:
        found.append(each)
        each = each.__cause__ or each.__context__
    return found
