"""The end of patience of one request over ASGI: a 504 on time, and the handler told to stop."""

import asyncio
import time
from typing import Any

from shared.api._asgi import HttpExchange, Message

__all__ = ["TimeLimit"]


class TimeLimit:
    """Watches one exchange until its answer begins.

    When time is up the 504 is sent at once, by a task of its own: a handler in a
    thread cannot be cancelled, and its client must not wait for it. The application's
    task is cancelled, and what it still sends goes nowhere.

    Args:
        exchange: Whose deadline is in its context.

    Attributes:
        expired: Whether time was up before the answer began.
    """

    __slots__ = ("_answer", "_exchange", "_task", "_timer", "expired")

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self.expired = False
        self._answer: asyncio.Task[None] | None = None
        self._task: asyncio.Task[Any] | None = asyncio.current_task()
        left = (exchange.context.deadline or 0.0) - time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, left), self._time_is_up)

    async def send(self, message: Message) -> None:
        """Pass the application's answer on while there is time."""
        if not self.expired:
            await self._exchange.send(message)

    def _time_is_up(self) -> None:
        if self._exchange.status or self._exchange.finished:
            return  # the answer has begun; a stream may take its time
        self.expired = True
        self._answer = asyncio.get_running_loop().create_task(self._exchange.time_out())
        if self._task is not None:
            self._task.cancel()

    def is_ours(self, exc: BaseException) -> bool:
        """Tell whether *exc* is the cancellation made here, and nobody else's; forget it then."""
        if not (self.expired and isinstance(exc, asyncio.CancelledError)):
            return False
        return self._task is None or self._task.uncancel() == 0

    async def stop(self) -> None:
        """Watch no longer; wait until a 504 that is on its way is out."""
        self._timer.cancel()
        if self._answer is not None:
            await self._answer
