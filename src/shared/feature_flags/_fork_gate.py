"""Keeps a fork from happening while a thread of ours is inside a driver.

What a driver locks in its own memory stays locked in the child for ever: SQLite keeps a
list of open files and their locks for the whole process.
"""

import os
import threading
import weakref
from contextlib import suppress
from types import TracebackType
from typing import Final

__all__ = ["ForkGate"]

_PATIENCE: Final = 2.0  # seconds a fork waits for a thread of ours, all in all
_gates: Final["weakref.WeakSet[ForkGate]"] = weakref.WeakSet()
_held: Final["dict[int, list[ForkGate]]"] = {}  # by the thread that forks


class ForkGate:
    """A block within which this process does not fork, for a moment: ``with gate:``.

    Example:
        >>> gate = ForkGate()
        >>> with gate:
        ...     answer = 42
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _gates.add(self)

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(RuntimeError):  # in a child that was forked within the block
            self.lock.release()


def _before() -> None:
    left = _PATIENCE
    held = _held.setdefault(threading.get_ident(), [])
    for gate in list(_gates):
        # A driver that hangs does not keep the service from forking.
        if gate.lock.acquire(timeout=left):
            held.append(gate)
        else:
            left = 0.0


def _in_parent() -> None:
    for gate in _held.pop(threading.get_ident(), ()):
        gate.lock.release()


def _in_child() -> None:
    _held.clear()
    for gate in list(_gates):
        gate.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
