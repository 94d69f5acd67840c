"""The chapter in which the payment supplier fails, and orders does not fall with it."""

import time
from typing import Any

from examples.demo._fleet import Answer, Server
from examples.demo._report import Report, check, equal

ORDER = {"sku": "espresso", "quantity": 1}


def take_bad_day(report: Report, payments: Server, orders: Server) -> None:
    """Turn the fault dial, and look at answers, health, metrics and the log."""
    report.heading("A supplier with a bad day")
    with report.step("payments answers 500: orders says so, and does not pay twice") as facts:
        _dial(payments, "500")
        answer = _order(orders)
        equal((answer.status, answer.json["error"]["code"]), (502, "EXTERNAL_SERVICE_ERROR"), "answer")
        facts.append(answer.json["error"]["message"])
    with report.step("the circuit opens, and from then on orders fails fast") as facts:
        tries = 1
        while (answer := _order(orders)).json["error"]["code"] != "CIRCUIT_OPEN":
            tries += 1
            check(tries < 20, f"still {answer.json['error']}")
        _health_when_open(orders)
        began = time.perf_counter()
        answer = _order(orders)
        took = time.perf_counter() - began
        equal((answer.status, answer.json["error"]["code"]), (503, "CIRCUIT_OPEN"), "answer")
        check("retry-after" in answer.headers, "no Retry-After")
        facts.append(f"refused in {took * 1000:.0f} ms, Retry-After: {answer.headers['retry-after']}")
    with report.step("/health is degraded and names it, /ready stays 200") as facts:
        health = _health_when_open(orders)
        equal((health["status"], _breaker(health)), ("degraded", "OPEN"), "health")
        equal(orders.get("/ready").status, 200, "readiness")
        facts.append(str(health["checks"]["dependencies"]))
    with report.step("/metrics shows the open circuit and the requests by route") as facts:
        wanted = 'circuit_breaker_state{circuit_breaker_name="payments"} 2.0'
        for _ in range(20):
            _health_when_open(orders)
            if wanted in (text := orders.get("/metrics").body.decode()):
                break
        check(wanted in text, "no open circuit in the metrics")
        check('http_route="/orders"' in text, "no request of /orders in the metrics")
        check(_refused(text) > 0, "no refused call in the metrics")
        facts.append(wanted)
    with report.step("the dial goes back: half-open, one probe, closed") as facts:
        _dial(payments, "ok")
        began = time.perf_counter()
        while (answer := _order(orders)).status != 201:
            check(time.perf_counter() - began < 10, f"still {answer.body!r}")
            time.sleep(0.05)
        health = orders.get("/health").json
        equal((health["status"], _breaker(health)), ("healthy", "CLOSED"), "health")
        shown = orders.get("/metrics").body.decode()
        check(
            'circuit_breaker_state{circuit_breaker_name="payments"} 0.0' in shown, "not closed in the metrics"
        )
        told = [e["event"] for e in orders.log_events() if e.get("logger") == "shared.resilience"]
        for event in ("circuit open", "circuit half-open", "circuit closed"):
            check(event in told, f"{event!r} is not in the log: {told}")
        facts.append(" -> ".join(event for event in told if event.startswith("circuit")))
    _take_slow_day(report, payments, orders)


def _take_slow_day(report: Report, payments: Server, orders: Server) -> None:
    with report.step("payments is slow, and within its time: orders waits, and takes the order") as facts:
        _dial(payments, "slow")
        began = time.perf_counter()
        answer = _order(orders)
        equal(answer.status, 201, "answer")
        facts.append(f"201 after {time.perf_counter() - began:.1f} s")
    with report.step("payments hangs: the timeout ends the wait") as facts:
        _dial(payments, "hang")
        began = time.perf_counter()
        answer = _order(orders)
        took = time.perf_counter() - began
        check(answer.status in (503, 504), f"answered {answer.status}")
        check(took < 3, f"waited {took:.1f} s")
        facts.append(f"{answer.status} {answer.json['error']['code']} after {took:.1f} s")
        _dial(payments, "ok")


def _dial(payments: Server, fault: str) -> None:
    equal(payments.request("PUT", "/dial", body={"fault": fault}).status, 200, "dial")


def _order(orders: Server) -> Answer:
    return orders.request("POST", "/orders", body=ORDER)


def _health_when_open(orders: Server) -> dict[str, Any]:
    """Return what /health says while the circuit is open; a slow machine may meet it half-open."""
    health: dict[str, Any] = {}
    for _ in range(50):
        health = orders.get("/health").json
        if _breaker(health) == "OPEN":
            break
        _order(orders)  # a probe that fails opens it again
    return health


def _refused(metrics: str) -> float:
    series = 'circuit_breaker_calls_total{circuit_breaker_name="payments",outcome="rejected"} '
    return sum(float(line.removeprefix(series)) for line in metrics.splitlines() if line.startswith(series))


def _breaker(health: dict[str, Any]) -> str:
    return str(health["checks"]["dependencies"]["breakers"]["payments"])
