"""What carries messages away: the protocol, and the backends that need no server."""

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, Self, TextIO

from shared.errors import EmailError
from shared.integrations.email._address import Address
from shared.integrations.email._message import EmailMessage
from shared.integrations.email._mime import mime_bytes
from shared.integrations.email._outcome import Refusal
from shared.runtime import after_fork_in_child

__all__ = ["ConsoleBackend", "Delivery", "EmailBackend", "FileBackend", "Letter", "MemoryBackend"]

_NONE: Final[Mapping[str, Refusal]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Letter:
    """A message ready to be carried away.

    Attributes:
        message: What.
        sender: Who it comes from.
        message_id: ``Message-ID``, with its angle brackets.
        created_at: Unix seconds.
        content: The bytes of RFC 5322.
        allow_partial: Whether it goes to some when others are refused.

    Example:
        >>> message = EmailMessage("ada@example.com", "Hello", text="Hello Ada")
        >>> letter = Letter.of(message, Address("shop@example.com"), "<1@example.com>")
        >>> b"To: ada@example.com" in letter.content.splitlines()
        True
    """

    message: EmailMessage
    sender: Address
    message_id: str
    created_at: float
    content: bytes = field(repr=False)
    allow_partial: bool = False

    @classmethod
    def of(
        cls,
        message: EmailMessage,
        sender: Address,
        message_id: str,
        created_at: float = 0.0,
        *,
        allow_partial: bool = False,
    ) -> Self:
        """Return *message* written out.

        Raises:
            ValidationError: It cannot be written.
        """
        content = mime_bytes(message, sender=sender, message_id=message_id, now=created_at)
        return cls(message, sender, message_id, created_at, content, allow_partial)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a backend took over.

    Attributes:
        accepted: Addresses.
        refused: Addresses that were not taken, and why.
        supplier_id: The supplier's own id, or None.

    Example:
        >>> Delivery(("ada@example.com",)).refused
        mappingproxy({})
    """

    accepted: tuple[str, ...] = field(repr=False)
    refused: Mapping[str, Refusal] = field(default_factory=lambda: _NONE, hash=False, repr=False)
    supplier_id: str | None = None


class EmailBackend(Protocol):
    """Carries letters away; thread-safe, and at home in coroutines.

    Attributes:
        name: For metrics, logs and receipts.

    Example:
        >>> backend: EmailBackend = MemoryBackend()
        >>> backend.name
        'memory'
    """

    name: str

    def deliver(self, letter: Letter) -> Delivery:
        """Hand *letter* over.

        Raises:
            EmailRefusedError: It was refused for good.
            EmailError: It was not taken over, or nobody knows.
        """

    async def adeliver(self, letter: Letter) -> Delivery:
        """Do the same without blocking the event loop."""

    def session(self) -> Any:
        """Return a context manager whose value delivers several letters over one connection."""

    def asession(self) -> Any:
        """Return the same for coroutines."""

    def close(self) -> None:
        """Let go of what is open."""

    async def aclose(self) -> None:
        """Let go of what is open."""


class LocalBackend:
    """What the backends have in common that open no connection."""

    name: str = "local"

    def deliver(self, letter: Letter) -> Delivery:
        """Hand *letter* over."""
        raise NotImplementedError

    async def adeliver(self, letter: Letter) -> Delivery:
        """See :meth:`deliver`."""
        return self.deliver(letter)

    @contextmanager
    def session(self) -> Iterator[Callable[[Letter], Delivery]]:
        """Give :meth:`deliver`: there is no connection to keep."""
        yield self.deliver

    @asynccontextmanager
    async def asession(self) -> AsyncIterator[Callable[[Letter], Awaitable[Delivery]]]:
        """Give :meth:`adeliver`: there is no connection to keep."""
        yield self.adeliver

    def close(self) -> None:
        """Do nothing: nothing is open."""

    async def aclose(self) -> None:
        """Do nothing: nothing is open."""


class MemoryBackend(LocalBackend):
    """Keeps messages in memory, for tests.

    Args:
        limit: Messages kept at most; the oldest go first.

    Attributes:
        messages: What was sent, the oldest first.

    Example:
        >>> from shared.integrations.email import Mailer
        >>> outbox = MemoryBackend()
        >>> _ = Mailer(outbox, sender="shop@example.com").send(
        ...     EmailMessage("ada@example.com", "Hello", text="Hello Ada"))
        >>> outbox.last.subject, len(outbox), outbox.to("ada@example.com")[0].text
        ('Hello', 1, 'Hello Ada')
    """

    name: str = "memory"

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._letters: list[Letter] = []
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def deliver(self, letter: Letter) -> Delivery:
        """Keep *letter*."""
        with self._lock:
            self._letters.append(letter)
            del self._letters[: -self._limit]
        return Delivery(letter.message.recipients)

    @property
    def messages(self) -> list[EmailMessage]:
        """What was sent, the oldest first."""
        return [letter.message for letter in self._letters]

    @property
    def letters(self) -> list[Letter]:
        """The same with sender, id and bytes."""
        return list(self._letters)

    @property
    def last(self) -> EmailMessage:
        """What was sent last.

        Raises:
            IndexError: Nothing was.
        """
        return self._letters[-1].message

    def to(self, address: str) -> list[EmailMessage]:
        """Return what was sent to *address*, as to, cc or bcc."""
        wanted = Address.parse(address).email.lower()
        return [each for each in self.messages if wanted in map(str.lower, each.recipients)]

    def clear(self) -> None:
        """Forget what was sent."""
        with self._lock:
            self._letters.clear()

    def after_fork(self) -> None:
        """Replace the lock, which a fork may have left held."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._letters)


class ConsoleBackend(LocalBackend):
    """Writes messages to a stream, for development. Shows what is in them.

    Args:
        stream: Where to; standard output when None, looked up at each message.

    Example:
        >>> ConsoleBackend().name
        'console'
    """

    name: str = "console"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def deliver(self, letter: Letter) -> Delivery:
        """Write *letter* in one piece."""
        stream = self._stream or sys.stdout
        try:
            stream.write(_shown(letter))
            stream.flush()
        except (OSError, ValueError) as exc:
            raise _lost("the console", exc) from exc
        return Delivery(letter.message.recipients)


class FileBackend(LocalBackend):
    """Writes each message to a file of its own, ``<time>-<id>.eml``, for development.

    A file is there in full or not at all, and only its owner can read it.

    Args:
        folder: Where to; made when it is not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     message = EmailMessage("ada@example.com", "Hi", text="Hello")
        ...     letter = Letter.of(message, Address("shop@example.com"), "<1@example.com>")
        ...     _ = FileBackend(folder).deliver(letter)
        ...     [path.suffix for path in Path(folder).iterdir()]
        ['.eml']
    """

    name: str = "file"

    def __init__(self, folder: str | Path) -> None:
        self.folder: Path = Path(folder)

    def deliver(self, letter: Letter) -> Delivery:
        """Write *letter*."""
        # The id is ours and made of safe characters; what is not is left out all the same.
        safe = "".join(each for each in letter.message_id if each.isalnum())[:40]
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(letter.created_at))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / f"{stamp}-{safe}.eml", letter.content)
        except OSError as exc:
            raise _lost("the folder of the file backend", exc) from exc
        return Delivery(letter.message.recipients)

    async def adeliver(self, letter: Letter) -> Delivery:
        """See :meth:`deliver`."""
        return await asyncio.to_thread(self.deliver, letter)


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".mail-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _lost(what: str, error: Exception) -> EmailError:
    msg = f"{what} cannot be written: {type(error).__name__}"
    return EmailError(msg, details={"accepted": False}, cause=error)


def _shown(letter: Letter) -> str:
    message = letter.message
    lines = [f"From: {letter.sender}", f"To: {', '.join(map(str, message.to))}"]
    lines += [
        f"{name}: {', '.join(map(str, many))}"
        for name, many in (("Cc", message.cc), ("Bcc", message.bcc))
        if many
    ]
    lines += [f"Subject: {message.subject}", f"Message-ID: {letter.message_id}"]
    lines += [
        f"Attachment: {each.name} ({each.content_type}, {each.size} bytes)" for each in message.attachments
    ]
    lines += ["", message.text if message.text is not None else message.html or ""]
    rule = "-" * 72
    return "\n".join([rule, *lines, rule, ""])
