"""What a closed circuit breaker remembers of the calls so far.

A window lives for one closed period and is thrown away with it, so a result that
arrives after the state has changed lands in an object nobody reads any more.
:meth:`Window.note`, the happy path, runs without a lock; everything else runs under
the lock of the breaker.
"""

import itertools
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["ConsecutiveWindow", "CountWindow", "Rates", "TimeWindow", "Window", "make_counter"]

# Marks in the ring; a plain failure is odd, a slow call is >= 2.
GOOD: Final = 0
BAD: Final = 1
SLOW: Final = 2
SLOW_BAD: Final = 3


def plural(number: int, noun: str) -> str:
    """Return "1 failure", "2 failures"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Rates:
    """The thresholds of a rate window; shared by all windows of one configuration.

    Args:
        streak: Failures in a row that open, or None.
        failure_rate: Share of failures that opens, or None.
        slow_rate: Share of slow calls that opens, or None.
        minimum_calls: Calls before a share means anything.
    """

    __slots__ = ("failure_rate", "minimum_calls", "slow_rate", "streak")

    def __init__(
        self, streak: int | None, failure_rate: float | None, slow_rate: float | None, minimum_calls: int
    ) -> None:
        self.streak: int | None = streak
        self.failure_rate: float | None = failure_rate
        self.slow_rate: float | None = slow_rate
        self.minimum_calls: int = minimum_calls

    def verdict(self, streak: int, total: int, bad: int, slow: int) -> str | None:
        """Return why the breaker must open, or None."""
        if self.streak is not None and streak >= self.streak:
            return f"{plural(streak, 'failure')} in a row"
        if total < self.minimum_calls:
            return None
        # Divided, not multiplied: 7/10 is the float 0.7, while 0.7*10 is above 7.
        if self.failure_rate is not None and bad / total >= self.failure_rate:
            return f"{bad} of {total} calls failed"
        if self.slow_rate is not None and slow / total >= self.slow_rate:
            return f"{slow} of {total} calls were slow"
        return None


class Window(Protocol):
    """Counts outcomes and says when it is enough."""

    failures: int
    """Failures in a row."""

    def note(self, now: float) -> None:
        """Count a quick success that ends no streak; runs without a lock."""

    def good(self, now: float, *, slow: bool) -> str | None:
        """Count a success; a slow one may be the reason to open."""

    def bad(self, now: float, *, slow: bool) -> str | None:
        """Count a failure and return why the breaker must open, or None."""

    def totals(self, now: float) -> tuple[int, int, int]:
        """Return calls, failures and slow calls in the window."""


class ConsecutiveWindow:
    """Failures in a row; one success forgets them."""

    __slots__ = ("failures", "limit")

    def __init__(self, limit: int) -> None:
        self.failures = 0
        self.limit = limit

    def note(self, now: float) -> None:
        pass

    def good(self, now: float, *, slow: bool) -> str | None:  # noqa: ARG002 - one shape for all windows
        self.failures = 0
        return None

    def bad(self, now: float, *, slow: bool) -> str | None:  # noqa: ARG002
        self.failures += 1
        return f"{plural(self.failures, 'failure')} in a row" if self.failures >= self.limit else None

    def totals(self, now: float) -> tuple[int, int, int]:  # noqa: ARG002
        return self.failures, self.failures, 0


class CountWindow:
    """The last N calls, in a ring; failures are counted when one happens."""

    __slots__ = ("append", "failures", "rates", "ring")

    def __init__(self, size: int, rates: Rates) -> None:
        self.failures = 0
        self.rates = rates
        self.ring: deque[int] = deque(maxlen=size)
        self.append: Callable[[int], None] = self.ring.append

    def note(self, now: float) -> None:  # noqa: ARG002 - one shape for all windows
        self.append(GOOD)

    def good(self, now: float, *, slow: bool) -> str | None:  # noqa: ARG002
        self.failures = 0
        self.append(SLOW if slow else GOOD)
        return self._verdict() if slow else None

    def bad(self, now: float, *, slow: bool) -> str | None:  # noqa: ARG002
        self.failures += 1
        self.append(SLOW_BAD if slow else BAD)
        return self._verdict()

    def _verdict(self) -> str | None:
        return self.rates.verdict(self.failures, *self.totals(0.0))

    def totals(self, now: float) -> tuple[int, int, int]:  # noqa: ARG002
        count = self.ring.count
        slow_bad = count(SLOW_BAD)
        return len(self.ring), count(BAD) + slow_bad, count(SLOW) + slow_bad


def make_counter(*, locked: bool) -> Callable[[], int]:
    """Return a callable that counts 0, 1, 2, … and may be called from many threads.

    ``itertools.count`` steps atomically under the interpreter lock; builds without
    one get a lock (*locked*).
    """
    step = itertools.count().__next__
    if not locked:
        return step
    lock = threading.Lock()

    def stepped() -> int:
        with lock:
            return step()

    return stepped


_FREE_THREADED: Final = not getattr(sys, "_is_gil_enabled", lambda: True)()


class _Bucket:
    """One slice of time; successes step a counter, the rest is changed under the breaker's lock."""

    __slots__ = ("bad", "good", "peeks", "slow")

    def __init__(self) -> None:
        self.good = make_counter(locked=_FREE_THREADED)
        self.peeks = 0
        self.bad = 0
        self.slow = 0

    def goods(self) -> int:
        """Return the successes; a counter can only be read by stepping it, so steps are deducted."""
        value = self.good() - self.peeks
        self.peeks += 1
        return value


class TimeWindow:
    """The last N seconds, in slices; the oldest slice leaves as a whole."""

    __slots__ = ("_buckets", "failures", "rates", "slice", "slices")

    def __init__(self, window: float, rates: Rates, slices: int = 10) -> None:
        self.failures = 0
        self.rates: Rates = rates
        self.slice: float = window / slices
        self.slices: int = slices
        self._buckets: dict[int, _Bucket] = {}

    def _bucket(self, now: float) -> _Bucket:
        index = int(now // self.slice)
        bucket = self._buckets.get(index)
        if bucket is None:
            for old in list(self._buckets):  # a copy: another thread may be adding
                if old <= index - self.slices:
                    self._buckets.pop(old, None)
            bucket = self._buckets.setdefault(index, _Bucket())
        return bucket

    def note(self, now: float) -> None:
        self._bucket(now).good()

    def good(self, now: float, *, slow: bool) -> str | None:
        self.failures = 0
        bucket = self._bucket(now)
        bucket.good()
        if not slow:
            return None
        bucket.slow += 1
        return self._verdict(now)

    def bad(self, now: float, *, slow: bool) -> str | None:
        self.failures += 1
        bucket = self._bucket(now)
        bucket.bad += 1
        bucket.slow += slow
        return self._verdict(now)

    def _verdict(self, now: float) -> str | None:
        return self.rates.verdict(self.failures, *self.totals(now))

    def totals(self, now: float) -> tuple[int, int, int]:
        oldest = int(now // self.slice) - self.slices
        recent = [bucket for index, bucket in list(self._buckets.items()) if index > oldest]
        bad = sum(bucket.bad for bucket in recent)
        return bad + sum(bucket.goods() for bucket in recent), bad, sum(bucket.slow for bucket in recent)
