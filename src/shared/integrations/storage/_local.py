"""Objects as files beneath one directory.

Beside them lies ``.shared-storage`` with what is being written (``tmp``), what is known
of each object (``meta``), and the locks of writers. An object is written beside its
place, forced to the disk, and renamed: a reader sees the old content or the new one, and
a crash leaves nothing that is listed. What is known of an object is written first, under
the time and size of the content it belongs to, so that the rename makes both true at once.

No path is ever built from a key: each folder is opened from the one above it, and links
are not followed, so that neither a key nor a link leads out of the directory.
"""

import fcntl
import os
import stat as modes
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final
from zlib import crc32

from shared.errors import ConfigurationError, ConflictError, LockTimeoutError, ObjectNotFoundError
from shared.integrations.storage._errors import file_errors, missing, unmet
from shared.integrations.storage._local_meta import META, read_meta, remove_meta, version_of, write_meta
from shared.integrations.storage._local_tree import (
    LINK,
    OWN,
    make_folders,
    open_folder,
    prune,
    same_spelling,
    walk,
)
from shared.integrations.storage._parts import Attributes, Condition, Found, plain_attributes
from shared.integrations.storage._staging import PIECE, Staged

__all__ = ["LocalBackend"]

_STRIPES: Final = 64
_TRIES: Final = 100
_TMP: Final = f"{OWN}/tmp"  # noqa: S108 - not the one of the machine
_LOCK_SECONDS: Final = 10.0
_LEFT_OVER: Final = 3600.0  # seconds after which what nobody holds any more is cleared away
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LocalBackend:
    """Keeps objects beneath *root*, which is made when it does not exist.

    Safe for threads and processes of one machine.

    Args:
        root: The directory.
        fsync: Whether a write is on the disk when it returns.
        case_sensitive: Whether the file system tells ``A`` from ``a``; found out when None.
        clock: Gives the time in seconds.
    """

    scheme = "file"

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        fsync: bool = True,
        case_sensitive: bool | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = Path(root).absolute()
        self._fsync = fsync
        self._case_sensitive = case_sensitive
        self._clock = clock
        self._ready = False
        self.masked_url = f"file://{self._root}"

    # -- reading ----------------------------------------------------------------------

    def stat(self, key: str) -> Found:
        """Return the object."""
        with file_errors(key), self._file(key) as (found, _):
            return found

    def open(self, key: str, start: int, stop: int | None) -> "LocalReader":
        """Begin to read; what is written meanwhile is not seen."""
        with file_errors(key), self._file(key) as (found, file):
            return LocalReader(found, os.dup(file), start, found.size if stop is None else stop)

    @contextmanager
    def _file(self, key: str) -> Iterator[tuple[Found, int]]:
        """Open the file of *key* for reading, and look up what is known of it."""
        with self._opened_root() as root:
            for _ in range(_TRIES):
                file = self._opened(root, key)
                try:
                    status = os.fstat(file)
                    attributes = read_meta(root, key, status)
                    # What was known of a version goes after the version: without it, the
                    # file may have been replaced since it was opened.
                    if attributes is not None or self._is_current(root, key, status):
                        yield _summary(key, status, attributes), file
                        return
                finally:
                    os.close(file)
            msg = f"the object {key!r} is replaced as fast as it is read"
            raise ConflictError(msg)

    def _is_current(self, root: int, key: str, status: os.stat_result) -> bool:
        try:
            file = self._opened(root, key)
        except ObjectNotFoundError:
            return False
        try:
            return os.path.samestat(os.fstat(file), status)
        finally:
            os.close(file)

    def _opened(self, root: int, key: str) -> int:
        try:
            folder, name = open_folder(root, key)
        except (FileNotFoundError, NotADirectoryError):
            raise missing(key) from None
        try:
            file = os.open(name, _READ, dir_fd=folder)
            if modes.S_ISREG(os.fstat(file).st_mode) and self._is_spelt(folder, name):
                return file
            os.close(file)
        except OSError as exc:
            if not isinstance(exc, FileNotFoundError) and exc.errno not in LINK:
                raise
        finally:
            os.close(folder)
        raise missing(key)

    def _is_spelt(self, folder: int, name: str) -> bool:
        return self._tells_case() or name in os.listdir(folder)

    def _tells_case(self) -> bool:
        if self._case_sensitive is None:
            self._case_sensitive = not (self._root / OWN.upper()).exists()
        return self._case_sensitive

    # -- writing ----------------------------------------------------------------------

    def write(self, key: str, staged: Staged, attributes: Attributes, condition: Condition) -> Found:
        """Write all of it or nothing."""
        with file_errors(key), self._opened_root() as root:
            name = f"{_TMP}/{uuid.uuid4().hex}"
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=root)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # tells the sweeper that we live
                for piece in staged.pieces():
                    _write_all(file, piece)
                if self._fsync:
                    os.fsync(file)
                for _ in range(_TRIES):
                    try:
                        return self._commit(root, key, name, file, attributes, condition)
                    except FileNotFoundError:  # a folder was empty for a moment, and was taken away
                        continue
                msg = f"the folders of {key!r} are taken away as fast as they are made"
                raise ConflictError(msg)
            finally:
                os.close(file)
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=root)

    def _commit(  # noqa: PLR0917 - one write, in parts
        self, root: int, key: str, temporary: str, file: int, attributes: Attributes, condition: Condition
    ) -> Found:
        folder, name = make_folders(root, key)
        try:
            with self._lock(root, key):
                old = self._before(folder, name, key, condition)
                # The time names the version, so it must be another than that of the one before.
                moment = max(int(self._clock() * 1e9), 0 if old is None else old.st_mtime_ns + 1)
                os.utime(file, ns=(moment, moment))
                status = os.fstat(file)
                write_meta(root, key, status, attributes, fsync=self._fsync)
                try:
                    os.rename(temporary, name, src_dir_fd=root, dst_dir_fd=folder)
                except OSError:
                    remove_meta(root, key, status)
                    raise
                if self._fsync:
                    os.fsync(folder)
                if old is not None and version_of(old) != version_of(status):
                    remove_meta(root, key, old)
        finally:
            os.close(folder)
        return _summary(key, status, attributes)

    def _before(self, folder: int, name: str, key: str, condition: Condition) -> os.stat_result | None:
        """Return what is in place of the object now, if what is there may be replaced."""
        if not self._tells_case() and (other := same_spelling(folder, name)):
            msg = f"the key {key!r} differs from {other!r} by case only, which this disk does not tell apart"
            raise ConflictError(msg)
        try:
            old = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            old = None
        if old is not None and not modes.S_ISREG(old.st_mode):
            msg = f"{key!r} is a folder or a link here, so no object can have this key in a directory"
            raise ConflictError(msg)
        if condition.create and old is not None:
            raise unmet(key, create=True)
        if condition.etag is not None and (old is None or _etag(old) != condition.etag):
            raise unmet(key, create=False)
        return old

    def delete(self, key: str) -> bool:
        """Delete; False when there was nothing. Folders that become empty go as well."""
        with file_errors(key), self._opened_root() as root:
            try:
                folder, name = open_folder(root, key)
            except (FileNotFoundError, NotADirectoryError):
                return False
            try:
                with self._lock(root, key):
                    if not self._unlink(root, key, folder, name):
                        return False
            finally:
                os.close(folder)
            prune(root, key)
            return True

    def _unlink(self, root: int, key: str, folder: int, name: str) -> bool:
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not modes.S_ISREG(status.st_mode) or not self._is_spelt(folder, name):
            return False
        os.unlink(name, dir_fd=folder)
        remove_meta(root, key, status)
        if self._fsync:
            os.fsync(folder)
        return True

    def copy(self, source: str, target: str) -> None:
        """Copy with all attributes."""
        reader = self.open(source, 0, None)
        try:
            found = reader.found
            staged = Staged(None, reader.as_file(), found.size, found.size, "", b"")
            try:
                self.write(target, staged, found.attributes or plain_attributes(source), Condition())
            finally:
                staged.close()
        finally:
            reader.close()

    # -- the rest ----------------------------------------------------------------------

    def page(self, prefix: str, after: str, limit: int) -> list[Found]:
        """Return the next objects."""
        with file_errors(), self._opened_root() as root:
            found = []
            for key, status in walk(root, prefix, after):
                found.append(_summary(key, status, None))
                if len(found) == limit:
                    break
            return found

    def sign(self, method: str, key: str, seconds: float) -> str | None:  # noqa: ARG002
        """Return None: whoever serves the files signs."""
        return None

    def check(self) -> None:
        """Raise unless the directory can be written to."""
        with file_errors(), self._opened_root() as root:
            if not os.access(_TMP, os.W_OK, dir_fd=root):
                msg = f"the storage directory {self._root} cannot be written to by this process"
                raise ConfigurationError(msg)

    def spool(self) -> IO[bytes]:
        """Open a nameless file on the same disk."""
        import tempfile

        with file_errors():
            self._prepare()
            return tempfile.TemporaryFile(dir=self._root / _TMP)

    def close(self) -> None:
        """Nothing is held between calls."""

    @contextmanager
    def _opened_root(self) -> Iterator[int]:
        self._prepare()
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield root
        finally:
            os.close(root)

    def _prepare(self) -> None:
        """Make what is needed, and clear away what a crash has left; once."""
        if self._ready:
            return
        try:
            for part in (_TMP, f"{OWN}/{META}", f"{OWN}/locks"):
                (self._root / part).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, FileNotFoundError) as exc:
            msg = f"the storage directory {self._root} cannot be made: something else is in its place"
            raise ConfigurationError(msg) from exc
        self._sweep()
        self._ready = True

    def _sweep(self) -> None:
        oldest = self._clock() - _LEFT_OVER
        for path in (self._root / _TMP).iterdir():
            with suppress(OSError):  # another process is faster, or it is being written
                if path.lstat().st_mtime < oldest:
                    with path.open("rb") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        path.unlink()

    @contextmanager
    def _lock(self, root: int, key: str) -> Iterator[None]:
        """Keep other writers of *key*, in whatever process, away for the moment of the change."""
        stripe = f"{OWN}/locks/{crc32(key.encode()) % _STRIPES:02x}"
        file = os.open(stripe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666, dir_fd=root)
        try:
            give_up = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        msg = f"another process has been writing {key!r} for {_LOCK_SECONDS:g} s"
                        raise LockTimeoutError(msg) from None
                    time.sleep(0.002)
            yield
        finally:
            os.close(file)


class LocalReader:
    """A file that is being read; it keeps its content, whatever is written meanwhile."""

    def __init__(self, found: Found, file: int, start: int, stop: int) -> None:
        self.found = found
        self._file: int | None = file
        self._left = max(0, stop - start)
        os.lseek(file, start, os.SEEK_SET)

    def read(self) -> bytes:
        """Return all that is left."""
        return b"".join(self.chunks(max(self._left, 1)))

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield pieces."""
        with file_errors(self.found.key):
            while self._left and self._file is not None:
                piece = os.read(self._file, min(size, self._left))
                if not piece:
                    return
                self._left -= len(piece)
                yield piece

    def as_file(self) -> IO[bytes]:
        """Return it as a file object that shares its position."""
        return os.fdopen(os.dup(-1 if self._file is None else self._file), "rb")

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _summary(key: str, status: os.stat_result, attributes: Attributes | None) -> Found:
    moment = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
    return Found(key, status.st_size, _etag(status), moment, attributes)


def _etag(status: os.stat_result) -> str:
    return f'"{version_of(status)}"'


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view[:PIECE]) :]
