"""What was lost, and one rate-limited note about it."""

import errno
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Losses"]

_NOTE_EVERY: Final = 60.0  # seconds between two notes of one sink
_STDERR: Final = 2


class Losses:
    """Counts lines that a sink could not deliver, by reason. Thread-safe.

    The first loss, and then at most one a minute, is noted on standard error:
    logging itself has nowhere else to complain.

    Args:
        label: What the note calls the sink.
        note_fd: Where notes go; None for nowhere.
        clock: Monotonic seconds.
    """

    def __init__(
        self, label: str, *, note_fd: int | None = _STDERR, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.label = label
        self._note_fd = note_fd
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._noted_at: float | None = None

    def add(self, reason: str | OSError, lines: int = 1) -> None:
        """Count *lines* lost for *reason*; an error of the system goes by its short name."""
        name = errno.errorcode.get(reason.errno or 0, "OSError") if isinstance(reason, OSError) else reason
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + lines
            now = self._clock()
            due = self._noted_at is None or now - self._noted_at >= _NOTE_EVERY
            if due:
                self._noted_at = now
            total = sum(self._counts.values())
        if due:
            self._note(f"shared.logging: {self.label}: {name}: {total} log line(s) lost so far\n".encode())

    def _note(self, text: bytes) -> None:
        """Write *text* if standard error takes it at once; a stalled reader must not stall us."""
        if self._note_fd is None:
            return
        try:
            if hasattr(select, "poll"):
                poller = select.poll()
                poller.register(self._note_fd, select.POLLOUT)
                if not poller.poll(0):
                    return
            os.write(self._note_fd, text)
        except (OSError, ValueError):
            return

    @property
    def total(self) -> int:
        """Lines lost for any reason."""
        return sum(self.by_reason().values())

    def by_reason(self) -> dict[str, int]:
        """Return lines lost per reason, such as ``ENOSPC``, ``EPIPE``, ``blocked`` or ``queue full``."""
        with self._lock:
            return dict(self._counts)

    def after_fork(self) -> None:
        """Start anew in a child: the parent reports its own losses."""
        self._lock = threading.Lock()
        self._counts = {}
        self._noted_at = None
