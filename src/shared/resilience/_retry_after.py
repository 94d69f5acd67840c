"""Read ``Retry-After``: from a header, from one of our errors, from a foreign exception."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

__all__ = ["parse_retry_after", "retry_after_of"]

_DIGITS: Final = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?\Z", re.ASCII).match


def parse_retry_after(value: str, *, now: datetime | None = None) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for, or None when it is not valid.

    Both forms are read: delta seconds (a fraction, which some suppliers send, is
    taken) and an HTTP date, which counts from *now* and is 0.0 when past.
    Source: RFC 9110, section 10.2.3.

    Args:
        value: The header's value, from outside: anything may come.
        now: Wall time, aware; the present by default.

    Example:
        >>> parse_retry_after("120"), parse_retry_after("soon")
        (120.0, None)
        >>> noon = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
        >>> parse_retry_after("Fri, 20 Nov 2026 12:00:30 GMT", now=noon)
        30.0
    """
    value = value.strip(" \t")
    if _DIGITS(value):
        return float(value)
    if not 24 <= len(value) <= 40:  # the three date forms of RFC 9110 fit in between
        return None
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:  # "-0000" and asctime mean UTC here
            when = when.replace(tzinfo=UTC)
        return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after_of(error: BaseException) -> float | None:
    """Return the seconds *error* asks to wait, or None when it does not say.

    Understood are ``error.retry_after`` (ours, and many SDKs') and the
    ``Retry-After`` header of ``error.response`` (httpx2, requests, openai).

    Example:
        >>> from shared.errors import RateLimitError
        >>> retry_after_of(RateLimitError(retry_after=7.0)), retry_after_of(ValueError())
        (7.0, None)
    """
    direct = _number(getattr(error, "retry_after", None))
    if direct is not None:
        return direct
    headers = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(headers, Mapping):
        headers = getattr(error, "headers", None)
    if isinstance(headers, Mapping):
        value = headers.get("retry-after") or headers.get("Retry-After")
        if isinstance(value, str):
            return parse_retry_after(value)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)) and 0.0 <= value < 1e10:
        return float(value)
    return parse_retry_after(value) if isinstance(value, str) else None
