"""Join rate limits to the layer, the metrics and the log."""

from typing import TYPE_CHECKING

from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.cache import RateLimitStore
    from shared.monitoring import Metrics
    from shared.service._service import Service

__all__ = ["add_limits", "count_refusals"]

_DOES = "429 above RATE_LIMITS and those of routes, RateLimit fields"
_SETTINGS = (
    "RATE_LIMITS",
    "RATE_LIMIT_STORE",
    "RATE_LIMIT_ON_FAILURE",
    "RATE_LIMIT_INSTANCES",
    "RATE_LIMIT_HEADERS",
    "TRUSTED_PROXIES",
)


def add_limits(service: "Service") -> Part:
    """Limit requests, in the layer that is about to be installed; return what to note."""
    for part in ("rate_limits", "request_layer"):
        if part in service.without:
            return Part("rate_limits", _DOES, enabled=False, reason=f"without={part!r}")
    from shared.api import RateLimits
    from shared.cache import rate_limit_store

    api, redis = service.settings.api, service.settings.redis
    url = api.RATE_LIMIT_STORE or redis.url or "memory://"
    prefix = f"{redis.REDIS_KEY_PREFIX}{service.settings.app.SERVICE_NAME}:"
    store = _LimitStore(rate_limit_store(url, prefix=prefix))
    job = RateLimits(
        api.RATE_LIMITS,
        store=store.store,
        trusted_proxies=api.TRUSTED_PROXIES,
        headers=api.RATE_LIMIT_HEADERS,
        exempt_paths=api.RATE_LIMIT_EXEMPT_PATHS,
        on_failure=api.RATE_LIMIT_ON_FAILURE,
        instances=api.RATE_LIMIT_INSTANCES,
    )
    service.jobs.append(job)
    service.keep(_LimitStore, service.runtime.get(_LimitStore, lambda _: store))
    service.on_dismantle(store.close)
    return Part("rate_limits", _DOES, settings=service.show(*_SETTINGS))


def count_refusals(service: "Service", metrics: "Metrics") -> None:
    """Count refused requests by limit and by who decided."""
    from shared.api import RequestLimited

    refused = metrics.counter("rate_limit_refusals", "Requests refused by a rate limit", ("policy", "mode"))

    def count(event: RequestLimited) -> None:
        refused.labels(event.policy, event.mode).inc()

    service.on_dismantle(service.runtime.events.subscribe(RequestLimited, count))


class _LimitStore:
    """Closes the store with the runtime; the next request would open it again."""

    def __init__(self, store: "RateLimitStore") -> None:
        self.store = store

    def close(self) -> None:
        """Close what the threads hold open."""
        self.store.close()

    async def aclose(self) -> None:
        """Close also what belongs to the event loop."""
        await self.store.aclose()
