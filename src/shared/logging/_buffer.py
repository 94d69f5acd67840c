"""Debug lines of a request, kept back until something goes wrong."""

import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from shared.context import RequestContext, current_context
from shared.logging._levels import ERROR
from shared.runtime import after_fork_in_child

if TYPE_CHECKING:
    from shared.logging._sinks import Sink
    from shared.logging._writer import Writer

__all__ = ["DebugBuffer"]


class DebugBuffer:
    """Keeps the last lines below the configured level, per request.

    An error line of the same request brings them out, in front of it; else they
    end with the request. Lines outside of a request are not kept. Thread-safe.

    Args:
        capacity: Lines kept per request; older ones are forgotten.
        sink: Where they come out.
    """

    def __init__(self, capacity: int, sink: "Sink") -> None:
        self._capacity = capacity
        self._sink = sink
        self._lock = threading.RLock()
        self._kept: weakref.WeakKeyDictionary[RequestContext, deque[tuple[bytes, int]]]
        self._kept = weakref.WeakKeyDictionary()
        after_fork_in_child(self)

    def keep(self, data: bytes, number: int) -> None:
        """Keep a finished line for the request at hand."""
        context = current_context()
        if context is None:
            return
        with self._lock:
            lines = self._kept.get(context.root or context)
            if lines is None:
                lines = self._kept[context.root or context] = deque(maxlen=self._capacity)
            lines.append((data, number))

    def release(self) -> None:
        """Write what was kept for the request at hand."""
        context = current_context()
        if context is None:
            return
        with self._lock:
            lines = self._kept.pop(context.root or context, ())
        for data, number in lines:
            self._sink.write(data, number)

    def around(self, write: "Writer", keep: "Writer", wanted: int) -> "Writer":
        """Return *write* for lines from *wanted* on, and *keep* for those below."""

        def choose(level: str, number: int, event: Any, fields: dict[str, Any]) -> None:
            if number < wanted:
                if current_context() is not None:
                    keep(level, number, event, fields)
                return
            if number >= ERROR:
                self.release()
            write(level, number, event, fields)

        return choose

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self._lock = threading.RLock()
