"""Any value as text, whatever it does when asked for one."""

import re
from typing import Any, Final

__all__ = ["clip", "escape_controls", "printable", "safe_repr", "safe_text", "type_name"]

# C0 and C1 controls, DEL, the Unicode line breaks, and the marks that reorder
# text on a screen: none may reach a terminal or split a line.
_CONTROLS: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# What JSON leaves raw and some line readers split at, as UTF-8: C1, U+2028, U+2029.
_RAW_BREAKS: Final = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")


def type_name(value: object) -> str:
    """Return the qualified name of *value*'s class; builtins without their module."""
    cls = type(value)
    module = cls.__module__
    if module in ("builtins", None) or not isinstance(module, str):
        return cls.__qualname__
    return f"{module}.{cls.__qualname__}"


def clip(text: str, limit: int) -> str:
    """Return *text*, cut to *limit* characters with a visible note of how many are missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}…[+{len(text) - limit} characters]"


def safe_text(value: Any, limit: int = 2000) -> str:
    """Return ``str(value)``, or what can be said of it when that fails.

    ``KeyboardInterrupt`` and ``SystemExit`` pass; everything else is contained.
    """
    try:
        text = str(value)
    except Exception as exc:  # noqa: BLE001 - a hostile __str__ must not reach the caller
        return f"<{type_name(value)}: {type(exc).__name__} in __str__>"
    # A subclass of str may lie about everything; the base class does not.
    return clip(str.__str__(text), limit)


def safe_repr(value: Any, limit: int = 2000) -> str:
    """Return ``repr(value)``, or what can be said of it when that fails."""
    try:
        text = repr(value)
    except Exception as exc:  # noqa: BLE001 - a hostile __repr__ must not reach the caller
        return f"<{type_name(value)}: {type(exc).__name__} in __repr__>"
    return clip(str.__str__(text), limit)


def escape_controls(text: str) -> str:
    r"""Return *text* with everything that moves a cursor or breaks a line written as ``\x1b``.

    Example:
        >>> escape_controls("one\ntwo\x1b[31m")
        'one\\ntwo\\x1b[31m'
    """
    return text if text.isascii() and text.isprintable() else _CONTROLS.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return known or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def printable(line: bytes) -> bytes:
    """Return a JSON *line* with the line breaks that JSON leaves raw escaped.

    JSON escapes the C0 controls only; C1 (0x80 to 0x9f, with NEL) and U+2028/9
    pass, and ``str.splitlines`` and some shippers split there.
    """
    return line if line.isascii() else _RAW_BREAKS.sub(_escape_bytes, line)


def _escape_bytes(match: re.Match[bytes]) -> bytes:
    return f"\\u{ord(match[0].decode()):04x}".encode()
