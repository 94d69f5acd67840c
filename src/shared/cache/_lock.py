"""Locks that end by themselves, for threads, tasks, processes and machines."""

import asyncio
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from shared.cache._lock_lease import Lease
from shared.cache._lock_renewer import Renewer
from shared.cache._lock_types import LockStore, check_name
from shared.errors import InvalidArgumentError, LockLostError, LockTimeoutError, SharedError

__all__ = ["AsyncLock", "Lock"]

_FIRST_PAUSE: Final = 0.005  # seconds between two looks
_LONGEST_PAUSE: Final = 0.05
_PATIENCE: Final = 3.0  # seconds for which a place in the line is kept


_renewing: Final[set["asyncio.Task[None]"]] = set()  # a loop holds its tasks weakly


class _Terms:
    """What both locks decide, without I/O."""

    def __init__(
        self,
        key: str,
        *,
        store: LockStore,
        ttl: float = 30.0,
        timeout: float = 10.0,
        renew: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (math.isfinite(ttl) and ttl >= 0.01):
            msg = f"ttl is seconds from 0.01, got {ttl!r}"
            raise InvalidArgumentError(msg)
        if not timeout >= 0:
            msg = f"timeout is seconds from 0, got {timeout!r}"
            raise InvalidArgumentError(msg)
        self.key: str = check_name(key)
        self.store: LockStore = store
        self.ttl: float = float(ttl)
        self.timeout: float = float(timeout)
        self.renew: bool = renew
        self._clock = clock
        self._held: dict[object, Lease] = {}  # by thread or task, for ``with``
        self._renewer = Renewer(self.store, self.ttl, clock)
        self._tasks: dict[str, asyncio.Task[None] | None] = {}  # by owner

    def _lease(self, owner: str, token: int, asked_at: float) -> Lease:
        return Lease(self.key, owner, token, expires=asked_at + self.ttl, clock=self._clock)

    def _pauses(self, timeout: float | None) -> Iterator[float]:
        """Give the seconds to wait before the next look; raise LockTimeoutError when *timeout* is over."""
        give_up = self._clock() + (self.timeout if timeout is None else timeout)
        pause = _FIRST_PAUSE
        while True:
            left = give_up - self._clock()
            if left <= 0:
                waited = self.timeout if timeout is None else timeout
                msg = f"lock {self.key!r} was not free within {waited:g} s"
                raise LockTimeoutError(msg)
            yield min(left, pause * random.uniform(0.5, 1.0))  # noqa: S311  # nosec B311 - not for security
            pause = min(_LONGEST_PAUSE, pause * 2)

    def _patience(self, timeout: float | None) -> float:
        """Return how long a place in the line is kept; who tries once does not stand in it."""
        return 0.0 if (self.timeout if timeout is None else timeout) == 0 else _PATIENCE


class Lock(_Terms):
    """A lock by name that one owner at a time holds, for *ttl* seconds at a time.

    While it is held it is renewed every third of *ttl*; a process that dies stops
    renewing, and the next one gets it. Those who wait are served in the order in which
    they came, as far as they keep asking. An object may be used by several threads: each
    ``with`` is an owner of its own. Not reentrant.

    Args:
        key: Name of what is locked.
        store: Where it is kept: :class:`MemoryLocks`, :class:`SQLiteLocks`,
            :class:`RedisLocks`, or :func:`lock_store` for a URL.
        ttl: Seconds until it is free when its holder has died, >= 0.01.
        timeout: Longest wait for it, in seconds; 0 tries once.
        renew: Whether to renew it while it is held; without, it ends after *ttl*.
        clock: Gives monotonic seconds.

    Raises:
        InvalidArgumentError: An argument is out of range.

    Example:
        >>> from shared.cache import MemoryLocks
        >>> lock = Lock("reports", store=MemoryLocks(), ttl=30.0, timeout=0.0)
        >>> with lock as lease:
        ...     try:
        ...         lock.acquire()
        ...     except Exception as error:
        ...         print(error)
        lock 'reports' was not free within 0 s
    """

    def acquire(self, *, timeout: float | None = None) -> Lease:
        """Take the lock, waiting up to *timeout* seconds; the lock's own when None.

        Raises:
            LockTimeoutError: Somebody else held it for longer.
            SharedError: The store did not answer.
        """
        owner = os.urandom(12).hex()
        pauses = self._pauses(timeout)
        patience = self._patience(timeout)
        try:
            while True:
                asked_at = self._clock()
                token = self.store.take(self.key, owner, self.ttl, patience)
                if token is not None:
                    lease = self._lease(owner, token, asked_at)
                    if self.renew:
                        self._renewer.add(lease)
                    return lease
                time.sleep(next(pauses))
        except BaseException as exc:
            # Also when the store did not answer: it may have said yes.
            if patience or not isinstance(exc, LockTimeoutError):
                with suppress(SharedError):
                    self.store.give_back(self.key, owner)
            raise

    def try_acquire(self) -> Lease | None:
        """Take the lock if it is free now.

        Raises:
            SharedError: The store did not answer.
        """
        try:
            return self.acquire(timeout=0)
        except LockTimeoutError:
            return None

    def release(self, lease: Lease) -> bool:
        """Give the lock back; False when it had been lost before."""
        lease.ended.set()
        try:
            return self.store.give_back(lease.key, lease.owner)
        except SharedError:
            return False  # it ends by itself

    def __enter__(self) -> Lease:
        lease = self._held[threading.get_ident()] = self.acquire()
        return lease

    def __exit__(self, *_: object) -> None:
        self.release(self._held.pop(threading.get_ident()))


class AsyncLock(_Terms):
    """A :class:`Lock` for asynchronous code.

    When it is lost while the body of ``async with`` runs, the body is cancelled and
    :class:`~shared.errors.LockLostError` leaves the block: nothing goes on that relies
    on a lock somebody else may hold.

    Args:
        key: As :class:`Lock`.
        store: As :class:`Lock`.
        ttl: As :class:`Lock`.
        timeout: As :class:`Lock`.
        renew: As :class:`Lock`.
        clock: As :class:`Lock`.

    Raises:
        InvalidArgumentError: An argument is out of range.

    Example:
        >>> from shared.cache import MemoryLocks
        >>> async def main() -> None:
        ...     async with AsyncLock("reports", store=MemoryLocks()) as lease:
        ...         print(lease.token)
        >>> asyncio.run(main())
        1
    """

    async def acquire(self, *, timeout: float | None = None) -> Lease:  # noqa: ASYNC109 - as the other face
        """See :meth:`Lock.acquire`."""
        return (await self._acquire(timeout, None))[0]

    async def _acquire(
        self,
        timeout: float | None,  # noqa: ASYNC109
        body: "asyncio.Task[Any] | None",
    ) -> "tuple[Lease, asyncio.Task[None] | None]":
        owner = os.urandom(12).hex()
        pauses = self._pauses(timeout)
        patience = self._patience(timeout)
        try:
            while True:
                asked_at = self._clock()
                token = await self.store.atake(self.key, owner, self.ttl, patience)
                if token is not None:
                    lease = self._lease(owner, token, asked_at)
                    task = asyncio.create_task(self._renew(lease, body)) if self.renew else None
                    if task is not None:
                        _renewing.add(task)
                        task.add_done_callback(_renewing.discard)
                    return lease, task
                await asyncio.sleep(next(pauses))
        except BaseException as exc:
            # Also when cancelled while the store was asked: it may have said yes.
            if patience or not isinstance(exc, LockTimeoutError):
                with suppress(SharedError):
                    await asyncio.shield(self.store.agive_back(self.key, owner))
            raise

    async def try_acquire(self) -> Lease | None:
        """See :meth:`Lock.try_acquire`."""
        try:
            return await self.acquire(timeout=0)
        except LockTimeoutError:
            return None

    async def release(self, lease: Lease) -> bool:
        """See :meth:`Lock.release`."""
        lease.ended.set()
        try:
            return await asyncio.shield(self.store.agive_back(lease.key, lease.owner))
        except SharedError:
            return False  # it ends by itself

    async def _renew(self, lease: Lease, body: "asyncio.Task[Any] | None") -> None:
        while True:
            await asyncio.sleep(self.ttl / 3)
            if lease.ended.is_set():
                return
            asked_at = self._clock()
            still = asked_at < lease.expires
            if still:
                with suppress(SharedError):  # there is time for another try
                    still = await self.store.arenew(lease.key, lease.owner, self.ttl)
                    if still:
                        lease.expires = asked_at + self.ttl
            if not still and not lease.ended.is_set():
                lease.ended.set()
                if body is not None:
                    body.cancel()
                return

    async def __aenter__(self) -> Lease:
        body = asyncio.current_task()
        lease, task = await self._acquire(None, body)
        self._held[body] = lease
        self._tasks[lease.owner] = task
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        body = asyncio.current_task()
        lease = self._held.pop(body)
        task = self._tasks.pop(lease.owner)
        was_lost = lease.ended.is_set()
        await self.release(lease)
        if task is not None:
            task.cancel()
        if (
            was_lost
            and isinstance(error, asyncio.CancelledError)
            and body is not None
            and body.uncancel() == 0
        ):
            msg = f"lock {self.key!r} was lost while it was needed"
            raise LockLostError(msg) from error
