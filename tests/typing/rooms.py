"""How the rooms are used, as type checkers must understand it; see ``ground.py`` for how to read it."""

from collections.abc import Mapping
from typing import Any, assert_type

from shared.api import error_response, success_response
from shared.config import Settings, get_settings, override_settings
from shared.monitoring import HealthRegistry, HealthReport
from shared.resilience import CircuitBreaker, retry
from shared.security import Redactor, constant_time_equals, mask
from shared.utils import chunk_text, deep_merge, generate_uuid, is_valid_email, paginate, truncate_text


def price(sku: str, *, count: int = 1) -> float:
    """A function of a service."""
    return float(len(sku) * count)


async def remote_price(sku: str) -> float:
    """A coroutine function of a service."""
    return float(len(sku))


# A decorator keeps the signature, for functions and for coroutine functions.
safe_price = retry(max_attempts=3, delay=0.1)(price)
assert_type(safe_price("lamp", count=2), float)
safe_price(7)  # type: ignore[arg-type]
safe_remote = retry(remote_price)


async def use_remote() -> None:
    """Await what was decorated."""
    assert_type(await safe_remote("lamp"), float)
    assert_type(await breaker.acall(remote_price, "lamp"), float)


breaker = CircuitBreaker("payments", failure_threshold=5, recovery_timeout=30.0)
assert_type(breaker.call(price, "lamp", count=2), float)
assert_type(breaker(price)("lamp"), float)
breaker.call(price, 7)  # type: ignore[arg-type]
CircuitBreaker("payments", failure_treshold=5)  # type: ignore[call-arg]
with breaker:
    pass

settings = get_settings()
assert_type(settings, Settings)
assert_type(settings.app.DEBUG, bool)
misspelt = settings.app.DEBUGG  # type: ignore[attr-defined]
with override_settings(LOG_LEVEL="DEBUG") as changed:
    assert_type(changed, Settings)

health = HealthRegistry(service="orders")
health.add("database", lambda: True)
assert_type(health.report(), HealthReport)
assert_type(health.report().to_dict(), dict[str, Any])

answer: Mapping[str, Any] = success_response({"id": "o-7"}, message="done", version="v1")
problem: Mapping[str, Any] = error_response("NOT_FOUND", "order 'o-7' does not exist")
error_response("NOT_FOUND", mesage="x")  # type: ignore[call-arg]

assert_type(mask("secret", keep=2), str)
assert_type(constant_time_equals(b"a", "a"), bool)
Redactor(names=("pin",)).redact({"pin": "1234"})

assert_type(generate_uuid(), str)
assert_type(chunk_text("words", 3, overlap=1), list[str])
assert_type(is_valid_email("a@b.example"), bool)
assert_type(truncate_text("words", 3), str)
assert_type(paginate([1, 2, 3]).items[0], int)
assert_type(deep_merge({"a": 1}, {"b": 2}), dict[Any, Any])
generate_uuid(5)  # type: ignore[arg-type]
