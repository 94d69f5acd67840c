"""One timer per event loop and hundredth of a second, instead of one per call.

A timer of its own costs the loop a heap push, a pop and a handle; a call that ends
in time only wants to be forgotten. The wheel keeps the calls that end in the same
tick in one dictionary: entering and leaving are a dictionary write and a delete.
"""

import asyncio
import heapq
import threading
from typing import Final, Protocol

__all__ = ["TICK", "Expiring", "Wheel", "wheel_of"]

TICK: Final = 0.01
"""Seconds; a call is cut off up to this much late."""


class Expiring(Protocol):
    """What the wheel calls when time is up."""

    def expire(self) -> None:
        """Cut off; must not raise."""


Slot = dict[Expiring, None]


class Wheel:
    """The pending ends of one event loop; used from that loop only."""

    __slots__ = ("_loop", "_next", "_slots", "_ticks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, Slot] = {}
        self._ticks: list[int] = []  # a heap of the keys of _slots
        self._next: int | None = None  # tick the loop will wake us for

    def add(self, item: Expiring, when: float) -> Slot:
        """Call ``item.expire()`` at *when* (loop time); delete it from the slot to forget it."""
        tick = int(when / TICK) + 1
        slot = self._slots.get(tick)
        if slot is None:
            slot = self._slots[tick] = {}
            heapq.heappush(self._ticks, tick)
            if self._next is None or tick < self._next:
                self._wake_at(tick)
        slot[item] = None
        return slot

    def _wake_at(self, tick: int) -> None:
        self._next = tick
        self._loop.call_at(tick * TICK, self._fire, tick)

    def _fire(self, planned: int) -> None:
        if planned != self._next:  # an earlier wake-up has taken over
            return
        now = int(self._loop.time() / TICK + 1e-6)
        ticks = self._ticks
        while ticks and ticks[0] <= now:
            slot = self._slots.pop(heapq.heappop(ticks))
            for item in list(slot):
                item.expire()
        while ticks and not self._slots[ticks[0]]:  # all of them ended in time
            del self._slots[heapq.heappop(ticks)]
        self._next = None
        if ticks:
            self._wake_at(ticks[0])


class _Mine(threading.local):
    loop: asyncio.AbstractEventLoop | None = None
    wheel: Wheel | None = None


_mine: Final = _Mine()


def wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
    """Return the wheel of the running *loop*; a thread runs one loop at a time."""
    mine = _mine
    if mine.loop is not loop or mine.wheel is None:
        mine.loop, mine.wheel = loop, Wheel(loop)
    return mine.wheel
