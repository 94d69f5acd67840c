"""What is known about a stored object."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from shared.errors import InvalidArgumentError

__all__ = ["ObjectPage", "ObjectSummary", "StoredObject", "check_metadata"]

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z").match
_VALUE: Final = re.compile("[\\x00-\\x1f\\x7f\ud800-\udfff]").search
_MAX_METADATA: Final = 1536  # bytes; S3 takes 2048 in all, of which ours need a part
OURS: Final = "shared-"
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored object, without its content.

    Attributes:
        key: Its name.
        size: Bytes of content, as they were given to ``put``.
        content_type: Its media type.
        etag: Changes when the content does, in double quotes; for ``if_match`` and the
            header of that name. How it is made is the store's own affair.
        last_modified: When it was written, in UTC.
        sha256: Digest of the content, hexadecimal; None when something else wrote it.
        metadata: What was given along, by lower-case name.
        cache_control: As the header of that name.
        filename: What a download is called, when that was said.
        is_encrypted: Whether we encrypt it.

    Example:
        >>> from shared.integrations.storage import Storage
        >>> stored = Storage().put("notes/1.txt", b"hello", metadata={"author": "ada"})
        >>> stored.size, stored.content_type, stored.metadata["author"]
        (5, 'text/plain', 'ada')
    """

    key: str
    size: int
    content_type: str
    etag: str
    last_modified: datetime
    sha256: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: _NONE)
    cache_control: str | None = None
    filename: str | None = None
    is_encrypted: bool = False


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """An object in a listing: what every store tells without being asked once more.

    Attributes:
        key: Its name.
        size: Bytes it takes in the store; of an encrypted object more than its content.
        etag: As that of :class:`StoredObject`; None where the store does not list it.
        last_modified: When it was written, in UTC.

    Example:
        >>> from shared.integrations.storage import Storage
        >>> store = Storage()
        >>> _ = store.put("a.txt", b"hello")
        >>> [(one.key, one.size) for one in store.list().items]
        [('a.txt', 5)]
    """

    key: str
    size: int
    etag: str | None
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a listing.

    Attributes:
        items: The objects, by key in the order of their UTF-8 bytes.
        next_cursor: Gives the next page; None on the last.

    Example:
        >>> from shared.integrations.storage import Storage
        >>> store = Storage()
        >>> for name in ("a", "b", "c"):
        ...     _ = store.put(name, b"")
        >>> page = store.list(limit=2)
        >>> [one.key for one in store.list(cursor=page.next_cursor).items]
        ['c']
    """

    items: tuple[ObjectSummary, ...]
    next_cursor: str | None = None


def check_metadata(metadata: Mapping[Any, Any] | None) -> dict[str, str]:
    """Return a copy of *metadata*, or say what no store could keep.

    Raises:
        InvalidArgumentError: A name is not 1 to 64 of ``a-z 0-9 -``, or ours; a value
            is no text of one line; together they are more than 1536 bytes.
    """
    found: dict[str, str] = {}
    for name, value in (metadata or {}).items():
        if not isinstance(name, str) or not _NAME(name) or name.startswith(OURS):
            msg = f"a metadata name is 1 to 64 of a-z, 0-9 and -, and not {OURS}…, got {name!r:.80}"
            raise InvalidArgumentError(msg)
        if not isinstance(value, str) or _VALUE(value):
            msg = f"metadata {name!r} must be text of one line"
            raise InvalidArgumentError(msg)
        found[name] = value
    size = sum(len(name) + len(value.encode()) for name, value in found.items())
    if size > _MAX_METADATA:
        msg = f"the metadata has {size} bytes, at most {_MAX_METADATA} are allowed"
        raise InvalidArgumentError(msg)
    return found
