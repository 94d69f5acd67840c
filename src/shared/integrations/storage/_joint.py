"""What the two faces of one storage stand on."""

from collections.abc import Callable
from typing import Any, Final

from shared.integrations.storage._backends import backend_from_url
from shared.integrations.storage._core import StorageCore
from shared.integrations.storage._options import StorageOptionValues, storage_options
from shared.integrations.storage._parts import Backend
from shared.integrations.storage._signing import check_life, sign_url, verify_url
from shared.resilience import Guard, guard

__all__ = ["PAGE", "Joint"]

PAGE: Final = 1000


class Joint:
    """One backend with its rules, its guards and its clock."""

    def __init__(self, url: str | Backend, clock: Callable[[], float], options: StorageOptionValues) -> None:
        found = storage_options(options)
        self.backend: Backend = backend_from_url(url, found) if isinstance(url, str) else url
        self.core: StorageCore = StorageCore(found, self.backend.scheme)
        self.clock: Callable[[], float] = clock
        # Files and memory have no answer to wait for.
        is_remote = self.backend.scheme not in ("memory", "file")
        limit: Any = {"timeout": found.transfer_timeout} if is_remote else {}
        self.again: Guard = guard("storage", **limit)
        self.once: Guard = guard("storage", retry=None, **limit)

    def life(self, method: str, expires_in: float | None) -> float:
        """Return how long a link lives."""
        return check_life(method, self.core.options.url_expires_in if expires_in is None else expires_in)

    def link(self, method: str, key: str, seconds: float) -> str:
        """Return a link that we sign ourselves."""
        expires = int(self.clock() + seconds)
        return sign_url(self.core.options.public_url, method, key, expires, self.core.signing_key())

    def verify_url(self, url: str, method: str) -> str:
        """Return the key that a link is for."""
        return verify_url(self.core.options.public_url, url, method, self.clock(), self.core.signing_key())
