"""What a content is, by its first bytes; names and claims have to agree with them."""

import re
from collections.abc import Sequence
from typing import Final

from shared.errors import InvalidArgumentError, UnsupportedMediaTypeError

__all__ = ["SNIFFED_BYTES", "decide_content_type", "sniff_content_type"]

SNIFFED_BYTES: Final = 512
OCTETS: Final = "application/octet-stream"

# RFC 9110, section 8.3.1; parameters in ASCII without line breaks.
_TYPE: Final = re.compile(
    r"([A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64})(?:\s*;[\x20-\x7e]{0,128})?\Z"
).match

# Source: the WHATWG MIME Sniffing Standard, section 6, and the formats' own documents.
_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"OggS\x00", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"\x00asm", "application/wasm"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (257, b"ustar", "application/x-tar"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_FTYP: Final = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"qt  ": "video/quicktime",
}
_HTML: Final = re.compile(
    rb"<(?:!doctype html|html|head|body|script|iframe|style|title|h1|div|table|br|p|a|b)[\s>/]|<!--",
    re.IGNORECASE,
).match
_SVG: Final = re.compile(
    rb"(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!doctype[^>]*>\s*)*<svg[\s>]", re.IGNORECASE | re.DOTALL
).match
_EXE: Final = re.compile(rb"MZ.{58}[\x40-\xff]", re.DOTALL).match

_BY_EXTENSION: Final = {
    "avi": "video/x-msvideo", "avif": "image/avif", "bz2": "application/x-bzip2", "css": "text/css",
    "csv": "text/csv", "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eml": "message/rfc822", "epub": "application/epub+zip", "flac": "audio/flac", "gif": "image/gif",
    "gz": "application/gzip", "heic": "image/heic", "htm": "text/html", "html": "text/html",
    "ico": "image/x-icon", "ics": "text/calendar", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "js": "text/javascript", "json": "application/json", "m4a": "audio/mp4", "md": "text/markdown",
    "mov": "video/quicktime", "mp3": "audio/mpeg", "mp4": "video/mp4",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text", "ogg": "audio/ogg",
    "parquet": "application/vnd.apache.parquet", "pdf": "application/pdf", "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "svg": "image/svg+xml", "tar": "application/x-tar", "tif": "image/tiff", "tiff": "image/tiff",
    "txt": "text/plain", "wav": "audio/wav", "webm": "video/webm", "webp": "image/webp",
    "woff": "font/woff", "woff2": "font/woff2", "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml", "xz": "application/x-xz", "yaml": "application/yaml",
    "yml": "application/yaml", "zip": "application/zip", "zst": "application/zstd",
}  # fmt: skip

# Formats that are built inside of others: the first bytes only tell the outer one.
_INSIDE: Final[dict[str, re.Pattern[str]]] = {
    "application/zip": re.compile(
        r"application/(?:.*\+zip|vnd\.(?:openxmlformats|oasis|ms-).*|java-archive|x-zip-compressed|vnd\.android.*)"
    ),
    "application/gzip": re.compile(r"application/(?:x-gzip|x-tar|x-gtar|tar\+gzip)|.*\+gzip"),
    "application/ogg": re.compile(r"(?:audio|video)/(?:ogg|opus)"),
    "application/x-ole-storage": re.compile(r"application/(?:msword|vnd\.ms-.*|x-msi)"),
    "video/webm": re.compile(r"(?:video|audio)/(?:webm|x-matroska)"),
    "video/mp4": re.compile(r"(?:video|audio)/(?:mp4|x-m4[av]|quicktime|3gpp2?)"),
    "image/heic": re.compile(r"image/(?:heif|heic|avif)"),
    "image/x-icon": re.compile(r"image/vnd\.microsoft\.icon"),
    "image/svg+xml": re.compile(r"(?:text|application)/xml"),
    "text/html": re.compile(r"application/xhtml\+xml|text/.*|(?:text|application)/xml"),
    "audio/wav": re.compile(r"audio/(?:x-wav|wave|vnd\.wave)"),
}
_SNIFFABLE: Final = frozenset(
    {kind for _, _, kind in _MAGIC}
    | set(_RIFF.values())
    | set(_FTYP.values())
    | {"video/mp4", "image/svg+xml"}
)


def sniff_content_type(head: bytes) -> str | None:
    """Return the media type that the first bytes give away, None when they give none away.

    Args:
        head: The first 512 bytes of the content, or all of it.

    Example:
        >>> sniff_content_type(b"%PDF-1.7 ..."), sniff_content_type(b"hello")
        ('application/pdf', None)
    """
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _FTYP.get(head[8:12], "video/mp4")
    if _EXE(head):
        return "application/vnd.microsoft.portable-executable"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\t\n\x0c\r ")
    if text.startswith(b"<"):
        if _SVG(text):
            return "image/svg+xml"
        if _HTML(text):
            return "text/html"
    return None


def decide_content_type(
    head: bytes,
    *,
    name: str,
    claimed: str | None = None,
    allowed: Sequence[str] = (),
    check: bool = True,
) -> str:
    """Return the media type to keep: what is claimed, else what the name says, else what the bytes say.

    Args:
        head: First bytes of the content.
        name: The file's name; its extension counts.
        claimed: What whoever sends it says.
        allowed: Types that are taken, such as ``"image/png"`` or ``"image/*"``; all when empty.
        check: Whether claim and name must agree with the bytes.

    Raises:
        InvalidArgumentError: *claimed* is no media type.
        UnsupportedMediaTypeError: The bytes are something else than claim or name say,
            or the type is not allowed.
    """
    by_name = _BY_EXTENSION.get(name.rpartition(".")[2].lower()) if "." in name else None
    if claimed is not None and _TYPE(claimed) is None:
        msg = f"a media type reads type/subtype, got {claimed!r:.80}"
        raise InvalidArgumentError(msg)
    stated = None if claimed is None else _bare(claimed)
    if stated == OCTETS:  # says nothing
        stated = claimed = None
    found = sniff_content_type(head)
    if check:
        for source, kind in (("claimed", stated), ("its name says", by_name)):
            _agree(found, kind, source, empty=not head)
    kind = claimed or by_name or found or OCTETS
    if allowed and not _matches(_bare(kind), allowed):
        msg = f"content of type {_bare(kind)!r} is not taken here (allowed: {', '.join(allowed)})"
        raise UnsupportedMediaTypeError(msg, details={"content_type": _bare(kind), "allowed": list(allowed)})
    return kind


def _agree(found: str | None, kind: str | None, source: str, *, empty: bool) -> None:
    if kind is None or empty or found == kind:
        return
    if found is None:
        if kind not in _SNIFFABLE or kind in _LOOSE:
            return
        msg = f"the content is not {kind}, as {source}"
        raise UnsupportedMediaTypeError(msg, details={"content_type": kind})
    if _related(found, kind) or _related(kind, found):
        return
    msg = f"the content is {found}, and {source} {kind}"
    raise UnsupportedMediaTypeError(msg, details={"content_type": found, "expected": kind})


# Their first bytes may be something else: frames without a tag, old archives, XML in another encoding.
_LOOSE: Final = frozenset({"audio/mpeg", "application/x-tar", "image/svg+xml", "video/mp4", "image/heic"})


def _related(outer: str, inner: str) -> bool:
    pattern = _INSIDE.get(outer)
    return pattern is not None and pattern.fullmatch(inner) is not None


def _bare(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


def _matches(kind: str, allowed: Sequence[str]) -> bool:
    family = kind.partition("/")[0] + "/*"
    return any(one.lower() in (kind, family, "*/*") for one in allowed)
