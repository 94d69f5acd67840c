"""The story: every step states what was checked."""

import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from examples.demo._access_walk import walk_past_the_door
from examples.demo._bad_day import take_bad_day
from examples.demo._cache_walk import walk_by_the_cache
from examples.demo._flag_walk import roll_out_a_flag
from examples.demo._fleet import ROOT, Answer, Server
from examples.demo._receipt_walk import walk_to_the_receipt
from examples.demo._repeat_walk import ask_too_often, ask_twice
from examples.demo._report import Report, check, equal
from examples.demo._shop import failed_orders_hold_nothing, take_shop
from shared.testing import RedisServer

SUCCESS = ["success", "data", "message", "timestamp", "version"]
ERROR = ["success", "error", "timestamp", "version"]
SECRET = "4111111111111111"


def take_tour(
    report: Report,
    catalog: Server,
    payments: Server,
    orders: Server,
    accounts: Server,
    *,
    redis: RedisServer,
    stop_at_end: bool,
) -> None:
    """Walk through everything the services got from one call each."""
    _envelopes(report, catalog, orders)
    _identity(report, catalog, orders)
    _errors(report, catalog, orders)
    _protection(report, catalog, orders)
    walk_past_the_door(
        report,
        accounts,
        admin_password=accounts.env["ADMIN_PASSWORD"],
        webhook_secret=accounts.env["PAYMENTS_WEBHOOK_SECRET"],
    )
    _health(report, catalog, orders)
    walk_by_the_cache(report, catalog, redis)
    roll_out_a_flag(report, catalog)
    take_shop(report, catalog, orders)
    walk_to_the_receipt(report, payments, orders)
    ask_twice(report, orders)
    take_bad_day(report, payments, orders)
    failed_orders_hold_nothing(report, orders, "espresso")
    ask_too_often(report, catalog)
    _configuration(report)
    if stop_at_end:
        _ending(report, catalog, orders)


def _envelopes(report: Report, catalog: Server, orders: Server) -> None:
    report.heading("One envelope, whatever the framework")
    with report.step("catalog (Flask) answers in the success envelope") as facts:
        body = catalog.get("/items").json
        equal(list(body), SUCCESS, "keys")
        facts.append(f"keys {', '.join(body)}; {len(body['data'])} items")
    with report.step("orders (FastAPI) takes an order: it asked catalog for the price over HTTP") as facts:
        answer = orders.request("POST", "/orders", body={"sku": "espresso", "quantity": 2})
        equal((answer.status, list(answer.json)), (201, SUCCESS), "status and keys")
        equal(answer.json["data"]["total"], "4.8000", "total")
        facts.append(f"order {answer.json['data']['id']}: 2 x espresso = 4.80")


def _identity(report: Report, catalog: Server, orders: Server) -> None:
    report.heading("One correlation id through both services")
    with report.step("an id that the client sends comes back, and is in the logs of both services") as facts:
        answer = orders.request(
            "POST",
            "/orders",
            body={"sku": "cortado", "quantity": 1},
            headers={"X-Correlation-ID": "tour-42"},
        )
        equal(answer.headers.get("x-correlation-id"), "tour-42", "echoed id")
        lines = {server.name: _lines_of(server, "tour-42") for server in (orders, catalog)}
        for name, found in lines.items():
            check(found, f"no line with tour-42 in the log of {name}")
        traces = {line["trace_id"] for found in lines.values() for line in found}
        equal(len(traces), 1, "number of trace ids")
        facts.append(", ".join(f"{len(found)} lines in {name}" for name, found in lines.items()))
        facts.append("same trace id in both")
    with report.step("a field bound in the endpoint is in the access line of the same request"):
        # The notice of the payment that the order causes comes back under the same id.
        lines = [line for line in _lines_of(orders, "tour-42") if line["logger"] == "shared.access"]
        access = [line for line in lines if line["route"] == "/orders"]
        equal([line.get("sku") for line in access], ["cortado"], "sku of the access line")
    with report.step("a hostile id (line break, 64 KiB) is replaced, not echoed") as facts:
        for server in (orders, catalog):
            status, returned = _raw_id(server, b"evil\x0bid; <script>")
            check(status < 500, f"{server.name} answered {status}")
            check("evil" not in returned, f"{server.name} echoed {returned!r}")
            status, returned = _raw_id(server, b"a" * 60_000)
            check(status < 500 and len(returned) < 129, f"{server.name} answered {status} {returned[:40]!r}")
        facts.append("fresh 32-digit ids instead")


