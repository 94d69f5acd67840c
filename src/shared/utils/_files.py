"""File names that are safe everywhere, sizes for people, hashes of files of any size."""

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO, Final

from shared.constants import FieldLimit
from shared.errors import InfrastructureError, InvalidArgumentError, ResourceNotFoundError
from shared.utils._checks import kind, plain_text, text_argument, whole_argument
from shared.utils._unicode import compiled, composed, cut

__all__ = ["calculate_file_hash", "format_file_size", "sanitize_filename"]

# Names of devices on Windows, in any case and with any extension. The superscript
# digits are ports too. Source: "Naming Files, Paths, and Namespaces", Microsoft.
_RESERVED: Final = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$"}
    | {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
)
# Controls (but not those that are white space), formatting such as right-to-left
# override, lone surrogates, private use, unassigned.
_DROPPED: Final = r"[\p{C}--[\t-\r\x1c-\x1f\x85]]+"
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*]+')
_LEADING: Final = " .-"
_LEADING_PATH: Final = " .-/\\"
_SPACES: Final = re.compile(r"\s+")
_DOTS: Final = re.compile(r"\.{2,}")
_EXTENSION_MAX_BYTES: Final = 24
_UNITS: Final = ("B", "KB", "MB", "GB", "TB", "PB", "EB")
_SIZE_LIMIT: Final = 1 << 128
_STRONG: Final = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s")
_WEAK: Final = ("md5", "sha1")


def sanitize_filename(
    name: str,
    *,
    default: str = "file",
    replacement: str = "_",
    max_bytes: int = FieldLimit.FILENAME_MAX_BYTES,
) -> str:
    """Return *name* as one that every file system takes and no path hides in.

    Letters of every script and single spaces stay (composed, NFC). Path
    separators and the characters Windows forbids become *replacement*; control,
    invisible and right-to-left characters go; so do leading dots, dashes and
    spaces, trailing dots and spaces and doubled dots. Names of Windows devices get
    *replacement* in front. A name that is too long loses the end of its stem, between two
    characters as a reader counts them, and keeps its extension. Sanitising twice is sanitising once.

    Args:
        name: What a client sent; a path gives one name, not its last part.
        default: The result when nothing remains.
        replacement: One of ``_``, ``-`` and the empty text.
        max_bytes: Most bytes of the result in UTF-8, 32 to 255.

    Raises:
        InvalidArgumentError: *name* is not text, or an option is outside of that.

    Example:
        >>> sanitize_filename("my file.txt"), sanitize_filename("../../etc/passwd")
        ('my file.txt', 'etc_passwd')
        >>> sanitize_filename("con.txt"), sanitize_filename("...")
        ('_con.txt', 'file')
    """
    limit = whole_argument("max_bytes", max_bytes, low=32, high=FieldLimit.FILENAME_MAX_BYTES)
    filler = plain_text(replacement)
    if filler is None or filler not in {"_", "-", ""}:
        msg = "replacement must be '_', '-' or empty"
        raise InvalidArgumentError(msg)
    text = text_argument("name", name)
    return (
        _safe_name(text, filler, limit)
        or _safe_name(text_argument("default", default), filler, limit)
        or "file"
    )


def _safe_name(name: str, filler: str, limit: int) -> str:
    """Return the safe form of *name*, possibly empty."""
    text = compiled(_DROPPED).sub("", name).lstrip(_LEADING_PATH)
    text = composed(_FORBIDDEN.sub(filler, text))
    text = _DOTS.sub(".", _SPACES.sub(" ", text)).lstrip(_LEADING).rstrip(" .")
    text = _shortened(text, limit)
    if text.split(".", 1)[0].rstrip(" ").upper() in _RESERVED:
        text = f"_{_shortened(text, limit - 1)}"
    return text


def _shortened(name: str, limit: int) -> str:
    """Return *name* within *limit* bytes, less the end of its stem."""
    if _utf8_length(name) <= limit:
        return name
    stem, extension = _split_extension(name)
    room = limit - _utf8_length(extension)
    # A single cluster may be longer than the room; then its first code points stay.
    kept = cut(stem, room, _utf8_length) or stem.encode()[:room].decode("utf-8", "ignore")
    return kept.rstrip(" .") + extension


