"""Comparison that does not tell how much was right."""

from hmac import compare_digest

__all__ = ["constant_time_equals"]


def constant_time_equals(a: object, b: object) -> bool:
    """Tell whether two secrets are equal, in a time that depends on their length only.

    Text is compared as UTF-8, so ``"é"`` equals ``"é".encode()``. Never raises:
    anything that is neither text nor bytes equals nothing, not even itself, so a
    missing secret (None) never matches a missing value.

    Example:
        >>> constant_time_equals("tök", "tök".encode()), constant_time_equals(None, None)
        (True, False)
    """
    left, right = _as_bytes(a), _as_bytes(b)
    if left is None or right is None:
        return False
    return compare_digest(left, right)


def _as_bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        # hmac.compare_digest refuses text beyond ASCII; lone surrogates must not raise either.
        return str.encode(value, "utf-8", "surrogatepass")
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value)
        except ValueError:  # a released memoryview
            return None
    return None
