"""What a backend is, and what it is handed: written for those who add one.

Above a backend stand the rules (:mod:`._core`); a backend only keeps bytes. Keys that
arrive here are checked.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Protocol

from shared.integrations.storage._content_type import decide_content_type
from shared.integrations.storage._staging import Staged

__all__ = [
    "AsyncBackend",
    "AsyncReader",
    "Attributes",
    "Backend",
    "Condition",
    "Found",
    "Reader",
    "plain_attributes",
]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is kept beside the bytes."""

    content_type: str
    sha256: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    cache_control: str | None = None
    filename: str | None = None
    sealed: str | None = None
    """Of an encrypted object: size, digest and frame, encrypted."""


def plain_attributes(key: str) -> Attributes:
    """Return what can be said of an object that something else put there: its name."""
    return Attributes(decide_content_type(b"", name=key))


@dataclass(frozen=True, slots=True)
class Found:
    """An object as the store sees it."""

    key: str
    size: int  # bytes in the store
    etag: str | None
    last_modified: datetime
    attributes: Attributes | None = None  # None in a listing


@dataclass(frozen=True, slots=True)
class Condition:
    """Under what circumstances to write."""

    create: bool = False  # only when there is nothing yet
    etag: str | None = None  # only in place of this

    @property
    def is_given(self) -> bool:
        """Whether there is one."""
        return self.create or self.etag is not None


class Reader(Protocol):
    """An object that is being read; its range is within the object."""

    found: Found

    def read(self) -> bytes:
        """Return all that is left."""

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield pieces of about *size* bytes."""

    def close(self) -> None:
        """Let go of it."""


class AsyncReader(Protocol):
    """The same, awaited."""

    found: Found

    async def read(self) -> bytes:
        """Return all that is left."""

    def chunks(self, size: int) -> AsyncIterator[bytes]:
        """Yield pieces of about *size* bytes."""

    async def close(self) -> None:
        """Let go of it."""


class Backend(Protocol):
    """Keeps bytes under keys. Thread-safe; raises only errors of ours."""

    scheme: str
    masked_url: str

    def stat(self, key: str) -> Found:
        """Return the object, or raise ObjectNotFoundError."""

    def open(self, key: str, start: int, stop: int | None) -> Reader:
        """Begin to read bytes *start* to *stop* (exclusive; None: the end)."""

    def write(self, key: str, staged: Staged, attributes: Attributes, condition: Condition) -> Found:
        """Write all of it or nothing."""

    def delete(self, key: str) -> bool:
        """Delete; False when there was nothing, True when there was or nobody knows."""

    def copy(self, source: str, target: str) -> None:
        """Copy with all attributes, over what is there."""

    def page(self, prefix: str, after: str, limit: int) -> list[Found]:
        """Return up to *limit* objects behind *after*, in the order of their keys' bytes."""

    def sign(self, method: str, key: str, seconds: float) -> str | None:
        """Return a signed URL, None when this store has none of its own."""

    def check(self) -> None:
        """Raise unless the store answers."""

    def spool(self) -> IO[bytes]:
        """Open a nameless or temporary file for what is too large for memory."""

    def close(self) -> None:
        """Let go of everything."""


class AsyncBackend(Protocol):
    """The same, awaited."""

    async def stat(self, key: str) -> Found:
        """Return the object, or raise ObjectNotFoundError."""

    async def open(self, key: str, start: int, stop: int | None) -> AsyncReader:
        """Begin to read bytes *start* to *stop* (exclusive; None: the end)."""

    async def write(self, key: str, staged: Staged, attributes: Attributes, condition: Condition) -> Found:
        """Write all of it or nothing."""

    async def delete(self, key: str) -> bool:
        """Delete; False when there was nothing, True when there was or nobody knows."""

    async def copy(self, source: str, target: str) -> None:
        """Copy with all attributes, over what is there."""

    async def page(self, prefix: str, after: str, limit: int) -> list[Found]:
        """Return up to *limit* objects behind *after*, in the order of their keys' bytes."""

    async def sign(self, method: str, key: str, seconds: float) -> str | None:
        """Return a signed URL, None when this store has none of its own."""

    async def check(self) -> None:
        """Raise unless the store answers."""