def _errors(report: Report, catalog: Server, orders: Server) -> None:
    report.heading("Every error in the same shape")
    json_header = {"Content-Type": "application/json"}
    cases: list[tuple[str, int, str, dict[str, Any]]] = [
        ("/nowhere", 404, "NOT_FOUND", {"method": "GET"}),
        ("/health", 405, "METHOD_NOT_ALLOWED", {"method": "DELETE"}),
        ("{path}", 400, "BAD_REQUEST", {"method": "POST", "body": b'{"sku": ', "headers": json_header}),
        (
            "{path}",
            422,
            "VALIDATION_ERROR",
            {"method": "POST", "body": {"sku": "X Y", "card_number": SECRET}},
        ),
        (
            "{path}",
            413,
            "PAYLOAD_TOO_LARGE",
            {"method": "POST", "body": b"x" * 30_000, "headers": json_header},
        ),
        ("/broken", 500, "INTERNAL_ERROR", {"method": "GET"}),
    ]
    for path, status, code, request in cases:
        with report.step(f"{status} {code} from both") as facts:
            for server, collection in ((catalog, "/items"), (orders, "/orders")):
                options = dict(request)
                answer = server.request(options.pop("method"), path.format(path=collection), **options)
                _expect_error(server, answer, status, code)
            if status == 405:
                facts.append(f"Allow: {answer.headers.get('allow')}")
            if status == 422:
                facts.append("says which field is wrong, never what was sent")
            if status == 500:
                facts.append("in production only the correlation id leaves")
    with report.step("the same as RFC 9457 problem details when asked for"):
        for server in (catalog, orders):
            answer = server.get("/nowhere", headers={"Accept": "application/problem+json"})
            equal(answer.headers.get("content-type"), "application/problem+json", f"{server.name} type")
            equal((answer.json["status"], answer.json["code"]), (404, "NOT_FOUND"), f"{server.name} body")
    with report.step("an error of catalog becomes the error of orders, under one correlation id"):
        answer = orders.request("POST", "/orders", body={"sku": "tea", "quantity": 1})
        _expect_error(orders, answer, 404, "NOT_FOUND")


def _expect_error(server: Server, answer: Answer, status: int, code: str) -> None:
    equal(answer.status, status, f"{server.name} status")
    equal(list(answer.json), ERROR, f"{server.name} keys")
    equal(answer.json["error"]["code"], code, f"{server.name} code")
    check("x-correlation-id" in answer.headers, f"{server.name} sent no correlation id")
    text = answer.body.decode()
    check(SECRET not in text and "hunter2" not in text, f"{server.name} leaked: {text}")


def _protection(report: Report, catalog: Server, orders: Server) -> None:
    report.heading("Protection")
    wanted = ("x-content-type-options", "x-frame-options", "content-security-policy", "referrer-policy")
    with report.step("security headers on answers and on errors") as facts:
        for server in (catalog, orders):
            for path in ("/health", "/nowhere", "/broken"):
                sent = server.get(path).headers
                missing = [name for name in wanted if name not in sent]
                check(not missing, f"{server.name}{path} lacks {missing}")
        facts.append(", ".join(wanted))
    with report.step("/docs keeps working: its own policy allows what the page loads"):
        answer = orders.get("/docs")
        equal(answer.status, 200, "status")
        check("jsdelivr" in answer.headers["content-security-policy"], "its policy is that of the API")
    with report.step("the OpenAPI document describes the errors that are really sent"):
        document = orders.get("/openapi.json").json
        described = document["paths"]["/orders"]["post"]["responses"]
        check(
            "422" in described and "HTTPValidationError" not in document["components"]["schemas"],
            "as FastAPI's",
        )
    with report.step("nothing secret in any log line of the tour"):
        for server in (catalog, orders):
            check(SECRET not in server.log.read_text(), f"a card number is in the log of {server.name}")


def _health(report: Report, catalog: Server, orders: Server) -> None:
    report.heading("Health")
    with report.step("/health in the documented shape, /ready and /live beside it") as facts:
        for server in (catalog, orders):
            body = _rested(server)
            equal(list(body), ["status", "timestamp", "uptime", "checks"], f"{server.name} keys")
            equal(body["status"], "healthy", f"{server.name} status")
            equal(
                [server.get(path).status for path in ("/ready", "/live")], [200, 200], f"{server.name} probes"
            )
        facts.append(f"memory: {body['checks']['memory']}")
    with report.step("application/health+json when asked for"):
        answer = orders.get("/health", headers={"Accept": "application/health+json"})
        equal(
            (answer.headers["content-type"], answer.json["status"]),
            ("application/health+json", "pass"),
            "answer",
        )
    with report.step("probes are not in the access log"):
        for server in (catalog, orders):
            noisy = [e for e in server.log_events() if e.get("path") in ("/live", "/ready")]
            check(not noisy, f"{server.name} logged {len(noisy)} probes")


