"""Join a configured storage: in the health report."""

from typing import TYPE_CHECKING, Any, Final

from shared.monitoring import HealthCheck
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.service._service import Service

__all__ = ["add_storage"]

_DOES: Final = "object storage in health: degraded without it"
_TIMEOUT: Final = 5.0  # seconds: the first answer of a bucket takes a while


def add_storage(service: "Service") -> None:
    """Watch the storage, when there is one outside of the process; nothing is asked before the first look."""
    if not service.wants("storage", _DOES):
        return
    url = service.settings.storage.STORAGE_URL
    if url is None or url.scheme == "memory":
        reason = "STORAGE_URL is not set" if url is None else "the storage is in memory"
        service.note(Part("storage", _DOES, enabled=False, reason=reason))
        return
    service.health.include(HealthCheck("storage", _check, critical=False, timeout=_TIMEOUT))
    service.note(
        Part("storage", _DOES, settings=service.show("STORAGE_URL")),
        lambda: service.health.remove("storage"),
    )


def _check() -> dict[str, Any]:
    from shared.integrations.storage import get_storage

    get_storage().check()
    return {"status": "healthy"}
