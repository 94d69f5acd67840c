"""S3 and Google Cloud Storage, through obstore.

One object holds the client for both faces; how each call is made and read is shared, so
that they differ in ``await`` only.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final
from urllib.parse import quote, unquote

from shared.errors import ConfigurationError, SharedError, ValidationError
from shared.integrations.storage._content_type import OCTETS
from shared.integrations.storage._errors import object_errors
from shared.integrations.storage._model import OURS
from shared.integrations.storage._parts import Attributes, Condition, Found
from shared.integrations.storage._staging import Staged

__all__ = ["AsyncObjectBackend", "ObjectBackend"]

_PART: Final = 8 * 1024 * 1024  # bytes of one part of a large upload
_PARTS_AT_ONCE: Final = 4
_SAFE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")

# The threads of the library live in the process that made its first call: a child that is
# forked after that would wait for them for ever.
_process: list[int] = []


def _here() -> None:
    pid = os.getpid()
    if not _process:
        _process.append(pid)
    elif _process[0] != pid:
        msg = (
            "object storage was used before this process was forked, which its client does not survive: "
            "use it for the first time in the child, or start the workers without preloading"
        )
        raise ConfigurationError(msg)


class _Calls:
    """How each call is made and read."""

    def __init__(self, store: Any, *, scheme: str, masked_url: str) -> None:
        self.store = store
        self.scheme: str = scheme
        self.masked_url: str = masked_url

    def errors(
        self, key: str | None = None, condition: Condition | None = None
    ) -> AbstractContextManager[None]:
        _here()
        return object_errors(self.masked_url, key, create=condition is not None and condition.create)

    def found(self, key: str, result: Any) -> Found:
        meta = result.meta
        return Found(key, meta["size"], self.tag(meta), meta["last_modified"], _read(result.attributes))

    def listed(self, meta: Any) -> Found:
        return Found(meta["path"], meta["size"], self.tag(meta), meta["last_modified"])

    def tag(self, meta: Any) -> str:
        """Return what names the version: Google compares generations, S3 entity tags."""
        if self.scheme == "gs" and meta.get("version"):
            return f'"{meta["version"]}"'
        tag = meta.get("e_tag") or '""'
        return tag if tag.startswith('"') else f'"{tag}"'

    def put_options(self, attributes: Attributes, condition: Condition) -> dict[str, Any]:
        options: dict[str, Any] = {
            "attributes": _written(attributes),
            "chunk_size": _PART,
            "max_concurrency": _PARTS_AT_ONCE,
        }
        if condition.create:
            options["mode"] = "create"
        elif condition.etag is not None:
            options["mode"] = (
                {"version": condition.etag.strip('"')} if self.scheme == "gs" else {"e_tag": condition.etag}
            )
        return options

    def written(self, key: str, staged: Staged, attributes: Attributes, result: Any) -> Found:
        now = datetime.now(UTC).replace(microsecond=0)
        return Found(key, staged.size, self.tag(result), now, attributes)


def _options(start: int, stop: int | None) -> Any:
    if stop is not None:
        return {"range": (start, stop)}
    return {"range": {"offset": start}} if start else None


def _listing(prefix: str, after: str) -> tuple[str | None, str | None]:
    """Return the folder to list, and behind which key to begin."""
    folder = prefix.rpartition("/")[0] or None
    if after or not prefix or prefix.endswith("/"):
        return folder, after or None
    # A listing begins behind a key; this is behind all that come before the prefix.
    before = ord(prefix[-1]) - 1
    return (
        folder,
        None if 0xD800 <= before <= 0xDFFF or before < 0x20 else f"{prefix[:-1]}{chr(before)}\U0010ffff",
    )


class _Page:
    """Collects a page of a listing that comes in pieces."""

    def __init__(self, prefix: str, after: str, limit: int) -> None:
        self._prefix = prefix
        self._after = after
        self._limit = limit
        self.found: list[Any] = []

    def is_full(self, metas: Any) -> bool:
        for meta in metas:
            path = meta["path"]
            if path.startswith(self._prefix):
                if path > self._after or path.encode() > self._after.encode():
                    self.found.append(meta)
            elif path.encode() > self._prefix.encode():
                return True
            if len(self.found) == self._limit:
                return True
        return False


class ObjectBackend(_Calls):
    """The synchronous face.

    Args:
        store: A store of obstore.
        scheme: ``"s3"`` or ``"gs"``.
        masked_url: For messages.
    """

    def stat(self, key: str) -> Found:
        """Return the object."""
        import obstore

        with self.errors(key):
            return self.found(key, obstore.get(self.store, key, options={"head": True}))

    def open(self, key: str, start: int, stop: int | None) -> "ObjectReader":
        """Begin to read."""
        import obstore

        try:
            with self.errors(key):
                result = obstore.get(self.store, key, options=_options(start, stop))
                return ObjectReader(self, self.found(key, result), result)
        except ValidationError:
            if start or stop is None:
                raise
            return self.open(key, 0, None)  # an empty object has no first byte, so any range is outside of it

    def write(self, key: str, staged: Staged, attributes: Attributes, condition: Condition) -> Found:
        """Write all of it or nothing."""
        import obstore

        with self.errors(key, condition):
            options = self.put_options(attributes, condition)
            return self.written(
                key, staged, attributes, obstore.put(self.store, key, staged.buffer(), **options)
            )

    def delete(self, key: str) -> bool:
        """Delete; only Google tells whether there was anything."""
        import obstore

        try:
            with self.errors():
                obstore.delete(self.store, key)
        except SharedError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError) or isinstance(exc, ConfigurationError):
                raise
            return False
        return True

    def copy(self, source: str, target: str) -> None:
        """Copy inside of the store."""
        import obstore

        with self.errors(source):
            obstore.copy(self.store, source, target)

    def page(self, prefix: str, after: str, limit: int) -> list[Found]:
        """Return the next objects."""
        import obstore

        folder, offset = _listing(prefix, after)
        page = _Page(prefix, after, limit)
        with self.errors():
            for metas in obstore.list(self.store, folder, offset=offset, chunk_size=min(limit, 1000)):
                if page.is_full(metas):
                    break
        return [self.listed(meta) for meta in page.found]

    def sign(self, method: str, key: str, seconds: float) -> str | None:
        """Return a URL that the store itself honours."""
        import obstore

        with self.errors(key):
            return str(obstore.sign(self.store, method, key, timedelta(seconds=seconds)))  # type: ignore[call-overload]

    def check(self) -> None:
        """Raise unless the bucket can be listed."""
        self.page("", "", 1)

    def spool(self) -> IO[bytes]:
        """Open a nameless file."""
        return tempfile.TemporaryFile()

    def close(self) -> None:
        """The client has nothing to close; idle connections end by themselves."""


class AsyncObjectBackend(_Calls):
    """The asynchronous face."""

    async def stat(self, key: str) -> Found:
        """Return the object."""
        import obstore

        with self.errors(key):
            return self.found(key, await obstore.get_async(self.store, key, options={"head": True}))

    async def open(self, key: str, start: int, stop: int | None) -> "AsyncObjectReader":
        """Begin to read."""
        import obstore

        try:
            with self.errors(key):
                result = await obstore.get_async(self.store, key, options=_options(start, stop))
                return AsyncObjectReader(self, self.found(key, result), result)
        except ValidationError:
            if start or stop is None:
                raise
            return await self.open(key, 0, None)  # as above

    async def write(self, key: str, staged: Staged, attributes: Attributes, condition: Condition) -> Found:
        """Write all of it or nothing."""
        import obstore

        with self.errors(key, condition):
            options = self.put_options(attributes, condition)
            result = await obstore.put_async(self.store, key, staged.buffer(), **options)
            return self.written(key, staged, attributes, result)

    async def delete(self, key: str) -> bool:
        """Delete; only Google tells whether there was anything."""
        import obstore

        try:
            with self.errors():
                await obstore.delete_async(self.store, key)
        except SharedError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError) or isinstance(exc, ConfigurationError):
                raise
            return False
        return True

    async def copy(self, source: str, target: str) -> None:
        """Copy inside of the store."""
        import obstore

        with self.errors(source):
            await obstore.copy_async(self.store, source, target)

    async def page(self, prefix: str, after: str, limit: int) -> list[Found]:
        """Return the next objects."""
        import obstore

        folder, offset = _listing(prefix, after)
        page = _Page(prefix, after, limit)
        with self.errors():
            async for metas in obstore.list(self.store, folder, offset=offset, chunk_size=min(limit, 1000)):
                if page.is_full(metas):
                    break
        return [self.listed(meta) for meta in page.found]

    async def sign(self, method: str, key: str, seconds: float) -> str | None:
        """Return a URL that the store itself honours."""
        import obstore

        with self.errors(key):
            return str(await obstore.sign_async(self.store, method, key, timedelta(seconds=seconds)))  # type: ignore[call-overload]

    async def check(self) -> None:
        """Raise unless the bucket can be listed."""
        await self.page("", "", 1)


class ObjectReader:
    """A download."""

    def __init__(self, calls: _Calls, found: Found, result: Any) -> None:
        self.found = found
        self._errors: Callable[[str], AbstractContextManager[None]] = calls.errors
        self._result = result

    def read(self) -> bytes:
        """Return all that is left."""
        with self._errors(self.found.key):
            return bytes(self._result.bytes())

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield pieces."""
        with self._errors(self.found.key):
            for piece in self._result.stream(min_chunk_size=size):
                yield bytes(piece)

    def close(self) -> None:
        """Let go of the connection."""
        self._result = None


