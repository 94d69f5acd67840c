"""A log file that follows its own rotation."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from shared.errors import ConfigurationError
from shared.logging._fd import FdSink
from shared.logging._levels import INFO
from shared.runtime import after_fork_in_child

__all__ = ["FileSink"]

_CHECK_EVERY: Final = 1.0  # seconds
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_MODE: Final = 0o640  # logs are for the service and its group


class FileSink:
    r"""Appends lines to a file, and to the new one after a rotation.

    At most once a second a write compares the file behind the descriptor with the
    one behind the path; when another program has moved or removed it, the path is
    opened anew. :meth:`reopen` does that at once, for a ``SIGHUP`` handler.
    Truncation in place (``copytruncate``) works too: every write goes to the end.
    Several processes may append to one file.

    Args:
        path: The file; created with mode 0640, its folder must exist.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: The file cannot be opened.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "service.log")
        >>> sink = FileSink(path)
        >>> sink.write(b"before\n")
        >>> _ = path.rename(path.with_suffix(".1"))
        >>> sink.reopen()
        True
        >>> sink.write(b"after\n"); sink.close()
        >>> path.read_text()
        'after\n'
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path: Path = Path(path)
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._fd = os.open(self.path, _FLAGS, _MODE)
        except OSError as exc:
            msg = f"cannot open the log file {str(self.path)!r}: {exc.strerror}; check LOG_SINK"
            raise ConfigurationError(msg, cause=exc) from exc
        self._sink = FdSink(self._fd, label=str(self.path), clock=clock)
        self._checked_at = clock()
        self._closed = False
        after_fork_in_child(self)

    def write(self, line: bytes, level: int = INFO) -> None:
        """Append *line*."""
        if self._clock() - self._checked_at >= _CHECK_EVERY:
            self._follow()
        self._sink.write(line, level)

    def _follow(self) -> None:
        self._checked_at = self._clock()
        try:
            ours, named = os.fstat(self._fd), self.path.stat()
        except FileNotFoundError:
            self.reopen()
        except OSError:  # the old file is still good
            return
        else:
            if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
                self.reopen()

    def reopen(self) -> bool:
        """Open the path anew; when that fails, keep the old file and return False."""
        with self._lock:
            if self._closed:
                return False
            try:
                fresh = os.open(self.path, _FLAGS, _MODE)
            except OSError:
                return False
            # The number stays, so a write in another thread goes to one or the other.
            os.dup2(fresh, self._fd, inheritable=False)
            os.close(fresh)
            return True

    def flush(self, timeout: float = 2.0) -> bool:
        """Return True: the system has every line that was not counted as lost."""
        return self._sink.flush(timeout)

    def close(self) -> None:
        """Close the file; a line that comes later is counted as lost."""
        with self._lock:
            if not self._closed:
                self._closed = True
                fd, self._sink._fd = self._fd, -1  # noqa: SLF001 - a number may be reused at once
                os.close(fd)

    def stats(self) -> dict[str, Any]:
        """Return the counters."""
        return self._sink.stats()

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self._lock = threading.Lock()
