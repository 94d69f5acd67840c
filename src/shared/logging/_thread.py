"""A thread between the caller and a slow sink."""

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from shared.logging._levels import ERROR, INFO
from shared.logging._losses import Losses
from shared.logging._sinks import Sink
from shared.runtime import after_fork_in_child

__all__ = ["ThreadSink"]

_URGENT_WAIT: Final = 0.05  # seconds an error line may wait for room
_BATCH_BYTES: Final = 4096  # of one write: what a pipe takes whole
_CLOSE_WAIT: Final = 2.0  # seconds


class ThreadSink:
    r"""Hands lines to a background thread, so that a slow reader does not slow the caller.

    It protects latency and costs a delivery guarantee: what is queued when the
    process is killed is gone. When the queue is full the newest line below ERROR
    is dropped; an ERROR line waits at most 50 ms for room. What was dropped is
    counted in :meth:`stats` and told in the stream itself once there is room.
    The queue is flushed at exit, for at most 2 s. The thread starts with the
    first line, in a forked child anew.

    Args:
        sink: The sink that does the writing.
        capacity: Lines that may wait.
        report: Makes the line that tells how many lines were dropped.

    Example:
        >>> from shared.logging import MemorySink
        >>> memory = MemorySink()
        >>> sink = ThreadSink(memory)
        >>> sink.write(b"a line\n", 20)
        >>> sink.flush()
        True
        >>> sink.close(); memory.lines
        ['a line']
    """

    def __init__(
        self,
        sink: Sink,
        *,
        capacity: int = 10_000,
        report: Callable[[int], bytes] | None = None,
    ) -> None:
        self.sink = sink
        self.capacity = capacity
        self.report = report
        self._losses = Losses("queue", note_fd=None)
        self._arm()
        after_fork_in_child(self)

    def _arm(self) -> None:
        self._queue: deque[tuple[bytes, int]] = deque()
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._writing = False
        self._closed = False
        self._untold = 0  # dropped lines that no line has told of yet

    def write(self, line: bytes, level: int = INFO) -> None:
        """Queue *line*, or drop it when the queue is full; see the class."""
        changed = self._changed
        with changed:
            if self._closed:
                self._drop("closed")
                return
            if len(self._queue) >= self.capacity and not self._make_room(level):
                self._drop("queue full")
                return
            self._queue.append((line, level))
            if self._thread is None:
                self._start()
            elif len(self._queue) == 1:
                changed.notify_all()

    def _make_room(self, level: int) -> bool:
        """Wait for room when *level* is worth it; called with the lock held."""
        if level < ERROR or threading.current_thread() is self._thread:
            return False
        return self._changed.wait_for(lambda: len(self._queue) < self.capacity, _URGENT_WAIT)

    def _drop(self, reason: str) -> None:
        self._losses.add(reason)
        self._untold += 1

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="shared-logging", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    if self._closed:
                        return
                    self._changed.wait()
                batch, level = self._take()
                self._writing = True
            try:
                self.sink.write(batch, level)
            finally:
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()

    def _take(self) -> tuple[bytes, int]:
        """Return the next lines that fit into one write, and the highest of their levels."""
        lines, size, highest = [], 0, 0
        if self._untold and self.report is not None:
            lines.append(self.report(self._untold))
            self._untold = 0
        while self._queue and (not size or size + len(self._queue[0][0]) <= _BATCH_BYTES):
            line, level = self._queue.popleft()
            lines.append(line)
            size += len(line)
            highest = max(highest, level)
        return b"".join(lines), highest

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most *timeout* seconds until the queue is written; tell whether it is."""
        deadline = time.monotonic() + timeout
        with self._changed:
            done = self._changed.wait_for(lambda: not self._queue and not self._writing, timeout)
        return done and self.sink.flush(max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Write what is queued, for at most 2 s, then stop the thread and close the inner sink."""
        with self._changed:
            if self._closed:
                return
            thread = self._thread
            self._closed = True
            self._changed.notify_all()
        atexit.unregister(self.close)
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_WAIT)
        with self._changed:
            if self._queue:
                self._losses.add("closed", len(self._queue))
                self._queue.clear()
        self.sink.close()

    def stats(self) -> dict[str, Any]:
        """Return the counters, those of the inner sink included, and ``queued``."""
        inner = self.sink.stats()
        reasons = self._losses.by_reason()
        for reason, count in inner["lost_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + count
        return {**inner, "lost": sum(reasons.values()), "lost_by_reason": reasons, "queued": len(self._queue)}

    def after_fork(self) -> None:
        """Start with an empty queue: what waits in the parent is written by the parent."""
        closed = self._closed
        self._arm()
        self._closed = closed
        self._losses.after_fork()
