"""Cursors that clients carry: signed, of one list and one question, and not for ever."""

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from shared.errors import BadRequestError, ConfigurationError
from shared.runtime import Runtime, current

if TYPE_CHECKING:
    from shared.security import Signer

__all__ = ["CURSOR", "cursor_signer", "mark_of", "open_cursor", "seal_cursor"]

CURSOR: Final = "after"
_PURPOSE: Final = "shared.api/cursor"


class _OwnSigner:
    """Signs the cursors of one runtime, by its settings."""

    def __init__(self, runtime: Runtime) -> None:
        from shared.config import get_settings
        from shared.runtime import use
        from shared.security import Signer

        with use(runtime):
            security = get_settings().security
        # Development and testing have keys of their own for each process.
        key = security.CURSOR_SECRET_KEY or security.JWT_SECRET_KEY
        if key is None:
            raise ConfigurationError("cursors of pages are signed: set CURSOR_SECRET_KEY or JWT_SECRET_KEY")
        keys: list[Any] = [key, *security.CURSOR_PREVIOUS_SECRET_KEYS]
        self.signer = Signer(keys, purpose=_PURPOSE)


def cursor_signer() -> "Signer":
    """Return what signs the cursors of the current runtime.

    Raises:
        ConfigurationError: The settings have no key.
    """
    return current().get(_OwnSigner, _OwnSigner).signer


def mark_of(parts: Iterable[Any]) -> str:
    """Return the same text for the same question, and for no other."""
    text = json.dumps([repr(part) for part in parts])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()


def seal_cursor(signer: "Signer", inner: str, mark: str, expires: float | None) -> str:
    """Return the cursor a client gets.

    Args:
        signer: Signs it.
        inner: Where the next page begins, as the store told.
        mark: Of the question it belongs to.
        expires: Unix seconds from which on it is no longer good, or None.
    """
    stamp = 0 if expires is None else int(expires)
    return signer.sign(json.dumps([mark, stamp, inner], separators=(",", ":")).encode())


def open_cursor(signer: "Signer", text: str, mark: str, now: float) -> str:
    """Return where the next page begins.

    Raises:
        BadRequestError: The cursor was changed, is of another question, or too old.
    """
    try:
        of, expires, inner = json.loads(signer.verify(text))
    except (BadRequestError, ValueError):
        raise _refusal("is not one of ours", "cursor_invalid") from None
    if of != mark:
        raise _refusal("belongs to another list, order, filter or caller", "cursor_other")
    if expires and now >= expires:
        raise _refusal("has expired", "cursor_expired")
    return str(inner)


def _refusal(what: str, reason: str) -> BadRequestError:
    msg = f"the cursor {what}: begin without"
    return BadRequestError(msg, details={"field": CURSOR, "reason": reason})
