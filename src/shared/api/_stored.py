"""Give a stored object out: conditions, ranges, and headers under which nothing in it runs.

Source: RFC 9110, sections 13 and 14; RFC 6266 for the name of a download.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final, Protocol
from urllib.parse import quote

from shared.api._conditional import check_preconditions
from shared.errors import SharedError

__all__ = ["DownloadPlan", "StoredRepresentation", "plan_download"]

_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*\Z").match
# What a browser shows without running anything in it. All else is saved to a file unless
# whoever serves it says otherwise: HTML and SVG run scripts in the name of the origin.
_INERT: Final = re.compile(
    r"(?:image/(?:png|jpeg|gif|webp|avif)|audio/[\w.+-]+|video/[\w.+-]+|text/plain|application/pdf)\b"
).match


class StoredRepresentation(Protocol):
    """What must be known of an object; :class:`shared.integrations.storage.StoredObject` is one.

    Example:
        >>> from shared.integrations.storage import Storage
        >>> stored: StoredRepresentation = Storage().put("a.txt", b"hello")
    """

    @property
    def key(self) -> str:
        """Its name."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def content_type(self) -> str:
        """Its media type."""

    @property
    def etag(self) -> str:
        """Its entity tag."""

    @property
    def last_modified(self) -> datetime:
        """When it was written, with a time zone."""

    @property
    def cache_control(self) -> str | None:
        """As the header of that name."""

    @property
    def filename(self) -> str | None:
        """What a download is called."""


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """How to answer: send bytes *start* to *stop* (exclusive) with these headers.

    Attributes:
        status: 200, or 206 for a part.
        headers: All that belong to the answer.
        start: First byte to send.
        stop: Byte behind the last; equal to *start* when there is nothing to send.

    Example:
        >>> DownloadPlan(200, {}, 0, 0).has_body
        False
    """

    status: int
    headers: dict[str, str]
    start: int
    stop: int

    @property
    def has_body(self) -> bool:
        """Whether there is anything to read and send."""
        return self.stop > self.start


def plan_download(
    stored: StoredRepresentation,
    headers: Mapping[str, str],
    *,
    method: str = "GET",
    inline: bool | None = None,
) -> DownloadPlan:
    """Decide how a request for a stored object is answered.

    Conditions (``If-None-Match``, ``If-Match`` and their dates), one range, and
    ``If-Range`` are understood; several ranges are answered with the whole.

    Args:
        stored: What is known of the object.
        headers: The request's, found without regard to case, as all frameworks have them.
        method: GET or HEAD, which sends no body.
        inline: Whether a browser shows it; None lets it show what cannot run scripts (raster
            images, sound, video, plain text, PDF) and save all else to a file.

    Raises:
        NotModified: The client has it already; 304.
        PreconditionFailedError: It is not the one the client means; 412.
        SharedError: The range is outside of it; 416.

    Example:
        >>> from shared.integrations.storage import Storage
        >>> stored = Storage().put("a.txt", b"0123456789", filename="A.txt")
        >>> plan = plan_download(stored, {"Range": "bytes=2-4"})
        >>> plan.status, plan.start, plan.stop, plan.headers["Content-Range"]
        (206, 2, 5, 'bytes 2-4/10')
    """
    check_preconditions(headers, stored.etag, method=method, last_modified=stored.last_modified)
    span = _span(stored, headers) if method == "GET" else None
    start, stop = (0, stored.size) if span is None else span
    found = {
        "Content-Type": stored.content_type,
        "Content-Length": str(stop - start),
        "Accept-Ranges": "bytes",
        "ETag": stored.etag,
        "Last-Modified": format_datetime(stored.last_modified, usegmt=True),
        "Cache-Control": stored.cache_control or "private, no-cache",
        "Content-Disposition": _disposition(stored, inline=inline),
        "X-Content-Type-Options": "nosniff",
    }
    if span is not None:
        found["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
    return DownloadPlan(200 if span is None else 206, found, start, start if method == "HEAD" else stop)


def _span(stored: StoredRepresentation, headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the range to send, None for the whole."""
    wanted = headers.get("Range")
    match = None if wanted is None else _RANGE(wanted)
    if match is None or not _is_same(stored, headers.get("If-Range")):
        return None
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else stored.size, stored.size)
        if last and int(last) < int(first):
            return None  # no range at all, so it is not looked at
    elif last:
        start, stop = max(0, stored.size - int(last)), stored.size
    else:
        return None
    if start >= stop:
        msg = f"the range is outside of the {stored.size} bytes there are"
        raise SharedError(
            msg,
            code="RANGE_NOT_SATISFIABLE",
            status=416,
            headers={"Content-Range": f"bytes */{stored.size}", "Accept-Ranges": "bytes"},
        )
    return start, stop


def _is_same(stored: StoredRepresentation, wanted: str | None) -> bool:
    """Tell whether the client's part belongs to what is there now."""
    if wanted is None:
        return True
    if wanted.lstrip().startswith(('"', "W/")):
        return wanted.strip() == stored.etag and not stored.etag.startswith("W/")
    try:
        return parsedate_to_datetime(wanted).timestamp() == int(stored.last_modified.timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return False


def _disposition(stored: StoredRepresentation, *, inline: bool | None) -> str:
    shown = _INERT(stored.content_type.lower()) is not None if inline is None else inline
    name = stored.filename or stored.key.rpartition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9 ._()+-]", "_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{"inline" if shown else "attachment"}; filename="{plain}"{extended}'
