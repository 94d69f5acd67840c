"""One line, one write to a file descriptor, however badly the other end behaves."""

import errno
import os
import select
import stat
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from shared.logging._levels import ERROR, INFO
from shared.logging._losses import Losses
from shared.runtime import after_fork_in_child

__all__ = ["FdSink", "standard_sink"]

_PIPE_BUF: Final = 4096  # bytes that a pipe takes whole; POSIX guarantees 512, Linux has 4096
_URGENT_WAIT: Final = 0.05  # seconds an error line may wait at a stalled sink
_MAX_TAIL: Final = 1 << 20  # bytes kept for later after a torn write
# Write without waiting although the descriptor is blocking, and without touching
# the O_NONBLOCK flag, which is shared with every process that has the same pipe.
_NOWAIT: Final = getattr(os, "RWF_NOWAIT", None)


class FdSink:
    r"""Writes lines to an open file descriptor: standard output, a pipe, a file.

    A line is one ``write`` call. A regular file is written directly. A pipe,
    socket or terminal is never waited for longer than *patience*: when its reader
    stalls, the line that met it waits that long, later lines are dropped at once
    (errors wait 50 ms) until the reader is back. A line torn by a short write is
    completed before the next. Disk full, a reader that is gone and a closed
    descriptor are counted in :meth:`stats`. Thread-safe and fork-safe.

    Several processes that share one pipe may mix lines longer than 4096 bytes;
    that is what pipes do.

    Args:
        fd: The descriptor; not closed by :meth:`close`.
        patience: Seconds to wait for a stalled reader, >= 0.
        label: Name in notes about losses.
        clock: Monotonic seconds.

    Example:
        >>> import os
        >>> reader, writer = os.pipe()
        >>> sink = FdSink(writer)
        >>> sink.write(b"one line\n")
        >>> os.read(reader, 100)
        b'one line\n'
        >>> os.close(reader); sink.write(b"nobody listens\n")
        >>> sink.stats()["lost_by_reason"]
        {'EPIPE': 1}
        >>> os.close(writer)
    """

    def __init__(
        self,
        fd: int,
        *,
        patience: float = 1.0,
        label: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fd = fd
        self._patience = patience
        self._clock = clock
        # A note about standard error on standard error would be lost as well.
        self._losses = Losses(label or f"fd {fd}", note_fd=None if fd == 2 else 2, clock=clock)
        self._lock = threading.RLock()
        self._busy = False
        self._tail = b""  # the rest of a line whose beginning is out
        self._stalled = False
        self._torn = False
        self._push, self._is_stream = _writer_for(fd)
        after_fork_in_child(self)

    def write(self, line: bytes, level: int = INFO) -> None:
        """Write *line*; see the class for what happens when that is not possible."""
        if self._is_stream or self._torn:
            self._write_stream(line, level)
            return
        try:
            sent = os.write(self._fd, line)
        except OSError as exc:
            self._failed(exc, line, level)
            return
        if sent != len(line):
            self._write_stream(line[sent:], level, torn=True)

    def _failed(self, exc: OSError, line: bytes, level: int) -> None:
        if isinstance(exc, BlockingIOError):  # replaced by a pipe since we looked
            self._is_stream, self._push = True, _push_polled
            self._write_stream(line, level)
        else:
            self._losses.add(exc)

    def _write_stream(self, line: bytes, level: int, *, torn: bool = False) -> None:
        wait = self._wait_for(level)
        if not self._lock.acquire(timeout=wait or _URGENT_WAIT):
            self._losses.add("blocked")
            return
        try:
            if self._busy:  # a signal handler or finalizer logs while its thread is writing
                self._keep(line)
                return
            self._busy = True
            try:
                self._send(line, wait, torn)
            finally:
                self._busy = False
        finally:
            self._lock.release()

    def _wait_for(self, level: int) -> float:
        if not self._stalled:
            return self._patience
        return min(_URGENT_WAIT, self._patience) if level >= ERROR else 0.0

    def _keep(self, line: bytes) -> None:
        if len(self._tail) + len(line) <= _MAX_TAIL:
            self._tail += line
        else:
            self._losses.add("blocked")

    def _send(self, line: bytes, wait: float, torn: bool) -> None:
        """Write what is left of earlier lines, then *line*."""
        deadline: float | None = None
        if self._torn:
            line, self._torn = b"\n" + line, False
        while self._tail or line:
            part = self._tail or line
            sent = self._try(part)
            if sent is None:  # failed for good: half a line ends here
                self._torn = torn or bool(self._tail)
                self._tail = b""
                return
            if sent:
                if part is line:
                    line, torn = line[sent:], True
                else:
                    self._tail = self._tail[sent:]
                continue
            if deadline is None:
                deadline = self._clock() + wait
            if not self._wait_writable(deadline - self._clock()):
                self._stalled = True
                self._give_up(line, torn)
                return
        self._stalled = False

    def _try(self, part: bytes) -> int | None:
        """Return the bytes taken, 0 for "not now", None for an error, which is counted."""
        try:
            return self._push(self._fd, part)
        except BlockingIOError:
            return 0
        except OSError as exc:
            if exc.errno in _UNSUPPORTED and self._push is not _push_polled:
                self._push = _push_polled  # replaced by something else since we looked
                return self._try(part)
            self._losses.add(exc)
            return None

    def _give_up(self, line: bytes, torn: bool) -> None:
        if torn:
            self._keep(line)
        elif line:
            self._losses.add("blocked")

    def _wait_writable(self, seconds: float) -> bool:
        return seconds > 0 and _writable(self._fd, seconds)

    def is_terminal(self) -> bool:
        """Tell whether a person is reading."""
        try:
            return os.isatty(self._fd)
        except OSError:
            return False

    def flush(self, timeout: float = 2.0) -> bool:
        """Complete a line that was torn; tell whether nothing is left."""
        if self._tail and self._lock.acquire(timeout=timeout):
            try:
                self._send(b"", timeout, torn=False)
            finally:
                self._lock.release()
        return not self._tail

    def close(self) -> None:
        """Complete a torn line; the descriptor stays open, it belongs to the process."""
        self.flush(_URGENT_WAIT)

    def stats(self) -> dict[str, Any]:
        """Return the counters."""
        return {"lost": self._losses.total, "lost_by_reason": self._losses.by_reason()}

    def after_fork(self) -> None:
        """Forget what another thread of the parent was writing."""
        self._lock = threading.RLock()
        self._busy = False
        self._tail = b""
        self._losses.after_fork()


# --- ways to write -------------------------------------------------------------------

_UNSUPPORTED: Final = frozenset(
    {errno.EINVAL, errno.ESPIPE, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP},
)


def _push_nowait(fd: int, part: bytes) -> int:
    return os.pwritev(fd, (part,), -1, _NOWAIT or 0)


def _push_polled(fd: int, part: bytes) -> int:
    # Writable means room for at least PIPE_BUF bytes, so this much cannot block.
    return os.write(fd, part[:_PIPE_BUF]) if _writable(fd, 0.0) else 0


def _writable(fd: int, seconds: float) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([], [fd], [], seconds)[1])
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    # An error counts as writable: the write that follows tells what it is.
    return bool(poller.poll(seconds * 1000.0))


def _writer_for(fd: int) -> tuple[Callable[[int, bytes], int], bool]:
    """Return how to write to *fd*, and whether it is something with a reader."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return os.write, False  # closed: each write will say so
    if stat.S_ISREG(mode) or not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)):
        return os.write, False
    if _NOWAIT is not None and hasattr(os, "pwritev"):
        try:
            os.pwritev(fd, (b"",), -1, _NOWAIT)
        except OSError:
            return _push_polled, True
        return _push_nowait, True
    return _push_polled, True


_standard: "weakref.WeakValueDictionary[int, FdSink]" = weakref.WeakValueDictionary()


def standard_sink(name: str) -> FdSink:
    """Return the one sink of ``stdout`` or ``stderr``; everything in the process shares it.

    A stream that was closed before Python started gets a sink that counts: the
    number 1 or 2 may since have been given to a database connection.
    """
    number, stream = (1, sys.__stdout__) if name == "stdout" else (2, sys.__stderr__)
    fd = -1 if stream is None else number
    sink = _standard.get(fd)
    if sink is None:
        sink = _standard[fd] = FdSink(fd, label=name)
    return sink
