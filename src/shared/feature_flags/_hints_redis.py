"""Signs that Redis sends."""

import time
from collections.abc import Callable
from typing import Any

from shared.feature_flags._hints import SLICE, Hints, quietly_close

__all__ = ["RedisHints"]


class RedisHints(Hints):
    """Listens to a channel.

    Args:
        client: Gives the client to subscribe with.
        channel: Where changes are told.
    """

    def __init__(self, client: Callable[[], Any], channel: str) -> None:
        super().__init__()
        self._client = client
        self._channel = channel

    def _begin(self) -> Any:
        subscription = self._client().pubsub(ignore_subscribe_messages=True)
        try:
            subscription.subscribe(self._channel)
        except BaseException:
            quietly_close(subscription)
            raise
        return subscription

    def _listen(self, connection: Any, timeout: float) -> bool:
        until = time.monotonic() + timeout
        while not self._closed and (left := until - time.monotonic()) > 0:
            if connection.get_message(timeout=min(left, SLICE)) is not None:
                return True
        return False
