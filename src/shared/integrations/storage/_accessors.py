"""The storage of the current runtime."""

from typing import TYPE_CHECKING

from shared.errors import ConfigurationError
from shared.integrations.storage._options import StorageOptionValues
from shared.integrations.storage._storage import Storage
from shared.runtime import Runtime, current
from shared.security import EncryptionKeys

if TYPE_CHECKING:
    from shared.config import Settings

__all__ = ["get_storage", "storage_from_settings", "storage_from_url"]


def get_storage() -> Storage:
    """Return the current runtime's storage, built from the settings on first use; the runtime closes it.

    Its asynchronous side is ``get_storage().aio``.

    Raises:
        ConfigurationError: STORAGE_URL is not set, or the settings do not go together.
        MissingDependencyError: The store needs obstore, which is not installed.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("shop")) as runtime:
        ...     get_storage() is get_storage()
        ...     runtime.close()
        True
    """
    return current().get(Storage, _storage)


def storage_from_settings(settings: "Settings", *, url: str | None = None) -> Storage:
    """Return a new storage from the settings; the caller closes it.

    Args:
        settings: ``settings.storage``, the credentials of ``settings.aws`` and
            ``settings.gcp``, and ``ENCRYPTION_KEYS``.
        url: Another place than STORAGE_URL.

    Raises:
        ConfigurationError: There is no URL, or the settings do not go together.
        MissingDependencyError: The store needs obstore, which is not installed.

    Example:
        >>> from shared.config import Settings
        >>> storage_from_settings(Settings(ENVIRONMENT="testing", STORAGE_MAX_BYTES=10))
        <Storage 'memory://'>
    """
    found = url or settings.storage.STORAGE_URL
    if found is None:
        raise ConfigurationError(
            "STORAGE_URL is not set: a directory, s3://bucket/prefix or gs://bucket/prefix"
        )
    plain = str.__str__(found)
    options: StorageOptionValues = {**_common(settings), **_supplier(settings, plain.partition(":")[0])}
    return Storage(plain, **options)


def storage_from_url(url: str) -> Storage:
    """Return another storage than that of STORAGE_URL, with the limits and credentials of the settings.

    Raises:
        ConfigurationError: The URL cannot be used.
        MissingDependencyError: The store needs obstore, which is not installed.

    Example:
        >>> with storage_from_url("memory://") as archive:
        ...     archive.put("a.txt", b"hello").size
        5
    """
    from shared.config import get_settings

    return storage_from_settings(get_settings(), url=url)


def _common(settings: "Settings") -> StorageOptionValues:
    section, ring = settings.storage, settings.security.ENCRYPTION_KEYS
    return {
        "max_bytes": section.STORAGE_MAX_BYTES,
        "timeout": section.STORAGE_TIMEOUT,
        "transfer_timeout": section.STORAGE_TRANSFER_TIMEOUT,
        "url_expires_in": section.STORAGE_URL_EXPIRE_SECONDS,
        "public_url": section.STORAGE_PUBLIC_URL,
        "signing_key": section.STORAGE_SIGNING_KEY,
        "encrypt": section.STORAGE_ENCRYPT,
        "encryption_keys": EncryptionKeys(ring) if ring else None,
    }


def _supplier(settings: "Settings", scheme: str) -> StorageOptionValues:
    endpoint = settings.storage.STORAGE_ENDPOINT_URL
    if scheme == "s3":
        aws = settings.aws
        return {
            "region": aws.AWS_REGION,
            "endpoint_url": endpoint or aws.AWS_ENDPOINT_URL,
            "access_key_id": aws.AWS_ACCESS_KEY_ID,
            "secret_access_key": aws.AWS_SECRET_ACCESS_KEY,
            "session_token": aws.AWS_SESSION_TOKEN,
        }
    if scheme == "gs":
        return {"endpoint_url": endpoint, "credentials_path": settings.gcp.GCP_CREDENTIALS_PATH}
    return {}


def _storage(runtime: Runtime) -> Storage:
    from shared.config import get_settings
    from shared.runtime import use

    with use(runtime):
        return storage_from_settings(get_settings())
