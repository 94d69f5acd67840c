"""Hears what other processes changed: one thread, one connection."""

import contextlib
import threading
import time
from typing import Any, Final

import orjson

from shared.cache._core import CacheCore
from shared.cache._redis import redis_client, redis_errors
from shared.errors import InfrastructureError

__all__ = ["Changes"]

_LOOK: Final = 0.5  # seconds between looks at whether to end
_FIRST_PAUSE: Final = 0.1  # seconds before a new connection
_LONGEST_PAUSE: Final = 5.0


class Changes:
    """Takes out of memory what others say they changed.

    Messages are a hint: one may be lost, which is why a copy in memory is served for
    ``max_staleness`` seconds at most. What was missed while there was no connection is
    unknown, so memory is emptied when there is one again.
    """

    def __init__(self, core: CacheCore, url: str) -> None:
        self._core = core
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shared-cache-changes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and wait for it."""
        self._ended.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        pause, again = _FIRST_PAUSE, False
        while not self._ended.is_set():
            began = time.monotonic()
            with contextlib.suppress(InfrastructureError), redis_errors():
                self._listen(again=again)
            again = True
            pause = (
                _FIRST_PAUSE if time.monotonic() - began > _LONGEST_PAUSE else min(_LONGEST_PAUSE, pause * 2)
            )
            self._ended.wait(pause)

    def _listen(self, *, again: bool) -> None:
        remote = self._core.remote
        if remote is None:
            return
        client: Any = redis_client(self._url, timeout=1.0, connect_timeout=1.0, max_connections=2)
        try:
            with client.pubsub(ignore_subscribe_messages=True) as messages:
                messages.subscribe(remote.keys.channel)
                if again:
                    self._core.heard("clear", ())
                while not self._ended.is_set():
                    message = messages.get_message(timeout=_LOOK)
                    if message is not None:
                        self._take(remote.instance, message.get("data"))
        finally:
            client.close()

    def _take(self, instance: str, data: Any) -> None:
        try:
            sender, kind, names = orjson.loads(data)
        except (orjson.JSONDecodeError, TypeError, ValueError):
            return  # not of ours
        if sender != instance and isinstance(names, list) and all(isinstance(name, str) for name in names):
            self._core.heard(str(kind), names)
