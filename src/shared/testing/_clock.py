"""A clock that moves only when a test says so."""

__all__ = ["FrozenClock"]


class FrozenClock:
    """A clock for everything in the library that takes one.

    Calling it returns seconds, as ``time.monotonic`` and ``time.time`` do; sleeping
    moves it forward at once, so a test of an hour takes no time.

    Args:
        start: First reading, in seconds; the default is a plausible epoch time so
            that the clock serves both as a wall clock and as a monotonic one.

    Example:
        >>> clock = FrozenClock(100.0)
        >>> clock.advance(30); clock.sleep(1.5)
        >>> clock()
        131.5
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._now = float(start)

    def __call__(self) -> float:
        return self._now

    def time(self) -> float:
        """Return the reading in seconds, like ``time.time``."""
        return self._now

    def monotonic(self) -> float:
        """Return the reading in seconds, like ``time.monotonic``."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward; a negative value moves it back, as a stepped wall clock does."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Move the clock forward instead of waiting."""
        self._now += max(0.0, seconds)

    async def asleep(self, seconds: float) -> None:
        """As :meth:`sleep`, for code that awaits its sleeps."""
        self.sleep(seconds)
