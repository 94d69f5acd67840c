"""What Python reports by itself, in the same stream: crashes, warnings, lost task errors."""

import asyncio
import sys
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from shared.logging._levels import CRITICAL, ERROR, WARNING, level_name
from shared.logging._state import STATE
from shared.logging._text import safe_text

__all__ = ["Hooks", "log_loop_errors"]

_WARNINGS: Final = "py.warnings"  # the name that logging.captureWarnings uses
_UNCAUGHT: Final = "shared.uncaught"
_MAX_TEXT: Final = 2000  # characters


def _write(name: str, number: int, event: str, **fields: Any) -> None:
    pipeline = STATE.find()
    if number >= pipeline.levels.level_for(name):
        pipeline.log(name, level_name(number), number, event, fields)


class Hooks:
    """The hooks of the interpreter: ``sys``, ``threading`` and ``warnings``.

    Each is put back by :meth:`restore` when it is still ours; when somebody has
    wrapped it meanwhile, ours stays in their chain and only passes on.
    """

    def __init__(self) -> None:
        self._active = False
        self._excepthook: Callable[..., Any] = sys.excepthook
        self._thread_hook: Callable[..., Any] = threading.excepthook
        self._showwarning: Callable[..., Any] = warnings.showwarning

    def install(self) -> None:
        """Put our hooks in front of what is there."""
        self._active = True
        self._excepthook, sys.excepthook = sys.excepthook, self._on_exception
        self._thread_hook, threading.excepthook = threading.excepthook, self._on_thread_exception
        self._showwarning, warnings.showwarning = warnings.showwarning, self._on_warning

    def restore(self) -> None:
        """Put back what was there."""
        self._active = False
        if sys.excepthook == self._on_exception:
            sys.excepthook = self._excepthook
        if threading.excepthook == self._on_thread_exception:
            threading.excepthook = self._thread_hook
        if warnings.showwarning == self._on_warning:
            warnings.showwarning = self._showwarning

    def _on_exception(
        self, kind: type[BaseException], exc: BaseException, traceback: TracebackType | None
    ) -> None:
        # Ctrl-C and what we cannot describe go the usual way.
        if not self._active or not isinstance(exc, Exception):
            self._excepthook(kind, exc, traceback)
            return
        sink = STATE.find().sink
        lost = sink.stats()["lost"]
        _write(_UNCAUGHT, CRITICAL, "uncaught exception", exc_info=exc)
        if sink.stats()["lost"] > lost:  # the last words must be heard somewhere
            self._excepthook(kind, exc, traceback)

    def _on_thread_exception(self, args: Any) -> None:
        if not self._active or not isinstance(args.exc_value, Exception):
            self._thread_hook(args)
            return
        thread = args.thread.name if args.thread is not None else None
        _write(_UNCAUGHT, ERROR, "uncaught exception in thread", thread=thread, exc_info=args.exc_value)

    def _on_warning(  # noqa: PLR0917 - the signature of warnings.showwarning
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        if not self._active or file is not None:
            self._showwarning(message, category, filename, lineno, file, line)
            return
        _write(
            _WARNINGS,
            WARNING,
            safe_text(message, _MAX_TEXT),
            category=category.__name__,
            file=filename,
            line=lineno,
        )


def log_loop_errors(loop: asyncio.AbstractEventLoop | None = None) -> Callable[[], None]:
    """Log what an event loop reports: errors of tasks and callbacks nobody waited for.

    Without it the loop reports through the stdlib logger ``asyncio``, which lands
    in the stream as well; this names task and exception as fields and leaves out
    the ``repr`` of the objects, which may show data.

    Args:
        loop: The loop; None for the running one.

    Returns:
        A function that restores the loop's handler; calling it again does nothing.

    Raises:
        RuntimeError: *loop* is None and none is running.

    Example:
        >>> import asyncio
        >>> from shared.logging import capture_logs, log_loop_errors
        >>> loop = asyncio.new_event_loop()
        >>> restore = log_loop_errors(loop)
        >>> with capture_logs() as events:
        ...     loop.call_exception_handler({"message": "callback failed", "exception": ValueError("no")})
        >>> events[0]["event"], events[0]["exception"]["type"]
        ('callback failed', 'ValueError')
        >>> restore(); loop.close()
    """
    watched = asyncio.get_running_loop() if loop is None else loop
    before = watched.get_exception_handler()
    watched.set_exception_handler(_on_loop_error)

    def restore() -> None:
        if watched.get_exception_handler() is _on_loop_error:
            watched.set_exception_handler(before)

    return restore


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG001
    fields: dict[str, Any] = {}
    exc = context.get("exception")
    if isinstance(exc, BaseException):
        fields["exc_info"] = exc
    future = context.get("future") or context.get("task")
    if isinstance(future, asyncio.Task):
        fields["task"] = future.get_name()
    elif context.get("handle") is not None:
        fields["callback"] = type(context["handle"]).__name__
    _write("asyncio", ERROR, safe_text(context.get("message", "event loop error"), _MAX_TEXT), **fields)
