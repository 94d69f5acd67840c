"""What a rate limit is, and how it is written."""

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from shared.errors import InvalidArgumentError
from shared.resilience._checks import seconds, whole

__all__ = ["RateDecision", "RateLimit", "parse_rate_limits"]

_UNITS: Final = {
    "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "d": 86_400.0, "day": 86_400.0,
    "w": 604_800.0, "week": 604_800.0,
}  # fmt: skip
_SPELLING: Final = re.compile(
    r"\s*(?P<permits>[0-9]{1,12})\s*(?:/|\bper\b)\s*(?:(?P<count>[0-9]{1,9}(?:\.[0-9]{1,30})?)\s*)?(?P<unit>[a-z]+?)s?\s*\Z",
    re.ASCII | re.IGNORECASE,
).match
_LONGEST_TEXT: Final = 64


@dataclass(frozen=True, init=False, slots=True)
class RateLimit:
    """So many permits per so many seconds.

    Written as ``"100/minute"``, ``"5/s"``, ``"10 per 30 seconds"`` or with numbers.
    Units are second, minute, hour, day and week, also as s, m, h, d, w.

    Args:
        spelling: The text form, instead of the numbers.
        permits: Permits in the period, >= 1.
        per: The period in seconds, > 0.

    Raises:
        InvalidArgumentError: The text is not a limit, a number is out of range, or
            both forms (or neither) are given.

    Example:
        >>> RateLimit("100/minute") == RateLimit(permits=100, per=60.0)
        True
        >>> str(RateLimit("10 per 30 seconds"))
        '10/30s'
    """

    permits: int
    per: float

    def __init__(
        self, spelling: str | None = None, *, permits: int | None = None, per: float | None = None
    ) -> None:
        if spelling is not None:
            if permits is not None or per is not None:
                msg = f"a limit is a text or numbers, not both: got {spelling!r} with {permits=}, {per=}"
                raise InvalidArgumentError(msg)
            permits, per = _parse(spelling)
        elif permits is None or per is None:
            msg = "a limit needs both numbers, such as permits=100, per=60.0, or a text such as '100/minute'"
            raise InvalidArgumentError(msg)
        object.__setattr__(self, "permits", whole("permits", permits))
        object.__setattr__(self, "per", seconds("per", per))

    def __str__(self) -> str:
        """Return the short text form, which reads back as the same limit."""
        return f"{self.permits}/{self.per!r}s".replace(".0s", "s")


def _parse(spelling: Any) -> tuple[int, float]:
    match = _SPELLING(spelling) if isinstance(spelling, str) and len(spelling) <= _LONGEST_TEXT else None
    unit = None if match is None else _UNITS.get(match["unit"].lower())
    if match is None or unit is None:
        shown = spelling[:_LONGEST_TEXT] if isinstance(spelling, str) else spelling
        msg = f"not a rate limit: {shown!r} (write '100/minute', '5/s' or '10 per 30 seconds')"
        raise InvalidArgumentError(msg)
    return int(match["permits"]), unit * float(match["count"] or 1)


def parse_rate_limits(spelling: str) -> tuple[RateLimit, ...]:
    """Return the limits of a text with several, separated by ``;`` or ``,``.

    Raises:
        InvalidArgumentError: One of them is not a limit.

    Example:
        >>> [str(limit) for limit in parse_rate_limits("10/second; 100/minute")]
        ['10/1s', '100/60s']
    """
    return tuple(RateLimit(part) for part in re.split("[;,]", spelling))


class RateDecision(NamedTuple):
    """The answer to one request for permits.

    Attributes:
        allowed: Whether the permits were granted; they are used up only then.
        limit: Permits in the period.
        remaining: Permits left now.
        retry_after: Seconds until the same request would be granted; 0.0 when it was.
        reset_after: Seconds until all permits are back, if nobody asks meanwhile.

    Example:
        >>> RateDecision(True, limit=5, remaining=4, retry_after=0.0, reset_after=60.0).allowed
        True
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after: float
    reset_after: float
