"""A few threads for hashing, so that no event loop waits and no machine drowns."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from shared.errors import InvalidArgumentError, ServiceUnavailableError
from shared.runtime import after_fork_in_child

__all__ = ["HashingPool"]

R = TypeVar("R")


class HashingPool:
    """A bounded pool of threads for the work of hashing passwords.

    Apart from the event loop's own pool, so that a storm of logins does not keep files
    or databases waiting. When the queue is full the caller is told at once: a login that
    would wait for a minute is better refused. Threads start with the first work.
    Thread-safe and fork-safe.

    Args:
        threads: Hashes at the same time; one fewer than there are cores, 1 to 4, when
            None: the event loop needs one for itself.
        max_waiting: Calls that may wait for a thread.

    Raises:
        InvalidArgumentError: One of them is below 1.

    Example:
        >>> import asyncio
        >>> pool = HashingPool(threads=1)
        >>> asyncio.run(pool.run(lambda: 6 * 7))
        42
        >>> pool.close()
    """

    def __init__(self, *, threads: int | None = None, max_waiting: int = 256) -> None:
        self.threads: int = min(4, max(1, (os.cpu_count() or 1) - 1)) if threads is None else threads
        self.max_waiting: int = max_waiting
        if self.threads < 1 or max_waiting < 1:
            msg = f"threads and max_waiting must be >= 1, got {self.threads} and {max_waiting}"
            raise InvalidArgumentError(msg)
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._held = 0
        after_fork_in_child(self)

    async def run(self, work: Callable[[], R]) -> R:
        """Return what *work* returns, awaiting it in one of the threads.

        Raises:
            ServiceUnavailableError: The queue is full; try again in a second.
        """
        return await asyncio.wrap_future(self._submit(work))

    def _submit(self, work: Callable[[], R]) -> "Future[R]":
        with self._lock:
            if self._held >= self.threads + self.max_waiting:
                msg = f"{self._held} passwords are being checked already, at most {self._held} may be"
                raise ServiceUnavailableError(msg, retry_after=1.0)
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="shared-hash")
            executor = self._executor
            self._held += 1
        try:
            future = executor.submit(work)
        except RuntimeError as exc:  # closed between the two lines
            self._release(None)
            raise ServiceUnavailableError("the service is shutting down") from exc
        future.add_done_callback(self._release)
        return future

    def _release(self, _future: object) -> None:
        with self._lock:
            self._held -= 1

    @property
    def held(self) -> int:
        """Calls that run or wait."""
        return self._held

    def close(self) -> None:
        """Finish what runs, drop what waits, and end the threads; used again, it starts anew."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def after_fork(self) -> None:
        """Forget the parent's threads, which the child does not have."""
        self._lock = threading.Lock()
        self._executor = None
        self._held = 0
