"""Text that is encrypted in the database and plain in Python."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from shared.errors import ValidationError
from shared.runtime import current

if TYPE_CHECKING:
    from shared.security import EncryptionKeys

__all__ = ["EncryptedString"]


class EncryptedString(TypeDecorator[str]):
    """A text column that is encrypted with AES-256-GCM before it is sent.

    The same text is stored differently each time, so it cannot be compared or sorted in
    SQL; keep ``shared.security.blind_index(...)`` in a column beside it to look it up.

    Args:
        purpose: What the data is, such as ``"users.email"``; constant: it is part of the key.
        keys: Function that gives the keys; those of the current runtime,
            ``runtime.provide(EncryptionKeys, …)``, when None.

    Example:
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> keys = EncryptionKeys({"k1": new_encryption_key()})
        >>> column = EncryptedString("users.phone", keys=lambda: keys)
        >>> token = column.process_bind_param("+49 30 1234", None)
        >>> "1234" in token, column.process_result_value(token, None)
        (False, '+49 30 1234')
    """

    impl = Text
    cache_ok = True

    def __init__(self, purpose: str, *, keys: "Callable[[], EncryptionKeys] | None" = None) -> None:
        super().__init__()
        self.purpose = purpose
        self.keys = keys

    def keys_in_force(self) -> "EncryptionKeys":
        """Return the keys; those of the current runtime unless others were given."""
        from shared.security import EncryptionKeys

        return self.keys() if self.keys is not None else current().get(EncryptionKeys)

    def process_bind_param(self, value: str | None, dialect: Dialect | None) -> str | None:
        """Return what is sent."""
        from shared.security import encrypt

        del dialect
        if value is None:
            return None
        if not isinstance(value, str):
            msg = f"an encrypted text is a str, got {type(value).__name__}"  # type: ignore[unreachable]
            raise ValidationError(msg)
        return encrypt(value, self.keys_in_force(), purpose=self.purpose)

    def process_result_value(self, value: Any, dialect: Dialect | None) -> str | None:
        """Return what came back, in plain text."""
        from shared.security import decrypt_text

        del dialect
        return None if value is None else decrypt_text(value, self.keys_in_force(), purpose=self.purpose)