def _split_extension(name: str) -> tuple[str, str]:
    stem, dot, last = name.rpartition(".")
    if not stem or " " in last or _utf8_length(last) >= _EXTENSION_MAX_BYTES:
        return name, ""
    if stem.endswith(".tar"):
        return stem.removesuffix(".tar"), f".tar.{last}"
    return stem, dot + last


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def format_file_size(size: float, *, decimals: int = 1) -> str:
    """Return *size* for people, in units of 1024 bytes from ``B`` to ``EB``.

    Plain bytes have no decimals. What would round to 1024 moves to the next unit.
    Above that, exabytes are counted on.

    Args:
        size: Bytes; negative for a difference; a float is rounded to whole bytes.
        decimals: Digits after the point, 0 to 6.

    Raises:
        InvalidArgumentError: *size* is no finite number or above 2**128, or
            *decimals* is outside of its range.

    Example:
        >>> format_file_size(1024), format_file_size(0), format_file_size(1536, decimals=2)
        ('1.0 KB', '0 B', '1.50 KB')
        >>> format_file_size(1024**2 - 1), format_file_size(-5 * 1024**6)
        ('1.0 MB', '-5.0 EB')
    """
    number = _whole_bytes(size)
    digits = whole_argument("decimals", decimals, low=0, high=6)
    sign, number = ("-", -number) if number < 0 else ("", number)
    if number < 1024:
        return f"{sign}{number} B"
    scale = 10**digits
    # Whole numbers only: a float loses bytes from 8 PB on.
    power = 1
    scaled = _rounded(number * scale, 1024)
    while scaled >= 1024 * scale and power < len(_UNITS) - 1:
        power += 1
        scaled = _rounded(number * scale, 1024**power)
    whole, part = divmod(scaled, scale)
    return f"{sign}{whole}.{part:0{digits}d} {_UNITS[power]}" if digits else f"{sign}{whole} {_UNITS[power]}"


def _rounded(number: int, divisor: int) -> int:
    return (2 * number + divisor) // (2 * divisor)


def _whole_bytes(size: object) -> int:
    if type(size) is bool or not issubclass(type(size), (int, float)):
        msg = f"size must be a number of bytes, got {kind(size)}"
        raise InvalidArgumentError(msg)
    try:
        number = round(size)  # type: ignore[call-overload]
    except (ValueError, OverflowError) as exc:
        msg = "size must be a finite number of bytes, got nan or infinity"
        raise InvalidArgumentError(msg) from exc
    if abs(number) > _SIZE_LIMIT:
        msg = f"size must be within 2**128 bytes, got a number of {number.bit_length()} bits"
        raise InvalidArgumentError(msg)
    return int(number)


def calculate_file_hash(
    source: str | os.PathLike[str] | BinaryIO, algorithm: str = "sha256", *, allow_weak: bool = False
) -> str:
    """Return the hash of a file as lower-case hexadecimal, read piece by piece.

    Blocks on the disk; in a coroutine run it in a thread.

    Args:
        source: A path, or a file open for reading in binary mode, which is hashed
            from its position on and left open.
        algorithm: ``sha256``, ``sha384``, ``sha512``, ``sha3_256``, ``sha3_384``,
            ``sha3_512``, ``blake2b`` or ``blake2s``.
        allow_weak: Accept ``md5`` and ``sha1`` too, for comparing with the checksums
            of others; both can be forged.

    Raises:
        InvalidArgumentError: *algorithm* is not allowed, or *source* is neither.
        ResourceNotFoundError: There is no such file.
        InfrastructureError: It cannot be read, or is no regular file (a pipe or a
            device may never end).

    Example:
        >>> import io
        >>> calculate_file_hash(io.BytesIO(b"abc"))[:16]
        'ba7816bf8f01cfea'
    """
    digest = _checked_algorithm(algorithm, allow_weak=allow_weak)
    if hasattr(source, "readinto") or hasattr(source, "getbuffer"):
        return _hash_open_file(source, digest)
    path = _checked_path(source)
    shown = f"file {path.name!r}"
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            msg = f"{shown} is no regular file: a folder, a pipe or a device has no hash"
            raise InfrastructureError(msg)
        with path.open("rb") as file:
            return _hash_open_file(file, digest)
    except FileNotFoundError as exc:
        msg = f"{shown} not found"
        raise ResourceNotFoundError(msg, resource="file", cause=exc) from exc
    except OSError as exc:
        msg = f"{shown} cannot be read: {exc.strerror or kind(exc)}"
        raise InfrastructureError(msg, cause=exc) from exc


def _checked_algorithm(algorithm: object, *, allow_weak: bool) -> str:
    name = (plain_text(algorithm) or "").lower().replace("-", "_")
    if name in _STRONG or (allow_weak and name in _WEAK):
        return name
    if name in _WEAK:
        msg = f"algorithm {name!r} can be forged: use 'sha256', or allow_weak=True to compare checksums"
        raise InvalidArgumentError(msg)
    shown = repr(name) if 0 < len(name) <= 32 else kind(algorithm)
    msg = f"algorithm must be one of {', '.join(_STRONG)}, got {shown}"
    raise InvalidArgumentError(msg)


def _checked_path(source: Any) -> Path:
    if not issubclass(type(source), (str, os.PathLike)):
        msg = f"source must be a path or a file open in binary mode, got {kind(source)}"
        raise InvalidArgumentError(msg)
    path = Path(source)
    try:
        named = b"\0" not in os.fsencode(path)
    except UnicodeError:
        named = False
    if not named:
        msg = "source must be a path the file system can hold: no NUL, no broken characters"
        raise InvalidArgumentError(msg)
    return path


def _hash_open_file(file: Any, algorithm: str) -> str:
    try:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    except ValueError as exc:  # closed, or opened in text mode
        msg = f"source must be open for reading in binary mode, got {kind(file)}"
        raise InvalidArgumentError(msg) from exc
