"""The storage for synchronous code."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack

from shared.errors import InvalidArgumentError, ObjectNotFoundError
from shared.integrations.storage._core import (
    CHUNK,
    Intake,
    PutOptionValues,
    StorageCore,
    check_range,
    put_again,
)
from shared.integrations.storage._download import Download
from shared.integrations.storage._joint import PAGE, Joint
from shared.integrations.storage._keys import check_key
from shared.integrations.storage._model import ObjectPage, ObjectSummary, StoredObject
from shared.integrations.storage._options import StorageOptionValues
from shared.integrations.storage._parts import Backend, Reader
from shared.integrations.storage._staging import pieces

if TYPE_CHECKING:
    from shared.integrations.storage._storage_async import AsyncStorage

__all__ = ["Storage"]

P = ParamSpec("P")
R = TypeVar("R")


class Storage:
    """Keeps objects under keys: in memory, in a directory, in S3 or in Google Cloud Storage.

    Every call that reaches the store goes through the policy ``"storage"``: its circuit
    breaker opens after five failures in a row, and failures that may pass are tried
    again. What is written is taken in completely before, so a source that breaks, is
    too large or is not what it claims to be leaves nothing behind, and a write is all
    or nothing.

    Args:
        url: ``memory://``, ``file:///directory``, ``s3://bucket/prefix`` or
            ``gs://bucket/prefix``; or a backend of your own.
        clock: Gives Unix seconds, for the links.
        **options: The fields of :class:`StorageOptions`.

    Raises:
        ConfigurationError: The URL or an option cannot be used.
        InvalidArgumentError: An option is unknown or out of range.
        MissingDependencyError: The store needs obstore, which is not installed.

    Thread-safe. Fork-safe, except that S3 and Google must be used for the first time
    after the fork.

    Example:
        >>> with Storage("memory://") as storage:
        ...     stored = storage.put("receipts/7.txt", b"2 x espresso")
        ...     storage.get("receipts/7.txt")
        b'2 x espresso'
    """

    def __init__(
        self,
        url: "str | Backend" = "memory://",
        *,
        clock: Callable[[], float] = time.time,
        **options: Unpack[StorageOptionValues],
    ) -> None:
        self._joint = joint = Joint(url, clock, options)
        self.backend: Backend = joint.backend
        self.core: StorageCore = joint.core
        self._again = joint.again(_call)
        self._once = joint.once(_call)
        self._aio: AsyncStorage | None = None

    @property
    def aio(self) -> "AsyncStorage":
        """The same storage for asynchronous code."""
        from shared.integrations.storage._storage_async import beside

        if self._aio is None:
            self._aio = beside(self._joint)
        return self._aio

    # -- writing ----------------------------------------------------------------------

    def put(self, key: str, data: Any, **options: Unpack[PutOptionValues]) -> StoredObject:
        """Store *data* under *key* and return what is known of it.

        Contents above 4 MiB go through a temporary file, so memory stays small.

        Args:
            key: Where to; see :func:`check_key`.
            data: Bytes, an open binary file, a ``pathlib.Path``, or an iterable of bytes.
            **options: ``content_type`` (claimed; the bytes must agree, unless
                ``check_type=False``), ``filename`` (what a download is called),
                ``metadata``, ``cache_control``, ``sha256`` (what the content must have),
                ``if_none_match=True`` (only when there is nothing yet), ``if_match``
                (only in place of this etag), ``max_bytes`` (less than the storage's),
                ``allowed_types``, ``encrypt``. Conditional writes are not tried again:
                the second try would not know its own work.

        Raises:
            ValidationError: The key is none, or the content is not that of *sha256*.
            UnsupportedMediaTypeError: The content is not what it claims to be, or of a
                type that is not taken.
            PayloadTooLargeError: It is too large.
            PreconditionFailedError: The condition does not hold.
            ServiceUnavailableError: The store cannot be reached; nothing was written.

        Example:
            >>> storage = Storage()
            >>> storage.put("a.txt", b"1", if_none_match=True).size
            1
            >>> storage.put("a.txt", b"2", if_none_match=True)
            Traceback (most recent call last):
                ...
            shared.errors.PreconditionFailedError: the object 'a.txt' was not written: there is one already
        """
        plan = self.core.put(key, options)
        stage = plan.stage(self.backend.spool)
        try:
            for piece in pieces(data):
                stage.feed(piece)
            staged = stage.finish()
        finally:
            stage.close()
        try:
            run = self._once if plan.condition.is_given else self._again
            found = run(self.backend.write, plan.key, staged, plan.attributes(staged), plan.condition)
        finally:
            staged.close()
        return self.core.stored(found)

    def copy(self, source: str, target: str, *, overwrite: bool = True) -> StoredObject:
        """Copy an object with all that is known of it; encrypted ones are encrypted anew for their key.

        Raises:
            ObjectNotFoundError: There is no *source*.
            PreconditionFailedError: *overwrite* is false and there is a *target*.

        Example:
            >>> storage = Storage()
            >>> _ = storage.put("a.txt", b"1", metadata={"by": "ada"})
            >>> storage.copy("a.txt", "b.txt").metadata
            {'by': 'ada'}
        """
        found = self._again(self.backend.stat, check_key(source))
        if check_key(target) == source:
            return self.core.stored(found)
        if overwrite and (found.attributes is None or found.attributes.sealed is None):
            self._again(self.backend.copy, source, target)
            return self.stat(target)
        info = self.core.stored(found)
        with self.stream(source) as download:
            return self.put(target, download, **put_again(info, overwrite=overwrite))

    def move(self, source: str, target: str, *, overwrite: bool = True) -> StoredObject:
        """Copy, then delete *source*; what fails in between leaves both.

        Raises:
            ObjectNotFoundError: There is no *source*.
            PreconditionFailedError: *overwrite* is false and there is a *target*.

        Example:
            >>> storage = Storage()
            >>> _ = storage.put("inbox/a.txt", b"1")
            >>> storage.move("inbox/a.txt", "done/a.txt").key, storage.exists("inbox/a.txt")
            ('done/a.txt', False)
        """
        moved = self.copy(source, target, overwrite=overwrite)
        if source != target:
            self.delete(source)
        return moved

    def delete(self, key: str) -> None:
        """Delete an object; it is no error when there is none.

        Example:
            >>> Storage().delete("nothing.txt")
        """
        self._again(self.backend.delete, check_key(key))

    # -- reading ----------------------------------------------------------------------

    def get(self, key: str, *, start: int = 0, stop: int | None = None, verify: bool = False) -> bytes:
        """Return the content of an object, or bytes *start* to *stop* (exclusive) of it.

        Args:
            key: Which.
            start: First byte.
            stop: Byte behind the last; None is the end.
            verify: Compare with the digest that was kept when it was written.

        Raises:
            ObjectNotFoundError: There is none.
            PayloadTooLargeError: It is larger than ``max_bytes``; use :meth:`stream`.
            StorageError: Less came than there is, or something else than was stored.
            ValidationError: The range begins behind the end; 416.

        Example:
            >>> storage = Storage()
            >>> _ = storage.put("a.txt", b"0123456789")
            >>> storage.get("a.txt", start=2, stop=5), len(storage.get("a.txt", verify=True))
            (b'234', 10)
        """
        check_range(start, stop)
        data: bytes = self._again(self._get, check_key(key), start, stop, verify)
        return data

    def _get(self, key: str, start: int, stop: int | None, verify: bool) -> bytes:
        reader, intake = self._open(key, start, stop, verify)
        try:
            self.core.fits(intake)
            data = intake.feed(reader.read())
            rest = intake.finish()
        finally:
            reader.close()
        return data + rest if rest else data

    def _open(self, key: str, start: int, stop: int | None, verify: bool) -> tuple[Reader, Intake]:
        reader = self.backend.open(key, start, stop)
        try:
            intake = self.core.read(reader.found, start, stop, verify=verify)
            if intake.reopen is not None:
                reader.close()
                reader = self.backend.open(key, *intake.reopen)
        except BaseException:
            reader.close()
            raise
        return reader, intake

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        stop: int | None = None,
        verify: bool = False,
        chunk_size: int = CHUNK,
    ) -> "Download":
        """Begin a download and return it: a block, and an iterable of bytes of about *chunk_size*.

        Only the beginning is tried again when it fails; what breaks off later raises.
        Arguments and errors as for :meth:`get`, some of which come while iterating.

        Example:
            >>> storage = Storage()
            >>> _ = storage.put("a.txt", b"0123456789")
            >>> with storage.stream("a.txt", chunk_size=4) as download:
            ...     download.info.size, list(download)
            (10, [b'0123', b'4567', b'89'])
        """
        check_range(start, stop)
        if chunk_size < 1:
            msg = f"chunk_size is at least 1, got {chunk_size!r}"
            raise InvalidArgumentError(msg)
        reader, intake = self._again(self._open, check_key(key), start, stop, verify)
        return Download(reader, intake, chunk_size)

    def stat(self, key: str) -> StoredObject:
        """Return what is known of an object.

        Raises:
            ObjectNotFoundError: There is none.

        Example:
            >>> storage = Storage()
            >>> _ = storage.put("a.txt", b"hello")
            >>> storage.stat("a.txt").content_type
            'text/plain'
        """
        return self.core.stored(self._again(self.backend.stat, check_key(key)))

    def exists(self, key: str) -> bool:
        """Tell whether there is an object.

        Example:
            >>> Storage().exists("a.txt")
            False
        """
        try:
            self._again(self.backend.stat, check_key(key))
        except ObjectNotFoundError:
            return False
        return True

    def list(self, prefix: str = "", *, limit: int = PAGE, cursor: str | None = None) -> ObjectPage:
        """Return one page of the objects whose keys begin with *prefix*.

        Args:
            prefix: Cut anywhere: ``"invoices/20"`` finds ``invoices/2026/7.pdf``.
            limit: Objects of the page, 1 to 1000.
            cursor: ``next_cursor`` of the page before.

        Example:
            >>> storage = Storage()
            >>> for name in ("a/1", "a/2", "b/1"):
            ...     _ = storage.put(name, b"")
            >>> [one.key for one in storage.list("a/").items]
            ['a/1', 'a/2']
        """
        return self.core.page(
            self._again(self.backend.page, *self.core.listing(prefix, limit, cursor)), limit
        )

    def iterate(self, prefix: str = "") -> Iterator[ObjectSummary]:
        """Yield all objects whose keys begin with *prefix*, page by page.

        Example:
            >>> storage = Storage()
            >>> _ = storage.put("a", b"1")
            >>> [one.size for one in storage.iterate()]
            [1]
        """
        page = self.list(prefix)
        yield from page.items
        while page.next_cursor is not None:
            page = self.list(prefix, cursor=page.next_cursor)
            yield from page.items

    # -- links -------------------------------------------------------------------------

    def presign(self, key: str, *, method: str = "GET", expires_in: float | None = None) -> str:
        """Return a link by which whoever has it may use *method* on *key* for a while.

        S3 and Google honour it themselves. For a directory and for memory it leads to
        ``public_url``, where a route of yours asks :meth:`verify_url`. Whether there is an
        object is not looked up. An encrypted object cannot be read by a link of S3 or Google.

        Args:
            key: Which object.
            method: GET, HEAD, PUT or DELETE.
            expires_in: Seconds, 1 to 604800.

        Raises:
            ConfigurationError: There is nothing to sign with.
            InvalidArgumentError: The method or the life is none.

        Example:
            >>> storage = Storage(public_url="https://shop.example.com/files")
            >>> link = storage.presign("receipts/7.pdf", expires_in=60)
            >>> link[:66], storage.verify_url(link)
            ('https://shop.example.com/files/receipts/7.pdf?method=GET&expires=1', 'receipts/7.pdf')
        """
        seconds = self._joint.life(method, expires_in)
        link: str | None = self._again(self.backend.sign, method, check_key(key), seconds)
        return self._joint.link(method, key, seconds) if link is None else link

    def verify_url(self, url: str, *, method: str = "GET") -> str:
        """Return the key that a link of :meth:`presign` is for, in the route that it leads to.

        Args:
            url: The URL of the request, or its path with the query.
            method: Of the request.

        Raises:
            AuthorizationError: It was changed, is for another method, or has expired; 403.

        Example:
            >>> storage = Storage()
            >>> storage.verify_url("/storage/a.txt?method=GET&expires=1&signature=00")
            Traceback (most recent call last):
                ...
            shared.errors.AuthorizationError: this link was changed or is none of ours
        """
        return self._joint.verify_url(url, method)

    # -- life --------------------------------------------------------------------------

    def check(self) -> None:
        """Raise unless the store answers; a health check. It passes no breaker.

        Example:
            >>> Storage().check()
        """
        self.backend.check()

    def close(self) -> None:
        """Let go of what is held; memory forgets its objects."""
        self.backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Storage {self.backend.masked_url!r}>"


def _call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)
