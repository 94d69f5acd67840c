"""The storage for asynchronous code."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from shared.errors import InvalidArgumentError, ObjectNotFoundError
from shared.integrations.storage._backends import awaited
from shared.integrations.storage._core import (
    CHUNK,
    Intake,
    PutOptionValues,
    StorageCore,
    check_range,
    put_again,
)
from shared.integrations.storage._download import AsyncDownload
from shared.integrations.storage._joint import PAGE, Joint
from shared.integrations.storage._keys import check_key
from shared.integrations.storage._model import ObjectPage, ObjectSummary, StoredObject
from shared.integrations.storage._options import StorageOptionValues
from shared.integrations.storage._parts import AsyncBackend, AsyncReader, Backend
from shared.integrations.storage._staging import PIECE, QUICK, Stage, Staged, pieces

__all__ = ["AsyncStorage", "beside"]

R = TypeVar("R")


class AsyncStorage:
    """As :class:`Storage`, awaited.

    S3 and Google are awaited natively, files in threads, and hashing of large contents
    keeps no event loop waiting.

    Args:
        url: As :class:`Storage`.
        clock: As :class:`Storage`.
        **options: As :class:`Storage`.

    Example:
        >>> import asyncio
        >>> async def main() -> bytes:
        ...     async with AsyncStorage("memory://") as storage:
        ...         await storage.put("receipts/7.txt", b"2 x espresso")
        ...         return await storage.get("receipts/7.txt")
        >>> asyncio.run(main())
        b'2 x espresso'
    """

    def __init__(
        self,
        url: "str | Backend" = "memory://",
        *,
        clock: Callable[[], float] = time.time,
        **options: Unpack[StorageOptionValues],
    ) -> None:
        self._join(Joint(url, clock, options))

    def _join(self, joint: Joint) -> None:
        self._joint = joint
        self.core: StorageCore = joint.core
        self.backend: AsyncBackend = awaited(joint.backend)
        self._again = joint.again(_acall)
        self._once = joint.once(_acall)

    # -- writing ----------------------------------------------------------------------

    async def put(self, key: str, data: Any, **options: Unpack[PutOptionValues]) -> StoredObject:
        """As :meth:`Storage.put`; *data* may also be an asynchronous iterable, or have an async ``read``.

        Example:
            >>> import asyncio
            >>> async def body():
            ...     yield b"hello "
            ...     yield b"world"
            >>> asyncio.run(AsyncStorage().put("a.txt", body())).size
            11
        """
        plan = self.core.put(key, options)
        stage = plan.stage(self._joint.backend.spool)
        try:
            staged = await _take(stage, data)
        finally:
            stage.close()
        try:
            run = self._once if plan.condition.is_given else self._again
            found = await run(self.backend.write, plan.key, staged, plan.attributes(staged), plan.condition)
        finally:
            staged.close()
        return self.core.stored(found)

    async def copy(self, source: str, target: str, *, overwrite: bool = True) -> StoredObject:
        """As :meth:`Storage.copy`."""
        found = await self._again(self.backend.stat, check_key(source))
        if check_key(target) == source:
            return self.core.stored(found)
        if overwrite and (found.attributes is None or found.attributes.sealed is None):
            await self._again(self.backend.copy, source, target)
            return await self.stat(target)
        info = self.core.stored(found)
        async with await self.stream(source) as download:
            return await self.put(target, download, **put_again(info, overwrite=overwrite))

    async def move(self, source: str, target: str, *, overwrite: bool = True) -> StoredObject:
        """As :meth:`Storage.move`."""
        moved = await self.copy(source, target, overwrite=overwrite)
        if source != target:
            await self.delete(source)
        return moved

    async def delete(self, key: str) -> None:
        """As :meth:`Storage.delete`."""
        await self._again(self.backend.delete, check_key(key))

    # -- reading ----------------------------------------------------------------------

    async def get(self, key: str, *, start: int = 0, stop: int | None = None, verify: bool = False) -> bytes:
        """As :meth:`Storage.get`."""
        check_range(start, stop)
        data: bytes = await self._again(self._get, check_key(key), start, stop, verify)
        return data

    async def _get(self, key: str, start: int, stop: int | None, verify: bool) -> bytes:
        reader, intake = await self._open(key, start, stop, verify)
        try:
            self.core.fits(intake)
            data = await reader.read()
        finally:
            await reader.close()
        if (verify or intake.info.is_encrypted) and len(data) >= QUICK:
            return await asyncio.to_thread(_taken, intake, data)
        return _taken(intake, data)

    async def _open(self, key: str, start: int, stop: int | None, verify: bool) -> tuple[AsyncReader, Intake]:
        reader = await self.backend.open(key, start, stop)
        try:
            intake = self.core.read(reader.found, start, stop, verify=verify)
            if intake.reopen is not None:
                await reader.close()
                reader = await self.backend.open(key, *intake.reopen)
        except BaseException:
            await reader.close()
            raise
        return reader, intake

    async def stream(
        self,
        key: str,
        *,
        start: int = 0,
        stop: int | None = None,
        verify: bool = False,
        chunk_size: int = CHUNK,
    ) -> "AsyncDownload":
        """As :meth:`Storage.stream`: ``async with await storage.stream(key) as download``.

        Example:
            >>> import asyncio
            >>> async def main() -> list[bytes]:
            ...     storage = AsyncStorage()
            ...     await storage.put("a.txt", b"0123456789")
            ...     async with await storage.stream("a.txt", chunk_size=4) as download:
            ...         return [piece async for piece in download]
            >>> asyncio.run(main())
            [b'0123', b'4567', b'89']
        """
        check_range(start, stop)
        if chunk_size < 1:
            msg = f"chunk_size is at least 1, got {chunk_size!r}"
            raise InvalidArgumentError(msg)
        reader, intake = await self._again(self._open, check_key(key), start, stop, verify)
        return AsyncDownload(reader, intake, chunk_size)

    async def stat(self, key: str) -> StoredObject:
        """As :meth:`Storage.stat`."""
        return self.core.stored(await self._again(self.backend.stat, check_key(key)))

    async def exists(self, key: str) -> bool:
        """As :meth:`Storage.exists`."""
        try:
            await self._again(self.backend.stat, check_key(key))
        except ObjectNotFoundError:
            return False
        return True

    async def list(self, prefix: str = "", *, limit: int = PAGE, cursor: str | None = None) -> ObjectPage:
        """As :meth:`Storage.list`."""
        found = await self._again(self.backend.page, *self.core.listing(prefix, limit, cursor))
        return self.core.page(found, limit)

    async def iterate(self, prefix: str = "") -> AsyncIterator[ObjectSummary]:
        """As :meth:`Storage.iterate`: ``async for``."""
        page = await self.list(prefix)
        for one in page.items:
            yield one
        while page.next_cursor is not None:
            page = await self.list(prefix, cursor=page.next_cursor)
            for one in page.items:
                yield one

    # -- links -------------------------------------------------------------------------

    async def presign(self, key: str, *, method: str = "GET", expires_in: float | None = None) -> str:
        """As :meth:`Storage.presign`."""
        seconds = self._joint.life(method, expires_in)
        link: str | None = await self._again(self.backend.sign, method, check_key(key), seconds)
        return self._joint.link(method, key, seconds) if link is None else link

    def verify_url(self, url: str, *, method: str = "GET") -> str:
        """As :meth:`Storage.verify_url`; nothing to await."""
        return self._joint.verify_url(url, method)

    # -- life --------------------------------------------------------------------------

    async def check(self) -> None:
        """As :meth:`Storage.check`."""
        await self.backend.check()

    async def close(self) -> None:
        """As :meth:`Storage.close`."""
        self._joint.backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncStorage {self._joint.backend.masked_url!r}>"


def beside(joint: Joint) -> AsyncStorage:
    """Return the asynchronous face of a storage."""
    made = AsyncStorage.__new__(AsyncStorage)
    made._join(joint)  # noqa: SLF001 - one thing in two faces
    return made


async def _acall(function: Callable[..., Awaitable[R]], *args: Any) -> R:
    return await function(*args)


def _taken(intake: Intake, data: bytes) -> bytes:
    plain = intake.feed(data)
    rest = intake.finish()
    return plain + rest if rest else plain


async def _take(stage: Stage, data: Any) -> Staged:
    """Take *data* in; what blocks or computes for long does so in a thread."""
    if isinstance(data, bytes | bytearray | memoryview):
        if len(data) < QUICK:
            stage.feed(data)
            return stage.finish()
        return await asyncio.to_thread(_all, stage, data)
    if hasattr(data, "__aiter__"):
        async for piece in data:
            await _feed(stage, piece)
        return await asyncio.to_thread(stage.finish)
    if inspect.iscoroutinefunction(getattr(data, "read", None)):
        while piece := await data.read(PIECE):
            await _feed(stage, piece)
        return await asyncio.to_thread(stage.finish)
    return await asyncio.to_thread(_all, stage, data)


async def _feed(stage: Stage, piece: Any) -> None:
    if stage.is_quick(piece):
        stage.feed(piece)
    else:
        await asyncio.to_thread(stage.feed, piece)


def _all(stage: Stage, data: Any) -> Staged:
    for piece in pieces(data):
        stage.feed(piece)
    return stage.finish()
