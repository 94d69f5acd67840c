"""Conditional requests: spare the answer that the client has, refuse the change it did not mean.

Source: RFC 9110, section 13.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

from shared.api._json import dumps
from shared.errors import InvalidArgumentError, PreconditionFailedError, SharedError

__all__ = ["NotModified", "check_preconditions", "entity_tag"]

# RFC 9110, section 8.8.3, in the ASCII that headers may carry.
_TAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e]*")').match
_LIST: Final = re.compile(r'[ \t,]*((?:W/)?"[^"]*")[ \t]*(?=,|\Z)').match
_READS: Final = frozenset({"GET", "HEAD"})
_MAX_LENGTH: Final = 8192  # characters
_MAX_TAGS: Final = 200


class NotModified(SharedError):  # noqa: N818 - no error: the client has what it asks for
    """The client has the current representation already; raise it to answer 304 without a body.

    Args:
        etag: The entity tag, sent along.
        last_modified: As the header of that name.

    Example:
        >>> NotModified('"v7"').headers
        {'ETag': '"v7"'}
    """

    status: int = 304

    def __init__(self, etag: str | None = None, *, last_modified: datetime | None = None) -> None:
        headers = {} if etag is None else {"ETag": etag}
        if last_modified is not None:
            headers["Last-Modified"] = _date(last_modified)
        super().__init__("not modified", headers=headers)


def entity_tag(*parts: Any, weak: bool = False) -> str:
    """Return an entity tag for a representation that is determined by *parts*.

    Args:
        *parts: What changes when the representation does: an id and a version, a row's
            ``updated_at``, the bytes themselves.
        weak: Whether equal tags mean "as good as the same" instead of "the same bytes".

    Raises:
        SharedError: A part has no JSON form.

    Example:
        >>> entity_tag("order", 7, 3) == entity_tag("order", 7, 3) != entity_tag("order", 7, 4)
        True
        >>> entity_tag("order", 7, weak=True)[:3]
        'W/"'
    """
    digest = hashlib.sha256(dumps(parts)).hexdigest()[:32]
    return f'W/"{digest}"' if weak else f'"{digest}"'


def check_preconditions(
    headers: Mapping[str, str],
    etag: str | None,
    *,
    method: str = "GET",
    last_modified: datetime | None = None,
) -> None:
    """Let the request go on, or end it with 304 or 412, as its conditions demand.

    Call it before the work, and set ``ETag`` on the answer yourself. Malformed
    conditions on a read count as absent, on a change as not fulfilled.

    Args:
        headers: The request's, found without regard to case, as all frameworks have them.
        etag: Tag of the current representation, such as :func:`entity_tag` makes; None
            when there is none yet.
        method: Method of the request; GET and HEAD read, all others change.
        last_modified: When the current representation came into being, with a time zone.

    Raises:
        NotModified: The client has the current representation.
        PreconditionFailedError: The representation is not the one that the client means.
        InvalidArgumentError: *etag* is no entity tag, or *last_modified* has no time zone.

    Example:
        >>> check_preconditions({"If-None-Match": '"v1"'}, '"v2"')
        >>> check_preconditions({"If-Match": '"v1"'}, '"v2"', method="PUT")
        Traceback (most recent call last):
            ...
        shared.errors.PreconditionFailedError: If-Match does not hold: the resource has changed
    """
    if etag is not None and ((found := _TAG(etag)) is None or found.end() != len(etag)):
        msg = f'an entity tag reads "..." or W/"...", got {etag!r:.80}'
        raise InvalidArgumentError(msg)
    if last_modified is not None and last_modified.tzinfo is None:
        msg = "last_modified needs a time zone, such as datetime.now(UTC)"
        raise InvalidArgumentError(msg)
    reads = method in _READS
    _check_state(headers, etag, last_modified)
    wanted = headers.get("If-None-Match")
    if wanted is not None:
        if etag is not None and (wanted.strip() == "*" or _opaque(etag) in map(_opaque, _tags(wanted))):
            if reads:
                raise NotModified(etag, last_modified=last_modified)
            raise PreconditionFailedError("If-None-Match does not hold: the resource is there already")
    elif reads and last_modified is not None:
        since = _moment(headers.get("If-Modified-Since"))
        if since is not None and _seconds(last_modified) <= since:
            raise NotModified(etag, last_modified=last_modified)


def _check_state(headers: Mapping[str, str], etag: str | None, last_modified: datetime | None) -> None:
    """Check that the client means the representation that is current."""
    wanted = headers.get("If-Match")
    if wanted is not None:
        # A weak tag never holds here: it does not tell whether the bytes are the same.
        strong = etag is not None and not etag.startswith("W/") and etag in _tags(wanted)
        if not (strong or (etag is not None and wanted.strip() == "*")):
            raise PreconditionFailedError("If-Match does not hold: the resource has changed")
    elif last_modified is not None:
        since = _moment(headers.get("If-Unmodified-Since"))
        if since is not None and _seconds(last_modified) > since:
            raise PreconditionFailedError("If-Unmodified-Since does not hold: the resource has changed")


def _tags(header: str) -> Iterator[str]:
    """Yield the tags of a list up to the first thing that is none."""
    header, at = header[:_MAX_LENGTH], 0
    for _ in range(_MAX_TAGS):
        found = _LIST(header, at)
        if found is None:
            return
        yield found[1]
        at = found.end()


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


def _moment(value: str | None) -> float | None:
    """Return the Unix second of an HTTP date, None when it is none."""
    if value is None or len(value) > 64:
        return None
    try:
        found = parsedate_to_datetime(value)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())  # the header has no fractions


def _date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)
