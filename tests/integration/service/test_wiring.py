"""Tracing, error tracking, the event loop, the report on a signal: joined by one call."""

import asyncio
import http.server
import json
import logging
import os
import signal
import threading
import time

import pytest
from opentelemetry import trace as otel
from sqlalchemy import text

from shared.auth import Authenticator, Principal
from shared.config import Settings
from shared.context import TraceContext, current_context
from shared.database import get_database
from shared.monitoring import ErrorTracker, SpanKind, get_error_tracker, get_tracer
from shared.resilience import HttpCall, get_breakers
from shared.runtime import use
from shared.service import install, installed, uninstall, worker
from shared.service._process import _pools
from shared.testing import ApiClient
from tests.unit.monitoring.test_otel import Provider

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def wait_until(happened, seconds=30.0):
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


# --- tracing ----------------------------------------------------------------------------------


def test_a_request_is_a_span_under_the_callers(make_app, shared_client):
    app, spans = install(make_app(), service="orders"), []
    with use(installed(app).runtime):
        get_tracer().add_exporter(spans.extend)

    shared_client(app).get("/hello", headers={"traceparent": PARENT})

    [span] = spans
    assert (span.name, span.kind, span.trace.parent_id) == ("GET /hello", SpanKind.SERVER, "b7ad6b7169203331")


def test_an_unsampled_rate_leaves_no_span_and_no_mark(make_app, shared_client):
    app, spans = install(make_app(), Settings(ENVIRONMENT="testing", TRACE_SAMPLE_RATE=0.0)), []
    with use(installed(app).runtime):
        get_tracer().add_exporter(spans.extend)

    shared_client(app).get("/hello")

    assert spans == []


def test_statements_of_a_request_are_spans_under_it(make_app, shared_client, tmp_path):
    app = make_app()
    install(app, Settings(ENVIRONMENT="testing", DATABASE_URL=f"sqlite:///{tmp_path}/x.db"))
    spans = []
    with use(installed(app).runtime):
        tracer = get_tracer()
        tracer.add_exporter(spans.extend)
        with tracer.span("work") as span, get_database().read() as session:
            session.execute(text("select 'private' as body"))

    query = next(each for each in spans if each.name == "SELECT")
    assert (query.kind, query.trace.parent_id) == (SpanKind.CLIENT, span.trace.span_id)
    assert query.attributes["db.system.name"] == "sqlite"
    assert "private" not in str(query)


def test_calls_to_other_services_are_spans_under_the_ids_that_were_sent(make_app):
    app, spans = install(make_app(), service="orders"), []
    runtime = installed(app).runtime
    trace = TraceContext.parse(PARENT).child()
    with use(runtime):
        get_tracer().add_exporter(spans.extend)
        runtime.events.emit(
            HttpCall("payments", "POST", "/charges/{id}", 503, 0.2, "ServiceUnavailableError", trace)
        )
        runtime.events.emit(HttpCall("payments", "GET", "/charges", 200, 0.1, None))

    [span] = spans
    assert (span.name, span.trace, span.error) == ("POST /charges/{id}", trace, "ServiceUnavailableError")


