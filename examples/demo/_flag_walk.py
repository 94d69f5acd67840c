"""The chapter in which new prices reach a quarter, then everybody, and then take themselves back."""

import re
import time
from collections import Counter

from examples.demo._fleet import Server
from examples.demo._report import Report, check, equal
from shared.feature_flags import (
    FlagAdmin,
    FlagStore,
    Guardrail,
    RolloutController,
    RolloutPlan,
    RolloutStep,
    VariantSample,
    flag_store,
)

CUSTOMERS = [f"customer-{number}" for number in range(240)]
FLAG = "dynamic_pricing"
PLAN = RolloutPlan(
    [RolloutStep(25), RolloutStep(100)], [Guardrail("error_rate", margin=0.02, min_samples=30)]
)
WAIT = 20.0  # seconds for something to be noticed; a bound


class CatalogMetrics:
    """What guardrails read: the counters of the running service, as a Prometheus would see them."""

    def __init__(self, catalog: Server) -> None:
        self._catalog = catalog

    def read(self, key: str, variant: str, *, slower_than: tuple[float, ...]) -> VariantSample:
        """Return how requests went with *variant*."""
        del slower_than
        text = self._catalog.get("/metrics").body.decode()
        counts: Counter[str] = Counter()
        for labels, number in re.findall(
            r"^feature_flag_outcome_duration_seconds_count\{(.*)\} (\S+)$", text, re.MULTILINE
        ):
            named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if (named["feature_flag_key"], named["feature_flag_result_variant"]) == (key, variant):
                counts[named["outcome"]] += int(float(number))
        return VariantSample(counts.total(), counts["error"])


def roll_out_a_flag(report: Report, catalog: Server) -> None:
    """Take the flag from nobody to everybody, and let it fall."""
    report.heading("New prices behind a flag, in steps that watch themselves")
    store = flag_store(catalog.env["FLAGS_STORE_URL"])
    controller = RolloutController(store, CatalogMetrics(catalog))
    try:
        _up(report, catalog, store, controller)
        _down(report, catalog, store, controller)
    finally:
        controller.close()
        store.close()


def _up(report: Report, catalog: Server, store: FlagStore, controller: RolloutController) -> None:
    admin = FlagAdmin(store)
    with report.step("dynamic_pricing is off: everybody pays the old price"):
        equal(_ask(catalog, "espresso"), dict.fromkeys(CUSTOMERS, ("off", 240)), "quotes")
    with report.step(
        "a plan of 25 and 100 percent begins: a quarter of the customers, and the same every time"
    ) as facts:
        admin.set(FLAG, actor="tour", reason="declared")
        admin.ramp(FLAG, PLAN, actor="tour", reason="new prices")
        equal([decided.percent for decided in controller.tick()], [25.0], "step")
        _until_seen(catalog, store)
        controller.tick()  # outcomes count from here on
        first, again = _ask(catalog, "espresso"), _ask(catalog, "espresso")
        equal(first, again, "the second answer")
        lucky = _with_flag(first)
        check(36 <= len(lucky) <= 84, f"{len(lucky)} of {len(CUSTOMERS)} have it")
        facts.append(f"{len(lucky)} of {len(CUSTOMERS)} customers pay 2.16 instead of 2.40")
    with report.step(
        "nothing breaks: the controller goes on to 100 percent, and nobody lost it on the way"
    ) as facts:
        equal([decided.percent for decided in controller.tick()], [100.0], "step")
        _until_seen(catalog, store)
        equal(_with_flag(_ask(catalog, "espresso")), set(CUSTOMERS), "who has it")
        facts.append(f"revision {store.revision()}, by {store.history(FLAG, limit=1)[0].actor}")


def _down(report: Report, catalog: Server, store: FlagStore, controller: RolloutController) -> None:
    admin = FlagAdmin(store)
    with report.step("back to nobody, and the plan once more: the same quarter has it") as facts:
        admin.rollout(FLAG, 0, actor="tour", reason="once more")
        admin.ramp(FLAG, PLAN, actor="tour", reason="once more")
        controller.tick()
        _until_seen(catalog, store)
        controller.tick()
        lucky = _with_flag(_ask(catalog, "espresso"))
        check(36 <= len(lucky) <= 84, f"{len(lucky)} of {len(CUSTOMERS)} have it")
        facts.append(f"{len(lucky)} customers")
    with report.step(
        "the new prices fail for ristretto: a guardrail sees it and rolls the flag back by itself"
    ) as facts:
        broken = _ask(catalog, "ristretto")
        equal({quote for customer, quote in broken.items() if customer in lucky}, {("error", 500)}, "with it")
        equal([decided.status for decided in controller.tick()], ["rolled_back"], "decision")
        newest = store.history(FLAG, limit=1)[0]
        equal(newest.actor, "system:guardrail", "actor")
        facts.append(newest.reason)
    with report.step(
        "everybody pays the old price again, also for ristretto; the log of catalog says who and why"
    ):
        _until_seen(catalog, store)
        equal(set(_ask(catalog, "ristretto").values()), {("off", 300)}, "quotes")
        told = [event for event in catalog.log_events() if event.get("actor") == "system:guardrail"]
        check(told and FLAG in told[-1]["flags"], "a line of the log tells of the rollback")


def _ask(catalog: Server, sku: str) -> dict[str, tuple[str, int]]:
    """Return what each customer is told: the kind of price, and the price or the status."""
    found = {}
    for customer in CUSTOMERS:
        answer = catalog.get(f"/quotes/{sku}", headers={"X-Customer": customer})
        data = answer.json.get("data") or {}
        found[customer] = (data.get("pricing", "error"), data.get("price_cents", answer.status))
    return found


def _with_flag(quotes: dict[str, tuple[str, int]]) -> set[str]:
    return {customer for customer, (pricing, _) in quotes.items() if pricing == "on"}


def _until_seen(catalog: Server, store: FlagStore) -> None:
    """Wait until the running service has the newest revision in force."""
    give_up, wanted = time.monotonic() + WAIT, store.revision()
    while catalog.get("/health").json["checks"]["feature_flags"].get("revision") != wanted:
        check(time.monotonic() < give_up, f"catalog has not seen revision {wanted} after {WAIT:g} s")
        time.sleep(0.05)
