"""Nested mappings: merge, flatten, look inside. Nothing given is ever changed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from shared.errors import InvalidArgumentError
from shared.utils._checks import kind, plain_text, text_argument

__all__ = ["deep_merge", "flatten_dict", "get_nested_value", "unflatten_dict"]

# Deeper than any document people write, shallower than the interpreter's own limit.
_MAX_DEPTH: Final = 200
# Visits to containers seen before: a few dozen references to references stand for
# billions of values ("billion laughs").
_MAX_REVISITS: Final = 10_000
_INDEX: Final = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_MISSING: Final = object()


class _Walk:
    """Keeps a walk through nested containers from going on for ever."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._seen: set[int] = set()
        self._revisits = 0

    def enter(self, container: object, depth: int) -> None:
        """Note that *container* is walked at *depth*.

        Raises:
            InvalidArgumentError: Too deep, or too often the same containers.
        """
        if depth > _MAX_DEPTH:
            msg = f"cannot {self._verb}: nested deeper than {_MAX_DEPTH} levels, or containing itself"
            raise InvalidArgumentError(msg)
        if id(container) in self._seen:
            self._revisits += 1
            if self._revisits > _MAX_REVISITS:
                msg = f"cannot {self._verb}: the same containers are referred to over {_MAX_REVISITS} times"
                raise InvalidArgumentError(msg)
        self._seen.add(id(container))


def deep_merge(
    base: Mapping[Any, Any], *others: Mapping[Any, Any], lists: Literal["replace", "extend"] = "replace"
) -> dict[Any, Any]:
    """Return a new dict: *base* with each of *others* laid over it, level by level.

    Where both sides hold a mapping they are merged; otherwise the later value wins,
    also None. The result shares no dict, list or set with what was given; other
    values are shared as they are.

    Args:
        base: The values underneath.
        others: Laid over it, in this order.
        lists: What happens where both sides hold a list: the later one wins, or
            its items are put behind the earlier one's.

    Raises:
        InvalidArgumentError: An argument is no mapping, *lists* is unknown, or the
            nesting is deeper than 200 levels or contains itself.

    Example:
        >>> deep_merge({"db": {"host": "a", "port": 1}}, {"db": {"host": "b"}, "debug": True})
        {'db': {'host': 'b', 'port': 1}, 'debug': True}
        >>> deep_merge({"tags": ["a"]}, {"tags": ["b"]}, lists="extend")
        {'tags': ['a', 'b']}
    """
    if lists not in ("replace", "extend"):
        msg = "lists must be 'replace' or 'extend'"
        raise InvalidArgumentError(msg)
    for position, mapping in enumerate((base, *others), start=1):
        _mapping_argument(f"argument {position} of deep_merge", mapping)
    walk = _Walk("merge")
    result: dict[Any, Any] = _copied(base, walk, 0)
    for other in others:
        _lay_over(result, other, walk, 0, extend=lists == "extend")
    return result


def _lay_over(
    target: dict[Any, Any], upper: Mapping[Any, Any], walk: _Walk, depth: int, *, extend: bool
) -> None:
    walk.enter(upper, depth)
    for key, value in upper.items():
        present = target.get(key)
        # The containers of *target* are copies of ours, free to be changed.
        if isinstance(present, dict) and isinstance(value, Mapping):
            _lay_over(present, value, walk, depth + 1, extend=extend)
        elif extend and isinstance(present, list) and isinstance(value, list):
            present.extend(_copied(value, walk, depth + 1))
        else:
            target[key] = _copied(value, walk, depth + 1)


def _copied(value: Any, walk: _Walk, depth: int) -> Any:
    """Return *value* with its containers copied, whatever is in them shared."""
    if isinstance(value, Mapping):
        walk.enter(value, depth)
        return {key: _copied(item, walk, depth + 1) for key, item in value.items()}
    if type(value) is list:
        walk.enter(value, depth)
        return [_copied(item, walk, depth + 1) for item in value]
    if type(value) is tuple:
        walk.enter(value, depth)
        return tuple([_copied(item, walk, depth + 1) for item in value])
    if type(value) is set:
        return set(value)
    return value


