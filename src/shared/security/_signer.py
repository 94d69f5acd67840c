"""Small texts that clients keep for us and bring back: readable by all, made by us alone."""

import base64
import binascii
import hmac
from typing import Final

from shared.errors import BadRequestError, InvalidArgumentError
from shared.security._compare import constant_time_equals
from shared.security._secret_input import Secrets, secret_list

__all__ = ["Signer"]

_MIN_SECRET: Final = 32
_MAC_BYTES: Final = 32
_MAX_TOKEN: Final = 8192  # characters


class Signer:
    """Signs bytes that go through the hands of a client, such as cursors of pages.

    The text is URL-safe base64 of an HMAC-SHA256 and the data: whoever has it can read
    it, and nobody can change it. A text signed for one purpose is none for another.
    Immutable, thread-safe.

    Args:
        secrets: One secret of at least 32 bytes, or several during a rotation, the
            newest first: it signs, all of them verify.
        purpose: What the texts are for.

    Raises:
        ConfigurationError: A secret is missing or too short.
        InvalidArgumentError: *purpose* is empty.

    Example:
        >>> signer = Signer("a secret of at least thirty-two bytes", purpose="cursor")
        >>> signer.verify(signer.sign(b"after 7"))
        b'after 7'
    """

    def __init__(self, secrets: Secrets, *, purpose: str) -> None:
        if not purpose:
            raise InvalidArgumentError("a purpose is needed: texts of one must not pass for another")
        keys = secret_list(secrets, what="signing secret", minimum=_MIN_SECRET)
        label = b"shared.security/v1/signer/" + purpose.encode("utf-8", "surrogatepass")
        # A key of its own for each purpose, so that a secret may be shared with other uses.
        self._keys = tuple(hmac.digest(key, label, "sha256") for key in keys)

    def sign(self, data: bytes) -> str:
        """Return the text that carries *data*.

        Example:
            >>> len(Signer("a secret of at least thirty-two bytes", purpose="docs").sign(b"after 7"))
            52
        """
        mac = hmac.digest(self._keys[0], data, "sha256")
        return base64.urlsafe_b64encode(mac + data).rstrip(b"=").decode()

    def verify(self, text: str) -> bytes:
        """Return the data of a *text* that :meth:`sign` made.

        Raises:
            BadRequestError: It was changed, is of another purpose, or was never ours.

        Example:
            >>> Signer("a secret of at least thirty-two bytes", purpose="docs").verify("junk")
            Traceback (most recent call last):
                ...
            shared.errors.BadRequestError: the signature does not fit
        """
        raw = _decoded(text)
        mac, data = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        # Summed, not searched: the time does not tell which of the keys fitted.
        if not sum(constant_time_equals(hmac.digest(key, data, "sha256"), mac) for key in self._keys):
            raise BadRequestError("the signature does not fit")
        return data


def _decoded(text: object) -> bytes:
    """Return the bytes of *text*; empty when it is not exactly what :meth:`Signer.sign` would write."""
    if not isinstance(text, str) or len(text) > _MAX_TOKEN:
        return b""
    try:
        sent = text.encode("ascii")
        raw = base64.b64decode(sent + b"=" * (-len(sent) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""
    # The last character has bits to spare: one text for one value, or caches and logs see several.
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=") == sent else b""
