"""The time of a line: RFC 3339, UTC, microseconds."""

import time
from collections.abc import Callable
from typing import Final

__all__ = ["HUNDREDS", "HUNDREDS_END", "Clock", "second_of", "stamp"]

Clock = Callable[[], float]
"""Returns seconds since the epoch, as :func:`time.time` does."""

# Three digits at a time: formatting six with "%06d" takes longer than the rest.
HUNDREDS: Final = tuple(b"%03d" % number for number in range(1000))
HUNDREDS_END: Final = tuple(b'%03dZ"' % number for number in range(1000))


def second_of(now: float) -> tuple[float, bytes]:
    """Return the second *now* lies in, and the beginning of its lines up to the decimal point."""
    second = float(int(now))
    return second, time.strftime('{"timestamp":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second)).encode()


def stamp(now: float) -> str:
    """Return *now*, seconds since the epoch, as text.

    Source: RFC 3339, section 5.6.

    Example:
        >>> stamp(1_700_000_000.000345)
        '2023-11-14T22:13:20.000345Z'
    """
    second = int(now)
    micros = int((now - second) * 1_000_000 + 0.5) % 1_000_000
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{micros:06d}Z"
