"""The chapter in which most look-ups are answered from near by, and Redis dies and comes back."""

import re
import time
from collections.abc import Callable

from examples.demo._fleet import Server
from examples.demo._report import Report, check, equal
from shared.testing import RedisServer

SKEWED = ["espresso"] * 12 + ["cortado"] * 5 + ["ristretto", "lungo", "flat-white"]
WAIT = 20.0  # seconds for something to be noticed; a bound


def walk_by_the_cache(report: Report, catalog: Server, redis: RedisServer) -> None:
    """Look things up, take Redis away, give it back."""
    report.heading("A cache in memory over Redis")
    with report.step("200 look-ups, most of them for two items: hardly any reaches the shelf") as facts:
        for sku in sorted(set(SKEWED)):
            body = {"sku": sku, "name": sku.title(), "price_cents": 300}
            check(catalog.request("POST", "/items", body=body).status in {201, 409}, f"adding {sku}")
        for sku in SKEWED * 10:
            equal(catalog.get(f"/items/{sku}").status, 200, sku)
        hits, misses = _lookups(catalog, "hit"), _lookups(catalog, "miss")
        check(hits / (hits + misses) >= 0.8, f"{hits:g} hits, {misses:g} misses")
        facts.append(f"{hits:g} hits, {misses:g} misses: hit rate {hits / (hits + misses):.0%}")
    with report.step(
        "Redis dies: every look-up is answered, /health says degraded, /ready stays 200"
    ) as facts:
        redis.kill()
        for sku in SKEWED:
            equal(catalog.get(f"/items/{sku}").status, 200, f"{sku} without Redis")
        _until(lambda: catalog.get("/health").json["status"] == "degraded", "degraded")
        equal(catalog.get("/ready").status, 200, "readiness")
        facts.append(f"cache: {catalog.get('/health').json['checks']['cache']}")
    with report.step("Redis comes back, empty: it is filled again, and catalog is healthy"):
        redis.start()
        _until(lambda: catalog.get("/health").json["status"] == "healthy", "healthy")
        for sku in SKEWED:
            equal(catalog.get(f"/items/{sku}").status, 200, f"{sku} afterwards")


def _lookups(catalog: Server, result: str) -> float:
    text = catalog.get("/metrics").body.decode()
    found = re.findall(rf'^cache_lookups_total{{.*cache_result="{result}".*}} (\S+)$', text, re.MULTILINE)
    return sum(map(float, found))


def _until(holds: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + WAIT
    while not holds():
        check(time.monotonic() < give_up, f"catalog is not {what} after {WAIT:g} s")
        time.sleep(0.1)
