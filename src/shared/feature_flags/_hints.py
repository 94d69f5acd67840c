"""Signs that a store changed: at most once, so only ever a reason to look.

A listener has a connection of its own and makes a new one when it is lost. It never
raises: without a connection there are no hints, and polling goes on.
"""

import contextlib
import logging
import threading
import time
from typing import Any, Final

from shared.runtime import after_fork_in_child

__all__ = ["SLICE", "Hints"]

SLICE: Final = 0.5  # seconds after which a listener that was closed is noticed
_log: Final = logging.getLogger("shared.feature_flags")
_RETRY_AFTER: Final = 2.0  # seconds until another connection is tried


class Hints:
    """Listens from the first wait on. An engine says how to begin, to listen and to end."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._left: list[Any] = []  # the parent's, after a fork: never closed here
        self._not_before = 0.0
        self._closed = False
        self._lock = threading.Lock()  # one thread listens at a time
        after_fork_in_child(self)

    def wait(self, timeout: float) -> bool:
        """Wait for a sign; True also when listening has only just begun, for it missed what was before."""
        if self._closed or time.monotonic() < self._not_before or not self._lock.acquire(blocking=False):
            return False
        try:
            if self._connection is None:
                self._connection = self._begin()
                return True
            return self._listen(self._connection, timeout)
        except Exception as exc:  # noqa: BLE001 - whatever it is, there are no hints for a while
            _log.info("no hints of changed flags for now: %s", type(exc).__name__)
            self._drop()
            self._not_before = time.monotonic() + _RETRY_AFTER
            return False
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._closed:  # meanwhile
            self._drop()
        self._lock.release()

    def close(self) -> None:
        """Close the connection; when somebody listens just now, they do it within moments."""
        self._closed = True
        if self._lock.acquire(timeout=4 * SLICE):
            try:
                self._drop()
            finally:
                self._lock.release()

    def after_fork(self) -> None:
        """Leave the connection to the parent; called in a forked child."""
        self._left.append(self._connection)
        self._connection = None
        self._lock = threading.Lock()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            quietly_close(connection)

    def _begin(self) -> Any:
        raise NotImplementedError

    def _listen(self, connection: Any, timeout: float) -> bool:
        raise NotImplementedError


def quietly_close(connection: Any) -> None:
    """Close what may be gone already."""
    with contextlib.suppress(Exception):
        connection.close()