def _rested(server: Server) -> dict[str, Any]:
    """Return the health once a busy machine has let the event loop catch up; as it is after ten seconds."""
    give_up = time.monotonic() + 10.0
    while True:
        body: dict[str, Any] = server.get("/health").json
        late = body["checks"].get("event_loop", {}).get("status") == "degraded"
        if not late or time.monotonic() > give_up:
            return body
        time.sleep(0.2)


def _configuration(report: Report) -> None:
    report.heading("Configuration")
    with report.step("settings are masked wherever they are shown") as facts:
        shown = _python(
            "from shared.config import Settings\n"
            "s = Settings(environ={'OPENAI_API_KEY': 'sk-topsecret-123456', "
            "'DATABASE_URL': 'postgresql://app:hunter2@db/x'}, env_file=None)\n"
            "d = s.to_dict()\n"
            "print(d['ai']['OPENAI_API_KEY'], d['database']['DATABASE_URL'])\nprint(repr(s))",
            {},
        )
        check("hunter2" not in shown.stdout and "topsecret" not in shown.stdout, shown.stdout)
        facts.append(shown.stdout.splitlines()[0])
    with report.step("a wrong environment is one readable report of everything that is wrong") as facts:
        wrong = {
            "ENVIRONMENT": "production",
            "DB_POOL_SIZE": "many",
            "API_PORT": "99999",
            "CORS_ORIGINS": "*",
            "CORS_ALLOW_CREDENTIALS": "true",
            "JWT_SECRET_KEY": "short-secret-value",
            "DEBUG": "true",
            "DB_POOLSIZE": "3",
        }
        result = _python("from examples.orders.app import app", wrong)
        check(result.returncode != 0, "it started")
        text = result.stderr[result.stderr.rindex("ConfigurationError") :]
        for name in ("DB_POOL_SIZE", "API_PORT", "CORS_ORIGINS", "JWT_SECRET_KEY", "DEBUG"):
            check(name in text, f"{name} is not in the report:\n{text}")
        check("DB_POOLSIZE" in text, f"the misspelt DB_POOLSIZE is not in the report:\n{text}")
        check("short-secret-value" not in result.stderr, "the report shows the secret")
        facts.append(text.strip())


def _ending(report: Report, catalog: Server, orders: Server) -> None:
    report.heading("The end")
    for server in (orders, catalog):
        with report.step(f"{server.name}: SIGTERM under load, no request fails, exit in order") as facts:
            load = _Load(server)
            load.start()
            time.sleep(0.3)
            begin = time.monotonic()
            code = server.stop()
            load.join()
            check(load.served > 0, "no request was served")
            equal(load.failed, [], "failed requests")
            facts.append(
                f"{load.served} requests served, ended after {time.monotonic() - begin:.1f} s, code {code}"
            )


class _Load(threading.Thread):
    """Asks again and again, as a load balancer does: until /ready says no."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.served = 0
        self.failed: list[str] = []

    def run(self) -> None:
        for _ in range(2000):
            try:
                if self._server.get("/ready").status == 503:
                    return
                answer = self._server.get("/openapi.json" if self._server.name == "orders" else "/items")
            except OSError as exc:
                self.failed.append(repr(exc))
                return
            if answer.status != 200:
                self.failed.append(str(answer.status))
            self.served += 1


def _lines_of(server: Server, correlation_id: str) -> list[dict[str, Any]]:
    for _ in range(100):  # the access line follows the last byte of the answer
        found = [event for event in server.log_events() if event.get("correlation_id") == correlation_id]
        if any(event.get("logger") == "shared.access" for event in found):
            return found
        time.sleep(0.02)
    return []


def _raw_id(server: Server, value: bytes) -> tuple[int, str]:
    """Send an id that no client library would send; return the status and the id that came back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(
            b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Correlation-ID: " + value + b"\r\n\r\n"
        )
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head = received.partition(b"\r\n\r\n")[0].decode("latin-1")
    ids = [
        line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("x-correlation-id")
    ]
    return int(head.split()[1]), ids[0] if ids else ""


def _python(code: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kept = {
        key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "PYTHONPATH", "SYSTEMROOT")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**kept, "ENV_FILE": "off", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
