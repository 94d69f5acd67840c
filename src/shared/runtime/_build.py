"""Who is building what, so that each instance is built once and nobody waits for ever."""

import threading
from typing import Any

from shared.errors import ConfigurationError

__all__ = ["Builds", "name_of"]


class _Build:
    """One instance in the making."""

    __slots__ = ("done", "owner")

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.done = threading.Event()


class Builds:
    """The builds under way. Knows no lock: each call is made under the runtime's."""

    __slots__ = ("_running", "_waiting")

    def __init__(self) -> None:
        self._running: dict[Any, _Build] = {}  # in order of beginning
        self._waiting: dict[int, Any] = {}  # thread to the key it waits for

    def begin(self, key: Any) -> threading.Event | None:
        """Note that this thread builds *key*, or return what to wait for when another does.

        Raises:
            ConfigurationError: This thread would wait for itself: the factories need
                each other in a circle, in one thread or across several.
        """
        me = threading.get_ident()
        build = self._running.get(key)
        if build is None:
            self._running[key] = _Build(me)
            return None
        self._refuse_circle(key, me)
        self._waiting[me] = key
        return build.done

    def stop_waiting(self) -> None:
        """Note that this thread's wait is over."""
        self._waiting.pop(threading.get_ident(), None)

    def end(self, key: Any) -> None:
        """Note that *key* is built or failed, and wake who waits for it."""
        build = self._running.pop(key, None)
        if build is not None:  # else a fork happened inside the factory
            build.done.set()

    def _refuse_circle(self, key: Any, me: int) -> None:
        """Follow who waits for whom, from *key* on; a way back to this thread is a circle."""
        wanted, path = key, [key]
        while True:
            owner = self._running[wanted].owner
            if owner == me:
                break
            if owner not in self._waiting:
                return
            wanted = self._waiting[owner]
            if wanted not in self._running:  # just ended; its waiter has not noticed yet
                return
            path.append(wanted)
        mine = [each for each, build in self._running.items() if build.owner == me]
        circle = [*mine[mine.index(path[-1]) :], *path] if path[-1] in mine else path
        msg = f"factories need each other in a circle: {' -> '.join(map(name_of, circle))}"
        raise ConfigurationError(msg)


def name_of(key: Any) -> str:
    """Return how *key* is called in messages."""
    return getattr(key, "__qualname__", None) or repr(key)
