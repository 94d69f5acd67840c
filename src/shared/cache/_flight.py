"""One load at a time for each key in this process, for threads and tasks together."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["Flight", "Flights"]


class Flight:
    """A load under way: who carries it out, and where it will land."""

    __slots__ = ("future", "key", "owner", "tags")

    def __init__(self, key: str, tags: tuple[str, ...], owner: object) -> None:
        self.key: str = key
        self.tags: tuple[str, ...] = tags
        self.owner: object = owner  # the thread or task
        self.future: Future[Any] = Future()


class Flights:
    """The loads under way. Thread-safe; empty again in a forked child.

    A load begun before an invalidation is not joined after it: whoever has just
    committed a change must not be handed what was read before.
    """

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._lock = threading.Lock()

    def join(self, key: str, tags: tuple[str, ...], owner: object) -> tuple[Flight, bool]:
        """Return the flight for *key*, and whether the caller is the one to carry it out."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Flight(key, tags, owner)
            return flight, True

    def land(self, flight: Flight, set_outcome: Callable[["Future[Any]"], object]) -> None:
        """End *flight* and tell those who wait for it."""
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
        set_outcome(flight.future)

    def forget(self, wanted: Callable[[Flight], bool]) -> None:
        """Let nobody else join the flights that are *wanted*."""
        if not self._flights:
            return
        with self._lock:
            for key in [key for key, flight in self._flights.items() if wanted(flight)]:
                del self._flights[key]

    def after_fork(self) -> None:
        """The loads under way are the parent's."""
        self._lock = threading.Lock()
        self._flights = {}
