"""Choose a representation by the ``Accept`` header."""

from collections.abc import Sequence

_MAX_RANGES = 32  # a client that lists more gets the default


def preferred(accept: str, offers: Sequence[str]) -> str:
    """Return the offer that *accept* names most clearly; the first one in doubt.

    Only an offer that is named in full can win over the first: a client that
    sends ``*/*`` gets the default. Malformed ranges are ignored. Source: RFC 9110,
    section 12.5.1.

    Example:
        >>> preferred("application/health+json", ("application/json", "application/health+json"))
        'application/health+json'
        >>> preferred("*/*", ("application/json", "application/health+json"))
        'application/json'
    """
    default = offers[0]
    named = _qualities(accept)
    best, best_quality = default, named.get(default, 0.0)
    for offer in offers[1:]:
        quality = named.get(offer, 0.0)
        if quality > best_quality:
            best, best_quality = offer, quality
    return best


def _qualities(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in accept.split(",", _MAX_RANGES)[:_MAX_RANGES]:
        name, *parameters = part.split(";")
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                quality = _quality(value.strip())
        media_type = name.strip().lower()
        found[media_type] = max(quality, found.get(media_type, 0.0))
    return found


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0
