"""Where finished lines go: the protocol, memory, and any file object."""

import threading
from collections import deque
from typing import Any, Protocol, runtime_checkable

import orjson

from shared.logging._losses import Losses

__all__ = ["MemorySink", "Sink", "StreamSink"]


@runtime_checkable
class Sink(Protocol):
    """Takes finished lines; never raises and never waits without bound.

    Example:
        >>> isinstance(MemorySink(), Sink)
        True
    """

    def write(self, line: bytes, level: int) -> None:
        """Deliver *line*, which ends in a newline; *level* is the number of its log level."""

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most *timeout* seconds until all is delivered; tell whether it is."""

    def close(self) -> None:
        """Deliver what can be and release what is held; safe to call twice."""

    def stats(self) -> dict[str, Any]:
        """Return counters: ``lost`` in total, ``lost_by_reason`` and what the sink adds."""


class MemorySink:
    r"""Keeps the last lines in memory: for tests and for a look at a running process.

    Args:
        capacity: Lines kept; older ones are forgotten.

    Example:
        >>> sink = MemorySink()
        >>> sink.write(b'{"event":"hello"}\n', 20)
        >>> sink.lines, sink.events[0]["event"]
        (['{"event":"hello"}'], 'hello')
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._lines: deque[bytes] = deque(maxlen=capacity)

    def write(self, line: bytes, level: int) -> None:  # noqa: ARG002 - the protocol's
        """Keep *line*."""
        self._lines.append(line)

    @property
    def lines(self) -> list[str]:
        """The lines as text, oldest first, without their newlines."""
        return [line.decode("utf-8", "replace").removesuffix("\n") for line in tuple(self._lines)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines parsed; only for the JSON formats."""
        return [orjson.loads(line) for line in tuple(self._lines)]

    def clear(self) -> None:
        """Forget all lines."""
        self._lines.clear()

    def flush(self, timeout: float = 2.0) -> bool:  # noqa: ARG002
        """Return True: memory is never behind."""
        return True

    def close(self) -> None:
        """Do nothing; the lines stay readable."""

    def stats(self) -> dict[str, Any]:
        """Return the counters; memory loses nothing but what :attr:`capacity` forgets."""
        return {"lost": 0, "lost_by_reason": {}, "held": len(self._lines)}


class StreamSink:
    r"""Writes to any file object, text or binary; what it raises is counted, not passed on.

    For streams without a file descriptor, such as ``io.StringIO`` or a notebook's
    output. A descriptor is better served by :class:`FdSink`.

    Example:
        >>> import io
        >>> out = io.StringIO()
        >>> StreamSink(out).write(b"one line\n", 20)
        >>> out.getvalue()
        'one line\n'
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._text = hasattr(stream, "encoding") or (not hasattr(stream, "mode") and _refuses_bytes(stream))
        self._lock = threading.RLock()
        self._losses = Losses(type(stream).__name__)

    def write(self, line: bytes, level: int) -> None:  # noqa: ARG002 - the protocol's
        """Write *line* and flush."""
        try:
            with self._lock:
                self._stream.write(line.decode("utf-8", "replace") if self._text else line)
                self.flush()
        except OSError as exc:
            self._losses.add(exc)
        except Exception as exc:  # noqa: BLE001 - closed, or foreign code
            self._losses.add(type(exc).__name__)

    def flush(self, timeout: float = 2.0) -> bool:  # noqa: ARG002
        """Flush the stream's own buffer."""
        flush = getattr(self._stream, "flush", None)
        if flush is not None:
            flush()
        return True

    def close(self) -> None:
        """Leave the stream open: it belongs to who opened it."""

    def stats(self) -> dict[str, Any]:
        """Return the counters."""
        return {"lost": self._losses.total, "lost_by_reason": self._losses.by_reason()}


def _refuses_bytes(stream: Any) -> bool:
    try:
        stream.write(b"")
    except TypeError:
        return True
    except Exception:  # noqa: BLE001 - closed; writing will tell
        return False
    return False