def test_a_task_of_a_worker_is_a_span_under_the_message():
    spans = []
    with worker("billing", without=["logging"]) as billing:
        get_tracer().add_exporter(spans.extend)
        with billing.task("send invoices", headers={"traceparent": PARENT}):
            pass

    [span] = spans
    assert (span.name, span.kind) == ("send invoices", SpanKind.CONSUMER)
    assert span.trace.trace_id == "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector():
    """A trace collector on the loopback; what it got is in ``requests``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.requests.append((dict(self.headers), json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_the_collector_of_the_settings(make_app, shared_client, collector):
    settings = Settings(
        ENVIRONMENT="testing",
        SERVICE_NAME="orders",
        OTLP_TRACES_ENDPOINT=f"http://127.0.0.1:{collector.server_port}/v1/traces",
        OTLP_HEADERS="api-key=k-1, tenant=7",
    )
    app = install(make_app(), settings)
    client = shared_client(app)
    client.get("/hello", headers={"traceparent": PARENT})

    uninstall(app)

    (headers, document), *_ = collector.requests
    resource = document["resourceSpans"][0]["resource"]["attributes"]
    assert (headers["api-key"], headers["tenant"]) == ("k-1", "7")
    assert {"key": "service.name", "value": {"stringValue": "orders"}} in resource
    assert "k-1" not in str(explain_of(settings))


def explain_of(settings):
    return settings.to_dict()


# --- error tracking -----------------------------------------------------------------------------


class Reports:
    def __init__(self):
        self.types = []

    def report(self, report, exc):
        self.types.append(report.type)


def test_an_error_nobody_foresaw_is_reported_once(make_app, shared_client):
    app, reports = install(make_app(), service="orders"), Reports()
    with use(installed(app).runtime):
        get_error_tracker().add_reporter(reports)

    shared_client(app).get("/boom")
    shared_client(app).get("/conflict")

    assert reports.types == ["RuntimeError"]


def test_two_services_report_their_own_errors(make_app, shared_client):
    apps = [install(make_app(), service=name) for name in ("orders", "catalog")]
    reports = []
    for app in apps:
        with use(installed(app).runtime):
            reports.append(Reports())
            get_error_tracker().add_reporter(reports[-1])

    shared_client(apps[1]).get("/boom")

    assert [each.types for each in reports] == [[], ["RuntimeError"]]


def test_uninstalling_takes_the_error_tracker_off_the_log(make_app):
    before = list(logging.getLogger().handlers)
    app = install(make_app(), service="orders")
    uninstall(app)

    assert logging.getLogger().handlers == before


def test_without_error_tracking_nothing_listens_to_the_log(make_app):
    before = list(logging.getLogger().handlers)
    app = install(make_app(), service="orders", without=["error_tracking", "logging"])

    assert logging.getLogger().handlers == before
    assert installed(app).runtime.find(ErrorTracker) is None


# --- the event loop --------------------------------------------------------------------------------


def test_the_loop_of_an_asgi_application_is_watched_while_it_runs(asgi_app):
    app = install(asgi_app, Settings(ENVIRONMENT="testing", HEALTH_DETAILS="always"))
    with ApiClient(app) as client:
        check = client.get("/health").json["checks"]["event_loop"]
        shown = client.get("/metrics").text

    assert set(check) == {"status", "lag"}
    assert "asyncio_event_loop_lag_seconds" in shown
    assert "event_loop" not in installed(app).health.names


async def test_the_loop_of_an_asynchronous_worker_is_watched():
    async with worker("billing", without=["logging"]) as billing:
        await asyncio.sleep(0)
        names = billing.health.names

    assert "event_loop" in names


def test_synchronous_code_has_no_loop_to_watch():
    with worker("billing", without=["logging"]) as billing:
        assert "event_loop" not in billing.health.names


# --- the report --------------------------------------------------------------------------------------


@pytest.fixture
def signal_of_nobody():
    """SIGUSR2 as it is at the start of a process: an application of another test may still answer it."""
    before = signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.usefixtures("signal_of_nobody")
def test_sigusr2_writes_a_report_without_secrets(capfd):
    settings = Settings(ENVIRONMENT="testing", JWT_SECRET_KEY="hunter2-hunter2-hunter2-hunter2-hunter2")
    with worker("billing", settings, without=["logging"]):
        get_breakers().get("payments").force_open()
        os.kill(os.getpid(), signal.SIGUSR2)
        written = []

        until = time.monotonic() + 90
        while "==== end of report" not in "".join(written) and time.monotonic() < until:
            written.append(capfd.readouterr().err)
            time.sleep(0.01)

    report = "".join(written)
    assert "==== end of report" in report
    assert "billing" in report
    assert '"name": "payments"' in report
    assert "hunter2" not in report


def test_the_signal_is_given_back_at_the_end():
    before = signal.getsignal(signal.SIGUSR2)
    with worker("billing", without=["logging"]):
        during = signal.getsignal(signal.SIGUSR2)

    assert during != before
    assert signal.getsignal(signal.SIGUSR2) == before


def test_the_report_shows_the_pool_of_a_database_that_is_there(tmp_path):
    settings = Settings(ENVIRONMENT="testing", DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    with worker("billing", settings, without=["logging"]) as billing:
        shown = _pools(billing.runtime)

    assert shown["name"] == "main"


# --- series at zero ------------------------------------------------------------------------------------


def test_every_route_has_its_error_series_before_the_first_error(make_app, shared_client):
    app = install(make_app(), service="orders")
    shown = shared_client(app).get("/metrics").text

    born = [
        line
        for line in shown.splitlines()
        if line.startswith("http_server_request_duration_seconds_count{")
        and 'http_response_status_code="500"' in line
        and 'http_route="/boom"' in line
    ]
    assert len(born) == 1
    assert born[0].endswith(" 0.0")


def test_routes_beyond_the_bound_are_not_declared(asgi_app):
    for number in range(500):
        asgi_app.add_api_route(f"/r{number}", lambda: None, methods=["GET"])
    app = install(asgi_app, service="orders")
    with ApiClient(app) as client:
        shown = client.get("/metrics").text

    declared = [
        line
        for line in shown.splitlines()
        if line.startswith("http_server_request_duration_seconds_count{") and 'status_code="500"' in line
    ]
    assert len(declared) == 400


# --- who may see what, and what is critical -------------------------------------------------------------


@pytest.mark.parametrize(("permissions", "seen"), [(["health:read"], True), (["orders:read"], False)])
def test_callers_with_the_permission_see_the_details(make_app, shared_client, permissions, seen):
    class Someone(Authenticator):
        name = "someone"

        def authenticate(self, _request):
            return Principal(user_id="u-1", permissions=permissions)

    settings = Settings(ENVIRONMENT="testing", HEALTH_DETAILS="internal", TRUSTED_PROXIES=[])
    app = install(make_app(), settings, authenticators=[Someone()])

    checks = shared_client(app).get("/health", headers={"X-Forwarded-For": "203.0.113.7"}).json["checks"]

    assert bool(checks) is seen


def test_the_open_breaker_of_a_critical_dependency_makes_the_service_unready(make_app, shared_client):
    settings = Settings(
        ENVIRONMENT="testing",
        BREAKER_CRITICAL=["payments"],
        HEALTH_FAILURE_THRESHOLD=1,
        HEALTH_CACHE_SECONDS=0,
    )
    app = install(make_app(), settings)
    client = shared_client(app)
    before = client.get("/ready").status
    with use(installed(app).runtime):
        get_breakers().get("email").force_open()
        degraded = client.get("/ready").status
        get_breakers().get("payments").force_open()

    assert (before, degraded, client.get("/ready").status) == (200, 200, 503)


# --- beside OpenTelemetry ------------------------------------------------------------------------------


def test_spans_go_to_opentelemetry_where_the_process_has_configured_it(monkeypatch):
    provider = Provider()
    monkeypatch.setattr(otel, "_TRACER_PROVIDER", provider)
    with worker("billing", without=["logging"]) as billing, billing.task("send invoices"):
        trace = current_context().trace
        billing.runtime.events.emit(HttpCall("payments", "GET", "/charges", 200, 0.1, None, trace.child()))

    call, task = provider.ended
    assert (task.name, call.name) == ("send invoices", "GET /charges")
    assert call.parent.span_id == task.get_span_context().span_id


@pytest.mark.parametrize("part", ["tracing", "event_loop", "report", "redis", "storage", "database"])
def test_each_part_can_be_left_out_of_a_worker(part):
    with worker("billing", without=["logging", part]) as billing:
        assert billing.explain().part(part).reason == f"without={part!r}"


@pytest.mark.parametrize(("count", "names"), [(1, ["disk"]), (2, ["disk-1", "disk-2"]), (0, [])])
def test_the_disks_of_the_settings_are_watched(make_app, tmp_path, count, names):
    app = install(make_app(), Settings(ENVIRONMENT="testing", HEALTH_DISK_PATHS=[str(tmp_path)] * count))
    health = installed(app).health

    watched = [name for name in health.names if name.startswith("disk")]
    uninstall(app)

    assert watched == names
    assert not [name for name in health.names if name.startswith("disk")]
