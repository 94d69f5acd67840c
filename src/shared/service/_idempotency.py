"""Join idempotency keys to the application."""

from typing import TYPE_CHECKING, Any

from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.cache import ReplayStore
    from shared.service._service import Service

__all__ = ["add_idempotency"]

_DOES = "POST and PATCH with an Idempotency-Key carried out once"
_SETTINGS = ("IDEMPOTENCY_STORE", "IDEMPOTENCY_TTL", "IDEMPOTENCY_LEASE", "IDEMPOTENCY_REQUIRED")


def add_idempotency(app: Any, service: "Service", face: Any) -> None:
    """Answer requests once per key, when the settings say where answers are kept."""
    for part in ("idempotency", "request_layer"):
        if part in service.without:
            service.note(Part("idempotency", _DOES, enabled=False, reason=f"without={part!r}"))
            return
    api = service.settings.api
    if api.IDEMPOTENCY_STORE is None:
        service.note(Part("idempotency", _DOES, enabled=False, reason="IDEMPOTENCY_STORE is not set"))
        return
    from shared.api import Idempotency

    store = _KeptAnswers(_store(service))
    rules = Idempotency(
        store.store,
        ttl=api.IDEMPOTENCY_TTL,
        lease=api.IDEMPOTENCY_LEASE,
        required=api.IDEMPOTENCY_REQUIRED,
        trusted_proxies=api.TRUSTED_PROXIES,
    )
    face.add_idempotency(app, rules)
    service.keep(_KeptAnswers, service.runtime.get(_KeptAnswers, lambda _: store))
    service.note(Part("idempotency", _DOES, settings=service.show(*_SETTINGS)), store.close)


def _store(service: "Service") -> "ReplayStore":
    settings = service.settings
    url = settings.api.IDEMPOTENCY_STORE or "memory://"
    if url == "database://":
        from shared.api import DatabaseReplays
        from shared.database import get_database

        return DatabaseReplays(get_database)  # opened by the first request
    from shared.cache import replay_store

    return replay_store(url, prefix=f"{settings.redis.REDIS_KEY_PREFIX}{settings.app.SERVICE_NAME}:")


class _KeptAnswers:
    """Closes the store with the runtime; the next request would open it again."""

    def __init__(self, store: "ReplayStore") -> None:
        self.store = store

    def close(self) -> None:
        """Close what the threads hold open."""
        self.store.close()

    async def aclose(self) -> None:
        """Close also what belongs to the event loop."""
        await self.store.aclose()
