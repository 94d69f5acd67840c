"""Flags in a file that people and programs edit."""

import contextlib
import hashlib
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.feature_flags._file_formats import MAX_FILE_BYTES, dumper_of, parse_file
from shared.feature_flags._file_history import MISSING, FileLog, Note, form_at
from shared.feature_flags._forms import Form, Step, Steps, empty_form, form_of, patched, steps_between
from shared.feature_flags._store import FlagChange
from shared.feature_flags._store_base import StoreBase
from shared.runtime import after_fork_in_child

__all__ = ["FileFlagStore"]

# Clocks of file systems tick in milliseconds, so two writes may leave one time: what was
# written this lately is read again.
_FRESH: Final = 2.0
_LOCK_PATIENCE: Final = 10.0  # seconds to wait for another writer
_OUTSIDE: Final = "system:file"


@dataclass(frozen=True, slots=True)
class _Seen:
    """The file as it was read."""

    mark: tuple[int, ...] = ()
    digest: str = MISSING
    raw: bytes = b""
    changed_at: float = 0.0
    is_fresh: bool = True


class FileFlagStore(StoreBase):
    """A store in a YAML, JSON or TOML file, by its ending. Processes on one machine may share it.

    A change by hand is a revision like any other. Writes replace the file in one step;
    comments and the layout of a file that is written to are lost. The history is kept
    beside it in ``<file>.history.jsonl``; a store that is only read writes nothing.

    Args:
        path: Of the file; one that is not there yet holds nothing.
        look_every: Seconds between two looks at the file while waiting for a hint.
        clock: Seconds since 1970.

    Raises:
        ConfigurationError: The ending of the file is none of these.

    Example:
        >>> from shared.feature_flags import Flag, FlagChanges
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     store = FileFlagStore(f"{directory}/flags.json")
        ...     store.apply(FlagChanges({"beta": Flag("beta", default=True)}), actor="ada")
        ...     sorted(p.name for p in Path(directory).iterdir())
        1
        ['flags.json', 'flags.json.history.jsonl', 'flags.json.lock']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        look_every: float = 0.1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = Path(path).absolute()
        self._dump = dumper_of(self._path)
        self.shown: str = f"file {self._path.name}"
        self._look_every = look_every
        self._clock = clock
        self._log = FileLog(self._path.with_name(f"{self._path.name}.history.jsonl"))
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._revision = 0
        self._parsed: tuple[str, Form] = (MISSING, empty_form())
        after_fork_in_child(self)

    def revision(self) -> int:
        """See :meth:`FlagStore.revision`."""
        with self._lock:
            return self._look()

    def now(self) -> float:
        """See :meth:`FlagStore.now`."""
        return self._clock()

    def wait_hint(self, timeout: float) -> bool:
        """See :meth:`FlagStore.wait_hint`."""
        until = time.monotonic() + timeout
        while not self._closed.is_set():
            if self._mark() != self._seen.mark:
                return True
            left = until - time.monotonic()
            if left <= 0:
                break
            self._closed.wait(min(left, self._look_every))
        return False

    def close(self) -> None:
        """See :meth:`FlagStore.close`."""
        self._closed.set()

    def after_fork(self) -> None:
        """Begin with a lock of its own; called in a forked child."""
        self._lock = threading.Lock()

    # -- the steps of an engine ------------------------------------------------------------

    def _read(self) -> tuple[int, Form]:
        with self._lock:
            revision = self._look()
            return revision, self._form()

    def _commit(self, revision: int, steps: Steps, actor: str, reason: str) -> int | None:
        with self._writing(), self._lock:
            if self._look(always=True) != revision:
                return None
            before = self._form()
            raw = self._dump(patched(before, steps)).encode()
            number = self._adopt(revision, before) + 1
            with self._written(raw) as temporary:
                self._log.begin(Note(number, _digest(raw), self._clock(), actor, reason, steps))
                temporary.replace(self._target())
            self._sync_directory()
            self._log.end(number)
            return self._look(always=True)

    def _changes(self, key: str | None, limit: int) -> list[FlagChange]:
        found: list[FlagChange] = []
        for note in reversed(self._notes()):
            found += [_change(note, step) for step in note.steps if key is None or step.key == key]
        return found[:limit]

    def _form_at(self, revision: int) -> Form | None:
        return form_at(self._notes(), revision)

    # -- looking at the file ---------------------------------------------------------------

    def _look(self, *, always: bool = False) -> int:
        """Return the revision of the file as it is now; the lock is held."""
        seen = self._seen
        mark = self._mark()
        if mark == seen.mark and not seen.is_fresh and not always:
            return self._revision if mark else 0
        now = self._read_file(mark)
        if now.digest not in (seen.digest, MISSING):
            with _readable(self.shown):
                notes = self._log.notes(now.digest)
            newest = notes[-1].revision if notes else 0
            if not notes or notes[-1].digest != now.digest:
                newest += 1
            self._revision = max(newest, self._revision + 1) if self._revision else newest
        # A file that is gone does not make us forget which contents had which number.
        self._seen = now if now.digest != MISSING else _Seen(now.mark, seen.digest, seen.raw, is_fresh=True)
        return self._revision if now.digest != MISSING else 0

    def _mark(self) -> tuple[int, ...]:
        """Return what changes when the file does; empty when it is not there."""
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as exc:
            raise _unreadable(self.shown, exc) from exc
        if not stat.S_ISREG(found.st_mode):
            msg = f"{self.shown} is no regular file"
            raise ConfigurationError(msg)
        return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)

    def _read_file(self, mark: tuple[int, ...]) -> _Seen:
        if not mark:
            return _Seen()
        try:
            with self._path.open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return _Seen()
        except OSError as exc:
            raise _unreadable(self.shown, exc) from exc
        changed_at = mark[0] / 1e9
        is_fresh = time.time() - changed_at < _FRESH
        return _Seen(mark, _digest(raw), raw, changed_at, is_fresh)

    def _form(self) -> Form:
        """Return what was read last; the lock is held."""
        if not self._seen.mark:
            return empty_form()
        if self._parsed[0] != self._seen.digest:
            self._parsed = (self._seen.digest, form_of(parse_file(self._path, self._seen.raw)))
        return self._parsed[1]

    def _notes(self) -> list[Note]:
        """Return all revisions, with a change by hand that no writer has noted yet."""
        with self._lock:
            revision, form = self._look(), self._form()
            digest = self._seen.digest if revision else MISSING
            with _readable(self.shown):
                notes = self._log.notes(digest)
            return [*notes, *self._outside(notes, revision, form)]

    def _outside(self, notes: list[Note], revision: int, form: Form) -> list[Note]:
        if not revision or (notes and notes[-1].digest == self._seen.digest):
            return []
        steps = steps_between(self._newest(notes), form)
        reason = "changed outside of the store"
        return [Note(revision, self._seen.digest, self._seen.changed_at, _OUTSIDE, reason, steps)]

    @staticmethod
    def _newest(notes: list[Note]) -> Form:
        return (form_at(notes, notes[-1].revision) if notes else None) or empty_form()

    # -- writing ---------------------------------------------------------------------------

    def _adopt(self, revision: int, form: Form) -> int:
        """Note a change by hand before one of ours goes on top of it; return the newest revision."""
        notes = self._log.repair(self._seen.digest if revision else MISSING)
        outside = self._outside(notes, revision, form)
        if not revision and notes and (gone := steps_between(self._newest(notes), empty_form())):
            number = max(notes[-1].revision, self._revision) + 1
            outside = [Note(number, MISSING, self._clock(), _OUTSIDE, "the file was gone", gone)]
        for note in outside:
            self._log.begin(note)
            self._log.end(note.revision)
        return max(revision, self._revision, *(note.revision for note in [*notes, *outside]), 0)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock that the writers of all processes share; the system opens it when they die."""
        import fcntl

        try:
            descriptor = os.open(
                self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
            )
            try:
                until = time.monotonic() + _LOCK_PATIENCE
                while True:
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        if time.monotonic() >= until:
                            msg = f"{self.shown}: another writer has held the lock for {_LOCK_PATIENCE:g} s"
                            raise ServiceUnavailableError(msg) from None
                        time.sleep(0.01)
                yield
            finally:
                os.close(descriptor)
        except OSError as exc:
            msg = f"{self.shown} cannot be written to: {type(exc).__name__}"
            raise ConfigurationError(msg) from exc

    @contextlib.contextmanager
    def _written(self, raw: bytes) -> Iterator[Path]:
        """Give the path of a file beside ours that holds *raw* and is on the disk."""
        target = self._target()
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            yield temporary
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()

    def _target(self) -> Path:
        """Return the file itself where the path is a link."""
        return Path(os.path.realpath(self._path))

    def _sync_directory(self) -> None:
        descriptor = os.open(self._target().parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _change(note: Note, step: Step) -> FlagChange:
    return FlagChange(
        note.revision, step.key, note.actor, note.reason, note.at, step.before, step.after, step.kind
    )


def _unreadable(shown: str, exc: OSError) -> ServiceUnavailableError:
    return ServiceUnavailableError(f"{shown} cannot be read: {type(exc).__name__}")


@contextlib.contextmanager
def _readable(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _unreadable(shown, exc) from exc
