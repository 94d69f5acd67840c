"""Base64url with exactly one spelling for each value.

Source: RFC 7515, section 2 and appendix C (no padding); RFC 4648, section 3.5 (the
unused bits of the last character are zero).
"""

import binascii
from typing import Final

__all__ = ["decode", "encode"]

# The two other characters of base64url become those of base64; those of base64, and the
# padding, become something that no decoder takes.
_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/***")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_PADDING: Final = (b"", None, b"==", b"=")
# Characters that may come last when 2 or 3 are left over: those whose unused bits are zero.
_LAST: Final[tuple[frozenset[int], ...]] = (
    frozenset(),
    frozenset(),
    frozenset(b"AQgw"),
    frozenset(b"AEIMQUYcgkosw048"),
)


def decode(text: str) -> bytes | None:
    """Return what *text* stands for, or None when it is not base64url in its one spelling."""
    try:
        data = text.encode("ascii")
    except UnicodeEncodeError:
        return None
    left = len(data) & 3
    padding = _PADDING[left]
    if padding is None or (left and data[-1] not in _LAST[left]):
        return None
    try:
        return binascii.a2b_base64(data.translate(_TO_STANDARD) + padding, strict_mode=True)
    except binascii.Error:
        return None


def encode(data: bytes) -> str:
    """Return *data* as base64url without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")
