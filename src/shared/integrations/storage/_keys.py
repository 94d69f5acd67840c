"""What a key may look like, so that it names one object, and the same one, in every store."""

import re
import unicodedata
from typing import Any, Final

from shared.errors import InvalidArgumentError, ValidationError

__all__ = ["check_key", "check_prefix", "safe_key"]

MAX_KEY_BYTES: Final = 900
"""S3 and Google Cloud Storage stop at 1024 bytes; what is left is for the prefix of the store."""
MAX_SEGMENT_BYTES: Final = 255  # the longest file name of the usual file systems

# What Amazon's guide to object keys advises against, what a URL or a header would have
# to escape twice, controls, and the marks that turn the direction of the text around.
_BAD: Final = re.compile(
    '[\\x00-\\x1f\\x7f-\\x9f\\\\^`{}\\[\\]"<>|~#%?*:\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]'
)
_PLAIN: Final = re.compile(
    r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?(?:/[A-Za-z0-9_-](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?)*\Z"
).match
_RESERVED: Final = ".shared-storage"


def check_key(key: Any) -> str:
    r"""Return *key*, or say why it is none.

    A key is 1 to 900 bytes of UTF-8 in segments of 1 to 255 bytes, divided by ``/``. A
    segment neither begins nor ends with a space, does not end with a dot, and is not
    ``.`` or ``..``. Text must be in the normal form NFC. Not allowed are controls,
    line breaks, ``\ ^ ` { } [ ] " < > | ~ # % ? * :`` and marks that turn the
    direction of the text around.

    Raises:
        ValidationError: *key* is none of that; 422.

    Example:
        >>> check_key("invoices/2026/Grüße 7.pdf")
        'invoices/2026/Grüße 7.pdf'
        >>> check_key("../etc/passwd")
        Traceback (most recent call last):
            ...
        shared.errors.ValidationError: the key has a segment '..': name every folder
    """
    if type(key) is str and len(key) <= MAX_SEGMENT_BYTES and _PLAIN(key):
        return key
    if not isinstance(key, str):
        msg = f"a key is text, got {type(key).__name__}"
        raise ValidationError(msg, details={"key": "not text"})
    wrong = _wrong(key)
    if wrong is not None:
        msg = f"the key {wrong}"
        raise ValidationError(msg, details={"key": wrong})
    return key


def check_prefix(prefix: Any) -> str:
    """Return *prefix*, which is empty or the beginning of keys, cut anywhere, or say why it is none.

    Raises:
        ValidationError: No key can begin like this; 422.

    Example:
        >>> check_prefix("invoices/20"), check_prefix("invoices/")
        ('invoices/20', 'invoices/')
    """
    if not isinstance(prefix, str):
        msg = f"a prefix is text, got {type(prefix).__name__}"
        raise ValidationError(msg, details={"prefix": "not text"})
    bare = prefix.removesuffix("/")
    wrong = _wrong(bare, cut=True) if prefix else None
    if wrong is not None:
        msg = f"the prefix {wrong}"
        raise ValidationError(msg, details={"prefix": wrong})
    return prefix


def safe_key(name: str, *, folder: str = "", fallback: str = "file") -> str:
    r"""Return a key made of a file name from outside: its last part, with what is not allowed taken out.

    The extension is kept. Two names may give one key; put something of your own, such
    as an id, into *folder*.

    Args:
        name: What the browser or the sender called the file.
        folder: Put in front, from code: ``"uploads/7"``.
        fallback: Used when nothing of *name* is left.

    Raises:
        InvalidArgumentError: *folder* or *fallback* is no key.

    Example:
        >>> safe_key("../../etc/pass\x00wd", folder="uploads/7")
        'uploads/7/passwd'
        >>> safe_key("C:\\Users\\Ada\\CV?.pdf")
        'CV.pdf'
    """
    last = re.split(r"[/\\]", name)[-1]
    text = unicodedata.normalize("NFC", _BAD.sub("", last)).strip(" ").rstrip(". ")
    if text in {"", ".", ".."} or text.casefold() == _RESERVED:
        text = fallback
    key = f"{folder}/{_shortened(text)}" if folder else _shortened(text)
    try:
        return check_key(key)
    except ValidationError as exc:
        msg = f"folder and fallback must be keys: {exc.message}"
        raise InvalidArgumentError(msg) from exc


def _shortened(text: str, limit: int = 180) -> str:
    """Return *text* in at most *limit* bytes, cut in front of its extension."""
    if len(text.encode()) <= limit:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or len(extension.encode()) > 16:
        stem, extension = text, ""
    tail = f".{extension}" if extension else ""
    kept = stem.encode()[: limit - len(tail.encode())].decode("utf-8", "ignore")
    # A mark whose letter was cut away would combine with the dot.
    return unicodedata.normalize("NFC", kept.rstrip(". ") + tail)


def _wrong(key: str, *, cut: bool = False) -> str | None:
    """Return what is wrong with *key*; a *cut* one may end anywhere."""
    found = _BAD.search(key)
    if found is not None:
        return f"has the character U+{ord(found[0]):04X}, which not every store can keep"
    size = len(key.encode())
    if not 0 < size <= MAX_KEY_BYTES:
        return f"has {size} bytes, 1 to {MAX_KEY_BYTES} are allowed"
    if not unicodedata.is_normalized("NFC", key):
        return "is not in the normal form NFC: use unicodedata.normalize('NFC', key)"
    if key.split("/", 1)[0].casefold() == _RESERVED:
        return f"begins with {_RESERVED!r}, which the store needs for itself"
    segments = key.split("/")
    for index, segment in enumerate(segments):
        wrong = _wrong_segment(segment, last_is_cut=cut and index == len(segments) - 1)
        if wrong is not None:
            return wrong
    return None


def _wrong_segment(segment: str, *, last_is_cut: bool) -> str | None:
    if not segment:
        return "has an empty segment: no '/' at the ends, none twice"
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        return f"has a segment of {len(segment.encode())} bytes, at most {MAX_SEGMENT_BYTES} are allowed"
    if segment in {".", ".."}:
        return f"has a segment {segment!r}: name every folder"
    if segment.startswith(" ") or (not last_is_cut and segment.endswith((" ", "."))):
        return "has a segment that begins with a space, or ends with a space or a dot"
    return None
