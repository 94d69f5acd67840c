"""The names under which Redis keeps an entry, its lease, the tags and the messages."""

import hashlib
import re
from typing import Any, Final

from shared.cache._frame import MAX_TAG_BYTES, MAX_TAGS
from shared.errors import InvalidArgumentError

__all__ = ["Keys", "check_key", "check_tags"]

_MAX_PLAIN: Final = 200  # characters; a longer key is kept by its digest
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.:\-]{0,100}").fullmatch
_PLAIN: Final = re.compile(
    r"[!-z|]+"
).fullmatch  # printable ASCII without spaces, braces, and the mark of a digest


class Keys:
    """Names for one namespace.

    An entry and its lease share a hash tag, so that one script may touch both on a
    cluster; different entries do not, so that they spread over its nodes.
    """

    __slots__ = ("channel", "generation", "prefix")

    def __init__(self, namespace: Any, prefix: str = "") -> None:
        if not isinstance(namespace, str) or _NAMESPACE(namespace) is None:
            msg = f"a namespace is up to 100 letters, digits and any of _.:- , got {namespace!r}"
            raise InvalidArgumentError(msg)
        self.prefix: str = f"{prefix}cache:{namespace}"
        self.channel: str = f"{self.prefix}:changes"
        self.generation: str = f"{self.prefix}:generation"

    def entry(self, key: str, generation: str) -> str:
        """Return where the value of *key* is."""
        return f"{self.prefix}:{generation}:{{{_short(key)}}}"

    def lease(self, key: str, generation: str) -> str:
        """Return where it is noted who loads *key*."""
        return f"{self.entry(key, generation)}:lease"

    def tag(self, name: str) -> str:
        """Return where the version of a tag is."""
        return f"{self.prefix}:tag:{_short(name)}"


def _short(key: str) -> str:
    """Return *key* when it is short and plain, or a readable beginning and its digest."""
    if len(key) <= _MAX_PLAIN and _PLAIN(key):
        return key
    beginning = re.sub(r"[^!-z|]", "_", key[:40])
    digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{beginning}~{digest}"


def check_key(key: Any) -> str:
    """Return *key*.

    Raises:
        InvalidArgumentError: It is not a text, is empty, or has surrogates.
    """
    if isinstance(key, str) and key and (key.isascii() or _bytes(key)):
        return key
    msg = f"a cache key is a text that is not empty and is Unicode, got a {type(key).__name__}"
    raise InvalidArgumentError(msg)


def check_tags(tags: object) -> tuple[str, ...]:
    """Return *tags* without repetition.

    Raises:
        InvalidArgumentError: They are one text, too many, or one is empty or too long.
    """
    if isinstance(tags, str) or not hasattr(tags, "__iter__"):
        msg = "tags are a collection of texts, such as ['catalog']"
        raise InvalidArgumentError(msg)
    found = tuple(dict.fromkeys(tags))
    if len(found) > MAX_TAGS:
        msg = f"an entry has {MAX_TAGS} tags at most, got {len(found)}"
        raise InvalidArgumentError(msg)
    for tag in found:
        if not isinstance(tag, str) or not 0 < _bytes(tag) <= MAX_TAG_BYTES:
            msg = f"a tag is a text of 1 to {MAX_TAG_BYTES} bytes"
            raise InvalidArgumentError(msg)
    return found


def _bytes(tag: Any) -> int:
    try:
        return len(tag.encode())
    except UnicodeEncodeError:  # a surrogate
        return 0
