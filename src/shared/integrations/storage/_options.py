"""What a storage is told when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from shared.errors import ConfigurationError, InvalidArgumentError
from shared.security import EncryptionKeys

__all__ = ["StorageOptionValues", "StorageOptions", "storage_options"]

MOST_SECONDS = 604_800  # a week: S3 signs for no longer
_KEY_BYTES = 32


class StorageOptionValues(TypedDict, total=False):
    """The options of a storage as keyword arguments; see :class:`StorageOptions`.

    Example:
        >>> options: StorageOptionValues = {"max_bytes": 1024}
    """

    max_bytes: int
    allowed_types: Sequence[str]
    encryption_keys: EncryptionKeys | None
    encrypt: bool
    signing_key: Any
    public_url: str
    url_expires_in: float
    timeout: float
    transfer_timeout: float
    region: str | None
    endpoint_url: str | None
    access_key_id: Any
    secret_access_key: Any
    session_token: Any
    credentials_path: str | None


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """How a storage behaves.

    Attributes:
        max_bytes: Largest content that is taken, and that ``get`` holds in memory.
        allowed_types: Media types that are taken, such as ``"image/*"``; all when empty.
        encryption_keys: Open what is encrypted, and encrypt what is to be.
        encrypt: Whether everything is encrypted that does not say otherwise.
        signing_key: Signs the links of a directory and of memory, at least 32 bytes.
        public_url: Where those links lead: to the route that serves the objects.
        url_expires_in: Life of a link unless it says otherwise, in seconds.
        timeout: Longest wait for the store without anything happening, in seconds.
        transfer_timeout: Longest single request to the store, in seconds.
        region: Of the bucket; S3.
        endpoint_url: A compatible server in place of Amazon's or Google's.
        access_key_id: S3; without one the machine's role is used.
        secret_access_key: S3.
        session_token: S3, of temporary credentials.
        credentials_path: Key file of the service account; Google.

    Example:
        >>> StorageOptions(max_bytes=1024).timeout
        30.0
    """

    max_bytes: int = 104_857_600
    allowed_types: Sequence[str] = ()
    encryption_keys: EncryptionKeys | None = None
    encrypt: bool = False
    signing_key: Any = None
    public_url: str = "/storage"
    url_expires_in: float = 3600.0
    timeout: float = 30.0
    transfer_timeout: float = 300.0
    region: str | None = None
    endpoint_url: str | None = None
    access_key_id: Any = None
    secret_access_key: Any = None
    session_token: Any = None
    credentials_path: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_bytes", "timeout", "transfer_timeout", "url_expires_in"):
            if not getattr(self, name) > 0:
                msg = f"{name} must be above 0, got {getattr(self, name)!r}"
                raise InvalidArgumentError(msg)
        if isinstance(self.allowed_types, str):
            msg = f"allowed_types is a list such as ['image/png'], got {self.allowed_types!r:.80}"
            raise InvalidArgumentError(msg)
        if self.encrypt and self.encryption_keys is None:
            msg = "encrypt=True needs encryption_keys"
            raise ConfigurationError(msg)
        key = revealed(self.signing_key)
        if key is not None and len(key.encode() if isinstance(key, str) else key) < _KEY_BYTES:
            msg = f"the signing key of the storage needs at least {_KEY_BYTES} bytes"
            raise ConfigurationError(msg)

    def __repr__(self) -> str:
        return f"StorageOptions(max_bytes={self.max_bytes}, encrypt={self.encrypt}, timeout={self.timeout:g})"


def storage_options(values: StorageOptionValues) -> StorageOptions:
    """Return checked options.

    Raises:
        InvalidArgumentError: An option is unknown or out of range.
    """
    unknown = sorted(set(values) - set(StorageOptions.__dataclass_fields__))
    if unknown:
        known = ", ".join(StorageOptions.__dataclass_fields__)
        msg = f"a storage has no option {unknown[0]!r} (known: {known})"
        raise InvalidArgumentError(msg)
    return StorageOptions(**values)


def revealed(secret: Any) -> Any:
    """Return the text or bytes of a secret, whatever holds it."""
    reveal = getattr(secret, "get_secret_value", None)
    return reveal() if callable(reveal) else secret
