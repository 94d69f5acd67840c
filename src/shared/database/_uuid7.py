"""Identifiers that sort by time: UUID version 7."""

import os
import threading
import time
import uuid
from typing import Final

from shared.runtime import after_fork_in_child

__all__ = ["uuid7"]

_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62


class _Generator:
    """Milliseconds, a counter that never goes back within them, and 32 random bits.

    Source: RFC 9562, section 5.7 and method 1 (fixed-length dedicated counter bits) of
    section 6.2, with 42 bits of counter.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._counter = 0
        after_fork_in_child(self)

    def after_fork(self) -> None:
        """Begin anew in a child: the same counter would give the same identifiers."""
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> uuid.UUID:
        now = time.time_ns() // 1_000_000
        noise = int.from_bytes(os.urandom(10), "big")
        with self._lock:
            if now > self._last:
                self._last = now
                self._counter = noise >> 32 & 0x1FF_FFFF_FFFF  # the top bit is left free to count
            else:
                self._counter += 1
                if self._counter >= 1 << 42:  # as many in one millisecond: borrow from the next
                    self._last += 1
                    self._counter = 0
            stamp, counter = self._last, self._counter
        number = (stamp & 0xFFFF_FFFF_FFFF) << 80 | _VERSION | (counter >> 30) << 64
        number |= _VARIANT | (counter & 0x3FFF_FFFF) << 32 | noise & 0xFFFF_FFFF
        return uuid.UUID(int=number)


_generator: Final = _Generator()


def uuid7() -> uuid.UUID:
    """Return a new UUID of version 7: unique, and greater than all this process made before.

    Being in order of time they fill a B-tree from its right end, which random ones do
    not. They tell when a row was made, so they are no secret.

    Example:
        >>> first, second = uuid7(), uuid7()
        >>> first < second, first.version
        (True, 7)
    """
    return _generator.next()
