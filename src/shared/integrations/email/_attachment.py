"""Files that travel with a message."""

import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from shared.constants import FieldLimit
from shared.errors import InvalidArgumentError, ResourceNotFoundError, ValidationError

__all__ = ["Attachment"]

# Source: RFC 6838, section 4.2.
_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\Z")
_CONTENT_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_UNKNOWN: Final = "application/octet-stream"
# These are not leaves: what is inside of them would become part of the message.
_CONTAINERS: Final = ("multipart/", "message/")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with a message.

    Attributes:
        name: File name that the reader sees: no path, no invisible characters, at most
            255 bytes.
        content: Its bytes.
        content_type: Such as ``"application/pdf"``; by the name when empty.
        content_id: For a picture inside of the HTML: ``<img src="cid:logo">`` shows the
            attachment with the id ``"logo"``.

    Raises:
        ValidationError: The name or the type is not one.

    Example:
        >>> Attachment("receipt.pdf", b"%PDF-").content_type
        'application/pdf'
        >>> Attachment("../../etc/passwd", b"")
        Traceback (most recent call last):
            ...
        shared.errors.ValidationError: attachment name: a plain file name expected, without a path
    """

    name: str
    content: bytes = field(repr=False)
    content_type: str = ""
    content_id: str | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        object.__setattr__(self, "content", _bytes(self.content))
        kind = self.content_type or mimetypes.guess_type(self.name)[0] or _UNKNOWN
        object.__setattr__(self, "content_type", _checked_type(kind))
        if self.content_id is not None and not _CONTENT_ID.match(self.content_id):
            msg = "attachment content_id: 1 to 100 of A-Z a-z 0-9 . _ - expected"
            raise ValidationError(msg, details={"field": "content_id"})

    @classmethod
    def from_path(cls, path: str | Path, *, name: str | None = None, content_type: str = "") -> Self:
        """Return the file at *path* as an attachment.

        Args:
            path: Of the service's own choice, never of a caller.
            name: Shown instead of the file's own.
            content_type: As above.

        Raises:
            ResourceNotFoundError: The file cannot be read.
            ValidationError: As above.
        """
        source = Path(path)
        try:
            content = source.read_bytes()
        except OSError as exc:
            msg = f"the attachment cannot be read: {type(exc).__name__}"
            raise ResourceNotFoundError(msg, resource="attachment", cause=exc) from exc
        return cls(source.name if name is None else name, content, content_type)

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return len(self.content)


def _bytes(content: object) -> bytes:
    if not isinstance(content, bytes | bytearray | memoryview):
        msg = f"the content of an attachment is bytes, got {type(content).__name__}"
        raise InvalidArgumentError(msg)
    return bytes(content)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip(" .") or name != name.strip():
        raise _wrong("a file name expected")
    if any(character in name for character in '/\\:<>"|?*'):
        raise _wrong("a plain file name expected, without a path")
    if not name.isprintable():  # line ends, NUL, and what turns the direction of writing
        raise _wrong("a file name without line ends and invisible characters expected")
    if len(name.encode("utf-8", "replace")) > FieldLimit.FILENAME_MAX_BYTES:
        text = f"at most {FieldLimit.FILENAME_MAX_BYTES} bytes expected"
        raise _wrong(text)


def _checked_type(kind: object) -> str:
    if not isinstance(kind, str) or not _TYPE.match(kind):
        msg = "attachment content_type: a type such as 'application/pdf' expected, without parameters"
        raise ValidationError(msg, details={"field": "content_type"})
    lower = kind.lower()
    if lower.startswith(_CONTAINERS):
        msg = "attachment content_type: multipart/* and message/* would become part of the message"
        raise ValidationError(msg, details={"field": "content_type"})
    return lower


def _wrong(text: str) -> ValidationError:
    msg = f"attachment name: {text}"
    return ValidationError(msg, details={"field": "name"})
