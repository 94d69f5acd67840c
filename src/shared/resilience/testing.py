"""For tests of code that retries, breaks and waits: time that obeys, dependencies that fail on cue."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.resilience._checks import at_least, whole
from shared.resilience._switch import Switch
from shared.runtime import current

__all__ = ["FakeClock", "no_backoff"]


class FakeClock:
    """A monotonic clock that moves only when told; sleeping moves it, at once.

    Hand the object itself where a *clock* is asked for: :func:`shared.resilience.retry`
    then sleeps on it, too. Thread-safe.

    Args:
        start: First reading, in seconds.

    Attributes:
        sleeps: The seconds of every sleep so far.

    Example:
        >>> from shared.resilience import CircuitBreaker
        >>> clock = FakeClock()
        >>> breaker = CircuitBreaker("mail", failure_threshold=1, recovery_timeout=30.0, clock=clock)
        >>> try:
        ...     breaker.call(int, "x")
        ... except ValueError:
        ...     breaker.state.value
        'OPEN'
        >>> clock.advance(30.0)
        >>> breaker.state.value
        'HALF_OPEN'
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._lock = threading.Lock()
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        """Return the present reading, in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*, >= 0."""
        with self._lock:
            self._now += at_least("seconds", seconds, 0.0)

    def sleep(self, seconds: float) -> None:
        """Note the sleep and move on."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """As :meth:`sleep`, and let other tasks run."""
        self.sleep(seconds)
        await asyncio.sleep(0)


@contextmanager
def no_backoff(*, max_attempts: int | None = None) -> Iterator[None]:
    """Make every retry of the current runtime wait 0 seconds inside the block.

    Predicates, stops, budgets and the number of tries stay as they are, so the code
    under test takes the paths it takes in production, only faster.

    Args:
        max_attempts: Cap on the tries of every policy; 1 switches retries off.

    Example:
        >>> from shared.resilience import retry
        >>> @retry(max_attempts=3, delay=60.0)
        ... def fetch():
        ...     raise ConnectionError("reset")
        >>> with no_backoff():
        ...     fetch()
        Traceback (most recent call last):
            ...
        ConnectionError: reset
    """
    if max_attempts is not None:
        whole("max_attempts", max_attempts)
    switch = current().get(Switch, lambda _: Switch())
    before = switch.waits, switch.max_attempts
    switch.waits, switch.max_attempts = False, max_attempts
    try:
        yield
    finally:
        switch.waits, switch.max_attempts = before