class AsyncObjectReader:
    """The same, awaited."""

    def __init__(self, calls: _Calls, found: Found, result: Any) -> None:
        self.found = found
        self._errors: Callable[[str], AbstractContextManager[None]] = calls.errors
        self._result = result

    async def read(self) -> bytes:
        """Return all that is left."""
        with self._errors(self.found.key):
            return bytes(await self._result.bytes_async())

    async def chunks(self, size: int) -> AsyncIterator[bytes]:
        """Yield pieces."""
        with self._errors(self.found.key):
            async for piece in self._result.stream(min_chunk_size=size):
                yield bytes(piece)

    async def close(self) -> None:
        """Let go of the connection."""
        self._result = None


# --- what is kept beside the bytes: headers --------------------------------------------------


def _written(attributes: Attributes) -> dict[str, str]:
    """Return the headers that keep *attributes*; values in the ASCII that headers may carry."""
    found = {"Content-Type": attributes.content_type}
    if attributes.cache_control is not None:
        found["Cache-Control"] = attributes.cache_control
    if attributes.filename is not None:
        found["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(attributes.filename, safe='')}"
    ours = {"sha256": attributes.sha256, "sealed": attributes.sealed}
    found |= {f"{OURS}{name}": value for name, value in ours.items() if value is not None}
    return found | {name: quote(value, safe=_SAFE) for name, value in attributes.metadata.items()}


def _read(headers: dict[str, str]) -> Attributes:
    known = {name.lower(): value for name, value in headers.items()}
    disposition = known.pop("content-disposition", "")
    _, marked, name = disposition.partition("filename*=UTF-8''")
    kind, cache_control = known.pop("content-type", OCTETS), known.pop("cache-control", None)
    for unused in ("content-encoding", "content-language", "storage-class"):
        known.pop(unused, None)
    sha256, sealed = known.pop(f"{OURS}sha256", None), known.pop(f"{OURS}sealed", None)
    metadata = {key: unquote(value) for key, value in known.items()}
    return Attributes(kind, sha256, metadata, cache_control, unquote(name) if marked else None, sealed)
