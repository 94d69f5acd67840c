"""Secrets as callers hand them over: text, bytes or a secret type, one or several."""

from collections.abc import Iterable
from typing import Any, Final

from shared.errors import ConfigurationError

__all__ = ["Secret", "Secrets", "secret_bytes", "secret_list"]

Secret = str | bytes | Any  # Any: a SecretStr or SecretBytes, known by its get_secret_value()
Secrets = Secret | Iterable[Secret]

_MAX_SECRETS: Final = 16


def secret_bytes(secret: Secret, *, what: str, minimum: int) -> bytes:
    """Return the bytes of one *secret*; text as UTF-8.

    Raises:
        ConfigurationError: It is no secret, or shorter than *minimum* bytes.
    """
    reveal = getattr(secret, "get_secret_value", None)
    value = reveal() if callable(reveal) else secret
    if isinstance(value, str):
        value = str.encode(value, "utf-8", "surrogatepass")
    if not isinstance(value, bytes | bytearray):
        msg = f"{what} must be text, bytes or a SecretStr, got {type(value).__name__}"
        raise ConfigurationError(msg)
    if len(value) < minimum:
        msg = f"{what} has {len(value)} bytes, at least {minimum} are needed"
        raise ConfigurationError(msg)
    return bytes(value)


def secret_list(secrets: Secrets, *, what: str, minimum: int) -> tuple[bytes, ...]:
    """Return one or several secrets as bytes, the newest first as given.

    Raises:
        ConfigurationError: There is none, there are more than 16, or one is too short.
    """
    single = isinstance(secrets, str | bytes | bytearray) or hasattr(secrets, "get_secret_value")
    given = [secrets] if single or not isinstance(secrets, Iterable) else list(secrets)
    if not 1 <= len(given) <= _MAX_SECRETS:
        msg = f"{what}: 1 to {_MAX_SECRETS} secrets are needed, got {len(given)}"
        raise ConfigurationError(msg)
    return tuple(secret_bytes(secret, what=what, minimum=minimum) for secret in given)
