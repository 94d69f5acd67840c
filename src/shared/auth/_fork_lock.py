"""A lock that a forked child finds open."""

import threading
from typing import Self

from shared.runtime import after_fork_in_child

__all__ = ["ForkLock"]


class ForkLock:
    """A ``threading.Lock`` for ``with`` blocks; new in a forked child, where nobody would open it."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        """Replace the lock, which a fork may have left held."""
        self._lock = threading.Lock()
