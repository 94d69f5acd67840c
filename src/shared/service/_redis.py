"""Join a configured Redis: in the health report."""

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from shared.monitoring import HealthCheck
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.service._service import Service

__all__ = ["add_redis"]

_DOES: Final = "Redis in health: degraded without it; not ready when AUTH_STORE keeps logins there"
_TIMEOUT: Final = 0.5  # seconds to connect, and to answer


def add_redis(service: "Service") -> None:
    """Watch Redis, when an address is set; nothing is connected before the first look."""
    if not service.wants("redis", _DOES):
        return
    from shared.cache import is_redis_url

    url = service.settings.redis.url
    if url is None or not is_redis_url(str(url)):
        service.note(Part("redis", _DOES, enabled=False, reason="neither REDIS_URL nor REDIS_HOST is set"))
        return
    # Caches and limits fall back; whoever is logged in is known only there.
    critical = service.settings.security.AUTH_STORE == "redis"
    service.health.include(redis_check(str(url), critical=critical))
    service.note(
        Part("redis", _DOES, settings=service.show("REDIS_URL", "REDIS_HOST", "AUTH_STORE")),
        lambda: service.health.remove("redis"),
    )


def redis_check(url: str, *, critical: bool = False) -> HealthCheck:
    """Return a check that asks the server at *url*, by a connection of its own: the pool may be full."""

    def check() -> dict[str, Any]:
        from shared.cache import redis_client, redis_errors

        begin = perf_counter()
        with redis_errors(url):
            client = redis_client(url, timeout=_TIMEOUT, connect_timeout=_TIMEOUT, max_connections=1)
            try:
                client.ping()
            finally:
                client.close()
        return {"status": "healthy", "latency_ms": round((perf_counter() - begin) * 1000, 2)}

    return HealthCheck("redis", check, critical=critical, timeout=2 * _TIMEOUT + 0.2)
