"""What the ``Accept`` header asks for. Source: RFC 9110, section 12.5.1."""

from functools import lru_cache
from typing import Final

__all__ = ["accepts", "prefers_problem", "quality"]

_MAX_LENGTH: Final = 1000  # characters; browsers send about 150
_MAX_RANGES: Final = 20

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


def quality(accept: str, media_type: str, *, wildcards: bool = True) -> float:
    """Return the weight, 0.0 to 1.0, that *accept* gives to *media_type*.

    The most specific range decides, whatever the order. A malformed range is
    left out; beyond 1000 characters or 20 ranges nothing is read.

    Args:
        accept: Value of the header.
        media_type: Lower-case type without parameters.
        wildcards: Whether ``*/*`` and ``type/*`` count.

    Example:
        >>> quality("text/*;q=0.5, application/json", "application/json")
        1.0
        >>> quality("text/*;q=0.5", "text/html"), quality("text/*", "text/html", wildcards=False)
        (0.5, 0.0)
    """
    kind = media_type.partition("/")[0] + "/*"
    best, weight = 0, 0.0
    for item in accept[:_MAX_LENGTH].split(",")[:_MAX_RANGES]:
        name, _, parameters = item.partition(";")
        name = name.strip().lower()
        rank = 3 if name == media_type else 2 if name == kind else 1 if name == "*/*" else 0
        if rank > best and (wildcards or rank == 3):
            q = _weight(parameters)
            if q is not None:
                best, weight = rank, q
    return weight


def _weight(parameters: str) -> float | None:
    """Return the ``q`` of a range, 1.0 when there is none, None when it is malformed."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            value = value.strip()
            if (
                not value.replace(".", "", 1).isascii()
                or not value.replace(".", "", 1).isdigit()
                or len(value) > 5
            ):
                return None
            q = float(value)
            return q if q <= 1.0 else None
    return 1.0


def accepts(accept: str | None, media_type: str) -> bool:
    """Tell whether *accept* names *media_type* itself, not only by a wildcard."""
    return accept is not None and quality(accept, media_type, wildcards=False) > 0.0


def prefers_problem(accept: str | None, *, default: bool = False) -> bool:
    """Tell whether an error should leave as problem details.

    The service's default holds unless the header names the other form and does
    not weigh it less: ``Accept: application/json, application/problem+json`` is
    how clients ask for data in one and errors in the other.

    Args:
        accept: Value of the header, or None.
        default: Whether problem details are the service's default.

    Example:
        >>> prefers_problem("application/problem+json"), prefers_problem("*/*")
        (True, False)
        >>> prefers_problem("application/problem+json;q=0.1, application/json")
        False
    """
    if not accept:
        return default
    return (
        _prefers_problem(accept, default=default) if len(accept) <= 256 else _decide(accept, default=default)
    )


@lru_cache(maxsize=128)
def _prefers_problem(accept: str, *, default: bool) -> bool:
    return _decide(accept, default=default)


def _decide(accept: str, *, default: bool) -> bool:
    if default:
        named = quality(accept, JSON, wildcards=False)
        return not named > quality(accept, PROBLEM)
    named = quality(accept, PROBLEM, wildcards=False)
    return named > 0.0 and named >= quality(accept, JSON)