def flatten_dict(data: Mapping[Any, Any], separator: str = ".") -> dict[str, Any]:
    r"""Return *data* on one level, its keys joined by *separator*.

    A separator or a backslash inside a key is written with a backslash before it,
    so that :func:`unflatten_dict` brings back exactly what was given (for keys
    that are text). Lists are values. An empty mapping is a value too.

    Args:
        data: Nested mappings with keys that are text or whole numbers.
        separator: 1 to 8 characters, no backslash.

    Raises:
        InvalidArgumentError: Another kind of key, two keys that become one (``1``
            and ``"1"``), or a nesting deeper than 200 levels.

    Example:
        >>> flatten_dict({"db": {"host": "a", "ports": [1, 2]}, "v1.0": {"on": True}})
        {'db.host': 'a', 'db.ports': [1, 2], 'v1\\.0.on': True}
    """
    _mapping_argument("data", data)
    _checked_separator(separator)
    result: dict[str, Any] = {}
    for path, value in _leaves(data, separator, "", _Walk("flatten"), 0):
        if path in result:
            msg = f"two keys become the same: {path[:80]!r}"
            raise InvalidArgumentError(msg)
        result[path] = value
    return result


def _leaves(
    data: Mapping[Any, Any], separator: str, prefix: str, walk: _Walk, depth: int
) -> Iterator[tuple[str, Any]]:
    walk.enter(data, depth)
    for key, value in data.items():
        path = prefix + _escaped(key, separator)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, separator, path + separator, walk, depth + 1)
        else:
            yield path, {} if isinstance(value, Mapping) else value


def _escaped(key: object, separator: str) -> str:
    text = plain_text(key)
    if text is not None:
        if "\\" not in text and separator not in text and separator[0] not in text[-len(separator) :]:
            return text
        return _with_backslashes(text, separator)
    if issubclass(type(key), int) and type(key) is not bool and int.bit_length(key) < 256:  # type: ignore[arg-type]
        return int.__repr__(key)
    msg = f"keys must be text or whole numbers, got {kind(key)}"
    raise InvalidArgumentError(msg)


def _with_backslashes(key: str, separator: str) -> str:
    """Put a backslash before each backslash, and wherever a separator would be read to begin.

    It may be read across the end: ``_`` and ``__`` after it are ``__`` and ``_`` to a reader.
    """
    followed = key + separator
    return "".join(
        [
            f"\\{letter}" if letter == "\\" or followed.startswith(separator, place) else letter
            for place, letter in enumerate(key)
        ]
    )


