"""Which runtime is in force."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Final

from shared.runtime._fork import after_fork_in_child
from shared.runtime._runtime import Runtime, restore

__all__ = ["current", "enter_runtime", "leave_runtime", "reset_default", "use"]

_active: Final[ContextVar[Runtime | None]] = ContextVar("shared_runtime", default=None)


class _Process:
    """The runtime of the process, made on demand."""

    def __init__(self) -> None:
        self.runtime: Runtime | None = None
        self.lock = threading.RLock()
        after_fork_in_child(self)

    def make(self) -> Runtime:
        with self.lock:
            if self.runtime is None:
                self.runtime = Runtime()
            return self.runtime

    def after_fork(self) -> None:
        self.lock = threading.RLock()


_process: Final = _Process()


def current() -> Runtime:
    """Return the runtime in force: that of the request or block, else the process's.

    Example:
        >>> with use(Runtime("orders")) as runtime:
        ...     current() is runtime
        True
        >>> current() is current()
        True
    """
    runtime = _active.get()
    if runtime is not None:
        return runtime
    return _process.runtime or _process.make()


@contextmanager
def use(runtime: Runtime) -> Iterator[Runtime]:
    """Make *runtime* the one :func:`current` finds, inside the block and what it starts.

    Tasks started inside inherit it; plain threads do not, unless their target is
    wrapped in :func:`shared.context.with_context`.

    Example:
        >>> with use(Runtime("outer")), use(Runtime("inner")):
        ...     current().name
        'inner'
    """
    before = _active.get()
    token = _active.set(runtime)
    try:
        yield runtime
    finally:
        restore(_active, token, runtime, before)


def enter_runtime(runtime: Runtime) -> Token[Runtime | None]:
    """Make *runtime* current and return the token for :func:`leave_runtime`.

    For request layers, which pay for every microsecond; everybody else uses :func:`use`.

    Example:
        >>> token = enter_runtime(Runtime("orders"))
        >>> current().name
        'orders'
        >>> leave_runtime(token)
    """
    return _active.set(runtime)


def leave_runtime(token: Token[Runtime | None]) -> None:
    """Restore what was current before.

    A token made in another task's context cannot be reset; then the variable is
    cleared, so that a reused thread falls back to the process's runtime.

    Example:
        >>> leave_runtime(enter_runtime(Runtime("orders")))
        >>> current().name
        'default'
    """
    try:
        _active.reset(token)
    except ValueError:
        _active.set(None)


def reset_default(runtime: Runtime | None = None) -> Runtime | None:
    """Set the process default (None: none, one is made on demand) and return the old, unclosed.

    Example:
        >>> before = reset_default(Runtime("script"))
        >>> current().name
        'script'
        >>> reset_default(before).name
        'script'
    """
    with _process.lock:
        old, _process.runtime = _process.runtime, runtime
        return old
