"""Exposures, told once each."""

import threading
from collections import OrderedDict
from typing import Final

from shared.feature_flags._events import FlagExposed
from shared.runtime import Events

_MOST: Final = 50_000


class Told:
    """Remembers, in bounded space, what was told; nothing is done while nobody listens."""

    def __init__(self, events: Events, *, most: int = _MOST) -> None:
        self._events = events
        self._most = most
        self._seen: OrderedDict[FlagExposed, None] = OrderedDict()
        self._lock = threading.Lock()

    def tell(self, exposed: FlagExposed) -> None:
        """Tell of *exposed*, unless it is among the last that were told."""
        if not self._events.has_listeners(FlagExposed):
            return
        with self._lock:
            if exposed in self._seen:
                self._seen.move_to_end(exposed)
                return
            self._seen[exposed] = None
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)
        self._events.emit(exposed)
