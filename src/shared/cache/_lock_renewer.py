"""Renews the leases of one lock from a thread that exists only while there are any."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from shared.cache._lock_lease import Lease
from shared.cache._lock_types import LockStore
from shared.errors import SharedError
from shared.runtime import after_fork_in_child

__all__ = ["Renewer"]

_IDLE: Final = 6  # looks without a lease before the thread ends


class Renewer:
    """Looks every sixth of *ttl* and renews what has less than two thirds of its time left."""

    def __init__(self, store: LockStore, ttl: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._leases: list[Lease] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._pause = threading.Event()  # never set; a sleep that a process' end does not wait for
        after_fork_in_child(self)

    def add(self, lease: Lease) -> None:
        """Renew *lease* until it has ended."""
        with self._lock:
            self._leases.append(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shared-lock", daemon=True)
                self._thread.start()

    def after_fork(self) -> None:
        """The leases and the thread are the parent's."""
        self._lock = threading.Lock()
        self._leases, self._thread = [], None

    def _run(self) -> None:
        idle = 0
        while True:
            self._pause.wait(self._ttl / 6)
            with self._lock:
                self._leases = [lease for lease in self._leases if not lease.ended.is_set()]
                leases = list(self._leases)
                idle = 0 if leases else idle + 1
                if idle > _IDLE:
                    self._thread = None
                    return
            for lease in leases:
                self._renew(lease)

    def _renew(self, lease: Lease) -> None:
        now = self._clock()
        if now >= lease.expires:
            lease.ended.set()
        elif lease.expires - now < self._ttl * 2 / 3:
            with suppress(SharedError):  # there is time for another try
                if self._store.renew(lease.key, lease.owner, self._ttl):
                    lease.expires = now + self._ttl
                else:
                    lease.ended.set()
