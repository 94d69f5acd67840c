"""A service looks at its own alerts and tells of them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.config import Settings
from shared.errors import ConfigurationError
from shared.monitoring import SLO, AlertEvaluator, Metrics, ThresholdAlert
from shared.runtime import use
from shared.security import verify_webhook
from shared.service import explain, install, installed

SECRET = "whsec_" + "c2VjcmV0IG9mIGFsbCBvZiB0aGUgYWxlcnRz"
WAIT = 20  # seconds for a thread of the service on a busy machine


@pytest.fixture
def receiver():
    """A webhook's other end: what came, and an event per notice."""
    came, arrived = [], threading.Semaphore(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((body, dict(self.headers)))
            self.send_response(204)
            self.end_headers()
            arrived.release()

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", came, arrived
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_alert_that_fires_is_posted_signed_while_the_service_runs(receiver, make_app, shared_client):
    url, came, arrived = receiver
    settings = Settings(
        ENVIRONMENT="testing",
        ALERT_WEBHOOK_URL=url,
        ALERT_WEBHOOK_SECRET=SECRET,
        ALERT_INTERVAL_SECONDS=0.05,
    )
    alert = ThresholdAlert("queue", lambda: 120, above=100)
    app = install(make_app(), settings, service="orders", alerts=[alert, SLO("availability")])

    shared_client(app).get("/hello")
    while not any(b'"queue"' in body for body, _ in came):
        assert arrived.acquire(timeout=WAIT)

    bodies = [json.loads(body) for body, _ in came]
    queue = next(index for index, body in enumerate(bodies) if body["alert"] == "queue")
    assert (bodies[queue]["status"], bodies[queue]["details"]["service"]) == ("firing", "orders")
    event = verify_webhook("standard", *came[queue], [SECRET])
    assert json.loads(event.body)["alert"] == "queue"


def test_without_alerts_a_webhook_hears_of_health(receiver, make_app, shared_client):
    broken, (url, came, arrived) = [], receiver
    settings = Settings(
        ENVIRONMENT="testing",
        ALERT_WEBHOOK_URL=url,
        ALERT_WEBHOOK_SECRET=SECRET,
        HEALTH_CACHE_SECONDS=0,
        HEALTH_FAILURE_THRESHOLD=1,
    )
    app = install(make_app(), settings, service="orders", checks=[("stock", lambda: not broken)])
    client = shared_client(app)
    client.get("/health")
    broken.append(True)
    client.get("/health")
    assert arrived.acquire(timeout=WAIT)

    assert json.loads(came[0][0])["alert"] in {"system-health", "readiness"}


def test_alerts_without_metrics_are_a_mistake_that_is_told(make_app):
    with pytest.raises(ConfigurationError, match="METRICS_ENABLED"):
        install(
            make_app(), Settings(ENVIRONMENT="testing", METRICS_ENABLED=False), alerts=[SLO("availability")]
        )


def test_a_webhook_without_a_secret_is_refused(make_app):
    with pytest.raises(ConfigurationError, match="ALERT_WEBHOOK_SECRET"):
        install(make_app(), Settings(ENVIRONMENT="testing", ALERT_WEBHOOK_URL="https://alerts.example/hook"))


def test_nothing_is_looked_at_unless_asked(make_app):
    app = install(make_app(), service="orders")

    assert explain(app).part("alerts").reason == "no alerts given, ALERT_WEBHOOK_URL is not set"
    assert installed(app).runtime.find(AlertEvaluator) is None


def test_of_processes_that_share_their_metrics_one_tells(tmp_path):
    from shared.service._alerts import _GroupLeader

    first = Metrics("orders", directory=tmp_path, multiprocess=True)
    second = Metrics("orders", directory=tmp_path, multiprocess=True)
    leaders = [_GroupLeader(metrics) for metrics in (first, second)]

    assert [leader.acquire() for leader in leaders] == [True, False]
    leaders[0].close()
    assert leaders[1].acquire()
    leaders[1].close()
    first.close()
    second.close()


def test_of_services_on_one_redis_one_tells(make_app, shared_redis):
    settings = Settings(ENVIRONMENT="testing", REDIS_URL=str(shared_redis))
    apps = [install(make_app(), settings, service="orders", alerts=[SLO("x")]) for _ in range(2)]

    evaluators = [installed(app).runtime.find(AlertEvaluator) for app in apps]
    with use(installed(apps[0]).runtime):
        led = [evaluator._leader.acquire() for evaluator in evaluators]
    evaluators[0]._leader.close()

    assert led == [True, False]
