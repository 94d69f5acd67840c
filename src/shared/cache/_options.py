"""The settings of a cache."""

import math
from dataclasses import dataclass
from typing import Any, Final, TypedDict
from urllib.parse import parse_qsl, urlsplit

from shared.cache._keys import Keys, check_tags
from shared.cache._redis import is_redis_url
from shared.cache._serializers import Serializer
from shared.config import ConnectionUrl
from shared.errors import ConfigurationError, InvalidArgumentError

__all__ = ["CacheOptionValues", "CacheOptions", "Storing", "cache_options", "storing"]


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Settings of a :class:`Cache`; every field can be given to it by name.

    Example:
        >>> CacheOptions(namespace="catalog", ttl=60.0).max_staleness
        5.0
    """

    namespace: str = ""  # keeps the keys of services apart
    prefix: str = ""  # put before every key, to share one Redis
    ttl: float = 300.0  # seconds an entry lives when its writer does not say
    jitter: float = 0.1  # share of the life that is cut off by chance, so that not all end at once
    max_entries: int = 10_000  # in this process; 0 keeps none here
    max_bytes: int = 64 * 1024 * 1024  # in this process
    max_value_bytes: int = 1024 * 1024  # a larger value is not kept
    max_staleness: float = 5.0  # seconds this process serves a copy without asking Redis
    compress_over: int = 4096  # bytes; longer values are compressed for Redis
    timeout: float = 0.05  # seconds; longest wait for Redis, and for a connection to it
    wait: float = 5.0  # seconds to wait for another's load before loading oneself
    lease: float = 30.0  # seconds for which one process alone loads a key
    subscribe: bool = True  # whether a thread hears what other processes change

    def __post_init__(self) -> None:
        _check(self)


class CacheOptionValues(TypedDict, total=False):
    """The fields of :class:`CacheOptions`, all optional."""

    namespace: str
    prefix: str
    ttl: float
    jitter: float
    max_entries: int
    max_bytes: int
    max_value_bytes: int
    max_staleness: float
    compress_over: int
    timeout: float
    wait: float
    lease: float
    subscribe: bool


_LONGEST: Final = 10.0 * 366 * 86400  # seconds
_ABOVE_ZERO: Final = ("ttl", "timeout", "wait", "lease", "max_value_bytes")
_NOT_BELOW_ZERO: Final = ("max_entries", "max_bytes", "max_staleness", "compress_over")


def _check(options: CacheOptions) -> None:
    for name in _ABOVE_ZERO + _NOT_BELOW_ZERO:
        value, least = getattr(options, name), name in _NOT_BELOW_ZERO
        if not (_is_number(value) and (value > 0 or (least and value == 0))):
            msg = f"{name} is a number {'from 0' if least else 'above 0'}, got {value!r}"
            raise InvalidArgumentError(msg)
    Keys(options.namespace)
    if not (_is_number(options.jitter) and 0 <= options.jitter < 1):
        msg = f"jitter is a share in [0, 1), got {options.jitter!r}"
        raise InvalidArgumentError(msg)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def cache_options(url: str, values: CacheOptionValues) -> tuple[str | None, CacheOptions]:
    """Return the URL of Redis, or None for memory alone, and the options.

    ``memory://`` may carry ``max_entries`` and ``max_bytes`` in its query.

    Raises:
        ConfigurationError: The URL is neither.
        InvalidArgumentError: An option is unknown or out of range.
    """
    found = dict(values)
    where: str | None = str(url)
    if not is_redis_url(str(url)):
        parts = urlsplit(str(url))
        if parts.scheme != "memory":
            shown = ConnectionUrl(str(url)).masked if "://" in str(url) else "(no scheme)"
            msg = f"a cache is at memory:// or redis://, got {shown}"
            raise ConfigurationError(msg)
        where = None
        found = _from_query(parts.query) | found
    try:
        return where, CacheOptions(**found)  # type: ignore[arg-type]
    except TypeError as exc:
        unknown = sorted(set(found) - set(CacheOptionValues.__annotations__))
        msg = f"unknown options of a cache: {', '.join(unknown)}"
        raise InvalidArgumentError(msg) from exc


def _from_query(query: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in {"max_entries", "max_bytes"} or not text.isdecimal():
            msg = f"memory:// takes max_entries and max_bytes as whole numbers, got {name!r}"
            raise ConfigurationError(msg)
        found[name] = int(text)
    return found


@dataclass(frozen=True, slots=True)
class Storing:
    """How a value is kept."""

    ttl: float
    stale: float = 0.0  # seconds after *ttl* in which the old value is served while a new one is loaded
    negative_ttl: float | None = None  # seconds for which None is kept; None: it is not kept
    tags: tuple[str, ...] = ()
    serializer: Serializer | None = None  # instead of the cache's


def storing(
    ttl: float,
    *,
    stale: float = 0.0,
    negative_ttl: float | None = None,
    tags: object = (),
    serializer: Serializer | None = None,
) -> Storing:
    """Return how to keep a value.

    Raises:
        InvalidArgumentError: A number is out of range, or a tag is unusable.
    """
    for name, value in (("ttl", ttl), ("negative_ttl", negative_ttl)):
        if value is not None and not (_is_number(value) and 0.001 <= value <= _LONGEST):
            msg = f"{name} is seconds in [0.001, {_LONGEST:g}], got {value!r}"
            raise InvalidArgumentError(msg)
    if not (_is_number(stale) and 0 <= stale <= _LONGEST):
        msg = f"stale is seconds in [0, {_LONGEST:g}], got {stale!r}"
        raise InvalidArgumentError(msg)
    return Storing(ttl, stale, negative_ttl, check_tags(tags), serializer)