def unflatten_dict(data: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
    r"""Return the nested form of what :func:`flatten_dict` made.

    Raises:
        InvalidArgumentError: A key is no text, a key needs a mapping where another
            has a value (``"a"`` and ``"a.b"``), or there are more than 200 levels.

    Example:
        >>> unflatten_dict({"db.host": "a", "v1\\.0.on": True})
        {'db': {'host': 'a'}, 'v1.0': {'on': True}}
    """
    _mapping_argument("data", data)
    result: dict[str, Any] = {}
    made = {id(result)}  # the dicts that are ours to fill; a value may be a dict of the caller's
    for path, value in data.items():
        *parents, last = _split(text_argument("a key of data", path), _checked_separator(separator))
        if len(parents) > _MAX_DEPTH:
            msg = f"key {path[:80]!r} has more than {_MAX_DEPTH} levels"
            raise InvalidArgumentError(msg)
        target = result
        for parent in parents:
            child = target.get(parent, _MISSING)
            if child is _MISSING:
                child = target[parent] = {}
                made.add(id(child))
            target = child
            if id(target) not in made:
                break
        if id(target) not in made or last in target:
            msg = f"key {path[:80]!r} needs a mapping where another key has a value, or has one already"
            raise InvalidArgumentError(msg)
        target[last] = value
    return result


def get_nested_value(data: Any, path: str | Sequence[Any], default: Any = None, separator: str = ".") -> Any:
    r"""Return the value at *path* inside nested mappings and lists, or *default*.

    A missing key, an index out of range and a value that holds nothing are all
    *default*; a value that is there is returned also when it is None. Nothing is
    created, also in a ``defaultdict``.

    Args:
        data: Mappings and sequences, nested.
        path: Keys joined by *separator*, one inside a key written ``\\.``; or the
            keys themselves in a list or tuple. A whole number is the index of a
            sequence, negative from the end, or a number used as a key.
        default: What to return when nothing is there.
        separator: 1 to 8 characters, no backslash.

    Raises:
        InvalidArgumentError: *path* is neither text nor a list or tuple.

    Example:
        >>> order = {"items": [{"sku": "a-1"}], "v1.0": True}
        >>> get_nested_value(order, "items.0.sku"), get_nested_value(order, "items.9.sku", "none")
        ('a-1', 'none')
        >>> get_nested_value(order, "v1\\.0"), get_nested_value(order, ["v1.0"])
        (True, True)
    """
    text = plain_text(path)
    if text is not None:
        keys: Sequence[Any] = _split(text, _checked_separator(separator))
    elif isinstance(path, (list, tuple)):
        keys = path
    else:
        msg = f"path must be text or a list of keys, got {kind(path)}"
        raise InvalidArgumentError(msg)
    for key in keys:
        data = _child(data, key)
        if data is _MISSING:
            return default
    return data


def _child(data: Any, key: Any) -> Any:
    try:
        if isinstance(data, Mapping):
            if _is_hashable(key) and key in data:
                return data[key]
            number = _number(key) if type(key) is str else None
            return data[number] if number is not None and number in data else _MISSING
        if isinstance(data, Sequence) and not isinstance(data, (str, bytes, bytearray)):
            index = _number(key)
            return _MISSING if index is None else data[index]
    except (LookupError, TypeError):  # an index out of range, a mapping that refuses the key
        return _MISSING
    return _MISSING


def _is_hashable(key: Any) -> bool:
    if type(key) is str:
        return True
    try:
        hash(key)
    except Exception:  # noqa: BLE001 - what cannot be hashed is no key, whatever the reason
        return False
    return True


def _number(key: Any) -> int | None:
    if type(key) is int:
        return key
    return int(key) if type(key) is str and _INDEX.fullmatch(key) else None


def _split(path: str, separator: str) -> list[str]:
    """Return the keys of *path*, unescaped; a backslash before anything else is itself."""
    if "\\" not in path:
        return path.split(separator)
    keys, last = [], 0
    matches = _token(separator).finditer(path)
    pieces: list[str] = []
    for match in matches:
        pieces.append(path[last : match.start()])
        last = match.end()
        if match[1] is None:  # a separator that is not escaped
            keys.append("".join(pieces))
            pieces = []
        else:
            pieces.append(match[1])
    pieces.append(path[last:])
    keys.append("".join(pieces))
    return keys


@lru_cache(maxsize=32)
def _token(separator: str) -> re.Pattern[str]:
    return re.compile(rf"\\(\\|{re.escape(separator[0])})|{re.escape(separator)}")


def _checked_separator(separator: object) -> str:
    text = plain_text(separator)
    if not text or len(text) > 8 or "\\" in text:
        msg = "separator must be text of 1 to 8 characters without a backslash"
        raise InvalidArgumentError(msg)
    return text


def _mapping_argument(name: str, value: object) -> None:
    if not issubclass(type(value), Mapping):
        msg = f"{name} must be a mapping, got {kind(value)}"
        raise InvalidArgumentError(msg)
