"""Take a content in before anything is sent: count it, hash it, and keep it ready for a second try."""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from shared.errors import InvalidArgumentError, PayloadTooLargeError
from shared.integrations.storage._content_type import SNIFFED_BYTES
from shared.integrations.storage._sealing import Sealer

__all__ = ["Stage", "Staged", "pieces"]

IN_MEMORY: Final = 4 * 1024 * 1024
"""Bytes of one content held in memory; what is larger goes through a temporary file."""
PIECE: Final = 1024 * 1024
QUICK: Final = 65_536  # bytes below which hashing does not keep an event loop waiting


class Staged:
    """A content as it goes into the store: bytes, or a file. Close it."""

    __slots__ = ("_map", "data", "file", "head", "plain_size", "sha256", "size")

    def __init__(  # noqa: PLR0917 - made in one place
        self, data: bytes | None, file: IO[bytes] | None, size: int, plain_size: int, sha256: str, head: bytes
    ) -> None:
        self.data: bytes | None = data
        self.file: IO[bytes] | None = file
        self.size: int = size
        self.plain_size: int = plain_size
        self.sha256: str = sha256
        self.head: bytes = head
        self._map: mmap.mmap | None = None

    def buffer(self) -> Any:
        """Return the content as something with the buffer protocol, without copying it into memory."""
        if self.file is None:
            return self.data
        if self._map is None:
            self.file.flush()
            self._map = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def pieces(self) -> Iterator[bytes]:
        """Yield the content from its beginning."""
        if self.file is None:
            yield self.data or b""
            return
        self.file.seek(0)
        while piece := self.file.read(PIECE):
            yield piece

    def close(self) -> None:
        """Let go of the file."""
        if self._map is not None:
            self._map.close()
            self._map = None
        if self.file is not None:
            self.file.close()


class Stage:
    """Takes a content piece by piece.

    Args:
        limit: Most bytes taken.
        spool: Opens a file for what is too large for memory.
        sealer: Encrypts on the way.
        on_head: Is shown the first bytes, as soon as they are there; may refuse.
    """

    def __init__(
        self,
        limit: int,
        *,
        spool: Callable[[], IO[bytes]],
        sealer: Sealer | None = None,
        on_head: Callable[[bytes], object] = bool,
    ) -> None:
        self._limit = limit
        self._spool = spool
        self._sealer = sealer
        self._on_head = on_head
        self._digest = hashlib.sha256(usedforsecurity=False)
        self._head = b""
        self._seen = False
        self._taken = 0
        self._kept: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def is_quick(self, piece: Any) -> bool:
        """Tell whether taking *piece* neither writes to a file nor computes for long."""
        return self._file is None and isinstance(piece, bytes) and len(piece) < QUICK

    def feed(self, piece: Any) -> None:
        """Take the next bytes.

        Raises:
            PayloadTooLargeError: The limit is passed; nothing has been sent.
            InvalidArgumentError: *piece* is not bytes.
        """
        data = _as_bytes(piece)
        self._taken += len(data)
        if self._taken > self._limit:
            msg = f"the content is larger than {self._limit} bytes"
            raise PayloadTooLargeError(msg, details={"max_bytes": self._limit})
        if not self._seen:
            self._head += data[: SNIFFED_BYTES - len(self._head)]
            if len(self._head) == SNIFFED_BYTES:
                self._look()
        self._digest.update(data)
        self._keep(data if self._sealer is None else self._sealer.feed(data))

    def _look(self) -> None:
        self._seen = True
        self._on_head(self._head)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._file is None and self._size > IN_MEMORY:
            self._file = self._spool()
            for earlier in self._kept:
                self._file.write(earlier)
            self._kept.clear()
        if self._file is not None:
            self._file.write(data)
        elif data:
            self._kept.append(data)

    def finish(self) -> Staged:
        """Return what was taken, ready to be written."""
        if not self._seen:
            self._look()
        if self._sealer is not None:
            self._keep(self._sealer.finish())
        file, self._file = self._file, None
        if file is not None:
            file.flush()
        data = None if file is not None else self._kept[0] if len(self._kept) == 1 else b"".join(self._kept)
        return Staged(data, file, self._size, self._taken, self._digest.hexdigest(), self._head)

    def close(self) -> None:
        """Let go of what was taken and not finished."""
        if self._file is not None:
            self._file.close()


def _as_bytes(piece: Any) -> bytes:
    if type(piece) is bytes:
        return piece
    if isinstance(piece, bytearray | memoryview):
        return bytes(piece)
    try:
        return bytes(memoryview(piece))
    except TypeError:
        msg = f"content comes in bytes, got {type(piece).__name__}"
        raise InvalidArgumentError(msg) from None


def pieces(data: Any) -> Iterator[Any]:
    """Yield *data* piece by piece: bytes, an open binary file, a path, or an iterable of bytes.

    Raises:
        InvalidArgumentError: *data* is none of these, such as text.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        yield data
    elif isinstance(data, os.PathLike):
        with Path(data).open("rb") as file:
            yield from iter(lambda: file.read(PIECE), b"")
    elif callable(getattr(data, "read", None)):
        yield from iter(lambda: data.read(PIECE), b"")
    elif not isinstance(data, str) and hasattr(data, "__iter__"):
        yield from data
    else:
        what = "text: encode it first" if isinstance(data, str) else type(data).__name__
        msg = f"a content is bytes, an open binary file, a path or an iterable of bytes, got {what}"
        raise InvalidArgumentError(msg)
