"""An object on its way out, piece by piece."""

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self

from shared.integrations.storage._core import Intake
from shared.integrations.storage._model import StoredObject
from shared.integrations.storage._parts import AsyncReader, Reader

__all__ = ["AsyncDownload", "Download"]


class Download:
    """An object that is being read; see :meth:`Storage.stream`.

    Attributes:
        info: What is known of the object.
        start: First byte that comes.
        stop: Byte behind the last.

    Example:
        >>> from shared.integrations.storage import Storage
        >>> storage = Storage()
        >>> _ = storage.put("a.txt", b"hello")
        >>> with storage.stream("a.txt") as download:
        ...     b"".join(download)
        b'hello'
    """

    def __init__(self, reader: Reader, intake: Intake, chunk_size: int) -> None:
        self.info: StoredObject = intake.info
        self.start: int = intake.start
        self.stop: int = intake.stop
        self._reader = reader
        self._intake = intake
        self._chunk_size = chunk_size

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._reader.chunks(self._chunk_size):
                if data := self._intake.feed(piece):
                    yield data
            if rest := self._intake.finish():
                yield rest
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection or the file; iterating to the end does it as well."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncDownload:
    """As :class:`Download`, with ``async for``.

    Example:
        >>> import asyncio
        >>> from shared.integrations.storage import AsyncStorage
        >>> async def main() -> int:
        ...     storage = AsyncStorage()
        ...     await storage.put("a.txt", b"hello")
        ...     async with await storage.stream("a.txt") as download:
        ...         return download.info.size
        >>> asyncio.run(main())
        5
    """

    def __init__(self, reader: AsyncReader, intake: Intake, chunk_size: int) -> None:
        self.info: StoredObject = intake.info
        self.start: int = intake.start
        self.stop: int = intake.stop
        self._reader = reader
        self._intake = intake
        self._chunk_size = chunk_size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._reader.chunks(self._chunk_size):
                if data := self._intake.feed(piece):
                    yield data
            if rest := self._intake.finish():
                yield rest
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of the connection or the file; iterating to the end does it as well."""
        await self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
