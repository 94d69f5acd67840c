"""A service tells of changed flags at the webhook of its alerts, and of a store that fails in its health."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.config import Settings
from shared.feature_flags import FileFlagStore, Flag, FlagAdmin, get_flags
from shared.runtime import use
from shared.security import verify_webhook
from shared.service import install, installed

SECRET = "whsec_" + "c2VjcmV0IG9mIGFsbCBvZiB0aGUgYWxlcnRz"
WAIT = 30.0  # seconds for a thread of the service on a busy machine


@pytest.fixture
def receiver():
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


def eventually(condition):
    until = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_changed_flag_is_posted_signed(receiver, make_app, shared_client, tmp_path):
    url, came, arrived = receiver
    store = FileFlagStore(tmp_path / "flags.json")
    admin = FlagAdmin(store, declared=[Flag("dynamic_pricing")])
    settings = Settings(
        ENVIRONMENT="testing",
        ALERT_WEBHOOK_URL=url,
        ALERT_WEBHOOK_SECRET=SECRET,
        FLAGS_STORE_URL=(tmp_path / "flags.json").as_uri(),
        FLAGS_REFRESH_SECONDS=0.2,
    )
    app = install(make_app(), settings, service="orders")
    shared_client(app).get("/hello")
    with use(installed(app).runtime):
        get_flags().is_enabled("dynamic_pricing")

        admin.rollout("dynamic_pricing", 25, actor="ada", reason="first quarter")
        while not any(b'"feature_flags"' in body for body, _ in came):
            assert arrived.acquire(timeout=WAIT)

    body, headers = next(each for each in came if b'"feature_flags"' in each[0])
    told = json.loads(body)
    assert verify_webhook("standard", body, headers, SECRET) is not None
    assert told["summary"] == "flags changed by ada: dynamic_pricing"
    assert (told["details"]["service"], told["details"]["reason"]) == ("orders", "first quarter")


def test_a_damaged_store_shows_in_health_and_changes_nothing(make_app, shared_client, tmp_path):
    path = tmp_path / "flags.json"
    path.write_text('{"flags": {"dynamic_pricing": {"rollout": 100}}}')
    settings = Settings(
        ENVIRONMENT="testing",
        FLAGS_STORE_URL=path.as_uri(),
        FLAGS_REFRESH_SECONDS=0.2,
        HEALTH_CACHE_SECONDS=0,
        HEALTH_DETAILS="always",
    )
    app = install(make_app(), settings, service="orders")
    client = shared_client(app)
    client.get("/hello")
    with use(installed(app).runtime):
        flags = get_flags()
        assert flags.is_enabled("dynamic_pricing", "u-1")

        path.write_text("{broken")

        assert eventually(lambda: flags.refresh_status().cause == "refused")
        assert flags.is_enabled("dynamic_pricing", "u-1")
        check = client.get("/health").json["checks"]["feature_flags"]
        assert check["status"] == "degraded"
        assert client.get("/ready").status == 200
