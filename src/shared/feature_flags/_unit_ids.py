"""How the ids of units are written down: as a keyed hash, unless the service wants them as they are."""

import base64
import hmac
from typing import Any, Final

from shared.errors import ConfigurationError, InvalidArgumentError
from shared.feature_flags._bucket import unit_id
from shared.feature_flags._tables_adoption import MAX_UNIT

__all__ = ["UnitIds"]

_LEAST_KEY: Final = 16  # bytes
_PURPOSE: Final = b"feature_flags.unit\x00"
_DIGEST: Final = 18  # bytes, 24 letters: 2**72 units before two are likely to be one


class UnitIds:
    """Turns the id of a user, an account or a device into what the tables hold.

    Args:
        key: Secret of the hash, 16 bytes or more, bytes, text or ``SecretStr``. The same in
            all processes: equal ids must give equal hashes.
        plain: Whether ids are kept as they are instead; *key* is not needed then.

    Raises:
        ConfigurationError: The key is missing or too short.

    Example:
        >>> UnitIds(plain=True)("u-1")
        'u-1'
        >>> hashed = UnitIds(b"a secret of this service")
        >>> hashed("u-1") == hashed("u-1") != hashed("u-2"), len(hashed("u-1"))
        (True, 24)
    """

    __slots__ = ("_key",)

    def __init__(self, key: Any = None, *, plain: bool = False) -> None:
        self._key: bytes | None = None if plain else _key_bytes(key)

    def __call__(self, unit: object) -> str:
        """Return what is written for *unit*.

        Raises:
            InvalidArgumentError: *unit* is no id, or too long to be kept as it is.
        """
        text = unit_id(unit)  # 1 and "1" are one user, as in the buckets; True is nobody's id
        if text is None or (self._key is None and not (len(text) <= MAX_UNIT and text.isprintable())):
            msg = f"unit: expected the id of a user, account or device, got {type(unit).__name__}"
            raise InvalidArgumentError(msg)
        if self._key is None:
            return text
        # A lone surrogate has no UTF-8 form; it must not make the feedback fail.
        digest = hmac.digest(self._key, _PURPOSE + text.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(digest[:_DIGEST]).decode()


def _key_bytes(key: Any) -> bytes:
    opened = getattr(key, "get_secret_value", lambda: key)()
    found = opened.encode() if isinstance(opened, str) else opened
    if not isinstance(found, bytes) or len(found) < _LEAST_KEY:
        msg = (
            f"the key that hashes units has at least {_LEAST_KEY} bytes: set FLAGS_UNIT_KEY, "
            "or choose to keep ids as they are with plain=True"
        )
        raise ConfigurationError(msg)
    return found
