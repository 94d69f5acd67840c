"""From the value of ``LOG_SINK`` to a sink."""

import os
import re
from pathlib import Path
from typing import Any, Final

from shared.errors import ConfigurationError
from shared.logging._fd import FdSink, standard_sink
from shared.logging._file import FileSink
from shared.logging._sinks import Sink, StreamSink
from shared.logging._thread import ThreadSink

__all__ = ["is_terminal", "open_sink"]

_THREAD: Final = "thread"
_PATH: Final = re.compile(r"[./\\]").search


def open_sink(value: Any) -> tuple[Sink, bool]:
    """Return the sink that *value* means, and whether it was made here.

    Raises:
        ConfigurationError: *value* is nothing to write to.
    """
    if isinstance(value, str | os.PathLike):
        return _open_named(os.fspath(value))
    if isinstance(value, Sink):
        return value, False
    if callable(getattr(value, "write", None)):
        return StreamSink(value), True
    msg = (
        f"LOG_SINK: cannot write to a {type(value).__name__}; "
        f"give 'stdout', 'stderr', 'thread', a path, a file object or a Sink"
    )
    raise ConfigurationError(msg)


def _open_named(name: str) -> tuple[Sink, bool]:
    name = name.strip()
    if name in ("stdout", "stderr"):
        return standard_sink(name), False
    kind, _, inner = name.partition(":")
    if kind == _THREAD:
        sink, _ = _open_named(inner or "stdout")
        return ThreadSink(sink), True
    # A misspelt "stdout" must not become a file of that name.
    if not _PATH(name) or "://" in name:
        msg = (
            f"LOG_SINK: {name!r} is neither 'stdout', 'stderr', 'thread' nor the path of a file "
            f"(a path has a '/' or a '.' in it)"
        )
        raise ConfigurationError(msg)
    return FileSink(Path(name)), True


def is_terminal(sink: Sink) -> bool:
    """Tell whether *sink* ends at a terminal."""
    inner = getattr(sink, "sink", sink)  # a thread sink has the real one inside
    return isinstance(inner, FdSink) and inner.is_terminal()
