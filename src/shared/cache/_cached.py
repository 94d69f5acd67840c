"""The decorator: a function whose results are kept."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Final, ParamSpec, Protocol, TypeVar, cast, get_args, get_type_hints

from shared.cache._accessors import get_cache
from shared.cache._cache import Cache
from shared.cache._call_keys import CallKeys
from shared.cache._core import MISSING
from shared.cache._options import storing
from shared.cache._serializers import ModelSerializer, Serializer
from shared.errors import InvalidArgumentError, UnsupportedCallableError

__all__ = ["CachedFunction", "cached"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

_PLAIN: Final = (str, int, float, bool, type(None), list, dict, Any, object)


class CachedFunction(Protocol[P, R_co]):
    """A function made by :func:`cached`: called as before, with two functions more.

    They take the same arguments as the function itself.

    Example:
        >>> @cached(ttl=60.0, key="double:{number}")
        ... def double(number: int) -> int:
        ...     return 2 * number
        >>> double(4), double.cache_key(4)
        (8, 'double:4')
        >>> double.invalidate(4)
        1
    """

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the result of the call, from the cache where it is there."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind to *instance*, as a method is."""

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key under which the result of this call is kept."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Take the result of this call away; of an async function, to be awaited."""


def cached(
    *,
    ttl: float | None = None,
    key: str | None = None,
    tags: Iterable[str] = (),
    stale: float = 0.0,
    negative_ttl: float | None = None,
    ignore: Iterable[str] = (),
    model: Any = None,
    cache: Cache | None = None,
) -> Callable[[Callable[P, R_co]], CachedFunction[P, R_co]]:
    """Keep the results of a function or a coroutine function; of many callers that miss, one computes.

    Args:
        ttl: Seconds to keep a result; the cache's when None.
        key: Template of the key, such as ``"product:{product_id}"``; parameters and their
            attributes may be named, and are escaped. Without it the key is the function's
            name and a digest of the arguments.
        tags: Templates of tags, for ``cache.invalidate_tags``.
        stale: Further seconds in which the old result is given at once while a new one is
            computed behind it.
        negative_ttl: Seconds for which a result of None is kept; when None it is not kept.
        ignore: Parameters that do not belong to the key, such as a session.
        model: Type of the results, for pydantic. Found from the return annotation when
            that is more than plain JSON.
        cache: Where to keep them; :func:`get_cache` at the time of the call when None.

    Raises:
        InvalidArgumentError: An argument is unusable, or a method is given neither *key*
            nor ``ignore=("self",)``.
        UnsupportedCallableError: The function is a generator: what it yields is gone
            after the first reader.

    Example:
        >>> calls = []
        >>> @cached(ttl=60.0, key="greeting:{name}", tags=["greetings"])
        ... def greeting(name: str) -> str:
        ...     calls.append(name)
        ...     return f"hello {name}"
        >>> greeting("ada"), greeting("ada"), calls
        ('hello ada', 'hello ada', ['ada'])
    """
    how = storing(1.0 if ttl is None else ttl, stale=stale, negative_ttl=negative_ttl)
    if isinstance(tags, str) or isinstance(ignore, str):
        msg = "tags and ignore are collections of texts, such as ['catalog']"
        raise InvalidArgumentError(msg)
    given = _Given(ttl, tuple(tags), how.stale, how.negative_ttl, cache)

    def decorate(function: Callable[P, R_co]) -> CachedFunction[P, R_co]:
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            msg = f"{function.__qualname__} is a generator: return a list, and cache that"
            raise UnsupportedCallableError(msg)
        keys = CallKeys(function, key, frozenset(ignore))
        for tag in given.tags:
            keys.check(tag)
        wanted = _model_of(function) if model is None else model
        serializer = None if wanted is None else ModelSerializer(wanted)
        return _wrap(function, keys, given, serializer)

    return decorate


@dataclass(frozen=True, slots=True)
class _Given:
    ttl: float | None
    tags: tuple[str, ...]
    stale: float
    negative_ttl: float | None
    cache: Cache | None

    def where(self) -> Cache:
        """Return the cache to use now."""
        return get_cache() if self.cache is None else self.cache


def _wrap(
    function: Callable[P, R_co], keys: CallKeys, given: _Given, serializer: Serializer | None
) -> CachedFunction[P, R_co]:
    def plan(key: str, arguments: Any, args: Any, kwargs: Any) -> dict[str, Any]:
        return {
            "key": key,
            "loader": functools.partial(function, *args, **kwargs),
            "ttl": given.ttl,
            "tags": [keys.fill(tag, arguments) for tag in given.tags],
            "stale": given.stale,
            "negative_ttl": given.negative_ttl,
            "serializer": serializer,
        }

    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            arguments = keys.bind(args, kwargs)
            key, cache = keys.key(arguments), given.where()
            found = cache.core.near(key, serializer, fresh=True)
            if found is MISSING:
                return await cache.aio.get_or_load(**plan(key, arguments, args, kwargs))
            return found

        async def invalidate(*args: Any, **kwargs: Any) -> int:
            return await given.where().aio.delete(keys.key(keys.bind(args, kwargs)))
    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            arguments = keys.bind(args, kwargs)
            key, cache = keys.key(arguments), given.where()
            found = cache.core.near(key, serializer, fresh=True)
            if found is MISSING:
                return cache.get_or_load(**plan(key, arguments, args, kwargs))
            return found

        def invalidate(*args: Any, **kwargs: Any) -> int:  # type: ignore[misc]
            return given.where().delete(keys.key(keys.bind(args, kwargs)))

    made: Any = wrapper
    made.invalidate = invalidate
    made.cache_key = lambda *args, **kwargs: keys.key(keys.bind(args, kwargs))
    return cast("CachedFunction[P, R_co]", made)


def _model_of(function: Callable[..., Any]) -> Any:
    """Return the annotated type of the results when JSON alone would not give it back."""
    try:
        found = get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - a name that exists only for type checkers, or any fault in an annotation
        return None
    return None if found is None or _is_plain(found) else found


def _is_plain(kind: Any) -> bool:
    if isinstance(kind, TypeVar) or kind is ...:
        return True
    arguments = get_args(kind)
    if not arguments:
        return any(kind is plain for plain in _PLAIN)
    from types import UnionType
    from typing import Union, get_origin

    origin = get_origin(kind)
    return origin in {list, dict, Union, UnionType} and all(map(_is_plain, arguments))
